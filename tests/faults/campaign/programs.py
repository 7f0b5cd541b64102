"""The programs of an environment, forked with the shim preloaded."""

import json
import os
import select
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from constants import TREE
from worker_helpers import wait_until

COMPILER = ("gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror")
HERE = Path(__file__).parent


class Ended(NamedTuple):
    """Exit status and output of a program."""

    status: int
    output: str


class Program:
    """A running program with the process id `pid`."""

    def __init__(self, fork_server: "ForkServer", pid: int, out: Path):
        self._fork_server, self.pid, self._out = fork_server, pid, out
        self._descriptor = os.pidfd_open(pid)
        self.waited = False

    def ended(self) -> bool:
        return bool(select.select([self._descriptor], [], [], 0)[0])

    def output(self) -> str:
        return self._out.read_text(errors="replace") if self._out.exists() else ""

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless the program has ended."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._descriptor, number)

    def wait(self) -> Ended:
        wait_until(self.ended, f"the end of the program, which said: {self.output()}")
        os.close(self._descriptor)
        self.waited = True
        return Ended(self._fork_server.ask(self.pid), self.output())


class ForkServer:
    """Forks programs with the shim preloaded."""

    def __init__(self, folder: Path):
        self._folder, self._count = folder, 0
        self._running: list[Program] = []
        paths = os.pathsep.join(str(TREE / each) for each in ("lib", "tests", "tests/faults"))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "campaign.fork_server"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=os.environ | {"PYTHONPATH": paths, "LD_PRELOAD": str(_shim(folder))},
        )

    def ask(self, order) -> int:
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def start(self, program: str, *arguments: str, given: str = "", **environ: str) -> Program:
        """Start a program; `given` is its standard input."""
        self._count += 1
        out = self._folder / f"{self._count}.log"
        order = {"program": program, "arguments": arguments, "environ": environ, "given": given, "out": str(out)}
        self._running = [each for each in self._running if not each.waited]
        self._running.append(Program(self, self.ask(order), out))
        return self._running[-1]

    def kill_all(self) -> None:
        for program in self._running:
            if not program.waited and not program.ended():
                program.send(signal.SIGKILL)
                wait_until(program.ended, "the end of a killed program")

    def close(self) -> None:
        self.kill_all()
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def _shim(folder: Path) -> Path:
    built = folder / "shim.so"
    subprocess.run([*COMPILER, "-o", built, HERE / "shim.c", "-ldl", "-lpthread"], check=True)
    return built
