"""The worker as a program: what it does with the queue, with signals, and with what is in its way."""

import io
import os
import signal
import socket
import subprocess
import sys
import threading

import preloaded_programs
import pytest
from constants import IMPORT_WORKER
import worker_helpers
from gpupanel import config
from gpupanel.errors import DatabaseUnavailableError, PanelError
from gpupanel.devtools.bundle_factory import defects
from gpupanel.worker import claims
from gpupanel.worker.outage_retry import DatabaseRetrier
from gpupanel.worker.importer import Importer
from gpupanel.worker.log import make_logger
from gpupanel.worker.systemd import SystemdNotifier
from gpupanel.worker.shutdown import ShutdownSignals
from gpupanel.worker.worker import Worker


@pytest.fixture
def start(admin_db):
    """Starts workers; none outlives its test."""
    programs = worker_helpers.Programs()
    yield programs
    programs.end()


@pytest.fixture
def many(bundles, panel_db, mount, request):
    """A queued batch of thirty photos; returns (its assets, sync_id, job id)."""
    assets = list(bundles.assets(request.node.name, 30, derivatives=("icon",)))
    sync_id = bundles.bundle("many", assets)
    return assets, sync_id, *worker_helpers.queue(panel_db, mount, sync_id)


def run(conf, *arguments) -> subprocess.CompletedProcess:
    return preloaded_programs.run([IMPORT_WORKER, "--config", conf, *arguments])


# ------------------------------------------------------------------------------------------------ --once, --check


def test_once_imports_what_is_queued_and_ends_well(panel_db, bundles, mount, worker_conf):
    sync_ids = [bundles.bundle(name, bundles.assets(name, 2)) for name in ("one", "two")]
    worker_helpers.queue(panel_db, mount, *sync_ids)
    assert run(worker_conf, "--once").returncode == 0
    assert [worker_helpers.batch(panel_db, sync_id)["status"] for sync_id in sync_ids] == ["completed", "completed"]


def test_once_over_an_empty_queue_ends_well(bundles, worker_conf, admin_db):
    bundles.bundle("one", bundles.assets("one", 1))
    assert run(worker_conf, "--once").returncode == 0


def test_once_says_by_its_status_that_a_job_failed(panel_db, bundles, mount, worker_conf):
    sync_id = bundles.bundle("one", bundles.assets("one", 1, broken={0: defects.broken_source}))
    worker_helpers.queue(panel_db, mount, sync_id)
    answer = run(worker_conf, "--once")
    assert answer.returncode == 1 and "1 of 1 items failed" in answer.stderr


def test_check_says_that_all_is_well(bundles, worker_conf, admin_db):
    bundles.bundle("one", bundles.assets("one", 1))
    answer = run(worker_conf, "--check")
    assert (answer.returncode, answer.stderr) == (0, "")


@pytest.fixture
def without_rights(admin_db):
    """The worker's account lacks rights on two tables."""
    rights = {
        "asset": "INSERT, UPDATE", "import_job": "UPDATE (attempts), UPDATE (claim_token)",
    }
    for table, missing in rights.items():
        admin_db.execute(f"REVOKE {missing} ON {table} FROM gpu_worker@localhost")
    yield
    for table, missing in rights.items():
        admin_db.execute(f"GRANT {missing} ON {table} TO gpu_worker@localhost")


def test_check_lists_every_problem_at_once(without_rights, worker_conf, assets_dir):
    (assets_dir / "sync").rmdir()
    answer = run(worker_conf, "--check")
    assert answer.returncode == 1
    problems = answer.stderr.splitlines()
    lacking = "rights of gpu_worker@localhost on asset: found missing INSERT, UPDATE, expected those of gpu_worker"
    assert any(line.startswith(lacking) for line in problems)
    import_job = " ".join(line for line in problems if " on import_job: " in line)
    assert "UPDATE (attempts), " in import_job and "UPDATE (claim_token), " in import_job
    assert any(line.startswith("mount: ") for line in problems)


