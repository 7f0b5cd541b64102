-- name: page
-- Events in the order of their ids, with their batches; {where} are the filters, {order} is DESC or ASC.
SELECT e.id, b.sync_id, e.event_type, e.payload, e.actor, e.created_at
FROM ingest_event e FORCE INDEX ({index}) STRAIGHT_JOIN ingest_batch b ON b.id = e.batch_id
WHERE {where} ORDER BY e.id {order} LIMIT %(limit)s

-- name: horizon
-- Id of the event with which a scan stops.
SELECT e.id FROM ingest_event e FORCE INDEX ({index}) WHERE {where} ORDER BY e.id DESC LIMIT 1 OFFSET %(most)s

-- name: last_id
-- Id of the newest event.
SELECT MAX(id) FROM ingest_event

-- name: from_id
-- The first event from an id on.
SELECT id, created_at FROM ingest_event WHERE id >= %(id)s ORDER BY id LIMIT 1
