"""One environment of the campaign: its own server, mount and programs."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import installation
from constants import NAME, TABLES, password
from gpupanel import config
from gpupanel.db import Database, schema
from gpupanel.db.expected import ARCHIVER, SEALER
from gpupanel.devtools.bundle_factory import BundleWriter
from gpupanel.devtools.mariadb_server import MariaDBServer
from gpupanel.mount import Mount
from receivers import HookReceiver, receiving
from worker_helpers import nobody_holds_a_row, wait_until

from . import archives, form_requests, scenario, snapshot
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

    def __init__(self, folder: Path, server: MariaDBServer, fork_server: ForkServer):
        self.folder, self.server, self.fork_server = folder, server, fork_server
        self._opened = ExitStack()
        self.assets_dir = folder / "assets"
        (self.assets_dir / "sync").mkdir(parents=True)
        self.writer = BundleWriter(self.assets_dir / "sync", self.assets_dir, seed=1, pictures=1)
        self.mount = Mount(config.MountSettings(self.assets_dir / "sync", self.assets_dir))
        self.admin = Database(server.admin(NAME))
        self.proxy_path = Path(tempfile.mkdtemp(prefix="proxy-")) / "proxy.sock"
        for account in (SEALER, ARCHIVER):
            schema.open_account(server.admin(NAME), account, password(account))
        self.archives, self._kept_archives = folder / "archives", folder / "kept archives"
        self.archives.mkdir()
        self.notices = self._opened.enter_context(receiving(HookReceiver()))
        self.direct = self._configurations(server.socket, "direct")
        self.through = self._configurations(self.proxy_path, "proxy")
        self.panel = Database(config.load(self.direct["gpupanel"]).database)
        self.worker = Database(config.load(self.direct["import-worker"]).database)
        self.sealer = Database(config.load(self.direct["seal"]).database)
        self._active_jobs: dict[str, int] = {}
        self._rows: dict[str, dict[str, list[dict]]] = {}
        self._references: dict[tuple[str, bool], dict] = {}
        scenario.tell(self)

    def close(self) -> None:
        for db in (self.admin, self.panel, self.worker, self.sealer):
            db.close()
        self._opened.close()
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
        hook = {"webhook_url": f"http://127.0.0.1:{self.notices.port}/"}
        return {
            "gpupanel": panel, "import-media.cgi": panel, "import-worker": worker,
            "replan": self.configuration(socket, f"{name}.replan", "gpu_worker", on_change="replan"),
            "seal": installation.write(self.folder / f"{name}.seal.conf", socket, self.assets_dir, SEALER),
            "archive": installation.write(self.folder / f"{name}.archive.conf", socket, self.assets_dir, ARCHIVER),
            "notify": installation.write(
                self.folder / f"{name}.notify.conf", socket, self.assets_dir, "gpu_panel", notify=hook
            ),
        }

    def configuration(self, socket: Path, name: str, user: str, **options) -> Path:
        """Write a configuration; a worker gets small chunks, so that it has more points."""
        worker = {"chunk_items": 2, "readers": 1, "heartbeat_seconds": 60, "poll_seconds": 0.05} | options
        panel = {"operators": scenario.OPERATOR, "secret_file": self.folder / "panel.secret"}
        own = {"worker": worker} if user == "gpu_worker" else {"panel": panel}
        return installation.write(self.folder / f"{name}.{user}.conf", socket, self.assets_dir, user, **own)

    # ------------------------------------------------------------------------------------------------ the state

    def keep(self, name: str) -> None:
        """Save the tables and the archives."""
        self._active_jobs[name] = self.active_job()
        shutil.copytree(self.archives, self._kept_archives / name)
        name = _database_of(name)
        self.admin.execute(f"CREATE DATABASE {name}")
        for table in TABLES:
            self.admin.execute(f"CREATE TABLE {name}.{table} AS SELECT {self._columns(table)} FROM {table}")

    def restore(self, name: str) -> None:
        """Restore the saved tables and archives; make the snapshot if no stage has needed it before."""
        if name not in self._active_jobs:
            before, lead = scenario.LATER[name]
            self.restore(before)
            lead(self)
            self.keep(name)
        shutil.rmtree(self.archives)
        shutil.copytree(self._kept_archives / name, self.archives)
        name = _database_of(name)
        self.admin.execute("SET foreign_key_checks = 0")
        for table in TABLES:
            self.admin.execute(f"DELETE FROM {table}")
            columns = self._columns(table)
            self.admin.execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {name}.{table}")
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

    def active_job(self) -> int:
        """Return the first job that has not ended; 0 if there is none."""
        [row] = self.admin.execute(
            "SELECT COALESCE(MIN(id), 0) AS id FROM import_job WHERE active_batch_id IS NOT NULL"
        )
        return int(row["id"])

    @property
    def job(self) -> int:
        """The first job of the queue."""
        return self._active_jobs["queued"]

    @property
    def imported(self) -> list[str]:
        """The batches that an undo takes back; the second changed what the first had created."""
        return [self.first, *self.bundles[:2]]

    def moved_rows(self) -> dict[str, list[dict]]:
        """The rows of the sealed library, which archives move."""
        if not self._rows:
            self.restore("sealed")
            self._rows = archives.rows(self.admin)
        return self._rows

    def unfinished(self) -> bool:
        return bool(self.admin.execute(
            "SELECT 1 FROM import_job WHERE state IN ('queued', 'held', 'running')"
            " UNION ALL SELECT 1 FROM preflight_request WHERE state IN ('queued', 'running')"
        ))

    # ---------------------------------------------------------------------------------------------- programs

    def arguments(self, stage: scenario.Stage) -> list[str]:
        yesterday = datetime.now(UTC).date() - timedelta(days=1)
        filled = {
            "{bundles}": self.bundles[:scenario.USABLE], "{two}": self.bundles[:2], "{imported}": self.imported,
            "{imported first}": self.imported[1:2], "{job}": [str(self._active_jobs[stage.before])],
            "{before}": [str(yesterday)], "{folder}": [str(self.archives)],
            "{file}": [str(file) for file in archives.files(self)[:1]],
        }
        return [text for argument in stage.arguments for text in filled.get(argument, [argument])]

    def start(self, stage: scenario.Stage, conf: Path, **environ: str) -> Program:
        if stage.clicks:
            given, request = form_requests.request(self.arguments(stage), self.folder / "panel.secret")
            return self.fork_server.start(stage.program, given=given, GPUPANEL_CONF=str(conf), **request, **environ)
        who = () if stage.works else ("--as", scenario.OPERATOR)
        if stage.away:
            environ |= {"FAULT_ROOT": str(self.assets_dir), "FAULT_AWAY": ",".join(self.bundles)}
            environ["FAULT_AWAY_ERROR"] = stage.away
        return self.fork_server.start(stage.program, *self.arguments(stage), *who, "--config", str(conf), **environ)

    def mend(self, stage: scenario.Stage) -> None:
        """Do what an operator does after a stage."""
        if stage.mend:
            self.admin.execute(stage.mend)

    def finish(self, stage: scenario.Stage | None = None) -> None:
        """Run workers without faults until no job is left, with an hour before each; configured as that of a stage."""
        conf = self.direct[stage.configuration if stage else "import-worker"]
        for _ in range(ROUNDS):
            if not self.unfinished():
                return
            wait_until(lambda: nobody_holds_a_row(self.admin), "the end of all transactions", every=0.15)
            self.let_an_hour_pass()
            output = self.fork_server.start("import-worker", "--once", "--config", str(conf)).wait()
        assert not self.unfinished(), f"jobs are left; the last worker printed {output}"

    def wait_for_run_locks(self) -> None:
        """Wait until the server has ended the named locks of programs that were killed."""
        for name in ("gpupanel.archive", "notify"):
            free = f"SELECT 1 FROM (SELECT IS_FREE_LOCK(LEFT(CONCAT('{name}.', DATABASE()), 64)) AS free) l WHERE free"
            wait_until(lambda free=free: self.admin.execute(free), f"the end of {name}")

    def queue_again(self) -> None:
        """Queue every bundle again and import it."""
        for sync_id in self.bundles[:scenario.USABLE]:
            self.fork_server.start("gpupanel", "queue", sync_id, "--config", str(self.direct["gpupanel"])).wait()
        self.finish()

    def reference(self, stage: scenario.Stage, *, again: bool = False) -> dict[str, list]:
        """Return the snapshot after this stage without faults; `again`: after queueing all bundles again."""
        if (stage.name, again) not in self._references:
            self.restore(stage.before)
            self.start(stage, self.direct[stage.configuration]).wait()
            self.mend(stage)
            if stage.works:
                self.finish(stage)
            if again:
                self.queue_again()
            if not stage.archives:  # its events are in files
                assert not (wrong := snapshot.broken_invariants(self.admin)), wrong
            self._references[stage.name, again] = snapshot.take_snapshot(self.admin)
        return self._references[stage.name, again]


def _database_of(snapshot: str) -> str:
    return "keep_" + snapshot.replace(" ", "_")


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
