"""Several workers run each of many jobs once; a second import changes nothing."""

import threading

import worker_helpers
from gpupanel import services

BUNDLES = 24


def drain_with_two(panel_db, mount, sync_ids, conf) -> None:
    queued = services.queue_batches(panel_db, mount, sync_ids, "operator")
    assert all(each.job_id for each in queued)
    threads = [threading.Thread(target=worker_helpers.drain, args=(conf,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_two_workers_drain_many_bundles_each_once_and_a_second_run_changes_no_library_row(
    admin_db, panel_db, bundles, mount, worker_conf
):
    shared = list(bundles.assets("shared", 2, ("photo", "cover"), derivatives=("icon",)))
    sync_ids = [
        bundles.bundle(f"bundle {n}", [*bundles.assets(f"bundle {n}", 3, derivatives=("icon",)), *shared],
                       [bundles.container("gallery", "All", shared)])
        for n in range(BUNDLES)
    ]
    services.scan_mount(panel_db, mount, "operator")
    drain_with_two(panel_db, mount, sync_ids, worker_conf)
    jobs = admin_db.execute("SELECT state, attempts, worker FROM import_job")
    assert [(job["state"], job["attempts"]) for job in jobs] == [("completed", 1)] * BUNDLES
    claimed = admin_db.execute(
        "SELECT batch_id, COUNT(*) AS n FROM ingest_event WHERE event_type = 'job_claimed' GROUP BY batch_id"
    )
    assert [row["n"] for row in claimed] == [1] * BUNDLES
    library = worker_helpers.rows(admin_db)
    assert len(library["asset"]) == 3 * BUNDLES + len(shared)
    assert len(library["asset_gallery_item"]) == len(shared)
    decided = admin_db.execute("SELECT decision, COUNT(*) AS n FROM ingest_batch_item GROUP BY decision")
    assert {row["decision"]: row["n"] for row in decided}["created"] == 3 * BUNDLES + len(shared)

    drain_with_two(panel_db, mount, sync_ids, worker_conf)
    assert worker_helpers.rows(admin_db) == library
    decided = admin_db.execute("SELECT decision, COUNT(*) AS n FROM ingest_batch_item GROUP BY decision")
    assert [(row["decision"], row["n"]) for row in decided] == [("skipped", 5 * BUNDLES)]
