-- name: unsealed
-- Jobs that ended since a time and have no receipt, in the order of their ends.
SELECT j.id, j.batch_id, j.finished_at FROM import_job j FORCE INDEX (finished)
LEFT JOIN ingest_receipt r ON r.job_id = j.id
WHERE j.finished_at >= %(since)s AND j.state IN ('completed', 'failed', 'canceled') AND r.id IS NULL
ORDER BY j.finished_at, j.id LIMIT %(limit)s

-- name: unsealed_after
-- Jobs beyond an id that ended at any time and have no receipt, in the order of their ids.
SELECT j.id, j.batch_id, j.finished_at FROM import_job j LEFT JOIN ingest_receipt r ON r.job_id = j.id
WHERE j.id > %(after)s AND j.state IN ('completed', 'failed', 'canceled') AND r.id IS NULL
ORDER BY j.id LIMIT %(limit)s

-- name: unsealed_of_batch
-- The ended jobs of a batch up to one of them that have no receipt: one may have waited for a long time.
SELECT j.id FROM import_job j FORCE INDEX (batch) LEFT JOIN ingest_receipt r ON r.job_id = j.id
WHERE j.batch_id = %(batch_id)s AND j.id <= %(job_id)s AND j.state IN ('completed', 'failed', 'canceled') AND r.id IS NULL
ORDER BY j.id

-- name: latest_end
-- When the job of the last receipt ended.
SELECT j.finished_at FROM ingest_receipt r JOIN import_job j ON j.id = r.job_id
ORDER BY r.id DESC LIMIT 1

-- name: share_batch
-- Keep writers from a batch: all of its events that have an id are committed then. No row while one writes to it.
SELECT id, sync_id FROM ingest_batch WHERE id = %(batch_id)s LOCK IN SHARE MODE SKIP LOCKED

-- name: is_running
-- Whether a worker works on a batch now.
SELECT 1 FROM import_job WHERE active_batch_id = %(batch_id)s AND state = 'running'

-- name: bounds
-- The last result and the last event of a batch, and the time.
SELECT COALESCE((SELECT MAX(id) FROM ingest_result WHERE batch_id = %(batch_id)s), 0) AS result_id,
       COALESCE((SELECT MAX(id) FROM ingest_event WHERE batch_id = %(batch_id)s), 0) AS event_id, NOW(6) AS now

-- name: last
-- The end of the chain.
SELECT id, head FROM ingest_receipt ORDER BY id DESC LIMIT 1

-- name: last_of_batch
-- The last receipt of a batch.
SELECT id, root, result_id, event_id FROM ingest_receipt FORCE INDEX (batch)
WHERE batch_id = %(batch_id)s ORDER BY id DESC LIMIT 1

-- name: before
-- The receipt of a batch before another one.
SELECT id, root, result_id, event_id FROM ingest_receipt FORCE INDEX (batch)
WHERE batch_id = %(batch_id)s AND id < %(id)s ORDER BY id DESC LIMIT 1

-- name: of_batch
-- The receipts of a batch, the oldest first.
SELECT r.id, r.batch_id, b.sync_id, r.job_id, r.`lines`, r.root, r.previous, r.sealed_at, r.result_id, r.event_id, r.head,
       r.version
FROM ingest_receipt r FORCE INDEX (batch) JOIN ingest_batch b ON b.id = r.batch_id
WHERE r.batch_id = %(batch_id)s ORDER BY r.id

-- name: page
-- Receipts beyond a place in the chain.
SELECT r.id, r.batch_id, b.sync_id, r.job_id, r.`lines`, r.root, r.previous, r.sealed_at, r.result_id, r.event_id, r.head,
       r.version
FROM ingest_receipt r LEFT JOIN ingest_batch b ON b.id = r.batch_id
WHERE r.id > %(after)s ORDER BY r.id LIMIT %(limit)s

-- name: details
-- What names the lines of a receipt, its container lines, and whether it is the last one of its batch.
SELECT r.marks, r.containers,
       NOT EXISTS (SELECT 1 FROM ingest_receipt n WHERE n.batch_id = r.batch_id AND n.id > r.id) AS is_last
FROM ingest_receipt r WHERE r.id = %(id)s

-- name: containers
-- The container lines of a receipt.
SELECT containers FROM ingest_receipt WHERE job_id = %(job_id)s

-- name: results
-- The results of a batch beyond one id, up to another.
SELECT id, batch_id, job_id, kind, hash, planned, approved, decision, reason, last_error, changes, target_digest,
       target_id, cover_id, created_at
FROM ingest_result FORCE INDEX (batch)
WHERE batch_id = %(batch_id)s AND id > %(after)s AND id <= %(until)s ORDER BY id

-- name: members
-- The members that some results added, moved or took out.
SELECT result_id, asset_id, position, came, position_before, say_only, source_at, source_batch_id, source_at_before,
       source_batch_id_before
FROM ingest_result_member WHERE result_id IN %(result_ids)s ORDER BY result_id, asset_id

-- name: tombstones
-- The tombstones of members that some results wrote.
SELECT result_id, asset_hash, source_at, batch_id, source_at_before, batch_id_before
FROM ingest_result_tombstone WHERE result_id IN %(result_ids)s ORDER BY result_id, asset_hash

-- name: events
-- The events of a batch beyond one id, up to another.
SELECT id, batch_id, event_type, payload, actor, created_at
FROM ingest_event FORCE INDEX (batch)
WHERE batch_id = %(batch_id)s AND id > %(after)s AND id <= %(until)s ORDER BY id

-- name: settled_containers
-- The containers that a job settled.
SELECT id, batch_id, position, type, container_hash, container_digest, target_digest, title, cover_hash, decision,
       planned, reason, changes, members, members_done, missing, missing_count, target_id, last_error, job_id, updated_at
FROM ingest_batch_container WHERE job_id = %(job_id)s ORDER BY id LIMIT %(limit)s

-- name: has_moved_on
-- Whether a batch was planned or claimed after an event: its containers may differ from those of a receipt then.
SELECT 1 FROM ingest_event FORCE INDEX (batch)
WHERE batch_id = %(batch_id)s AND id > %(event_id)s AND event_type IN ('preflight_started', 'job_claimed') LIMIT 1

-- name: results_beyond
-- Results of jobs with a receipt that none covers.
SELECT t.id, t.job_id FROM ingest_result t FORCE INDEX (batch) JOIN ingest_receipt r ON r.job_id = t.job_id
WHERE t.batch_id = %(batch_id)s AND t.id > %(result_id)s ORDER BY t.id LIMIT 1

-- name: insert
-- Add a receipt to the chain.
INSERT INTO ingest_receipt (id, batch_id, job_id, `lines`, root, previous, sealed_at, result_id, event_id, head, marks,
                            containers, version)
VALUES (%(id)s, %(batch_id)s, %(job_id)s, %(lines)s, %(root)s, %(previous)s, %(sealed_at)s, %(result_id)s, %(event_id)s,
        %(head)s, %(marks)s, %(containers)s, %(version)s)
