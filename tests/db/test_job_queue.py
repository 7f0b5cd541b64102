"""Queue and cancel: one active job a batch, each batch in its own transaction (docs/CONTRACT.md, 5, 7 and 8)."""

import threading

import pytest
from gpupanel import job_queue, ledger, services
from gpupanel.db import Database
from gpupanel.devtools.bundle_factory import defects
from gpupanel.errors import (
    DatabaseAccessError, DatabaseUnavailableError, InvalidStateError, NotFoundError, PanelError,
)


@pytest.fixture
def scanned(panel_db, mount, bundles):
    """A bundle on the mount and in the ledger."""
    def scanned(name="one", broken=None, **facts):
        sync_id = bundles.bundle(name, bundles.assets(name, 2, broken=broken), **facts)
        services.scan_mount(panel_db, mount, "admin")
        return sync_id

    return scanned


@pytest.fixture
def enqueue(panel_db, mount):
    def queue(sync_id, **options):
        return services.queue_batch(panel_db, mount, sync_id, "admin", services.QueueOptions(**options))

    return queue


def latest(db, sync_id):
    batch = db.run_read(ledger.get_batch, sync_id)
    return batch["status"], db.run_read(ledger.list_events, batch["id"])[0]


def test_queueing_preflights_first_and_says_so(scanned, enqueue, panel_db):
    sync_id = scanned()
    job_id = enqueue(sync_id)
    status, event = latest(panel_db, sync_id)
    assert (status, event["event_type"], event["actor"]) == ("queued", "job_queued", "admin")
    assert event["payload"] == (
        f'{{"auto_preflighted":1,"items_total":"2","job_id":{job_id},"phase":"job_queue","requested_by":"admin"}}'
    )


def test_a_batch_that_passed_is_queued_as_it_is(scanned, enqueue, panel_db, mount):
    sync_id = scanned()
    services.preflight_batch(panel_db, mount, sync_id, "admin")
    enqueue(sync_id, priority=7)
    _, event = latest(panel_db, sync_id)
    assert '"auto_preflighted":0' in event["payload"]
    (job,) = panel_db.run_read(job_queue.list_queued)
    assert (job["priority"], job["state"], job["attempts"], job["items_done"]) == (7, "queued", 0, 0)


def test_a_batch_whose_preflight_fails_is_not_queued_and_its_plan_is_kept(scanned, enqueue, panel_db):
    scanned("there")
    sync_id = scanned(broken={0: defects.no_folder, 1: defects.no_folder})
    with pytest.raises(InvalidStateError, match="all 2 items would fail"):
        enqueue(sync_id)
    status, event = latest(panel_db, sync_id)
    assert (status, event["event_type"]) == ("preflight_failed", "preflight_finished")
    assert panel_db.run_read(job_queue.list_queued) == []


def test_queueing_what_is_queued_is_refused_and_names_the_job(scanned, enqueue):
    sync_id = scanned()
    job_id = enqueue(sync_id)
    with pytest.raises(InvalidStateError, match=f"queued already, as job {job_id}"):
        enqueue(sync_id)


@pytest.mark.parametrize("status", ["queued", "importing"])
def test_a_batch_whose_job_another_program_ended_is_preflighted_and_queued_again(
    scanned, enqueue, panel_db, admin_db, mount, status,
):
    sync_id = scanned()
    enqueue(sync_id)
    admin_db.execute(f"UPDATE ingest_batch SET status = '{status}'")
    with pytest.raises(InvalidStateError, match=f"is {status}") as refused:
        services.preflight_batch(panel_db, mount, sync_id, "admin")
    assert refused.value.hint.startswith("Wait for its job to end")
    admin_db.execute("UPDATE import_job SET state = 'failed', finished_at = NOW(6)")
    for action in (enqueue, lambda each: services.retry_batch(panel_db, mount, each, "admin")):
        with pytest.raises(InvalidStateError, match=f"is {status}, but has no active job") as refused:
            action(sync_id)
        assert refused.value.hint == "Preflight it; then queue it."
    assert services.preflight_batch(panel_db, mount, sync_id, "admin").ok
    job_id = enqueue(sync_id)
    assert latest(panel_db, sync_id)[0] == "queued"
    assert [job["id"] for job in panel_db.run_read(job_queue.list_queued)] == [job_id]


def test_two_clicks_at_once_queue_one_job(scanned, panel_db, mount, settings):
    sync_id = scanned()
    outcomes, start = [], threading.Barrier(2)

    def click(db):
        start.wait()
        try:
            outcomes.append(services.queue_batch(db, mount, sync_id, "admin"))
        except PanelError as error:
            outcomes.append(type(error))

    other = threading.Thread(target=click, args=(Database(settings.database),))
    other.start()
    click(panel_db)
    other.join()
    assert outcomes.count(InvalidStateError) == 1
    assert len(panel_db.run_read(job_queue.list_queued)) == 1


def test_bulk_queueing_reports_each_batch_by_itself(scanned, panel_db, mount):
    good, bad, unknown = scanned(), scanned("bad", broken={0: defects.no_folder, 1: defects.no_folder}), "0" * 8
    outcomes = services.queue_batches(panel_db, mount, [bad, good, unknown, good], "admin")
    assert [(o.sync_id, o.job_id is not None) for o in outcomes] == [(good, True), (bad, False), (unknown, False)]
    assert "would fail" in outcomes[1].problem and "is not recorded" in outcomes[2].problem


