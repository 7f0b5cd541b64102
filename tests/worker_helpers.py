"""Helpers of worker tests: start workers, wait for events, read results."""

import io
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path

import preloaded_programs
from constants import IMPORT_WORKER, LIBRARY
from gpupanel import config, ledger, library_reader, services
from gpupanel.db import Database
from gpupanel.devtools.bundle_factory import defects
from gpupanel.models import BatchStatus
from gpupanel.worker import claims
from gpupanel.worker.importer import Importer, ImportOptions
from gpupanel.worker.log import make_logger
from gpupanel.worker.systemd import SystemdNotifier
from gpupanel.worker.shutdown import ShutdownSignals
from gpupanel.worker.worker import Worker

SECONDS = 60
HOST = "host:1"
# Shared by all drains: each of these opens a pipe.
NO_SIGNALS = ShutdownSignals()

# What the library says, by names that do not depend on who came first.
MEANING = {
    "asset": """SELECT a.asset_type, a.asset_hash, a.asset_subtype, a.path, a.title, a.mime_type, a.width, a.height,
                a.bytes, a.duration_seconds, a.fingerprint, f.sync_id, l.sync_id AS last_sync_id,
                a.deleted_at IS NULL AS live FROM asset a
                JOIN ingest_batch f ON f.id = a.first_batch_id JOIN ingest_batch l ON l.id = a.last_batch_id""",
    "source": "SELECT a.asset_hash, s.document, s.sha256 FROM asset_source s JOIN asset a ON a.id = s.asset_id",
    "run": """SELECT a.asset_hash, r.analysis_kind, r.source_file, r.document, r.parse_error, r.content_sha256
              FROM asset_ai_run r JOIN asset a ON a.id = r.asset_id""",
    "cover": """SELECT a.asset_hash, c.cover_hash, c.deleted_at IS NULL AS live
                FROM asset_cover c JOIN asset a ON a.id = c.asset_id""",
    "derivative": """SELECT a.asset_hash, d.kind, d.path, d.bytes, d.sha256, d.mime_type, d.width, d.height,
                     d.deleted_at IS NULL AS live FROM asset_derivative d JOIN asset a ON a.id = d.asset_id""",
    "gallery": """SELECT g.gallery_hash, g.title, g.cover_hash, g.deleted_at IS NULL AS live, a.asset_hash, m.position,
                  m.deleted_at IS NULL AS member FROM asset_gallery g
                  LEFT JOIN asset_gallery_item m ON m.gallery_id = g.id LEFT JOIN asset a ON a.id = m.asset_id""",
    "collection": """SELECT g.collection_hash, g.title, g.cover_hash, g.deleted_at IS NULL AS live, a.asset_hash,
                     m.position, m.deleted_at IS NULL AS member FROM asset_collection g
                     LEFT JOIN asset_collection_item m ON m.collection_id = g.id
                     LEFT JOIN asset a ON a.id = m.asset_id""",
    "item": """SELECT b.sync_id, i.asset_type, i.asset_hash, i.cover_hash, i.position, i.decision, i.planned, i.reason,
               i.changes, i.asset_id IS NULL, i.cover_id IS NULL, i.last_error FROM ingest_batch_item i
               JOIN ingest_batch b ON b.id = i.batch_id""",
}


def meaning(db) -> dict[str, list]:
    """Return library and items without ids and times, in a fixed order."""
    return {name: sorted(repr(sorted(row.items())) for row in db.execute(sql)) for name, sql in MEANING.items()}


def rows(db) -> dict[str, list]:
    """Return every library row, with ids and times."""
    return {table: db.execute(f"SELECT * FROM {table} ORDER BY id") for table in LIBRARY}


def rows_but_says(db) -> dict[str, list]:
    """Return the same without which bundle decided last, and when."""
    says = {"source_at", "source_batch_id", "last_batch_id", "updated_at"}
    return {
        table: [{name: value for name, value in row.items() if name not in says} for row in found]
        for table, found in rows(db).items()
    }


def wait_until(condition, what: str = "what the test waits for", every: float = 0.01):
    """Return the first true value of `condition()`; fail after a minute."""
    deadline, pause = time.monotonic() + SECONDS, threading.Event()
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} did not come about"
        pause.wait(every)
    return value


def wait_for_lock_wait(admin_db) -> None:
    """Wait until a transaction waits for a lock.

    The server refreshes this table only if no query read it for 0.1 s; the test before may just have read it.
    """
    threading.Event().wait(0.15)
    waiting = "SELECT 1 FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT'"
    wait_until(lambda: admin_db.execute(waiting), "a transaction that waits", every=0.15)


def nobody_holds_a_row(admin_db) -> bool:
    """Whether the server has ended all that was open. To be asked each 0.15 s, as above."""
    return not admin_db.execute(
        "SELECT 1 FROM information_schema.INNODB_TRX WHERE trx_rows_locked > 0 OR trx_rows_modified > 0"
    )


