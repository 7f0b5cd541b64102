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

-- name: ended_at
-- When a job ended, which is its place among those that have.
SELECT finished_at FROM import_job WHERE id = %(job_id)s

-- name: set_priority
-- Another place in line, as long as the job waits.
UPDATE import_job SET priority = %(priority)s WHERE id = %(job_id)s AND state = 'queued'

-- name: ahead
-- How many queued jobs are claimed before this one, counted no further than `limit`.
SELECT COUNT(*) AS jobs FROM (
  SELECT 1 FROM import_job
  WHERE state = 'queued' AND (priority < %(priority)s OR (priority = %(priority)s AND id < %(job_id)s))
  LIMIT %(limit)s
) bounded

-- name: last_sign
-- When a worker was last seen at work: the latest heartbeat, and the latest end that a worker wrote.
SELECT GREATEST(
  COALESCE((SELECT MAX(heartbeat_at) FROM import_job WHERE state = 'running'), TIMESTAMP('1000-01-01')),
  COALESCE((SELECT MAX(finished_at) FROM import_job WHERE state = 'completed'), TIMESTAMP('1000-01-01')),
  COALESCE((SELECT MAX(finished_at) FROM import_job WHERE state = 'failed'), TIMESTAMP('1000-01-01'))
) AS seen, NOW(6) AS now

-- name: latest_events
-- The newest events there are; whatever happens to a batch or job writes one. One that is committed after others with higher ids
-- is among them, too.
SELECT id FROM ingest_event ORDER BY id DESC LIMIT 50

-- name: hours
-- Items of the latest jobs that ended since, by the hours in which they began and ended; no more jobs than `limit`.
SELECT COUNT(*) AS jobs, SUM(items_done) AS items, MIN(claimed_at) AS first, MAX(finished_at) AS last,
       MIN(finished_at) AS reach
FROM (SELECT items_done, claimed_at, finished_at FROM import_job FORCE INDEX (finished)
      WHERE finished_at >= %(since)s ORDER BY finished_at DESC, id DESC LIMIT %(limit)s) latest
WHERE claimed_at IS NOT NULL AND items_done > 0
GROUP BY TIMESTAMPDIFF(HOUR, '2000-01-01', claimed_at), TIMESTAMPDIFF(HOUR, '2000-01-01', finished_at)

-- name: count_ended
-- How many jobs ended so since a moment, counted no further than `limit`.
SELECT COUNT(*) AS jobs FROM (
  SELECT 1 FROM import_job WHERE state = %(state)s AND finished_at >= NOW(6) - INTERVAL %(hours)s HOUR LIMIT %(limit)s
) bounded

-- name: count_silent
-- How many running jobs have had no heartbeat for longer than a number of seconds.
SELECT COUNT(*) AS jobs FROM import_job
WHERE state = 'running' AND heartbeat_at < NOW(6) - INTERVAL %(seconds)s SECOND

-- name: count_in
-- How many jobs are in one state, up to `bound`; one more than it stands for more. Passing rows over costs less than putting them
-- into a list and counting that, so they are counted only where they end before. One part of a statement.
COALESCE(
  (SELECT %(bound)s + 1 FROM import_job FORCE INDEX (ended) WHERE state = '{state}' LIMIT 1 OFFSET %(bound)s),
  (SELECT COUNT(*) FROM import_job FORCE INDEX (ended) WHERE state = '{state}')
) AS {state}

-- name: glance
-- What waits and since when, what runs and what failed lately, counted as above.
SELECT COALESCE(
         (SELECT %(bound)s + 1 FROM import_job FORCE INDEX (ended) WHERE state = 'queued' LIMIT 1 OFFSET %(bound)s),
         (SELECT COUNT(*) FROM import_job FORCE INDEX (ended) WHERE state = 'queued')
       ) AS queued,
       COALESCE(
         (SELECT %(bound)s + 1 FROM import_job FORCE INDEX (ended) WHERE state = 'running' LIMIT 1 OFFSET %(bound)s),
         (SELECT COUNT(*) FROM import_job FORCE INDEX (ended) WHERE state = 'running')
       ) AS running,
       COALESCE(
         (SELECT %(bound)s + 1 FROM import_job FORCE INDEX (ended)
          WHERE state = 'failed' AND finished_at >= NOW(6) - INTERVAL %(hours)s HOUR LIMIT 1 OFFSET %(bound)s),
         (SELECT COUNT(*) FROM import_job FORCE INDEX (ended)
          WHERE state = 'failed' AND finished_at >= NOW(6) - INTERVAL %(hours)s HOUR)
       ) AS failed,
       (SELECT queued_at FROM import_job FORCE INDEX (ended)
        WHERE state = 'queued' AND finished_at IS NULL ORDER BY id LIMIT 1) AS oldest, NOW(6) AS now

-- name: now
-- The database's time; also the cheapest question there is.
SELECT NOW(6) AS now

-- name: census
-- How many jobs are in each state, to the last one.
SELECT state, COUNT(*) AS jobs FROM import_job GROUP BY state

-- The following are completed by queue.py: {beyond} is > or <, {way} ASC or DESC, as the page goes on or back.

-- name: line
-- The queued or running jobs beyond a place in the order in which they are claimed, with their bundles.
SELECT j.*, b.sync_id, b.sync_type, b.action, NOW(6) AS now
FROM import_job j FORCE INDEX (claim) JOIN ingest_batch b ON b.id = j.batch_id
WHERE j.state = %(state)s
  AND (j.priority {beyond} %(priority)s OR (j.priority = %(priority)s AND j.id {beyond} %(id)s))
ORDER BY j.priority {way}, j.id {way} LIMIT %(limit)s

-- name: ended
-- The jobs that ended beyond a place in time, with their bundles.
SELECT j.*, b.sync_id, b.sync_type, b.action, b.status, NOW(6) AS now
FROM import_job j FORCE INDEX (finished) JOIN ingest_batch b ON b.id = j.batch_id
WHERE j.finished_at {beyond} %(at)s OR (j.finished_at = %(at)s AND j.id {beyond} %(id)s)
ORDER BY j.finished_at {way}, j.id {way} LIMIT %(limit)s

-- name: ended_in_state
-- The same for one outcome.
SELECT j.*, b.sync_id, b.sync_type, b.action, b.status, NOW(6) AS now
FROM import_job j FORCE INDEX (ended) JOIN ingest_batch b ON b.id = j.batch_id
WHERE j.state = %(state)s AND (j.finished_at {beyond} %(at)s OR (j.finished_at = %(at)s AND j.id {beyond} %(id)s))
ORDER BY j.finished_at {way}, j.id {way} LIMIT %(limit)s

-- name: marks
-- When the running job of a batch was claimed and how far it was then, and its latest events of progress; one part of a
-- statement for several batches.
(SELECT id, batch_id, payload, created_at FROM ingest_event
 WHERE batch_id = {batch_id} AND event_type = 'job_claimed' ORDER BY id DESC LIMIT 1)
UNION ALL
(SELECT id, batch_id, payload, created_at FROM ingest_event
 WHERE batch_id = {batch_id} AND event_type = 'job_progress' ORDER BY id DESC LIMIT %(limit)s)
