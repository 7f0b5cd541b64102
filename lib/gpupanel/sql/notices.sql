-- name: add
-- Add a notice, in the transaction of its event.
INSERT INTO ingest_notice (batch_id, event_id, kind) VALUES (%(batch_id)s, %(event_id)s, %(kind)s)

-- name: stalled
-- Batches of running jobs without a heartbeat, for whose claim there is no notice yet. The times of a job that another
-- program claimed are `perl_offset` seconds ahead of UTC (lib/gpupanel/perl_time.py).
SELECT j.batch_id FROM import_job j FORCE INDEX (heartbeat)
WHERE j.state = 'running' AND COALESCE(j.heartbeat_at, j.claimed_at) < NOW(6) - INTERVAL %(seconds)s SECOND
    + INTERVAL IF(RIGHT(j.claim_token, 8) = BINARY LEFT(SHA2(j.worker, 256), 8), 0, %(perl_offset)s) SECOND
  AND NOT EXISTS (
    SELECT 1 FROM ingest_notice n FORCE INDEX (told)
    WHERE n.kind = 'stalled' AND n.batch_id = j.batch_id AND n.created_at > COALESCE(j.claimed_at, j.heartbeat_at)
        - INTERVAL IF(RIGHT(j.claim_token, 8) = BINARY LEFT(SHA2(j.worker, 256), 8), 0, %(perl_offset)s) SECOND)
LIMIT 100

-- name: unclaimed
-- Batch of the oldest queued job, if it waits for `seconds` and no notice of the kind was added since a time. A job that no
-- event of this system names was queued by another program, `perl_offset` seconds ahead of UTC.
SELECT batch_id FROM (
  SELECT id, batch_id, queued_at FROM import_job FORCE INDEX (ended)
  WHERE state = 'queued' AND finished_at IS NULL ORDER BY id LIMIT 1
) oldest
WHERE queued_at < NOW(6) - INTERVAL %(seconds)s SECOND + INTERVAL IF(%(perl_offset)s = 0 OR EXISTS (
    SELECT 1 FROM ingest_event e FORCE INDEX (kind) WHERE e.batch_id = oldest.batch_id AND e.event_type = 'job_queued'
      AND e.actor <> '' AND JSON_VALUE(e.payload, '$.job_id') = oldest.id), 0, %(perl_offset)s) SECOND
  AND NOT EXISTS (SELECT 1 FROM ingest_notice FORCE INDEX (told) WHERE kind = %(kind)s AND created_at > %(since)s)

-- name: unsent
-- The oldest notices that a channel has not sent; {column} is that of the channel.
SELECT id, batch_id, kind, not_before, NOW(6) AS now FROM ingest_notice FORCE INDEX (unsent)
WHERE sent_at IS NULL AND {column} IS NULL ORDER BY id LIMIT %(limit)s

-- name: active_jobs
-- The state of the active job of each notice's batch, NULL without one, and whether its heartbeat is old.
SELECT n.id, j.state,
       j.state = 'running' AND COALESCE(j.heartbeat_at, j.claimed_at) < NOW(6) - INTERVAL %(seconds)s SECOND
           + INTERVAL IF(RIGHT(j.claim_token, 8) = BINARY LEFT(SHA2(j.worker, 256), 8), 0, %(perl_offset)s) SECOND AS is_stale
FROM ingest_notice n LEFT JOIN import_job j ON j.active_batch_id = n.batch_id
WHERE n.id IN %(ids)s

-- name: details
-- Batch, event and active job of these notices, and what names the batch: its first container or item.
SELECT n.id, n.kind, n.created_at, b.sync_id, b.last_error, e.payload, e.actor, j.id AS job_id, j.worker,
       j.heartbeat_at - INTERVAL IF(RIGHT(j.claim_token, 8) = BINARY LEFT(SHA2(j.worker, 256), 8), 0, %(perl_offset)s) SECOND AS heartbeat_at,
       (SELECT title FROM ingest_batch_container FORCE INDEX (position)
        WHERE batch_id = b.id ORDER BY position, id LIMIT 1) AS container_title,
       (SELECT item_title FROM ingest_batch_item FORCE INDEX (position)
        WHERE batch_id = b.id ORDER BY position, id LIMIT 1) AS item_title
FROM ingest_notice n JOIN ingest_batch b ON b.id = n.batch_id
LEFT JOIN ingest_event e ON e.id = n.event_id
LEFT JOIN import_job j ON j.active_batch_id = n.batch_id
WHERE n.id IN %(ids)s

-- name: mark_mailed
-- Write that the mail server accepted these notices.
UPDATE ingest_notice SET mailed_at = NOW(6), last_error = NULL WHERE id IN %(ids)s

-- name: mark_posted
-- Write that the web hook accepted these notices.
UPDATE ingest_notice SET posted_at = NOW(6), last_error = NULL WHERE id IN %(ids)s

-- name: mark_sent
-- End the notices that each channel which is set up has sent.
UPDATE ingest_notice SET sent_at = NOW(6)
WHERE id IN %(ids)s AND sent_at IS NULL AND (mailed_at IS NOT NULL OR NOT %(mails)s)
  AND (posted_at IS NOT NULL OR NOT %(posts)s)

-- name: mark_over
-- End notices of conditions that ended before they were told.
UPDATE ingest_notice SET sent_at = NOW(6), last_error = 'over before it was told'
WHERE id IN %(ids)s AND sent_at IS NULL

-- name: mark_failed
-- Count a failed attempt.
UPDATE ingest_notice
SET not_before = NOW(6) + INTERVAL LEAST(60 << LEAST(attempts, 6), 3600) SECOND, attempts = attempts + 1,
    last_error = %(problem)s
WHERE id IN %(ids)s AND sent_at IS NULL

-- name: backlog
-- Number of unsent notices, counted up to `limit`, and the age of the oldest in seconds. Holds may wait for their end.
SELECT (SELECT COUNT(*) FROM (SELECT 1 FROM ingest_notice FORCE INDEX (unsent)
                              WHERE sent_at IS NULL AND kind <> 'held' LIMIT %(limit)s) bounded) AS notices,
       TIMESTAMPDIFF(MICROSECOND, (SELECT created_at FROM ingest_notice FORCE INDEX (unsent)
                                   WHERE sent_at IS NULL AND kind <> 'held' ORDER BY id LIMIT 1), NOW(6)) / 1000000 AS age
