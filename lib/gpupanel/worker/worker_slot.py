"""A worker's row in `import_worker`: its slot, and what it reports with each heartbeat.

See docs/decisions/0114-holds-and-workers-in-rows.md.
"""

import secrets
from threading import Lock
from typing import Literal, NamedTuple

from ..db import DuplicateKeyError, Transaction
from ..workers import LATE_SECONDS

WorkerState = Literal["idle", "importing", "preflighting", "paused", "blocked"]
TAKE_ATTEMPTS = 5  # workers that start at once may add the same slot


class Process(NamedTuple):
    """The process that takes a slot; `wanted` is the slot of its unit's instance, if any."""

    host: str
    pid: int
    version: str
    wanted: int | None = None


class Activity(NamedTuple):
    """What a worker reports about itself; `is_mount_ok` is None before its first check."""

    state: WorkerState = "idle"
    job_id: int | None = None
    is_mount_ok: bool | None = None


class WorkerSlot:
    """The slot of one worker; the main thread reports, the heartbeat thread writes."""

    def __init__(self, process: Process):
        self._process, self._boot = process, secrets.token_hex(16)
        self._activity, self._lock = Activity(), Lock()
        self.slot: int | None = None

    def report(self, state: WorkerState, job_id: int | None = None) -> None:
        """Set what the next heartbeat writes."""
        with self._lock:
            self._activity = Activity(state, job_id, self._activity.is_mount_ok)

    def report_mount(self, is_ok: bool) -> None:
        """Set whether this worker can read the mount."""
        with self._lock:
            self._activity = self._activity._replace(is_mount_ok=is_ok)

    def beat(self, tx: Transaction) -> int:
        """Write a heartbeat, taking a slot first where this worker has none or lost it; return the slot."""
        with self._lock:
            activity = self._activity
        if self.slot is None or not self._beat(tx, self.slot, activity):
            slot = take(tx, self._process, self._boot)
            self._beat(tx, slot, activity)
            return slot
        return self.slot

    def end(self, tx: Transaction) -> None:
        """Record a clean end."""
        if self.slot is not None:
            tx.execute("workers.end", host=self._process.host, slot=self.slot, boot=self._boot)

    def _beat(self, tx: Transaction, slot: int, activity: Activity) -> bool:
        mount_ok = None if activity.is_mount_ok is None else int(activity.is_mount_ok)
        return bool(tx.execute(
            "workers.beat", host=self._process.host, slot=slot, boot=self._boot, state=activity.state,
            job_id=activity.job_id, mount_ok=mount_ok,
        ))


def take(tx: Transaction, process: Process, boot: str) -> int:
    """Take a slot of the host: the wanted one if it is free, else the lowest free one, else a new one."""
    for _ in range(TAKE_ATTEMPTS):
        rows = tx.fetch_all("workers.slots", host=process.host, late=LATE_SECONDS)
        free: list[int] = [row["slot"] for row in rows if row["is_free"]]
        taken: list[int] = [row["slot"] for row in rows if not row["is_free"]]
        facts = {"host": process.host, "pid": process.pid, "boot": boot, "version": process.version}
        is_new = process.wanted is not None and process.wanted not in free + taken
        if free and not is_new:
            slot = process.wanted if process.wanted and process.wanted in free else free[0]
            tx.execute("workers.take", slot=slot, **facts)
            return slot
        new = process.wanted if is_new and process.wanted else max(taken, default=0) + 1
        try:
            with tx.savepoint():
                tx.execute("workers.add", slot=new, **facts)
        except DuplicateKeyError:
            continue  # another worker that starts added it
        return new
    raise DuplicateKeyError
