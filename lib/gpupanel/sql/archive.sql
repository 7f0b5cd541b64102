-- name: probe
-- Fail before any file is written, if this account may not delete; no result has the id 0.
DELETE FROM ingest_result WHERE id = 0

-- name: candidates
-- Batches whose import ended before a time and whose rows are not archived, beyond a place in their order.
SELECT id, sync_id, status, completed_at FROM ingest_batch FORCE INDEX (archived)
WHERE archived_at IS NULL AND completed_at < %(before)s
  AND (completed_at > %(after)s OR (completed_at = %(after)s AND id > %(after_id)s))
ORDER BY completed_at, id LIMIT %(limit)s

-- name: lock_batch
-- Lock a batch until the transaction ends.
SELECT id, sync_id, status, started_at, completed_at, archived_at FROM ingest_batch WHERE id = %(batch_id)s FOR UPDATE

-- name: obstacle
-- What keeps a batch from being archived: a job, its undo, a job without a receipt, or a result beyond the receipts.
SELECT CASE
  WHEN EXISTS (SELECT 1 FROM import_job WHERE active_batch_id = %(batch_id)s) THEN 'it has an active job'
  WHEN EXISTS (SELECT 1 FROM preflight_request WHERE batch_id = %(batch_id)s AND state IN ('queued', 'running'))
    THEN 'a preflight of it was requested'
  WHEN EXISTS (SELECT 1 FROM ingest_batch u JOIN import_job j ON j.active_batch_id = u.id
               WHERE u.undo_of = %(batch_id)s) THEN 'an undo of it is queued or running'
  WHEN EXISTS (SELECT 1 FROM import_job j LEFT JOIN ingest_receipt r ON r.job_id = j.id
               WHERE j.batch_id = %(batch_id)s AND r.id IS NULL) THEN 'a job of it has no receipt'
  WHEN EXISTS (SELECT 1 FROM ingest_result WHERE batch_id = %(batch_id)s AND id > %(result_id)s)
    THEN 'a result of it is in no receipt'
END AS reason

-- name: items
-- The items of a batch.
SELECT id, batch_id, position, asset_type, asset_hash, cover_hash, decision, planned, reason, changes, asset_id,
       cover_id, last_error, job_id, earlier, earlier_reason, earlier_job_id, path, picture, empties, differs, item_digest,
       target_digest, updated_at, item_title
FROM ingest_batch_item WHERE batch_id = %(batch_id)s ORDER BY id

-- name: insert
-- Record that a file holds rows of a batch, before the first of them is deleted.
INSERT INTO ingest_archive (batch_id, file, first_receipt_id, receipt_id, result_id, event_id, items, root)
VALUES (%(batch_id)s, %(file)s, %(first_receipt_id)s, %(receipt_id)s, %(result_id)s, %(event_id)s, %(items)s,
        %(root)s)

-- name: mark
-- Write whether the items of a batch are in an archive alone; its `updated_at` stays.
UPDATE ingest_batch SET archived_at = %(archived_at)s, updated_at = updated_at WHERE id = %(batch_id)s

-- name: now
-- The time of the database.
SELECT NOW(6) AS now

-- name: unfinished
-- Archives whose rows are not all deleted yet.
SELECT a.id, a.batch_id, b.sync_id, a.file, a.first_receipt_id, a.receipt_id, a.result_id, a.event_id, a.root
FROM ingest_archive a JOIN ingest_batch b ON b.id = a.batch_id
WHERE a.emptied_at IS NULL AND a.id > %(after)s ORDER BY a.id LIMIT %(limit)s

-- name: emptied
-- Record that all rows which an archive holds are deleted.
UPDATE ingest_archive SET emptied_at = NOW(6) WHERE id = %(id)s

-- name: restoring
-- Record that the rows of an archive come back, so that no later run deletes them.
UPDATE ingest_archive SET emptied_at = COALESCE(emptied_at, NOW(6)) WHERE batch_id = %(batch_id)s AND file = %(file)s

-- name: restored
-- Record that all rows of an archive are in the database.
UPDATE ingest_archive SET restored_at = NOW(6) WHERE batch_id = %(batch_id)s AND file = %(file)s

-- name: later
-- A later archive of a batch that is not restored.
SELECT file FROM ingest_archive WHERE batch_id = %(batch_id)s AND id > %(id)s AND restored_at IS NULL LIMIT 1

-- name: of_file
-- The archives of a batch that are in a file.
SELECT id, batch_id, first_receipt_id, receipt_id, root FROM ingest_archive
WHERE batch_id = %(batch_id)s AND file = %(file)s ORDER BY id

-- name: file_of_receipt
-- The file with the rows that a receipt covers, if they are archived.
SELECT file FROM ingest_archive
WHERE batch_id = %(batch_id)s AND first_receipt_id <= %(receipt_id)s AND receipt_id >= %(receipt_id)s
  AND restored_at IS NULL
ORDER BY id LIMIT 1

