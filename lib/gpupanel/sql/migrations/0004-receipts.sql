-- What a receipt covers, its place in the chain of receipts, and what names the line that does not fit.

ALTER TABLE IF EXISTS ingest_receipt
  ADD COLUMN IF NOT EXISTS result_id  BIGINT UNSIGNED NOT NULL DEFAULT 0 AFTER sealed_at,
  ADD COLUMN IF NOT EXISTS event_id   BIGINT UNSIGNED NOT NULL DEFAULT 0 AFTER result_id,
  ADD COLUMN IF NOT EXISTS head       CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '' AFTER event_id,
  ADD COLUMN IF NOT EXISTS marks      LONGTEXT CHARACTER SET ascii COLLATE ascii_bin NULL AFTER head,
  ADD COLUMN IF NOT EXISTS containers LONGBLOB NULL AFTER marks;
