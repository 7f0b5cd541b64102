"""A worker on a machine of its own, cut off by the network for longer than the threshold, writes nothing when it is back."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack

import pytest
import workers
from ground import TREE

NAME = "gpucut"
HERE, THERE = "10.253.71.1", "10.253.71.2"

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("ip") is None,
    reason="only root may make network namespaces",
)


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture
def network():
    """A namespace that reaches this one by a cable; yields the name of our end, which can be pulled."""
    end = f"{NAME}{os.getpid() % 10000}"
    with ExitStack() as undo:
        ip("netns", "add", end)
        undo.callback(ip, "netns", "del", end)  # and with it the cable
        ip("link", "add", end, "type", "veth", "peer", "name", "eth0", "netns", end)
        ip("addr", "add", f"{HERE}/30", "dev", end)
        ip("link", "set", end, "up")
        ip("-n", end, "addr", "add", f"{THERE}/30", "dev", "eth0")
        ip("-n", end, "link", "set", "eth0", "up")
        yield end


@pytest.fixture
def port(server, network):
    """A port on our end of the cable that leads to the server."""
    listener = socket.create_server((HERE, 0))

    def pump(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        sink.close()

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            upstream = socket.socket(socket.AF_UNIX)
            upstream.connect(str(server.socket))
            for ends in ((client, upstream), (upstream, client)):
                threading.Thread(target=pump, args=ends, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield listener.getsockname()[1]
    listener.close()


def test_a_worker_that_the_network_cuts_off_writes_nothing_when_it_is_back(
    admin_db, panel_db, worker_db, worker_conf, mount, bundles, network, port
):
    photos = list(bundles.assets("many", 60, derivatives=("icon",)))
    sync_id = bundles.bundle("many", photos)
    (job_id,) = workers.queue(panel_db, mount, sync_id)
    conf = workers.with_options(worker_conf, "far.conf", chunk_items=1, stale_minutes=0.05, heartbeat_seconds=0.5)
    text = conf.read_text()
    where = next(line for line in text.splitlines() if line.startswith("unix_socket"))
    conf.write_text(text.replace(where, f"host = {HERE}\nport = {port}\n"))

    far = subprocess.Popen(
        ["ip", "netns", "exec", network, sys.executable, str(TREE / "bin" / "import-worker"), "--config", str(conf)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    try:
        with workers.held_back(admin_db, worker_db, photos[20]) as wait:
            wait()
            ip("link", "set", network, "down")
        workers.wait_until(lambda: nobody_holds_a_row(admin_db), "the end of its transaction", every=0.15)
        assert workers.job(admin_db, job_id)["state"] == "running"
        workers.make_stale(admin_db, job_id)
        workers.drain(worker_conf)
        assert workers.job(admin_db, job_id)["state"] == "completed"
        assert workers.counts(panel_db, sync_id) == {"created": 60}
        rows, told = workers.rows(admin_db), workers.events(panel_db, sync_id)
        ip("link", "set", network, "up")
        again = bundles.bundle("again", bundles.assets("again", 1))
        (next_job,) = workers.queue(panel_db, mount, again)
        workers.wait_until(lambda: workers.job(admin_db, next_job)["state"] == "completed", "its next job")
    finally:
        far.send_signal(signal.SIGTERM)
        far.wait()
    old = {asset["id"] for asset in rows["asset"]}
    assert [asset for asset in workers.rows(admin_db)["asset"] if asset["id"] in old] == rows["asset"]
    assert workers.events(panel_db, sync_id) == told
    assert workers.job(admin_db, job_id)["attempts"] == 2


def nobody_holds_a_row(admin_db) -> bool:
    return not admin_db.execute(
        "SELECT 1 FROM information_schema.INNODB_TRX WHERE trx_rows_locked > 0 OR trx_rows_modified > 0"
    )
