"""Who works on which job: one at a time, by a claim that whoever lost it cannot write with."""

import json
import threading
from functools import partial

import pytest
import worker_helpers
from gpupanel import ledger
from gpupanel.database import Database
from gpupanel.doctor.jobs import CLAIMS, claiming
from gpupanel.errors import ClaimLost
from gpupanel.model import BatchStatus
from gpupanel.work import claims
from worker_helpers import HOST, event_types, status, take


@pytest.fixture
def enqueue(admin_db):
    """Makes queued jobs, each of a batch of its own; returns their ids."""
    return partial(worker_helpers.enqueue, admin_db)


# ------------------------------------------------------------------------------------------------ claim


FOUND = pytest.mark.parametrize("found", CLAIMS)


@FOUND
@pytest.mark.parametrize("aside", [[0], [1, 2]])
def test_a_claim_reads_its_index_in_order_and_sorts_nothing(admin_db, enqueue, found, aside):
    first = enqueue(100)[0]
    (step,) = admin_db.execute(f"EXPLAIN {claiming(found)}", aside=aside, priority=100, past=first)
    assert step["key"] == "claim"
    assert "filesort" not in step["Extra"] and "temporary" not in step["Extra"]


@FOUND
def test_a_claim_locks_one_job_and_a_second_worker_gets_the_next(admin_db, worker_db, worker_conf, enqueue, found):
    jobs = enqueue(100)
    last = take(worker_db, "l")
    other = Database(worker_db.settings)
    with worker_db.transaction() as mine, other.transaction() as theirs:
        (taken,) = mine._execute(claiming(found), {"aside": [0], "priority": last.priority, "past": last.job_id}).fetchall()
        assert taken["id"] == jobs[1]
        assert locks(admin_db, mine) == 2
        past = last if found == "first_past" else None
        assert claims.claim(theirs, claims.Next("b", HOST, past=past)).job_id == jobs[2]
    other.close()


def locks(admin_db, tx) -> int:
    """How many rows and index entries the transaction has locked. The server renews its answer only when it was not asked for
    0.1 s."""
    asked = "SELECT trx_rows_locked AS locked FROM information_schema.INNODB_TRX WHERE trx_mysql_thread_id = %(id)s"
    [row] = worker_helpers.wait_until(lambda: admin_db.execute(asked, id=tx._connection.thread_id()), every=0.15)
    return row["locked"]


def test_lower_priority_numbers_run_first_and_then_older_jobs(worker_db, enqueue):
    late, early, urgent = *enqueue(2), *enqueue(1, priority=1)
    assert [take(worker_db, token).job_id for token in "abc"] == [urgent, late, early]


def test_past_a_job_the_next_in_line_is_claimed_and_the_whole_line_tells_of_what_came_before_it(worker_db, enqueue):
    jobs, last = enqueue(3), take(worker_db, "a")
    urgent, late = *enqueue(1, priority=1), *enqueue(1, priority=200)

    def past(token: str) -> int | None:
        claim = worker_db.transact(claims.claim, claims.Next(token, HOST, past=last))
        return claim and claim.job_id

    assert [past(token) for token in "bcde"] == [*jobs[1:], late, None]
    assert take(worker_db, "f").job_id == urgent


@pytest.mark.parametrize("left", [0, 1], ids=["nothing", "one put aside"])
@pytest.mark.parametrize("priority", [-2**31, 100, 2**31 - 1])
def test_a_claim_that_finds_nothing_past_a_job_locks_nothing(admin_db, worker_db, enqueue, priority, left):
    [running] = enqueue(1, priority=100)
    take(worker_db, "r")
    jobs = enqueue(2, priority=priority)
    first, last = take(worker_db, "a"), take(worker_db, "b")
    aside = enqueue(left, priority=priority)
    other = Database(worker_db.settings, lock_seconds=1)
    with worker_db.transaction() as mine:
        assert claims.claim(mine, claims.Next("c", HOST, aside, past=last)) is None
        other.transact(claims.release, first, "stopped")
        admin_db.execute("UPDATE import_job SET heartbeat_at = NOW(6), state = 'completed' WHERE id = %(id)s", id=running)
    other.close()
    assert worker_helpers.job(admin_db, jobs[0])["state"] == "queued"


def test_a_claim_records_its_worker_its_attempt_and_an_event(worker_db, enqueue):
    enqueue(1)
    claim = take(worker_db, "a")
    assert (claim.worker, claim.attempts) == (HOST, 1)
    assert status(worker_db, claim) == "importing"
    (event,) = worker_helpers.events(worker_db, claim.sync_id)
    assert (event["event_type"], event["actor"]) == ("job_claimed", HOST)
    assert event["payload"] == ledger.canonical(json.loads(event["payload"]))