-- name: results_between
-- Some results of a batch beyond an id, up to another one.
SELECT id FROM ingest_result FORCE INDEX (batch)
WHERE batch_id = %(batch_id)s AND id > %(after_result_id)s AND id <= %(result_id)s ORDER BY id LIMIT %(limit)s

-- name: delete_members
-- Delete some members of results.
DELETE FROM ingest_result_member WHERE result_id IN %(result_ids)s ORDER BY result_id, asset_id LIMIT %(limit)s

-- name: delete_tombstones
-- Delete some tombstones of results, but those that a receipt of version 1 did not seal: no file has them.
DELETE FROM ingest_result_tombstone
WHERE result_id IN %(result_ids)s
  AND result_id > COALESCE((SELECT MAX(r.result_id) FROM ingest_receipt r FORCE INDEX (batch)
                            WHERE r.batch_id = %(batch_id)s AND r.version = 1), 0)
ORDER BY result_id, asset_hash LIMIT %(limit)s

-- name: delete_results
-- Delete some results.
DELETE FROM ingest_result WHERE id IN %(result_ids)s

-- name: delete_events
-- Delete some events of a batch beyond an id, up to another one.
DELETE FROM ingest_event
WHERE batch_id = %(batch_id)s AND id > %(after_event_id)s AND id <= %(event_id)s ORDER BY id LIMIT %(limit)s

-- name: delete_items
-- Delete some items of a batch.
DELETE FROM ingest_batch_item WHERE batch_id = %(batch_id)s ORDER BY position LIMIT %(limit)s

-- name: present_results
-- Which of these results are in the database.
SELECT id FROM ingest_result WHERE id IN %(ids)s

-- name: present_events
-- Which of these events are in the database.
SELECT id FROM ingest_event WHERE id IN %(ids)s

-- name: present_members
-- Which members of these results are in the database.
SELECT result_id, asset_id FROM ingest_result_member FORCE INDEX (PRIMARY)
WHERE result_id IN %(ids)s AND asset_id IN %(assets)s

-- name: present_tombstones
-- Which tombstones of these results are in the database.
SELECT result_id, asset_hash FROM ingest_result_tombstone FORCE INDEX (PRIMARY)
WHERE result_id IN %(ids)s AND asset_hash IN %(hashes)s

-- name: present_items
-- Which of these items are in the database.
SELECT id FROM ingest_batch_item WHERE id IN %(ids)s

-- name: restore_results
-- Bring results back.
INSERT INTO ingest_result (id, batch_id, job_id, kind, hash, planned, approved, decision, reason, last_error, changes,
                           target_digest, target_id, cover_id, created_at)
VALUES (%(id)s, %(batch_id)s, %(job_id)s, %(kind)s, %(hash)s, %(planned)s, %(approved)s, %(decision)s, %(reason)s,
        %(last_error)s, %(changes)s, %(target_digest)s, %(target_id)s, %(cover_id)s, %(created_at)s)

-- name: restore_members
-- Bring members back.
INSERT INTO ingest_result_member (result_id, asset_id, position, came, position_before, say_only, source_at,
                                  source_batch_id, source_at_before, source_batch_id_before)
VALUES (%(result_id)s, %(asset_id)s, %(position)s, %(came)s, %(position_before)s, %(say_only)s, %(source_at)s,
        %(source_batch_id)s, %(source_at_before)s, %(source_batch_id_before)s)

-- name: restore_tombstones
-- Bring tombstones of members back.
INSERT INTO ingest_result_tombstone (result_id, asset_hash, source_at, batch_id, source_at_before, batch_id_before)
VALUES (%(result_id)s, %(asset_hash)s, %(source_at)s, %(batch_id)s, %(source_at_before)s, %(batch_id_before)s)

-- name: restore_events
-- Bring events back.
INSERT INTO ingest_event (id, batch_id, event_type, payload, actor, created_at)
VALUES (%(id)s, %(batch_id)s, %(event_type)s, %(payload)s, %(actor)s, %(created_at)s)

-- name: restore_items
-- Bring items back.
INSERT INTO ingest_batch_item (id, batch_id, position, asset_type, asset_hash, cover_hash, decision, planned, reason,
                               changes, asset_id, cover_id, last_error, job_id, earlier, earlier_reason, earlier_job_id,
                               path, picture, empties, differs, item_digest, target_digest, updated_at, item_title)
VALUES (%(id)s, %(batch_id)s, %(position)s, %(asset_type)s, %(asset_hash)s, %(cover_hash)s, %(decision)s, %(planned)s,
        %(reason)s, %(changes)s, %(asset_id)s, %(cover_id)s, %(last_error)s, %(job_id)s, %(earlier)s, %(earlier_reason)s,
        %(earlier_job_id)s, %(path)s, %(picture)s, %(empties)s, %(differs)s, %(item_digest)s, %(target_digest)s,
        %(updated_at)s, %(item_title)s)
