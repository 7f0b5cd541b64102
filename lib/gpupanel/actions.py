"""What an operator can do, whole: the panel and the shell call these, so that both do the same.

Each reads the mount outside of any transaction and then writes in as few transactions as its promise allows.
`seconds` is the time that the mount may take; None means as long as it takes.
"""

from dataclasses import dataclass, field
from itertools import chain
from time import monotonic
from typing import Callable, Iterable, NamedTuple

from . import ledger, preflight, queue, scan
from .catalogue import Key
from .database import Database, Transaction, chunks
from .errors import MountTimeout, MountUnavailable, NotFound, PanelError, PreflightFailed, Refused
from .model import BatchStatus
from .mount import Mount, bounded

# Sentinels that the thread which lists them hands over at a time.
LISTED_AT_ONCE = 1000
RECORDED_AT_ONCE = 50
RETRIED = (BatchStatus.FAILED, BatchStatus.PARTIAL, BatchStatus.PREFLIGHT_FAILED)

Progress = Callable[[int, int], None]  # called with (done, total)


def unseen(done: int, total: int) -> None:
    """Nobody watches."""


@dataclass
class ScanReport:
    """What a scan found. `passed_over` maps a bundle to the reason, `strays` are sentinels whose name is no sync_id,
    `left` are the bundles that the time did not suffice for."""

    sentinels: int = 0
    known: int = 0
    discovered: list[str] = field(default_factory=list)
    passed_over: dict[str, str] = field(default_factory=dict)
    strays: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def add(self, findings: list[scan.Finding], outcomes: dict[str, str]) -> None:
        for finding in findings:
            if outcomes[finding.sync_id] == scan.DISCOVERED:
                self.discovered.append(finding.sync_id)
            elif outcomes[finding.sync_id] == scan.PASSED_OVER:
                self.passed_over[finding.sync_id] = finding.problem
            else:
                self.known += 1


class Queued(NamedTuple):
    """What became of one batch that was to be queued: the job's id, or why there is none."""

    sync_id: str
    job_id: int | None
    problem: str | None = None
    hint: str = ""


def scan_mount(
    db: Database, mount: Mount, by: str, *, seconds: float | None = None, progress: Progress = unseen,
) -> ScanReport:
    """Record the bundles on the mount that the ledger does not know. Raises MountUnavailable."""
    deadline = None if seconds is None else monotonic() + seconds
    report, sync_ids = ScanReport(), []
    for sentinel in chain.from_iterable(bounded(chunks(mount.sentinels(), LISTED_AT_ONCE), seconds)):
        (sync_ids if sentinel.sync_id else report.strays).append(sentinel.sync_id or sentinel.name)
    known = db.read(ledger.recorded, sync_ids)
    unknown = sorted(set(sync_ids) - known)
    report.sentinels, report.known = len(sync_ids), len(known)
    if not sync_ids and not report.strays and db.read(ledger.count, limit=1):
        raise MountUnavailable(f"{mount.sync_dir} has no bundle, though the ledger has: it is empty, or not mounted.")
    examined = bounded((scan.examine(mount, sync_id) for sync_id in unknown), _left(deadline))
    done = 0
    for findings in chunks(_until_timeout(examined), RECORDED_AT_ONCE):
        report.add(findings, db.transact(scan.record, findings, by))
        done += len(findings)
        progress(done, len(unknown))
    report.left = unknown[done:]
    return report


def preflight_batch(
    db: Database, mount: Mount, sync_id: str, by: str, *, seconds: float | None = None
) -> preflight.Outcome:
    """Plan what would happen to each item of a batch. Raises NotFound, MountUnavailable, and Refused for a batch that is
    busy, or whose bundle is gone from the mount."""
    db.read(ledger.batch, sync_id)
    return db.transact(preflight.record, _examine(mount, sync_id, seconds), by)


def queue_batch(
    db: Database, mount: Mount, sync_id: str, by: str, *,
    priority: int = queue.PRIORITY, seconds: float | None = None,
) -> int:
    """Queue a batch, preflighting it first unless its preflight has just passed; returns the job's id.

    Raises NotFound, MountUnavailable, PreflightFailed, and Refused for a batch that is busy, or whose bundle was looked for
    and is gone from the mount.
    """
    status = db.read(ledger.batch, sync_id)["status"]
    if status == BatchStatus.PREFLIGHT_PASSED or BatchStatus(status).busy:
        return db.transact(queue.enqueue, sync_id, by, priority=priority)
    return _queue_whole(db, _preflight_and_enqueue, _examine(mount, sync_id, seconds), by, priority)


