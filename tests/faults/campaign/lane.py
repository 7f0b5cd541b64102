"""One lane of the campaign: a server, a mount and programs of its own, so that several lanes run side by side."""

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from gpupanel import config
from gpupanel.database import Database
from gpupanel.mount import Mount
from gpupanel.tools import schema
from gpupanel.tools.bundles import Writer
from gpupanel.tools.private_server import PrivateServer
from ground import NAME, TABLES, TREE

from . import picture, story
from .patience import wait_until

# Small and quick to start; what was committed survives a kill of the server, though not of the machine.
OPTIONS = (
    "--innodb-flush-log-at-trx-commit=2", "--sync-binlog=0", "--innodb-doublewrite=0", "--innodb-buffer-pool-size=24M",
    "--innodb-log-file-size=16M", "--performance-schema=OFF", "--aria-pagecache-buffer-size=8M",
)
COMPILER = ("gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror")
HERE = Path(__file__).parent
ROUNDS = 40


class Ended(NamedTuple):
    """How a program ended, and all that it said."""

    status: int
    output: str


class Program:
    """A program that runs; `pid` is its process."""

    def __init__(self, zygote: "Zygote", pid: int, out: Path):
        self._zygote, self.pid, self._out = zygote, pid, out
        self._descriptor = os.pidfd_open(pid)
        self.waited = False

    def ended(self) -> bool:
        return bool(select.select([self._descriptor], [], [], 0)[0])

    def output(self) -> str:
        return self._out.read_text(errors="replace") if self._out.exists() else ""

    def wait(self) -> Ended:
        wait_until(self.ended, f"the end of the program, which said: {self.output()}")
        os.close(self._descriptor)
        self.waited = True
        return Ended(self._zygote.ask(self.pid), self.output())


class Zygote:
    """Forks programs, with the shim in front of their C library."""

    def __init__(self, folder: Path):
        self._folder, self._count = folder, 0
        self._running: list[Program] = []
        paths = os.pathsep.join(str(TREE / each) for each in ("lib", "tests", "tests/faults"))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "campaign.zygote"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=os.environ | {"PYTHONPATH": paths, "LD_PRELOAD": str(_shim(folder))},
        )

    def ask(self, order) -> int:
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def start(self, program: str, *arguments: str, **environ: str) -> Program:
        self._count += 1
        out = self._folder / f"{self._count}.log"
        order = {"program": program, "arguments": arguments, "environ": environ, "out": str(out)}
        self._running = [each for each in self._running if not each.waited]
        self._running.append(Program(self, self.ask(order), out))
        return self._running[-1]

    def kill_all(self) -> None:
        for program in self._running:
            if not program.waited and not program.ended():
                os.kill(program.pid, signal.SIGKILL)
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


