-- name: rows
-- These batches, each with its latest job.
SELECT b.*, j.id AS job_id, j.state AS job_state, j.items_done, j.items_total
FROM ingest_batch b
LEFT JOIN import_job j
  ON j.id = (SELECT latest.id FROM import_job latest WHERE latest.batch_id = b.id ORDER BY latest.id DESC LIMIT 1)
WHERE b.id IN %(ids)s

-- name: chosen
-- What these batches are, and in which status.
SELECT id, sync_id, status FROM ingest_batch WHERE id IN %(ids)s

-- name: ids
-- The ids of these bundles.
SELECT id, sync_id FROM ingest_batch WHERE sync_id IN %(sync_ids)s

-- name: moment
-- When the batch with this id, or the last one before it, was discovered.
SELECT discovered_at FROM ingest_batch WHERE id <= %(id)s ORDER BY id DESC LIMIT 1

-- name: hosts
-- The hosts that bundles came from; the index is read at the first entry of each.
SELECT source_host FROM ingest_batch FORCE INDEX (by_host)
WHERE source_host IS NOT NULL GROUP BY source_host LIMIT %(limit)s

-- name: span
-- How far it is from the first batch's id to the last one's; there can be one more than that.
SELECT COALESCE(MAX(id) - MIN(id), 0) AS span FROM ingest_batch

-- name: touched
-- The batches that list an asset, the latest first; one that lists it twice is there twice.
SELECT batch_id FROM ingest_batch_item FORCE INDEX (touched)
WHERE asset_hash LIKE %(asset_hash)s ORDER BY asset_hash DESC, batch_id DESC LIMIT %(most)s

-- The following are completed by find/roads.py: {source} names the table and the index that leads to the rows, {where} holds
-- the filters, {way} is ASC or DESC.

-- name: count
-- How many batches there are.
SELECT COUNT(*) AS batches FROM {source} WHERE {where}

-- name: count_to
-- The same up to `bound`; one more than it stands for more. Passing rows over costs less than putting them into a list and
-- counting that, so they are counted only where they end before.
SELECT COALESCE(
  (SELECT %(bound)s + 1 FROM {source} WHERE {where} LIMIT 1 OFFSET %(bound)s),
  (SELECT COUNT(*) FROM {source} WHERE {where})
) AS batches

-- name: count_by_status
-- How many batches of each status there are.
SELECT b.status, COUNT(*) AS batches FROM {source} WHERE {where} GROUP BY b.status

-- name: places
-- Some batches in the order of their discovery.
SELECT b.id, b.discovered_at FROM {source} WHERE {where}
ORDER BY b.discovered_at {way}, b.id {way} LIMIT %(limit)s OFFSET %(offset)s
