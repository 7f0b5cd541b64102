-- name: recorded
-- Those of these bundles that a scan need not read again; skipped ones, failed preflights and those that upstream
-- replaced are left out.
SELECT sync_id FROM ingest_batch
WHERE sync_id IN %(sync_ids)s AND status <> 'preflight_failed'
  AND NOT (status = 'discovered' AND last_error IS NOT NULL) AND changed_at IS NULL

-- name: skipped_states
-- State of the manifests of those of these bundles that were skipped and whose manifests are costly to read.
SELECT sync_id, status, last_error, skipped_state FROM ingest_batch
WHERE sync_id IN %(sync_ids)s AND skipped_state IS NOT NULL

-- name: note_skipped_state
-- Write the state of the manifest of a skipped bundle.
UPDATE ingest_batch SET skipped_state = %(state)s WHERE id = %(batch_id)s

-- name: discover
-- Insert the batch of a new bundle.
INSERT INTO ingest_batch (sync_id, sync_type, action, item_count, total_bytes, source_host, manifest_sha256,
                          manifest_summary, container_count, prior_sync_id, last_error)
VALUES (%(sync_id)s, %(sync_type)s, %(action)s, %(item_count)s, %(total_bytes)s, %(source_host)s, %(manifest_sha256)s,
        %(manifest_summary)s, %(container_count)s, %(prior_sync_id)s, %(last_error)s)

-- name: facts
-- Write the columns that come from the manifest.
UPDATE ingest_batch
SET sync_type = %(sync_type)s, action = %(action)s, item_count = %(item_count)s, total_bytes = %(total_bytes)s,
    source_host = %(source_host)s, manifest_sha256 = %(manifest_sha256)s, manifest_summary = %(manifest_summary)s,
    container_count = %(container_count)s, prior_sync_id = %(prior_sync_id)s, last_error = %(last_error)s
WHERE id = %(batch_id)s

-- name: note_names
-- Write what names a bundle before its preflight.
UPDATE ingest_batch
SET scan_title = %(scan_title)s, scan_container = %(scan_container)s, scan_path = %(scan_path)s,
    scan_picture = %(scan_picture)s
WHERE id = %(batch_id)s

-- name: note_problem
-- Write why a scan passed over a batch whose facts are kept.
UPDATE ingest_batch SET last_error = %(last_error)s WHERE id = %(batch_id)s

-- name: was_planned
-- Whether a batch was imported or queued, or a preflight planned an entry of it that would not fail.
SELECT b.imported_at IS NOT NULL
    OR EXISTS (SELECT 1 FROM import_job WHERE batch_id = b.id)
    OR EXISTS (SELECT 1 FROM ingest_batch_item FORCE INDEX (decision)
               WHERE batch_id = b.id AND decision NOT IN ('will_fail', 'withdrawn'))
    OR EXISTS (SELECT 1 FROM ingest_batch_container
               WHERE batch_id = b.id AND decision NOT IN ('will_fail', 'withdrawn')) AS planned
FROM ingest_batch b WHERE b.id = %(batch_id)s

-- name: discover_again
-- Reset a skipped bundle, or a failed preflight with another manifest that was never planned, to discovered.
UPDATE ingest_batch SET status = 'discovered', started_at = NULL WHERE id = %(batch_id)s

-- name: lock
-- Lock one batch until the transaction ends.
SELECT * FROM ingest_batch WHERE sync_id = %(sync_id)s FOR UPDATE

-- name: lock_by_id
-- Lock the batch of a job until the transaction ends.
SELECT * FROM ingest_batch WHERE id = %(batch_id)s FOR UPDATE

-- name: batch
-- One batch, with the file of its latest archive.
SELECT b.*, (SELECT file FROM ingest_archive WHERE batch_id = b.id AND restored_at IS NULL ORDER BY id DESC LIMIT 1)
            AS archive_file
FROM ingest_batch b WHERE b.sync_id = %(sync_id)s

-- name: has_archived_results
-- Whether an archive holds results of a batch.
SELECT 1 FROM ingest_archive WHERE batch_id = %(batch_id)s AND restored_at IS NULL LIMIT 1