def test_check_with_the_panels_account_names_the_right_configuration_and_advises_no_grant(
    admin_db, panel_conf, bundles
):
    bundles.bundle("one", bundles.assets("one", 1))
    answer = run(panel_conf, "--check")
    assert answer.returncode == 1
    [problem] = [line for line in answer.stderr.splitlines() if "gpu_panel" in line]
    assert problem.startswith(
        "account: found gpu_panel@localhost, the panel's account, expected gpu_worker, the worker's account."
    )
    assert "worker.conf" in problem and "GRANT " not in answer.stderr and "REVOKE " not in answer.stderr


def test_check_refuses_an_account_that_can_delete(admin_db, worker_conf, bundles):
    bundles.bundle("one", bundles.assets("one", 1))
    admin_db.execute("GRANT DELETE ON asset TO gpu_worker@localhost")
    try:
        answer = run(worker_conf, "--check")
    finally:
        admin_db.execute("REVOKE DELETE ON asset FROM gpu_worker@localhost")
    assert answer.returncode == 1
    assert (
        "on asset: found DELETE, too, expected those of etc/grants.sql and no more. REVOKE DELETE ON asset"
        in answer.stderr
    )


def test_a_broken_configuration_is_told_whole_and_ends_with_2(admin_db, worker_conf):
    worker_conf.write_text(worker_conf.read_text() + "\nchunk_items = many\nspeed = high\n")
    answer = run(worker_conf)
    assert answer.returncode == 2
    assert "chunk_items" in answer.stderr and "speed" in answer.stderr


def test_the_configuration_is_found_by_the_environment(admin_db, worker_conf, bundles):
    bundles.bundle("one", bundles.assets("one", 1))
    answer = subprocess.run(
        [sys.executable, IMPORT_WORKER, "--check"], env=os.environ | {"GPUPANEL_CONF": str(worker_conf)},
        capture_output=True, timeout=worker_helpers.SECONDS,
    )
    assert answer.returncode == 0


# ------------------------------------------------------------------------------------------------- signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_worker_ends_at_once_when_asked_to(bundles, worker_conf, start, number):
    bundles.bundle("one", bundles.assets("one", 1))
    worker = start(worker_helpers.with_options(worker_conf, poll_seconds=3600))
    worker.wait_for_line("started")
    worker.send(number)
    assert worker.ends() == 0


def test_a_stopped_worker_finishes_its_transaction_and_gives_the_job_back_and_the_next_one_goes_on(
    admin_db, panel_db, worker_db, worker_conf, start, many
):
    assets, sync_id, job_id = many
    conf = worker_helpers.with_options(worker_conf, chunk_items=10)
    with worker_helpers.held_back(admin_db, worker_db, assets[5]) as wait:
        worker = start(conf)
        wait()
        worker.send(signal.SIGTERM)
    assert worker.ends() == 0
    job = worker_helpers.job(admin_db, job_id)
    assert (job["state"], job["attempts"], job["items_done"]) == ("queued", 0, 10)
    assert worker_helpers.counts(panel_db, sync_id) == {"created": 10, "will_create": 20}
    settled = admin_db.execute("SELECT id, updated_at FROM ingest_batch_item WHERE decision = 'created' ORDER BY id")
    worker_helpers.drain(conf)
    assert worker_helpers.counts(panel_db, sync_id) == {"created": 30}
    again = admin_db.execute("SELECT id, updated_at FROM ingest_batch_item ORDER BY id")
    assert [row for row in again if row in settled] == settled
    event_types = [event["event_type"] for event in worker_helpers.events(panel_db, sync_id)]
    assert event_types[-4:] == ["job_claimed", "job_released", "job_claimed", "job_finished"]


