-- name: asset_hashes
-- The next hashes of an asset type, live or removed, from the unique key alone.
SELECT asset_hash AS hash FROM asset WHERE asset_type = %(kind)s AND asset_hash > %(after)s
ORDER BY asset_hash LIMIT %(rows)s

-- name: container_hashes
-- The next hashes of galleries or collections, live or removed, from the unique key alone.
SELECT {type}_hash AS hash FROM asset_{type} WHERE {type}_hash > %(after)s ORDER BY {type}_hash LIMIT %(rows)s

-- name: count_members
-- Number of live memberships of a container, counted up to `most`.
SELECT COUNT(*) AS members FROM (
  SELECT 1 FROM asset_{type}_item WHERE {type}_id = %(container_id)s AND deleted_at IS NULL LIMIT %(most)s
) bounded

-- name: members
-- The next memberships of a container by asset, each with its asset; visible are live ones of live assets.
SELECT m.asset_id, m.position, a.asset_hash, m.deleted_at IS NULL AND a.deleted_at IS NULL AS is_visible
FROM asset_{type}_item m STRAIGHT_JOIN asset a ON a.id = m.asset_id
WHERE m.{type}_id = %(container_id)s AND m.asset_id > %(after)s ORDER BY m.asset_id LIMIT %(rows)s

-- name: batches
-- What a forecast needs of these bundles: their order, and their active jobs.
SELECT b.id, b.sync_id, b.action, b.status, b.source_at, b.although_older, u.sync_id AS undoes,
       j.id AS job_id, j.state AS job_state, j.priority
FROM ingest_batch b LEFT JOIN import_job j ON j.active_batch_id = b.id LEFT JOIN ingest_batch u ON u.id = b.undo_of
WHERE b.sync_id IN %(sync_ids)s

-- name: failing_items
-- The items that the plan of a batch lets fail.
SELECT position, reason FROM ingest_batch_item WHERE batch_id = %(batch_id)s AND decision = 'will_fail'

-- name: known_bundles
-- What a reconciliation needs of these bundles; `undone` is whether an undo was imported after the bundle itself.
SELECT b.sync_id, b.status, b.source_at, b.imported_at IS NOT NULL AS was_imported,
       EXISTS (SELECT 1 FROM ingest_batch u WHERE u.undo_of = b.id AND u.imported_at > b.imported_at) AS undone
FROM ingest_batch b WHERE b.sync_id IN %(sync_ids)s

-- name: active_jobs
-- Number of active jobs, counted up to `most` in each state.
SELECT COUNT(*) AS jobs FROM (
  (SELECT 1 FROM import_job WHERE state = 'queued' LIMIT %(most)s) UNION ALL
  (SELECT 1 FROM import_job WHERE state = 'running' LIMIT %(most)s) UNION ALL
  (SELECT 1 FROM import_job WHERE state = 'held' LIMIT %(most)s)
) active