def with_options(conf: Path, name: str = "other.conf", **options) -> Path:
    """A copy of a worker's configuration in which these options differ; `socket` or `host` is that of the database."""
    text = conf.read_text()
    for where in ("host", "socket"):
        if value := options.pop(where, None):
            option = {"host": "host", "socket": "unix_socket"}[where]
            text = re.sub(r"(?m)^unix_socket = .*$", f"{option} = {value}", text)
    for option, value in options.items():
        text = re.sub(rf"(?m)^{option} = .*\n", "", text)
        text = text.replace("[worker]\n", f"[worker]\n{option} = {value}\n")
    other = conf.with_name(name)
    other.write_text(text)
    return other


def queue(panel_db, mount, *sync_ids: str, **kwargs) -> list[int]:
    """Scan, preflight and queue these bundles; return the ids of the jobs."""
    services.scan_mount(panel_db, mount, "operator")
    options = services.QueueOptions(**kwargs)
    return [services.queue_batch(panel_db, mount, sync_id, "operator", options) for sync_id in sync_ids]


def enqueue(db, count: int, priority: int = 100) -> list[int]:
    """Insert queued jobs with their batches, without bundles; return their ids.

    An account of the product writes each as the panel does. An administrator writes the first so, and copies it: an
    account of the product may neither read sequences nor write every column.
    """
    if not count:
        return []
    start = db.execute("SELECT COUNT(*) AS n FROM ingest_batch")[0]["n"]
    if db.settings.user.startswith("gpu_"):
        return db.run_transaction(lambda tx: [_enqueue_one(tx, start + number, priority) for number in range(count)])
    first = db.run_transaction(_enqueue_one, start, priority)
    _copy(db, "ingest_batch", {"sync_id": "INSERT(row.sync_id, 1, 8, LPAD(LOWER(HEX(%(start)s + copy.seq)), 8, '0'))"},
          f"id = (SELECT batch_id FROM import_job WHERE id = {first})", start=start, count=count - 1)
    _copy(db, "import_job", {
        "batch_id": "(SELECT id FROM ingest_batch WHERE sync_id ="
                    " CONCAT(LPAD(LOWER(HEX(%(start)s + copy.seq)), 8, '0'), '-0000-4000-8000-000000000000'))",
    }, f"id = {first}", start=start, count=count - 1)
    return [row["id"] for row in db.execute("SELECT id FROM import_job WHERE id >= %(first)s ORDER BY id", first=first)]


def _copy(db, table: str, changed: dict[str, str], which: str, start: int, count: int) -> None:
    """Insert `count` copies of a row, in which the `changed` columns have the value of an expression."""
    if count:
        columns = [row["Field"] for row in db.execute(f"SHOW COLUMNS FROM {table}") if row["Extra"] == ""]
        values = ", ".join(changed.get(column, f"row.{column}") for column in columns)
        db.execute(f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values}"
                   f" FROM (SELECT * FROM {table} WHERE {which}) row JOIN seq_1_to_{count} copy ORDER BY copy.seq",
                   start=start)


def _enqueue_one(tx, number: int, priority: int) -> int:
    batch_id = tx.insert(
        "ledger.discover", sync_id=f"{number:08x}-0000-4000-8000-000000000000", sync_type="asset", action="create",
        item_count=1, total_bytes=1, source_host="h", manifest_sha256="0" * 64, manifest_summary="{}",
        container_count=0, prior_sync_id=None, last_error=None,
    )
    ledger.set_status(tx, batch_id, BatchStatus.QUEUED)
    return tx.insert("job_queue.enqueue", batch_id=batch_id, priority=priority, requested_by="operator", items_total=1)


def drain(conf: Path) -> str:
    """Import all queued jobs in this process; return the log."""
    out = io.StringIO()
    Worker(config.load(conf), NO_SIGNALS, make_logger(out, {}), SystemdNotifier({})).drain()
    return out.getvalue()


def partial_batch(panel_db, mount, bundles, conf: Path, photos: int) -> str:
    """Import a bundle whose second photo lacks its source; return its sync_id."""
    sync_id = bundles.bundle("coast", bundles.assets("coast", photos, broken={1: defects.no_source}))
    queue(panel_db, mount, sync_id)
    drain(conf)
    assert counts(panel_db, sync_id) == {"created": photos - 1, "failed": 1}
    return sync_id


def mend(panel_db, mount, sync_id: str, position: int = 1) -> None:
    """Add the missing source of an item."""
    (mount.assets_dir / items(panel_db, sync_id)[position]["path"] / "source" / "source.json").write_text("{}")


def batch(db, sync_id: str) -> dict:
    return db.run_read(ledger.get_batch, sync_id)


def counts(db, sync_id: str) -> dict[str, int]:
    return db.run_read(ledger.decision_counts, batch(db, sync_id)["id"])


