"""Which events become notices: a row in the transaction of the event."""

import pytest
import worker_helpers
from gpupanel import holds, job_queue
from gpupanel.db import Database
from gpupanel.devtools.bundle_factory import defects
from gpupanel.errors import PreflightFailedError
from gpupanel.holds import Hold
from gpupanel.models import HoldKind
from gpupanel.worker import claims, stale_jobs
from gpupanel.worker.claims import ClaimRequest
from notice_helpers import fail_jobs, rows, unsent


def test_a_failed_and_a_partial_import_write_a_notice_and_a_good_one_does_not(admin_db, bundles, bring):
    good = bundles.bundle("good", bundles.assets("good", 1))
    partial = bundles.bundle("coast", bundles.assets("coast", 2, broken={1: defects.broken_source}))
    failed = bundles.bundle("hills", bundles.assets("hills", 1, broken={0: defects.broken_source}))
    bring(good, partial, failed)
    noticed = admin_db.execute(
        "SELECT b.sync_id, n.kind, e.event_type FROM ingest_notice n JOIN ingest_batch b ON b.id = n.batch_id"
        " JOIN ingest_event e ON e.id = n.event_id AND e.batch_id = n.batch_id ORDER BY n.id"
    )
    assert {(row["sync_id"], row["kind"], row["event_type"]) for row in noticed} == {
        (partial, "partial", "job_finished"), (failed, "failed", "job_finished"),
    }


def test_a_failed_preflight_writes_a_notice(admin_db, bundles, panel_db, mount):
    bundles.bundle("there", bundles.assets("there", 1))
    sync_id = bundles.bundle("lost", bundles.assets("lost", 1), files=False)
    with pytest.raises(PreflightFailedError):
        worker_helpers.queue(panel_db, mount, sync_id)
    assert unsent(admin_db) == ["preflight_failed"]


def test_a_change_that_is_rolled_back_leaves_no_notice(admin_db, panel_db, failed):
    [job] = worker_helpers.enqueue(panel_db, 1)
    with pytest.raises(ZeroDivisionError), panel_db.transaction() as tx:
        fail_jobs(tx, [job], "never happened")
        1 / 0  # noqa: B018
    assert rows(admin_db) == []


def test_a_stale_job_is_told_when_it_is_reset_and_when_it_fails_after_its_last_attempt(admin_db, worker_db):
    [job] = worker_helpers.enqueue(worker_db_as_panel := Database(admin_db.settings), 1)
    worker_db_as_panel.close()
    for attempt in (1, 2):
        assert worker_db.run_transaction(claims.claim, ClaimRequest(f"{attempt:032x}", "host:1"))
        admin_db.execute("UPDATE import_job SET heartbeat_at = NOW(6) - INTERVAL 1 HOUR")
        worker_db.run_transaction(stale_jobs.requeue_stale, job, 900, 2, "host:2")
    assert unsent(admin_db) == ["reset", "failed"]


@pytest.mark.parametrize("kind, is_told", [
    (HoldKind.PRIOR, False), (HoldKind.BUNDLE, True), (HoldKind.BACKOFF, True), (HoldKind.OPERATOR, True),
])
def test_a_hold_is_told_unless_the_end_of_another_job_ends_it(admin_db, panel_db, kind, is_told):
    [job] = worker_helpers.enqueue(panel_db, 1)
    panel_db.run_transaction(holds.hold, job, Hold(kind, "waits"), "host:1")
    assert unsent(admin_db) == ["held"] * is_told


def test_each_of_many_jobs_that_are_held_at_once_has_the_notice_of_its_own_event(admin_db, panel_db):
    jobs = worker_helpers.enqueue(panel_db, 3)
    batches = [(panel_db.run_read(job_queue.job, job)["batch_id"], job) for job in jobs]
    panel_db.run_transaction(holds.append_held, batches, Hold(HoldKind.BUNDLE, "gone"), "host:1", None)
    noticed = admin_db.execute(
        "SELECT JSON_VALUE(e.payload, '$.job_id') AS job FROM ingest_notice n"
        " JOIN ingest_event e ON e.id = n.event_id AND e.batch_id = n.batch_id ORDER BY n.id"
    )
    assert [int(row["job"]) for row in noticed] == jobs
