-- name: patience
-- A dry run gives way: it does not wait for rows that an import holds.
SET SESSION innodb_lock_wait_timeout = 1

-- name: assets
-- What these assets are called.
SELECT id, asset_type, asset_hash FROM asset WHERE id IN %(ids)s

-- name: galleries
-- What these galleries are called.
SELECT id, gallery_hash FROM asset_gallery WHERE id IN %(ids)s

-- name: collections
-- What these collections are called.
SELECT id, collection_hash FROM asset_collection WHERE id IN %(ids)s

-- name: gallery_members
-- Whose memberships of which galleries these are.
SELECT m.id, g.gallery_hash AS `gallery_id.gallery_hash`, a.asset_type AS `asset_id.asset_type`, a.asset_hash AS `asset_id.asset_hash`
FROM asset_gallery_item m JOIN asset_gallery g ON g.id = m.gallery_id JOIN asset a ON a.id = m.asset_id
WHERE m.id IN %(ids)s

-- name: collection_members
-- Whose memberships of which collections these are.
SELECT m.id, c.collection_hash AS `collection_id.collection_hash`, a.asset_type AS `asset_id.asset_type`,
       a.asset_hash AS `asset_id.asset_hash`
FROM asset_collection_item m JOIN asset_collection c ON c.id = m.collection_id JOIN asset a ON a.id = m.asset_id
WHERE m.id IN %(ids)s
