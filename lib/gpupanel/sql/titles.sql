-- name: of_assets
-- Titles of these assets.
SELECT id, title FROM asset WHERE id IN %(ids)s
