-- shared: is_stale
-- The heartbeat is older than the threshold; without a heartbeat, the claim. The times of a job that another program
-- claimed are `perl_offset` seconds ahead of UTC (lib/gpupanel/perl_time.py).
COALESCE(heartbeat_at, claimed_at) < NOW(6) - INTERVAL %(seconds)s SECOND
    + INTERVAL IF(RIGHT(claim_token, 8) = BINARY LEFT(SHA2(worker, 256), 8), 0, %(perl_offset)s) SECOND

-- name: list
-- The stale jobs.
SELECT j.id, b.sync_id FROM import_job j JOIN ingest_batch b ON b.id = j.batch_id
WHERE j.state = 'running' AND {is_stale}
ORDER BY j.heartbeat_at LIMIT 100

-- name: lock_without_times
-- Lock running jobs of another program that wrote neither the time of its claim nor a heartbeat.
SELECT id FROM import_job FORCE INDEX (heartbeat)
WHERE state = 'running' AND heartbeat_at IS NULL AND claimed_at IS NULL LIMIT 100 FOR UPDATE SKIP LOCKED

-- name: see
-- Write when a worker first saw such a job, in the zone of the program that claimed it.
UPDATE import_job SET heartbeat_at = NOW(6) + INTERVAL %(perl_offset)s SECOND WHERE id = %(job_id)s

-- name: lock
-- Lock one of them. A row that a stopped process still locks is skipped, so that it cannot block this worker.
SELECT id AS job_id, batch_id, worker, attempts FROM import_job
WHERE id = %(job_id)s AND state = 'running' AND {is_stale}
FOR UPDATE SKIP LOCKED

-- name: requeue
-- Requeue a stale job; its attempt counts.
UPDATE import_job SET state = 'queued', heartbeat_at = NULL, last_error = %(reason)s
WHERE id = %(job_id)s AND state = 'running' AND {is_stale}

-- name: fail
-- Fail a stale job after its last attempt.
UPDATE import_job SET state = 'failed', finished_at = NOW(6), last_error = %(reason)s
WHERE id = %(job_id)s AND state = 'running' AND {is_stale}
