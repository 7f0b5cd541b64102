-- name: first_result
-- The id of a batch's first result.
SELECT MIN(id) AS id FROM ingest_result WHERE batch_id = %(batch_id)s

-- name: latest_result
-- The id of a batch's latest result.
SELECT MAX(id) AS id FROM ingest_result WHERE batch_id = %(batch_id)s

-- name: history
-- Results of some targets from an id on; `changes` of the batches that are undone alone.
SELECT r.id, r.hash, r.batch_id, r.decision, r.target_digest, IF(r.batch_id IN %(batch_ids)s, r.changes, NULL) AS changes,
       JSON_EXTRACT(r.changes, '$.undoes') AS undoes,
       (r.changes IS NOT NULL OR (r.kind IN ('gallery', 'collection') AND (
         EXISTS (SELECT 1 FROM ingest_result_member m WHERE m.result_id = r.id)
         OR EXISTS (SELECT 1 FROM ingest_result_tombstone t WHERE t.result_id = r.id)))) AS has_written
FROM ingest_result r FORCE INDEX (target)
WHERE r.kind = %(kind)s AND r.hash IN %(hashes)s AND r.id >= %(first)s

-- name: members
-- What results recorded of members.
SELECT * FROM ingest_result_member WHERE result_id IN %(result_ids)s

-- name: tombstones
-- What results recorded of the tombstones of members.
SELECT * FROM ingest_result_tombstone WHERE result_id IN %(result_ids)s

-- name: assets
-- Assets of one type with these hashes, live or removed.
SELECT * FROM asset WHERE asset_type = %(asset_type)s AND asset_hash IN %(hashes)s

-- name: sources
-- Digest of each asset's source document, but for those that an undo took back.
SELECT asset_id, sha256 FROM asset_source WHERE asset_id IN %(asset_ids)s AND deleted_at IS NULL

-- name: analyses
-- Kind and digest of the analysis documents of these assets.
SELECT id, asset_id, analysis_kind, content_sha256, deleted_at FROM asset_ai_run WHERE asset_id IN %(asset_ids)s

-- name: containers
-- Galleries or collections with these hashes, live or removed.
SELECT id, {type}_hash AS container_hash, title, cover_hash, source_at, source_batch_id, last_batch_id, deleted_at
FROM asset_{type} WHERE {type}_hash IN %(hashes)s

-- name: listed_since
-- Which of these assets another batch has put into a gallery or collection since, where they still are.
SELECT m.asset_id, MAX(r.batch_id) AS batch_id
FROM ingest_result_member m FORCE INDEX (asset) JOIN ingest_result r ON r.id = m.result_id AND r.kind = '{type}'
JOIN asset_{type} c ON c.{type}_hash = r.hash AND c.deleted_at IS NULL
JOIN asset_{type}_item i ON i.{type}_id = c.id AND i.asset_id = m.asset_id AND i.source_batch_id = r.batch_id
WHERE m.asset_id IN %(asset_ids)s AND m.result_id >= %(first)s AND m.came = 1 AND r.batch_id NOT IN %(batch_ids)s
  AND i.deleted_at IS NULL
GROUP BY m.asset_id

-- name: own_members
-- Which of these assets are in a live gallery or collection as a batch itself has left them there.
SELECT m.asset_id, r.hash AS container_hash
FROM ingest_result_member m FORCE INDEX (asset)
JOIN ingest_result r ON r.id = m.result_id AND r.kind = '{type}' AND r.batch_id = %(batch_id)s
JOIN asset_{type} c ON c.{type}_hash = r.hash AND c.deleted_at IS NULL
JOIN asset_{type}_item i ON i.{type}_id = c.id AND i.asset_id = m.asset_id AND i.deleted_at IS NULL
  AND i.source_at <=> m.source_at AND i.source_batch_id <=> m.source_batch_id
WHERE m.asset_id IN %(asset_ids)s AND m.result_id >= %(first)s AND m.came = 1

-- name: foreign_members
-- In which live galleries or collections these assets are, where no result has named them since.
SELECT i.asset_id, i.created_at, c.{type}_hash AS container_hash
FROM asset_{type}_item i FORCE INDEX (asset_{type}_item_asset)
JOIN asset_{type} c ON c.id = i.{type}_id AND c.deleted_at IS NULL
WHERE i.asset_id IN %(asset_ids)s AND i.deleted_at IS NULL AND NOT EXISTS (
  SELECT 1 FROM ingest_result_member m FORCE INDEX (asset)
  JOIN ingest_result r ON r.id = m.result_id AND r.kind = '{type}' AND r.hash = c.{type}_hash
  WHERE m.asset_id = i.asset_id AND m.result_id >= %(first)s)

