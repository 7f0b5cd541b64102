-- name: enqueue
-- Insert a job; the key on active_batch_id refuses a second active one of the batch.
INSERT INTO import_job (batch_id, priority, requested_by, items_total)
VALUES (%(batch_id)s, %(priority)s, %(requested_by)s, %(items_total)s)

-- name: lock
-- Lock one job until the transaction ends; this waits for a claim in progress.
SELECT import_job.*, NOW(6) AS now FROM import_job WHERE id = %(job_id)s FOR UPDATE

-- name: cancel
-- Cancel a queued or held job.
UPDATE import_job
SET state = 'canceled', finished_at = NOW(6), last_error = %(reason)s, hold = NULL, hold_batch_id = NULL,
    not_before = NULL, hold_count = 0
WHERE id = %(job_id)s AND state IN ('queued', 'held')

-- name: touch
-- Change the time of a batch whose job was held or released.
UPDATE ingest_batch SET updated_at = NOW(6) WHERE id = %(batch_id)s

-- name: lock_control
-- Lock the row of the pause, and create it if it does not exist.
INSERT INTO queue_control (id) VALUES (1) ON DUPLICATE KEY UPDATE id = id

-- name: control
-- Pause a queue that is not paused, or resume one that is.
UPDATE queue_control SET paused = %(paused)s, paused_by = %(actor)s, reason = %(reason)s, since = NOW(6)
WHERE id = 1 AND paused <> %(paused)s

-- name: paused
-- Who paused the queue, why and since when; no row while it is not paused.
SELECT paused_by, reason, since FROM queue_control WHERE id = 1 AND paused

-- name: job
-- One job with its bundle.
SELECT j.*, b.sync_id, b.sync_type, b.action FROM import_job j JOIN ingest_batch b ON b.id = j.batch_id
WHERE j.id = %(job_id)s

-- name: active_undo
-- The active job of an undo of a batch.
SELECT j.id, j.state, u.sync_id FROM ingest_batch u FORCE INDEX (by_undo) JOIN import_job j ON j.active_batch_id = u.id
WHERE u.undo_of = %(batch_id)s LIMIT 1

-- name: active_job
-- The queued, held or running job of a batch.
SELECT * FROM import_job WHERE active_batch_id = %(batch_id)s

-- name: history
-- All jobs of a batch, newest first.
SELECT * FROM import_job WHERE batch_id = %(batch_id)s ORDER BY id DESC LIMIT %(limit)s

-- name: queued_here
-- Those of some jobs that this system queued: its event names the job. The events of a batch may be in an archive.
SELECT j.id FROM import_job j
WHERE j.id IN %(job_ids)s AND (
  EXISTS (SELECT 1 FROM ingest_event e FORCE INDEX (kind)
          WHERE e.batch_id = j.batch_id AND e.event_type = 'job_queued' AND e.actor <> ''
            AND JSON_VALUE(e.payload, '$.job_id') = j.id)
  OR EXISTS (SELECT 1 FROM ingest_archive a FORCE INDEX (batch) WHERE a.batch_id = j.batch_id AND a.restored_at IS NULL))

-- name: ended_at
-- The end of a job, by which the finished jobs are sorted.
SELECT finished_at FROM import_job WHERE id = %(job_id)s

-- name: set_priority
-- Change the priority of a queued or held job.
UPDATE import_job SET priority = %(priority)s WHERE id = %(job_id)s AND state IN ('queued', 'held')

-- name: count_ahead
-- Number of queued jobs that are claimed before this one, counted up to `limit`.
SELECT COUNT(*) AS jobs FROM (
  SELECT 1 FROM import_job FORCE INDEX (claim)
  WHERE state = 'queued' AND (priority < %(priority)s OR (priority = %(priority)s AND id < %(job_id)s))
  LIMIT %(limit)s
) bounded

-- name: last_worker_activity
-- Time of the last worker activity: the latest heartbeat, or the latest end that a worker wrote. The latest rows are read,
-- since times of a job that another program claimed are `perl_offset` seconds ahead of UTC (lib/gpupanel/perl_time.py).
SELECT COALESCE(MAX(at - INTERVAL IF(RIGHT(claim_token, 8) = BINARY LEFT(SHA2(worker, 256), 8), 0, %(perl_offset)s) SECOND),
                TIMESTAMP('1000-01-01')) AS seen, NOW(6) AS now
