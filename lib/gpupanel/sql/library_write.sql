-- name: hold
-- Lock those of these assets that exist, in the order of the index, until the transaction ends.
SELECT asset_hash FROM asset FORCE INDEX (asset)
WHERE asset_type = %(asset_type)s AND asset_hash IN %(hashes)s
ORDER BY asset_type, asset_hash FOR UPDATE

-- name: create_assets
-- Insert assets, and return their ids in the same order; if another worker has inserted one meanwhile, the key refuses it
-- and the chunk is decided again.
INSERT INTO asset (asset_type, asset_subtype, asset_hash, path, title, mime_type, width, height, bytes,
                   duration_seconds, fingerprint, first_batch_id, last_batch_id, source_batch_id, source_at)
VALUES (%(asset_type)s, %(asset_subtype)s, %(asset_hash)s, %(path)s, %(title)s, %(mime_type)s, %(width)s, %(height)s,
        %(bytes)s, %(duration_seconds)s, %(fingerprint)s, %(batch_id)s, %(batch_id)s, %(batch_id)s, %(source_at)s)
RETURNING id

-- name: update_assets
-- Write the fields of locked assets; a removed one is restored.
INSERT INTO asset (asset_type, asset_subtype, asset_hash, path, title, mime_type, width, height, bytes,
                   duration_seconds, fingerprint, first_batch_id, last_batch_id, source_batch_id, source_at)
VALUES (%(asset_type)s, %(asset_subtype)s, %(asset_hash)s, %(path)s, %(title)s, %(mime_type)s, %(width)s, %(height)s,
        %(bytes)s, %(duration_seconds)s, %(fingerprint)s, %(batch_id)s, %(batch_id)s, %(batch_id)s, %(source_at)s)
ON DUPLICATE KEY UPDATE
  asset_subtype = VALUES(asset_subtype), path = VALUES(path), title = VALUES(title), mime_type = VALUES(mime_type),
  width = VALUES(width), height = VALUES(height), bytes = VALUES(bytes), duration_seconds = VALUES(duration_seconds),
  fingerprint = VALUES(fingerprint), last_batch_id = VALUES(last_batch_id),
  source_batch_id = VALUES(source_batch_id), source_at = VALUES(source_at), deleted_at = NULL

-- name: remove_assets
-- Mark assets as removed.
UPDATE asset
SET deleted_at = NOW(6), last_batch_id = %(batch_id)s, source_batch_id = %(batch_id)s, source_at = %(source_at)s
WHERE id IN %(ids)s AND deleted_at IS NULL

-- name: set_say
-- Record a bundle's say about assets that it does not change.
UPDATE asset SET last_batch_id = %(batch_id)s, source_batch_id = %(batch_id)s, source_at = %(source_at)s
WHERE id IN %(ids)s

-- name: insert_tombstones
-- Record removals of what the library does not have.
INSERT INTO ingest_tombstone (kind, hash, source_at, batch_id)
VALUES (%(kind)s, %(hash)s, %(source_at)s, %(batch_id)s)

-- name: replace_tombstones
-- Record later removals in locked rows.
INSERT INTO ingest_tombstone (kind, hash, source_at, batch_id)
VALUES (%(kind)s, %(hash)s, %(source_at)s, %(batch_id)s)
ON DUPLICATE KEY UPDATE source_at = VALUES(source_at), batch_id = VALUES(batch_id), deleted_at = NULL

-- name: sources
-- Digest of each asset's source document, but for those that an undo took back.
SELECT asset_id, sha256 FROM asset_source WHERE asset_id IN %(asset_ids)s AND deleted_at IS NULL

-- name: keep_documents
-- Keep source documents that are about to be replaced, each once.
INSERT IGNORE INTO ingest_document (sha256, document) SELECT sha256, document FROM asset_source WHERE asset_id IN %(ids)s

-- name: write_sources
-- Insert source documents, or replace older ones.
INSERT INTO asset_source (asset_id, document, sha256) VALUES (%(asset_id)s, %(document)s, %(sha256)s)
ON DUPLICATE KEY UPDATE document = VALUES(document), sha256 = VALUES(sha256), deleted_at = NULL

-- name: runs
-- Kind and digest of the analysis documents of these assets, the oldest first.
SELECT id, asset_id, analysis_kind, content_sha256, deleted_at FROM asset_ai_run
WHERE asset_id IN %(asset_ids)s ORDER BY id

-- name: add_runs
-- Insert analysis documents; older versions stay.
INSERT INTO asset_ai_run (asset_id, analysis_kind, source_file, document, parse_error, content_sha256)
VALUES (%(asset_id)s, %(kind)s, %(file)s, %(text)s, %(parse_error)s, %(sha256)s)

-- name: restore_runs
-- Restore analysis documents that an undo took back.
UPDATE asset_ai_run SET deleted_at = NULL WHERE id IN %(ids)s

-- name: write_derivatives
-- Insert or update derivatives; others of the assets stay. Where the file was not checked, the check before stays.
INSERT INTO asset_derivative (asset_id, kind, path, bytes, sha256, mime_type, width, height, source_at, source_batch_id,
                              checked_how, checked_at)
VALUES (%(asset_id)s, %(kind)s, %(path)s, %(bytes)s, %(sha256)s, %(mime_type)s, %(width)s, %(height)s, %(source_at)s,
        %(batch_id)s, %(checked_how)s, IF(checked_how IS NULL, NULL, NOW(6)))
ON DUPLICATE KEY UPDATE
  bytes = VALUES(bytes), sha256 = VALUES(sha256), mime_type = VALUES(mime_type), width = VALUES(width),
  height = VALUES(height), source_at = VALUES(source_at), source_batch_id = VALUES(source_batch_id),
  checked_how = COALESCE(VALUES(checked_how), checked_how), checked_at = COALESCE(VALUES(checked_at), checked_at),
  deleted_at = NULL

-- name: write_covers
-- Insert cover links, and return them in the same order; a removed one is restored.
INSERT INTO asset_cover (asset_id, cover_hash) VALUES (%(asset_id)s, %(cover_hash)s)
ON DUPLICATE KEY UPDATE deleted_at = NULL
RETURNING id, created_at < NOW(6) AS is_restored
