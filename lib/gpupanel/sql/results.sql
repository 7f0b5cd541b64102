-- name: insert
-- Append what a job did with items or containers.
INSERT INTO ingest_result (batch_id, job_id, kind, hash, planned, approved, decision, reason, last_error, changes,
                           target_digest, target_id, cover_id)
VALUES (%(batch_id)s, %(job_id)s, %(kind)s, %(hash)s, %(planned)s, %(approved)s, %(decision)s, %(reason)s,
        %(last_error)s, %(changes)s, %(target_digest)s, %(target_id)s, %(cover_id)s)
{returning}

-- name: insert_members
-- Append the members that a result added, moved or took out, or of which it moved the say.
INSERT INTO ingest_result_member (result_id, asset_id, position, came, position_before, say_only, source_at,
                                  source_batch_id, source_at_before, source_batch_id_before)
VALUES (%(result_id)s, %(asset_id)s, %(position)s, %(came)s, %(position_before)s, %(say_only)s, %(source_at)s,
        %(source_batch_id)s, %(source_at_before)s, %(source_batch_id_before)s)

-- name: insert_tombstones
-- Append the tombstones of members that a result wrote.
INSERT INTO ingest_result_tombstone (result_id, asset_hash, source_at, batch_id, source_at_before,
                                     batch_id_before)
VALUES (%(result_id)s, %(asset_hash)s, %(source_at)s, %(batch_id)s, %(source_at_before)s, %(batch_id_before)s)

-- name: latest_ids
-- The latest result of each of these targets that has a digest; a failed one has none.
SELECT MAX(id) AS id FROM ingest_result FORCE INDEX (target)
WHERE kind = %(kind)s AND hash IN %(hashes)s AND target_digest IS NOT NULL GROUP BY kind, hash

-- name: changes_of
-- What the latest results of a target wrote, newest first.
SELECT changes FROM ingest_result FORCE INDEX (target)
WHERE kind = %(kind)s AND hash = %(hash)s AND target_digest IS NOT NULL AND changes IS NOT NULL
ORDER BY id DESC LIMIT %(limit)s

-- name: by_ids
-- Job and digest of some results, and the batch of those that an undo made since a batch was planned.
SELECT r.kind, r.hash, r.job_id, r.target_digest,
       IF(b.undo_of IS NOT NULL AND r.created_at >= own.started_at, b.sync_id, NULL) AS undone_by
FROM ingest_result r LEFT JOIN ingest_batch b ON b.id = r.batch_id LEFT JOIN ingest_batch own ON own.id = %(batch_id)s
WHERE r.id IN %(ids)s

-- name: failed_items
-- Reasons of the first failed items of a batch.
SELECT reason FROM ingest_batch_item FORCE INDEX (decision)
WHERE batch_id = %(batch_id)s AND decision = 'failed' ORDER BY position LIMIT %(limit)s

-- name: failed_containers
-- Reasons of the first failed containers of a batch.
SELECT COALESCE(last_error, reason) AS reason FROM ingest_batch_container FORCE INDEX (decision)
WHERE batch_id = %(batch_id)s AND decision = 'failed' ORDER BY position LIMIT %(limit)s
