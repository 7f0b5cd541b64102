"""Stale jobs: any worker requeues them, a bounded number of times, and none waits for a dead worker's locks."""

import threading
from functools import partial

import pytest
import worker_helpers
from gpupanel.db import Database
from gpupanel.worker import claims, stale_jobs
from worker_helpers import event_types, status, take


@pytest.fixture
def enqueue(admin_db):
    """Makes queued jobs, each of a batch of its own; returns their ids."""
    return partial(worker_helpers.enqueue, admin_db)


def test_a_stale_job_goes_back_to_the_queue_and_the_attempt_counts(admin_db, worker_db, enqueue):
    (job_id,) = enqueue(1)
    claim = take(worker_db, "a")
    worker_helpers.make_stale(admin_db, job_id)
    assert worker_db.run_read(stale_jobs.list_stale, 60) == {job_id: claim.name}
    assert "host:1 sent no heartbeat" in worker_db.run_transaction(stale_jobs.requeue_stale, job_id, 60, 5, "other:2")
    job = worker_helpers.job(admin_db, job_id)
    assert (job["state"], job["attempts"]) == ("queued", 1)
    assert status(worker_db, claim) == "queued"
    assert worker_helpers.events(worker_db, claim.sync_id)[-1]["actor"] == "other:2"


def test_a_job_that_beats_is_not_stale(worker_db, enqueue):
    (job_id,) = enqueue(1)
    take(worker_db, "a")
    assert worker_db.run_read(stale_jobs.list_stale, 60) == {}
    assert worker_db.run_transaction(stale_jobs.requeue_stale, job_id, 60, 5, "other:2") is None


def test_after_the_last_attempt_the_job_fails_with_a_reason_that_names_it(admin_db, worker_db, enqueue):
    (job_id,) = enqueue(1)
    for token in "abc":
        claim = take(worker_db, token)
        worker_helpers.make_stale(admin_db, job_id)
        worker_db.run_transaction(stale_jobs.requeue_stale, job_id, 60, 3, "other:2")
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
        assert worker_db.run_transaction(stale_jobs.requeue_stale, job_id, 60, 5, "other:2") is None
    assert worker_db.run_read(claims.find_claim, claim.token, claim.worker) == claim
    other.close()


def test_two_resets_at_once_reset_once(admin_db, worker_db, enqueue):
    (job_id,) = enqueue(1)
    claim = take(worker_db, "a")
    worker_helpers.make_stale(admin_db, job_id)
    done, ready = [], threading.Barrier(2)

    def reset() -> None:
        db = Database(worker_db.settings)
        ready.wait()
        done.append(db.run_transaction(stale_jobs.requeue_stale, job_id, 60, 5, "other:2"))
        db.close()

    threads = [threading.Thread(target=reset) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [bool(each) for each in done].count(True) == 1
    assert event_types(worker_db, claim) == ["job_claimed", "job_reset"]


# ----------------------------------------------------------------------------------------------- the Perl worker's jobs


def running(db, job_id: int, **columns: str) -> None:
    """Let the Perl worker run a job; its columns are SQL."""
    changes = "".join(f", {column} = {value}" for column, value in columns.items())
    db.execute(f"UPDATE import_job SET state = 'running', worker = 'perl:9', attempts = 1{changes} WHERE id = {job_id}")
    db.execute("UPDATE ingest_batch SET status = 'importing'")


@pytest.mark.parametrize("columns, is_stale", [
    ({"claimed_at": "NOW(6) - INTERVAL 61 SECOND"}, True), ({"claimed_at": "NOW(6) - INTERVAL 50 SECOND"}, False),
    ({"claimed_at": "NOW(6) - INTERVAL 1 HOUR", "heartbeat_at": "NOW(6)"}, False),
    ({"heartbeat_at": "NOW(6) - INTERVAL 50 SECOND"}, False), ({"heartbeat_at": "NOW(6) - INTERVAL 61 SECOND"}, True),
])
def test_a_job_without_a_heartbeat_is_judged_by_its_claim_and_one_without_a_token_by_its_heartbeat(
    admin_db, worker_db, enqueue, columns, is_stale
):
    (job_id,) = enqueue(1)
    running(admin_db, job_id, **columns)
    assert list(worker_db.run_read(stale_jobs.list_stale, 60)) == ([job_id] if is_stale else [])
    done = worker_db.run_transaction(stale_jobs.requeue_stale, job_id, 60, 5, "other:2")
    assert (worker_helpers.job(admin_db, job_id)["state"], bool(done)) == (
        "queued" if is_stale else "running", is_stale,
    )


def test_a_stale_job_that_continues_never_counts_more_items_than_its_total(
    admin_db, panel_db, bundles, mount, worker_conf
):
    sync_id = bundles.bundle("coast", bundles.assets("coast", 8))
    (job_id,) = worker_helpers.queue(panel_db, mount, sync_id)
    # The Perl worker counted three items of which it committed two.
    admin_db.execute("UPDATE ingest_batch_item SET decision = 'created' WHERE position < 2")
    running(admin_db, job_id, items_done="3", heartbeat_at="NOW(6) - INTERVAL 1 HOUR")
    log = worker_helpers.drain(worker_conf)
    assert "completed, 8 of 8 items" in log
    job = worker_helpers.job(admin_db, job_id)
    assert (job["items_done"], job["items_total"]) == (8, 8)


def test_a_stale_job_is_held_while_the_job_of_its_prior_is_active(admin_db, worker_db, enqueue):
    leader, follower = enqueue(2)
    admin_db.execute(
        "UPDATE ingest_batch b JOIN import_job j ON j.batch_id = b.id"
        " SET b.prior_sync_id = (SELECT p.sync_id FROM ingest_batch p JOIN import_job l ON l.batch_id = p.id"
        "                        WHERE l.id = %(leader)s) WHERE j.id = %(follower)s",
        leader=leader, follower=follower,
    )
    admin_db.execute(f"UPDATE import_job SET priority = 1 WHERE id = {follower}")
    take(worker_db, "a")
    worker_helpers.make_stale(admin_db, follower)
    worker_db.run_transaction(stale_jobs.requeue_stale, follower, 60, 5, "other:2")
    job = worker_helpers.job(admin_db, follower)
    assert (job["state"], job["hold"]) == ("held", "prior")
    worker_db.run_transaction(claims.fail, take(worker_db, "b"), "x")
    assert worker_helpers.job(admin_db, follower)["state"] == "queued"