-- name: progress
-- Status of these batches, with their latest job and an open preflight request. `silent_seconds` is the time since the last
-- heartbeat of a running job; times of a job that another program claimed are `perl_offset` seconds ahead of UTC.
SELECT b.sync_id, b.status, b.last_error, j.id AS job_id, j.state AS job_state, j.hold_reason, j.items_done,
       j.items_total, r.state AS preflight_state, j.worker,
       IF(j.state = 'running', TIMESTAMPDIFF(SECOND, COALESCE(j.heartbeat_at, j.claimed_at), NOW(6)
         + INTERVAL IF(RIGHT(j.claim_token, 8) = BINARY LEFT(SHA2(j.worker, 256), 8), 0, %(perl_offset)s) SECOND), NULL)
         AS silent_seconds
FROM ingest_batch b
LEFT JOIN import_job j
  ON j.id = (SELECT latest.id FROM import_job latest WHERE latest.batch_id = b.id ORDER BY latest.id DESC LIMIT 1)
LEFT JOIN preflight_request r ON r.batch_id = b.id AND r.state IN ('queued', 'running')
WHERE b.sync_id IN %(sync_ids)s

-- name: stamp
-- Values that change with each transaction that writes to a batch: it updates the batch or its active job.
SELECT b.id, b.updated_at, j.id AS job_id, j.state, j.priority, j.heartbeat_at, j.items_done,
       (SELECT id FROM ingest_event WHERE batch_id = b.id ORDER BY id DESC LIMIT 1) AS event_id,
       (SELECT MAX(updated_at) FROM ingest_batch u FORCE INDEX (by_undo) WHERE u.undo_of = b.id) AS undo_at
FROM ingest_batch b LEFT JOIN import_job j ON j.active_batch_id = b.id
WHERE b.sync_id = %(sync_id)s

-- name: handed_over
-- When upstream completed these bundles, from their manifests, their priors, and their position where it is fixed.
SELECT sync_id, source_at, JSON_VALUE(manifest_summary, '$.completed_at') AS handed_over,
       COALESCE(prior_sync_id, JSON_VALUE(manifest_summary, '$.prior_sync_id')) AS prior_sync_id
FROM ingest_batch WHERE sync_id IN %(sync_ids)s

-- name: count
-- Number of batches, counted up to `limit`.
SELECT COUNT(*) AS batches FROM (SELECT 1 FROM ingest_batch LIMIT %(limit)s) bounded

-- name: set_status
-- Write the status of a batch.
UPDATE ingest_batch SET status = %(status)s WHERE id = %(batch_id)s

-- name: imported_since_plan
-- Those of some batches that a worker imported, or began to, since this batch was planned.
-- The Perl worker writes times in whole seconds, which may be up to a second early.
SELECT b.id FROM ingest_batch own JOIN ingest_batch b ON b.id IN %(ids)s
WHERE own.id = %(batch_id)s AND (
  own.started_at IS NULL OR b.completed_at >= own.started_at - INTERVAL 1 SECOND OR EXISTS (
    SELECT 1 FROM import_job j
    WHERE j.batch_id = b.id AND j.claimed_at IS NOT NULL
    AND (j.state IN ('queued', 'running', 'held') OR j.finished_at >= own.started_at - INTERVAL 1 SECOND)
  )
)

-- name: preflighted
-- Write the result of a preflight.
UPDATE ingest_batch
SET status = %(status)s, started_at = NOW(6), completed_at = NULL, last_error = %(last_error)s, changed_at = NULL,
    changed_sha256 = NULL, archived_at = NULL
WHERE id = %(batch_id)s

-- name: withhold
-- Mark the stored plan of a batch as one that no person has seen, and say why.
UPDATE ingest_batch SET changed_at = NOW(6), changed_sha256 = %(sha256)s, last_error = %(reason)s
WHERE id = %(batch_id)s

-- name: place
-- Write the position of a batch in upstream's order.
UPDATE ingest_batch
SET source_at = %(source_at)s, although_older = %(although_older)s
WHERE id = %(batch_id)s

-- name: planned
-- Write the number of items of each planned decision.
UPDATE ingest_batch SET plan = %(plan)s WHERE id = %(batch_id)s

-- name: finished
-- Write the end of an import.
UPDATE ingest_batch
SET status = %(status)s, completed_at = NOW(6), last_error = %(last_error)s
WHERE id = %(batch_id)s

-- name: plan_items
-- Insert or update plans of items; the result of an earlier job moves to earlier... (assignments run in order).
INSERT INTO ingest_batch_item (batch_id, position, asset_type, asset_hash, cover_hash, decision, planned, reason,
                               changes, asset_id, cover_id, last_error, path, picture, empties, item_digest,
                               target_digest, item_title)
