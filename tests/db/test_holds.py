"""Held jobs: what holds a job, what ends each hold, and that no job is held by nothing."""

import threading
from functools import partial

import pytest
import worker_helpers
from gpupanel import holds, job_queue, ledger
from gpupanel.db import Database
from gpupanel.errors import InvalidStateError
from gpupanel.models import BatchStatus, HoldKind
from worker_helpers import event_types, events, take


@pytest.fixture
def enqueue(admin_db):
    """Makes queued jobs, each of a batch of its own; returns their ids."""
    return partial(worker_helpers.enqueue, admin_db)


@pytest.fixture
def chain(admin_db):
    """Makes batches that are ready to be queued, each with the one before as its prior; returns their sync_ids."""

    def make(count: int) -> list[str]:
        sync_ids = [f"{number:08x}-0000-4000-8000-00000000000c" for number in range(count)]
        for number, sync_id in enumerate(sync_ids):
            admin_db.run_transaction(_passed, sync_id, sync_ids[number - 1] if number else None)
        return sync_ids

    return make


def _passed(tx, sync_id: str, prior: str | None) -> None:
    batch_id = tx.insert(
        "ledger.discover", sync_id=sync_id, sync_type="asset", action="create", item_count=1, total_bytes=1,
        source_host="h", manifest_sha256="0" * 64, manifest_summary="{}", container_count=0, last_error=None,
    )
    ledger.set_status(tx, batch_id, BatchStatus.PREFLIGHT_PASSED)
    tx._execute("UPDATE ingest_batch SET prior_sync_id = %(prior)s WHERE id = %(id)s", {"prior": prior, "id": batch_id})


def queue(db, sync_id: str) -> int:
    return db.run_transaction(job_queue.enqueue, sync_id, "operator")


def state(db, job_id: int) -> tuple[str, str | None]:
    """The state of a job, and its hold."""
    row = worker_helpers.job(db, job_id)
    return row["state"], row["hold"]


# ------------------------------------------------------------------------------------------------ priors


def test_a_follower_is_held_while_the_job_of_its_prior_is_active(panel_db, worker_db, chain):
    first, second = chain(2)
    leader, follower = queue(panel_db, first), queue(panel_db, second)
    assert state(panel_db, leader) == ("queued", None)
    assert state(panel_db, follower) == ("held", "prior")
    assert worker_helpers.batch(panel_db, second)["status"] == "queued"
    (event,) = events(panel_db, second, "job_held")
    assert f'"prior_sync_id":"{first}"' in event["payload"] and f"waits for job {leader} " in event["payload"]
    assert take(worker_db, "a").job_id == leader
    assert take(worker_db, "b") is None


def test_the_end_of_the_priors_job_wakes_its_followers_in_their_places(panel_db, worker_db, chain):
    first, second, third = chain(3)
    leader, follower, last = (queue(panel_db, sync_id) for sync_id in (first, second, third))
    assert worker_db.run_transaction(holds.wake, worker_helpers.batch(panel_db, first)["id"], "host:1") == 1
    assert state(panel_db, follower) == ("queued", None)
    assert state(panel_db, last) == ("held", "prior")
    (event,) = events(panel_db, second, "job_unheld")
    assert (event["actor"], '"by":"prior"' in event["payload"]) == ("host:1", True)
    assert [take(worker_db, token).job_id for token in "ab"] == [leader, follower]


def test_a_canceled_prior_wakes_its_followers(panel_db, chain):
    first, second = chain(2)
    leader, follower = queue(panel_db, first), queue(panel_db, second)
    panel_db.run_transaction(job_queue.cancel, leader, "operator")
    assert state(panel_db, follower) == ("queued", None)


def test_a_prior_without_an_active_job_holds_nothing(panel_db, chain):
    _, second = chain(2)
    assert state(panel_db, queue(panel_db, second)) == ("queued", None)


@pytest.mark.parametrize("end_first", [True, False])
def test_no_wake_up_is_lost_between_the_end_of_a_prior_and_the_queueing_of_its_follower(
    panel_db, admin_db, chain, end_first
):
    first, second = chain(2)
    leader = queue(panel_db, first)
    works = [partial(job_queue.cancel, job_id=leader, actor="x"), partial(job_queue.enqueue, sync_id=second, actor="x")]
    ahead, behind = works if end_first else works[::-1]
    other = threading.Thread(target=_in_a_connection_of_its_own, args=(panel_db, behind))
    with panel_db.transaction() as tx:
        ahead(tx)
        other.start()
        worker_helpers.wait_for_lock_wait(admin_db)
    other.join()
    follower = panel_db.execute("SELECT id FROM import_job ORDER BY id DESC LIMIT 1")[0]["id"]
    assert follower != leader and state(panel_db, follower) == ("queued", None)


def _in_a_connection_of_its_own(db, work) -> None:
    other = Database(db.settings)
    other.run_transaction(work)
    other.close()
