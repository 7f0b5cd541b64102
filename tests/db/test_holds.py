"""Held jobs: what holds a job, what ends each hold, and that no job is held by nothing."""

import threading
from collections import Counter
from functools import partial

import pytest
import worker_helpers
from gpupanel import holds, job_queue, ledger, services
from gpupanel.db import Database, query
from gpupanel.errors import InvalidStateError
from gpupanel.models import BatchStatus, HoldKind
from gpupanel.worker import claims, job_release
from gpupanel.worker.hold_sweep import HoldSweeper
from worker_helpers import events, take


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
        prior_sync_id=prior,
    )
    ledger.set_status(tx, batch_id, BatchStatus.PREFLIGHT_PASSED)


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


@pytest.fixture
def photo_chain(panel_db, mount, bundles):
    """A create and two updates of a photo, each after its prior, although upstream completed the updates earlier."""
    (photo,) = bundles.assets("chain", 1)
    sync_ids = [bundles.bundle("0", [photo])]
    for title in ("1", "2"):
        sync_ids.append(bundles.bundle(
            title, [photo._replace(title=title)], action="update", prior_sync_id=sync_ids[-1],
            created_at="2020-01-01T00:00:00Z", completed_at="2020-01-01T00:00:00Z",
        ))
    services.scan_mount(panel_db, mount, "operator")
    return sync_ids


def test_a_bulk_queue_takes_priors_before_their_followers_whenever_upstream_completed_them(
    panel_db, mount, photo_chain
):
    results = services.queue_batches(panel_db, mount, photo_chain[::-1], "operator")
    assert [result.sync_id for result in results] == photo_chain
    assert [state(panel_db, result.job_id) for result in results] == [
        ("queued", None), ("held", "prior"), ("held", "prior"),
    ]


def test_a_bulk_queue_reads_fractions_of_a_second(panel_db, mount, bundles):
    (photo,) = bundles.assets("fraction", 1)
    whole = bundles.bundle("whole", [photo], completed_at="2024-01-01T00:00:00Z")
    later = bundles.bundle("later", [photo], action="update", completed_at="2024-01-01T00:00:00.5Z")
    services.scan_mount(panel_db, mount, "operator")
    results = services.queue_batches(panel_db, mount, [later, whole], "operator")
    assert [result.sync_id for result in results] == [whole, later]


# ------------------------------------------------------------------------------------------------ an operator's hold


def test_an_operator_holds_a_job_and_releases_it_to_its_place(admin_db, panel_db, worker_db, enqueue):
    first, second = enqueue(2)
    panel_db.run_transaction(job_queue.hold, first, "ada", "wait for the press release")
    assert state(panel_db, first) == ("held", "operator")
    assert worker_helpers.job(panel_db, first)["hold_reason"] == "held by ada: wait for the press release"
    assert panel_db.run_transaction(job_queue.release, first, "ada") is None
    assert [take(worker_db, token).job_id for token in "ab"] == [first, second]


def test_a_released_job_is_held_again_while_its_priors_job_is_active(panel_db, chain):
    first, second = chain(2)
    queue(panel_db, first)
    follower = queue(panel_db, second)
    panel_db.run_transaction(job_queue.hold, follower, "ada")
    again = panel_db.run_transaction(job_queue.release, follower, "ada")
    assert (again.kind, state(panel_db, follower)) == (HoldKind.PRIOR, ("held", "prior"))
    with pytest.raises(InvalidStateError, match="waits for job"):
        panel_db.run_transaction(job_queue.release, follower, "ada")


def test_a_held_job_is_active_may_be_canceled_and_change_its_priority(panel_db, enqueue):
    (job_id,) = enqueue(1)
    panel_db.run_transaction(job_queue.hold, job_id, "ada")
    panel_db.run_transaction(job_queue.set_priority, job_id, 5, "ada")
    assert worker_helpers.job(panel_db, job_id)["active_batch_id"]
    panel_db.run_transaction(job_queue.cancel, job_id, "ada")
    job = worker_helpers.job(panel_db, job_id)
    assert (job["state"], job["hold"], job["priority"], job["hold_count"]) == ("canceled", None, 5, 0)


def test_a_running_job_cannot_be_held(panel_db, worker_db, enqueue):
    (job_id,) = enqueue(1)
    take(worker_db, "a")
    with pytest.raises(InvalidStateError, match="is running on"):
        panel_db.run_transaction(job_queue.hold, job_id, "ada")


