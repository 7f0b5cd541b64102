-- From 0.1.0: upstream's order, results, containers, holds, workers. Every statement may run again.

ALTER TABLE IF EXISTS ingest_batch
  MODIFY COLUMN action ENUM('create', 'update', 'remove', 'undo') CHARACTER SET ascii COLLATE ascii_bin NULL,
  ADD COLUMN IF NOT EXISTS prior_sync_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL AFTER last_error,
  ADD COLUMN IF NOT EXISTS source_at DATETIME(6) NULL AFTER prior_sync_id,
  ADD COLUMN IF NOT EXISTS although_older TINYINT UNSIGNED NOT NULL DEFAULT 0 AFTER source_at,
  ADD COLUMN IF NOT EXISTS undo_of BIGINT UNSIGNED NULL AFTER although_older,
  ADD COLUMN IF NOT EXISTS skipped_state VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NULL AFTER undo_of,
  ADD COLUMN IF NOT EXISTS changed_at DATETIME(6) NULL AFTER skipped_state,
  ADD COLUMN IF NOT EXISTS changed_sha256 CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL AFTER changed_at,
  ADD COLUMN IF NOT EXISTS imported_at DATETIME(6) NULL AFTER changed_sha256,
  ADD COLUMN IF NOT EXISTS imported_job_id BIGINT UNSIGNED NULL AFTER imported_at,
  ADD COLUMN IF NOT EXISTS imported_sha256 CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL AFTER imported_job_id,
  ADD COLUMN IF NOT EXISTS seen_by VARCHAR(255) NULL AFTER imported_sha256,
  ADD COLUMN IF NOT EXISTS seen_at DATETIME(6) NULL AFTER seen_by,
  ADD INDEX IF NOT EXISTS by_prior (prior_sync_id),
  ADD INDEX IF NOT EXISTS by_undo (undo_of),
  ADD INDEX IF NOT EXISTS changed (changed_at, id),
  ROW_FORMAT = DYNAMIC, DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

ALTER TABLE IF EXISTS import_job
  MODIFY COLUMN state ENUM('queued', 'running', 'completed', 'failed', 'canceled', 'held')
         CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'queued',
  ADD COLUMN IF NOT EXISTS hold ENUM('prior', 'bundle', 'backoff', 'operator') CHARACTER SET ascii COLLATE ascii_bin NULL AFTER last_error,
  ADD COLUMN IF NOT EXISTS hold_reason VARCHAR(2000) NULL AFTER hold,
  ADD COLUMN IF NOT EXISTS hold_batch_id BIGINT UNSIGNED NULL AFTER hold_reason,
  ADD COLUMN IF NOT EXISTS not_before DATETIME(6) NULL AFTER hold_batch_id,
  ADD COLUMN IF NOT EXISTS held_at DATETIME(6) NULL AFTER not_before,
  ADD COLUMN IF NOT EXISTS hold_count INT UNSIGNED NOT NULL DEFAULT 0 AFTER held_at,
  ADD COLUMN IF NOT EXISTS replaces_job_id BIGINT UNSIGNED NULL AFTER hold_count,
  MODIFY COLUMN active_batch_id BIGINT UNSIGNED
         GENERATED ALWAYS AS (IF(state IN ('queued', 'running', 'held'), batch_id, NULL)) STORED AFTER replaces_job_id,
  ADD INDEX IF NOT EXISTS waits_for (hold_batch_id, state),
  ADD INDEX IF NOT EXISTS due (state, not_before),
  ROW_FORMAT = DYNAMIC, DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

