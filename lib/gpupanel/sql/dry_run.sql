-- name: patience
-- Do not wait for rows that an import holds.
SET SESSION innodb_lock_wait_timeout = 1

-- name: assets
-- Natural keys of assets.
SELECT id, asset_type, asset_hash FROM asset WHERE id IN %(ids)s

-- name: galleries
-- Natural keys of galleries.
SELECT id, gallery_hash FROM asset_gallery WHERE id IN %(ids)s

-- name: collections
-- Natural keys of collections.
SELECT id, collection_hash FROM asset_collection WHERE id IN %(ids)s

-- name: gallery_members
-- Natural keys of gallery memberships.
SELECT m.id, g.gallery_hash AS `gallery_id.gallery_hash`, a.asset_type AS `asset_id.asset_type`, a.asset_hash AS `asset_id.asset_hash`
FROM asset_gallery_item m JOIN asset_gallery g ON g.id = m.gallery_id JOIN asset a ON a.id = m.asset_id
WHERE m.id IN %(ids)s

-- name: collection_members
-- Natural keys of collection memberships.
SELECT m.id, c.collection_hash AS `collection_id.collection_hash`, a.asset_type AS `asset_id.asset_type`,
       a.asset_hash AS `asset_id.asset_hash`
FROM asset_collection_item m JOIN asset_collection c ON c.id = m.collection_id JOIN asset a ON a.id = m.asset_id
WHERE m.id IN %(ids)s