def retry_batch(
    db: Database, mount: Mount, sync_id: str, by: str, *,
    priority: int = queue.PRIORITY, seconds: float | None = None,
) -> int:
    """Queue again what of a batch has failed, or was never come to; what is done stays as it is. Returns the job's id.

    Where nothing was done, or upstream has handed over another manifest since, that is all of it. Raises NotFound,
    MountUnavailable, PreflightFailed, and Refused for a batch of which nothing failed or would succeed now, or that is gone
    from the mount.
    """
    deadline = None if seconds is None else monotonic() + seconds
    batch = db.read(ledger.batch, sync_id)
    if BatchStatus(batch["status"]).busy:
        return db.transact(queue.enqueue, sync_id, by, priority=priority)
    if batch["status"] not in RETRIED:
        raise Refused(f"Batch {sync_id} is {batch['status']}: {not_retried(batch['status'])}.", "Queue the batch instead.")
    if db.read(ledger.any_done, batch["id"]):
        examined = _examine(mount, sync_id, seconds, db.read(ledger.open_items, batch["id"]))
        same = not examined.problems and examined.sha256 == batch["manifest_sha256"]
        if same or examined.sha256 is None:
            return db.transact(_reopen_and_enqueue, examined, by, priority)
    return _queue_whole(db, _retry_whole, _examine(mount, sync_id, _left(deadline)), by, priority)


def not_retried(status: str) -> str:
    """Why a batch that is neither busy nor one of RETRIED is not retried."""
    return "nothing of it has failed" if status == BatchStatus.COMPLETED else "an import of it is still to come"


def queue_batches(
    db: Database, mount: Mount, sync_ids: Iterable[str], by: str, *,
    priority: int = queue.PRIORITY, seconds: float | None = None, progress: Progress = unseen,
) -> list[Queued]:
    """Queue each of the batches in a transaction of its own, and report each outcome.

    They are queued in the order in which upstream handed them over, so that an update follows what it updates,
    however the batches were ticked. Raises DatabaseUnavailable and its like when there is no outcome to report yet;
    later, the batches that are left say so.
    """
    deadline = None if seconds is None else monotonic() + seconds
    ordered, outcomes = db.read(ledger.in_order_of_handover, list(dict.fromkeys(sync_ids))), []
    for done, sync_id in enumerate(ordered):
        try:
            outcomes.append(_queue_one(db, mount, sync_id, by, priority, _left(deadline)))
        except PanelError as error:
            if not outcomes:
                raise
            return outcomes + _not_reached(ordered[done:], error)
        progress(done + 1, len(ordered))
    return outcomes


def cancel_job(db: Database, job_id: int, by: str) -> str:
    """Cancel a queued job; returns the sync_id of its batch. Raises NotFound, Refused."""
    return db.transact(queue.cancel, job_id, by)


def set_priority(db: Database, job_id: int, priority: int, by: str) -> int:
    """Give a queued job another priority; returns its place in line. Raises NotFound, InvalidInput, Refused."""
    return db.transact(queue.set_priority, job_id, priority, by)


def _queue_one(db, mount, sync_id, by, priority, seconds) -> Queued:
    """Raises what is not about this batch, such as DatabaseUnavailable."""
    if seconds is not None and seconds <= 0:
        return Queued(sync_id, None, "left: the time for this request was used up", "Queue it again.")
    try:
        return Queued(sync_id, queue_batch(db, mount, sync_id, by, priority=priority, seconds=seconds))
    except (NotFound, Refused, MountUnavailable) as error:
        return Queued(sync_id, None, str(error), error.hint)


def _not_reached(sync_ids: list[str], error: PanelError) -> list[Queued]:
    """The batch that the database failed at, and those after it; only the kind of failure is for everyone to read."""
    first, *others = sync_ids
    kind = type(error)()
    return [
        Queued(first, None, str(kind), kind.hint),
        *(Queued(sync_id, None, "left: the database failed at one before", "Queue it again.") for sync_id in others),
    ]


def _queue_whole(db: Database, work: Callable, examined: preflight.Examined, by: str, priority: int) -> int:
    """Returns the job's id. Raises Refused, PreflightFailed."""
    outcome, job_id = db.transact(work, examined, by, priority)
    if job_id is None:
        raise PreflightFailed(examined.sync_id, outcome.problems)
    return job_id


def _retry_whole(tx: Transaction, examined: preflight.Examined, by: str, priority: int):
    """Nothing when the batch was done by another's retry while the mount was looked at."""
    status = ledger.lock(tx, examined.sync_id)["status"]
    if status not in RETRIED:
        raise Refused(f"Batch {examined.sync_id} has changed meanwhile; it is {status}.", "Look at it, then retry.")
    return _preflight_and_enqueue(tx, examined, by, priority)


def _preflight_and_enqueue(tx: Transaction, examined: preflight.Examined, by: str, priority: int):
    """Both or neither; a preflight that fails is recorded all the same."""
    outcome = preflight.record(tx, examined, by)
    if not outcome.ok:
        return outcome, None
    return outcome, queue.enqueue(tx, examined.sync_id, by, priority=priority, auto_preflighted=True)


def _reopen_and_enqueue(tx: Transaction, examined: preflight.Examined, by: str, priority: int) -> int:
    preflight.reopen(tx, examined, by)
    return queue.enqueue(tx, examined.sync_id, by, priority=priority, auto_preflighted=True)


def _examine(
    mount: Mount, sync_id: str, seconds: float | None, only: set[Key] | None = None
) -> preflight.Examined:
    (examined,) = bounded((preflight.examine(mount, each, only) for each in (sync_id,)), seconds)
    return examined


def _left(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - monotonic())


def _until_timeout(findings: Iterable[scan.Finding]) -> Iterable[scan.Finding]:
    """What was examined in time; the caller names what is left."""
    try:
        yield from findings
    except MountTimeout:
        return
