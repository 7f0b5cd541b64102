"""Sweep the holds, and hold the jobs of vanished bundles: both look at the mount outside of transactions.

See docs/decisions/0114-holds-and-workers-in-rows.md.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from .. import holds
from ..db import Database, ReadTransaction, Transaction
from ..errors import MountUnavailableError
from ..holds import Hold, PAGE_JOBS
from ..models import HoldKind
from ..mount import Mount, call_with_timeout, map_in_threads
from ..rows import HeldJob
from .document_prefetch import MOUNT_TIMEOUT_SECONDS

T = TypeVar("T")
THREADS = 16  # threads that look for bundles on the mount
GONE = Hold(HoldKind.BUNDLE, "the bundle is not on the mount")
BEFORE_ALL = (-2**31, 0)  # before each (priority, id) of the queue


class Swept(NamedTuple):
    """The result of a sweep: jobs put back, and whether more are due."""

    released: int
    has_more: bool


class HoldSweeper:
    """Ends holds whose time has come, and holds jobs whose bundle is gone, for one worker.

    `checkpoint` is called while the mount does not answer, and may raise to stop.
    """

    def __init__(self, db: Database, mount: Mount, actor: str, checkpoint: Callable[[], None]):
        self._db, self._mount, self._actor, self._checkpoint = db, mount, actor, checkpoint

    def sweep(self) -> Swept:
        """Put back one page of jobs whose time has come, and one of those whose prior has no active job.

        A bundle that is still away keeps its job held, without an event.
        """
        due: list[HeldJob] = self._db.run_read(lambda tx: tx.fetch_all("holds.due", limit=PAGE_JOBS))
        away = self._absent([job for job in due if job["hold"] == HoldKind.BUNDLE])
        moved = self._db.run_transaction(self._release_due, due, away) if due else 0
        left = self._db.run_read(lambda tx: [row["id"] for row in tx.fetch_all("holds.left_behind", limit=PAGE_JOBS)])
        found = self._db.run_transaction(_release_left_behind, left) if left else 0
        # A page that others have locked is left to them.
        has_more = (len(due) == PAGE_JOBS and moved > 0) or (len(left) == PAGE_JOBS and found > 0)
        return Swept(max(0, moved - len(away)) + found, has_more)

    def hold_vanished(self) -> int:
        """Hold the next queued jobs whose bundles are absent; return their number.

        Reads the queue page by page, up to the first page without an absent bundle. Holds nothing while the mount
        itself is away.
        """
        held, (priority, job_id) = 0, BEFORE_ALL
        while page := self._db.run_read(_queued_after, priority, job_id):
            absent = self._absent(page)
            if not absent or not self._is_available():
                break
            held += self._db.run_transaction(self._hold_absent, absent)
            priority, job_id = page[-1]["priority"], page[-1]["id"]
        return held

    def _release_due(self, tx: Transaction, due: list[HeldJob], away: list[HeldJob]) -> int:
        """Release, hold for an active prior, or postpone the jobs of a page; return how many."""
        locked = {row["id"] for row in tx.fetch_all("holds.lock_due", job_ids=[job["id"] for job in due])}
        postponed = sorted({job["id"] for job in away} & locked)
        ready = sorted(locked - set(postponed))
        if postponed:
            tx.execute("holds.postpone", job_ids=postponed)
        if ready:
            tx.execute("holds.unhold", job_ids=ready)
        for job in due:
            if job["id"] in ready and job["prior_job_id"] and (again := holds.decide(tx, job["batch_id"])):
                holds.hold(tx, job["id"], again, self._actor)
        return len(locked)

    def _hold_absent(self, tx: Transaction, absent: list[HeldJob]) -> int:
        locked = [row["id"] for row in tx.fetch_all("holds.lock_queued", job_ids=[job["id"] for job in absent])]
        if not locked:
            return 0
        jobs = tx.fetch_all("holds.reasons", job_ids=locked)
        held = holds.write_hold(tx, locked, GONE, GONE.reason)
        changed = [(job["batch_id"], job["id"]) for job in jobs if job["hold_reason"] != GONE.reason]
        holds.append_held(tx, changed, GONE, self._actor, None)
        return held

    def _absent(self, jobs: list[HeldJob]) -> list[HeldJob]:
        """Return the jobs whose bundle is absent, or not to be seen while the mount is away."""
        if not jobs:
            return []
        try:
            found = self._from_mount(lambda: list(map_in_threads(self._has_bundle, jobs, THREADS)))
        except MountUnavailableError:
            return jobs
        return [job for job, is_there in zip(jobs, found, strict=True) if not is_there]

    def _has_bundle(self, job: HeldJob) -> bool:
        try:
            return self._mount.has_bundle(job["sync_id"])
        except MountUnavailableError:
            return False

    def _is_available(self) -> bool:
        try:
            self._from_mount(self._mount.check_available)
        except MountUnavailableError:
            return False
        return True

    def _from_mount(self, look: Callable[[], T]) -> T:
        found: T = call_with_timeout(look, self._checkpoint, MOUNT_TIMEOUT_SECONDS)
        return found


def _release_left_behind(tx: Transaction, job_ids: list[int]) -> int:
    locked = [row["id"] for row in tx.fetch_all("holds.lock_left_behind", job_ids=job_ids)]
    return tx.execute("holds.unhold", job_ids=locked) if locked else 0


def _queued_after(tx: ReadTransaction, priority: int, job_id: int) -> list[HeldJob]:
    return tx.fetch_all("holds.queued_after", priority=priority, job_id=job_id, limit=PAGE_JOBS)
