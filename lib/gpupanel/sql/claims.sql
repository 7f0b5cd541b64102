-- name: lock_next_queued
-- Select and lock the next queued job, unless the queue is paused. Any other index would lock every queued row. The batch
-- is read by subqueries, which lock nothing: while the job is locked and queued, no other program changes its approval.
SELECT id AS job_id, batch_id, attempts, items_done, items_total,
       (SELECT sync_id FROM ingest_batch WHERE id = j.batch_id) AS sync_id,
       (SELECT manifest_sha256 FROM ingest_batch WHERE id = j.batch_id) AS manifest_sha256,
       (SELECT source_at FROM ingest_batch WHERE id = j.batch_id) AS source_at,
       (SELECT although_older FROM ingest_batch WHERE id = j.batch_id) AS although_older,
       (SELECT undo_of FROM ingest_batch WHERE id = j.batch_id) AS undo_of
FROM import_job j FORCE INDEX (claim)
WHERE state = 'queued' AND COALESCE((SELECT paused FROM queue_control WHERE id = 1), 0) = 0
ORDER BY priority, id LIMIT 1 FOR UPDATE SKIP LOCKED

-- name: claim
-- Claim the locked job and start its batch; no row is found when the batch is in another status than queued.
UPDATE import_job j JOIN ingest_batch b ON b.id = j.batch_id
SET j.state = 'running', j.worker = %(worker)s, j.claim_token = %(token)s, j.attempts = j.attempts + 1,
    j.claimed_at = NOW(6), j.heartbeat_at = NOW(6), j.last_error = NULL, b.status = 'importing'
WHERE j.id = %(job_id)s AND b.status = 'queued'

-- name: job_by_token
-- Select the job that this token claimed, in any state, with what was approved of its batch; none once another program,
-- which leaves the token as it is, has claimed the job.
SELECT j.id AS job_id, j.batch_id, b.sync_id, j.claim_token AS token, j.worker, j.attempts, j.items_done, j.items_total,
       b.manifest_sha256, b.source_at, b.although_older, b.undo_of, j.state
FROM import_job j JOIN ingest_batch b ON b.id = j.batch_id
WHERE j.claim_token = %(token)s AND j.worker = %(worker)s

-- name: lock_claimed
-- Lock the same job; this waits for a COMMIT of the claim that is still under way.
SELECT id FROM import_job WHERE claim_token = %(token)s FOR UPDATE

-- name: heartbeat
-- Write a heartbeat.
UPDATE import_job SET heartbeat_at = NOW(6)
WHERE id = %(job_id)s AND claim_token = %(token)s AND worker = %(worker)s AND state = 'running'

-- name: progress
-- Count settled items.
UPDATE import_job SET heartbeat_at = NOW(6), items_done = LEAST(items_total, items_done + %(items)s), hold_count = 0
WHERE id = %(job_id)s AND claim_token = %(token)s AND worker = %(worker)s AND state = 'running'

-- name: recount
-- Count the progress of a job from the open items of its batch; those that an earlier job failed with are open.
UPDATE import_job j JOIN (
  SELECT COUNT(*) AS items FROM ingest_batch_item FORCE INDEX (decision)
  WHERE batch_id = %(batch_id)s
    AND (decision IN ('will_create', 'will_update', 'will_link', 'will_skip', 'will_fail', 'will_remove', 'will_unlink')
         OR (decision = 'failed' AND NOT job_id <=> %(job_id)s))
) open
SET j.heartbeat_at = NOW(6), j.items_done = IF(j.items_total > open.items, j.items_total - open.items, 0),
    j.items_total = GREATEST(j.items_total, open.items)
WHERE j.id = %(job_id)s AND j.claim_token = %(token)s AND j.worker = %(worker)s AND j.state = 'running'

-- name: figures
-- Select the progress of a job.
SELECT items_done, items_total FROM import_job WHERE id = %(job_id)s

-- name: release
-- Release the job; `given_back` is 1 when the attempt does not count. `hold_reason` is kept for the next release.
UPDATE import_job SET state = 'queued', attempts = attempts - %(given_back)s, heartbeat_at = NULL, last_error = %(reason)s,
                      hold_reason = COALESCE(%(hold_reason)s, hold_reason)
