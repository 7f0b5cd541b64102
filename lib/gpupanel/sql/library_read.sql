-- shared: last_batch
-- The bundle that wrote an entry; one that upstream's order does not place yet, with what its place is computed from.
l.sync_id AS last_sync_id, l.source_at AS last_source_at,
IF(l.source_at IS NULL, COALESCE(l.prior_sync_id, JSON_VALUE(l.manifest_summary, '$.prior_sync_id')), NULL)
AS last_prior_sync_id,
IF(l.source_at IS NULL, COALESCE(JSON_VALUE(l.manifest_summary, '$.completed_at'),
                                 JSON_VALUE(l.manifest_summary, '$.created_at')), NULL) AS last_completed_at,
l.discovered_at AS last_discovered_at

-- name: assets
-- Assets of one type with these hashes, live or removed, each with the bundles that created and wrote it.
SELECT a.*, b.sync_id AS first_sync_id, {last_batch}
FROM asset a LEFT JOIN ingest_batch b ON b.id = a.first_batch_id LEFT JOIN ingest_batch l ON l.id = a.last_batch_id
WHERE a.asset_type = %(asset_type)s AND a.asset_hash IN %(hashes)s

-- name: asset_ids
-- Ids of the assets of one type with these hashes, live or removed.
SELECT id, asset_hash, deleted_at FROM asset WHERE asset_type = %(asset_type)s AND asset_hash IN %(hashes)s

-- name: covers
-- Cover links of these assets, live or removed.
SELECT id, asset_id, cover_hash, deleted_at FROM asset_cover WHERE asset_id IN %(asset_ids)s

-- name: derivatives
-- Live derivatives of these assets, each with the bundle of its own say.
SELECT d.*, s.sync_id AS say_sync_id
FROM asset_derivative d LEFT JOIN ingest_batch s ON s.id = d.source_batch_id
WHERE d.asset_id IN %(asset_ids)s AND d.deleted_at IS NULL

-- name: containers
-- Galleries or collections with these hashes, live or removed, each with the bundle that wrote it.
SELECT c.id, c.{type}_hash AS container_hash, c.title, c.cover_hash, c.deleted_at, c.source_at, c.source_batch_id,
       c.last_batch_id,
       EXISTS (SELECT 1 FROM asset_{type}_item m WHERE m.{type}_id = c.id AND m.deleted_at IS NULL) AS has_members,
       {last_batch}
FROM asset_{type} c LEFT JOIN ingest_batch l ON l.id = c.last_batch_id
WHERE c.{type}_hash IN %(hashes)s

-- name: members
-- Memberships, live or removed, of pairs of container and asset, each with the bundle of its own say.
-- Two IN lists would look up each combination.
SELECT m.{type}_id AS container_id, m.asset_id, m.position, m.deleted_at, m.source_at, m.source_batch_id,
       s.sync_id AS say_sync_id
FROM JSON_TABLE(%(pairs)s, '$[*]' COLUMNS (container_id BIGINT UNSIGNED PATH '$[0]',
                                           asset_id BIGINT UNSIGNED PATH '$[1]')) pair
STRAIGHT_JOIN asset_{type}_item m ON m.{type}_id = pair.container_id AND m.asset_id = pair.asset_id
LEFT JOIN ingest_batch s ON s.id = m.source_batch_id
