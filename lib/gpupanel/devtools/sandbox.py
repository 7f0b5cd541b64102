"""A complete installation in one folder, with a private MariaDB.

`gpupanel run` and `gpupanel demo --once` use it. The data stays from one start to the next.
"""

import fcntl
import os
import secrets
import select
import signal
from contextlib import suppress
from pathlib import Path
from typing import Self, TextIO

from ..errors import InvalidStateError, PanelError
from ..db import schema
from .mariadb_server import MariaDBServer

DATABASE_NAME = "admin_panel"
STOP_SECONDS = 60


class Sandbox:
    """Context in which MariaDB runs and both configurations are valid.

    Only one process at a time may be inside.
    """

    def __init__(self, folder: Path):
        self.folder = folder.absolute()
        self.panel_conf = self.folder / "panel.conf"
        self.worker_conf = self.folder / "worker.conf"
        self.sync_dir = self.folder / "mount" / "assets" / "sync"
        self.logs = self.folder / "log"

    def __enter__(self) -> Self:
        """Lock the folder and start MariaDB.

        Raises InvalidStateError while another process is inside, PanelError if MariaDB does not start.
        """
        for folder in (self.logs, self.sync_dir):
            _make_folder(folder)
        self._lock = self._acquire_lock()
        try:
            stop_leftovers(self.folder)
            self.server = MariaDBServer(self.folder / "mariadb").start()
        except BaseException:
            self._lock.close()
            raise
        try:
            self._prepare()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._close()

    def _close(self) -> None:
        self.server.stop()
        self._lock.close()

    def _acquire_lock(self) -> TextIO:
        lock = open(self.folder / "lock", "w")  # noqa: SIM115 - the open file holds the lock
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise InvalidStateError(
                f"Another `make run` or `make demo` is using {self.folder}.",
                "Stop it, or use another folder: make demo VAR=DIR, make run VAR=DIR, or bin/gpupanel with --var DIR.",
            ) from None
        return lock

    def _prepare(self) -> None:
        admin = self.server.admin(DATABASE_NAME)
        schema.apply(admin)
        for account in schema.ACCOUNTS:
            schema.open_account(admin, account, self._password(account))
        panel = f"auth = none\nsecret_file = {self.folder / 'panel.secret'}\nworker_unit ="
        self._configure(self.panel_conf, "gpu_panel", f"[panel]\n{panel}")
        self._configure(self.worker_conf, "gpu_worker", "[worker]\npoll_seconds = 0.5")

    def _password(self, account: str) -> str:
        file = self.folder / f"{account}.password"
        if not file.exists():
            with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
                out.write(secrets.token_urlsafe(24))
        return file.read_text(encoding="utf-8")

    def _configure(self, file: Path, account: str, section: str) -> None:
        """Write a configuration; each start has another socket."""
        file.write_text(
            f"# Written by bin/gpupanel at each start; changes are lost.\n"
            f"[database]\nunix_socket = {self.server.socket}\nuser = {account}\npassword_file = {account}.password\n"
            f"name = {DATABASE_NAME}\n\n[mount]\nsync_dir = {self.sync_dir}\n\n{section}\n",
            encoding="utf-8",
        )


def _make_folder(folder: Path) -> None:
    """Create the folder. Raises PanelError that names another place, as for a read-only checkout."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        hint = "Use a folder that you may write: make run VAR=DIR, make demo VAR=DIR, or bin/gpupanel with --var DIR."
        raise PanelError(f"{folder}: {error.strerror}.", hint) from None


def stop_leftovers(folder: Path) -> list[int]:
    """Stop the processes of a killed run, by the process ids in *.pid.

    Return the ids of those that were stopped. The kernel reuses process ids: a process counts only
    if its command line names the folder.
    """
    files = [*folder.glob("*.pid"), *folder.glob("mariadb/*.pid")]
    commands = {pid: _command_line(pid) for pid in map(_recorded_pid, files) if pid}
    leftovers = {pid: command for pid, command in commands.items() if os.fsencode(folder) + b"/" in command}
    for pid, command in leftovers.items():
        _stop(pid)
        _remove_socket_folder(command)
    return list(leftovers)


def _recorded_pid(file: Path) -> int | None:
    text = file.read_text().strip()
    return int(text) if text.isdigit() else None


def _command_line(pid: int) -> bytes:
    """Return the NUL-terminated command line of a process, or nothing."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _remove_socket_folder(command: bytes) -> None:
    """Remove the folder of a server's socket, which the server has emptied."""
    for word in command.split(b"\0"):
        if word.startswith(b"--socket="):
            with suppress(OSError):
                Path(os.fsdecode(word.removeprefix(b"--socket="))).parent.rmdir()


def _stop(pid: int) -> None:
    """Send SIGTERM, and SIGKILL if the process does not end in time."""
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
