"""Races of two transactions on real connections: the loser changes nothing."""

import threading
from functools import partial

import pytest
import worker_helpers
from gpupanel import bundle_inspection, job_queue, ledger, preflight, scan, services, undo_service
from gpupanel.db import Database
from gpupanel.errors import ClaimLostError, InvalidStateError, PanelError
from gpupanel.models import BatchStatus
from gpupanel.worker import claims, job_release, stale_jobs
from gpupanel.worker.claims import ImportResult

WELL = ImportResult(BatchStatus.COMPLETED, {}, {}, None)


class Later:
    """A concurrent operation in a thread with its own connection; its result is `value` or `error`."""

    def __init__(self, db: Database, work, *args):
        self.value = self.error = None
        self._db, self._work = Database(db.settings), partial(work, *args)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.value = self._db.run_transaction(self._work)
        except PanelError as error:
            self.error = error
        self._db.close()

    def waits_or_ended(self, admin_db) -> None:
        waiting = "SELECT 1 FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT'"
        worker_helpers.wait_until(
            lambda: not self._thread.is_alive() or admin_db.execute(waiting), "the other one", every=0.15
        )

    def join(self) -> "Later":
        self._thread.join()
        return self


@pytest.fixture(autouse=True, params=["OFF", "ON"], ids=["snapshot isolation off", "snapshot isolation on"])
def snapshot_isolation(admin_db, request):
    """The default of older servers, and that of newer ones."""
    if not admin_db.execute("SHOW VARIABLES LIKE 'innodb_snapshot_isolation'"):
        pytest.skip("this server has no snapshot isolation")
    (before,) = admin_db.execute("SELECT @@global.innodb_snapshot_isolation AS it")
    admin_db.execute(f"SET GLOBAL innodb_snapshot_isolation = {request.param}")
    yield
    admin_db.execute("SET GLOBAL innodb_snapshot_isolation = %(it)s", it=before["it"])


@pytest.fixture
def race(admin_db):
    """`race(db, first, other, second)` runs `second(tx)` on `other` before `first(tx)` commits; returns its Later."""

    def run(db, first, other, second) -> Later:
        with db.transaction() as tx:
            first(tx)
            later = Later(other, second)
            later.waits_or_ended(admin_db)
        return later.join()

    return run


@pytest.fixture
def job(bundles, panel_db, mount):
    """A queued job of one photo; returns (sync_id, job id)."""
    sync_id = bundles.bundle("coast", bundles.assets("coast", 1))
    return sync_id, *worker_helpers.queue(panel_db, mount, sync_id)


def take(tx, token: str = "a" * 32):
    return claims.claim(tx, claims.ClaimRequest(token, "host:1"))


def test_a_cancel_that_comes_while_the_job_is_claimed_waits_and_is_refused(race, worker_db, panel_db, job):
    sync_id, job_id = job
    later = race(worker_db, take, panel_db, lambda tx: job_queue.cancel(tx, job_id, "operator"))
    assert isinstance(later.error, InvalidStateError) and "is running" in str(later.error)
    assert worker_helpers.batch(panel_db, sync_id)["status"] == "importing"


def test_a_claim_that_comes_while_the_job_is_canceled_finds_nothing(race, worker_db, panel_db, job):
    sync_id, job_id = job
    later = race(panel_db, lambda tx: job_queue.cancel(tx, job_id, "operator"), worker_db, take)
    assert (later.error, later.value) == (None, None)
    assert worker_helpers.batch(panel_db, sync_id)["status"] == "preflight_passed"
    assert worker_db.run_transaction(take) is None


def test_a_cancel_that_comes_while_the_job_ends_waits_and_is_refused(race, worker_db, panel_db, job):
    sync_id, job_id = job
    claim = worker_db.run_transaction(take)
    later = race(
        worker_db, lambda tx: claims.finish(tx, claim, WELL, claims.SAME_MANIFEST), panel_db,
        lambda tx: job_queue.cancel(tx, job_id, "operator"),
    )
    assert isinstance(later.error, InvalidStateError) and "completed already" in str(later.error)
    assert worker_helpers.batch(panel_db, sync_id)["status"] == "completed"


def test_a_claim_that_comes_while_a_job_is_claimed_waits_for_nobody_and_finds_nothing(
    race, admin_db, worker_db, panel_db, job
):
    sync_id, job_id = job
    later = race(worker_db, take, worker_db, lambda tx: take(tx, "b" * 32))
    assert (later.error, later.value) == (None, None)
    assert worker_helpers.job(admin_db, job_id)["claim_token"] == "a" * 32
    assert len(worker_helpers.events(panel_db, sync_id, "job_claimed")) == 1


