-- shared: waiting
-- Jobs whose hold waits for a person: the latest 1,000 of each such hold.
(SELECT batch_id, held_at FROM import_job FORCE INDEX (held_since)
 WHERE hold = 'operator' ORDER BY held_at DESC LIMIT 1000)
UNION ALL
(SELECT batch_id, held_at FROM import_job FORCE INDEX (held_since)
 WHERE hold = 'bundle' AND held_at < NOW(6) - INTERVAL 24 HOUR ORDER BY held_at DESC LIMIT 1000)

-- name: counts
-- How many batches need attention, counted up to `most`, and how many of them because their job waits for a person.
SELECT (SELECT COUNT(*) FROM (
          SELECT 1 FROM ingest_batch FORCE INDEX (by_attention) WHERE attention = 1 LIMIT %(most)s) marked) AS marked,
       (SELECT COUNT(*) FROM (
          SELECT b.id FROM ({waiting}) waiting STRAIGHT_JOIN ingest_batch b ON b.id = waiting.batch_id
          WHERE b.attention IS NULL AND (b.seen_at IS NULL OR b.seen_at < waiting.held_at) LIMIT %(most)s) unseen) AS held

-- name: held
-- Batches whose job waits for a person who has not seen that, the latest hold first.
SELECT b.id FROM ({waiting}) waiting STRAIGHT_JOIN ingest_batch b ON b.id = waiting.batch_id
WHERE b.attention IS NULL AND (b.seen_at IS NULL OR b.seen_at < waiting.held_at)
ORDER BY waiting.held_at DESC LIMIT %(limit)s

-- name: waiting_hold
-- The hold of a batch's job that waits for a person, and whether a person has seen it.
SELECT j.hold, b.seen_at >= j.held_at AS is_seen
FROM import_job j JOIN ingest_batch b ON b.id = j.batch_id
WHERE j.active_batch_id = %(batch_id)s
  AND (j.hold = 'operator' OR (j.hold = 'bundle' AND j.held_at < NOW(6) - INTERVAL 24 HOUR))

-- name: mark_seen
-- Write who has seen that a batch needs attention.
UPDATE ingest_batch SET seen_by = %(actor)s, seen_at = NOW(6) WHERE id = %(batch_id)s
