"""Claim and finish an empty job: this system, peers, and the bare statements."""

import getpass
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter, sleep

from gpupanel.db import Database

from .. import environment, install_peers
from ..environment import BenchEnvironment
from ..runner import Comparison, run_in_turns

TITLE = "claim and finish a job that has nothing to do, jobs a second"
PACKAGES = ("pymysql", "msgspec", "sqlalchemy", "celery", "huey", "peewee", "django", "django-tasks", "django-tasks-db")
PROGRAM = environment.TREE / "bench" / "contenders" / "queueing.py"
TARGET = "ours at least 1.5 times the best peer, none lost"
JOBS_LEFT = "SELECT COUNT(*) AS n FROM import_job WHERE state IN ('queued', 'running')"
# Contender -> name of its program, query of its remaining jobs.
WAYS = {
    "ours": ("ours", JOBS_LEFT),
    "huey, SqlHuey": ("huey", "SELECT COUNT(*) AS n FROM task"),
    "celery, SQLAlchemy transport": ("celery", "SELECT COUNT(*) AS n FROM kombu_message WHERE visible"),
    "django-tasks-db": (
        "django", "SELECT COUNT(*) AS n FROM django_tasks_database_dbtaskresult WHERE status IN ('READY', 'RUNNING')",
    ),
    "bare statements (the limit)": ("bare", JOBS_LEFT),
}
NOTE = (
    "Workers are single-threaded processes on the same server: READ COMMITTED, a flush a commit. The time runs"
    " from the moment when a twentieth of the jobs is done until none is left. Ours writes job, batch and event"
    " twice a job. huey deletes a task before it runs it, and celery hides it: both lose the task of a killed"
    " worker. The bare statements are SELECT ... FOR UPDATE SKIP LOCKED, UPDATE, COMMIT, UPDATE."
)


def measure(full: bool) -> Iterator[Comparison]:
    python = install_peers.python(*PACKAGES)
    with environment.prepare_environment() as place:
        for way, _ in WAYS.values():
            place.admin.execute(f"CREATE DATABASE IF NOT EXISTS bench_{way}")
        for workers in (1, 2, 4, 8) if full else (1, 2):
            yield _compared(place, python, workers, 1000 if full else 300, 5 if full else 3)


def _compared(place: BenchEnvironment, python: Path, workers: int, jobs: int, rounds: int) -> Comparison:
    figures = run_in_turns({
        name: lambda name=name: Queue(place, python, *WAYS[name]).drained(workers, jobs) for name in WAYS
    }, rounds, warm=False)
    best = [
        max(values)
        for values in zip(*(figures[name] for name in WAYS if WAYS[name][0] not in ("ours", "bare")), strict=False)
    ]
    ratios = sorted(ours / peer for ours, peer in zip(figures["ours"], best, strict=False))
    told = (
        f"To the best peer of each round, ours is {ratios[len(ratios) // 2]:.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})."
    )
    return Comparison(
        f"workers: {workers}", "jobs a second", "bare statements (the limit)", figures, TARGET, (NOTE, told)
    )


class Queue:
    """The queue of one contender, each in its own database."""

    def __init__(self, place: BenchEnvironment, python: Path, way: str, left: str):
        self._place, self._way, self._left = place, way, left
        self._ours = way in ("ours", "bare")
        self._name = environment.NAME if self._ours else f"bench_{way}"
        self._python = Path(sys.executable) if self._ours else python
        self._admin = Database(place.server.admin(self._name))

    def drained(self, workers: int, jobs: int) -> float:
        """Return jobs per second with this many workers."""
        fill_ours(self._place, jobs) if self._ours else self._program("fill", str(jobs)).wait()
        assert self._rest() == jobs, self._rest()
        running = [self._program("work") for _ in range(workers)]
        try:
            begun = self._at_most(jobs * 19 // 20)
            started = perf_counter()
            self._at_most(0)
            return begun / (perf_counter() - started)
        finally:
            self._end(running, jobs)

    def _at_most(self, jobs: int) -> int:
        """Wait until few jobs are left; return how many."""
        while (rest := self._rest()) > jobs:
            sleep(0.01)
        return rest

    def _rest(self) -> int:
        return self._admin.execute(self._left)[0]["n"]

    def _program(self, do: str, *more: str) -> subprocess.Popen:
        where = [self._place.server.socket, getpass.getuser(), self._name]
        command = [self._python, PROGRAM, do, self._way, *where, *more]
        paths = {"PYTHONPATH": f"{environment.TREE}:{environment.TREE / 'lib'}", "PYTHONWARNINGS": "ignore"}
        return subprocess.Popen(command, env=os.environ | paths, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def _end(self, running: list[subprocess.Popen], jobs: int) -> None:
        for process in running:
            process.send_signal(signal.SIGTERM)
        for process in running:
            process.wait()
        self._admin.close()
        if self._way == "ours":
            _require_all(self._place, jobs)


def fill_ours(place: BenchEnvironment, jobs: int) -> None:
    place.empty()
    place.admin.execute(
        "INSERT INTO ingest_batch (id, sync_id, sync_type, action, item_count, status) SELECT seq,"
        " CONCAT(LPAD(HEX(seq), 8, '0'), '-0000-4000-8000-000000000000'), 'asset', 'create', 1, 'queued'"
        f" FROM seq_1_to_{jobs}"
    )
    place.admin.execute(
        f"INSERT INTO import_job (batch_id, requested_by, items_total) SELECT seq, 'bench', 1 FROM seq_1_to_{jobs}"
    )


def _require_all(place: BenchEnvironment, jobs: int) -> None:
    """Check that no job is lost and that each has two events."""
    def count(statement: str) -> int:
        return place.admin.execute(statement)[0]["n"]

    assert count("SELECT COUNT(*) AS n FROM import_job WHERE state = 'completed' AND attempts = 1") == jobs
    assert count("SELECT COUNT(*) AS n FROM ingest_batch WHERE status = 'completed'") == jobs
    assert count("SELECT COUNT(*) AS n FROM ingest_event") == 2 * jobs
