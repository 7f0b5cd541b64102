"""Signals and output of the worker: neither a hangup nor an output that nobody reads keeps a job."""

import os
import signal
import subprocess
import sys

import pytest
from constants import IMPORT_WORKER
import worker_helpers


@pytest.fixture
def spawn(worker_conf, bundles):
    """Starts import-worker with a standard error of the test's own; no process outlives its test."""
    bundles.bundle("first", bundles.assets("first", 1))
    processes = []

    def spawn(*arguments: str, conf=worker_conf, **options) -> subprocess.Popen:
        command = [sys.executable, IMPORT_WORKER, "--config", conf, *arguments]
        processes.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, **options))
        return processes[-1]

    yield spawn
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait()


@pytest.fixture
def full_pipe():
    """The writing end of a full pipe that nobody reads."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"x" * 65536)
    except BlockingIOError:
        pass
    os.set_blocking(writer, True)
    yield writer
    os.close(reader)
    os.close(writer)


def completed(panel_db, sync_id: str) -> bool:
    return worker_helpers.batch(panel_db, sync_id)["status"] == "completed"


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT, signal.SIGUSR1, signal.SIGXCPU])
@pytest.mark.parametrize(
    "chunk_items, ends_as", [(10, ("queued", 0, 10)), (30, ("completed", 1, 30))], ids=["three chunks", "one chunk"]
)
def test_a_worker_that_is_hung_up_in_a_transaction_ends_it_and_gives_an_unfinished_job_back(
    admin_db, panel_db, worker_db, worker_conf, bundles, mount, spawn, number, chunk_items, ends_as
):
    """The only chunk of a job ends it; a job of more chunks is queued again, and its attempt does not count."""
    photos = list(bundles.assets("coast", 30, derivatives=("icon",)))
    (job_id,) = worker_helpers.queue(panel_db, mount, bundles.bundle("coast", photos))
    with worker_helpers.held_back(admin_db, worker_db, photos[2]) as wait:
        worker = spawn(
            conf=worker_helpers.with_options(worker_conf, chunk_items=chunk_items), stderr=subprocess.DEVNULL
        )
        wait()
        worker.send_signal(number)
        worker.send_signal(signal.SIGHUP)  # a terminal that closes may send it twice
    assert worker.wait(worker_helpers.SECONDS) == 0
    job = worker_helpers.job(admin_db, job_id)
    assert (job["state"], job["attempts"], job["items_done"]) == ends_as


def test_a_worker_under_nohup_ignores_the_hangup(admin_db, panel_db, bundles, mount, spawn):
    worker = spawn(stderr=subprocess.DEVNULL, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    beats = "SELECT 1 FROM import_worker WHERE ended_at IS NULL"
    worker_helpers.wait_until(lambda: admin_db.execute(beats))
    worker.send_signal(signal.SIGHUP)
    (sync_id,) = [bundles.bundle("second", bundles.assets("second", 1))]
    worker_helpers.queue(panel_db, mount, sync_id)
    worker_helpers.wait_until(lambda: completed(panel_db, sync_id))
    assert worker.poll() is None


def test_a_full_pipe_that_nobody_reads_stops_neither_an_import_nor_the_shutdown(
    panel_db, bundles, mount, spawn, full_pipe
):
    ids = [bundles.bundle(f"b{number}", bundles.assets(f"b{number}", 1)) for number in range(3)]
    worker_helpers.queue(panel_db, mount, *ids)
    worker = spawn(stderr=full_pipe)
    worker_helpers.wait_until(lambda: all(completed(panel_db, sync_id) for sync_id in ids))
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(worker_helpers.SECONDS) == 0


def test_once_ends_well_with_a_full_pipe(panel_db, bundles, mount, spawn, full_pipe):
    sync_id = bundles.bundle("one", bundles.assets("one", 1))
    worker_helpers.queue(panel_db, mount, sync_id)
    assert spawn("--once", stderr=full_pipe).wait(worker_helpers.SECONDS) == 0
    assert completed(panel_db, sync_id)


@pytest.mark.parametrize("closed", [(2,), (0, 1, 2)])
def test_a_closed_standard_error_is_no_database_connection(panel_db, bundles, mount, spawn, closed):
    sync_id = bundles.bundle("one", bundles.assets("one", 1))
    worker_helpers.queue(panel_db, mount, sync_id)
    worker = spawn("--once", preexec_fn=lambda: [os.close(descriptor) for descriptor in closed])
    assert worker.wait(worker_helpers.SECONDS) == 0
    assert completed(panel_db, sync_id)


def test_a_reader_that_goes_away_stops_no_import(panel_db, bundles, mount, spawn):
    sync_id = bundles.bundle("one", bundles.assets("one", 1))
    worker_helpers.queue(panel_db, mount, sync_id)
    reader, writer = os.pipe()
    os.close(reader)
    worker = spawn("--once", stderr=writer)
    os.close(writer)
    assert worker.wait(worker_helpers.SECONDS) == 0
    assert completed(panel_db, sync_id)
