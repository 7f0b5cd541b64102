-- {type} is gallery or collection: both have the same tables and columns under other names.

-- name: lock
-- Lock those of these containers that exist, in the order of the index, until the transaction ends.
SELECT id FROM asset_{type} FORCE INDEX ({type})
WHERE {type}_hash IN %(hashes)s ORDER BY {type}_hash FOR UPDATE

-- name: create
-- Insert containers; if another worker has inserted one meanwhile, the key refuses it and the group is decided again.
INSERT INTO asset_{type} ({type}_hash, title, cover_hash, first_batch_id, last_batch_id, source_at, source_batch_id)
VALUES (%(container_hash)s, %(title)s, %(cover_hash)s, %(batch_id)s, %(batch_id)s, %(source_at)s, %(batch_id)s)
RETURNING id, {type}_hash AS container_hash

-- name: write
-- Write the fields, the mark and the say of locked containers. A row whose members alone change is written too: a row
-- lock alone causes no conflict on other nodes of a Galera cluster.
INSERT INTO asset_{type} ({type}_hash, title, cover_hash, last_batch_id, source_at, source_batch_id, deleted_at)
VALUES (%(container_hash)s, %(title)s, %(cover_hash)s, %(last_batch_id)s, %(source_at)s, %(source_batch_id)s,
        IF(%(is_removed)s, NOW(6), NULL))
ON DUPLICATE KEY UPDATE
  title = VALUES(title), cover_hash = VALUES(cover_hash), last_batch_id = VALUES(last_batch_id),
  source_at = VALUES(source_at), source_batch_id = VALUES(source_batch_id), updated_at = NOW(6),
  deleted_at = IF(VALUES(deleted_at) IS NULL, NULL, COALESCE(deleted_at, VALUES(deleted_at)))

-- name: write_members
-- Insert, restore, move or remove memberships, and write their say.
INSERT INTO asset_{type}_item ({type}_id, asset_id, position, source_at, source_batch_id, deleted_at)
VALUES (%(container_id)s, %(asset_id)s, %(position)s, %(source_at)s, %(source_batch_id)s,
        IF(%(is_removed)s, NOW(6), NULL))
ON DUPLICATE KEY UPDATE
  position = VALUES(position), source_at = VALUES(source_at), source_batch_id = VALUES(source_batch_id),
  deleted_at = IF(VALUES(deleted_at) IS NULL, NULL, COALESCE(deleted_at, VALUES(deleted_at)))

-- name: with_members
-- Those of these containers that have a live membership.
SELECT c.id FROM asset_{type} c
WHERE c.id IN %(ids)s AND EXISTS (SELECT 1 FROM asset_{type}_item m WHERE m.{type}_id = c.id AND m.deleted_at IS NULL)

-- name: count_members
-- Number of live memberships of a container.
SELECT COUNT(*) AS members FROM asset_{type}_item WHERE {type}_id = %(container_id)s AND deleted_at IS NULL
