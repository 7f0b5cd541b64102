-- name: gallery_hold
-- Lock one gallery, live or removed, until the transaction ends.
SELECT id, title, cover_hash, deleted_at FROM asset_gallery WHERE gallery_hash = %(container_hash)s FOR UPDATE

-- name: gallery_create
-- Insert a gallery.
INSERT INTO asset_gallery (gallery_hash, title, cover_hash, first_batch_id, last_batch_id)
VALUES (%(container_hash)s, %(title)s, %(cover_hash)s, %(batch_id)s, %(batch_id)s)

-- name: gallery_update
-- Write the fields of a gallery; a removed one is restored.
UPDATE asset_gallery SET title = %(title)s, cover_hash = %(cover_hash)s, last_batch_id = %(batch_id)s, deleted_at = NULL
WHERE id = %(container_id)s

-- name: gallery_remove
-- Mark a gallery as removed.
UPDATE asset_gallery SET deleted_at = NOW(6), last_batch_id = %(batch_id)s WHERE id = %(container_id)s

-- name: gallery_touch
-- Write the row when members change: a row lock alone causes no conflict on other nodes of a Galera cluster.
UPDATE asset_gallery SET updated_at = NOW(6) WHERE id = %(container_id)s

-- name: gallery_members
-- Memberships of some assets, live or removed.
SELECT asset_id, position, deleted_at FROM asset_gallery_item
WHERE gallery_id = %(container_id)s AND asset_id IN %(asset_ids)s

-- name: gallery_add_members
-- Insert or update memberships; a removed one is restored.
INSERT INTO asset_gallery_item (gallery_id, asset_id, position)
VALUES (%(container_id)s, %(asset_id)s, %(position)s)
ON DUPLICATE KEY UPDATE position = VALUES(position), deleted_at = NULL

-- name: gallery_find_members
-- Live memberships of assets with these hashes, live or removed.
SELECT m.id FROM asset a STRAIGHT_JOIN asset_gallery_item m ON m.gallery_id = %(container_id)s AND m.asset_id = a.id
WHERE a.asset_type IN ('photo', 'cover', 'video') AND a.asset_hash IN %(hashes)s AND m.deleted_at IS NULL

-- name: gallery_remove_members
-- Mark memberships as removed.
UPDATE asset_gallery_item SET deleted_at = NOW(6) WHERE id IN %(ids)s

-- name: gallery_has_members
-- Whether the gallery has a live membership.
SELECT 1 FROM asset_gallery_item WHERE gallery_id = %(container_id)s AND deleted_at IS NULL LIMIT 1

-- name: collection_hold
-- Lock one collection, live or removed, until the transaction ends.
SELECT id, title, cover_hash, deleted_at FROM asset_collection WHERE collection_hash = %(container_hash)s FOR UPDATE

-- name: collection_create
-- Insert a collection.
INSERT INTO asset_collection (collection_hash, title, cover_hash, first_batch_id, last_batch_id)
VALUES (%(container_hash)s, %(title)s, %(cover_hash)s, %(batch_id)s, %(batch_id)s)

-- name: collection_update
-- Write the fields of a collection; a removed one is restored.
UPDATE asset_collection SET title = %(title)s, cover_hash = %(cover_hash)s, last_batch_id = %(batch_id)s, deleted_at = NULL
WHERE id = %(container_id)s

-- name: collection_remove
-- Mark a collection as removed.
UPDATE asset_collection SET deleted_at = NOW(6), last_batch_id = %(batch_id)s WHERE id = %(container_id)s

-- name: collection_touch
-- Write the row when members change: a row lock alone causes no conflict on other nodes of a Galera cluster.
UPDATE asset_collection SET updated_at = NOW(6) WHERE id = %(container_id)s

-- name: collection_members
-- Memberships of some assets, live or removed.
SELECT asset_id, position, deleted_at FROM asset_collection_item
WHERE collection_id = %(container_id)s AND asset_id IN %(asset_ids)s

-- name: collection_add_members
-- Insert or update memberships; a removed one is restored.
INSERT INTO asset_collection_item (collection_id, asset_id, position)
VALUES (%(container_id)s, %(asset_id)s, %(position)s)
ON DUPLICATE KEY UPDATE position = VALUES(position), deleted_at = NULL

-- name: collection_find_members
-- Live memberships of assets with these hashes, live or removed.
SELECT m.id FROM asset a STRAIGHT_JOIN asset_collection_item m ON m.collection_id = %(container_id)s AND m.asset_id = a.id
WHERE a.asset_type IN ('photo', 'cover', 'video') AND a.asset_hash IN %(hashes)s AND m.deleted_at IS NULL

-- name: collection_remove_members
-- Mark memberships as removed.
UPDATE asset_collection_item SET deleted_at = NOW(6) WHERE id IN %(ids)s

-- name: collection_has_members
-- Whether the collection has a live membership.
SELECT 1 FROM asset_collection_item WHERE collection_id = %(container_id)s AND deleted_at IS NULL LIMIT 1
