"""Sweep the holds, and hold the jobs of vanished bundles: both look at the mount outside of transactions.

See docs/decisions/0114-holds-and-workers-in-rows.md.
"""

from typing import NamedTuple

from .. import holds
from ..db import Database, ReadTransaction, Transaction
from ..errors import MountUnavailableError
from ..holds import Hold, PAGE_JOBS
from ..models import HoldKind
from ..mount import Mount, map_in_threads
from ..rows import HeldJob

THREADS = 16  # threads that look for bundles on the mount
GONE = Hold(HoldKind.BUNDLE, "the bundle is not on the mount")
BEFORE_ALL = (-2**31, 0)  # before each (priority, id) of the queue


class Swept(NamedTuple):
    """The result of a sweep: jobs put back, and whether more are due."""

    released: int
    has_more: bool


def sweep(db: Database, mount: Mount, actor: str) -> Swept:
    """Put back one page of jobs whose time has come, and of those whose prior has no active job.

    A bundle that is still away keeps its job held, without an event.
    """
    due: list[HeldJob] = db.run_read(lambda tx: tx.fetch_all("holds.due", limit=PAGE_JOBS))
    away = _absent(mount, [job for job in due if job["hold"] == HoldKind.BUNDLE])
    released = db.run_transaction(_release_due, due, away, actor) if due else 0
    left = db.run_read(lambda tx: [row["id"] for row in tx.fetch_all("holds.left_behind", limit=PAGE_JOBS)])
    found = db.run_transaction(_release_left_behind, left) if left else 0
    return Swept(released + found, len(due) == PAGE_JOBS or len(left) == PAGE_JOBS)


def _release_due(tx: Transaction, due: list[HeldJob], away: list[HeldJob], actor: str) -> int:
    """Release, hold for an active prior, or postpone the jobs of a page."""
    locked = {row["id"] for row in tx.fetch_all("holds.lock_due", job_ids=[job["id"] for job in due])}
    postponed = {job["id"] for job in away} & locked
    if postponed:
        tx.execute("holds.postpone", job_ids=sorted(postponed))
    ready = locked - postponed
    if ready:
        tx.execute("holds.unhold", job_ids=sorted(ready))
    followers = [job for job in due if job["id"] in ready and job["prior_job_id"]]
    for job in followers:
        if again := holds.decide(tx, job["batch_id"]):
            holds.hold(tx, job["id"], again, actor)
    return len(ready)


def _release_left_behind(tx: Transaction, job_ids: list[int]) -> int:
    locked = [row["id"] for row in tx.fetch_all("holds.lock_left_behind", job_ids=job_ids)]
    return tx.execute("holds.unhold", job_ids=locked) if locked else 0


# ------------------------------------------------------------------------------------------- vanished bundles


def hold_vanished(db: Database, mount: Mount, actor: str) -> int:
    """Hold the next queued jobs whose bundles are absent; return their number.

    Reads the queue page by page, up to the first page without an absent bundle. Holds nothing while the mount itself
    is away.
    """
    held, (priority, job_id) = 0, BEFORE_ALL
    while page := db.run_read(_queued_after, priority, job_id):
        absent = _absent(mount, page)
        if not absent or not _is_available(mount):
            break
        held += db.run_transaction(_hold_absent, absent, actor)
        priority, job_id = page[-1]["priority"], page[-1]["id"]
    return held


def _queued_after(tx: ReadTransaction, priority: int, job_id: int) -> list[HeldJob]:
    return tx.fetch_all("holds.queued_after", priority=priority, job_id=job_id, limit=PAGE_JOBS)


def _hold_absent(tx: Transaction, absent: list[HeldJob], actor: str) -> int:
    locked = [row["id"] for row in tx.fetch_all("holds.lock_queued", job_ids=[job["id"] for job in absent])]
    if not locked:
        return 0
    jobs = tx.fetch_all("holds.reasons", job_ids=locked)
    held = holds.write_hold(tx, locked, GONE, GONE.reason)
    changed = [(job["batch_id"], job["id"]) for job in jobs if job["hold_reason"] != GONE.reason]
    holds.append_held(tx, changed, GONE, actor, None)
    return held


def _absent(mount: Mount, jobs: list[HeldJob]) -> list[HeldJob]:
    """Return the jobs whose bundle is absent or cannot be read."""
    def has_bundle(job: HeldJob) -> bool:
        try:
            return mount.has_bundle(job["sync_id"])
        except MountUnavailableError:
            return False

    return [job for job, found in zip(jobs, map_in_threads(has_bundle, jobs, THREADS), strict=True) if not found]


def _is_available(mount: Mount) -> bool:
    try:
        mount.check_available()
    except MountUnavailableError:
        return False
    return True