def test_a_second_signal_ends_the_process_in_the_middle_and_nothing_is_half_done(
    admin_db, panel_db, worker_db, worker_conf, start, many
):
    assets, sync_id, job_id = many
    conf = worker_helpers.with_options(worker_conf, chunk_items=10)
    with worker_helpers.held_back(admin_db, worker_db, assets[5]) as wait:
        worker = start(conf)
        wait()
        worker.send(signal.SIGTERM)
        worker.send(signal.SIGINT)
        assert worker.ends() == 130
    worker_helpers.make_stale(admin_db, job_id)
    worker_helpers.drain(conf)
    assert worker_helpers.counts(panel_db, sync_id) == {"created": 30}
    assert worker_helpers.job(admin_db, job_id)["attempts"] == 2


# -------------------------------------------------------------------------------------------- what is in the way


@pytest.mark.parametrize("how", ["missing", "empty"])
def test_while_the_mount_is_away_nothing_is_claimed_and_it_is_said_once(
    admin_db, panel_db, assets_dir, bundles, mount, worker_conf, start, how
):
    sync_id = bundles.bundle("one", bundles.assets("one", 1))
    (job_id,) = worker_helpers.queue(panel_db, mount, sync_id)
    sync_dir, away = assets_dir / "sync", assets_dir / "away"
    sync_dir.rename(away)
    if how == "empty":
        sync_dir.mkdir()
    worker = start(worker_conf, JOURNAL_STREAM="8:1")
    warning = worker.wait_for_line("cannot claim jobs")
    assert warning.startswith("<4>")
    assert worker_helpers.job(admin_db, job_id)["attempts"] == 0
    away.rename(sync_dir)
    worker.wait_for_line("the mount is available again")
    worker_helpers.wait_until(lambda: worker_helpers.batch(panel_db, sync_id)["status"] == "completed")
    assert len([line for line in worker.lines if "cannot claim jobs" in line]) == 1


def take_away(assets_dir, whole: bool):
    """Let the mount vanish, or only what it holds beside the bundles; returns how to bring it back."""
    away = assets_dir.with_name("away")
    if whole:
        assets_dir.rename(away)
        return lambda: away.rename(assets_dir)
    away.mkdir()
    gone = [each for each in assets_dir.iterdir() if each.name != "sync"]
    for each in gone:
        each.rename(away / each.name)
    return lambda: [(away / each.name).rename(each) for each in gone]


@pytest.mark.parametrize("whole", [True, False], ids=["the whole mount", "the assets alone"])
def test_a_mount_that_vanishes_during_an_import_holds_the_job_unharmed(
    admin_db, panel_db, worker_db, assets_dir, worker_conf, start, many, whole
):
    assets, sync_id, job_id = many
    with worker_helpers.held_back(admin_db, worker_db, assets[2]) as wait:
        worker = start(worker_helpers.with_options(worker_conf, chunk_items=5))
        wait()
        bring_back = take_away(assets_dir, whole)
    worker.wait_for_line(": held, ")
    job = worker_helpers.wait_until(lambda: held(admin_db, job_id))
    assert (job["hold"], job["attempts"]) == ("bundle", 0)
    assert ("cannot be read" if whole else "is empty, or not mounted") in job["last_error"]
    assert "failed" not in worker_helpers.counts(panel_db, sync_id)
    assert len(worker_helpers.events(panel_db, sync_id, "job_held")) == 1
    worker.wait_for_line("cannot claim jobs")
    worker_helpers.make_due(admin_db)
    bring_back()
    worker_helpers.wait_until(lambda: worker_helpers.batch(panel_db, sync_id)["status"] == "completed")
    assert worker_helpers.counts(panel_db, sync_id) == {"created": 30}


def held(admin_db, job_id: int) -> dict | None:
    job = worker_helpers.job(admin_db, job_id)
    return job if job["state"] == "held" else None


def test_a_worker_whose_database_is_away_says_so_once_and_goes_on_when_it_is_back(
    tmp_path, bundles, worker_conf, start, server
):
    bundles.bundle("one", bundles.assets("one", 1))
    door = tmp_path / "door.sock"
    worker = start(worker_helpers.with_options(worker_conf, socket=door))
    assert "secret" not in worker.wait_for_line("the database:")
    door.symlink_to(server.socket)
    worker.wait_for_line("the database call succeeded after")
    assert len([line for line in worker.lines if "Retrying until" in line]) == 1