def test_a_queueing_that_comes_while_the_batch_is_queued_waits_and_is_refused(race, admin_db, panel_db, mount, bundles):
    sync_id = bundles.bundle("coast", bundles.assets("coast", 1))
    services.scan_mount(panel_db, mount, "operator")
    services.preflight_batch(panel_db, mount, sync_id, "operator")
    later = race(
        panel_db, lambda tx: job_queue.enqueue(tx, sync_id, "operator"),
        panel_db, lambda tx: job_queue.enqueue(tx, sync_id, "another"),
    )
    assert isinstance(later.error, InvalidStateError)
    (row,) = admin_db.execute("SELECT requested_by FROM import_job")
    assert row["requested_by"] == "operator"
    assert len(worker_helpers.events(panel_db, sync_id, "job_queued")) == 1


def test_a_scan_that_comes_while_a_bundle_is_recorded_waits_and_finds_it_known(
    race, admin_db, panel_db, mount, bundles
):
    sync_id = bundles.bundle("coast", bundles.assets("coast", 1))
    inspections = [scan.scan_bundle(mount, sync_id)]
    later = race(
        panel_db, lambda tx: scan.save_scan(tx, inspections, "operator"), panel_db,
        lambda tx: scan.save_scan(tx, inspections, "another"),
    )
    assert (later.error, later.value) == (None, {sync_id: scan.KNOWN})
    assert len(worker_helpers.events(panel_db, sync_id, "scan")) == 1


def test_a_reset_that_comes_while_the_job_is_reset_passes_over_it(race, admin_db, worker_db, panel_db, job):
    sync_id, job_id = job
    worker_db.run_transaction(take)
    worker_helpers.make_stale(admin_db, job_id)

    def reset(tx):
        return stale_jobs.requeue_stale(tx, job_id, 900, 5, "other:2")

    later = race(worker_db, reset, worker_db, reset)
    assert (later.error, later.value) == (None, None)
    assert len(worker_helpers.events(panel_db, sync_id, "job_reset")) == 1


def test_a_reset_that_comes_while_the_job_ends_does_nothing(race, admin_db, worker_db, panel_db, job):
    _, job_id = job
    claim = worker_db.run_transaction(take)
    worker_helpers.make_stale(admin_db, job_id)

    def reset(tx):
        return stale_jobs.requeue_stale(tx, job_id, 900, 5, "other:2")

    later = race(worker_db, lambda tx: claims.finish(tx, claim, WELL, claims.SAME_MANIFEST), worker_db, reset)
    assert (later.error, later.value) == (None, None)
    assert worker_db.run_transaction(reset) is None
    assert worker_helpers.job(admin_db, job_id)["state"] == "completed"


@pytest.mark.parametrize(
    "write",
    [
        lambda tx, claim: claims.finish(tx, claim, WELL, claims.SAME_MANIFEST), claims.heartbeat,
        lambda tx, claim: claims.advance(tx, claim, 1), lambda tx, claim: job_release.release(tx, claim, "stopped"),
        lambda tx, claim: claims.fail(tx, claim, "broken"),
    ],
    ids=["finish", "beat", "progress", "release", "fail"],
)
def test_whatever_a_worker_writes_while_its_job_is_reset_waits_and_is_lost(
    race, admin_db, worker_db, panel_db, job, write
):
    sync_id, job_id = job
    claim = worker_db.run_transaction(take)
    worker_helpers.make_stale(admin_db, job_id)
    later = race(
        worker_db, lambda tx: stale_jobs.requeue_stale(tx, job_id, 900, 5, "other:2"), worker_db,
        lambda tx: write(tx, claim),
    )
    assert isinstance(later.error, ClaimLostError)
    row = worker_helpers.job(admin_db, job_id)
    assert (row["state"], row["items_done"], row["attempts"]) == ("queued", 0, 1)
    assert worker_helpers.batch(panel_db, sync_id)["status"] == "queued"


def test_a_preflight_that_comes_while_the_batch_is_claimed_waits_and_is_refused(race, worker_db, panel_db, mount, job):
    sync_id, _ = job
    examined = bundle_inspection.inspect_bundle(mount, sync_id)
    planned = worker_helpers.items(panel_db, sync_id)
    later = race(worker_db, take, panel_db, lambda tx: preflight.save_preflight(tx, examined, "operator"))
    assert isinstance(later.error, InvalidStateError) and "is importing" in str(later.error)
    assert worker_helpers.items(panel_db, sync_id) == planned