WHERE id = %(job_id)s AND claim_token = %(token)s AND worker = %(worker)s AND state = 'running'

-- name: finish
-- End the job and its batch. `imported_...` changes if the job wrote an entry, or writes one next (`writes_entry`);
-- `at_end` says which manifest is on the mount.
UPDATE import_job j JOIN ingest_batch b ON b.id = j.batch_id JOIN (
  SELECT %(writes_entry)s
      OR EXISTS (SELECT 1 FROM ingest_batch_item WHERE job_id = %(job_id)s
                 AND decision IN ('created', 'updated', 'linked', 'skipped', 'removed', 'unlinked'))
      OR EXISTS (SELECT 1 FROM ingest_batch_container WHERE job_id = %(job_id)s
                 AND decision IN ('created', 'updated', 'linked', 'skipped', 'removed', 'unlinked')) AS entries
) done
SET j.state = %(state)s, j.finished_at = NOW(6), j.last_error = %(reason)s, j.hold_count = 0,
    j.items_done = IF(%(is_complete)s, j.items_total, j.items_done),
    b.status = %(status)s, b.completed_at = NOW(6), b.last_error = %(reason)s,
    b.imported_at = IF(done.entries, NOW(6), b.imported_at),
    b.imported_job_id = IF(done.entries, j.id, b.imported_job_id),
    b.imported_sha256 = IF(done.entries, b.manifest_sha256, b.imported_sha256),
    b.changed_at = CASE %(at_end)s WHEN 'same' THEN NULL WHEN 'changed' THEN NOW(6) ELSE b.changed_at END,
    b.changed_sha256 = IF(%(at_end)s = 'unknown', b.changed_sha256, %(changed_sha256)s)
WHERE j.id = %(job_id)s AND j.claim_token = %(token)s AND j.worker = %(worker)s AND j.state = 'running'

-- name: mark_imported
-- Write what was imported last, if a job that ended wrote an entry.
UPDATE ingest_batch b
SET b.imported_at = NOW(6), b.imported_job_id = %(job_id)s, b.imported_sha256 = b.manifest_sha256
WHERE b.id = %(batch_id)s
  AND (EXISTS (SELECT 1 FROM ingest_batch_item WHERE job_id = %(job_id)s
               AND decision IN ('created', 'updated', 'linked', 'skipped', 'removed', 'unlinked'))
       OR EXISTS (SELECT 1 FROM ingest_batch_container WHERE job_id = %(job_id)s
                  AND decision IN ('created', 'updated', 'linked', 'skipped', 'removed', 'unlinked')))

-- name: end_changed
-- Write why a job ended whose bundle had changed, and the new plan of its batch.
UPDATE import_job j JOIN ingest_batch b ON b.id = j.batch_id
SET j.last_error = %(reason)s, b.status = %(status)s, b.last_error = %(reason)s, b.started_at = NOW(6),
    b.completed_at = NULL, b.changed_at = NOW(6), b.changed_sha256 = %(changed_sha256)s
WHERE j.id = %(job_id)s

-- name: enqueue_successor
-- Queue a job for the new plan, in the place of the one that ended.
INSERT INTO import_job (batch_id, priority, requested_by, items_total, replaces_job_id)
SELECT batch_id, priority, requested_by, %(items_total)s, id FROM import_job WHERE id = %(job_id)s

-- name: write_order
-- Write the position in upstream's order of a batch that was planned without one.
UPDATE ingest_batch SET source_at = %(source_at)s, prior_sync_id = %(prior_sync_id)s
WHERE id = %(batch_id)s AND source_at IS NULL

-- name: requested_by
-- Who queued a job.
SELECT requested_by FROM import_job WHERE id = %(job_id)s

-- name: open_failures
-- Number of items that an earlier job failed with, and that this one has not reached.
SELECT COUNT(*) AS items FROM ingest_batch_item FORCE INDEX (decision)
WHERE batch_id = %(batch_id)s AND decision = 'failed' AND NOT job_id <=> %(job_id)s

-- name: fail_invalid
-- Fail a queued job that cannot run.
UPDATE import_job SET state = 'failed', finished_at = NOW(6), last_error = %(reason)s
WHERE id = %(job_id)s AND state = 'queued'
