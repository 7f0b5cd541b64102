-- shared: own_name
-- A lock for this database alone; a server takes names of up to 64 characters.
LEFT(CONCAT(%(lock)s, '.', DATABASE()), 64)

-- name: take
-- Take the lock of a run, unless another connection holds it.
SELECT GET_LOCK({own_name}, 0) AS is_ours

-- name: release
-- Release the lock before the connection ends, which the server may see late.
SELECT RELEASE_LOCK({own_name}) AS was_ours

-- name: is_ours
-- Whether this connection holds the lock of a run.
SELECT IS_USED_LOCK({own_name}) = CONNECTION_ID() AS is_ours
