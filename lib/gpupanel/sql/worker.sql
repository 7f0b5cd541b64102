-- name: next_job
-- Select and lock the next queued job, unless the queue is paused. Any other index would lock every queued row.
SELECT id AS job_id, batch_id FROM import_job FORCE INDEX (claim)
WHERE state = 'queued' AND COALESCE((SELECT paused FROM queue_control WHERE id = 1), 0) = 0
ORDER BY priority, id LIMIT 1 FOR UPDATE SKIP LOCKED

-- name: claim
-- Claim the locked job and start its batch; no row is found when the batch is in another status than queued.
UPDATE import_job j JOIN ingest_batch b ON b.id = j.batch_id
SET j.state = 'running', j.worker = %(worker)s, j.claim_token = %(token)s, j.attempts = j.attempts + 1,
    j.claimed_at = NOW(6), j.heartbeat_at = NOW(6), j.last_error = NULL, b.status = 'importing'
WHERE j.id = %(job_id)s AND b.status = 'queued'

-- name: job_by_token
-- Select the job that this token claimed, in any state.
SELECT j.id AS job_id, j.batch_id, b.sync_id, j.claim_token AS token, j.worker, j.attempts, j.items_done, j.items_total,
       j.state
FROM import_job j JOIN ingest_batch b ON b.id = j.batch_id
WHERE j.claim_token = %(token)s

-- name: lock_claimed
-- Lock the same job; this waits for a COMMIT of the claim that is still under way.
SELECT id FROM import_job WHERE claim_token = %(token)s FOR UPDATE

-- name: recount
-- Count the settled items of a job that continues from its ledger; no more than its total.
UPDATE import_job j
SET j.items_done = GREATEST(0, CAST(j.items_total AS SIGNED) - (
  SELECT COUNT(*) FROM ingest_batch_item i FORCE INDEX (decision)
  WHERE i.batch_id = j.batch_id
    AND (i.decision IN ('will_create', 'will_update', 'will_link', 'will_skip', 'will_remove', 'will_fail', 'will_unlink')
         OR (i.decision = 'failed' AND COALESCE(i.job_id, 0) <> j.id))))
WHERE j.id = %(job_id)s AND j.items_done > 0 AND j.state = 'running'

-- name: heartbeat
-- Write a heartbeat.
UPDATE import_job SET heartbeat_at = NOW(6)
WHERE id = %(job_id)s AND claim_token = %(token)s AND state = 'running'

-- name: progress
-- Count settled items.
UPDATE import_job SET heartbeat_at = NOW(6), items_done = LEAST(items_done + %(items)s, items_total), hold_count = 0
WHERE id = %(job_id)s AND claim_token = %(token)s AND state = 'running'

-- name: restart
-- Reset the progress of a job whose batch is planned again.
UPDATE import_job SET heartbeat_at = NOW(6), items_done = 0, items_total = %(items_total)s
WHERE id = %(job_id)s AND claim_token = %(token)s AND state = 'running'

-- name: release
-- Release the job; `given_back` is 1 when the attempt does not count. `hold_reason` is kept for the next release.
UPDATE import_job SET state = 'queued', attempts = attempts - %(given_back)s, heartbeat_at = NULL, last_error = %(reason)s,
                      hold_reason = COALESCE(%(hold_reason)s, hold_reason)
WHERE id = %(job_id)s AND claim_token = %(token)s AND state = 'running'

-- name: finish
-- End the job and its batch.
UPDATE import_job j JOIN ingest_batch b ON b.id = j.batch_id
SET j.state = %(state)s, j.finished_at = NOW(6), j.last_error = %(reason)s, j.hold_count = 0, b.status = %(status)s,
    b.completed_at = NOW(6), b.last_error = %(reason)s
WHERE j.id = %(job_id)s AND j.claim_token = %(token)s AND j.state = 'running'

-- name: fail_invalid
-- Fail a queued job that cannot run.
UPDATE import_job SET state = 'failed', finished_at = NOW(6), last_error = %(reason)s
WHERE id = %(job_id)s AND state = 'queued'

-- name: stale
-- List running jobs whose heartbeat is older than the threshold; one without a heartbeat is judged by its claim.
SELECT j.id, b.sync_id FROM import_job j JOIN ingest_batch b ON b.id = j.batch_id
WHERE j.state = 'running' AND COALESCE(j.heartbeat_at, j.claimed_at) < NOW(6) - INTERVAL %(seconds)s SECOND
ORDER BY j.heartbeat_at LIMIT 100

-- name: lock_stale
-- Lock one of them. A row that a stopped process still locks is skipped, so that it cannot block this worker.
SELECT id AS job_id, batch_id, worker, attempts FROM import_job
WHERE id = %(job_id)s AND state = 'running' AND COALESCE(heartbeat_at, claimed_at) < NOW(6) - INTERVAL %(seconds)s SECOND
FOR UPDATE SKIP LOCKED

-- name: reset
-- Requeue a stale job; its attempt counts.
UPDATE import_job SET state = 'queued', heartbeat_at = NULL, last_error = %(reason)s
WHERE id = %(job_id)s AND state = 'running' AND COALESCE(heartbeat_at, claimed_at) < NOW(6) - INTERVAL %(seconds)s SECOND

-- name: fail_stale
-- Fail a stale job after its last attempt.
UPDATE import_job SET state = 'failed', finished_at = NOW(6), last_error = %(reason)s
WHERE id = %(job_id)s AND state = 'running' AND COALESCE(heartbeat_at, claimed_at) < NOW(6) - INTERVAL %(seconds)s SECOND