def test_bulk_queueing_keeps_the_order_of_the_handover(scanned, panel_db, mount):
    handed_over = [
        scanned(name, completed_at=f"2026-01-0{day}T00:00:00Z") for day, name in ((1, "x"), (2, "y"), (3, "z"))
    ]
    services.queue_batches(panel_db, mount, reversed(handed_over), "admin")
    assert [job["sync_id"] for job in panel_db.run_read(job_queue.list_queued)] == handed_over


def test_bulk_queueing_says_what_a_lost_database_left(scanned, panel_db, mount, monkeypatch):
    ids = [scanned(name, completed_at=f"2026-01-0{day}T00:00:00Z") for day, name in ((1, "x"), (2, "y"), (3, "z"))]
    transact, answers = panel_db.run_transaction, iter([True, False])
    denied = DatabaseAccessError("Access denied for user 'gpu_panel'")

    def once(*args, **kwargs):
        if next(answers):
            return transact(*args, **kwargs)
        raise denied

    monkeypatch.setattr(panel_db, "run_transaction", once)
    first, second, third = services.queue_batches(panel_db, mount, ids, "admin")
    assert (first.job_id is not None, second.job_id, third.job_id) == (True, None, None)
    assert "gpu_panel" not in second.problem and third.problem.startswith("not reached")


def test_bulk_queueing_without_a_database_is_an_error_and_no_list(scanned, panel_db, mount, monkeypatch):
    sync_id = scanned()

    def gone(*args, **kwargs):
        raise DatabaseUnavailableError()

    monkeypatch.setattr(panel_db, "run_transaction", gone)
    with pytest.raises(DatabaseUnavailableError):
        services.queue_batches(panel_db, mount, [sync_id], "admin")


def test_canceling_returns_the_batch_and_keeps_the_job(scanned, enqueue, panel_db):
    sync_id = scanned()
    job_id = enqueue(sync_id)
    assert panel_db.run_transaction(job_queue.cancel, job_id, "admin") == sync_id
    status, event = latest(panel_db, sync_id)
    assert status == "preflight_passed"
    assert event["payload"] == f'{{"cancelled_by":"admin","job_id":"{job_id}","phase":"job_cancel"}}'
    job = panel_db.run_read(job_queue.job, job_id)
    assert (job["state"], job["last_error"]) == ("canceled", "canceled by operator") and job["finished_at"]


def test_a_canceled_batch_can_be_queued_again(scanned, enqueue, panel_db):
    sync_id = scanned()
    panel_db.run_transaction(job_queue.cancel, enqueue(sync_id), "admin")
    second = enqueue(sync_id)
    batch_id = panel_db.run_read(ledger.get_batch, sync_id)["id"]
    assert panel_db.run_read(job_queue.list_of_batch, batch_id)[0]["id"] == second


def test_canceling_what_runs_is_refused_with_how_to_stop_it(scanned, enqueue, panel_db, admin_db):
    job_id = enqueue(scanned())
    admin_db.execute("UPDATE import_job SET state = 'running', worker = 'host:1', heartbeat_at = NOW(6)")
    with pytest.raises(InvalidStateError, match="running on host:1") as refused:
        panel_db.run_transaction(job_queue.cancel, job_id, "admin")
    assert refused.value.hint == "Only stopping its worker ends it; Import Tasks and docs/runbook.md say how."


@pytest.mark.parametrize("heartbeat, claim, hint", [
    ("NOW(6) - INTERVAL 10 MINUTE", "NOW(6) - INTERVAL 1 HOUR", "takes the job over stale_minutes after that"),
    ("NULL", "NOW(6) - INTERVAL 10 MINUTE", "takes the job over stale_minutes after that"),
    ("NULL", "NULL", "takes the job over stale_minutes after it saw it"),
])
@pytest.mark.parametrize("change", [job_queue.cancel, job_queue.hold])
def test_a_running_job_whose_worker_is_late_names_who_ends_it(
    scanned, enqueue, panel_db, admin_db, change, heartbeat, claim, hint
):
    job_id = enqueue(scanned())
    running = "UPDATE import_job SET state = 'running', worker = 'host:1', heartbeat_at = {}, claimed_at = {}"
    admin_db.execute(running.format(heartbeat, claim))
    with pytest.raises(InvalidStateError, match="running on host:1") as refused:
        panel_db.run_transaction(change, job_id, "admin")
    assert hint in refused.value.hint and "systemctl" not in refused.value.hint


def test_canceling_twice_or_nothing_is_refused(scanned, enqueue, panel_db):
    job_id = enqueue(scanned())
    panel_db.run_transaction(job_queue.cancel, job_id, "admin")
    with pytest.raises(InvalidStateError, match="canceled already"):
        panel_db.run_transaction(job_queue.cancel, job_id, "admin")
    with pytest.raises(NotFoundError):
        panel_db.run_transaction(job_queue.cancel, 10**9, "admin")


def test_the_queue_is_in_order_of_priority_and_then_of_age(scanned, enqueue, panel_db):
    first, second, urgent = enqueue(scanned("a")), enqueue(scanned("b")), enqueue(scanned("c"), priority=1)
    assert [job["id"] for job in panel_db.run_read(job_queue.list_queued)] == [urgent, first, second]
