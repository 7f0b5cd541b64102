-- What shows a cover is found by its hash, and receipts have a version: from 2 on they cover the tombstones of members.

ALTER TABLE IF EXISTS asset_cover ADD INDEX IF NOT EXISTS shown_by (cover_hash, asset_id);

ALTER TABLE IF EXISTS asset_gallery ADD INDEX IF NOT EXISTS shown_by (cover_hash);

ALTER TABLE IF EXISTS asset_collection ADD INDEX IF NOT EXISTS shown_by (cover_hash);

ALTER TABLE IF EXISTS ingest_receipt
  ADD COLUMN IF NOT EXISTS version TINYINT UNSIGNED NOT NULL DEFAULT 1 AFTER containers;
