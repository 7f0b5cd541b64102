-- name: plan
-- Insert or update plans of containers; the members that an earlier job went through count no more.
INSERT INTO ingest_batch_container (batch_id, position, type, container_hash, container_digest, target_digest, title,
                                    cover_hash, decision, planned, reason, changes, members, missing, missing_count,
                                    target_id, last_error)
VALUES (%(batch_id)s, %(position)s, %(type)s, %(container_hash)s, %(container_digest)s, %(target_digest)s, %(title)s,
        %(cover_hash)s, %(decision)s, %(decision)s, %(reason)s, %(changes)s, %(members)s, %(missing)s,
        %(missing_count)s, %(target_id)s, %(last_error)s)
ON DUPLICATE KEY UPDATE
  position = VALUES(position), container_digest = VALUES(container_digest), target_digest = VALUES(target_digest),
  title = VALUES(title), cover_hash = VALUES(cover_hash), decision = VALUES(decision), planned = VALUES(planned),
  reason = VALUES(reason), changes = VALUES(changes), members = VALUES(members), members_done = 0,
  missing = VALUES(missing), missing_count = VALUES(missing_count), target_id = VALUES(target_id),
  last_error = VALUES(last_error), job_id = NULL

-- name: listed
-- Keys of the containers that are not withdrawn.
SELECT id, type, container_hash FROM ingest_batch_container WHERE batch_id = %(batch_id)s AND decision <> 'withdrawn'

-- name: withdraw
-- Mark containers as withdrawn.
UPDATE ingest_batch_container
SET decision = 'withdrawn', planned = NULL, reason = %(reason)s, job_id = NULL, members_done = 0
WHERE id IN %(ids)s

-- name: planned
-- The plans of some containers of a batch, without withdrawn ones.
SELECT id, type, container_hash, container_digest, target_digest, planned, decision, changes, members, members_done,
       job_id
FROM ingest_batch_container
WHERE batch_id = %(batch_id)s AND type = %(type)s AND container_hash IN %(hashes)s AND decision <> 'withdrawn'

-- name: settle
-- Write what a job did with containers, or how far it is; the plan stays. A container without a row is inserted.
INSERT INTO ingest_batch_container (batch_id, position, type, container_hash, title, cover_hash, decision, reason, changes,
                                    members, members_done, missing, missing_count, target_id, last_error, job_id)
VALUES (%(batch_id)s, %(position)s, %(type)s, %(container_hash)s, %(title)s, %(cover_hash)s, %(decision)s, %(reason)s,
        %(changes)s, %(members)s, %(members_done)s, %(missing)s, %(missing_count)s, %(target_id)s, %(last_error)s,
        %(job_id)s)
ON DUPLICATE KEY UPDATE
  decision = VALUES(decision), reason = VALUES(reason), changes = VALUES(changes), members_done = VALUES(members_done),
  missing = VALUES(missing), missing_count = VALUES(missing_count), target_id = VALUES(target_id),
  last_error = VALUES(last_error), job_id = VALUES(job_id)

-- name: advance
-- Write how many members of a container a job went through; the last step settles it.
UPDATE ingest_batch_container
SET members_done = %(members_done)s, job_id = %(job_id)s, decision = COALESCE(%(decision)s, decision)
WHERE batch_id = %(batch_id)s AND type = %(type)s AND container_hash = %(container_hash)s

-- name: counts
-- Number of containers of each decision, without withdrawn ones.
SELECT decision, COUNT(*) AS containers FROM ingest_batch_container FORCE INDEX (decision)
WHERE batch_id = %(batch_id)s AND decision <> 'withdrawn'
GROUP BY decision

-- name: page
-- Containers of a batch from position `start` on.
SELECT * FROM ingest_batch_container
WHERE batch_id = %(batch_id)s AND position >= %(start)s
ORDER BY position, id LIMIT %(limit)s

-- name: result_of_job
-- What a job has recorded of a container.
SELECT id, decision FROM ingest_result
WHERE job_id = %(job_id)s AND kind = %(kind)s AND hash = %(hash)s

-- name: settled
-- Keys of the containers that a job has processed successfully since they were planned.
SELECT type, container_hash FROM ingest_batch_container FORCE INDEX (decision)
WHERE batch_id = %(batch_id)s AND decision IN ('created', 'updated', 'linked', 'skipped', 'removed', 'unlinked')
