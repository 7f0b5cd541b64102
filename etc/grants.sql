-- The accounts and what each may do, in the current database. No account here holds DROP or TRUNCATE, and only that of
-- archives, which comes locked and stays so unless an administrator opens it, holds DELETE. For all others,
-- ingest_batch_word, ingest_event, ingest_result, ingest_result_member, ingest_result_tombstone, ingest_document and
-- ingest_receipt can only be read and added to. The database alone gives events and results their times: nobody writes
-- one into the past. Their ids can be written, since MariaDB asks for that right before it returns the id of a new row.
-- `bin/gpupanel init-db` runs this file, and running it again is harmless.
--
-- The accounts come locked. Give each a password of its own and open it:
--   ALTER USER gpu_panel@localhost IDENTIFIED BY '...' ACCOUNT UNLOCK;
--   ALTER USER gpu_worker@localhost IDENTIFIED BY '...' ACCOUNT UNLOCK;
-- and, where receipts are made:
--   ALTER USER gpu_seal@localhost IDENTIFIED BY '...' ACCOUNT UNLOCK;
-- and, where old batches are archived:
--   ALTER USER gpu_archive@localhost IDENTIFIED BY '...' ACCOUNT UNLOCK;

CREATE USER IF NOT EXISTS gpu_panel@localhost ACCOUNT LOCK;
CREATE USER IF NOT EXISTS gpu_worker@localhost ACCOUNT LOCK;
CREATE USER IF NOT EXISTS gpu_seal@localhost ACCOUNT LOCK;
CREATE USER IF NOT EXISTS gpu_archive@localhost ACCOUNT LOCK;

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

-- The panel reads what imports did, the workers, the receipts and the schema's version.
GRANT SELECT ON ingest_result TO gpu_panel@localhost;
GRANT SELECT ON ingest_result_member TO gpu_panel@localhost;
GRANT SELECT ON ingest_result_tombstone TO gpu_panel@localhost;
GRANT SELECT ON ingest_document TO gpu_panel@localhost;
GRANT SELECT ON ingest_tombstone TO gpu_panel@localhost;
GRANT SELECT ON ingest_receipt TO gpu_panel@localhost;
GRANT SELECT ON ingest_archive TO gpu_panel@localhost;
GRANT SELECT ON import_worker TO gpu_panel@localhost;
GRANT SELECT ON schema_version TO gpu_panel@localhost;

-- The panel scans, preflights, queues, holds and cancels. The columns of a claim are not its to write.
GRANT SELECT, INSERT, UPDATE ON ingest_batch TO gpu_panel@localhost;
GRANT SELECT, INSERT, UPDATE ON ingest_batch_item TO gpu_panel@localhost;
GRANT SELECT, INSERT, UPDATE ON ingest_batch_container TO gpu_panel@localhost;
GRANT SELECT, INSERT ON ingest_batch_word TO gpu_panel@localhost;
GRANT SELECT, INSERT (id, batch_id, event_type, payload, actor) ON ingest_event TO gpu_panel@localhost;
GRANT SELECT,
      INSERT (batch_id, priority, requested_by, items_total),
      UPDATE (state, priority, finished_at, last_error, hold, hold_reason, hold_batch_id, not_before, held_at, hold_count)
      ON import_job TO gpu_panel@localhost;
GRANT SELECT,
      INSERT (batch_id, requested_by, requested_at, then_queue, priority, although_older, state),
      UPDATE (requested_by, requested_at, then_queue, priority, although_older, state, attempts, last_error, finished_at)
      ON preflight_request TO gpu_panel@localhost;
GRANT SELECT, INSERT, UPDATE ON queue_control TO gpu_panel@localhost;

-- The panel's account also runs `notify`, which marks what it sent.
GRANT SELECT, INSERT (batch_id, event_id, kind), UPDATE (sent_at, mailed_at, posted_at, not_before, attempts, last_error)
      ON ingest_notice TO gpu_panel@localhost;

-- The worker writes the library.
GRANT SELECT, INSERT, UPDATE ON asset TO gpu_worker@localhost;
GRANT SELECT, INSERT, UPDATE ON asset_source TO gpu_worker@localhost;
GRANT SELECT, INSERT, UPDATE (deleted_at) ON asset_ai_run TO gpu_worker@localhost;
GRANT SELECT, INSERT, UPDATE ON asset_cover TO gpu_worker@localhost;
GRANT SELECT, INSERT, UPDATE ON asset_derivative TO gpu_worker@localhost;
GRANT SELECT, INSERT, UPDATE ON asset_gallery TO gpu_worker@localhost;
GRANT SELECT, INSERT, UPDATE ON asset_gallery_item TO gpu_worker@localhost;
GRANT SELECT, INSERT, UPDATE ON asset_collection TO gpu_worker@localhost;
GRANT SELECT, INSERT, UPDATE ON asset_collection_item TO gpu_worker@localhost;

