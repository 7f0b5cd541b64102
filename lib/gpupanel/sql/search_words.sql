-- name: save
-- Add words of a batch; those that it has stay.
INSERT IGNORE INTO ingest_batch_word (batch_id, word)
VALUES (%(batch_id)s, %(word)s)
