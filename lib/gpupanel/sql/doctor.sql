-- name: stale_jobs
-- Running jobs with a stale heartbeat, or with a stale claim and no heartbeat; any worker requeues them.
SELECT id, worker, heartbeat_at FROM import_job
WHERE state = 'running' AND COALESCE(heartbeat_at, claimed_at) < NOW(6) - INTERVAL %(seconds)s SECOND
    + INTERVAL IF(RIGHT(claim_token, 8) = BINARY LEFT(SHA2(worker, 256), 8), 0, %(perl_offset)s) SECOND
ORDER BY heartbeat_at LIMIT %(limit)s

-- name: running_without_claim
-- Running jobs without the time of a claim or a heartbeat, which a worker gives the present time.
SELECT id, worker FROM import_job WHERE state = 'running' AND heartbeat_at IS NULL AND claimed_at IS NULL
LIMIT %(limit)s

-- name: status_mismatch
-- Queued, held and running jobs whose batch has another status.
SELECT j.id, j.state, b.sync_id, b.status FROM import_job j JOIN ingest_batch b ON b.id = j.batch_id
WHERE j.state IN ('queued', 'held', 'running') AND b.status <> IF(j.state = 'running', 'importing', 'queued')
LIMIT %(limit)s

-- name: batches_without_job
-- Queued and importing batches without an active job.
SELECT b.sync_id, b.status FROM ingest_batch b LEFT JOIN import_job j ON j.active_batch_id = b.id
WHERE b.status IN ('queued', 'importing') AND j.id IS NULL
LIMIT %(limit)s

-- name: waiting
-- The first job that has been queued for too long. A job that no event of this system names was queued by another program,
-- `perl_offset` seconds ahead of UTC.
SELECT j.id, j.queued_at FROM import_job j FORCE INDEX (claim)
WHERE j.state = 'queued' AND j.queued_at < NOW(6) - INTERVAL %(seconds)s SECOND + INTERVAL IF(%(perl_offset)s = 0 OR EXISTS (
    SELECT 1 FROM ingest_event e FORCE INDEX (kind) WHERE e.batch_id = j.batch_id AND e.event_type = 'job_queued'
      AND e.actor <> '' AND JSON_VALUE(e.payload, '$.job_id') = j.id), 0, %(perl_offset)s) SECOND
ORDER BY j.priority, j.id LIMIT 1

-- name: held_long
-- Jobs whose bundle has been away for a day.
SELECT id, held_at FROM import_job FORCE INDEX (due)
WHERE state = 'held' AND not_before IS NOT NULL AND hold = 'bundle' AND held_at < NOW(6) - INTERVAL %(seconds)s SECOND
LIMIT %(limit)s