-- The worker adds results, and can change none.
GRANT SELECT,
      INSERT (id, batch_id, job_id, kind, hash, planned, approved, decision, reason, last_error, changes, target_digest,
              target_id, cover_id)
      ON ingest_result TO gpu_worker@localhost;
GRANT SELECT, INSERT ON ingest_result_member TO gpu_worker@localhost;
GRANT SELECT, INSERT ON ingest_result_tombstone TO gpu_worker@localhost;
GRANT SELECT, INSERT ON ingest_document TO gpu_worker@localhost;
GRANT SELECT, INSERT, UPDATE ON ingest_tombstone TO gpu_worker@localhost;

-- The worker settles what was queued. It finds no batches; it queues only the successor of a job, and what a requested
-- preflight was to queue.
GRANT SELECT, UPDATE ON ingest_batch TO gpu_worker@localhost;
GRANT SELECT, INSERT, UPDATE ON ingest_batch_item TO gpu_worker@localhost;
GRANT SELECT, INSERT, UPDATE ON ingest_batch_container TO gpu_worker@localhost;
GRANT SELECT, INSERT ON ingest_batch_word TO gpu_worker@localhost;
GRANT SELECT, INSERT (id, batch_id, event_type, payload, actor) ON ingest_event TO gpu_worker@localhost;
GRANT SELECT,
      INSERT (batch_id, priority, requested_by, items_total, replaces_job_id),
      UPDATE (state, claimed_at, worker, claim_token, attempts, heartbeat_at, items_done, items_total, finished_at,
              last_error, hold, hold_reason, hold_batch_id, not_before, held_at, hold_count)
      ON import_job TO gpu_worker@localhost;
GRANT SELECT, UPDATE (state, worker, claim_token, attempts, heartbeat_at, last_error, finished_at)
      ON preflight_request TO gpu_worker@localhost;
GRANT SELECT ON queue_control TO gpu_worker@localhost;
GRANT SELECT, INSERT, UPDATE ON import_worker TO gpu_worker@localhost;
GRANT SELECT, INSERT (batch_id, event_id, kind) ON ingest_notice TO gpu_worker@localhost;
GRANT SELECT ON ingest_receipt TO gpu_worker@localhost;
GRANT SELECT ON ingest_archive TO gpu_worker@localhost;
GRANT SELECT ON schema_version TO gpu_worker@localhost;

-- The account of `seal` reads the ledger, and adds receipts.
GRANT SELECT ON ingest_batch TO gpu_seal@localhost;
GRANT SELECT ON ingest_batch_item TO gpu_seal@localhost;
GRANT SELECT ON ingest_batch_container TO gpu_seal@localhost;
GRANT SELECT ON ingest_event TO gpu_seal@localhost;
GRANT SELECT ON import_job TO gpu_seal@localhost;
GRANT SELECT ON ingest_result TO gpu_seal@localhost;
GRANT SELECT ON ingest_result_member TO gpu_seal@localhost;
GRANT SELECT ON ingest_result_tombstone TO gpu_seal@localhost;
GRANT SELECT ON ingest_document TO gpu_seal@localhost;
GRANT SELECT, INSERT ON ingest_receipt TO gpu_seal@localhost;
GRANT SELECT ON ingest_archive TO gpu_seal@localhost;

-- The account of `archive` and `restore-archive` takes sealed rows of settled batches out of the ledger, and brings them
-- back. It cannot read the library.
GRANT SELECT, UPDATE (archived_at, updated_at) ON ingest_batch TO gpu_archive@localhost;
GRANT SELECT, INSERT, DELETE ON ingest_batch_item TO gpu_archive@localhost;
GRANT SELECT, INSERT, DELETE ON ingest_event TO gpu_archive@localhost;
GRANT SELECT, INSERT, DELETE ON ingest_result TO gpu_archive@localhost;
GRANT SELECT, INSERT, DELETE ON ingest_result_member TO gpu_archive@localhost;
GRANT SELECT, INSERT, DELETE ON ingest_result_tombstone TO gpu_archive@localhost;
GRANT SELECT, INSERT, UPDATE (emptied_at, restored_at) ON ingest_archive TO gpu_archive@localhost;
GRANT SELECT ON ingest_batch_container TO gpu_archive@localhost;
GRANT SELECT ON ingest_receipt TO gpu_archive@localhost;
GRANT SELECT ON import_job TO gpu_archive@localhost;
GRANT SELECT ON preflight_request TO gpu_archive@localhost;
