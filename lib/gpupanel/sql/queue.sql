-- name: enqueue
-- A new job; the key on active_batch_id refuses a second one for the same batch.
INSERT INTO import_job (batch_id, priority, requested_by, items_total)
VALUES (%(batch_id)s, %(priority)s, %(requested_by)s, %(items_total)s)

-- name: lock
-- One job, held until the transaction ends; a claim under way is waited for.
SELECT * FROM import_job WHERE id = %(job_id)s FOR UPDATE

-- name: cancel
-- The job was not needed after all.
UPDATE import_job SET state = 'canceled', finished_at = NOW(6), last_error = %(reason)s
WHERE id = %(job_id)s AND state = 'queued'

-- name: job
-- One job with its bundle.
SELECT j.*, b.sync_id, b.sync_type, b.action FROM import_job j JOIN ingest_batch b ON b.id = j.batch_id
WHERE j.id = %(job_id)s

-- name: active_job
-- The queued or running job of a batch.
SELECT * FROM import_job WHERE active_batch_id = %(batch_id)s

-- name: history
-- All jobs of a batch, newest first.
SELECT * FROM import_job WHERE batch_id = %(batch_id)s ORDER BY id DESC LIMIT %(limit)s

-- name: in_state
-- The queued or running jobs in the order in which they are claimed, with their bundles.
SELECT j.*, b.sync_id, b.sync_type, b.action, NOW(6) AS now
FROM import_job j JOIN ingest_batch b ON b.id = j.batch_id
WHERE j.state = %(state)s
ORDER BY j.priority, j.id LIMIT %(limit)s

-- name: finished
-- The jobs that ended last, with their bundles.
SELECT j.*, b.sync_id, b.sync_type, b.action, b.status, NOW(6) AS now
FROM import_job j JOIN ingest_batch b ON b.id = j.batch_id
WHERE j.finished_at IS NOT NULL
ORDER BY j.finished_at DESC, j.id DESC LIMIT %(limit)s

-- name: count_in_state
-- How many jobs are in a state, counted no further than `limit`.
SELECT COUNT(*) AS jobs FROM (SELECT 1 FROM import_job WHERE state = %(state)s LIMIT %(limit)s) bounded

-- name: oldest_queued
-- How long, in seconds, the longest-waiting of the next jobs has been queued.
SELECT TIMESTAMPDIFF(SECOND, MIN(queued_at), NOW(6)) AS seconds
FROM (SELECT queued_at FROM import_job WHERE state = 'queued' ORDER BY priority, id LIMIT 1000) waiting