# ------------------------------------------------------------------------------------------------ backoff and sweep


def back_off(db, token: str, reason: str) -> None:
    """Claim the next job and let its attempt fail."""
    db.run_transaction(job_release.retry_or_fail, take(db, token), reason, 99)


def sweeper(db, mount) -> HoldSweeper:
    return HoldSweeper(db, mount, "host:1", lambda: None)


def test_a_backoff_doubles_from_one_minute_to_one_hour_and_one_event_tells_a_reason(
    admin_db, worker_db, enqueue, mount
):
    (job_id,) = enqueue(1)
    minutes = []
    for token in "abcdefgh":
        back_off(worker_db, token, "Input/output error")
        (row,) = admin_db.execute("SELECT TIMESTAMPDIFF(SECOND, held_at, not_before) AS wait FROM import_job")
        minutes.append(row["wait"] / 60)
        worker_helpers.make_due(admin_db)
        assert sweeper(worker_db, mount).sweep().released == 1
    assert minutes == [1, 2, 4, 8, 16, 32, 60, 60]
    batch_id = worker_helpers.job(admin_db, job_id)["batch_id"]
    events = admin_db.execute("SELECT event_type FROM ingest_event WHERE batch_id = %(id)s ORDER BY id", id=batch_id)
    assert [row["event_type"] for row in events].count("job_held") == 1
    back_off(worker_db, "i", "another reason")
    assert admin_db.execute("SELECT COUNT(*) AS n FROM ingest_event WHERE event_type = 'job_held'")[0]["n"] == 2


def test_a_commit_of_items_starts_the_backoff_anew(admin_db, worker_db, enqueue, mount):
    (job_id,) = enqueue(1)
    back_off(worker_db, "a", "x")
    worker_helpers.make_due(admin_db)
    sweeper(worker_db, mount).sweep()
    worker_db.run_transaction(claims.advance, take(worker_db, "b"), 1)
    assert worker_helpers.job(admin_db, job_id)["hold_count"] == 0


def test_trouble_with_the_server_holds_a_job_only_when_it_comes_again(admin_db, worker_db, enqueue):
    (job_id,) = enqueue(1)
    worker_db.run_transaction(job_release.release_interrupted, take(worker_db, "a"), "the database: gone", 5)
    job = worker_helpers.job(admin_db, job_id)
    assert (job["state"], job["attempts"]) == ("queued", 0)
    worker_db.run_transaction(job_release.release_interrupted, take(worker_db, "b"), "the database: gone", 5)
    job = worker_helpers.job(admin_db, job_id)
    assert (job["state"], job["hold"], job["attempts"]) == ("held", "backoff", 1)


def test_a_job_is_not_swept_before_its_time(worker_db, enqueue, mount):
    (job_id,) = enqueue(1)
    back_off(worker_db, "a", "x")
    assert sweeper(worker_db, mount).sweep() == (0, False)
    assert state(worker_db, job_id) == ("held", "backoff")


def test_a_bundle_that_is_still_away_stays_held_without_an_event(admin_db, panel_db, worker_db, bundles, mount):
    sync_id = bundles.bundle("one", bundles.assets("one", 1))
    (job_id,) = worker_helpers.queue(panel_db, mount, sync_id)
    manifest = mount.sync_dir / f"{sync_id}.json"
    manifest.rename(away := manifest.with_suffix(".away"))
    assert sweeper(worker_db, mount).hold_vanished() == 1
    for _ in range(2):
        worker_helpers.make_due(admin_db)
        assert sweeper(worker_db, mount).sweep().released == 0
    assert state(admin_db, job_id) == ("held", "bundle")
    assert len(events(panel_db, sync_id, "job_held")) == 1
    away.rename(manifest)
    worker_helpers.make_due(admin_db)
    assert sweeper(worker_db, mount).sweep().released == 1
    assert state(admin_db, job_id) == ("queued", None)


def test_while_the_whole_mount_is_away_no_job_is_held(panel_db, worker_db, bundles, mount, assets_dir):
    worker_helpers.queue(panel_db, mount, *(bundles.bundle(name, bundles.assets(name, 1)) for name in ("one", "two")))
    assets_dir.rename(assets_dir.with_name("away"))
    assert sweeper(worker_db, mount).hold_vanished() == 0


