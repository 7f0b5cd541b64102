"""The installation under load; every program that ends is started again."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import installation
from constants import NAME, TREE
from gpupanel import config
from gpupanel.db import Database
from gpupanel.devtools.bundle_factory import BundleWriter
from gpupanel.devtools.mariadb_server import MariaDBServer, THROWAWAY
from gpupanel.mount import Mount

# The performance schema shows which transaction waits for which.
OPTIONS = (*THROWAWAY, "--innodb-buffer-pool-size=256M", "--performance-schema=ON")
WORKER = {"heartbeat_seconds": 2, "stale_minutes": 0.2, "poll_seconds": 0.5, "readers": 4}
NO_ENVIRON: Mapping[str, str] = {}
LOOK_SECONDS = 0.1
# Asked to end, killed, asked before it could listen, and asked twice.
EXPECTED = (0, -signal.SIGKILL, -signal.SIGTERM, 130)


class Size(NamedTuple):
    """Sizes; `minutes` is the duration of the chaos, `lock_seconds` the longest allowed wait for a row."""

    bundles: int = 1000
    items: int = 100_000  # in the one big bundle
    sentinels: int = 100_000
    operators: int = 50
    workers: int = 4
    minutes: float = 10
    lock_seconds: float = 1


class Supervisor:
    """Keeps one program running, as systemd does; `unexpected` lists other exit statuses."""

    def __init__(self, role: str, log: Path, environ: Mapping[str, str], *command: str):
        self.role, self.unexpected, self.stopping = role, [], False
        self._command, self._log, self._environ = [sys.executable, *command], log, os.environ | environ
        self.process = self._start()

    def _start(self) -> subprocess.Popen:
        with open(self._log, "ab") as log:
            return subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environ)

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def look(self) -> None:
        """Start the program again if it has ended."""
        status = self.process.poll()
        if status is None or self.stopping:
            return
        if status not in EXPECTED:
            self.unexpected.append(status)
        self.process = self._start()

    def end(self) -> None:
        self.stopping = True
        for number in (signal.SIGTERM, signal.SIGCONT):
            self.send(number)
        self.process.wait()


class Deployment:
    """The installation, all in `folder`; `worker` are the options of workers, `environ` that of panel and workers."""

    def __init__(
        self, folder: Path, server: MariaDBServer, size: Size, worker: Mapping = WORKER, environ: Mapping = NO_ENVIRON
    ):
        self.folder, self.server, self.size, self._environ = folder, server, size, environ
        self.assets_dir = folder / "assets"
        (self.assets_dir / "sync").mkdir(parents=True)
        self.writer = BundleWriter(self.assets_dir / "sync", self.assets_dir, seed=1, pictures=1)
        self.mount = Mount(config.MountSettings(self.assets_dir / "sync", self.assets_dir))
        self.admin = Database(server.admin(NAME))
        self.port = 0
        self.panel_conf = self.configuration(
            "gpu_panel",
            panel={"operators": "*", "trusted_proxies": "127.0.0.1/32", "secret_file": folder / "panel.secret"},
        )
        self.worker_conf = self.configuration("gpu_worker", worker=worker)
        self.keepers: list[Supervisor] = []
        self._over = threading.Event()

    def configuration(self, user: str, **sections: dict) -> Path:
        return installation.write(self.folder / f"{user}.conf", self.server.socket, self.assets_dir, user, **sections)

    def shell(self, *arguments: str, conf: Path | None = None) -> subprocess.CompletedProcess:
        """Run bin/gpupanel as an operator, or under the account of `conf`."""
        command = [sys.executable, TREE / "bin" / "gpupanel", *arguments, "--config", conf or self.panel_conf]
        return subprocess.run(command, capture_output=True, text=True)

    def start(self) -> None:
        """Start panel, workers and the thread that restarts them."""
        self.port = self.port or _free_port()
        panel = ("serve", "--host", "127.0.0.1", "--port", str(self.port), "--config", self.panel_conf)
        log, environ = self.folder / "panel.log", self._environ
        self.keepers = [Supervisor("panel", log, environ, TREE / "bin" / "gpupanel", *panel)]
        for number in range(self.size.workers):
            log = self.folder / f"worker.{number}.log"
            worker = (TREE / "bin" / "import-worker", "--config", self.worker_conf)
            self.keepers.append(Supervisor("worker", log, environ, *worker))
        threading.Thread(target=self._keep, daemon=True).start()

    def _keep(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            for keeper in self.keepers:
                keeper.look()

    def end(self) -> None:
        self._over.set()
        for keeper in self.keepers:
            keeper.end()
        self.admin.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def open_deployment(folder: Path, size: Size, options: tuple[str, ...] = OPTIONS, **more: Mapping):
    """Open a deployment in this folder; all its processes end with it."""
    with installation.installed(folder / "mariadb", *options) as server:
        site = Deployment(folder, server, size, **more)
        try:
            yield site
        finally:
            site.end()