ALTER TABLE IF EXISTS ingest_batch_item
  MODIFY COLUMN position INT UNSIGNED NOT NULL DEFAULT 0,
  MODIFY COLUMN decision ENUM('will_create', 'will_update', 'will_link', 'will_skip', 'will_fail', 'will_remove', 'created',
                              'updated', 'linked', 'skipped', 'removed', 'failed', 'withdrawn', 'will_unlink', 'unlinked')
         CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  MODIFY COLUMN planned ENUM('will_create', 'will_update', 'will_link', 'will_skip', 'will_fail', 'will_remove', 'will_unlink')
         CHARACTER SET ascii COLLATE ascii_bin NULL,
  MODIFY COLUMN earlier ENUM('created', 'updated', 'linked', 'skipped', 'removed', 'failed', 'unlinked')
         CHARACTER SET ascii COLLATE ascii_bin NULL,
  ADD COLUMN IF NOT EXISTS item_digest CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL AFTER differs,
  ADD COLUMN IF NOT EXISTS target_digest CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL AFTER item_digest,
  ADD COLUMN IF NOT EXISTS item_title VARCHAR(255) NULL AFTER updated_at,
  ROW_FORMAT = DYNAMIC, DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

ALTER TABLE IF EXISTS ingest_event
  ROW_FORMAT = DYNAMIC, DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

ALTER TABLE IF EXISTS asset
  MODIFY COLUMN fingerprint CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  MODIFY COLUMN first_batch_id BIGINT UNSIGNED NOT NULL DEFAULT 0,
  MODIFY COLUMN last_batch_id BIGINT UNSIGNED NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS source_at DATETIME(6) NULL AFTER last_batch_id,
  ADD COLUMN IF NOT EXISTS source_batch_id BIGINT UNSIGNED NULL AFTER source_at,
  ROW_FORMAT = DYNAMIC, DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

ALTER TABLE IF EXISTS asset_source
  ROW_FORMAT = DYNAMIC, DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

ALTER TABLE IF EXISTS asset_ai_run
  ADD COLUMN IF NOT EXISTS deleted_at DATETIME(6) NULL AFTER created_at,
  ROW_FORMAT = DYNAMIC, DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

ALTER TABLE IF EXISTS asset_cover
  ROW_FORMAT = DYNAMIC, DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

ALTER TABLE IF EXISTS asset_derivative
  ADD COLUMN IF NOT EXISTS source_at DATETIME(6) NULL AFTER height,
  ADD COLUMN IF NOT EXISTS source_batch_id BIGINT UNSIGNED NULL AFTER source_at,
  ADD COLUMN IF NOT EXISTS checked_at DATETIME(6) NULL AFTER source_batch_id,
  ADD COLUMN IF NOT EXISTS checked_how ENUM('size', 'sha256') CHARACTER SET ascii COLLATE ascii_bin NULL AFTER checked_at,
  ROW_FORMAT = DYNAMIC, DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

ALTER TABLE IF EXISTS asset_gallery
  MODIFY COLUMN first_batch_id BIGINT UNSIGNED NOT NULL DEFAULT 0,
  MODIFY COLUMN last_batch_id BIGINT UNSIGNED NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS source_at DATETIME(6) NULL AFTER last_batch_id,
  ADD COLUMN IF NOT EXISTS source_batch_id BIGINT UNSIGNED NULL AFTER source_at,
  ROW_FORMAT = DYNAMIC, DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

ALTER TABLE IF EXISTS asset_gallery_item
  MODIFY COLUMN position INT UNSIGNED NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS source_at DATETIME(6) NULL AFTER position,
  ADD COLUMN IF NOT EXISTS source_batch_id BIGINT UNSIGNED NULL AFTER source_at,
  ROW_FORMAT = DYNAMIC, DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

ALTER TABLE IF EXISTS asset_collection
  MODIFY COLUMN first_batch_id BIGINT UNSIGNED NOT NULL DEFAULT 0,
  MODIFY COLUMN last_batch_id BIGINT UNSIGNED NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS source_at DATETIME(6) NULL AFTER last_batch_id,
  ADD COLUMN IF NOT EXISTS source_batch_id BIGINT UNSIGNED NULL AFTER source_at,
  ROW_FORMAT = DYNAMIC, DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

ALTER TABLE IF EXISTS asset_collection_item
  MODIFY COLUMN position INT UNSIGNED NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS source_at DATETIME(6) NULL AFTER position,
  ADD COLUMN IF NOT EXISTS source_batch_id BIGINT UNSIGNED NULL AFTER source_at,
  ROW_FORMAT = DYNAMIC, DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