def in_process(conf) -> tuple[Worker, ShutdownSignals, io.StringIO]:
    """A worker of this process, what stops it, and its log."""
    out, signals = io.StringIO(), ShutdownSignals()
    return Worker(config.load(conf), signals, make_logger(out, {}), SystemdNotifier({})), signals, out


def test_a_claim_that_stumbles_does_not_end_the_daemon(panel_db, bundles, mount, worker_conf, monkeypatch):
    sync_id = bundles.bundle("one", bundles.assets("one", 1))
    worker_helpers.queue(panel_db, mount, sync_id)
    claim, faults = claims.claim, iter([KeyError("a fault"), PanelError("odd")])

    def stumbling(*args):
        for fault in faults:
            raise fault
        return claim(*args)

    monkeypatch.setattr(claims, "claim", stumbling)
    monkeypatch.setattr(DatabaseRetrier, "delay_seconds", lambda self, attempt: 0)
    worker, signals, out = in_process(worker_conf)
    running = threading.Thread(target=worker.run)
    running.start()
    worker_helpers.wait_until(lambda: worker_helpers.batch(panel_db, sync_id)["status"] == "completed")
    signals.stopping = True
    running.join(worker_helpers.SECONDS)
    assert "unexpected KeyError" in out.getvalue() and "odd. No job was running" in out.getvalue()


def test_once_does_not_end_well_when_a_claim_stumbled(panel_db, bundles, mount, worker_conf, monkeypatch):
    worker_helpers.queue(panel_db, mount, bundles.bundle("one", bundles.assets("one", 1)))

    def stumbling(*args):
        raise KeyError("a fault")

    monkeypatch.setattr(claims, "claim", stumbling)
    monkeypatch.setattr(DatabaseRetrier, "delay_seconds", lambda self, attempt: 0)
    assert not in_process(worker_conf)[0].drain()


@pytest.mark.parametrize("last, chunk_items", [("_finish", 1), ("_settle_whole", 2)], ids=["two chunks", "one chunk"])
def test_a_job_that_had_ended_when_the_database_went_away_counts_as_done(
    admin_db, panel_db, bundles, mount, worker_conf, monkeypatch, last, chunk_items
):
    """`last` ends the job: the step after its chunks, or the transaction of its only chunk."""
    (job_id,) = worker_helpers.queue(panel_db, mount, bundles.bundle("two", bundles.assets("two", 2)))
    end_job = getattr(Importer, last)

    def cut_off(self, *args):
        end_job(self, *args)
        raise DatabaseUnavailableError

    monkeypatch.setattr(Importer, last, cut_off)
    worker, _, out = in_process(worker_helpers.with_options(worker_conf, chunk_items=chunk_items))
    assert worker.drain()
    assert worker_helpers.job(admin_db, job_id)["state"] == "completed"
    assert ": completed already" in out.getvalue() and "released" not in out.getvalue()


# ------------------------------------------------------------------------------------------------- systemd


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told_that_the_worker_is_ready_what_it_does_and_that_it_stops(
    tmp_path, bundles, worker_conf, start, abstract
):
    bundles.bundle("one", bundles.assets("one", 1))
    name = f"@gpupanel-{os.getpid()}" if abstract else str(tmp_path / "notify.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind("\0" + name[1:] if abstract else name)
        heard.settimeout(worker_helpers.SECONDS)
        worker = start(worker_conf, NOTIFY_SOCKET=name, WATCHDOG_USEC="100000")
        messages = [heard.recv(1000).decode() for _ in range(4)]
        assert messages[0] == "READY=1"
        assert "STATUS=waiting for jobs" in messages and "WATCHDOG=1" in messages
        worker.send(signal.SIGTERM)
        while messages[-1] != "STOPPING=1":
            messages.append(heard.recv(1000).decode())
    assert worker.ends() == 0
