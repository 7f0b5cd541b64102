"""One environment of the campaign: its own server, mount and programs."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import installation
from constants import NAME, TABLES
from gpupanel import config
from gpupanel.db import Database
from gpupanel.devtools.bundle_factory import BundleWriter
from gpupanel.devtools.mariadb_server import MariaDBServer
from gpupanel.mount import Mount
from worker_helpers import nobody_holds_a_row, wait_until

from . import form_requests, scenario, snapshot
from .programs import ForkServer, Program

# Small and quick to start; commits survive a kill of the server, though not of the machine.
OPTIONS = (
    "--innodb-flush-log-at-trx-commit=2", "--sync-binlog=0", "--innodb-doublewrite=0", "--innodb-buffer-pool-size=24M",
    "--innodb-log-file-size=16M", "--performance-schema=OFF", "--aria-pagecache-buffer-size=8M",
)
ROUNDS = 40


class Environment:
    """Everything that a trial needs; the snapshots are databases beside admin_panel."""

    first: str
    bundles: list[str]
    job: int

    def __init__(self, folder: Path, server: MariaDBServer, fork_server: ForkServer):
        self.folder, self.server, self.fork_server = folder, server, fork_server
        self.assets_dir = folder / "assets"
        (self.assets_dir / "sync").mkdir(parents=True)
        self.writer = BundleWriter(self.assets_dir / "sync", self.assets_dir, seed=1, pictures=1)
        self.mount = Mount(config.MountSettings(self.assets_dir / "sync", self.assets_dir))
        self.admin = Database(server.admin(NAME))
        self.proxy_path = Path(tempfile.mkdtemp(prefix="proxy-")) / "proxy.sock"
        self.direct = self._configurations(server.socket, "direct")
        self.through = self._configurations(self.proxy_path, "proxy")
        self.panel = Database(config.load(self.direct["gpupanel"]).database)
        self.worker = Database(config.load(self.direct["import-worker"]).database)
        self._references: dict[tuple[str, bool], dict] = {}
        scenario.tell(self)

    def close(self) -> None:
        for db in (self.admin, self.panel, self.worker):
            db.close()
        shutil.rmtree(self.proxy_path.parent)

    def recover(self) -> None:
        """Clean up after an aborted trial: end all programs, start the server."""
        self.fork_server.kill_all()
        if self.server.process.poll() is not None:
            self.server.start()
        self.admin.close()

    # ------------------------------------------------------------------------------------------- configuration

    def _configurations(self, socket: Path, name: str) -> dict[str, Path]:
        panel, worker = self.configuration(socket, name, "gpu_panel"), self.configuration(socket, name, "gpu_worker")
        return {"gpupanel": panel, "import-media.cgi": panel, "import-worker": worker}

    def configuration(self, socket: Path, name: str, user: str, **options) -> Path:
        """Write a configuration; a worker gets small chunks, so that it has more points."""
        worker = {"chunk_items": 2, "readers": 1, "heartbeat_seconds": 60, "poll_seconds": 0.05} | options
        panel = {"operators": scenario.OPERATOR, "secret_file": self.folder / "panel.secret"}
        own = {"worker": worker} if user == "gpu_worker" else {"panel": panel}
        return installation.write(self.folder / f"{name}.{user}.conf", socket, self.assets_dir, user, **own)

    # ------------------------------------------------------------------------------------------------ the state

    def keep(self, name: str) -> None:
        """Save the tables."""
        self.admin.execute(f"CREATE DATABASE keep_{name}")
        for table in TABLES:
            self.admin.execute(f"CREATE TABLE keep_{name}.{table} AS SELECT {self._columns(table)} FROM {table}")

    def restore(self, name: str) -> None:
        """Restore the saved tables."""
        self.admin.execute("SET foreign_key_checks = 0")
        for table in TABLES:
            self.admin.execute(f"DELETE FROM {table}")
            columns = self._columns(table)
            self.admin.execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM keep_{name}.{table}")
        self.admin.execute("SET foreign_key_checks = 1")

    def _columns(self, table: str) -> str:
        return ", ".join(f"`{name}`" for name in _columns_of(self.admin, table))

    def let_an_hour_pass(self, job_id: int = 0) -> None:
        """Make the heartbeats of running jobs and preflights an hour older."""
        self.admin.execute(
            "UPDATE import_job SET heartbeat_at = heartbeat_at - INTERVAL 1 HOUR"
            " WHERE state = 'running' AND (id = %(job_id)s OR %(job_id)s = 0)", job_id=job_id,
        )
        self.admin.execute("UPDATE import_job SET not_before = not_before - INTERVAL 2 HOUR WHERE state = 'held'")
        self.admin.execute("UPDATE preflight_request SET heartbeat_at = heartbeat_at - INTERVAL 1 HOUR")

    def unfinished(self) -> bool:
        return bool(self.admin.execute(
            "SELECT 1 FROM import_job WHERE state IN ('queued', 'held', 'running')"
            " UNION ALL SELECT 1 FROM preflight_request WHERE state IN ('queued', 'running')"
        ))

    # ---------------------------------------------------------------------------------------------- programs

    def arguments(self, stage: scenario.Stage) -> list[str]:
        filled = {"{bundles}": self.bundles[:scenario.USABLE], "{job}": [str(self.job)]}
        return [text for argument in stage.arguments for text in filled.get(argument, [argument])]

    def start(self, stage: scenario.Stage, conf: Path, **environ: str) -> Program:
        if stage.clicks:
            given, request = form_requests.request(self.arguments(stage), self.folder / "panel.secret")
            return self.fork_server.start(stage.program, given=given, GPUPANEL_CONF=str(conf), **request, **environ)
        who = () if stage.works else ("--as", scenario.OPERATOR)
        return self.fork_server.start(stage.program, *self.arguments(stage), *who, "--config", str(conf), **environ)

    def finish(self) -> None:
        """Run workers without faults until no job is left, with an hour before each."""
        for _ in range(ROUNDS):
            if not self.unfinished():
                return
            wait_until(lambda: nobody_holds_a_row(self.admin), "the end of all transactions", every=0.15)
            self.let_an_hour_pass()
            output = self.fork_server.start(
                "import-worker", "--once", "--config", str(self.direct["import-worker"])
            ).wait()
        assert not self.unfinished(), f"jobs are left; the last worker printed {output}"

    def queue_again(self) -> None:
        """Queue every bundle again and import it."""
        for sync_id in self.bundles[:scenario.USABLE]:
            self.fork_server.start("gpupanel", "queue", sync_id, "--config", str(self.direct["gpupanel"])).wait()
        self.finish()

    def reference(self, stage: scenario.Stage, *, again: bool = False) -> dict[str, list]:
        """Return the snapshot after this stage without faults; `again`: after queueing all bundles again."""
        if (stage.name, again) not in self._references:
            self.restore(stage.before)
            self.start(stage, self.direct[stage.program]).wait()
            if stage.works:
                self.finish()
            if again:
                self.queue_again()
            assert not (wrong := snapshot.broken_invariants(self.admin)), wrong
            self._references[stage.name, again] = snapshot.take_snapshot(self.admin)
        return self._references[stage.name, again]


_KNOWN: dict[str, list[str]] = {}


def _columns_of(db: Database, table: str) -> list[str]:
    if table not in _KNOWN:
        rows = db.execute(f"SHOW COLUMNS FROM {table}")
        _KNOWN[table] = [row["Field"] for row in rows if "GENERATED" not in row["Extra"]]
    return _KNOWN[table]


@contextmanager
def open_environment(folder: Path) -> Iterator[Environment]:
    """Yield an environment in this folder; all its processes end with it."""
    with (
        installation.installed(folder / "mariadb", *OPTIONS) as server,
        closing(ForkServer(folder)) as fork_server,
        closing(Environment(folder, server, fork_server)) as environment,
    ):
        yield environment
