"""`make run` stops by process id what it started, also after a killed run; its data stays."""

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest
from constants import TREE
from gpupanel import config
from gpupanel.devtools import demo_import, demo_panel, mariadb_server, processes
from gpupanel.devtools.sandbox import stop_leftovers
from gpupanel.worker.shutdown import ShutdownSignals

PARTS = ("mariadb/mariadb", "worker", "panel")


class Running:
    """`gpupanel run` on a folder, after it has printed the address of the panel."""

    def __init__(self, folder, *options):
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, str(TREE / "bin" / "gpupanel"), "run", "--var", str(folder), *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        self.output = "".join(iter(self._line, ""))
        self.pids = {part: int((folder / f"{part}.pid").read_text()) for part in PARTS}

    def _line(self):
        """Return the next line before the end of the welcome."""
        line = self.process.stdout.readline()
        return "" if line.startswith("Ctrl-C") else line

    @property
    def address(self):
        [address] = [word for word in self.output.split() if word.startswith("http://127.0.0.1:")]
        return address

    def ended(self):
        """Wait for the end; return (exit status, last output)."""
        rest = self.process.communicate(timeout=60)[0]
        return self.process.returncode, rest

    def stop(self, number=signal.SIGINT):
        self.process.send_signal(number)
        return self.ended()

    @property
    def alive(self):
        return [part for part, pid in self.pids.items() if alive(pid)]


def alive(pid):
    """Return whether the process runs; a zombie process has no command line."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except OSError:
        return False


@pytest.fixture
def run(tmp_path):
    """Start runs on one folder, and end those that a failed test leaves."""
    folder, started = tmp_path / "var", []

    def start():
        started.append(Running(folder))
        return started[-1]

    yield start
    for running in started:
        if running.process.poll() is None:
            running.process.kill()
            running.process.wait()
        running.process.stdout.close()
    stop_leftovers(folder)


def gpupanel(folder, *args):
    command = [sys.executable, str(TREE / "bin" / "gpupanel"), "--config", str(folder / "panel.conf"), "--json", *args]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_it_serves_the_panel_and_stops_all_that_it_started_and_keeps_the_data(run):
    first = run()
    assert first.alive == list(PARTS)
    assert "a5196bd6-2700-43c4-ad20-8b9aae952ea6  Three photos of the coast, each with its cover" in first.output
    assert "A manifest without its sentinel (no scan finds this bundle)" in first.output
    assert "Import Media" in urlopen(first.address).read().decode()
    found = gpupanel(first.folder, "scan")["discovered"]
    assert len(found) == 9
    assert first.stop(signal.SIGINT) == (0, "\nStopping; the data stays.\nStopped.\n")
    assert first.alive == []

    second = run()
    assert sorted(gpupanel(first.folder, "status")["batches"].items())[1] == ("discovered", 14)
    assert second.stop(signal.SIGTERM)[0] == 0
    assert second.alive == []


def test_what_a_killed_run_left_behind_is_ended_by_the_next_one(run):
    first = run()
    sockets = config.load(first.folder / "panel.conf").database.unix_socket
    first.process.kill()
    first.process.wait()
    assert first.alive == list(PARTS)
    second = run()
    assert first.alive == []
    assert not Path(sockets).parent.exists()
    assert second.alive == list(PARTS)


def test_a_ctrl_c_while_the_data_directory_is_made_ends_calmly_and_the_next_start_finds_it_whole(tmp_path):
    """As in a terminal, the signal goes to the whole process group."""
    began, folder = tmp_path / "began", tmp_path / "var"
    os.mkfifo(began)
    real = shutil.which("mariadb-install-db", path=mariadb_server.PATH)
    program = tmp_path / "mariadb-install-db"
    program.write_text(f'#!/bin/sh\necho began >{began}\nexec {real} "$@"\n')
    program.chmod(0o755)
    running = subprocess.Popen(
        [sys.executable, str(TREE / "bin" / "gpupanel"), "run", "--var", str(folder)], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )
    assert began.read_text() == "began\n"
    os.killpg(running.pid, signal.SIGINT)
    assert running.communicate(timeout=60)[0] == "Starting MariaDB; the first start takes some seconds.\nStopped.\n"
    assert running.returncode == 0
    with mariadb_server.MariaDBServer(folder / "mariadb") as server:
        assert (folder / "mariadb" / "data" / "mysql").is_dir()
        assert server.process.poll() is None


def test_it_serves_on_the_port_that_it_is_given_from_a_folder_with_spaces(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    folder = tmp_path / "with space" / "v"
    running = Running(folder, "--port", str(port))
    try:
        assert running.address == f"http://127.0.0.1:{port}/admin/import-media.cgi"
        assert f"--config '{folder / 'panel.conf'}'" in running.output
        assert len(gpupanel(folder, "scan")["discovered"]) == 9
    finally:
        assert running.stop(signal.SIGTERM)[0] == 0
    assert running.alive == []


def test_a_port_that_is_taken_is_refused_in_one_line_before_anything_starts(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [
            sys.executable, str(TREE / "bin" / "gpupanel"), "run", "--var", str(tmp_path / "var"), "--port", str(port),
        ]
        refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode == 1
    assert refused.stderr == (
        f"gpupanel: Cannot listen on port {port}: Address already in use."
        " Choose another one: make run PORT=N, or --port N.\n"
    )
    assert not (tmp_path / "var").exists()


def test_a_ctrl_c_during_the_start_is_heeded_before_the_address_is_told():
    with socket.create_server(("127.0.0.1", 0)) as listener, ShutdownSignals(force=False) as signals:
        panel = processes.ManagedProcess("panel", None, None)
        demo_panel._wait_for_panel(panel, listener.getsockname()[1], signals)
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            demo_panel._wait_for_panel(panel, listener.getsockname()[1], signals)


def test_between_two_bundles_the_demo_can_be_interrupted_and_goes_on_the_next_time(assets_dir):
    def interrupted():
        if next(assets_dir.glob("sync/*.json"), None):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        demo_import.write_bundles(assets_dir / "sync", assets_dir, checkpoint=interrupted)
    assert len(list(assets_dir.glob("sync/*.json"))) == 1
    assert len(demo_import.write_bundles(assets_dir / "sync", assets_dir)) == 16
    assert len(list(assets_dir.glob("sync/*.json"))) == 14


def test_only_one_may_use_a_folder_at_a_time(run):
    first = run()
    command = [sys.executable, str(TREE / "bin" / "gpupanel"), "run", "--var", str(first.folder)]
    refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode == 1
    assert "Another `make run`" in refused.stderr
    assert "make demo VAR=DIR" in refused.stderr
    assert first.alive == list(PARTS)


@pytest.mark.parametrize(("part", "name", "log"), [
    ("mariadb/mariadb", "database", "mariadb/mariadb.log"), ("panel", "panel", "log/panel.log"),
])
def test_when_a_part_ends_by_itself_it_says_so_with_the_end_of_its_log_and_stops_the_rest(run, part, name, log):
    running = run()
    os.kill(running.pids[part], signal.SIGKILL)
    status, said = running.ended()
    assert status == 1
    assert f"The {name} ended by itself with status -9; everything else is stopped, too." in said
    assert f"The end of {running.folder / log}:" in said
    assert running.alive == []


def test_a_process_that_only_has_the_number_of_a_leftover_is_left_alone(tmp_path):
    bystander = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        (tmp_path / "worker.pid").write_text(str(bystander.pid))
        assert stop_leftovers(tmp_path) == []
        assert not select.select([os.pidfd_open(bystander.pid)], [], [], 0)[0]
    finally:
        bystander.communicate(b"\n")
