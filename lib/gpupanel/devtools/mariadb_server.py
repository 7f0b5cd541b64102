"""A private MariaDB server, reachable by a socket and on loopback.

`make run`, the tests and the benchmarks use it. It is stopped only by its process id.
"""

import getpass
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from ..config import DatabaseSettings
from ..db import Database
from ..errors import DatabaseUnavailableError, PanelError
from .processes import last_lines

PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
START_SECONDS = 60

# No flush per commit: the data directory can be created again.
THROWAWAY = ("--innodb-flush-log-at-trx-commit=0", "--sync-binlog=0", "--innodb-doublewrite=0")


class MariaDBServer:
    """One server in `folder`; its data stays there from one start to the next.

    `options` are added to the command line of mariadbd, and `within` is put before it: a command that runs another one.
    The socket has its own folder with a short path, because a socket's path has at most 107 bytes.
    """

    def __init__(self, folder: Path, *options: str, within: Sequence[str] = ()):
        self.folder = folder
        self.options = options
        self.within = within
        self.port = 0
        self._process: subprocess.Popen | None = None
        # Also for temporary files: a starting server empties their folder, so two servers must not share one.
        self._sockets = Path(tempfile.mkdtemp(prefix="gpupanel-", dir=_short_folder()))

    @property
    def socket(self) -> Path:
        return self._sockets / "mariadb.sock"

    @property
    def process(self) -> subprocess.Popen:
        """The running server. Raises PanelError before the start."""
        if self._process is None:
            raise PanelError("MariaDB has not been started.")
        return self._process

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> Path:
        return self.folder / "mariadb.log"

    def admin(self, name: str = "") -> DatabaseSettings:
        """Return the administrator's account: the current user, by the socket."""
        return DatabaseSettings(unix_socket=str(self.socket), user=_system_user(), name=name)

    def start(self) -> Self:
        """Start the server and wait until it responds.

        Raises PanelError with the end of its log.
        """
        try:
            self._sockets.mkdir(exist_ok=True)
            if not (self.folder / "data" / "mysql").is_dir():
                self._install()
            self.port = self.port or _free_port()
            with open(self.log, "ab") as log:
                self._process = subprocess.Popen(
                    [*self.within, _program("mariadbd"), *self._arguments()], stdout=log, stderr=log,
                    stdin=subprocess.DEVNULL, start_new_session=True,
                )
            self._wait()
        except BaseException:
            if self._process is not None:
                self.kill()  # a server that is starting would lose an early SIGTERM and run on
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop the server in good order."""
        if self.is_running:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait()
        shutil.rmtree(self._sockets, ignore_errors=True)

    def kill(self) -> None:
        """Kill the server as a crash would; `start` recovers."""
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *error: object) -> None:
        self.stop()

    def _install(self) -> None:
        """Create the data directory under another name, then rename it."""
        user, data, fresh = _system_user(), self.folder / "data", self.folder / "data.new"
        for folder in (data, fresh):
            shutil.rmtree(folder, ignore_errors=True)
        fresh.mkdir(parents=True)
        # mariadb-install-db is a shell script that does not quote its folder: this link to it has no spaces.
        link = self._sockets / "data"
        link.symlink_to(fresh.absolute())
        status, output = _run_shielded([
            _program("mariadb-install-db"), "--no-defaults", f"--datadir={link}", f"--user={user}",
            "--auth-root-authentication-method=socket", f"--auth-root-socket-user={user}", "--skip-test-db",
            "--skip-name-resolve", "--force",  # also on a host without name resolution
        ], self._sockets)
        if status:
            hint = f"The end of its output:\n{last_lines(output)}"
            raise PanelError("MariaDB could not create its data directory.", hint)
        link.unlink()
        fresh.rename(data)

    def _arguments(self) -> list[str]:
        return [
            "--no-defaults", f"--datadir={self.folder / 'data'}", f"--socket={self.socket}", f"--user={_system_user()}",
            "--bind-address=127.0.0.1", f"--port={self.port}", f"--pid-file={self.folder / 'mariadb.pid'}",
            "--character-set-server=utf8mb4", "--log-warnings=1", "--max-allowed-packet=64M",
            f"--tmpdir={self._sockets}",
            *self.options,
        ]

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        db = Database(self.admin("mysql"))
        while True:
            try:
                with db.reading():
                    return db.close()
            except DatabaseUnavailableError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    log = last_lines(self.log.read_text(errors="replace"))
                    raise PanelError("MariaDB did not start.", f"The end of {self.log}:\n{log}") from None
                time.sleep(0.05)


def _short_folder() -> str | None:
    """Return /tmp where TMPDIR is too long for a socket, or has characters that mariadb-install-db does not quote."""
    usual = tempfile.gettempdir()
    return None if re.fullmatch(r"[\w./-]{1,60}", usual, re.ASCII) else "/tmp"


def _run_shielded(command: list[str], temporary: Path) -> tuple[int, str]:
    """Run a command that Ctrl-C in the terminal does not reach.

    Return its exit status and output.
    """
    with subprocess.Popen(
        command, env=os.environ | {"TMPDIR": str(temporary)}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, start_new_session=True,
    ) as process:
        try:
            output = process.communicate()[0]
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return process.returncode, output.decode(errors="replace")


def _system_user() -> str:
    """Return the login name.

    Raises PanelError for a user id without one, as in a container.
    """
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        hint = "MariaDB needs one; add the user to /etc/passwd, or set USER."
        raise PanelError(f"The user id {os.getuid()} has no login name.", hint) from None


def _program(name: str) -> str:
    path = shutil.which(name, path=PATH)
    if path is None:
        raise PanelError(f"{name} is not installed.", "Install Debian's mariadb-server-core and mariadb-client-core.")
    return path


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
