-- name: assets
-- Assets of one type with these hashes, live or removed, each with the bundle that created it.
SELECT a.*, b.sync_id AS first_sync_id
FROM asset a LEFT JOIN ingest_batch b ON b.id = a.first_batch_id
WHERE a.asset_type = %(asset_type)s AND a.asset_hash IN %(hashes)s

-- name: covers
-- Cover links of these assets, live or removed.
SELECT id, asset_id, cover_hash, deleted_at FROM asset_cover WHERE asset_id IN %(asset_ids)s

-- name: derivatives
-- Live derivatives of these assets.
SELECT * FROM asset_derivative WHERE asset_id IN %(asset_ids)s AND deleted_at IS NULL

-- name: galleries
-- Live galleries with these hashes.
SELECT id, gallery_hash AS container_hash FROM asset_gallery
WHERE gallery_hash IN %(hashes)s AND deleted_at IS NULL

-- name: gallery_members
-- Live memberships of these assets in these galleries.
SELECT gallery_id AS container_id, asset_id FROM asset_gallery_item
WHERE gallery_id IN %(container_ids)s AND asset_id IN %(asset_ids)s AND deleted_at IS NULL

-- name: collections
-- Live collections with these hashes.
SELECT id, collection_hash AS container_hash FROM asset_collection
WHERE collection_hash IN %(hashes)s AND deleted_at IS NULL

-- name: collection_members
-- Live memberships of these assets in these collections.
SELECT collection_id AS container_id, asset_id FROM asset_collection_item
WHERE collection_id IN %(container_ids)s AND asset_id IN %(asset_ids)s AND deleted_at IS NULL
