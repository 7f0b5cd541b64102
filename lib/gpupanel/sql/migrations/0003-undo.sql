-- To 0003: results have every say that an undo puts back. Every statement may run again.

ALTER TABLE IF EXISTS ingest_result_member
  ADD COLUMN IF NOT EXISTS say_only TINYINT UNSIGNED NOT NULL DEFAULT 0 AFTER position_before,
  ADD COLUMN IF NOT EXISTS source_at DATETIME(6) NULL AFTER say_only,
  ADD COLUMN IF NOT EXISTS source_batch_id BIGINT UNSIGNED NULL AFTER source_at,
  ADD COLUMN IF NOT EXISTS source_at_before DATETIME(6) NULL AFTER source_batch_id,
  ADD COLUMN IF NOT EXISTS source_batch_id_before BIGINT UNSIGNED NULL AFTER source_at_before;

ALTER TABLE IF EXISTS ingest_tombstone
  ADD COLUMN IF NOT EXISTS deleted_at DATETIME(6) NULL AFTER created_at;

ALTER TABLE IF EXISTS asset_source
  ADD COLUMN IF NOT EXISTS deleted_at DATETIME(6) NULL AFTER updated_at;

CREATE TABLE IF NOT EXISTS ingest_result_tombstone (
  result_id        BIGINT UNSIGNED NOT NULL,
  asset_hash       CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  source_at        DATETIME(6) NULL,
  batch_id         BIGINT UNSIGNED NULL,
  source_at_before DATETIME(6) NULL,
  batch_id_before  BIGINT UNSIGNED NULL,
  PRIMARY KEY (result_id, asset_hash)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;
