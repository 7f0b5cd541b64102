-- The holes are those of worker/library_containers.py: {table} and {items} are asset_gallery and asset_gallery_item, {hash}
-- and {id} their columns gallery_hash and gallery_id, {key} the index of the hash; or those of collections.

-- name: lock
-- Lock those of these containers that exist, in the order of the index, until the transaction ends.
SELECT id FROM {table} FORCE INDEX ({key}) WHERE {hash} IN %(hashes)s ORDER BY {hash} FOR UPDATE

-- name: find
-- Containers with these hashes, live or removed, each with the bundle that wrote it last.
SELECT c.id, c.{hash} AS container_hash, c.title, c.cover_hash, c.deleted_at, c.source_at, c.source_batch_id,
       c.last_batch_id, b.sync_id AS last_sync_id, b.source_at AS last_source_at, b.prior_sync_id AS last_prior_sync_id,
       b.manifest_summary AS last_manifest_summary, b.discovered_at AS last_discovered_at
FROM {table} c LEFT JOIN ingest_batch b ON b.id = c.last_batch_id
WHERE c.{hash} IN %(hashes)s

-- name: create
-- Insert containers; if another worker has inserted one meanwhile, the key refuses it and the group is decided again.
INSERT INTO {table} ({hash}, title, cover_hash, first_batch_id, last_batch_id, source_at, source_batch_id)
VALUES (%(container_hash)s, %(title)s, %(cover_hash)s, %(batch_id)s, %(batch_id)s, %(source_at)s, %(batch_id)s)
RETURNING id, {hash} AS container_hash

-- name: write
-- Write the fields, the mark and the say of locked containers. A row whose members alone change is written too: a row
-- lock alone causes no conflict on other nodes of a Galera cluster.
INSERT INTO {table} ({hash}, title, cover_hash, last_batch_id, source_at, source_batch_id, deleted_at)
VALUES (%(container_hash)s, %(title)s, %(cover_hash)s, %(last_batch_id)s, %(source_at)s, %(source_batch_id)s,
        IF(%(is_removed)s, NOW(6), NULL))
ON DUPLICATE KEY UPDATE
  title = VALUES(title), cover_hash = VALUES(cover_hash), last_batch_id = VALUES(last_batch_id),
  source_at = VALUES(source_at), source_batch_id = VALUES(source_batch_id), updated_at = NOW(6),
  deleted_at = IF(VALUES(deleted_at) IS NULL, NULL, COALESCE(deleted_at, VALUES(deleted_at)))

-- name: assets
-- Assets of all types with these hashes, live or removed.
SELECT id, asset_type, asset_hash, deleted_at FROM asset FORCE INDEX (asset)
WHERE asset_type IN ('photo', 'cover', 'video') AND asset_hash IN %(hashes)s

-- name: members
-- Memberships of some assets in one container, live or removed; one part of a UNION.
SELECT m.{id} AS container_id, m.asset_id, m.position, m.deleted_at, m.source_at, m.source_batch_id,
       b.sync_id AS source_sync_id
FROM {items} m FORCE INDEX (membership) LEFT JOIN ingest_batch b ON b.id = m.source_batch_id
WHERE m.{id} = %(container_{n})s AND m.asset_id IN %(assets_{n})s

-- name: write_members
-- Insert, restore, move or remove memberships, and write their say.
INSERT INTO {items} ({id}, asset_id, position, source_at, source_batch_id, deleted_at)
VALUES (%(container_id)s, %(asset_id)s, %(position)s, %(source_at)s, %(source_batch_id)s,
        IF(%(is_removed)s, NOW(6), NULL))
ON DUPLICATE KEY UPDATE
  position = VALUES(position), source_at = VALUES(source_at), source_batch_id = VALUES(source_batch_id),
  deleted_at = IF(VALUES(deleted_at) IS NULL, NULL, COALESCE(deleted_at, VALUES(deleted_at)))

-- name: with_members
-- Those of these containers that have a live membership.
SELECT c.id FROM {table} c
WHERE c.id IN %(ids)s AND EXISTS (SELECT 1 FROM {items} m WHERE m.{id} = c.id AND m.deleted_at IS NULL)

-- name: count_members
-- Number of live memberships of a container.
SELECT COUNT(*) AS members FROM {items} WHERE {id} = %(container_id)s AND deleted_at IS NULL