VALUES (%(batch_id)s, %(position)s, %(asset_type)s, %(asset_hash)s, %(cover_hash)s, %(decision)s, %(decision)s,
        %(reason)s, %(changes)s, %(asset_id)s, %(cover_id)s, %(last_error)s, %(path)s, %(picture)s, %(empties)s,
        %(item_digest)s, %(target_digest)s, %(item_title)s)
ON DUPLICATE KEY UPDATE
  earlier = IF(job_id IS NULL, earlier, decision), earlier_reason = IF(job_id IS NULL, earlier_reason, reason),
  earlier_job_id = COALESCE(job_id, earlier_job_id), path = VALUES(path), picture = VALUES(picture),
  position = VALUES(position), cover_hash = VALUES(cover_hash), decision = VALUES(decision),
  planned = VALUES(planned), reason = VALUES(reason), changes = VALUES(changes), asset_id = VALUES(asset_id),
  cover_id = VALUES(cover_id), last_error = VALUES(last_error), job_id = NULL, empties = VALUES(empties), differs = NULL,
  item_digest = VALUES(item_digest), target_digest = VALUES(target_digest), item_title = VALUES(item_title)

-- name: settle_items
-- Write the results of items beside their plans, and mark in `differs` where the two differ.
-- The result of another job moves to earlier... The id finds an existing row first; the other key would cost an index insert.
INSERT INTO ingest_batch_item (id, batch_id, position, asset_type, asset_hash, cover_hash, decision, reason, changes,
                               asset_id, cover_id, last_error, job_id, empties)
VALUES (%(id)s, %(batch_id)s, %(position)s, %(asset_type)s, %(asset_hash)s, %(cover_hash)s, %(decision)s, %(reason)s,
        %(changes)s, %(asset_id)s, %(cover_id)s, %(last_error)s, %(job_id)s, %(empties)s)
ON DUPLICATE KEY UPDATE
  earlier = IF(COALESCE(job_id, VALUES(job_id)) = VALUES(job_id), earlier, decision),
  earlier_reason = IF(COALESCE(job_id, VALUES(job_id)) = VALUES(job_id), earlier_reason, reason),
  earlier_job_id = IF(COALESCE(job_id, VALUES(job_id)) = VALUES(job_id), earlier_job_id, job_id),
  position = VALUES(position), cover_hash = VALUES(cover_hash), decision = VALUES(decision), reason = VALUES(reason),
  changes = VALUES(changes), asset_id = VALUES(asset_id), cover_id = VALUES(cover_id),
  last_error = VALUES(last_error), job_id = VALUES(job_id), empties = VALUES(empties),
  differs = IF(planned <> ELT(FIELD(VALUES(decision), 'created', 'updated', 'linked', 'skipped', 'removed', 'failed',
                                    'unlinked'),
                              'will_create', 'will_update', 'will_link', 'will_skip', 'will_remove', 'will_fail',
                              'will_unlink'), 1, NULL)

-- name: planned_items
-- Plan, decision and job of some items of a batch.
SELECT id, asset_type, asset_hash, planned, decision, job_id, changes, item_digest, target_digest
FROM ingest_batch_item FORCE INDEX (item)
WHERE batch_id = %(batch_id)s AND asset_type = %(asset_type)s AND asset_hash IN %(hashes)s AND decision <> 'withdrawn'

-- name: plan_of_batch
-- Plan, decision and job of the first items of a batch.
SELECT id, asset_type, asset_hash, planned, decision, job_id, changes, item_digest, target_digest
FROM ingest_batch_item FORCE INDEX (item)
WHERE batch_id = %(batch_id)s AND decision <> 'withdrawn' LIMIT %(limit)s

-- name: listed_items
-- Keys of the items that are not withdrawn.
SELECT id, asset_type, asset_hash FROM ingest_batch_item WHERE batch_id = %(batch_id)s AND decision <> 'withdrawn'

-- name: withdraw_items
-- Mark items as withdrawn; the result of a job moves to earlier...
UPDATE ingest_batch_item
SET earlier = IF(job_id IS NULL, earlier, decision), earlier_reason = IF(job_id IS NULL, earlier_reason, reason),
    earlier_job_id = COALESCE(job_id, earlier_job_id),
    decision = 'withdrawn', planned = NULL, reason = %(reason)s, job_id = NULL, empties = NULL, differs = NULL
