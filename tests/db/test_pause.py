"""The queue is paused and resumed, and a worker keeps its window; what runs goes on."""

import io
import threading
from datetime import datetime

import pytest
import worker_helpers
from gpupanel import config, job_queue, window
from gpupanel.errors import InvalidInputError, InvalidStateError
from gpupanel.worker import heartbeat
from gpupanel.worker.log import make_logger
from gpupanel.worker.shutdown import ShutdownSignals
from gpupanel.worker.systemd import SystemdNotifier
from gpupanel.worker.worker import Worker
from worker_helpers import take


@pytest.fixture
def queued(panel_db, bundles, mount):
    """A queued batch; returns (sync_id, job id)."""
    sync_id = bundles.bundle("one", bundles.assets("one", 1))
    return sync_id, *worker_helpers.queue(panel_db, mount, sync_id)


def drain(conf) -> tuple[bool, str]:
    """Drain the queue in this process; return whether that went well, and the log."""
    out = io.StringIO()
    worker = Worker(config.load(conf), ShutdownSignals(), make_logger(out, {}), SystemdNotifier({}))
    return worker.drain(), out.getvalue()


def test_no_worker_claims_while_the_queue_is_paused(panel_db, worker_db, queued):
    panel_db.run_transaction(job_queue.pause, "ada", "the library moves")
    assert take(worker_db, "a") is None
    assert panel_db.run_read(job_queue.control)["reason"] == "the library moves"
    assert panel_db.run_transaction(job_queue.resume, "ada") is True
    assert panel_db.run_transaction(job_queue.resume, "ada") is False
    assert take(worker_db, "b").job_id == queued[1]


def test_of_two_pauses_at_once_one_is_refused(panel_db, admin_db):
    """Both begin before the row of the pause exists."""
    admin_db.execute("DELETE FROM queue_control")
    second = []

    def pause_second():
        try:
            panel_db.run_transaction(job_queue.pause, "ben", "second")
        except InvalidStateError as error:
            second.append(str(error))

    with panel_db.transaction() as tx:
        tx.execute("job_queue.lock_control")
        thread = threading.Thread(target=pause_second)
        thread.start()
        job_queue.pause(tx, "ada", "first")
    thread.join(60)
    assert len(second) == 1 and "ada paused the queue already" in second[0]
    assert panel_db.run_read(job_queue.control)["paused_by"] == "ada"


def test_a_running_job_goes_on_while_the_queue_is_paused(panel_db, worker_db, queued):
    from gpupanel.worker import claims

    claim = take(worker_db, "a")
    panel_db.run_transaction(job_queue.pause, "ada", "")
    worker_db.run_transaction(claims.heartbeat, claim)


def test_once_over_a_paused_queue_ends_well_and_says_so(panel_db, queued, worker_conf):
    panel_db.run_transaction(job_queue.pause, "ada", "the library moves")
    is_good, log = drain(worker_conf)
    assert is_good and "1 jobs are left, the queue is paused by ada. the library moves." in log
    assert worker_helpers.job(panel_db, queued[1])["state"] == "queued"


def test_a_pause_and_its_end_are_reported_at_once_and_not_with_the_next_heartbeat(
    panel_db, admin_db, bundles, worker_conf, monkeypatch
):
    bundles.bundle("one", bundles.assets("one", 1))  # a mount without a bundle is taken for none
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 3600)
    conf = worker_helpers.with_options(worker_conf, heartbeat_seconds=400)
    signals = ShutdownSignals()
    worker = Worker(config.load(conf), signals, make_logger(io.StringIO(), {}), SystemdNotifier({}))
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        for change, state in (
            (lambda tx: job_queue.pause(tx, "ada", "the library moves"), "paused"),
            (lambda tx: job_queue.resume(tx, "ada"), "idle"),
        ):
            panel_db.run_transaction(change)
            worker_helpers.wait_until(lambda state=state: state in _states(admin_db))
    finally:
        signals.stopping = True
        thread.join(60)


def _states(db):
    return [row["state"] for row in db.execute("SELECT state FROM import_worker WHERE ended_at IS NULL")]


def test_once_over_held_jobs_ends_well_and_counts_them(panel_db, queued, worker_conf):
    panel_db.run_transaction(job_queue.hold, queued[1], "ada")
    is_good, log = drain(worker_conf)
    assert is_good and "1 job is held; gpupanel status says why" in log


def test_once_waits_for_a_job_whose_row_is_locked(panel_db, queued, worker_conf):
    other = panel_db
    with other.transaction() as tx:
        tx.fetch_one("job_queue.lock", job_id=queued[1])
        program = worker_helpers.Program(worker_conf, "--once")
        assert not program.lines or program.process.poll() is None
        with pytest.raises(Exception, match="timed out"):
            program.process.wait(1.5)
    assert program.ends() == 0
    program.end()
    assert worker_helpers.batch(panel_db, queued[0])["status"] == "completed"


def test_a_worker_claims_nothing_outside_of_its_window(panel_db, queued, worker_conf):
    now = datetime.now()
    day = window.DAYS[(now.weekday() + 3) % 7]
    is_good, log = drain(worker_helpers.with_options(worker_conf, window=f"{day} 00:00-24:00"))
    assert is_good and f"outside of the window {day} 00:00-24:00" in log
    assert worker_helpers.job(panel_db, queued[1])["state"] == "queued"
    drain(worker_helpers.with_options(worker_conf, window="00:00-24:00"))
    assert worker_helpers.job(panel_db, queued[1])["state"] == "completed"


@pytest.mark.parametrize("reason", ["x" * 501, "a\x1bb"])
def test_a_reason_is_short_and_printable(panel_db, reason):
    with pytest.raises(InvalidInputError):
        panel_db.run_transaction(job_queue.pause, "ada", reason)
