-- name: next
-- The job that is to run next, unless somebody holds it. The index is named since any other plan would lock the queue.
SELECT id, batch_id FROM import_job FORCE INDEX (claim)
WHERE state = 'queued'
ORDER BY priority, id LIMIT 1 FOR UPDATE SKIP LOCKED

-- name: next_but
-- The same, passing over the jobs that this worker has put aside.
SELECT id, batch_id FROM import_job FORCE INDEX (claim)
WHERE state = 'queued' AND id NOT IN %(aside)s
ORDER BY priority, id LIMIT 1 FOR UPDATE SKIP LOCKED

-- name: take
-- The job is ours from here on.
UPDATE import_job
SET state = 'running', worker = %(worker)s, claim_token = %(token)s, attempts = attempts + 1, claimed_at = NOW(6),
    heartbeat_at = NOW(6), last_error = NULL
WHERE id = %(job_id)s

-- name: importing
-- The batch of a claimed job; a batch in any other status does not belong to a queued job.
UPDATE ingest_batch SET status = 'importing' WHERE id = %(batch_id)s AND status = 'queued'

-- name: claimed
-- The job that this token claimed, whatever became of it.
SELECT j.id AS job_id, j.batch_id, b.sync_id, j.claim_token AS token, j.worker, j.attempts, j.items_done,
       j.items_total, j.state
FROM import_job j JOIN ingest_batch b ON b.id = j.batch_id
WHERE j.claim_token = %(token)s

-- name: lock_claimed
-- The same, waiting for a COMMIT of that claim which is still on its way.
SELECT id FROM import_job WHERE claim_token = %(token)s FOR UPDATE

-- name: beat
-- The worker is alive, and the claim still its own.
UPDATE import_job SET heartbeat_at = NOW(6)
WHERE id = %(job_id)s AND claim_token = %(token)s AND state = 'running'

-- name: progress
-- Some more items are settled.
UPDATE import_job SET heartbeat_at = NOW(6), items_done = items_done + %(items)s
WHERE id = %(job_id)s AND claim_token = %(token)s AND state = 'running'

-- name: restart
-- The batch was planned anew, so all of its items are still to be done.
UPDATE import_job SET heartbeat_at = NOW(6), items_done = 0, items_total = %(items_total)s
WHERE id = %(job_id)s AND claim_token = %(token)s AND state = 'running'

-- name: release
-- Back to the queue; an attempt that does not count is given back.
UPDATE import_job SET state = 'queued', attempts = attempts - %(given_back)s, heartbeat_at = NULL, last_error = %(reason)s
WHERE id = %(job_id)s AND claim_token = %(token)s AND state = 'running'

-- name: finish
-- The job ended, one way or the other.
UPDATE import_job SET state = %(state)s, finished_at = NOW(6), last_error = %(reason)s
WHERE id = %(job_id)s AND claim_token = %(token)s AND state = 'running'

-- name: refuse
-- A queued job that cannot be run.
UPDATE import_job SET state = 'failed', finished_at = NOW(6), last_error = %(reason)s
WHERE id = %(job_id)s AND state = 'queued'

-- name: stale
-- Running jobs whose worker has been silent for longer than the threshold.
SELECT id FROM import_job
WHERE state = 'running' AND heartbeat_at < NOW(6) - INTERVAL %(seconds)s SECOND
ORDER BY heartbeat_at LIMIT 100

-- name: lock_stale
-- One of them, unless somebody holds it: a worker that was stopped in the middle of a transaction must not stop us too.
SELECT id AS job_id, batch_id, worker, attempts FROM import_job
WHERE id = %(job_id)s AND state = 'running' AND heartbeat_at < NOW(6) - INTERVAL %(seconds)s SECOND
FOR UPDATE SKIP LOCKED

-- name: reset
-- Back to the queue; the attempt counts.
UPDATE import_job SET state = 'queued', heartbeat_at = NULL, last_error = %(reason)s
WHERE id = %(job_id)s AND state = 'running' AND heartbeat_at < NOW(6) - INTERVAL %(seconds)s SECOND

-- name: give_up
-- The attempts are used up.
UPDATE import_job SET state = 'failed', finished_at = NOW(6), last_error = %(reason)s
WHERE id = %(job_id)s AND state = 'running' AND heartbeat_at < NOW(6) - INTERVAL %(seconds)s SECOND

-- name: planned
-- What was planned for some items of a batch, what was done, and which job settled them.
SELECT asset_type, asset_hash, planned, decision, job_id FROM ingest_batch_item
WHERE batch_id = %(batch_id)s AND asset_type IN ('photo', 'cover', 'video') AND asset_hash IN %(hashes)s
  AND decision <> 'withdrawn'
