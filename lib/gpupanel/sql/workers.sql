-- name: slots
-- Lock the slots of a host; `is_free` where the worker has ended or has not been seen for `late` seconds.
SELECT slot, (ended_at IS NOT NULL OR seen_at < NOW(6) - INTERVAL %(late)s SECOND) AS is_free
FROM import_worker WHERE host = %(host)s ORDER BY slot FOR UPDATE

-- name: add
-- Add a slot.
INSERT INTO import_worker (host, slot, pid, boot, version) VALUES (%(host)s, %(slot)s, %(pid)s, %(boot)s, %(version)s)

-- name: take
-- Take a free slot.
UPDATE import_worker
SET pid = %(pid)s, boot = %(boot)s, version = %(version)s, started_at = NOW(6), seen_at = NOW(6), state = 'idle',
    job_id = NULL, mount_ok = NULL, ended_at = NULL
WHERE host = %(host)s AND slot = %(slot)s

-- name: beat
-- Write a worker's heartbeat; no row is found when another worker took its slot.
UPDATE import_worker SET seen_at = NOW(6), state = %(state)s, job_id = %(job_id)s, mount_ok = %(mount_ok)s
WHERE host = %(host)s AND slot = %(slot)s AND boot = %(boot)s AND ended_at IS NULL

-- name: end
-- Record a clean end.
UPDATE import_worker SET ended_at = NOW(6), seen_at = NOW(6), state = 'idle', job_id = NULL
WHERE host = %(host)s AND slot = %(slot)s AND boot = %(boot)s

-- name: latest
-- The workers that were seen last, and for how long they have not been seen.
SELECT host, slot, pid, version, state, job_id, mount_ok, started_at, seen_at, ended_at,
       TIMESTAMPDIFF(MICROSECOND, seen_at, NOW(6)) / 1000000 AS age,
       ended_at IS NULL AND seen_at < NOW(6) - INTERVAL %(late)s SECOND AS is_late
FROM import_worker FORCE INDEX (seen) ORDER BY seen_at DESC LIMIT %(limit)s

-- name: presence
-- How many workers beat, when one was seen last, and who paused the queue.
-- A running job with a young heartbeat whose worker has no slot counts as one (the Perl worker).
SELECT (SELECT COUNT(*) FROM import_worker FORCE INDEX (seen)
        WHERE seen_at >= NOW(6) - INTERVAL %(late)s SECOND AND ended_at IS NULL)
     + (SELECT COUNT(*) FROM import_job j FORCE INDEX (heartbeat)
        WHERE j.state = 'running' AND j.heartbeat_at >= NOW(6) - INTERVAL %(late)s SECOND
            + INTERVAL IF(RIGHT(j.claim_token, 8) = BINARY LEFT(SHA2(j.worker, 256), 8), 0, %(perl_offset)s) SECOND
          AND NOT EXISTS (
            SELECT 1 FROM import_worker w FORCE INDEX (PRIMARY)
            WHERE w.host = CONVERT(SUBSTRING_INDEX(j.worker, ':', 1) USING utf8mb4) COLLATE utf8mb4_bin
              AND w.pid = SUBSTRING_INDEX(j.worker, ':', -1))) AS alive,
       NULLIF(GREATEST(
         COALESCE((SELECT MAX(seen_at) FROM import_worker), TIMESTAMP('1000-01-01')),
         COALESCE((SELECT MAX(heartbeat_at - INTERVAL IF(RIGHT(claim_token, 8) = BINARY LEFT(SHA2(worker, 256), 8), 0, %(perl_offset)s) SECOND)
                   FROM import_job FORCE INDEX (heartbeat) WHERE state = 'running'), TIMESTAMP('1000-01-01'))
       ), TIMESTAMP('1000-01-01')) AS seen_at, NOW(6) AS now, c.paused_by, c.reason, c.since
FROM (SELECT 1 AS id) one LEFT JOIN queue_control c ON c.id = one.id AND c.paused

-- name: foreign_claim
-- The latest job that a worker of another program claimed within some days: one that runs or waits again, or one that has
-- ended. Ours write a token with each claim, which ends in a digest of the worker's name, and an event; another program
-- leaves the token of an earlier claim as it is. Its times are `perl_offset` seconds ahead of UTC.
(SELECT id, worker, claim_token, queued_at, claimed_at, heartbeat_at, finished_at FROM import_job j FORCE INDEX (claim)
 WHERE state IN ('running', 'queued', 'held') AND (worker IS NOT NULL OR state = 'running')
   AND NOT RIGHT(claim_token, 8) <=> BINARY LEFT(SHA2(worker, 256), 8)
   AND COALESCE(heartbeat_at, claimed_at, NOW(6)) >= NOW(6) - INTERVAL %(days)s DAY + INTERVAL %(perl_offset)s SECOND
   AND NOT EXISTS (SELECT 1 FROM ingest_event e FORCE INDEX (kind)
                   WHERE e.batch_id = j.batch_id AND e.event_type = 'job_claimed' AND e.actor = j.worker)
 ORDER BY id DESC LIMIT 1)
UNION ALL
(SELECT id, worker, claim_token, queued_at, claimed_at, heartbeat_at, finished_at FROM import_job j FORCE INDEX (finished)
 WHERE finished_at >= NOW(6) - INTERVAL %(days)s DAY + INTERVAL %(perl_offset)s SECOND AND worker IS NOT NULL
   AND NOT RIGHT(claim_token, 8) <=> BINARY LEFT(SHA2(worker, 256), 8)
   AND NOT EXISTS (SELECT 1 FROM ingest_event e FORCE INDEX (kind)
                   WHERE e.batch_id = j.batch_id AND e.event_type = 'job_claimed' AND e.actor = j.worker)
 ORDER BY finished_at DESC, id DESC LIMIT 1)
LIMIT 1
