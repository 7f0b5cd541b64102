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
