"""The installed panel over its own ledger, for the benchmarks of pages."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from gpupanel import config
from gpupanel.db import Database
from gpupanel.devtools.mariadb_server import MariaDBServer, THROWAWAY
from gpupanel.devtools.processes import KILL_WITH_PARENT
from gpupanel.errors import PanelError
from gpupanel.db import schema

from . import make_ledger
from .install_peers import FOLDER, TREE

NAME = "admin_panel"
PYTHON = "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else sys.executable


class InstalledPanel(NamedTuple):
    """An installed panel: `conf` without a service for CGI programs, `served` with one at `socket`."""

    conf: Path
    served: Path
    database: str  # MariaDB's socket
    db: Database


def installed() -> Path:
    """Install this tree and return the prefix."""
    prefix = FOLDER / "prefix"
    command = [PYTHON, "-B", "-m", "gpupanel.devtools.install", "--prefix", prefix]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": str(TREE / "lib")}, stdout=sys.stderr)
    return prefix


@contextmanager
def ledger(batches: int) -> Iterator[InstalledPanel]:
    """Run a private MariaDB with this many batches and a panel's configuration."""
    with (
        TemporaryDirectory() as folder,
        MariaDBServer(Path(folder) / "mariadb", *THROWAWAY, within=KILL_WITH_PARENT) as server,
    ):
        schema.apply(server.admin(NAME))
        db = Database(server.admin(NAME))
        db.execute("SET foreign_key_checks = 0, unique_checks = 0")
        make_ledger.fill(db, batches)
        yield _configured(Path(folder), server, db)
        db.close()


@contextmanager
def kept_ledger(batches: int) -> Iterator[Path]:
    """Yield the panel.conf of a ledger in var/bench, which is kept since a large one takes long.

    A ledger whose server runs already is used as it is.
    """
    folder = FOLDER / "ledgers" / str(batches)
    conf = folder / "panel.conf"
    if _is_served(conf):
        yield conf
    else:
        command = [sys.executable, TREE / "bench" / "make_ledger.py", folder, "--batches", str(batches)]
        with _started(command, until="Ready"):
            yield conf


def serving(prefix: Path, conf: Path):
    """`bin/gpupanel serve`: as `program`."""
    return program([prefix / "bin" / "gpupanel", "--config", conf, "serve", "--port", "0"])


@contextmanager
def program(command: list) -> Iterator[tuple[str, int]]:
    """Run a server; yield its address and its process id."""
    with _started(command, until="http") as (line, pid):
        yield line.split()[-1], pid


@contextmanager
def _started(command: list, until: str) -> Iterator[tuple[str, int]]:
    """Start a program; yield the first line that it prints with `until`, and its process id.

    Only SIGTERM ends it; signals of the terminal do not reach it.
    """
    with subprocess.Popen(
        [*KILL_WITH_PARENT, *command], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            yield next(line for line in process.stdout if until in line), process.pid
        finally:
            process.terminate()
            process.wait()  # an interrupted Popen would not, and who is still at it then is killed at our end


def _is_served(conf: Path) -> bool:
    try:
        Database(config.load(conf).database).execute("SELECT 1")
    except PanelError:
        return False
    return True


def _configured(folder: Path, server: MariaDBServer, db: Database) -> InstalledPanel:
    conf, served = make_ledger.configure(folder, server), folder / "served.conf"
    served.write_text(f"{conf.read_text()}socket = panel.sock\n")
    return InstalledPanel(conf, served, server.admin(NAME).unix_socket, db)
