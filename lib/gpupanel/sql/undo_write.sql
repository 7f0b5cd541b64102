-- name: assets
-- Put back fields, mark and say of locked assets.
INSERT INTO asset (id, asset_type, asset_hash, asset_subtype, path, title, mime_type, width, height, bytes,
                   duration_seconds, fingerprint, last_batch_id, source_batch_id, source_at, deleted_at)
VALUES (%(id)s, %(asset_type)s, %(asset_hash)s, %(asset_subtype)s, %(path)s, %(title)s, %(mime_type)s, %(width)s,
        %(height)s, %(bytes)s, %(duration_seconds)s, %(fingerprint)s, %(last_batch_id)s, %(source_batch_id)s,
        %(source_at)s, IF(%(is_removed)s, NOW(6), NULL))
ON DUPLICATE KEY UPDATE
  asset_subtype = VALUES(asset_subtype), path = VALUES(path), title = VALUES(title), mime_type = VALUES(mime_type),
  width = VALUES(width), height = VALUES(height), bytes = VALUES(bytes), duration_seconds = VALUES(duration_seconds),
  fingerprint = VALUES(fingerprint), last_batch_id = VALUES(last_batch_id),
  source_batch_id = VALUES(source_batch_id), source_at = VALUES(source_at),
  deleted_at = IF(VALUES(deleted_at) IS NULL, NULL, COALESCE(deleted_at, VALUES(deleted_at)))

-- name: covers
-- Take back cover links, or restore them.
INSERT INTO asset_cover (asset_id, cover_hash, deleted_at)
VALUES (%(asset_id)s, %(cover_hash)s, IF(%(is_removed)s, NOW(6), NULL))
ON DUPLICATE KEY UPDATE deleted_at = VALUES(deleted_at)

-- name: derivatives
-- Put back values, say and mark of derivatives; where values change, the check of the file counts no more.
INSERT INTO asset_derivative (asset_id, kind, path, bytes, sha256, mime_type, width, height, source_at, source_batch_id,
                              deleted_at)
VALUES (%(asset_id)s, %(kind)s, %(path)s, %(bytes)s, %(sha256)s, %(mime_type)s, %(width)s, %(height)s, %(source_at)s,
        %(source_batch_id)s, IF(%(is_removed)s, NOW(6), NULL))
ON DUPLICATE KEY UPDATE
  checked_how = IF(sha256 <=> VALUES(sha256) AND bytes <=> VALUES(bytes), checked_how, NULL),
  checked_at = IF(checked_how IS NULL, NULL, checked_at),
  bytes = VALUES(bytes), sha256 = VALUES(sha256), mime_type = VALUES(mime_type), width = VALUES(width),
  height = VALUES(height), source_at = VALUES(source_at), source_batch_id = VALUES(source_batch_id),
  deleted_at = VALUES(deleted_at)

-- name: take_back_analyses
-- Take back analysis documents.
UPDATE asset_ai_run SET deleted_at = NOW(6) WHERE id IN %(ids)s

-- name: take_back_sources
-- Take back source documents.
UPDATE asset_source SET deleted_at = NOW(6) WHERE asset_id IN %(ids)s

-- name: restore_sources
-- Put back source documents that were kept; pairs of asset id and digest.
UPDATE JSON_TABLE(%(pairs)s, '$[*]' COLUMNS (asset_id BIGINT UNSIGNED PATH '$[0]',
                                             sha256 CHAR(64) CHARACTER SET ascii COLLATE ascii_bin PATH '$[1]')) pair
STRAIGHT_JOIN asset_source s FORCE INDEX (asset) ON s.asset_id = pair.asset_id
STRAIGHT_JOIN ingest_document d FORCE INDEX (PRIMARY) ON d.sha256 = pair.sha256
SET s.document = d.document, s.sha256 = d.sha256, s.deleted_at = NULL

-- name: tombstones
-- Put back tombstones, or take them back.
INSERT INTO ingest_tombstone (kind, hash, source_at, batch_id, deleted_at)
VALUES (%(kind)s, %(hash)s, %(source_at)s, %(batch_id)s, IF(%(is_removed)s, NOW(6), NULL))
ON DUPLICATE KEY UPDATE source_at = VALUES(source_at), batch_id = VALUES(batch_id), deleted_at = VALUES(deleted_at)