-- name: result_times
-- When results were written.
SELECT id, created_at FROM ingest_result WHERE id IN %(ids)s

-- name: assets_of_covers
-- Live assets that show one of these covers, beyond a place in their order.
SELECT c.cover_hash, c.asset_id AS id, c.created_at, a.asset_type AS kind, a.asset_hash AS hash
FROM asset_cover c FORCE INDEX (shown_by) JOIN asset a ON a.id = c.asset_id AND a.deleted_at IS NULL
WHERE c.cover_hash IN %(hashes)s AND c.deleted_at IS NULL AND (c.cover_hash <> %(cover_hash)s OR c.asset_id > %(id)s)
ORDER BY c.cover_hash, c.asset_id LIMIT %(limit)s

-- name: containers_of_covers
-- Live galleries or collections that show one of these covers, beyond a place in their order.
SELECT cover_hash, id, created_at, '{type}' AS kind, {type}_hash AS hash FROM asset_{type} FORCE INDEX (shown_by)
WHERE cover_hash IN %(hashes)s AND deleted_at IS NULL AND (cover_hash <> %(cover_hash)s OR id > %(id)s)
ORDER BY cover_hash, id LIMIT %(limit)s

-- name: create
-- Insert the batch of an undo.
INSERT INTO ingest_batch (sync_id, sync_type, action, undo_of, prior_sync_id)
VALUES (%(sync_id)s, %(sync_type)s, 'undo', %(undo_of)s, %(prior_sync_id)s)

-- name: open
-- The undo of a batch that was not imported.
SELECT sync_id FROM ingest_batch WHERE undo_of = %(batch_id)s AND imported_at IS NULL ORDER BY id DESC LIMIT 1

-- name: of_batch
-- The undos of a batch, the newest first, each with its latest job.
SELECT b.sync_id, b.status, b.imported_at, b.discovered_at, j.id AS job_id, j.state AS job_state, j.requested_by
FROM ingest_batch b LEFT JOIN import_job j ON j.id = (SELECT MAX(id) FROM import_job WHERE batch_id = b.id)
WHERE b.undo_of = %(batch_id)s ORDER BY b.id DESC LIMIT %(limit)s

-- name: batch
-- A batch by its id.
SELECT id, sync_id FROM ingest_batch WHERE id = %(batch_id)s

-- name: active_prior
-- The undo that an undo follows, while its job is active.
SELECT p.id, p.sync_id, p.undo_of, p.prior_sync_id FROM ingest_batch p JOIN import_job j ON j.active_batch_id = p.id
WHERE p.sync_id = %(sync_id)s AND p.undo_of IS NOT NULL

-- name: facts
-- Write how many entries an undo has, and which undo it follows.
UPDATE ingest_batch
SET item_count = %(item_count)s, container_count = %(container_count)s, prior_sync_id = %(prior_sync_id)s
WHERE id = %(batch_id)s

-- name: items
-- The items of a batch from a position on, withdrawn ones too: covers (1), other assets (0), or both.
SELECT id, position, asset_type, asset_hash, cover_hash, decision, path, picture, item_title FROM ingest_batch_item
WHERE batch_id = %(batch_id)s AND (asset_type = 'cover') IN %(are_covers)s AND (position > %(position)s OR (position = %(position)s AND id > %(id)s))
ORDER BY position, id LIMIT %(limit)s

-- name: containers_of
-- The containers of a batch from a position on, withdrawn ones too.
SELECT id, position, type, container_hash, title, cover_hash, decision, members FROM ingest_batch_container
WHERE batch_id = %(batch_id)s AND (position > %(position)s OR (position = %(position)s AND id > %(id)s))
ORDER BY position, id LIMIT %(limit)s

-- name: count_entries
-- How many items, containers and members a batch has, counted up to a limit of rows each.
SELECT (SELECT COUNT(*) FROM (SELECT 1 FROM ingest_batch_item WHERE batch_id = %(batch_id)s LIMIT %(limit)s) items)
     + (SELECT COALESCE(SUM(1 + members), 0)
        FROM (SELECT members FROM ingest_batch_container WHERE batch_id = %(batch_id)s LIMIT %(limit)s) others)
     AS entries