CREATE TABLE IF NOT EXISTS ingest_batch_container (
  id               BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  batch_id         BIGINT UNSIGNED NOT NULL,
  position         INT UNSIGNED NOT NULL DEFAULT 0,
  type             ENUM('gallery', 'collection') CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  container_hash   CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  container_digest CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  target_digest    CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  title            VARCHAR(255) NULL,
  cover_hash       CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  decision         ENUM('will_create', 'will_update', 'will_link', 'will_skip', 'will_fail', 'will_remove', 'created',
                        'updated', 'linked', 'skipped', 'removed', 'failed', 'withdrawn', 'will_unlink', 'unlinked')
                   CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  planned          ENUM('will_create', 'will_update', 'will_link', 'will_skip', 'will_fail', 'will_remove', 'will_unlink')
                   CHARACTER SET ascii COLLATE ascii_bin NULL,
  reason           VARCHAR(2000) NOT NULL DEFAULT '',
  changes          JSON NULL,
  members          INT UNSIGNED NOT NULL DEFAULT 0,
  members_done     INT UNSIGNED NOT NULL DEFAULT 0,
  missing          JSON NULL,
  missing_count    INT UNSIGNED NOT NULL DEFAULT 0,
  target_id        BIGINT UNSIGNED NULL,
  last_error       TEXT NULL,
  job_id           BIGINT UNSIGNED NULL,
  updated_at       DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  UNIQUE KEY container (batch_id, type, container_hash),
  KEY position (batch_id, position),
  KEY decision (batch_id, decision, position),
  KEY touched (container_hash, batch_id),
  CONSTRAINT ingest_batch_container_batch FOREIGN KEY (batch_id) REFERENCES ingest_batch (id),
  CONSTRAINT ingest_batch_container_job FOREIGN KEY (job_id) REFERENCES import_job (id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

CREATE TABLE IF NOT EXISTS ingest_batch_word (
  batch_id BIGINT UNSIGNED NOT NULL,
  word     VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL,
  PRIMARY KEY (batch_id, word),
  KEY word (word, batch_id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

CREATE TABLE IF NOT EXISTS ingest_result (
  id            BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  batch_id      BIGINT UNSIGNED NOT NULL,
  job_id        BIGINT UNSIGNED NOT NULL,
  kind          ENUM('photo', 'cover', 'video', 'gallery', 'collection')
                CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  hash          CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  planned       ENUM('will_create', 'will_update', 'will_link', 'will_skip', 'will_fail', 'will_remove', 'will_unlink')
                CHARACTER SET ascii COLLATE ascii_bin NULL,
  approved      JSON NULL,
  decision      ENUM('created', 'updated', 'linked', 'skipped', 'removed', 'failed', 'unlinked')
                CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  reason        VARCHAR(2000) NOT NULL DEFAULT '',
  last_error    TEXT NULL,
  changes       JSON NULL,
  target_digest CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  target_id     BIGINT UNSIGNED NULL,
  cover_id      BIGINT UNSIGNED NULL,
  created_at    DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  UNIQUE KEY settled_once (job_id, kind, hash),
  KEY target (kind, hash, id),
  KEY batch (batch_id, id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

CREATE TABLE IF NOT EXISTS ingest_result_member (
  result_id       BIGINT UNSIGNED NOT NULL,
  asset_id        BIGINT UNSIGNED NOT NULL,
  position        INT UNSIGNED NOT NULL DEFAULT 0,
  came            TINYINT UNSIGNED NOT NULL,
  position_before INT UNSIGNED NULL,
  PRIMARY KEY (result_id, asset_id),
  KEY asset (asset_id, result_id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

CREATE TABLE IF NOT EXISTS ingest_document (
  sha256     CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  document   LONGTEXT NOT NULL,
  created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

CREATE TABLE IF NOT EXISTS ingest_tombstone (
  kind       ENUM('photo', 'cover', 'video', 'gallery', 'collection', 'gallery_member', 'collection_member')
             CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  hash       CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  source_at  DATETIME(6) NOT NULL,
  batch_id   BIGINT UNSIGNED NOT NULL,
  created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (kind, hash)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

CREATE TABLE IF NOT EXISTS ingest_receipt (
  id        BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  batch_id  BIGINT UNSIGNED NOT NULL,
  job_id    BIGINT UNSIGNED NOT NULL,
  `lines`   BIGINT UNSIGNED NOT NULL,
  root      CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  previous  CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  sealed_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  UNIQUE KEY job (job_id),
  KEY batch (batch_id, id),
  KEY sealed (sealed_at, id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

CREATE TABLE IF NOT EXISTS ingest_notice (
  id         BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  batch_id   BIGINT UNSIGNED NOT NULL,
  event_id   BIGINT UNSIGNED NULL,
  kind       VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  sent_at    DATETIME(6) NULL,
  attempts   INT UNSIGNED NOT NULL DEFAULT 0,
  last_error TEXT NULL,
  UNIQUE KEY event (event_id),
  KEY unsent (sent_at, id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

CREATE TABLE IF NOT EXISTS preflight_request (
  batch_id       BIGINT UNSIGNED NOT NULL PRIMARY KEY,
  requested_by   VARCHAR(255) NOT NULL,
  requested_at   DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  then_queue     TINYINT UNSIGNED NOT NULL DEFAULT 0,
  priority       INT NOT NULL DEFAULT 100,
  although_older TINYINT UNSIGNED NOT NULL DEFAULT 0,
  state          ENUM('queued', 'running', 'completed', 'failed')
                 CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'queued',
  worker         VARCHAR(255) NULL,
  claim_token    CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NULL,
  attempts       INT UNSIGNED NOT NULL DEFAULT 0,
  heartbeat_at   DATETIME(6) NULL,
  last_error     TEXT NULL,
  finished_at    DATETIME(6) NULL,
  UNIQUE KEY claim_token (claim_token),
  KEY claim (state, requested_at, batch_id),
  CONSTRAINT preflight_request_batch FOREIGN KEY (batch_id) REFERENCES ingest_batch (id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

CREATE TABLE IF NOT EXISTS queue_control (
  id        TINYINT UNSIGNED NOT NULL DEFAULT 1 PRIMARY KEY,
  paused    TINYINT UNSIGNED NOT NULL DEFAULT 0,
  paused_by VARCHAR(255) NULL,
  reason    VARCHAR(2000) NULL,
  since     DATETIME(6) NULL
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

CREATE TABLE IF NOT EXISTS import_worker (
  host       VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  slot       SMALLINT UNSIGNED NOT NULL,
  pid        INT UNSIGNED NOT NULL,
  boot       CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  started_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  seen_at    DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  version    VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  state      ENUM('idle', 'importing', 'preflighting', 'paused', 'blocked')
             CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'idle',
  job_id     BIGINT UNSIGNED NULL,
  mount_ok   TINYINT UNSIGNED NULL,
  ended_at   DATETIME(6) NULL,
  PRIMARY KEY (host, slot),
  KEY seen (seen_at)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

-- What 0.1.0 and Perl recorded of priors and imports, in the new columns; `updated_at` stays as it is.
UPDATE ingest_batch
SET prior_sync_id = JSON_VALUE(manifest_summary, '$.prior_sync_id'), updated_at = updated_at
WHERE prior_sync_id IS NULL
  AND JSON_VALUE(manifest_summary, '$.prior_sync_id') REGEXP '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$';

UPDATE ingest_batch b
JOIN (SELECT batch_id, MAX(id) AS job_id FROM import_job WHERE state = 'completed' GROUP BY batch_id) latest
  ON latest.batch_id = b.id
JOIN import_job j ON j.id = latest.job_id
SET b.imported_at = COALESCE(j.finished_at, j.queued_at), b.imported_job_id = j.id,
    b.imported_sha256 = (SELECT LEFT(JSON_VALUE(e.payload, '$.manifest_sha256'), 64) FROM ingest_event e
                         WHERE e.batch_id = b.id AND e.event_type = 'job_finished' AND JSON_VALUE(e.payload, '$.job_id') = j.id
                         ORDER BY e.id DESC LIMIT 1),
    b.updated_at = b.updated_at
WHERE b.imported_at IS NULL;
