-- name: is_ours
-- Whether this connection holds the lock of a run.
SELECT IS_USED_LOCK(LEFT(CONCAT(%(lock)s, '.', DATABASE()), 64)) = CONNECTION_ID() AS is_ours
