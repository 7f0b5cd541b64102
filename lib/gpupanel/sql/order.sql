-- name: now
-- The database's time.
SELECT NOW(6) AS now

-- name: prior
-- One bundle with its prior, its order if it has one, and the time at which upstream completed it.
SELECT sync_id, COALESCE(prior_sync_id, JSON_VALUE(manifest_summary, '$.prior_sync_id')) AS prior_sync_id, source_at,
       COALESCE(JSON_VALUE(manifest_summary, '$.completed_at'), JSON_VALUE(manifest_summary, '$.created_at'))
       AS completed_at, discovered_at
FROM ingest_batch WHERE sync_id = %(sync_id)s

-- name: is_followed
-- Whether a known bundle names this one as its prior.
SELECT EXISTS (SELECT 1 FROM ingest_batch WHERE prior_sync_id = %(sync_id)s) AS is_followed

-- name: sync_ids
-- The bundles of some batches.
SELECT id, sync_id FROM ingest_batch WHERE id IN %(ids)s

-- name: tombstones
-- The latest removals of what the library did not have, also those that an undo took back.
SELECT hash, source_at, batch_id, deleted_at FROM ingest_tombstone WHERE kind = %(kind)s AND hash IN %(hashes)s

-- name: lock_tombstones
-- The same, as committed now, locked until the transaction ends.
SELECT hash, source_at, batch_id, deleted_at FROM ingest_tombstone
WHERE kind = %(kind)s AND hash IN %(hashes)s FOR UPDATE
