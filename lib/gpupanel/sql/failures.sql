-- name: items
-- The first failing items of a batch, with their reasons and folders; one part for each of the two decisions.
SELECT reason, path FROM (
  (SELECT COALESCE(last_error, reason) AS reason, path FROM ingest_batch_item FORCE INDEX (decision)
   WHERE batch_id = %(batch_id)s AND decision = 'failed' ORDER BY position LIMIT %(limit)s)
  UNION ALL
  (SELECT COALESCE(last_error, reason) AS reason, path FROM ingest_batch_item FORCE INDEX (decision)
   WHERE batch_id = %(batch_id)s AND decision = 'will_fail' ORDER BY position LIMIT %(limit)s)
) failing LIMIT %(limit)s

-- name: containers
-- Reasons of the first failed containers of a batch.
SELECT COALESCE(last_error, reason) AS reason, NULL AS path FROM ingest_batch_container FORCE INDEX (decision)
WHERE batch_id = %(batch_id)s AND decision IN ('failed', 'will_fail') ORDER BY position LIMIT %(limit)s