FROM (
  (SELECT heartbeat_at AS at, claim_token, worker FROM import_job FORCE INDEX (heartbeat)
   WHERE state = 'running' ORDER BY heartbeat_at DESC LIMIT 100)
  UNION ALL
  (SELECT finished_at, claim_token, worker FROM import_job FORCE INDEX (ended)
   WHERE state = 'completed' ORDER BY finished_at DESC LIMIT 100)
  UNION ALL
  (SELECT finished_at, claim_token, worker FROM import_job FORCE INDEX (ended)
   WHERE state = 'failed' ORDER BY finished_at DESC LIMIT 100)
) latest

-- name: version
-- What changes with each event, progress of a job, and mount that goes or comes: the newest 50 events, since one may be
-- committed after events with higher ids; heartbeats and progress of the 100 running jobs that beat last; and the workers
-- without a mount.
SELECT (SELECT CONCAT(MAX(id), '/', SUM(id)) FROM (SELECT id FROM ingest_event ORDER BY id DESC LIMIT 50) newest) AS events,
       (SELECT CONCAT(MAX(heartbeat_at), '/', SUM(items_done)) FROM (
          SELECT heartbeat_at, items_done FROM import_job FORCE INDEX (heartbeat)
          WHERE state = 'running' ORDER BY heartbeat_at DESC LIMIT 100) beating) AS beat,
       (SELECT COUNT(*) FROM import_worker FORCE INDEX (seen)
        WHERE seen_at >= NOW(6) - INTERVAL %(late)s SECOND AND ended_at IS NULL AND mount_ok = 0) AS mounts_away

-- name: hours
-- Items of the latest jobs, at most `limit`, that ended since a time, by hour of claim and hour of end, in UTC.
SELECT COUNT(*) AS jobs, SUM(items_done) AS items, MIN(claimed_at) AS first, MAX(finished_at) AS last,
       MIN(finished_at) AS reach
FROM (SELECT items_done, claimed_at - INTERVAL shift SECOND AS claimed_at, finished_at - INTERVAL shift SECOND AS finished_at
      FROM (SELECT items_done, claimed_at, finished_at,
                   IF(RIGHT(claim_token, 8) = BINARY LEFT(SHA2(worker, 256), 8), 0, %(perl_offset)s) AS shift
            FROM import_job FORCE INDEX (finished)
            WHERE finished_at >= %(since)s + INTERVAL LEAST(0, %(perl_offset)s) SECOND
            ORDER BY finished_at DESC, id DESC LIMIT %(limit)s) found) latest
WHERE claimed_at IS NOT NULL AND items_done > 0 AND finished_at >= %(since)s
GROUP BY TIMESTAMPDIFF(HOUR, '2000-01-01', claimed_at), TIMESTAMPDIFF(HOUR, '2000-01-01', finished_at)

-- name: count_ended
-- Number of jobs that finished in a state in the last hours, counted up to `limit`.
SELECT COUNT(*) AS jobs FROM (
  SELECT 1 FROM import_job WHERE state = %(state)s AND finished_at >= NOW(6) - INTERVAL %(hours)s HOUR LIMIT %(limit)s
) bounded

-- name: count_silent
-- Number of running jobs whose heartbeat is older than a number of seconds.
SELECT COUNT(*) AS jobs FROM import_job FORCE INDEX (heartbeat)
WHERE state = 'running' AND COALESCE(heartbeat_at, claimed_at) < NOW(6) - INTERVAL %(seconds)s SECOND
    + INTERVAL IF(RIGHT(claim_token, 8) = BINARY LEFT(SHA2(worker, 256), 8), 0, %(perl_offset)s) SECOND

-- name: count_in
-- Number of jobs in one state, or `bound` + 1 if there are more; a column of a statement.
-- The first part skips `bound` rows by OFFSET, which is faster than counting the rows of a limited subquery.
COALESCE(
  (SELECT %(bound)s + 1 FROM import_job FORCE INDEX (ended) WHERE state = '{state}' LIMIT 1 OFFSET %(bound)s),
  (SELECT COUNT(*) FROM import_job FORCE INDEX (ended) WHERE state = '{state}')
) AS {state}

