"""Start, watch and stop processes, each by its process id."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from ..errors import PanelError
from ..resources import TREE
from ..worker.shutdown import ShutdownSignals

STOP_SECONDS = 60

# Prefix of a command: the kernel kills the process as soon as the thread that started it has ended, for any reason.
KILL_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL")


class ManagedProcess(NamedTuple):
    """A running process, its log, and the file that holds its process id."""

    name: str
    process: subprocess.Popen
    log: Path
    pid_file: Path | None = None


def last_lines(value: str, count: int = 10) -> str:
    """Return the last lines of a log."""
    return "\n".join(value.strip().split("\n")[-count:])


def program_command(name: str, *arguments: str) -> list[str]:
    """Return the command line of bin/<name>, else of the installed program."""
    in_place = TREE / "bin" / name
    return [sys.executable, str(in_place if in_place.exists() else Path(sys.executable).with_name(name)), *arguments]


def start_process(name: str, command: list[str], folder: Path) -> ManagedProcess:
    """Start `command`.

    Its output goes to folder/log/<name>.log, its process id to folder/<name>.pid. The process has
    its own session, so that Ctrl-C in the terminal reaches only its parent.
    """
    log, pid_file = folder / "log" / f"{name}.log", folder / f"{name}.pid"
    with open(log, "ab") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    pid_file.write_text(str(process.pid))
    return ManagedProcess(name, process, log, pid_file)


def stop_process(managed: ManagedProcess) -> None:
    """Stop the process with SIGTERM, after a timeout with SIGKILL."""
    process = managed.process
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if managed.pid_file is not None:
        managed.pid_file.unlink(missing_ok=True)


def interrupt_on_signals() -> None:
    """Let SIGTERM and SIGHUP raise KeyboardInterrupt, for a clean end.

    An ignored signal stays ignored, as under nohup.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


def watch(processes: list[ManagedProcess], signals: ShutdownSignals) -> None:
    """Wait for a signal, which may have come before.

    Raises PanelError if a process ends by itself.
    """
    handles = {os.pidfd_open(managed.process.pid): managed for managed in processes}
    try:
        ready, _, _ = select.select([signals.fileno(), *handles], [], [])
    finally:
        for handle in handles:
            os.close(handle)
    if signals.fileno() not in ready:
        raise unexpected_exit(handles[ready[0]])


def unexpected_exit(managed: ManagedProcess) -> PanelError:
    """Return the error for a process that ended by itself, with its log."""
    log = last_lines(managed.log.read_text(errors="replace"))
    return PanelError(
        f"The {managed.name} ended by itself with status {managed.process.wait()}; everything else is stopped, too.",
        f"All data is kept: start it again as before. The end of {managed.log}:\n{log}",
    )
