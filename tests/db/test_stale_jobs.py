"""Stale jobs: any worker requeues them, a bounded number of times, and none waits for a dead worker's locks."""

import threading
from functools import partial

import pytest
import worker_helpers
from gpupanel.db import Database
from gpupanel.worker import claims
from worker_helpers import event_types, status, take


@pytest.fixture
def enqueue(admin_db):
    """Makes queued jobs, each of a batch of its own; returns their ids."""
    return partial(worker_helpers.enqueue, admin_db)


def test_a_stale_job_goes_back_to_the_queue_and_the_attempt_counts(admin_db, worker_db, enqueue):
    (job_id,) = enqueue(1)
    claim = take(worker_db, "a")
    worker_helpers.make_stale(admin_db, job_id)
    assert worker_db.run_read(claims.list_stale, 60) == {job_id: claim.name}
    assert "host:1 sent no heartbeat" in worker_db.run_transaction(claims.requeue_stale, job_id, 60, 5, "other:2")
    job = worker_helpers.job(admin_db, job_id)
    assert (job["state"], job["attempts"]) == ("queued", 1)
    assert status(worker_db, claim) == "queued"
    assert worker_helpers.events(worker_db, claim.sync_id)[-1]["actor"] == "other:2"


def test_a_job_that_beats_is_not_stale(worker_db, enqueue):
    (job_id,) = enqueue(1)
    take(worker_db, "a")
    assert worker_db.run_read(claims.list_stale, 60) == {}
    assert worker_db.run_transaction(claims.requeue_stale, job_id, 60, 5, "other:2") is None


def test_after_the_last_attempt_the_job_fails_with_a_reason_that_names_it(admin_db, worker_db, enqueue):
    (job_id,) = enqueue(1)
    for token in "abc":
        claim = take(worker_db, token)
        worker_helpers.make_stale(admin_db, job_id)
        worker_db.run_transaction(claims.requeue_stale, job_id, 60, 3, "other:2")
    job = worker_helpers.job(admin_db, job_id)
    assert job["state"] == "failed" and job["last_error"].startswith("gave up after 3 attempts")
    assert status(worker_db, claim) == "failed"
    assert event_types(worker_db, claim)[-2:] == ["job_claimed", "job_failed"]
    assert take(worker_db, "d") is None


@pytest.mark.parametrize("attempts, done", [
    (5, "requeued, worker"), (1, "failed, gave up after 1 attempts: in the last one, worker"),
])
def test_the_log_names_job_and_batch_of_what_was_put_back_or_failed(
    admin_db, worker_db, worker_conf, enqueue, attempts, done
):
    (job_id,) = enqueue(1)
    claim = take(worker_db, "a")
    worker_helpers.make_stale(admin_db, job_id)
    log = worker_helpers.drain(worker_helpers.with_options(worker_conf, max_attempts=attempts))
    assert f"job {job_id} (batch {claim.sync_id}): {done} host:1 sent no heartbeat for over 900 s\n" in log


def test_a_reset_passes_over_a_row_that_somebody_holds(admin_db, worker_db, enqueue):
    (job_id,) = enqueue(1)
    claim = take(worker_db, "a")
    worker_helpers.make_stale(admin_db, job_id)
    other = Database(worker_db.settings)
    with other.transaction() as zombie:
        zombie.fetch_one("job_queue.lock", job_id=job_id)
        assert worker_db.run_transaction(claims.requeue_stale, job_id, 60, 5, "other:2") is None
    assert worker_db.run_read(claims.find_claim, claim.token) == claim
    other.close()


def test_two_resets_at_once_reset_once(admin_db, worker_db, enqueue):
    (job_id,) = enqueue(1)
    claim = take(worker_db, "a")
    worker_helpers.make_stale(admin_db, job_id)
    done, ready = [], threading.Barrier(2)

    def reset() -> None:
        db = Database(worker_db.settings)
        ready.wait()
        done.append(db.run_transaction(claims.requeue_stale, job_id, 60, 5, "other:2"))
        db.close()

    threads = [threading.Thread(target=reset) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [bool(each) for each in done].count(True) == 1
    assert event_types(worker_db, claim) == ["job_claimed", "job_reset"]
