"""Claims: one worker a job, and no write under a lost claim."""

import json
import threading
from functools import partial

import pytest
import worker_helpers
from gpupanel import ledger
from gpupanel.db import Database, query
from gpupanel.errors import ClaimLostError
from gpupanel.models import BatchStatus
from gpupanel.worker import claims, job_release, stale_jobs
from worker_helpers import HOST, event_types, status, take



@pytest.fixture
def enqueue(admin_db):
    """Makes queued jobs, each of a batch of its own; returns their ids."""
    return partial(worker_helpers.enqueue, admin_db)


# ------------------------------------------------------------------------------------------------ claim


def test_a_claim_reads_its_index_in_order_and_sorts_nothing(admin_db, enqueue):
    enqueue(100)
    step, *_ = admin_db.execute(f"EXPLAIN {query('claims.lock_next_queued')}")
    assert step["key"] == "claim"
    assert "filesort" not in step["Extra"] and "temporary" not in step["Extra"]


def test_a_claim_locks_one_job_and_a_second_worker_gets_the_next(admin_db, worker_db, enqueue):
    jobs = enqueue(100)
    take(worker_db, "l")
    other = Database(worker_db.settings)
    with worker_db.transaction() as mine, other.transaction() as theirs:
        selected = mine.fetch_one("claims.lock_next_queued")
        assert selected["job_id"] == jobs[1]
        assert locks(admin_db, mine) == 2
        assert claims.claim(theirs, claims.ClaimRequest("b", HOST)).job_id == jobs[2]
    other.close()


def locks(admin_db, tx) -> int:
    """Return how many rows and index entries the transaction has locked.

    The server refreshes this table only if no query read it for 0.1 s.
    """
    asked = "SELECT trx_rows_locked AS locked FROM information_schema.INNODB_TRX WHERE trx_mysql_thread_id = %(id)s"
    [row] = worker_helpers.wait_until(lambda: admin_db.execute(asked, id=tx._connection.thread_id()), every=0.15)
    return row["locked"]


def test_lower_priority_numbers_run_first_and_then_older_jobs(worker_db, enqueue):
    late, early, urgent = *enqueue(2), *enqueue(1, priority=1)
    assert [take(worker_db, token).job_id for token in "abc"] == [urgent, late, early]


def test_a_claim_records_its_worker_its_attempt_and_an_event(worker_db, enqueue):
    enqueue(1)
    claim = take(worker_db, "a")
    assert (claim.worker, claim.attempts) == (HOST, 1)
    assert status(worker_db, claim) == "importing"
    (event,) = worker_helpers.events(worker_db, claim.sync_id)
    assert (event["event_type"], event["actor"]) == ("job_claimed", HOST)
    assert event["payload"] == ledger.canonical_json(json.loads(event["payload"]))


def test_an_empty_queue_gives_no_claim(worker_db):
    assert take(worker_db, "a") is None


def test_a_job_whose_batch_is_not_queued_fails_with_a_reason_and_the_next_one_is_claimed(admin_db, worker_db, enqueue):
    odd, sound = enqueue(2)
    admin_db.execute("UPDATE ingest_batch SET status = 'completed' ORDER BY id LIMIT 1")
    assert take(worker_db, "a").job_id == sound
    refused = worker_helpers.job(admin_db, odd)
    assert refused["state"] == "failed" and "not in status queued" in refused["last_error"]


def test_no_job_is_claimed_twice_by_workers_that_race(worker_db, enqueue):
    jobs, taken = enqueue(60), []

    def work(name: str) -> None:
        db = Database(worker_db.settings)
        while claim := db.run_transaction(claims.claim, claims.ClaimRequest(f"{name}{len(taken):031d}", f"{name}:1")):
            taken.append(claim.job_id)
        db.close()

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == jobs


# ----------------------------------------------------------------------------------------------- the fence


ENDED = claims.ImportResult(BatchStatus.COMPLETED, {"created": 1}, {}, None)
WRITES = {
    "beat": lambda tx, claim: claims.heartbeat(tx, claim),
    "progress": lambda tx, claim: claims.advance(tx, claim, 1),
    "recount": lambda tx, claim: claims.recount(tx, claim),
    "release": lambda tx, claim: job_release.release(tx, claim, "stopped"),
    "finish": lambda tx, claim: claims.finish(tx, claim, ENDED, claims.SAME_MANIFEST),
    "fail": lambda tx, claim: claims.fail(tx, claim, "broken"),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_whoever_lost_the_claim_can_write_nothing_for_the_job(admin_db, worker_db, enqueue, write):
    (job_id,) = enqueue(1)
    lost = take(worker_db, "a")
    worker_helpers.make_stale(admin_db, job_id)
    worker_db.run_transaction(stale_jobs.requeue_stale, job_id, 60, 5, "other:2")
    new = take(worker_db, "b")
    before = worker_helpers.job(admin_db, job_id), event_types(worker_db, new)
    with pytest.raises(ClaimLostError):
        worker_db.run_transaction(write, lost)
    assert (worker_helpers.job(admin_db, job_id), event_types(worker_db, new)) == before


def test_a_beat_that_changes_nothing_still_holds_the_claim(worker_db, enqueue):
    enqueue(1)
    claim = take(worker_db, "a")
    with worker_db.transaction() as tx:
        claims.heartbeat(tx, claim)
        claims.heartbeat(tx, claim)


# ----------------------------------------------------------------------------------------------- how it ends


def test_a_released_job_is_queued_again_with_its_attempt_given_back_and_says_why(admin_db, worker_db, enqueue):
    (job_id,) = enqueue(1)
    claim = take(worker_db, "a")
    worker_db.run_transaction(job_release.release, claim, "the worker was stopped")
    job = worker_helpers.job(admin_db, job_id)
    assert (job["state"], job["attempts"], job["last_error"]) == ("queued", 0, "the worker was stopped")
    assert status(worker_db, claim) == "queued"
    assert event_types(worker_db, claim) == ["job_claimed", "job_released"]


def test_a_job_that_finished_cannot_be_finished_again(worker_db, enqueue):
    enqueue(1)
    claim = take(worker_db, "a")
    worker_db.run_transaction(claims.finish, claim, ENDED, claims.SAME_MANIFEST)
    with pytest.raises(ClaimLostError):
        worker_db.run_transaction(claims.finish, claim, ENDED, claims.SAME_MANIFEST)
    assert worker_db.run_read(claims.has_ended, claim)
