-- Attention, the names that a scan knows, and lists by size and end. Every statement may run again.

ALTER TABLE IF EXISTS ingest_batch
  ADD COLUMN IF NOT EXISTS scan_title VARCHAR(255) NULL AFTER seen_at,
  ADD COLUMN IF NOT EXISTS scan_container VARCHAR(255) NULL AFTER scan_title,
  ADD COLUMN IF NOT EXISTS scan_path VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL AFTER scan_container,
  ADD COLUMN IF NOT EXISTS scan_picture VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL AFTER scan_path,
  ADD COLUMN IF NOT EXISTS attention TINYINT UNSIGNED GENERATED ALWAYS AS (
    IF(status IN ('partial', 'failed', 'preflight_failed') OR changed_at IS NOT NULL,
       IF(seen_at IS NULL
          OR seen_at < COALESCE(completed_at, started_at, discovered_at)
          OR seen_at < COALESCE(changed_at, seen_at), 1, 2),
       NULL)) STORED AFTER updated_at,
  ADD INDEX IF NOT EXISTS by_items (item_count, id),
  ADD INDEX IF NOT EXISTS by_bytes (total_bytes, id),
  ADD INDEX IF NOT EXISTS by_completed (completed_at, id),
  ADD INDEX IF NOT EXISTS by_attention (attention, discovered_at, id, status, sync_type, action, source_host);

ALTER TABLE IF EXISTS import_job
  ADD INDEX IF NOT EXISTS held_since (hold, held_at, batch_id);