@pytest.mark.parametrize(
    "look",
    [
        lambda tx, inspection: preflight.save_preflight(tx, inspection, "operator"),
        lambda tx, inspection: preflight.replan_open_items(tx, inspection, "operator"),
        lambda tx, inspection: services._preflight_and_enqueue(tx, inspection, "operator", 100),
    ],
    ids=["a preflight", "a retry", "a queueing"],
)
def test_what_found_the_bundle_gone_while_its_import_ends_waits_and_tells_how_that_ended(
    race, admin_db, worker_db, panel_db, mount, job, look
):
    sync_id, _ = job
    claim = worker_db.run_transaction(take)
    (mount.sync_dir / f"{sync_id}.json").unlink()
    inspection = bundle_inspection.inspect_bundle(mount, sync_id)
    later = race(
        worker_db, lambda tx: claims.finish(tx, claim, WELL, claims.SAME_MANIFEST),
        panel_db, lambda tx: look(tx, inspection),
    )
    assert isinstance(later.error, InvalidStateError) and str(later.error).endswith("stays as it is: completed.")
    assert worker_helpers.batch(panel_db, sync_id)["status"] == "completed"
    assert worker_helpers.events(panel_db, sync_id)[-1]["event_type"] == "job_finished"


def test_a_queueing_that_comes_while_the_batch_is_preflighted_waits_and_sees_how_that_ended(
    race, panel_db, mount, bundles
):
    sync_id = bundles.bundle("coast", bundles.assets("coast", 1))
    services.scan_mount(panel_db, mount, "operator")
    examined = bundle_inspection.inspect_bundle(mount, sync_id)
    later = race(
        panel_db, lambda tx: preflight.save_preflight(tx, examined, "operator"),
        panel_db, lambda tx: job_queue.enqueue(tx, sync_id, "operator"),
    )
    assert later.error is None and later.value > 0
    assert panel_db.run_read(ledger.get_batch, sync_id)["status"] == "queued"


@pytest.fixture
def failed(bundles, panel_db, mount, worker_conf):
    """Return (sync_id, inspection of its bundle) of a batch of which one of two photos has failed."""
    sync_id = worker_helpers.partial_batch(panel_db, mount, bundles, worker_conf, 2)
    worker_helpers.mend(panel_db, mount, sync_id)
    return sync_id, bundle_inspection.inspect_bundle(
        mount, sync_id, panel_db.run_read(ledger.open_items, worker_helpers.batch(panel_db, sync_id)["id"])
    )


def retry(tx, inspection, actor: str = "operator") -> int:
    return services._reopen_and_enqueue(tx, inspection, actor, 100)


@pytest.mark.parametrize(
    "other",
    [
        lambda tx, inspection: retry(tx, inspection, "another"),
        lambda tx, inspection: preflight.save_preflight(tx, inspection._replace(only=None), "another"),
        lambda tx, inspection: services._preflight_and_enqueue(tx, inspection._replace(only=None), "another", 100),
        lambda tx, inspection: services._retry_whole(tx, inspection._replace(only=None), "another", 100),
    ],
    ids=["a retry", "a preflight", "a queueing", "a retry of the whole"],
)
def test_whatever_comes_while_a_batch_is_retried_waits_and_is_refused(race, admin_db, panel_db, failed, other):
    sync_id, inspection = failed
    later = race(panel_db, lambda tx: retry(tx, inspection), panel_db, lambda tx: other(tx, inspection))
    assert isinstance(later.error, InvalidStateError)
    (queued,) = admin_db.execute("SELECT requested_by, items_total FROM import_job WHERE state = 'queued'")
    assert queued == {"requested_by": "operator", "items_total": 1}
    assert [item["decision"] for item in worker_helpers.items(panel_db, sync_id)] == ["created", "will_create"]


@pytest.mark.parametrize("first, status", [
    (lambda tx, job_id: job_queue.cancel(tx, job_id, "another"), "queued"), (lambda tx, job_id: take(tx), "importing"),
], ids=["canceled", "claimed"])
def test_a_retry_that_comes_while_the_last_one_is_settled_waits_and_sees_how(
    race, admin_db, panel_db, worker_db, failed, first, status
):
    sync_id, inspection = failed
    job_id = panel_db.run_transaction(retry, inspection)
    actor = worker_db if status == "importing" else panel_db
    later = race(actor, lambda tx: first(tx, job_id), panel_db, lambda tx: retry(tx, inspection))
    assert isinstance(later.error, InvalidStateError) == (status == "importing")
    assert worker_helpers.batch(panel_db, sync_id)["status"] == status
    assert len(admin_db.execute("SELECT 1 FROM import_job WHERE state IN ('queued', 'running')")) == 1


# ------------------------------------------------------------------------------------------------ undo


@pytest.fixture
def imported(job, panel_db, worker_conf):
    """An imported batch; returns its sync_id."""
    worker_helpers.drain(worker_conf)
    return job[0]


def undo(tx, sync_id):
    return undo_service._plan_and_queue(tx, sync_id, "second", 100, None)


def plan_undo(tx, sync_id):
    return undo_service._plan(tx, sync_id, "second", False)


