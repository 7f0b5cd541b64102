"""A whole installation in one folder: a private MariaDB, both accounts, both configurations, a mount of its own.

`gpupanel run` and `gpupanel demo --once` live in it. What is in the folder stays from one start to the next.
"""

import fcntl
import os
import secrets
import select
import signal
from contextlib import suppress
from pathlib import Path

from ..errors import Refused
from . import schema
from .private_server import PrivateServer

NAME = "admin_panel"
STOP_SECONDS = 60


class Playground:
    """A context: inside it MariaDB runs and the configurations are valid. One process at a time may be inside."""

    def __init__(self, folder: Path):
        self.folder = folder.absolute()
        self.panel_conf = self.folder / "panel.conf"
        self.worker_conf = self.folder / "worker.conf"
        self.sync_dir = self.folder / "mount" / "assets" / "sync"
        self.logs = self.folder / "log"

    def __enter__(self) -> "Playground":
        """Raises Refused while another process is inside, PanelError when MariaDB does not start."""
        for folder in (self.logs, self.sync_dir):
            folder.mkdir(parents=True, exist_ok=True)
        self._lock = self._locked()
        try:
            end_leftovers(self.folder)
            self.server = PrivateServer(self.folder / "mariadb").start()
        except BaseException:
            self._lock.close()
            raise
        try:
            self._prepare()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc) -> None:
        self.server.stop()
        self._lock.close()

    def _locked(self):
        lock = open(self.folder / "lock", "w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise Refused(
                f"Another `make run` or `make demo` is using {self.folder}.",
                "Stop it, or take another folder: make demo VAR=DIR, make run VAR=DIR, or bin/gpupanel with --var DIR.",
            ) from None
        return lock

    def _prepare(self) -> None:
        admin = self.server.admin(NAME)
        schema.apply(admin)
        for account in schema.ACCOUNTS:
            schema.open_account(admin, account, self._password(account))
        panel = f"auth = none\nsecret_file = {self.folder / 'panel.secret'}"
        self._configure(self.panel_conf, "gpu_panel", f"[panel]\n{panel}")
        self._configure(self.worker_conf, "gpu_worker", "[worker]\npoll_seconds = 0.5")

    def _password(self, account: str) -> str:
        file = self.folder / f"{account}.password"
        if not file.exists():
            with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
                out.write(secrets.token_urlsafe(24))
        return file.read_text()

    def _configure(self, file: Path, account: str, section: str) -> None:
        """Written at each start, since the socket is another one each time."""
        file.write_text(
            f"# Written by bin/gpupanel at each start; changes are lost.\n"
            f"[database]\nunix_socket = {self.server.socket}\nuser = {account}\npassword_file = {account}.password\n"
            f"name = {NAME}\n\n[mount]\nsync_dir = {self.sync_dir}\n\n{section}\n"
        )


def end_leftovers(folder: Path) -> list[int]:
    """End what a killed run left behind, by the process ids it had noted in *.pid; returns those that were ended.

    An id may belong to somebody else by now: a process counts only when its command line names the folder.
    """
    files = [*folder.glob("*.pid"), *folder.glob("mariadb/*.pid")]
    commands = {pid: _command(pid) for pid in map(_noted, files) if pid}
    left = {pid: command for pid, command in commands.items() if os.fsencode(folder) + b"/" in command}
    for pid, command in left.items():
        _end(pid)
        _tidy(command)
    return list(left)


def _noted(file: Path) -> int | None:
    text = file.read_text().strip()
    return int(text) if text.isdigit() else None


def _command(pid: int) -> bytes:
    """The command line of a process, its words ended by NUL; empty when there is none."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _tidy(command: bytes) -> None:
    """Remove the folder that a server had for its socket, which the server has emptied."""
    for word in command.split(b"\0"):
        if word.startswith(b"--socket="):
            with suppress(OSError):
                Path(os.fsdecode(word.removeprefix(b"--socket="))).parent.rmdir()


def _end(pid: int) -> None:
    """SIGTERM, and SIGKILL for one that does not end in time."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        for number in (signal.SIGTERM, signal.SIGKILL):
            signal.pidfd_send_signal(handle, number)
            if select.select([handle], [], [], STOP_SECONDS)[0]:
                return
    except ProcessLookupError:
        return
    finally:
        os.close(handle)
