"""A program started by Python gives the same answer as a fork of a process that has imported its modules.

Each command is started by Python here; most other tests fork it (docs/decisions/0192-tests-fork-programs.md).
"""

import argparse
import signal
import subprocess
import sys

import preloaded_programs
import pytest
import worker_helpers
from constants import GPUPANEL, IMPORT_WORKER
from gpupanel.cli.commands import build_parser
from gpupanel.db import expected

UNKNOWN = "37e428d2-a4f6-4a31-bacf-0c835fb24084"
# Arguments that connect to the database, or read a file, and whose answer stays the same when repeated.
COMMANDS = {
    "archive": ["--before", "2020-01-01", "--to", "/nonexistent"], "asset": ["0" * 64], "cancel": ["1"],
    "check": ["/nonexistent"], "compare": ["databases", "/nonexistent", "/nonexistent"], "completion": ["bash"],
    "cutover": ["convert-times"], "doctor": ["--mapping", "/nonexistent"], "events": [], "hold": ["1"], "init-db": [],
    "list": [], "notify": ["--test"], "pause": ["--reason", "the library moves"], "plan": [UNKNOWN],
    "preflight": [UNKNOWN], "priority": ["1", "2"], "queue": [UNKNOWN], "receipt": [UNKNOWN], "reconcile": [],
    "release": ["1"], "restore-archive": ["/nonexistent"], "resume": [], "retry": [UNKNOWN], "scan": [], "seal": [],
    "seen": [UNKNOWN], "show": [UNKNOWN], "status": [], "undo": [UNKNOWN], "verify": ["/nonexistent"],
    "wait": [UNKNOWN],
}
# These run until they are stopped, or make an installation: tests/db/test_serve.py, test_run.py and
# test_other_machines.py start them by Python.
SERVICES = {"demo", "run", "serve"}


def assert_alike(words) -> None:
    preloaded_programs.run(words)  # what it changes, it has changed now
    started = subprocess.run([sys.executable, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    forked = preloaded_programs.run(words)
    assert (forked.returncode, forked.stdout, forked.stderr) == (started.returncode, started.stdout, started.stderr)
    assert "Traceback" not in started.stderr and started.stdout + started.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_answers_alike_started_and_forked(admin_db, panel_conf, command):
    assert_alike([GPUPANEL, "--config", panel_conf, command, *COMMANDS[command]])


def test_every_command_is_started():
    [commands] = [action for action in build_parser()._actions if isinstance(action, argparse._SubParsersAction)]
    assert COMMANDS.keys() | SERVICES == commands.choices.keys()


def test_the_worker_answers_alike_started_and_forked(admin_db, worker_conf):
    assert_alike([IMPORT_WORKER, "--config", worker_conf, "--dry-run", "--batch", UNKNOWN])


def test_a_fork_has_the_arguments_environment_folder_and_input_that_it_is_given(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import os, sys\nprint(sys.argv[1:], os.environ, os.getcwd(), sys.stdin.read(), sys.path[0])\n"
        "print('problem', file=sys.stderr)\nsys.exit(7)\n"
    )
    done = preloaded_programs.run([program, "ä", 1], env={"A": "b"}, cwd=tmp_path, input="given")
    assert (done.returncode, done.stderr) == (7, "problem\n")
    assert done.stdout == f"['ä', '1'] environ({{'A': 'b'}}) {tmp_path} given {tmp_path}\n"


@pytest.mark.parametrize("end, status, said", [
    ("raise SystemExit", 0, ""), ("sys.exit('no')", 1, "no\n"), ("1 / 0", 1, "ZeroDivisionError"),
    ("os.kill(os.getpid(), 9)", -9, ""),
])
def test_a_fork_ends_as_a_process_ends(tmp_path, end, status, said):
    program = tmp_path / "program.py"
    program.write_text(f"import atexit, os, sys\natexit.register(print, 'exit', flush=True)\n{end}\n")
    done = preloaded_programs.run([program])
    assert done.returncode == status and said in done.stderr
    assert done.stdout == ("" if status < 0 else "exit\n")


def test_forks_share_what_a_function_cached_before(tmp_path):
    program = tmp_path / "program.py"
    program.write_text("from gpupanel.db import expected\nprint(expected.expected_tables.cache_info().currsize)\n")
    preloaded_programs.prepare(expected.expected_tables)
    assert preloaded_programs.run([program]).stdout == "1\n"


def test_a_worker_is_forked_with_a_pipe_signalled_and_waited_for(admin_db, panel_db, mount, bundles, worker_conf):
    sync_id = bundles.bundle("one", bundles.assets("one", 1))
    worker_helpers.queue(panel_db, mount, sync_id)
    program = worker_helpers.Program(worker_conf)
    try:
        program.wait_for_line("started")
        with pytest.raises(subprocess.TimeoutExpired):
            program.process.wait(0)
        program.send(signal.SIGTERM)
        assert program.ends() == 0
    finally:
        program.end()