-- name: summary
-- Summary of the queue: bounded counts as above, and since when the oldest queued job waits; one that no event of this
-- system names was queued by another program, `perl_offset` seconds ahead of UTC (lib/gpupanel/perl_time.py).
SELECT COALESCE(
         (SELECT %(bound)s + 1 FROM import_job FORCE INDEX (ended) WHERE state = 'queued' LIMIT 1 OFFSET %(bound)s),
         (SELECT COUNT(*) FROM import_job FORCE INDEX (ended) WHERE state = 'queued')
       ) AS queued,
       COALESCE(
         (SELECT %(bound)s + 1 FROM import_job FORCE INDEX (ended) WHERE state = 'running' LIMIT 1 OFFSET %(bound)s),
         (SELECT COUNT(*) FROM import_job FORCE INDEX (ended) WHERE state = 'running')
       ) AS running,
       COALESCE(
         (SELECT %(bound)s + 1 FROM import_job FORCE INDEX (ended) WHERE state = 'held' LIMIT 1 OFFSET %(bound)s),
         (SELECT COUNT(*) FROM import_job FORCE INDEX (ended) WHERE state = 'held')
       ) AS held,
       COALESCE(
         (SELECT %(bound)s + 1 FROM import_job FORCE INDEX (ended)
          WHERE state = 'failed' AND finished_at >= NOW(6) - INTERVAL %(hours)s HOUR LIMIT 1 OFFSET %(bound)s),
         (SELECT COUNT(*) FROM import_job FORCE INDEX (ended)
          WHERE state = 'failed' AND finished_at >= NOW(6) - INTERVAL %(hours)s HOUR)
       ) AS failed,
       (SELECT o.queued_at - INTERVAL IF(%(perl_offset)s = 0 OR EXISTS (
          SELECT 1 FROM ingest_event e FORCE INDEX (kind) WHERE e.batch_id = o.batch_id AND e.event_type = 'job_queued'
            AND e.actor <> '' AND JSON_VALUE(e.payload, '$.job_id') = o.id), 0, %(perl_offset)s) SECOND
        FROM import_job o FORCE INDEX (ended)
        WHERE o.state = 'queued' AND o.finished_at IS NULL ORDER BY o.id LIMIT 1) AS oldest, NOW(6) AS now

-- name: now
-- The database's time; also the cheapest round trip.
SELECT NOW(6) AS now

-- name: count_by_state
-- Exact number of jobs in each state.
SELECT state, COUNT(*) AS jobs FROM import_job GROUP BY state

-- Holes of the following: {beyond} is the keyset condition of a page, {order} is ASC or DESC.

-- name: list_active
-- Queued, held or running jobs beyond a cursor, in the order in which they are claimed, with their bundles.
SELECT j.*, b.sync_id, b.sync_type, b.action, NOW(6) AS now
FROM import_job j FORCE INDEX (claim) JOIN ingest_batch b ON b.id = j.batch_id
WHERE j.state = %(state)s AND {beyond}
ORDER BY j.priority {order}, j.id {order} LIMIT %(limit)s

-- name: list_finished
-- Finished jobs beyond a cursor, with their bundles.
SELECT j.*, b.sync_id, b.sync_type, b.action, b.status, NOW(6) AS now
FROM import_job j FORCE INDEX (finished) JOIN ingest_batch b ON b.id = j.batch_id
WHERE {beyond}
ORDER BY j.finished_at {order}, j.id {order} LIMIT %(limit)s

-- name: ended_in_state
-- Finished jobs of one state beyond a cursor, with their bundles.
SELECT j.*, b.sync_id, b.sync_type, b.action, b.status, NOW(6) AS now
FROM import_job j FORCE INDEX (ended) JOIN ingest_batch b ON b.id = j.batch_id
WHERE j.state = %(state)s AND {beyond}
ORDER BY j.finished_at {order}, j.id {order} LIMIT %(limit)s

-- name: progress_events
-- The claim event and the latest progress events of a batch; one part of a UNION for several batches.
(SELECT id, batch_id, payload, created_at FROM ingest_event
 WHERE batch_id = {batch_id} AND event_type = 'job_claimed' ORDER BY id DESC LIMIT 1)
UNION ALL
(SELECT id, batch_id, payload, created_at FROM ingest_event
 WHERE batch_id = {batch_id} AND event_type = 'job_progress' ORDER BY id DESC LIMIT %(limit)s)