def items(db, sync_id: str) -> list[dict]:
    return db.run_read(ledger.list_items, batch(db, sync_id)["id"])


def reasons(db, sync_id: str) -> dict[str, tuple[str, str]]:
    """asset_hash -> (decision, reason)."""
    return {item["asset_hash"]: (item["decision"], item["reason"]) for item in items(db, sync_id)}


def events(db, sync_id: str, event_type: str | None = None) -> list[dict]:
    """Return the events of a batch, oldest first."""
    found = db.run_read(ledger.list_events, batch(db, sync_id)["id"], limit=1000)[::-1]
    return [event for event in found if event_type in (None, event["event_type"])]


def job(db, job_id: int) -> dict:
    (row,) = db.execute("SELECT * FROM import_job WHERE id = %(id)s", id=job_id)
    return row


@contextmanager
def held_back(admin_db, worker_db, asset):
    """Block imports of this asset in the middle of their transaction; yield a function that waits for one.

    No other test may use the asset: where rows were deleted, the index may be locked on both sides of it.
    """
    rival = Database(worker_db.settings)
    try:
        with rival.transaction() as tx:
            write(tx, asset)
            yield lambda: wait_for_lock_wait(admin_db)
            raise RolledBackError
    except RolledBackError:
        rival.close()


def write(tx, asset) -> None:
    """Write an asset to the library, as an import does."""
    row = dict.fromkeys(library_reader.FIELDS) | {
        "asset_type": asset.asset_type, "asset_hash": asset.asset_hash, "fingerprint": "0" * 64, "batch_id": 1,
        "source_at": None,
    }
    tx.insert_many("library_write.create_assets", [row])


class RolledBackError(Exception):
    """Rolls back the other transaction."""


def make_due(db) -> None:
    """Let the time of all held jobs come."""
    db.execute("UPDATE import_job SET not_before = NOW(6) WHERE state = 'held' AND not_before IS NOT NULL")


def make_stale(db, job_id: int) -> None:
    """Make the heartbeat of a job an hour older."""
    db.execute("UPDATE import_job SET heartbeat_at = NOW(6) - INTERVAL 1 HOUR WHERE id = %(id)s", id=job_id)


class Program:
    """bin/import-worker as a process, behind the command `within`; `lines` grows with its log."""

    def __init__(self, conf: Path, *arguments: str, within: Sequence[str] = (), **environ: str):
        reading, writing = os.pipe()
        self._log = os.fdopen(reading, encoding="utf-8")
        words, env = [IMPORT_WORKER, "--config", conf, *arguments], os.environ | environ
        with open(os.devnull, "r+b") as null, open(writing, "wb") as log:
            if within:
                self.process = subprocess.Popen([*within, sys.executable, *words], stdout=null, stderr=log, env=env)
            else:
                self.process = preloaded_programs.start(words, stdin=null, stdout=null, stderr=log, env=env)
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self._log:
            self.lines.append(line.rstrip("\n"))

    def wait_for_line(self, words: str) -> str:
        """Wait for the first line with these words."""
        return wait_until(lambda: next((line for line in self.lines if words in line), None), f"a line with {words!r}")

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ends(self) -> int:
        """Wait for the exit status."""
        status = self.process.wait(SECONDS)
        self._reader.join()
        return status

    def end(self) -> None:
        """Kill the worker."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._reader.join()
        self._log.close()


class Programs:
    """Starts workers, and ends them all when the test is over."""

    def __init__(self):
        self._started: list[Program] = []

    def __call__(self, conf: Path, *arguments: str, **options) -> Program:
        program = Program(conf, *arguments, **options)
        self._started.append(program)
        return program

    def end(self) -> None:
        for program in self._started:
            program.end()


def take(db, token: str) -> claims.Claim | None:
    """Claim the next job as the worker HOST; `token` is one character of the claim's token."""
    return db.run_transaction(claims.claim, claims.ClaimRequest(token * 32, HOST))


class NoHeartbeat:
    """The heartbeat of a claim that is never lost."""

    def raise_if_lost(self) -> None:
        """Nothing is lost."""

    def record_beat(self, since: float) -> None:
        """Nothing watches."""


class NoHooks:
    """Hooks that let an import run to its end."""

    def checkpoint(self, progress: str) -> None:
        """Go on."""

    def warn(self, text: str) -> None:
        """Go on."""


def import_claimed(db, mount, claim: claims.Claim):
    """Import the batch of a claim in this thread."""
    return Importer(db, mount, claim, NoHeartbeat(), NoHooks(), ImportOptions(500, 2)).run()


def status(db, claim: claims.Claim) -> str:
    """The status of the claimed job's batch."""
    return batch(db, claim.sync_id)["status"]


def event_types(db, claim: claims.Claim) -> list[str]:
    """Return the event types of the claimed job's batch."""
    return [event["event_type"] for event in events(db, claim.sync_id)]
