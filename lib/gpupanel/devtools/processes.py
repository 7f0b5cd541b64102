"""Processes that we start, watch and end, each by its process id."""

import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from ..errors import PanelError
from ..paths import TREE
from .text import tail

STOP_SECONDS = 60

# Put before a command: the kernel kills it when the thread that began it is gone, however that came about.
TIED = ("setpriv", "--pdeathsig", "KILL")


class Child(NamedTuple):
    """A running process, the log that it writes, and the file that holds its id."""

    name: str
    process: subprocess.Popen
    log: Path
    note: Path | None = None

    def end_of_log(self) -> str:
        return tail(self.log.read_text(errors="replace"))


def program(name: str, *arguments: str) -> list[str]:
    """The command line of bin/<name>, from this tree, or from where it was installed beside this Python."""
    in_place = TREE / "bin" / name
    return [sys.executable, str(in_place if in_place.exists() else Path(sys.executable).with_name(name)), *arguments]


def start(name: str, command: list[str], folder: Path) -> Child:
    """Start `command` with its output in folder/log/<name>.log and its process id in folder/<name>.pid.

    It gets a session of its own, so that a Ctrl-C in the terminal reaches it only through us.
    """
    log, note = folder / "log" / f"{name}.log", folder / f"{name}.pid"
    with open(log, "ab") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    note.write_text(str(process.pid))
    return Child(name, process, log, note)


def stop(child: Child) -> None:
    """Let it end in good order; kill it when it does not."""
    if child.process.poll() is None:
        child.process.terminate()
        try:
            child.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()
    child.note.unlink(missing_ok=True)


def interrupt_on_signals() -> None:
    """Let SIGTERM and SIGHUP interrupt this program as Ctrl-C does, so that its contexts end what they began; what is
    ignored stays so, as under nohup."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


class Signals:
    """A context in which SIGINT, SIGTERM and SIGHUP interrupt nothing; `check` and `watch` see them."""

    NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __enter__(self) -> "Signals":
        self._reader, writer = self._pipe = socket.socketpair()
        writer.setblocking(False)
        self._before = [signal.signal(number, lambda *_: None) for number in self.NUMBERS]
        self._wakeup = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        return self

    def __exit__(self, *exc) -> None:
        signal.set_wakeup_fd(self._wakeup)
        for number, handler in zip(self.NUMBERS, self._before):
            signal.signal(number, handler)
        for end in self._pipe:
            end.close()

    def check(self) -> None:
        """Raises KeyboardInterrupt when a signal has come: for what takes long, between its steps."""
        if select.select([self._reader], [], [], 0)[0]:
            raise KeyboardInterrupt

    def watch(self, children: list[Child]) -> None:
        """Wait for a signal, also one that came before. Raises PanelError when a child ends by itself."""
        handles = {os.pidfd_open(child.process.pid): child for child in children}
        try:
            ready, _, _ = select.select([self._reader, *handles], [], [])
        finally:
            for handle in handles:
                os.close(handle)
        if self._reader not in ready:
            raise ended(handles[ready[0]])


def ended(child: Child) -> PanelError:
    """A child ended that should not have."""
    return PanelError(
        f"The {child.name} ended by itself with status {child.process.wait()}.",
        f"The end of {child.log}:\n{child.end_of_log()}",
    )
