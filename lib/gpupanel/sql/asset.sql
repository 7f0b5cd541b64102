-- name: row
-- An asset by its key, with the bundles that created and wrote it.
SELECT a.*, f.sync_id AS first_sync_id, l.sync_id AS last_sync_id
FROM asset a LEFT JOIN ingest_batch f ON f.id = a.first_batch_id LEFT JOIN ingest_batch l ON l.id = a.last_batch_id
WHERE a.asset_type = %(asset_type)s AND a.asset_hash = %(asset_hash)s

-- name: source
-- The source document of an asset.
SELECT document, sha256, updated_at FROM asset_source WHERE asset_id = %(asset_id)s AND deleted_at IS NULL

-- name: documents
-- The documents of an asset, by kind, the newest first.
SELECT analysis_kind, source_file, content_sha256, parse_error, created_at, deleted_at
FROM asset_ai_run WHERE asset_id = %(asset_id)s ORDER BY analysis_kind, id DESC LIMIT %(limit)s

-- name: covers
-- The covers of an asset, live or removed.
SELECT cover_hash, created_at, deleted_at FROM asset_cover WHERE asset_id = %(asset_id)s ORDER BY id LIMIT %(limit)s

-- name: derivatives
-- The derivatives of an asset, live or removed.
SELECT kind, path, bytes, sha256, mime_type, width, height, checked_at, checked_how, created_at, deleted_at
FROM asset_derivative WHERE asset_id = %(asset_id)s ORDER BY kind, path LIMIT %(limit)s

-- name: containers
-- The galleries or collections in which an asset is or was.
SELECT c.{type}_hash AS container_hash, c.title, m.position, m.created_at, m.deleted_at
FROM asset_{type}_item m JOIN asset_{type} c ON c.id = m.{type}_id
WHERE m.asset_id = %(asset_id)s ORDER BY m.id LIMIT %(limit)s

-- name: pictures
-- The latest batches that list an asset, each with its item.
SELECT b.sync_id, b.status, b.manifest_sha256, i.id AS item_id, i.decision, i.picture
FROM ingest_batch_item i FORCE INDEX (touched) JOIN ingest_batch b ON b.id = i.batch_id
WHERE i.asset_hash = %(asset_hash)s AND i.asset_type = %(asset_type)s ORDER BY i.batch_id DESC LIMIT %(limit)s

-- name: results
-- What jobs did with an asset, newest first, with batch, job and the person who queued it.
SELECT r.id, r.decision, r.planned, r.reason, r.last_error, r.changes, r.created_at, r.job_id, b.sync_id,
       j.requested_by, j.worker, b.manifest_sha256
FROM ingest_result r FORCE INDEX (target) LEFT JOIN ingest_batch b ON b.id = r.batch_id
LEFT JOIN import_job j ON j.id = r.job_id
WHERE r.kind = %(asset_type)s AND r.hash = %(asset_hash)s AND r.id < %(before)s ORDER BY r.id DESC LIMIT %(limit)s

-- name: container
-- A gallery or collection by its hash, with the bundles that created and wrote it.
SELECT c.*, f.sync_id AS first_sync_id, l.sync_id AS last_sync_id
FROM asset_{type} c LEFT JOIN ingest_batch f ON f.id = c.first_batch_id LEFT JOIN ingest_batch l ON l.id = c.last_batch_id
WHERE c.{type}_hash = %(container_hash)s

-- shared: with_thumbnail
-- The item of the batch that wrote an asset last, else of the one that created it, and that batch: it has the thumbnail.
LEFT JOIN ingest_batch_item l
  ON l.batch_id = a.last_batch_id AND l.asset_type = a.asset_type AND l.asset_hash = a.asset_hash
LEFT JOIN ingest_batch_item f
  ON f.batch_id = a.first_batch_id AND f.asset_type = a.asset_type AND f.asset_hash = a.asset_hash AND l.picture IS NULL
LEFT JOIN ingest_batch b ON b.id = COALESCE(f.batch_id, l.batch_id)

-- name: members
-- Members of a gallery or collection from a position on, live or removed, each with its thumbnail.
SELECT m.position, a.asset_type, a.asset_hash, a.title, m.created_at, m.deleted_at, b.sync_id, b.manifest_sha256,
       COALESCE(f.id, l.id) AS item_id, COALESCE(f.picture, l.picture) AS picture
FROM asset_{type}_item m FORCE INDEX (position) JOIN asset a ON a.id = m.asset_id
{with_thumbnail}
WHERE m.{type}_id = %(container_id)s AND m.position >= %(start)s ORDER BY m.position, m.id LIMIT %(limit)s

-- name: first_members
-- The first members of a gallery or collection, live or removed; one part of a UNION for several of them.
(SELECT '{type}' AS type, {type}_id AS container_id, asset_id, position, deleted_at
 FROM asset_{type}_item FORCE INDEX (position) WHERE {type}_id = {container} ORDER BY position, id LIMIT %(limit)s)

-- name: thumbnails
-- Assets by id, each with its thumbnail.
SELECT a.id, a.asset_type, a.asset_hash, a.title, b.sync_id, b.manifest_sha256, COALESCE(f.id, l.id) AS item_id,
       COALESCE(f.picture, l.picture) AS picture
FROM asset a
{with_thumbnail}
WHERE a.id IN %(asset_ids)s

-- name: container_batches
-- The latest batches that list a container.
SELECT b.sync_id, b.status, b.manifest_sha256, NULL AS item_id, c.decision, NULL AS picture
FROM ingest_batch_container c FORCE INDEX (touched) JOIN ingest_batch b ON b.id = c.batch_id
WHERE c.container_hash = %(container_hash)s AND c.type = %(type)s ORDER BY c.batch_id DESC LIMIT %(limit)s

-- name: archives
-- The files with results of the batches that created and wrote an asset.
SELECT DISTINCT file FROM ingest_archive WHERE batch_id IN %(batch_ids)s AND restored_at IS NULL ORDER BY file LIMIT 20
