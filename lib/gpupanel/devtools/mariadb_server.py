"""A MariaDB server of one's own: its data in one folder, reachable by a socket and on loopback only.

`make run`, the tests and the benchmarks use it. It is ended by its process id, and never by anything else.
"""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from ..config import DatabaseSettings
from ..database import Database
from ..errors import DatabaseUnavailable, PanelError
from .text import tail

PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
START_SECONDS = 60

# Durable enough for a data directory that can be made anew: no flush a commit.
THROWAWAY = ("--innodb-flush-log-at-trx-commit=0", "--sync-binlog=0", "--innodb-doublewrite=0")


class PrivateServer:
    """One server in `folder`; its data stays there from one start to the next.

    `options` are added to mariadbd's command line, and `within` is put before it: a command that runs another one. The
    socket lives in a short folder of its own, since a socket's path may not be longer than 107 bytes.
    """

    def __init__(self, folder: Path, *options: str, within: Sequence[str] = ()):
        self.folder = folder
        self.options = options
        self.within = within
        self.port = 0
        self._process: subprocess.Popen | None = None
        # For temporary files, too: a server that starts empties their folder, also of what another one has in it.
        self._sockets = Path(tempfile.mkdtemp(prefix="gpupanel-"))

    @property
    def socket(self) -> Path:
        return self._sockets / "mariadb.sock"

    @property
    def process(self) -> subprocess.Popen:
        return self._process

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log(self) -> Path:
        return self.folder / "mariadb.log"

    def admin(self, name: str = "") -> DatabaseSettings:
        """The account that may do everything: the user who runs this, by the socket."""
        return DatabaseSettings(unix_socket=str(self.socket), user=getpass.getuser(), name=name)

    def start(self) -> "PrivateServer":
        """Start it and wait until it answers. Raises PanelError with the end of its log when it does not."""
        try:
            self._sockets.mkdir(exist_ok=True)
            if not (self.folder / "data" / "mysql").is_dir():
                self._install()
            self.port = self.port or _free_port()
            with open(self.log, "ab") as log:
                self._process = subprocess.Popen(
                    [*self.within, _program("mariadbd"), *self._arguments()], stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                    start_new_session=True,
                )
            self._wait()
        except BaseException:
            if self._process is not None:
                self.kill()  # a SIGTERM that comes too early in its start would be lost, and its end waited for in vain
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End it in good order."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait()
        shutil.rmtree(self._sockets, ignore_errors=True)

    def kill(self) -> None:
        """End it as a crash would; `start` recovers."""
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> "PrivateServer":
        return self.start()

    def __exit__(self, *exc) -> None:
        self.stop()

    def _install(self) -> None:
        """Make the data directory beside its place, so that one that was interrupted is never taken for a whole one."""
        user, data, fresh = getpass.getuser(), self.folder / "data", self.folder / "data.new"
        for old in (data, fresh):
            shutil.rmtree(old, ignore_errors=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        status, said = _undisturbed([
            _program("mariadb-install-db"), "--no-defaults", f"--datadir={fresh}", f"--user={user}",
            "--auth-root-authentication-method=socket", f"--auth-root-socket-user={user}", "--skip-test-db",
            "--skip-name-resolve", "--force",  # also where no host name can be looked up
        ], self._sockets)
        if status:
            raise PanelError("MariaDB could not make its data directory.", f"What it said last:\n{tail(said)}")
        fresh.rename(data)

    def _arguments(self) -> list[str]:
        return [
            "--no-defaults", f"--datadir={self.folder / 'data'}", f"--socket={self.socket}", f"--user={getpass.getuser()}",
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
            except DatabaseUnavailable:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    log = tail(self.log.read_text(errors="replace"))
                    raise PanelError("MariaDB did not start.", f"The end of {self.log}:\n{log}") from None
                time.sleep(0.05)


def _undisturbed(command: list[str], temporary: Path) -> tuple[int, str]:
    """Run it where a Ctrl-C in the terminal does not reach it; (exit status, what it printed)."""
    with subprocess.Popen(
        command, env=os.environ | {"TMPDIR": str(temporary)}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, start_new_session=True,
    ) as process:
        try:
            said = process.communicate()[0]
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return process.returncode, said.decode(errors="replace")


def _program(name: str) -> str:
    found = shutil.which(name, path=PATH)
    if found is None:
        raise PanelError(f"{name} is not installed.", "Install Debian's mariadb-server-core and mariadb-client-core.")
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
