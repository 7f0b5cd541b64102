"""A private server ends with whoever began it, however that one ends."""

import os
import select
import signal
import subprocess
import sys
from contextlib import suppress

import pytest
from constants import TREE
from gpupanel.devtools.mariadb_server import MariaDBServer, THROWAWAY

SECONDS = 60


@pytest.fixture
def building(tmp_path):
    """bench/make_ledger.py at work on a ledger: its process, and a handle of its server's."""
    command = [sys.executable, TREE / "bench" / "make_ledger.py", tmp_path / "ledger", "--batches", "20000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout.readline().startswith("ingest_batch: ")
        server = os.pidfd_open(int((tmp_path / "ledger" / "mariadb.pid").read_text()))
        yield process, server
        process.kill()
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(server, signal.SIGKILL)
        os.close(server)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_server_of_a_ledger_ends_when_its_building_is_interrupted(building, number):
    process, server = building
    process.send_signal(number)
    assert process.wait(SECONDS)
    assert select.select([server], [], [], SECONDS)[0], "the server is still there"


def test_a_server_whose_start_is_interrupted_is_not_waited_for(tmp_path, monkeypatch):
    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(MariaDBServer, "_wait", interrupted)
    server = MariaDBServer(tmp_path / "mariadb", *THROWAWAY)
    with pytest.raises(KeyboardInterrupt):
        server.start()
    assert server.process.returncode == -signal.SIGKILL
    assert not server.socket.parent.exists()
