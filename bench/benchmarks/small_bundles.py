"""Small bundles: what a job costs beside its items, and queues whose tasks insert the same rows."""

import getpass
import os
import pickle
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter, sleep

from gpupanel import config, services
from gpupanel.mount import Mount

from .. import environment, install_peers
from ..environment import BenchEnvironment
from ..runner import Comparison, run_in_turns
from .imports import rows_of_bundle

TITLE = "bundles of four items with their documents, jobs a second"
ITEMS = 4
PACKAGES = ("pymysql", "msgspec", "sqlalchemy", "celery", "huey", "peewee", "django", "django-tasks", "django-tasks-db")
PROGRAM = environment.TREE / "bench" / "contenders" / "queueing.py"
PEERS = {"huey, SqlHuey": "huey", "celery, SQLAlchemy transport": "celery", "django-tasks-db": "django"}
COMMITTED = "SELECT COUNT(*) AS n FROM ingest_result"
TARGET = "ours at least 1.5 times the best peer"
NOTE = (
    "Each bundle has {items} items of some 9 rows and {files} documents an item. Ours reads the manifest and the"
    " documents, checks the files, reads the library, and writes library, ledger, results and events under its claim;"
    " it is timed from the first claim to the end of the last job. The tasks of the peers insert the same rows of"
    " library, ledger and results from memory, with one INSERT a table and one commit a bundle; they are timed from"
    " the moment when a twentieth of the jobs is done. The server flushes its log at each commit."
)


def measure(full: bool) -> Iterator[Comparison]:
    python = install_peers.python(*PACKAGES)
    count = 1000 if full else 300
    with environment.prepare_environment() as place:
        for way in PEERS.values():
            place.admin.execute(f"CREATE DATABASE IF NOT EXISTS bench_{way}")
        bundles, rows = SmallBundles(place, count), place.assets_dir.parent / "bundles.pickle"
        rows.write_bytes(pickle.dumps([rows_of_bundle(f"small bundle {n}", ITEMS) for n in range(count)]))
        for workers in (1, 2, 4) if full else (1, 2):
            contenders = {"ours": lambda workers=workers: bundles.run(workers)}
            contenders |= {
                name: lambda way=way, workers=workers: Peer(place, python, way, rows).run(workers, count)
                for name, way in PEERS.items()
            }
            yield _comparison(workers, count, run_in_turns(contenders, 5 if full else 3, warm=False))


def _comparison(workers: int, count: int, figures: dict[str, list[float]]) -> Comparison:
    best = [max(values) for values in zip(*(figures[name] for name in PEERS), strict=True)]
    ratios = sorted(ours / peer for ours, peer in zip(figures["ours"], best, strict=True))
    note = NOTE.format(items=ITEMS, files=1 + len(environment.DOCUMENTS))
    summary = (
        f"To the best peer of each round, ours is {ratios[len(ratios) // 2]:.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})."
    )
    work = f"{count:,} bundles, workers: {workers}"
    return Comparison(work, "jobs a second", "ours", figures, TARGET, (note, summary))


class SmallBundles:
    """Bundles on the mount, queued anew and imported for each figure."""

    def __init__(self, place: BenchEnvironment, count: int):
        self._place = place
        self._sync_ids = [environment.bundle(place.assets_dir, f"small bundle {n}", ITEMS) for n in range(count)]
        self._mount = Mount(config.load(place.conf).mount)

    def run(self, workers: int) -> float:
        """Import all bundles with this many workers; returns jobs a second."""
        self._queue()
        for process in [self._place.worker() for _ in range(workers)]:
            process.wait()
        [row] = self._place.admin.execute(
            "SELECT COUNT(*) AS jobs, SUM(items_done) AS items, MIN(state = 'completed') AS done,"
            " COUNT(DISTINCT worker) AS workers,"
            " TIMESTAMPDIFF(MICROSECOND, MIN(claimed_at), MAX(finished_at)) / 1e6 AS seconds FROM import_job"
        )
        assert row["done"] and row["items"] == ITEMS * len(self._sync_ids) and row["workers"] == workers, row
        return row["jobs"] / float(row["seconds"])

    def _queue(self) -> None:
        self._place.empty()
        services.scan_mount(self._place.admin, self._mount, "bench")
        for sync_id in self._sync_ids:
            services.queue_batch(self._place.admin, self._mount, sync_id, "bench")


class Peer:
    """The queue of a peer, whose tasks insert the rows of a bundle each."""

    def __init__(self, place: BenchEnvironment, python: Path, way: str, rows: Path):
        self._place, self._python, self._way, self._jobs = place, python, way, 0
        self._environ = os.environ | {
            "PYTHONPATH": f"{environment.TREE}:{environment.TREE / 'lib'}", "PYTHONWARNINGS": "ignore",
            "BENCH_ROWS": str(rows), "BENCH_SOCKET": str(place.server.socket), "BENCH_USER": getpass.getuser(),
        }

    def run(self, workers: int, jobs: int) -> float:
        """Run all tasks with this many workers; returns jobs a second."""
        self._jobs = jobs
        self._place.empty()
        self._place.admin.execute("INSERT INTO ingest_batch (id, sync_id) VALUES (1, REPEAT('0', 36))")
        self._program("fill", str(jobs)).wait()
        running = [self._program("work") for _ in range(workers)]
        try:
            begun = self._wait_until(jobs * 19 // 20, running)
            started = perf_counter()
            self._wait_until(0, running)
            rate = begun / (perf_counter() - started)
        finally:
            for process in running:
                process.send_signal(signal.SIGTERM)
            for process in running:
                process.wait()
        return rate

    def _wait_until(self, left: int, running: list[subprocess.Popen]) -> int:
        """Wait until the rows of all but so few jobs are committed; return how many are left."""
        while (rest := self._jobs - self._place.admin.execute(COMMITTED)[0]["n"] // ITEMS) > left:
            assert any(process.poll() is None for process in running), f"the workers of {self._way} have ended"
            sleep(0.01)
        return rest

    def _program(self, do: str, *more: str) -> subprocess.Popen:
        command = [
            self._python, PROGRAM, do, self._way, self._place.server.socket, getpass.getuser(), f"bench_{self._way}",
            *more,
        ]
        return subprocess.Popen(command, env=self._environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