class Lane:
    """Everything that a trial needs. `open` makes one; the snapshots are databases beside admin_panel."""

    first: str
    bundles: list[str]
    job: int

    def __init__(self, folder: Path, server: PrivateServer, zygote: Zygote):
        self.folder, self.server, self.zygote = folder, server, zygote
        self.assets_dir = folder / "assets"
        (self.assets_dir / "sync").mkdir(parents=True)
        self.writer = Writer(self.assets_dir / "sync", self.assets_dir, seed=1, pictures=1)
        self.mount = Mount(config.MountSettings(self.assets_dir / "sync", self.assets_dir))
        schema.apply(server.admin(NAME))
        for account in schema.ACCOUNTS:
            schema.open_account(server.admin(NAME), account, account)
        self.admin = Database(server.admin(NAME))
        self.door_path = Path(tempfile.mkdtemp(prefix="door-")) / "door.sock"
        self.direct = self._configurations(server.socket, "direct")
        self.through = self._configurations(self.door_path, "door")
        self.panel = Database(config.load(self.direct["gpupanel"]).database)
        self.worker = Database(config.load(self.direct["import-worker"]).database)
        self._references: dict[str, dict] = {}
        story.tell(self)

    def close(self) -> None:
        for db in (self.admin, self.panel, self.worker):
            db.close()
        shutil.rmtree(self.door_path.parent)

    def recover(self) -> None:
        """After a trial that broke off: no program is left, and the server runs."""
        self.zygote.kill_all()
        if self.server.process.poll() is not None:
            self.server.start()
        self.admin.close()

    # ------------------------------------------------------------------------------------------- configuration

    def _configurations(self, socket: Path, name: str) -> dict[str, Path]:
        return {"gpupanel": self.configuration(socket, name, "gpu_panel"),
                "import-worker": self.configuration(socket, name, "gpu_worker")}

    def configuration(self, socket: Path, name: str, user: str, **options) -> Path:
        """A configuration for a program of this lane; a worker's takes few items at a time, so that more can be disturbed."""
        worker = {"chunk_items": 2, "readers": 1, "heartbeat_seconds": 60, "poll_seconds": 0.05} | options
        path = self.folder / f"{name}.{user}.conf"
        lines = ["[database]", f"unix_socket = {socket}", f"user = {user}", f"password = {user}",
                 "[mount]", f"sync_dir = {self.assets_dir / 'sync'}"]
        if user == "gpu_worker":
            lines += ["[worker]", *(f"{option} = {value}" for option, value in worker.items())]
        path.touch(0o600)
        path.write_text("\n".join(lines) + "\n")
        return path

    # ------------------------------------------------------------------------------------------------ the state

    def keep(self, name: str) -> None:
        """Remember the tables as they are."""
        self.admin.execute(f"CREATE DATABASE keep_{name}")
        for table in TABLES:
            self.admin.execute(f"CREATE TABLE keep_{name}.{table} AS SELECT {self._columns(table)} FROM {table}")

    def restore(self, name: str) -> None:
        """The tables as they were."""
        self.admin.execute("SET foreign_key_checks = 0")
        for table in TABLES:
            self.admin.execute(f"DELETE FROM {table}")
            columns = self._columns(table)
            self.admin.execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM keep_{name}.{table}")
        self.admin.execute("SET foreign_key_checks = 1")

    def _columns(self, table: str) -> str:
        return ", ".join(f"`{name}`" for name in _columns_of(self.admin, table))

    def let_an_hour_pass(self, job_id: int = 0) -> None:
        """For the heartbeats of running jobs."""
        self.admin.execute(
            "UPDATE import_job SET heartbeat_at = heartbeat_at - INTERVAL 1 HOUR"
            " WHERE state = 'running' AND (id = %(job_id)s OR %(job_id)s = 0)", job_id=job_id,
        )

    def unfinished(self) -> bool:
        return bool(self.admin.execute("SELECT 1 FROM import_job WHERE state IN ('queued', 'running')"))

    # ---------------------------------------------------------------------------------------------- programs

    def arguments(self, stage: story.Stage) -> list[str]:
        found = []
        for each in stage.arguments:
            found += {"{bundles}": self.bundles[:story.USABLE], "{job}": [str(self.job)]}.get(each, [each])
        return found

    def start(self, stage: story.Stage, conf: Path, **environ: str) -> Program:
        who = () if stage.works else ("--as", "operator")
        return self.zygote.start(stage.program, *self.arguments(stage), *who, "--config", str(conf), **environ)

    def finish(self) -> None:
        """Other workers, whom nothing disturbs, come until no job is left; each finds that an hour has passed."""
        for _ in range(ROUNDS):
            if not self.unfinished():
                return
            wait_until(self.nobody_holds_a_row, "the end of all transactions", every=0.15)
            self.let_an_hour_pass()
            said = self.zygote.start("import-worker", "--once", "--config", str(self.direct["import-worker"])).wait()
        assert not self.unfinished(), f"jobs are left; the last worker said {said}"

    def nobody_holds_a_row(self) -> bool:
        return not self.admin.execute(
            "SELECT 1 FROM information_schema.INNODB_TRX WHERE trx_rows_locked > 0 OR trx_rows_modified > 0"
        )

    def reference(self, stage: story.Stage) -> dict[str, list]:
        """What there is after this stage when nothing is disturbed."""
        if stage.name not in self._references:
            self.restore(stage.before)
            self.start(stage, self.direct[stage.program]).wait()
            if stage.works:
                self.finish()
            assert not (wrong := picture.untruths(self.admin)), wrong
            self._references[stage.name] = picture.picture(self.admin)
        return self._references[stage.name]


_KNOWN: dict[str, list[str]] = {}


def _columns_of(db: Database, table: str) -> list[str]:
    if table not in _KNOWN:
        rows = db.execute(f"SHOW COLUMNS FROM {table}")
        _KNOWN[table] = [row["Field"] for row in rows if "GENERATED" not in row["Extra"]]
    return _KNOWN[table]


@contextmanager
def opened(folder: Path) -> Iterator[Lane]:
    """A lane in this folder; whatever it has started ends with it."""
    options = os.environ.get("TEST_MARIADB_OPTIONS", "").split()
    with PrivateServer(folder / "mariadb", *OPTIONS, *options) as server, closing(Zygote(folder)) as zygote:
        with closing(Lane(folder, server, zygote)) as lane:
            yield lane
