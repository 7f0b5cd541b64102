-- Which channel sent a notice, and when the next attempt is due. Every statement may run again.

ALTER TABLE IF EXISTS ingest_notice
  ADD COLUMN IF NOT EXISTS mailed_at DATETIME(6) NULL AFTER last_error,
  ADD COLUMN IF NOT EXISTS posted_at DATETIME(6) NULL AFTER mailed_at,
  ADD COLUMN IF NOT EXISTS not_before DATETIME(6) NULL AFTER posted_at,
  ADD INDEX IF NOT EXISTS told (kind, created_at, batch_id);