def undos(db) -> list[dict]:
    return db.execute("SELECT b.sync_id, b.undo_of, j.requested_by FROM ingest_batch b LEFT JOIN import_job j"
                      " ON j.batch_id = b.id WHERE b.undo_of IS NOT NULL ORDER BY b.id")


@pytest.mark.parametrize("other", [undo, plan_undo])
def test_a_second_undo_of_a_batch_waits_and_finds_the_first(race, panel_db, admin_db, imported, other):
    def first(tx):
        undo_service._plan_and_queue(tx, imported, "first", 100, None)

    later = race(panel_db, first, panel_db, lambda tx: other(tx, imported))
    assert isinstance(later.error, InvalidStateError) and "is being undone by batch" in str(later.error)
    assert [row["requested_by"] for row in undos(admin_db)] == ["first"]


def test_two_plans_of_an_undo_at_once_are_one_batch(race, panel_db, admin_db, imported):
    later = race(panel_db, lambda tx: plan_undo(tx, imported), panel_db, lambda tx: plan_undo(tx, imported))
    assert later.error is None and [row["sync_id"] for row in undos(admin_db)] == [later.value.sync_id]


@pytest.mark.parametrize("undo_first", [True, False])
def test_a_batch_is_imported_again_or_undone_whichever_comes_first(
    race, panel_db, admin_db, mount, imported, undo_first
):
    """Queueing takes the plan of a preflight, as the page does."""
    services.preflight_batch(panel_db, mount, imported, "operator")
    works = [lambda tx: undo(tx, imported), lambda tx: job_queue.enqueue(tx, imported, "operator")]
    first, second = works if undo_first else works[::-1]
    later = race(panel_db, first, panel_db, second)
    assert isinstance(later.error, InvalidStateError)
    assert ("is being undone by batch" if undo_first else "an undo would race with it") in str(later.error)
    assert len(undos(admin_db)) == (1 if undo_first else 0)


def test_an_undo_and_the_undo_of_that_undo_take_turns(race, panel_db, admin_db, worker_conf, imported):
    """The first undo was imported: its undo and a second undo of the batch lock different batches, and both wait."""
    undone = panel_db.run_transaction(undo, imported)[0]
    worker_helpers.drain(worker_conf)
    later = race(panel_db, lambda tx: undo(tx, undone), panel_db, lambda tx: undo(tx, imported))
    assert isinstance(later.error, InvalidStateError) and "is undone already" in str(later.error)
    worker_helpers.drain(worker_conf)
    (row,) = admin_db.execute("SELECT deleted_at FROM asset")
    assert row["deleted_at"] is None
    assert panel_db.run_transaction(undo, imported)[1].ok


@pytest.mark.parametrize("undo_first", [True, False])
def test_an_undo_is_retried_or_undone_whichever_comes_first(
    race, panel_db, admin_db, worker_conf, imported, undo_first
):
    undone = panel_db.run_transaction(undo, imported)[0]
    worker_helpers.drain(worker_conf)
    admin_db.execute("UPDATE ingest_batch SET status = 'partial' WHERE sync_id = %(undo)s", undo=undone)
    works = [lambda tx: undo(tx, undone), lambda tx: undo_service.retry(tx, undone, "operator", 100)]
    first, second = works if undo_first else works[::-1]
    later = race(panel_db, first, panel_db, second)
    assert isinstance(later.error, InvalidStateError)
    assert ("is being undone by batch" if undo_first else "an undo would race with it") in str(later.error)


# ------------------------------------------------------------------------------------------------ many workers


def test_eight_workers_share_1000_jobs_and_each_ends_once(admin_db, worker_db):
    jobs = worker_helpers.enqueue(admin_db, 1000)
    threads = [threading.Thread(target=end_all, args=(worker_db.settings, number)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ended = admin_db.execute("SELECT id, state, attempts FROM import_job ORDER BY id")
    assert [(row["id"], row["state"], row["attempts"]) for row in ended] == [(job, "completed", 1) for job in jobs]
    counts = admin_db.execute(
        "SELECT event_type, COUNT(*) AS n, COUNT(DISTINCT batch_id) AS batches FROM ingest_event GROUP BY 1"
    )
    assert {(row["event_type"], row["n"], row["batches"]) for row in counts} == {
        ("job_claimed", 1000, 1000), ("job_finished", 1000, 1000),
    }
    assert not admin_db.execute("SELECT 1 FROM import_job GROUP BY claim_token HAVING COUNT(*) > 1")


def end_all(settings, number: int) -> None:
    """Claim and end jobs until there are none."""
    db, count = Database(settings), 0
    while claim := db.run_transaction(
        claims.claim, claims.ClaimRequest(f"{number:016d}{count:016d}", f"host:{number}")
    ):
        db.run_transaction(claims.finish, claim, WELL, claims.SAME_MANIFEST)
        count += 1
    db.close()
