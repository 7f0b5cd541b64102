-- The tables of Import Media. `bin/gpupanel init-db` runs this file; running it again completes what is missing
-- and changes nothing that is there. Times are UTC. Nothing is ever deleted: see `deleted_at` and `withdrawn`.

-- ---------------------------------------------------------------------------------------------- the ledger

-- One row for each bundle that a scan has seen, whatever became of it.
CREATE TABLE IF NOT EXISTS ingest_batch (
  id               BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  sync_id          CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  -- These five come from the manifest, and are NULL while none could be read.
  sync_type        VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NULL,
  action           ENUM('create', 'update', 'remove') CHARACTER SET ascii COLLATE ascii_bin NULL,
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
  discovered_at    DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  started_at       DATETIME(6) NULL,
  completed_at     DATETIME(6) NULL,
  updated_at       DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  -- A bundle is one batch, however often it is scanned and by however many at once.
  UNIQUE KEY sync_id (sync_id),
  -- The list from any place on, in either direction, by any one of its filters; the columns at the end let the others be
  -- looked up without the row (docs/decisions/0024).
  KEY discovered (discovered_at, id),
  KEY by_status (status, discovered_at, id, sync_type, action, source_host),
  KEY by_type (sync_type, discovered_at, id, status, action, source_host),
  KEY by_action (action, discovered_at, id, status, sync_type, source_host),
  KEY by_host (source_host, discovered_at, id, status, sync_type, action)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

-- The queue. One row for each time a batch was queued.
CREATE TABLE IF NOT EXISTS import_job (
  id              BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  batch_id        BIGINT UNSIGNED NOT NULL,
  state           ENUM('queued', 'running', 'completed', 'failed', 'canceled')
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
  active_batch_id BIGINT UNSIGNED GENERATED ALWAYS AS (IF(state IN ('queued', 'running'), batch_id, NULL)) STORED,
  -- A batch has at most one queued or running job: two clicks cannot queue it twice.
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
  CONSTRAINT import_job_batch FOREIGN KEY (batch_id) REFERENCES ingest_batch (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

-- One row for each item of a batch: what was planned, and what was done.
CREATE TABLE IF NOT EXISTS ingest_batch_item (
  id          BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  batch_id    BIGINT UNSIGNED NOT NULL,
  position    INT UNSIGNED NOT NULL,
  asset_type  ENUM('photo', 'cover', 'video') CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  asset_hash  CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  cover_hash  CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  -- The plan until the item is settled, and then what was done.
  decision    ENUM('will_create', 'will_update', 'will_link', 'will_skip', 'will_fail', 'will_remove', 'created',
                   'updated', 'linked', 'skipped', 'removed', 'failed', 'withdrawn')
              CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  -- What the last preflight had planned; it stays when `decision` goes on.
  planned     ENUM('will_create', 'will_update', 'will_link', 'will_skip', 'will_fail', 'will_remove')
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
  earlier        ENUM('created', 'updated', 'linked', 'skipped', 'removed', 'failed')
                 CHARACTER SET ascii COLLATE ascii_bin NULL,
  earlier_reason VARCHAR(2000) NULL,
  earlier_job_id BIGINT UNSIGNED NULL,
  -- The item's folder on the mount, and in it the derivative to show; NULL where the manifest names none.
  path        VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  picture     VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  -- 1 where a field that has a value ends without one, and where what was done is not what was planned; else NULL.
  empties     TINYINT UNSIGNED NULL,
  differs     TINYINT UNSIGNED NULL,
  updated_at  DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
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
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

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
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

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
  -- SHA-256 of the fields above and of the derivatives: equal fingerprints mean that there is nothing to update.
  fingerprint      CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  first_batch_id   BIGINT UNSIGNED NOT NULL,
  last_batch_id    BIGINT UNSIGNED NOT NULL,
  created_at       DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  updated_at       DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  deleted_at       DATETIME(6) NULL,
  -- Bringing the same asset again finds it instead of making a twin.
  UNIQUE KEY asset (asset_type, asset_hash)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

-- Cold provenance: source/source.json as it came.
CREATE TABLE IF NOT EXISTS asset_source (
  id         BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  asset_id   BIGINT UNSIGNED NOT NULL,
  document   LONGTEXT NOT NULL,
  sha256     CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  updated_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  -- An asset has one source document.
  UNIQUE KEY asset (asset_id),
  CONSTRAINT asset_source_asset FOREIGN KEY (asset_id) REFERENCES asset (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

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
  -- The same document of the same kind is kept once.
  UNIQUE KEY run (asset_id, analysis_kind, content_sha256),
  CONSTRAINT asset_ai_run_asset FOREIGN KEY (asset_id) REFERENCES asset (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

-- Which cover belongs to which asset.
CREATE TABLE IF NOT EXISTS asset_cover (
  id         BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  asset_id   BIGINT UNSIGNED NOT NULL,
  cover_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  deleted_at DATETIME(6) NULL,
  -- A cover is linked to an asset once.
  UNIQUE KEY cover (asset_id, cover_hash),
  CONSTRAINT asset_cover_asset FOREIGN KEY (asset_id) REFERENCES asset (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

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
  created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  updated_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  deleted_at DATETIME(6) NULL,
  -- A file of a kind belongs to an asset once.
  UNIQUE KEY derivative (asset_id, kind, path),
  CONSTRAINT asset_derivative_asset FOREIGN KEY (asset_id) REFERENCES asset (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

CREATE TABLE IF NOT EXISTS asset_gallery (
  id             BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  gallery_hash   CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  title          VARCHAR(255) NULL,
  cover_hash     CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  first_batch_id BIGINT UNSIGNED NOT NULL,
  last_batch_id  BIGINT UNSIGNED NOT NULL,
  created_at     DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  updated_at     DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  deleted_at     DATETIME(6) NULL,
  -- A gallery is one row, whichever bundles fill it.
  UNIQUE KEY gallery (gallery_hash)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

CREATE TABLE IF NOT EXISTS asset_gallery_item (
  id         BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  gallery_id BIGINT UNSIGNED NOT NULL,
  asset_id   BIGINT UNSIGNED NOT NULL,
  position   INT UNSIGNED NOT NULL,
  created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  deleted_at DATETIME(6) NULL,
  -- An asset is in a gallery once.
  UNIQUE KEY membership (gallery_id, asset_id),
  -- The members in order.
  KEY position (gallery_id, position),
  CONSTRAINT asset_gallery_item_gallery FOREIGN KEY (gallery_id) REFERENCES asset_gallery (id),
  CONSTRAINT asset_gallery_item_asset FOREIGN KEY (asset_id) REFERENCES asset (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

CREATE TABLE IF NOT EXISTS asset_collection (
  id              BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  collection_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  title           VARCHAR(255) NULL,
  cover_hash      CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  first_batch_id  BIGINT UNSIGNED NOT NULL,
  last_batch_id   BIGINT UNSIGNED NOT NULL,
  created_at      DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  updated_at      DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  deleted_at      DATETIME(6) NULL,
  -- A collection is one row, whichever bundles fill it.
  UNIQUE KEY collection (collection_hash)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

CREATE TABLE IF NOT EXISTS asset_collection_item (
  id            BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  collection_id BIGINT UNSIGNED NOT NULL,
  asset_id      BIGINT UNSIGNED NOT NULL,
  position      INT UNSIGNED NOT NULL,
  created_at    DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  deleted_at    DATETIME(6) NULL,
  -- An asset is in a collection once.
  UNIQUE KEY membership (collection_id, asset_id),
  -- The members in order.
  KEY position (collection_id, position),
  CONSTRAINT asset_collection_item_collection FOREIGN KEY (collection_id) REFERENCES asset_collection (id),
  CONSTRAINT asset_collection_item_asset FOREIGN KEY (asset_id) REFERENCES asset (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;
