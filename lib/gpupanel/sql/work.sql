-- name: claim
-- Take the job that one of the three below finds, unless somebody holds it: the job, its batch and the event, in one question.
-- Completed by claims.py: {find} is that one, and braces of JSON are doubled. Nothing is taken when the batch is in a status that does not belong to a queued job.
BEGIN NOT ATOMIC
  DECLARE job, batch, attempt, done, total BIGINT UNSIGNED;
  DECLARE place INT;
  DECLARE taken INT DEFAULT 0;
  {find}
  IF job IS NOT NULL THEN
    SELECT batch_id, priority, attempts + 1, items_done, items_total INTO batch, place, attempt, done, total
    FROM import_job WHERE id = job;
    UPDATE ingest_batch SET status = 'importing' WHERE id = batch AND status = 'queued';
    SET taken = ROW_COUNT();
  END IF;
  IF taken THEN
    UPDATE import_job
    SET state = 'running', worker = %(worker)s, claim_token = %(token)s, attempts = attempt, claimed_at = NOW(6),
        heartbeat_at = NOW(6), last_error = NULL
    WHERE id = job;
    INSERT INTO ingest_event (batch_id, event_type, payload, actor)
    VALUES (batch, 'job_claimed', CONCAT('{{"attempt":', attempt, ',"items_done":', done, ',"items_total":', total,
            ',"job_id":', job, ',"phase":"job_claim","worker":', %(quoted_worker)s, '}}'), %(worker)s);
  END IF;
  SELECT job AS job_id, batch AS batch_id, (SELECT sync_id FROM ingest_batch WHERE id = batch) AS sync_id, place AS priority,
         attempt AS attempts, done AS items_done, total AS items_total, taken;
END

-- name: first
-- The first queued job in line. The index is named since any other plan would lock the queue.
SELECT id INTO job FROM import_job FORCE INDEX (claim)
WHERE state = 'queued' AND id NOT IN %(aside)s
ORDER BY priority, id LIMIT 1 FOR UPDATE SKIP LOCKED;

-- name: first_past
-- The first one past another. What was taken lately leaves entries in the index that the server has not cleared away yet; a look
-- from the front walks over all of them. Where the line ends, a look that locks would lock the entry behind it, a running
-- job's; so one that does not comes first. In the form `(priority, id) > (...)` the server would not use the id.
SELECT id INTO job FROM import_job FORCE INDEX (claim)
WHERE state = 'queued' AND (priority = %(priority)s AND id > %(past)s OR priority > %(priority)s) AND id NOT IN %(aside)s
LIMIT 1;
IF job IS NOT NULL THEN
  SET job = NULL;
  SELECT id INTO job FROM import_job FORCE INDEX (claim)
  WHERE state = 'queued' AND (priority = %(priority)s AND id > %(past)s OR priority > %(priority)s) AND id NOT IN %(aside)s
  ORDER BY priority, id LIMIT 1 FOR UPDATE SKIP LOCKED;
END IF;

-- name: chosen
-- One that was chosen among several.
SELECT id INTO job FROM import_job WHERE id = %(choice)s AND state = 'queued' FOR UPDATE SKIP LOCKED;

-- name: in_line
-- The jobs that are next, whoever holds them. The nodes of a Galera cluster share them out by id: `elsewhere` is 0 where
-- this one is of the node that answers, and always where there is but one.
SELECT id, priority,
       id DIV @@global.auto_increment_increment MOD @@global.auto_increment_increment
         <> @@global.auto_increment_offset - 1 AS elsewhere
FROM import_job FORCE INDEX (claim)
WHERE state = 'queued' AND id NOT IN %(aside)s
ORDER BY priority, id LIMIT %(limit)s

-- name: claimed
-- The job that this token claimed, whatever became of it.
SELECT j.id AS job_id, j.batch_id, b.sync_id, j.claim_token AS token, j.worker, j.priority, j.attempts, j.items_done, j.items_total,
       j.state
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
-- The job ended, one way or the other: job, batch and event in one question. It gives up when the claim was lost.
BEGIN NOT ATOMIC
  UPDATE import_job SET state = %(state)s, finished_at = NOW(6), last_error = %(reason)s
  WHERE id = %(job_id)s AND claim_token = %(token)s AND state = 'running';
  IF NOT ROW_COUNT() THEN
    SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 31000, MESSAGE_TEXT = 'the claim was lost';
  END IF;
  UPDATE ingest_batch SET status = %(status)s, completed_at = NOW(6), last_error = %(reason)s WHERE id = %(batch_id)s;
  INSERT INTO ingest_event (batch_id, event_type, payload, actor)
  VALUES (%(batch_id)s, %(event_type)s, %(payload)s, %(worker)s);
END

-- name: refuse
-- A queued job that cannot be run.
UPDATE import_job SET state = 'failed', finished_at = NOW(6), last_error = %(reason)s
WHERE id = %(job_id)s AND state = 'queued'

-- name: stale
-- Running jobs whose worker has been silent for longer than the threshold.
SELECT j.id, b.sync_id FROM import_job j JOIN ingest_batch b ON b.id = j.batch_id
WHERE j.state = 'running' AND j.heartbeat_at < NOW(6) - INTERVAL %(seconds)s SECOND
ORDER BY j.heartbeat_at LIMIT 100

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
