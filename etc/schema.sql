-- The tables of Import Media, at their newest version. `bin/gpupanel init-db` runs this file in an empty database, and
-- lib/gpupanel/sql/migrations in an older one. Times are UTC. Nothing is ever deleted: see `deleted_at` and `withdrawn`.
-- Every column that the Perl panel and worker do not write has a default (docs/decisions/0116-schema-versions.md).

-- Which versions of this file the database has had: one row a version.
CREATE TABLE IF NOT EXISTS schema_version (
  version    INT UNSIGNED NOT NULL PRIMARY KEY,
  applied_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

-- ---------------------------------------------------------------------------------------------- the ledger

-- One row for each bundle that a scan has seen, whatever became of it.
CREATE TABLE IF NOT EXISTS ingest_batch (
  id               BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  sync_id          CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  -- These five come from the manifest, and are NULL while none could be read.
  sync_type        VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NULL,
  action           ENUM('create', 'update', 'remove', 'undo') CHARACTER SET ascii COLLATE ascii_bin NULL,
  item_count       BIGINT UNSIGNED NOT NULL DEFAULT 0,
  total_bytes      BIGINT UNSIGNED NOT NULL DEFAULT 0,
  source_host      VARCHAR(255) NULL,
  status           ENUM('discovered', 'preflight_passed', 'preflight_failed', 'queued', 'importing',
                        'completed', 'partial', 'failed')
                   CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'discovered',
  -- Of the bytes that were read last: at the scan, the preflight, and again at the import.
  manifest_sha256  CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  manifest_summary JSON NULL,
  container_count  INT UNSIGNED NOT NULL DEFAULT 0,
  -- How many items of each decision the last preflight planned.
  plan             JSON NULL,
  -- Why the bundle was passed over, failed its preflight, or failed to import; NULL when nothing is wrong.
  last_error       TEXT NULL,
  -- Upstream's order of bundles, fixed by the preflight (docs/decisions/0111-upstream-order.md).
  prior_sync_id    CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  source_at        DATETIME(6) NULL,
  -- 1 where the operator asked to write this bundle although a newer one was imported.
  although_older   TINYINT UNSIGNED NOT NULL DEFAULT 0,
  -- The batch that a batch of action `undo` takes back.
  undo_of          BIGINT UNSIGNED NULL,
  -- Size, time and limits of a large manifest that was refused: the scan reads it again when they change.
  skipped_state    VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NULL,
  -- Upstream replaced the bundle after its approval or import; NULL again after the next preflight.
  changed_at       DATETIME(6) NULL,
  changed_sha256   CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  -- The latest job that wrote at least one item; neither a preflight nor a cancel nor a failed retry changes it.
  imported_at      DATETIME(6) NULL,
  imported_job_id  BIGINT UNSIGNED NULL,
  imported_sha256  CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  -- Who marked the batch's need of attention as seen, and when.
  seen_by          VARCHAR(255) NULL,
  seen_at          DATETIME(6) NULL,
  -- Results, events and items are in an archive alone (ingest_archive); NULL again after the next preflight.
  archived_at      DATETIME(6) NULL,
  -- What names the bundle before its preflight, from the manifest that the scan read: the titles of its first item and of
  -- its first container, and the first item's folder and thumbnail. Pages prefer what the preflight recorded.
  scan_title       VARCHAR(255) NULL,
  scan_container   VARCHAR(255) NULL,
  scan_path        VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  scan_picture     VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  discovered_at    DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  started_at       DATETIME(6) NULL,
  completed_at     DATETIME(6) NULL,
  updated_at       DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  -- 1 where the batch needs attention, 2 where a person has seen that since the import, preflight or replacement that
  -- caused it; NULL elsewhere (docs/decisions/0136-attention-is-a-generated-column.md).
  attention        TINYINT UNSIGNED GENERATED ALWAYS AS (
                     IF(status IN ('partial', 'failed', 'preflight_failed') OR changed_at IS NOT NULL,
                        IF(seen_at IS NULL
                           OR seen_at < COALESCE(completed_at, started_at, discovered_at)
                           OR seen_at < COALESCE(changed_at, seen_at), 1, 2),
                        NULL)) STORED,
  -- A bundle is one batch, however often it is scanned and by however many at once.
  UNIQUE KEY sync_id (sync_id),
  -- The list from any place on, in either direction, by any one of its filters; the columns at the end let the others be
  -- looked up without the row (docs/decisions/0024).
  KEY discovered (discovered_at, id),
  KEY by_status (status, discovered_at, id, sync_type, action, source_host),
  KEY by_type (sync_type, discovered_at, id, status, action, source_host),
  KEY by_action (action, discovered_at, id, status, sync_type, source_host),
  KEY by_host (source_host, discovered_at, id, status, sync_type, action),
  -- The bundles that follow a bundle: a cycle of priors is searched only if there is one.
  KEY by_prior (prior_sync_id),
  -- The undo batches of a batch.
  KEY by_undo (undo_of),
  -- The bundles that upstream replaced, for the list of what needs attention.
  KEY changed (changed_at, id),
  -- The lists by size and by the end of the import.
  KEY by_items (item_count, id),
  KEY by_bytes (total_bytes, id),
  KEY by_completed (completed_at, id),
  -- The batches that need attention, and those that a person has seen.
  KEY by_attention (attention, discovered_at, id, status, sync_type, action, source_host),
  -- The settled batches that are not archived, in the order of their ends.
  KEY archived (archived_at, completed_at, id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

-- The queue. One row for each time a batch was queued.
CREATE TABLE IF NOT EXISTS import_job (
  id              BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  batch_id        BIGINT UNSIGNED NOT NULL,
  -- `held` is queued, but not claimable yet; neither the Perl worker nor our claim takes it.
  state           ENUM('queued', 'running', 'completed', 'failed', 'canceled', 'held')
                  CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'queued',
  -- Lower first.
  priority        INT NOT NULL DEFAULT 100,
  requested_by    VARCHAR(255) NOT NULL,
  queued_at       DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  claimed_at      DATETIME(6) NULL,
  -- host:pid of the worker that holds the claim, or held it last.
  worker          VARCHAR(255) NULL,
  -- Fresh with each claim; whoever cannot show it may not write for this job.
  claim_token     CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NULL,
  attempts        INT UNSIGNED NOT NULL DEFAULT 0,
  heartbeat_at    DATETIME(6) NULL,
  items_done      BIGINT UNSIGNED NOT NULL DEFAULT 0,
  items_total     BIGINT UNSIGNED NOT NULL DEFAULT 0,
  finished_at     DATETIME(6) NULL,
  last_error      TEXT NULL,
  -- Why a held job is not claimable: the job of its prior bundle is active; its bundle or the mount is away; an attempt
  -- failed; an operator holds it. NULL in every other state.
  hold            ENUM('prior', 'bundle', 'backoff', 'operator') CHARACTER SET ascii COLLATE ascii_bin NULL,
  -- The latest reason, kept after the hold ended: a release for the same reason writes no second event.
  hold_reason     VARCHAR(2000) NULL,
  -- The batch whose active job is awaited.
  hold_batch_id   BIGINT UNSIGNED NULL,
  -- When the sweep makes the job claimable again; NULL where only the prior's end or a person does.
  not_before      DATETIME(6) NULL,
  held_at         DATETIME(6) NULL,
  -- How often in a row the job was held by `bundle` or `backoff`: doubles the time until `not_before`.
  hold_count      INT UNSIGNED NOT NULL DEFAULT 0,
  -- The job that this one continues with a new plan, where the worker queued it.
  replaces_job_id BIGINT UNSIGNED NULL,
  active_batch_id BIGINT UNSIGNED GENERATED ALWAYS AS (IF(state IN ('queued', 'running', 'held'), batch_id, NULL)) STORED,
  -- A batch has at most one queued, held or running job: two clicks cannot queue it twice.
  UNIQUE KEY one_active_job_a_batch (active_batch_id),
  -- A claim token is never given twice.
  UNIQUE KEY claim_token (claim_token),
  -- The claim reads this index from its front and locks only the row that it takes.
  KEY claim (state, priority, id),
  -- Stale jobs.
  KEY heartbeat (state, heartbeat_at),
  -- The history of a batch, newest first.
  KEY batch (batch_id, id),
  -- The finished jobs, newest first.
  KEY finished (finished_at, id),
  -- Those of one outcome, newest first; and the job that has been queued longest, since a queued one has no end.
  KEY ended (state, finished_at, id),
  -- The jobs that the end of a batch's job wakes.
  KEY waits_for (hold_batch_id, state),
  -- The held jobs whose time has come, the earliest first.
  KEY due (state, not_before),
  -- The jobs of each kind of hold, by its beginning: those that wait for a person need attention.
  KEY held_since (hold, held_at, batch_id),
  CONSTRAINT import_job_batch FOREIGN KEY (batch_id) REFERENCES ingest_batch (id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

-- One row for each item of a batch: what was planned, and what was done.
CREATE TABLE IF NOT EXISTS ingest_batch_item (
  id          BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  batch_id    BIGINT UNSIGNED NOT NULL,
  position    INT UNSIGNED NOT NULL DEFAULT 0,
  asset_type  ENUM('photo', 'cover', 'video') CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  asset_hash  CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  cover_hash  CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  -- The plan until the item is settled, and then what was done.
  decision    ENUM('will_create', 'will_update', 'will_link', 'will_skip', 'will_fail', 'will_remove', 'created',
                   'updated', 'linked', 'skipped', 'removed', 'failed', 'withdrawn', 'will_unlink', 'unlinked')
              CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  -- What the last preflight had planned; it stays when `decision` goes on.
  planned     ENUM('will_create', 'will_update', 'will_link', 'will_skip', 'will_fail', 'will_remove', 'will_unlink')
              CHARACTER SET ascii COLLATE ascii_bin NULL,
  reason      VARCHAR(2000) NOT NULL DEFAULT '',
  -- field -> [before, after]
  changes     JSON NULL,
  asset_id    BIGINT UNSIGNED NULL,
  cover_id    BIGINT UNSIGNED NULL,
  last_error  TEXT NULL,
  -- The job that settled the item last; NULL while it is only planned.
  job_id      BIGINT UNSIGNED NULL,
  -- What an earlier job did, kept when a preflight plans the item anew; NULL when no job had settled it before.
  earlier        ENUM('created', 'updated', 'linked', 'skipped', 'removed', 'failed', 'unlinked')
                 CHARACTER SET ascii COLLATE ascii_bin NULL,
  earlier_reason VARCHAR(2000) NULL,
  earlier_job_id BIGINT UNSIGNED NULL,
  -- The item's folder on the mount, and in it the derivative to show; NULL where the manifest names none.
  path        VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  picture     VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  -- 1 where a field that has a value ends without one, and where what was done is not what was planned; else NULL.
  empties     TINYINT UNSIGNED NULL,
  differs     TINYINT UNSIGNED NULL,
  -- What an approval binds: the item as the manifest's parser normalises it, and the asset as the preflight found it.
  -- NULL where no preflight of ours planned the item (docs/decisions/0110-plan-approval-result.md).
  item_digest   CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  target_digest CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  updated_at  DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  -- The title that the manifest gives, else that of the library.
  item_title  VARCHAR(255) NULL,
  -- An item is in a batch once.
  UNIQUE KEY item (batch_id, asset_type, asset_hash),
  -- The items of a batch in the manifest's order, and from any place on.
  KEY position (batch_id, position),
  -- The items of one decision in that order.
  KEY decision (batch_id, decision, position),
  -- The few that somebody should look at, in that order.
  KEY empties (batch_id, empties, position),
  KEY differs (batch_id, differs, position),
  -- Which batches touched an asset.
  KEY touched (asset_hash, batch_id),
  CONSTRAINT ingest_batch_item_batch FOREIGN KEY (batch_id) REFERENCES ingest_batch (id),
  CONSTRAINT ingest_batch_item_job FOREIGN KEY (job_id) REFERENCES import_job (id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

-- What happened, in the order in which it happened. Append-only.
CREATE TABLE IF NOT EXISTS ingest_event (
  id         BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  batch_id   BIGINT UNSIGNED NOT NULL,
  event_type VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  payload    JSON NOT NULL,
  -- The user, or host:pid of the worker; empty where the Perl panel wrote the event, which knows no such column.
  actor      VARCHAR(255) NOT NULL DEFAULT '',
  created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  -- The newest events of a batch.
  KEY batch (batch_id, id),
  -- The newest of one kind, however many came after it.
  KEY kind (batch_id, event_type, id),
  CONSTRAINT ingest_event_batch FOREIGN KEY (batch_id) REFERENCES ingest_batch (id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

-- One row for each container of a batch: what was planned, how far its import is, and what was done.
CREATE TABLE IF NOT EXISTS ingest_batch_container (
  id               BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  batch_id         BIGINT UNSIGNED NOT NULL,
  position         INT UNSIGNED NOT NULL DEFAULT 0,
  type             ENUM('gallery', 'collection') CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  container_hash   CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  -- What an approval binds, as in ingest_batch_item; members are bound in their order.
  container_digest CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  target_digest    CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  title            VARCHAR(255) NULL,
  cover_hash       CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  -- The plan until the container is settled, and then what was done.
  decision         ENUM('will_create', 'will_update', 'will_link', 'will_skip', 'will_fail', 'will_remove', 'created',
                        'updated', 'linked', 'skipped', 'removed', 'failed', 'withdrawn', 'will_unlink', 'unlinked')
                   CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  planned          ENUM('will_create', 'will_update', 'will_link', 'will_skip', 'will_fail', 'will_remove', 'will_unlink')
                   CHARACTER SET ascii COLLATE ascii_bin NULL,
  reason           VARCHAR(2000) NOT NULL DEFAULT '',
  -- field -> [before, after]
  changes          JSON NULL,
  -- Distinct members that the manifest lists, and how many of them the job has gone through.
  members          INT UNSIGNED NOT NULL DEFAULT 0,
  members_done     INT UNSIGNED NOT NULL DEFAULT 0,
  -- The first 20 members that the library does not have, and how many there are.
  missing          JSON NULL,
  missing_count    INT UNSIGNED NOT NULL DEFAULT 0,
  target_id        BIGINT UNSIGNED NULL,
  last_error       TEXT NULL,
  -- The job that settled the container last, or is going through its members; NULL while it is only planned.
  job_id           BIGINT UNSIGNED NULL,
  updated_at       DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  -- A container is in a batch once.
  UNIQUE KEY container (batch_id, type, container_hash),
  -- The containers of a batch in the manifest's order.
  KEY position (batch_id, position),
  -- Those of one decision in that order; those that are open end no job.
  KEY decision (batch_id, decision, position),
  -- Which batches touched a container.
  KEY touched (container_hash, batch_id),
  CONSTRAINT ingest_batch_container_batch FOREIGN KEY (batch_id) REFERENCES ingest_batch (id),
  CONSTRAINT ingest_batch_container_job FOREIGN KEY (job_id) REFERENCES import_job (id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

-- The words of titles, container titles, paths and errors of a batch, by which a search finds it. Append-only: a word that
-- a later preflight no longer finds stays.
CREATE TABLE IF NOT EXISTS ingest_batch_word (
  batch_id BIGINT UNSIGNED NOT NULL,
  -- In lower case, without accents where the collation compares so.
  word     VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL,
  -- A batch has a word once.
  PRIMARY KEY (batch_id, word),
  -- The batches with a word, or with one that begins so, the latest last.
  KEY word (word, batch_id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

-- What each job did with each item and container. Append-only, and without foreign keys, so that a row locks no batch
-- and can be archived (docs/decisions/0112-results-are-append-only.md).
CREATE TABLE IF NOT EXISTS ingest_result (
  id            BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  batch_id      BIGINT UNSIGNED NOT NULL,
  job_id        BIGINT UNSIGNED NOT NULL,
  kind          ENUM('photo', 'cover', 'video', 'gallery', 'collection')
                CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  hash          CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  -- The plan that was approved: its decision, and its changes as field -> [before, after].
  planned       ENUM('will_create', 'will_update', 'will_link', 'will_skip', 'will_fail', 'will_remove', 'will_unlink')
                CHARACTER SET ascii COLLATE ascii_bin NULL,
  approved      JSON NULL,
  decision      ENUM('created', 'updated', 'linked', 'skipped', 'removed', 'failed', 'unlinked')
                CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  reason        VARCHAR(2000) NOT NULL DEFAULT '',
  last_error    TEXT NULL,
  -- Every field, mark, source, derivative and document digest that was written: name -> [before, after].
  changes       JSON NULL,
  -- The target after the write: a row of the library with another digest was changed outside of an import.
  target_digest CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  target_id     BIGINT UNSIGNED NULL,
  cover_id      BIGINT UNSIGNED NULL,
  created_at    DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  -- A job settles an item or container once, also when a reply was lost.
  UNIQUE KEY settled_once (job_id, kind, hash),
  -- The history of an asset or container, and its latest result.
  KEY target (kind, hash, id),
  -- The results of a batch, in the order of their commits.
  KEY batch (batch_id, id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

-- The members that came into a container, moved in it, or went. Append-only.
CREATE TABLE IF NOT EXISTS ingest_result_member (
  result_id       BIGINT UNSIGNED NOT NULL,
  asset_id        BIGINT UNSIGNED NOT NULL,
  position        INT UNSIGNED NOT NULL DEFAULT 0,
  -- 1 where the member came or moved, 0 where it went; with `say_only`: whether it is live.
  came            TINYINT UNSIGNED NOT NULL,
  -- Of a member that moved or went: where it was.
  position_before INT UNSIGNED NULL,
  -- 1 where only the say about the member moved.
  say_only        TINYINT UNSIGNED NOT NULL DEFAULT 0,
  -- The say about the member after the write and before it; an undo puts back the latter.
  source_at       DATETIME(6) NULL,
  source_batch_id BIGINT UNSIGNED NULL,
  source_at_before       DATETIME(6) NULL,
  source_batch_id_before BIGINT UNSIGNED NULL,
  -- A result names a member once.
  PRIMARY KEY (result_id, asset_id),
  -- In which containers an asset has been.
  KEY asset (asset_id, result_id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

-- The tombstones of members that a `remove` wrote, each with the say that it replaced: NULL where there was none.
-- Append-only. `asset_hash` is that of the member.
CREATE TABLE IF NOT EXISTS ingest_result_tombstone (
  result_id        BIGINT UNSIGNED NOT NULL,
  asset_hash       CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  source_at        DATETIME(6) NULL,
  batch_id         BIGINT UNSIGNED NULL,
  source_at_before DATETIME(6) NULL,
  batch_id_before  BIGINT UNSIGNED NULL,
  -- A result names a tombstone once.
  PRIMARY KEY (result_id, asset_hash)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

-- Documents that an import replaced, each kept once. Append-only.
CREATE TABLE IF NOT EXISTS ingest_document (
  sha256     CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  document   LONGTEXT NOT NULL,
  created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

-- The say of a `remove` that found no row, for the older bundles that come later. A member's hash is
-- SHA-256("<container_hash> <asset_hash>").
CREATE TABLE IF NOT EXISTS ingest_tombstone (
  kind       ENUM('photo', 'cover', 'video', 'gallery', 'collection', 'gallery_member', 'collection_member')
             CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  hash       CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  source_at  DATETIME(6) NOT NULL,
  batch_id   BIGINT UNSIGNED NOT NULL,
  created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  -- Taken back by an undo; the next removal clears it.
  deleted_at DATETIME(6) NULL,
  -- The latest say alone is kept.
  PRIMARY KEY (kind, hash)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

-- A receipt over all that was recorded of a batch since its receipt before, for each job that has ended. Append-only
-- (docs/decisions/0155-receipts.md).
CREATE TABLE IF NOT EXISTS ingest_receipt (
  -- The place in the chain: 1, 2, 3, ... without a gap.
  id         BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  batch_id   BIGINT UNSIGNED NOT NULL,
  job_id     BIGINT UNSIGNED NOT NULL,
  `lines`    BIGINT UNSIGNED NOT NULL,
  root       CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  -- The root of the batch's receipt before; NULL for its first one.
  previous   CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  sealed_at  DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  -- The last result and the last event of the batch that the receipt covers.
  result_id  BIGINT UNSIGNED NOT NULL DEFAULT 0,
  event_id   BIGINT UNSIGNED NOT NULL DEFAULT 0,
  -- SHA-256 over the head of the receipt before and this root.
  head       CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  -- The first four digits of each line's SHA-256, so that a line that does not fit can be named.
  marks      LONGTEXT CHARACTER SET ascii COLLATE ascii_bin NULL,
  -- The rows of ingest_batch_container that the job settled, as they were: JSON Lines, compressed by zlib.
  containers LONGBLOB NULL,
  -- Of the format, docs/AUDITORS.md: 1 covers no ingest_result_tombstone.
  version    TINYINT UNSIGNED NOT NULL DEFAULT 1,
  -- A job has one receipt.
  UNIQUE KEY job (job_id),
  -- The receipts of a batch in order.
  KEY batch (batch_id, id),
  -- The receipts of a day.
  KEY sealed (sealed_at, id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

-- Which file holds the rows of a batch that were taken out of the database (docs/decisions/0170-archive.md).
CREATE TABLE IF NOT EXISTS ingest_archive (
  id          BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  batch_id    BIGINT UNSIGNED NOT NULL,
  -- The name of the file, without its folder.
  file        VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  -- The first and last receipt, and the last result and event of the batch that it holds.
  first_receipt_id BIGINT UNSIGNED NOT NULL,
  receipt_id  BIGINT UNSIGNED NOT NULL,
  result_id   BIGINT UNSIGNED NOT NULL,
  event_id    BIGINT UNSIGNED NOT NULL,
  items       BIGINT UNSIGNED NOT NULL,
  -- The root over its items.
  root        CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  created_at  DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  -- NULL until all of its rows are deleted.
  emptied_at  DATETIME(6) NULL,
  -- NULL until its rows are brought back.
  restored_at DATETIME(6) NULL,
  -- The archives of a batch, the oldest first.
  KEY batch (batch_id, id),
  -- Those that a killed run left behind.
  KEY unfinished (emptied_at, id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

-- What people are to be told, written with its event and marked when it was sent.
CREATE TABLE IF NOT EXISTS ingest_notice (
  id         BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  batch_id   BIGINT UNSIGNED NOT NULL,
  event_id   BIGINT UNSIGNED NULL,
  kind       VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  -- NULL until every channel of [notify] accepted the message, or what it would tell was over.
  sent_at    DATETIME(6) NULL,
  attempts   INT UNSIGNED NOT NULL DEFAULT 0,
  last_error TEXT NULL,
  -- When mail server and web hook accepted the message; NULL where the channel is not set up, or did not yet.
  mailed_at  DATETIME(6) NULL,
  posted_at  DATETIME(6) NULL,
  -- After a failed attempt: when the next one is due (docs/decisions/0132-notices.md).
  not_before DATETIME(6) NULL,
  -- An event is told once.
  UNIQUE KEY event (event_id),
  -- What is still to be sent, in order.
  KEY unsent (sent_at, id),
  -- Whether a condition, such as a stalled job, was told since a time.
  KEY told (kind, created_at, batch_id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

-- A preflight that is too long for a request, made by a worker. A batch has one row, which the next request overwrites.
CREATE TABLE IF NOT EXISTS preflight_request (
  batch_id       BIGINT UNSIGNED NOT NULL PRIMARY KEY,
  requested_by   VARCHAR(255) NOT NULL,
  requested_at   DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  -- 1 where the batch is to be queued with `priority` if the preflight passes.
  then_queue     TINYINT UNSIGNED NOT NULL DEFAULT 0,
  priority       INT NOT NULL DEFAULT 100,
  although_older TINYINT UNSIGNED NOT NULL DEFAULT 0,
  state          ENUM('queued', 'running', 'completed', 'failed')
                 CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'queued',
  -- The claim, as in import_job.
  worker         VARCHAR(255) NULL,
  claim_token    CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NULL,
  attempts       INT UNSIGNED NOT NULL DEFAULT 0,
  heartbeat_at   DATETIME(6) NULL,
  last_error     TEXT NULL,
  finished_at    DATETIME(6) NULL,
  -- A claim token is never given twice.
  UNIQUE KEY claim_token (claim_token),
  -- The claim takes the oldest request, and locks no other.
  KEY claim (state, requested_at, batch_id),
  CONSTRAINT preflight_request_batch FOREIGN KEY (batch_id) REFERENCES ingest_batch (id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

-- Whether claims are paused: one row with the id 1; no row means that they are not.
CREATE TABLE IF NOT EXISTS queue_control (
  id        TINYINT UNSIGNED NOT NULL DEFAULT 1 PRIMARY KEY,
  paused    TINYINT UNSIGNED NOT NULL DEFAULT 0,
  paused_by VARCHAR(255) NULL,
  reason    VARCHAR(2000) NULL,
  since     DATETIME(6) NULL
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

-- One row for each worker that a host runs at a time; a worker that starts takes the row of one that has ended.
CREATE TABLE IF NOT EXISTS import_worker (
  host       VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  slot       SMALLINT UNSIGNED NOT NULL,
  pid        INT UNSIGNED NOT NULL,
  -- Fresh with each start: only the worker that took the slot last beats in it.
  boot       CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  started_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  seen_at    DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  version    VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  state      ENUM('idle', 'importing', 'preflighting', 'paused', 'blocked')
             CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'idle',
  job_id     BIGINT UNSIGNED NULL,
  -- 0 where the worker cannot read the mount; NULL before its first look.
  mount_ok   TINYINT UNSIGNED NULL,
  -- NULL while it runs, and after it was killed.
  ended_at   DATETIME(6) NULL,
  -- A slot belongs to one worker.
  PRIMARY KEY (host, slot),
  -- The workers that were seen last.
  KEY seen (seen_at)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

-- --------------------------------------------------------------------------------------------- the library

-- One row for each photo, cover or video, whichever bundles brought it. `first_batch_id` and `last_batch_id` have no
-- foreign key: an import would then lock its batch's row for each asset, and batches are never deleted.
CREATE TABLE IF NOT EXISTS asset (
  id               BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  asset_type       ENUM('photo', 'cover', 'video') CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  asset_subtype    VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NULL,
  asset_hash       CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  path             VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  title            VARCHAR(255) NULL,
  mime_type        VARCHAR(255) NULL,
  width            BIGINT UNSIGNED NULL,
  height           BIGINT UNSIGNED NULL,
  bytes            BIGINT UNSIGNED NULL,
  duration_seconds DOUBLE NULL,
  -- SHA-256 of the fields above and of the derivatives: written for other readers, and never compared.
  fingerprint      CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  first_batch_id   BIGINT UNSIGNED NOT NULL DEFAULT 0,
  last_batch_id    BIGINT UNSIGNED NOT NULL DEFAULT 0,
  -- The latest bundle in upstream's order that had a say, also where it changed nothing; where it is not
  -- `last_batch_id`, another program wrote the row, and the order of that batch counts.
  source_at        DATETIME(6) NULL,
  source_batch_id  BIGINT UNSIGNED NULL,
  created_at       DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  updated_at       DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  deleted_at       DATETIME(6) NULL,
  -- Bringing the same asset again finds it instead of making a twin.
  UNIQUE KEY asset (asset_type, asset_hash)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

-- Cold provenance: source/source.json as it came.
CREATE TABLE IF NOT EXISTS asset_source (
  id         BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  asset_id   BIGINT UNSIGNED NOT NULL,
  document   LONGTEXT NOT NULL,
  sha256     CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  updated_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  -- Taken back by an undo; the next import of a source clears it.
  deleted_at DATETIME(6) NULL,
  -- An asset has one source document.
  UNIQUE KEY asset (asset_id),
  CONSTRAINT asset_source_asset FOREIGN KEY (asset_id) REFERENCES asset (id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

-- The analysis documents. A new version of a document is a new row; an old one stays.
CREATE TABLE IF NOT EXISTS asset_ai_run (
  id             BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  asset_id       BIGINT UNSIGNED NOT NULL,
  -- manifest, analysis, meaning, family, or source_data:<file>.
  analysis_kind  VARCHAR(300) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  source_file    VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  -- NULL for a file that is not JSON; `parse_error` then says why.
  document       LONGTEXT NULL,
  parse_error    VARCHAR(2000) NULL,
  content_sha256 CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  created_at     DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  -- Taken back by an undo; an import of the same document clears it.
  deleted_at     DATETIME(6) NULL,
  -- The same document of the same kind is kept once.
  UNIQUE KEY run (asset_id, analysis_kind, content_sha256),
  CONSTRAINT asset_ai_run_asset FOREIGN KEY (asset_id) REFERENCES asset (id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

-- Which cover belongs to which asset.
CREATE TABLE IF NOT EXISTS asset_cover (
  id         BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  asset_id   BIGINT UNSIGNED NOT NULL,
  cover_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  deleted_at DATETIME(6) NULL,
  -- A cover is linked to an asset once.
  UNIQUE KEY cover (asset_id, cover_hash),
  -- The assets that show a cover.
  KEY shown_by (cover_hash, asset_id),
  CONSTRAINT asset_cover_asset FOREIGN KEY (asset_id) REFERENCES asset (id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

-- The files made from an asset, less frosted, blurred and vivid_blurred.
CREATE TABLE IF NOT EXISTS asset_derivative (
  id         BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  asset_id   BIGINT UNSIGNED NOT NULL,
  kind       VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  -- Relative to the asset's folder.
  path       VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  bytes      BIGINT UNSIGNED NULL,
  sha256     CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  mime_type  VARCHAR(255) NULL,
  width      BIGINT UNSIGNED NULL,
  height     BIGINT UNSIGNED NULL,
  -- The latest bundle in upstream's order that named the file; NULL: that of the asset.
  source_at       DATETIME(6) NULL,
  source_batch_id BIGINT UNSIGNED NULL,
  -- When the file on the mount was last compared with the row, and what was compared.
  checked_at      DATETIME(6) NULL,
  checked_how     ENUM('size', 'sha256') CHARACTER SET ascii COLLATE ascii_bin NULL,
  created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  updated_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  deleted_at DATETIME(6) NULL,
  -- A file of a kind belongs to an asset once.
  UNIQUE KEY derivative (asset_id, kind, path),
  CONSTRAINT asset_derivative_asset FOREIGN KEY (asset_id) REFERENCES asset (id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

CREATE TABLE IF NOT EXISTS asset_gallery (
  id             BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  gallery_hash   CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  title          VARCHAR(255) NULL,
  cover_hash     CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  first_batch_id BIGINT UNSIGNED NOT NULL DEFAULT 0,
  last_batch_id  BIGINT UNSIGNED NOT NULL DEFAULT 0,
  -- As in asset.
  source_at      DATETIME(6) NULL,
  source_batch_id BIGINT UNSIGNED NULL,
  created_at     DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  updated_at     DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  deleted_at     DATETIME(6) NULL,
  -- A gallery is one row, whichever bundles fill it.
  UNIQUE KEY gallery (gallery_hash),
  -- The galleries that show a cover.
  KEY shown_by (cover_hash)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

CREATE TABLE IF NOT EXISTS asset_gallery_item (
  id         BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  gallery_id BIGINT UNSIGNED NOT NULL,
  asset_id   BIGINT UNSIGNED NOT NULL,
  position   INT UNSIGNED NOT NULL DEFAULT 0,
  -- The latest bundle in upstream's order that named the member; NULL: that of the gallery.
  source_at  DATETIME(6) NULL,
  source_batch_id BIGINT UNSIGNED NULL,
  created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  deleted_at DATETIME(6) NULL,
  -- An asset is in a gallery once.
  UNIQUE KEY membership (gallery_id, asset_id),
  -- The members in order.
  KEY position (gallery_id, position),
  CONSTRAINT asset_gallery_item_gallery FOREIGN KEY (gallery_id) REFERENCES asset_gallery (id),
  CONSTRAINT asset_gallery_item_asset FOREIGN KEY (asset_id) REFERENCES asset (id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

CREATE TABLE IF NOT EXISTS asset_collection (
  id              BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  collection_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  title           VARCHAR(255) NULL,
  cover_hash      CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  first_batch_id  BIGINT UNSIGNED NOT NULL DEFAULT 0,
  last_batch_id   BIGINT UNSIGNED NOT NULL DEFAULT 0,
  -- As in asset.
  source_at       DATETIME(6) NULL,
  source_batch_id  BIGINT UNSIGNED NULL,
  created_at      DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  updated_at      DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  deleted_at      DATETIME(6) NULL,
  -- A collection is one row, whichever bundles fill it.
  UNIQUE KEY collection (collection_hash),
  -- The collections that show a cover.
  KEY shown_by (cover_hash)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

CREATE TABLE IF NOT EXISTS asset_collection_item (
  id            BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  collection_id BIGINT UNSIGNED NOT NULL,
  asset_id      BIGINT UNSIGNED NOT NULL,
  position      INT UNSIGNED NOT NULL DEFAULT 0,
  -- The latest bundle in upstream's order that named the member; NULL: that of the collection.
  source_at     DATETIME(6) NULL,
  source_batch_id BIGINT UNSIGNED NULL,
  created_at    DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  deleted_at    DATETIME(6) NULL,
  -- An asset is in a collection once.
  UNIQUE KEY membership (collection_id, asset_id),
  -- The members in order.
  KEY position (collection_id, position),
  CONSTRAINT asset_collection_item_collection FOREIGN KEY (collection_id) REFERENCES asset_collection (id),
  CONSTRAINT asset_collection_item_asset FOREIGN KEY (asset_id) REFERENCES asset (id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;