WHERE id IN %(ids)s

-- name: items
-- Items of a batch from position `start` on.
SELECT * FROM ingest_batch_item
WHERE batch_id = %(batch_id)s AND position >= %(start)s
ORDER BY position, id LIMIT %(limit)s

-- name: items_of
-- Items with one value in {column}: decision, empties or differs, each with an index of its name.
SELECT * FROM ingest_batch_item FORCE INDEX ({column})
WHERE batch_id = %(batch_id)s AND {column} = %(value)s AND position >= %(start)s
ORDER BY position, id LIMIT %(limit)s

-- name: place_before
-- Start position of the page before position `start`.
SELECT COALESCE(MIN(position), 0) AS place FROM (
  SELECT position FROM ingest_batch_item
  WHERE batch_id = %(batch_id)s AND position < %(start)s ORDER BY position DESC LIMIT %(limit)s
) page

-- name: place_before_of
-- Start position of the page before position `start`, among the items with one value in {column}.
SELECT COALESCE(MIN(position), 0) AS place FROM (
  SELECT position FROM ingest_batch_item FORCE INDEX ({column})
  WHERE batch_id = %(batch_id)s AND {column} = %(value)s AND position < %(start)s
  ORDER BY position DESC LIMIT %(limit)s
) page

-- name: items_of_hash
-- Items of one type whose hash has this prefix, in the order of the key.
SELECT * FROM ingest_batch_item FORCE INDEX (item)
WHERE batch_id = %(batch_id)s AND asset_type = %(asset_type)s AND asset_hash LIKE %(pattern)s
ORDER BY asset_hash LIMIT %(limit)s

-- name: item
-- One item of a batch.
SELECT * FROM ingest_batch_item WHERE id = %(item_id)s AND batch_id = %(batch_id)s

-- name: decision_counts
-- Number of items of each decision, without withdrawn ones.
SELECT decision, COUNT(*) AS items FROM ingest_batch_item
WHERE batch_id = %(batch_id)s AND decision <> 'withdrawn'
GROUP BY decision

-- name: count_of
-- Number of items with one value in {column}, counted up to `limit`; one part of a UNION.
SELECT '{value}' AS value, COUNT(*) AS items FROM (
  SELECT 1 FROM ingest_batch_item FORCE INDEX ({column})
  WHERE batch_id = %(batch_id)s AND {column} = {sought} LIMIT %(limit)s
) bounded

-- name: count_done
-- Number of items that a job has processed successfully since they were planned.
SELECT COUNT(*) AS items FROM ingest_batch_item FORCE INDEX (decision)
WHERE batch_id = %(batch_id)s AND decision IN ('created', 'updated', 'linked', 'skipped', 'removed', 'unlinked')

-- name: any_done
-- Whether a job has processed any item successfully since it was planned.
SELECT EXISTS (SELECT 1 FROM ingest_batch_item FORCE INDEX (decision)
               WHERE batch_id = %(batch_id)s AND decision IN ('created', 'updated', 'linked', 'skipped', 'removed', 'unlinked')) AS done

-- name: open_items
-- Items that failed or that no job has processed.
SELECT asset_type, asset_hash FROM ingest_batch_item FORCE INDEX (decision)
WHERE batch_id = %(batch_id)s
  AND decision IN ('failed', 'will_create', 'will_update', 'will_link', 'will_skip', 'will_remove', 'will_fail',
                   'will_unlink')

-- name: append_event
-- Append an event, in the transaction of the change itself. The event gets its id while its batch is locked.
INSERT INTO ingest_event (batch_id, event_type, payload, actor)
SELECT id, %(event_type)s, %(payload)s, %(actor)s FROM ingest_batch WHERE id = %(batch_id)s FOR UPDATE

-- name: append_events
-- Append events of batches that this transaction has locked.
INSERT INTO ingest_event (batch_id, event_type, payload, actor)
VALUES (%(batch_id)s, %(event_type)s, %(payload)s, %(actor)s)
RETURNING id, batch_id

-- name: events
-- The latest events of a batch, newest first.
SELECT * FROM ingest_event WHERE batch_id = %(batch_id)s ORDER BY id DESC LIMIT %(limit)s

-- name: latest_event
-- The newest event of one type.
SELECT * FROM ingest_event FORCE INDEX (kind)
WHERE batch_id = %(batch_id)s AND event_type = %(event_type)s ORDER BY id DESC LIMIT 1
