-- shared: backoff_seconds
-- The backoff of a job: a minute, doubled by each hold in a row up to an hour.
LEAST(60 << LEAST(hold_count, 6), 3600)

-- name: batch_id
-- The id of a batch.
SELECT id FROM ingest_batch WHERE sync_id = %(sync_id)s

-- name: chain
-- A batch and its prior, if that is recorded.
SELECT b.id, b.prior_sync_id, p.id AS prior_id, b.undo_of
FROM ingest_batch b LEFT JOIN ingest_batch p ON p.sync_id = b.prior_sync_id AND p.id <> b.id
WHERE b.id = %(batch_id)s

-- name: lock_batches
-- Lock batches in the order of their ids until the transaction ends.
SELECT id FROM ingest_batch WHERE id IN %(batch_ids)s ORDER BY id FOR UPDATE

-- name: active_job
-- The active job of a batch.
SELECT id, state FROM import_job WHERE active_batch_id = %(batch_id)s

-- name: reasons
-- The latest reasons of these jobs, which a hold compares with its own.
SELECT id, batch_id, hold_reason FROM import_job WHERE id IN %(job_ids)s

-- name: hold
-- Hold queued jobs; `backs_off` is 1 where each hold in a row doubles the time until the sweep, from 1 minute to 1 hour.
UPDATE import_job
SET state = 'held', hold = %(hold)s, hold_reason = %(reason)s, hold_batch_id = %(hold_batch_id)s, held_at = NOW(6),
    not_before = IF(%(backs_off)s, NOW(6) + INTERVAL {backoff_seconds} SECOND, NULL),
    hold_count = hold_count + %(backs_off)s, last_error = COALESCE(%(last_error)s, last_error)
WHERE id IN %(job_ids)s AND state = 'queued'

-- name: not_before
-- When the sweep makes a held job claimable again.
SELECT not_before FROM import_job WHERE id = %(job_id)s

-- name: lock_followers
-- Lock the held jobs that wait for a batch.
SELECT id, batch_id FROM import_job FORCE INDEX (waits_for)
WHERE hold_batch_id = %(batch_id)s AND state = 'held' ORDER BY id LIMIT %(limit)s FOR UPDATE

-- name: unhold
-- Put held jobs back into the queue, each at its place.
UPDATE import_job SET state = 'queued', hold = NULL, hold_batch_id = NULL, not_before = NULL
WHERE id IN %(job_ids)s AND state = 'held'

-- name: due
-- Held jobs whose time has come, the earliest first.
SELECT j.id, j.batch_id, j.priority, b.sync_id, j.hold, a.id AS prior_job_id
FROM import_job j FORCE INDEX (due) JOIN ingest_batch b ON b.id = j.batch_id
LEFT JOIN ingest_batch p ON p.sync_id = b.prior_sync_id AND p.id <> b.id
LEFT JOIN import_job a ON a.active_batch_id = p.id
WHERE j.state = 'held' AND j.not_before <= NOW(6) ORDER BY j.not_before LIMIT %(limit)s

-- name: lock_due
-- Lock those of these jobs whose time has come; rows that others lock are left to them.
SELECT id, hold FROM import_job
WHERE id IN %(job_ids)s AND state = 'held' AND not_before <= NOW(6) FOR UPDATE SKIP LOCKED

-- name: postpone
-- Move the time of held jobs whose bundle is still away.
UPDATE import_job
SET not_before = NOW(6) + INTERVAL {backoff_seconds} SECOND, hold_count = hold_count + 1
WHERE id IN %(job_ids)s AND state = 'held'

-- name: left_behind
-- Held jobs that wait for a batch without an active job: another program ended it.
SELECT j.id FROM import_job j FORCE INDEX (waits_for) LEFT JOIN import_job a ON a.active_batch_id = j.hold_batch_id
WHERE j.hold_batch_id > 0 AND j.state = 'held' AND a.id IS NULL LIMIT %(limit)s

-- name: lock_left_behind
-- Lock those of these jobs that still wait for a batch without an active job.
SELECT j.id FROM import_job j
WHERE j.id IN %(job_ids)s AND j.state = 'held' AND j.hold_batch_id > 0
  AND NOT EXISTS (SELECT 1 FROM import_job a WHERE a.active_batch_id = j.hold_batch_id)
FOR UPDATE SKIP LOCKED

-- name: queued_after
-- Queued jobs beyond a place in the queue, in the order in which they are claimed; an undo has no bundle.
SELECT j.id, j.batch_id, j.priority, b.sync_id, NULL AS hold, NULL AS prior_job_id
FROM import_job j FORCE INDEX (claim) JOIN ingest_batch b ON b.id = j.batch_id
WHERE j.state = 'queued' AND (j.priority > %(priority)s OR (j.priority = %(priority)s AND j.id > %(job_id)s))
  AND b.undo_of IS NULL
ORDER BY j.priority, j.id LIMIT %(limit)s

-- name: lock_queued
-- Lock those of these jobs that are still queued.
SELECT id FROM import_job WHERE id IN %(job_ids)s AND state = 'queued' FOR UPDATE SKIP LOCKED
