-- shared: named_batches
-- Batches, each with what names it: the first item, and the first container.
ingest_batch b
LEFT JOIN ingest_batch_item i
  ON i.id = (SELECT item.id FROM ingest_batch_item item FORCE INDEX (position)
             WHERE item.batch_id = b.id ORDER BY item.position, item.id LIMIT 1)
LEFT JOIN asset a ON a.id = i.asset_id AND i.item_title IS NULL
LEFT JOIN ingest_batch_container c
  ON c.id = (SELECT container.id FROM ingest_batch_container container FORCE INDEX (position)
             WHERE container.batch_id = b.id ORDER BY container.position, container.id LIMIT 1)

-- name: rows
-- These batches, each with its latest job and with what names it: the first item, and the first container.
SELECT b.*, j.id AS job_id, j.state AS job_state, j.items_done, j.items_total, j.hold_reason,
       IF(i.id IS NULL, b.scan_container, c.title) AS container_title, i.id AS first_id,
       COALESCE(i.item_title, a.title, b.scan_title) AS first_title,
       IF(i.id IS NULL, b.scan_picture, i.picture) AS first_picture
FROM {named_batches}
LEFT JOIN import_job j
  ON j.id = (SELECT latest.id FROM import_job latest WHERE latest.batch_id = b.id ORDER BY latest.id DESC LIMIT 1)
WHERE b.id IN %(ids)s

-- name: titles
-- What names these batches: the title of the first container, else of the first item.
SELECT b.id, COALESCE(c.title, IF(i.id IS NULL, b.scan_container, NULL), i.item_title, a.title, b.scan_title) AS title
FROM {named_batches}
WHERE b.id IN %(ids)s

-- name: later_undos
-- Undos of these batches that were imported after what they undo, and the undos of those in turn, the newest first.
WITH RECURSIVE chain AS (
  SELECT u.id, u.undo_of, u.status, u.imported_at
  FROM ingest_batch b STRAIGHT_JOIN ingest_batch u FORCE INDEX (by_undo)
    ON u.undo_of = b.id AND u.imported_at > b.imported_at
  WHERE b.id IN %(batch_ids)s
  UNION ALL
  SELECT u.id, u.undo_of, u.status, u.imported_at
  FROM chain c STRAIGHT_JOIN ingest_batch u FORCE INDEX (by_undo) ON u.undo_of = c.id AND u.imported_at > c.imported_at
)
SELECT id, undo_of, status FROM chain ORDER BY id DESC LIMIT %(limit)s

-- name: by_ids
-- What an action needs to know of these batches: status, why one was skipped, and whether it needs attention.
SELECT b.id, b.sync_id, b.status, b.last_error, b.changed_at, b.attention,
       EXISTS (SELECT 1 FROM import_job j WHERE j.active_batch_id = b.id AND j.hold IN ('operator', 'bundle')) AS is_held
FROM ingest_batch b WHERE b.id IN %(ids)s

-- name: ids
-- The ids of these bundles.
SELECT id, sync_id FROM ingest_batch WHERE sync_id IN %(sync_ids)s

-- name: sort_key
-- The column {key} of the batch with this id, or of the last one before it.
SELECT {key} FROM ingest_batch WHERE id <= %(id)s ORDER BY id DESC LIMIT 1

-- name: hosts
-- The source hosts of bundles; the server reads one index entry for each.
SELECT source_host FROM ingest_batch FORCE INDEX (by_host)
WHERE source_host IS NOT NULL GROUP BY source_host LIMIT %(limit)s

-- name: ledger_state
-- What changes with each change of a batch: the newest 40 events, since events are not committed in the order of their
-- ids, and the newest batch. `span` is the difference between the first and the last batch's id: there is at most one
-- batch more than that.
SELECT COALESCE(MAX(id) - MIN(id), 0) AS span, MAX(id) AS newest,
       (SELECT GROUP_CONCAT(id) FROM (SELECT id FROM ingest_event ORDER BY id DESC LIMIT 40) latest) AS events
FROM ingest_batch

-- name: batches_with_asset
-- Batches that list an asset, the latest first; a batch that lists it twice appears twice.
SELECT batch_id FROM ingest_batch_item FORCE INDEX (touched)
WHERE asset_hash LIKE %(asset_hash)s ORDER BY asset_hash DESC, batch_id DESC LIMIT %(most)s

-- name: batches_with_word
-- Batches with a word that begins so, the latest of each word first.
SELECT batch_id FROM ingest_batch_word FORCE INDEX (word)
WHERE word LIKE %(word_0)s ORDER BY word DESC, batch_id DESC LIMIT %(most)s

-- Holes of the following: {source} is the table with the index to use, {where} the filters, {order} is ASC or DESC.

-- name: count
-- Number of batches.
SELECT COUNT(*) AS batches FROM {source} WHERE {where}

-- name: count_to
-- Number of batches, or `bound` + 1 if there are more.
-- The first part skips `bound` rows by OFFSET, which is faster than counting the rows of a limited subquery.
SELECT COALESCE(
  (SELECT %(bound)s + 1 FROM {source} WHERE {where} LIMIT 1 OFFSET %(bound)s),
  (SELECT COUNT(*) FROM {source} WHERE {where})
) AS batches

-- name: count_by_status
-- Number of batches of each status.
SELECT b.status, COUNT(*) AS batches FROM {source} WHERE {where} GROUP BY b.status

-- name: page_keys
-- Keys of batches in the order of the column {key}.
SELECT b.id, b.{key} FROM {source} WHERE {where}
ORDER BY b.{key} {order}, b.id {order} LIMIT %(limit)s OFFSET %(offset)s