def test_an_empty_queue_gives_no_claim(worker_db):
    assert take(worker_db, "a") is None


def test_jobs_put_aside_are_passed_over(worker_db, enqueue):
    first, second = enqueue(2)
    assert take(worker_db, "a", aside=[first]).job_id == second
    assert take(worker_db, "b", aside=[first]) is None
    assert take(worker_db, "c").job_id == first


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
        while claim := db.transact(claims.claim, claims.Next(f"{name}{len(taken):031d}", f"{name}:1")):
            taken.append(claim.job_id)
        db.close()

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == jobs


# ----------------------------------------------------------------------------------------------- the fence


ENDED = claims.Ended(BatchStatus.COMPLETED, {"created": 1}, 0, None)
WRITES = {
    "beat": lambda tx, claim: claims.beat(tx, claim),
    "progress": lambda tx, claim: claims.progress(tx, claim, 1),
    "restart": lambda tx, claim: claims.restart(tx, claim, 1),
    "release": lambda tx, claim: claims.release(tx, claim, "stopped"),
    "finish": lambda tx, claim: claims.finish(tx, claim, ENDED, "0" * 64),
    "fail": lambda tx, claim: claims.fail(tx, claim, "broken"),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_whoever_lost_the_claim_can_write_nothing_for_the_job(admin_db, worker_db, enqueue, write):
    (job_id,) = enqueue(1)
    lost = take(worker_db, "a")
    worker_helpers.make_stale(admin_db, job_id)
    worker_db.transact(claims.reset, job_id, 60, 5, "other:2")
    new = take(worker_db, "b")
    before = worker_helpers.job(admin_db, job_id), event_types(worker_db, new)
    with pytest.raises(ClaimLost):
        worker_db.transact(write, lost)
    assert (worker_helpers.job(admin_db, job_id), event_types(worker_db, new)) == before


def test_a_beat_that_changes_nothing_still_holds_the_claim(worker_db, enqueue):
    enqueue(1)
    claim = take(worker_db, "a")
    with worker_db.transaction() as tx:
        claims.beat(tx, claim)
        claims.beat(tx, claim)


def test_with_a_claim_that_was_lost_no_next_job_is_claimed(admin_db, worker_db, enqueue):
    first, second = enqueue(2)
    lost = take(worker_db, "a")
    worker_helpers.make_stale(admin_db, first)
    worker_db.transact(claims.reset, first, 60, 5, "other:2")
    with pytest.raises(ClaimLost):
        worker_db.transact(claims.finish, lost, ENDED, "0" * 64, (), claims.Next("b", HOST))
    assert worker_helpers.job(admin_db, second)["state"] == "queued"


# ----------------------------------------------------------------------------------------------- how it ends


def test_the_next_job_is_claimed_as_one_ends_less_what_is_put_aside_or_cannot_be_run(admin_db, worker_db, enqueue):
    _, aside, odd, sound = enqueue(4)
    admin_db.execute(
        "UPDATE ingest_batch SET status = 'completed' WHERE id = (SELECT batch_id FROM import_job WHERE id = %(id)s)", id=odd
    )
    claim = take(worker_db, "a")
    following = worker_db.transact(claims.finish, claim, ENDED, "0" * 64, (), claims.Next("b", HOST, [aside]))
    assert (following.job_id, following.token, following.worker) == (sound, "b", HOST)
    assert [worker_helpers.job(admin_db, job_id)["state"] for job_id in (aside, odd, sound)] == ["queued", "failed", "running"]
    assert event_types(worker_db, following) == ["job_claimed"]


def test_a_released_job_is_queued_again_with_its_attempt_given_back_and_says_why(admin_db, worker_db, enqueue):
    (job_id,) = enqueue(1)
    claim = take(worker_db, "a")
    worker_db.transact(claims.release, claim, "the worker was stopped")
    job = worker_helpers.job(admin_db, job_id)
    assert (job["state"], job["attempts"], job["last_error"]) == ("queued", 0, "the worker was stopped")
    assert status(worker_db, claim) == "queued"
    assert event_types(worker_db, claim) == ["job_claimed", "job_released"]


def test_a_job_that_finished_cannot_be_finished_again(worker_db, enqueue):
    enqueue(1)
    claim = take(worker_db, "a")
    worker_db.transact(claims.finish, claim, ENDED, "0" * 64)
    with pytest.raises(ClaimLost):
        worker_db.transact(claims.finish, claim, ENDED, "0" * 64)
    assert worker_db.read(claims.ended, claim.token)
