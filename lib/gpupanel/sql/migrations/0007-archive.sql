-- Archives: which batches and files, for an account of its own.

ALTER TABLE IF EXISTS ingest_batch
  ADD COLUMN IF NOT EXISTS archived_at DATETIME(6) NULL AFTER seen_at,
  ADD INDEX IF NOT EXISTS archived (archived_at, completed_at, id);

CREATE TABLE IF NOT EXISTS ingest_archive (
  id          BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  batch_id    BIGINT UNSIGNED NOT NULL,
  file        VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  first_receipt_id BIGINT UNSIGNED NOT NULL,
  receipt_id  BIGINT UNSIGNED NOT NULL,
  result_id   BIGINT UNSIGNED NOT NULL,
  event_id    BIGINT UNSIGNED NOT NULL,
  items       BIGINT UNSIGNED NOT NULL,
  root        CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  created_at  DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  emptied_at  DATETIME(6) NULL,
  restored_at DATETIME(6) NULL,
  KEY batch (batch_id, id),
  KEY unfinished (emptied_at, id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;