def test_a_follower_whose_prior_another_program_ended_is_held_by_nothing_for_a_minute_at_most(
    admin_db, panel_db, worker_db, chain, mount
):
    first, second = chain(2)
    leader, follower = queue(panel_db, first), queue(panel_db, second)
    assert sweeper(worker_db, mount).sweep().released == 0
    admin_db.execute("UPDATE import_job SET state = 'completed' WHERE id = %(id)s", id=leader)
    assert sweeper(worker_db, mount).sweep().released == 1
    assert state(panel_db, follower) == ("queued", None)


def test_a_job_whose_time_has_come_waits_for_a_prior_that_was_queued_meanwhile(
    admin_db, panel_db, worker_db, chain, mount
):
    first, second = chain(2)
    follower = queue(panel_db, second)
    back_off(worker_db, "a", "x")
    queue(panel_db, first)
    worker_helpers.make_due(admin_db)
    sweeper(worker_db, mount).sweep()
    assert state(panel_db, follower) == ("held", "prior")


def test_more_than_a_page_of_followers_is_woken_without_losing_one(admin_db, worker_db, enqueue, mount):
    leader, *followers = enqueue(251)
    batch_id = worker_helpers.job(admin_db, leader)["batch_id"]
    admin_db.execute(
        "UPDATE import_job SET state = 'held', hold = 'prior', hold_batch_id = %(batch)s WHERE id <> %(leader)s",
        batch=batch_id, leader=leader,
    )
    claim = take(worker_db, "a")
    worker_db.run_transaction(claims.fail, claim, "x")
    assert count(admin_db, "queued") == holds.PAGE_JOBS
    while sweeper(worker_db, mount).sweep().has_more:
        pass
    assert count(admin_db, "queued") == len(followers)


def count(db, name: str) -> int:
    return db.execute("SELECT COUNT(*) AS n FROM import_job WHERE state = %(name)s", name=name)[0]["n"]


# ------------------------------------------------------------------------------------------------ many held jobs


def test_ten_thousand_vanished_bundles_delay_a_sound_job_by_one_poll_and_write_one_event_each(
    admin_db, panel_db, bundles, mount, worker_conf, enqueue
):
    enqueue(10_000)
    sync_id = bundles.bundle("sound", bundles.assets("sound", 1))
    worker_helpers.queue(panel_db, mount, sync_id)
    log = worker_helpers.drain(worker_conf)
    assert worker_helpers.batch(panel_db, sync_id)["status"] == "completed"
    assert log.count(": attempt 1, ") == 2  # one vanished bundle was claimed, then the sound one
    assert count(admin_db, "held") == 10_000
    (row,) = admin_db.execute(
        "SELECT COUNT(*) AS n, COUNT(DISTINCT batch_id) AS b FROM ingest_event WHERE event_type = 'job_held'"
    )
    assert (row["n"], row["b"]) == (10_000, 10_000)


def test_held_jobs_change_neither_the_plan_of_a_claim_nor_the_rows_that_it_reads(admin_db, worker_db, enqueue):
    """The claim reads the index (state, priority, id) from 'queued' on: held entries lie outside of that range.

    It takes the first entry of that range, and finds everything else by key; from no row does it step to the next.
    """
    enqueue(3, priority=200)
    plan, found, stepped = claim_cost(admin_db)
    enqueue(5_000, priority=1)
    admin_db.execute("UPDATE import_job SET state = 'held', hold = 'operator' WHERE priority = 1")
    admin_db.execute("ANALYZE TABLE import_job")
    assert claim_cost(admin_db) == (plan, found, stepped)
    assert found > 0 and stepped == 0
    assert take(worker_db, "a") is not None


def claim_cost(db) -> tuple[list, int, int]:
    """Return the plan of the claim's SELECT without row estimates, the rows found by key, and those stepped to."""
    plan = db.execute(f"EXPLAIN {query('claims.lock_next_queued')}")
    with db.transaction() as tx:
        before = handler_reads(tx)
        tx.fetch_one("claims.lock_next_queued")
        reads = handler_reads(tx) - before
    found = reads["Handler_read_key"]
    columns = ("table", "type", "key", "ref", "Extra")
    return [tuple(step[column] for column in columns) for step in plan], found, reads.total() - found


def handler_reads(tx) -> Counter[str]:
    rows = tx.fetch_all_sql("SHOW SESSION STATUS LIKE 'Handler_read%%'")
    return Counter({row["Variable_name"]: int(row["Value"]) for row in rows})
