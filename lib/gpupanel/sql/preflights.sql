-- name: of_batch
-- The latest request of a batch.
SELECT * FROM preflight_request WHERE batch_id = %(batch_id)s

-- name: request
-- Insert the first request of a batch.
INSERT INTO preflight_request (batch_id, requested_by, requested_at, then_queue, priority, although_older, state)
VALUES (%(batch_id)s, %(actor)s, NOW(6), %(then_queue)s, %(priority)s, %(although_older)s, 'queued')

-- name: request_again
-- Overwrite the request of a batch that has ended.
UPDATE preflight_request
SET requested_by = %(actor)s, requested_at = NOW(6), then_queue = %(then_queue)s, priority = %(priority)s,
    although_older = %(although_older)s, state = 'queued', attempts = 0, last_error = NULL, finished_at = NULL
WHERE batch_id = %(batch_id)s AND state IN ('completed', 'failed')

-- name: cancel
-- End an open request; a worker that holds its claim loses it.
UPDATE preflight_request SET state = 'failed', last_error = %(reason)s, finished_at = NOW(6)
WHERE batch_id = %(batch_id)s AND state IN ('queued', 'running')

-- name: touch
-- Change the batch's updated_at, by which open pages see that its request changed.
UPDATE ingest_batch SET updated_at = NOW(6) WHERE id = %(batch_id)s

-- name: next
-- Select and lock the oldest queued request; those that other workers lock are skipped.
SELECT batch_id FROM preflight_request FORCE INDEX (claim)
WHERE state = 'queued' AND batch_id NOT IN %(deferred)s
ORDER BY requested_at, batch_id LIMIT 1 FOR UPDATE SKIP LOCKED

-- name: claim
-- Claim the locked request.
UPDATE preflight_request
SET state = 'running', worker = %(worker)s, claim_token = %(token)s, attempts = attempts + 1, heartbeat_at = NOW(6),
    last_error = NULL
WHERE batch_id = %(batch_id)s

-- name: claimed
-- Select the request that this token claimed, in any state.
SELECT r.batch_id, b.sync_id, r.claim_token AS token, r.worker, r.attempts, r.requested_by, r.then_queue, r.priority,
       r.although_older, b.undo_of, r.state
FROM preflight_request r JOIN ingest_batch b ON b.id = r.batch_id
WHERE r.claim_token = %(token)s

-- name: heartbeat
-- Write a heartbeat.
UPDATE preflight_request SET heartbeat_at = NOW(6)
WHERE batch_id = %(batch_id)s AND claim_token = %(token)s AND state = 'running'

-- name: end
-- End a claim: the request is completed, failed, or queued again; `given_back` is 1 when the attempt does not count.
UPDATE preflight_request
SET state = %(state)s, attempts = attempts - %(given_back)s, heartbeat_at = NULL, last_error = %(reason)s,
    finished_at = IF(%(state)s = 'queued', NULL, NOW(6))
WHERE batch_id = %(batch_id)s AND claim_token = %(token)s AND state = 'running'

-- name: stale
-- List running requests whose heartbeat is older than the threshold.
SELECT batch_id, attempts, worker FROM preflight_request
WHERE state = 'running' AND heartbeat_at < NOW(6) - INTERVAL %(seconds)s SECOND LIMIT 100

-- name: reset
-- Queue a stale request again, or fail it after its last attempt.
UPDATE preflight_request
SET state = IF(attempts < %(max_attempts)s, 'queued', 'failed'),
    finished_at = IF(attempts < %(max_attempts)s, NULL, NOW(6)), heartbeat_at = NULL, last_error = %(reason)s
WHERE batch_id = %(batch_id)s AND state = 'running' AND heartbeat_at < NOW(6) - INTERVAL %(seconds)s SECOND
