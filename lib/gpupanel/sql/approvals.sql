-- name: action
-- The approved action of a batch.
SELECT action FROM ingest_batch WHERE id = %(batch_id)s

-- name: items
-- Keys and digests of the items that are not withdrawn.
SELECT asset_type, asset_hash, item_digest FROM ingest_batch_item WHERE batch_id = %(batch_id)s AND decision <> 'withdrawn'

-- name: containers
-- Keys and digests of the containers that are not withdrawn.
SELECT type, container_hash, container_digest FROM ingest_batch_container
WHERE batch_id = %(batch_id)s AND decision <> 'withdrawn'
