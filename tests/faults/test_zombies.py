"""A worker that was stopped beyond the stale threshold writes nothing when it continues."""

import signal

import pytest
import worker_helpers
from gpupanel.db import Database


@pytest.fixture
def assets(bundles):
    return list(bundles.assets("many", 60, derivatives=("icon",)))


@pytest.fixture
def bundle(bundles, panel_db, mount, assets):
    """A queued batch of sixty photos and their gallery; returns (sync_id, job id)."""
    sync_id = bundles.bundle("many", assets, [bundles.container("gallery", "Many", assets)], sync_type="gallery")
    return sync_id, *worker_helpers.queue(panel_db, mount, sync_id)


@pytest.fixture
def impatient(worker_conf):
    """A worker that is stale after three seconds, so that the server ends its idle transactions after one second."""
    return worker_helpers.with_options(worker_conf, "impatient.conf", chunk_items=10, stale_minutes=0.05)


def everything(admin_db, sync_id: str) -> tuple:
    """Return all rows that a worker could write: library, ledger, job and events, with times."""
    tables = ("ingest_batch", "ingest_batch_item", "import_job", "ingest_event")
    return worker_helpers.rows(admin_db), [admin_db.execute(f"SELECT * FROM {table} ORDER BY id") for table in tables]


@pytest.fixture
def outlived(admin_db, panel_db, worker_conf, bundle):
    """`outlived(zombie)` checks that a worker whose job another one finished ends well and writes nothing."""

    def outlived(zombie: worker_helpers.Program) -> None:
        sync_id, job_id = bundle
        worker_helpers.make_stale(admin_db, job_id)
        worker_helpers.drain(worker_conf)
        assert worker_helpers.job(admin_db, job_id)["state"] == "completed"
        assert worker_helpers.counts(panel_db, sync_id) == {"created": 60}
        before = everything(admin_db, sync_id)
        zombie.send(signal.SIGCONT)
        zombie.wait_for_line("This worker writes nothing more for it")
        zombie.send(signal.SIGTERM)
        assert zombie.ends() == 0
        assert everything(admin_db, sync_id) == before

    return outlived


def test_a_worker_stopped_in_the_middle_of_a_transaction_neither_blocks_the_next_nor_writes_afterwards(
    admin_db, worker_db, impatient, start, bundle, outlived
):
    _, job_id = bundle
    zombie = start(worker_helpers.with_options(impatient, "slow.conf", chunk_items=1))
    worker_helpers.wait_until(lambda: worker_helpers.job(admin_db, job_id)["items_done"] >= 3)
    with worker_db.transaction() as tx:
        tx.fetch_one("job_queue.lock", job_id=job_id)
        worker_helpers.wait_until(lambda: wrote_and_waits(admin_db), "a fence that waits", every=0.15)
        assert library_rows_written(admin_db)
        zombie.send(signal.SIGSTOP)
    outlived(zombie)


def wrote_and_waits(admin_db) -> bool:
    """Return whether a transaction that has written rows waits for a lock."""
    return bool(admin_db.execute(
        "SELECT 1 FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT' AND trx_rows_modified > 0"
    ))


def library_rows_written(admin_db) -> bool:
    """Return whether a transaction has uncommitted assets."""
    db = Database(admin_db.settings)
    db.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED")
    written = db.execute("SELECT COUNT(*) AS n FROM asset")[0]["n"]
    db.close()
    return written > admin_db.execute("SELECT COUNT(*) AS n FROM asset")[0]["n"]


def test_a_worker_stopped_between_two_chunks_writes_nothing_afterwards(admin_db, impatient, start, bundle, outlived):
    _, job_id = bundle
    zombie = start(worker_helpers.with_options(impatient, "slow.conf", chunk_items=1))
    worker_helpers.wait_until(lambda: worker_helpers.job(admin_db, job_id)["items_done"] >= 3)
    zombie.send(signal.SIGSTOP)
    worker_helpers.wait_until(
        lambda: worker_helpers.nobody_holds_a_row(admin_db), "the end of the zombie's transaction", every=0.15
    )
    assert worker_helpers.job(admin_db, job_id)["state"] == "running"
    outlived(zombie)


def test_a_live_worker_puts_back_what_a_dead_one_left(admin_db, panel_db, worker_db, impatient, start, assets, bundle):
    sync_id, job_id = bundle
    with worker_helpers.held_back(admin_db, worker_db, assets[35]) as wait:
        dead = start(impatient)
        wait()
        dead.send(signal.SIGKILL)
        dead.ends()
    alive = start(impatient)
    alive.wait_for_line(": requeued, ")
    worker_helpers.wait_until(lambda: worker_helpers.batch(panel_db, sync_id)["status"] == "completed")
    assert worker_helpers.counts(panel_db, sync_id) == {"created": 60}
    assert worker_helpers.job(admin_db, job_id)["attempts"] == 2
