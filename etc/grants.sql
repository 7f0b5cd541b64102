-- The two accounts and what each may do, in the current database. Nobody here holds DELETE, DROP or TRUNCATE, and
-- ingest_event can only be read and added to. `bin/gpupanel init-db` runs this file, and running it again is harmless.
--
-- The accounts come locked. Give each a password of its own and open it:
--   ALTER USER gpu_panel@localhost IDENTIFIED BY '...' ACCOUNT UNLOCK;
--   ALTER USER gpu_worker@localhost IDENTIFIED BY '...' ACCOUNT UNLOCK;

CREATE USER IF NOT EXISTS gpu_panel@localhost ACCOUNT LOCK;
CREATE USER IF NOT EXISTS gpu_worker@localhost ACCOUNT LOCK;

-- The panel reads the library, and cannot write it.
GRANT SELECT ON asset TO gpu_panel@localhost;
GRANT SELECT ON asset_source TO gpu_panel@localhost;
GRANT SELECT ON asset_ai_run TO gpu_panel@localhost;
GRANT SELECT ON asset_cover TO gpu_panel@localhost;
GRANT SELECT ON asset_derivative TO gpu_panel@localhost;
GRANT SELECT ON asset_gallery TO gpu_panel@localhost;
GRANT SELECT ON asset_gallery_item TO gpu_panel@localhost;
GRANT SELECT ON asset_collection TO gpu_panel@localhost;
GRANT SELECT ON asset_collection_item TO gpu_panel@localhost;

-- The panel scans, preflights, queues and cancels. The columns of a claim are not its to write.
GRANT SELECT, INSERT, UPDATE ON ingest_batch TO gpu_panel@localhost;
GRANT SELECT, INSERT, UPDATE ON ingest_batch_item TO gpu_panel@localhost;
GRANT SELECT, INSERT ON ingest_event TO gpu_panel@localhost;
GRANT SELECT,
      INSERT (batch_id, priority, requested_by, items_total),
      UPDATE (state, priority, finished_at, last_error)
      ON import_job TO gpu_panel@localhost;

-- The worker writes the library.
GRANT SELECT, INSERT, UPDATE ON asset TO gpu_worker@localhost;
GRANT SELECT, INSERT, UPDATE ON asset_source TO gpu_worker@localhost;
GRANT SELECT, INSERT ON asset_ai_run TO gpu_worker@localhost;
GRANT SELECT, INSERT, UPDATE ON asset_cover TO gpu_worker@localhost;
GRANT SELECT, INSERT, UPDATE ON asset_derivative TO gpu_worker@localhost;
GRANT SELECT, INSERT, UPDATE ON asset_gallery TO gpu_worker@localhost;
GRANT SELECT, INSERT, UPDATE ON asset_gallery_item TO gpu_worker@localhost;
GRANT SELECT, INSERT, UPDATE ON asset_collection TO gpu_worker@localhost;
GRANT SELECT, INSERT, UPDATE ON asset_collection_item TO gpu_worker@localhost;

-- The worker settles what was queued: it records outcomes, and neither finds batches nor queues them.
GRANT SELECT, UPDATE ON ingest_batch TO gpu_worker@localhost;
GRANT SELECT, INSERT, UPDATE ON ingest_batch_item TO gpu_worker@localhost;
GRANT SELECT, INSERT ON ingest_event TO gpu_worker@localhost;
GRANT SELECT,
      UPDATE (state, claimed_at, worker, claim_token, attempts, heartbeat_at, items_done, items_total, finished_at,
              last_error)
      ON import_job TO gpu_worker@localhost;
