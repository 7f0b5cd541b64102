"""The operator's actions, shared by panel and shell.

Each reads the mount outside of any transaction, then writes in as few transactions as its promise allows. `seconds`
limits the time for the mount; None sets no limit.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from time import monotonic
from typing import NamedTuple

from . import ledger, preflight, queue, scan
from .catalogue import Key
from .database import Database, Transaction, chunks
from .errors import MountTimeout, MountUnavailable, NotFound, PanelError, PreflightFailed, Refused
from .model import BatchStatus
from .mount import Mount, bounded
from .preflight import Examined

LISTED_AT_ONCE = 1000  # sentinels that the listing thread yields at a time
RECORDED_AT_ONCE = 50  # bundles recorded in one transaction
RETRIED = (BatchStatus.FAILED, BatchStatus.PARTIAL, BatchStatus.PREFLIGHT_FAILED)

Progress = Callable[[int, int], None]  # called with (done, total)


def unseen(done: int, total: int) -> None:
    """Ignore progress (default callback)."""


@dataclass
class ScanReport:
    """The result of a scan.

    `passed_over` maps a skipped bundle to the reason; `strays` are sentinels whose name is no sync_id; `left` are the
    bundles that were not read for lack of time.
    """

    sentinels: int = 0
    known: int = 0
    discovered: list[str] = field(default_factory=list)
    passed_over: dict[str, str] = field(default_factory=dict)
    strays: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def add(self, findings: list[scan.Finding], outcomes: dict[str, str]) -> None:
        """Add bundles that were read, with what `scan.record` returned for them."""
        for finding in findings:
            if outcomes[finding.sync_id] == scan.DISCOVERED:
                self.discovered.append(finding.sync_id)
            elif outcomes[finding.sync_id] == scan.PASSED_OVER:
                self.passed_over[finding.sync_id] = finding.problem or ""
            else:
                self.known += 1


class BatchResult(NamedTuple):
    """The result of an action on one batch: what it `did`, or the `problem`."""

    sync_id: str
    job_id: int | None = None
    problem: str | None = None
    hint: str = ""
    did: str | None = None


def scan_mount(
    db: Database, mount: Mount, by: str, *, seconds: float | None = None, progress: Progress = unseen,
) -> ScanReport:
    """Record the new bundles on the mount. Raises MountUnavailable."""
    deadline = None if seconds is None else monotonic() + seconds
    report = ScanReport()
    sync_ids: list[str] = []
    for sentinel in chain.from_iterable(bounded(chunks(mount.sentinels(), LISTED_AT_ONCE), seconds)):
        (sync_ids if sentinel.sync_id else report.strays).append(sentinel.sync_id or sentinel.name)
    recorded = db.read(ledger.recorded, sync_ids)
    unknown = sorted(set(sync_ids) - recorded)
    report.sentinels, report.known = len(sync_ids), len(recorded)
    if not sync_ids and not report.strays and db.read(ledger.count, limit=1):
        raise MountUnavailable(
            f"The mount {mount.sync_dir} has no bundles, but the ledger has: it is empty, or not mounted."
        )
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
    """Plan each item of a batch.

    Raises NotFound, MountUnavailable, and Refused if a job is active or the bundle is gone.
    """
    db.read(ledger.batch, sync_id)
    return db.transact(preflight.record, _examine(mount, sync_id, seconds), by)


def queue_batch(
    db: Database, mount: Mount, sync_id: str, by: str, *,
    priority: int = queue.PRIORITY, seconds: float | None = None,
) -> int:
    """Queue a batch, preflighting it first if needed; return the job's id.

    Raises NotFound, MountUnavailable, PreflightFailed, and Refused if a job is active or the bundle gone.
    """
    status = db.read(ledger.batch, sync_id)["status"]
    if status == BatchStatus.PREFLIGHT_PASSED or BatchStatus(status).busy:
        return db.transact(queue.enqueue, sync_id, by, priority=priority)
    return _queue_whole(db, _preflight_and_enqueue, _examine(mount, sync_id, seconds), by, priority)


def retry_batch(
    db: Database, mount: Mount, sync_id: str, by: str, *,
    priority: int = queue.PRIORITY, seconds: float | None = None,
) -> int:
    """Queue the open items of a batch again; return the job's id.

    If no item was processed successfully, or the manifest has changed, all items are queued. Raises NotFound,
    MountUnavailable, PreflightFailed, and Refused if nothing failed, nothing would succeed, or the bundle is gone.
    """
    deadline = None if seconds is None else monotonic() + seconds
    batch = db.read(ledger.batch, sync_id)
    status = batch["status"]
    if BatchStatus(status).busy:
        return db.transact(queue.enqueue, sync_id, by, priority=priority)
    if status not in RETRIED:
        raise Refused(f"Batch {sync_id} is {status}: {not_retried(status)}.", "Queue the batch instead.")
    if db.read(ledger.any_done, batch["id"]):
        examined = _examine(mount, sync_id, seconds, db.read(ledger.open_items, batch["id"]))
        is_same = not examined.problems and examined.sha256 == batch["manifest_sha256"]
        if is_same or examined.sha256 is None:
            return db.transact(_reopen_and_enqueue, examined, by, priority)
    return _queue_whole(db, _retry_whole, _examine(mount, sync_id, _left(deadline)), by, priority)


def not_retried(status: str) -> str:
    """Why a batch that has no active job cannot be retried."""
    return "none of its items failed" if status == BatchStatus.COMPLETED else "it has not been imported yet"


def queue_batches(
    db: Database, mount: Mount, sync_ids: Iterable[str], by: str, *,
    priority: int = queue.PRIORITY, seconds: float | None = None, progress: Progress = unseen,
) -> list[BatchResult]:
    """Queue batches one by one, in the order of their completion upstream.

    So an update follows the bundle that it updates. A database error is raised at the first batch, and reported as
    the result of later ones.
    """
    deadline = None if seconds is None else monotonic() + seconds
    ordered = db.read(ledger.in_order_of_handover, list(dict.fromkeys(sync_ids)))
    results: list[BatchResult] = []
    for done, sync_id in enumerate(ordered):
        try:
            results.append(_queue_one(db, mount, sync_id, by, priority, _left(deadline)))
        except PanelError as error:
            if not results:
                raise
            return results + _not_reached(ordered[done:], error)
        progress(done + 1, len(ordered))
    return results


def cancel_job(db: Database, job_id: int, by: str) -> str:
    """Cancel a queued job; return the sync_id. Raises NotFound, Refused."""
    return db.transact(queue.cancel, job_id, by)


def set_priority(db: Database, job_id: int, priority: int, by: str) -> int:
    """Change a queued job's priority; return its position in the queue.

    Raises NotFound, InvalidInput, Refused.
    """
    return db.transact(queue.set_priority, job_id, priority, by)


def _queue_one(
    db: Database, mount: Mount, sync_id: str, by: str, priority: int, seconds: float | None
) -> BatchResult:
    """Queue one batch; raise only errors that concern the others too."""
    if seconds is not None and seconds <= 0:
        return BatchResult(sync_id, problem="not reached: the time limit of this request", hint="Queue it again.")
    try:
        return BatchResult(sync_id, queue_batch(db, mount, sync_id, by, priority=priority, seconds=seconds))
    except (NotFound, Refused, MountUnavailable) as error:
        return BatchResult(sync_id, problem=str(error), hint=error.hint)


def _not_reached(sync_ids: list[str], error: PanelError) -> list[BatchResult]:
    """The results from a database error on, without server messages."""
    first, *others = sync_ids
    return [
        BatchResult(first, problem=type(error).message, hint=type(error).hint),
        *(
            BatchResult(sync_id, problem="not reached: the database failed at a batch before", hint="Queue it again.")
            for sync_id in others
        ),
    ]


Queueing = Callable[[Transaction, Examined, str, int], tuple[preflight.Outcome, int | None]]


def _queue_whole(db: Database, work: Queueing, examined: Examined, by: str, priority: int) -> int:
    """Preflight and queue all items. Raises Refused, PreflightFailed."""
    outcome, job_id = db.transact(work, examined, by, priority)
    if job_id is None:
        raise PreflightFailed(examined.sync_id, outcome.problems)
    return job_id


def _retry_whole(
    tx: Transaction, examined: Examined, by: str, priority: int
) -> tuple[preflight.Outcome, int | None]:
    """Retry all items. Raises Refused if the batch has changed meanwhile."""
    status = ledger.lock(tx, examined.sync_id)["status"]
    if status not in RETRIED:
        raise Refused(f"Batch {examined.sync_id} has changed meanwhile; it is {status}.", "Check it, then retry.")
    return _preflight_and_enqueue(tx, examined, by, priority)


def _preflight_and_enqueue(
    tx: Transaction, examined: Examined, by: str, priority: int
) -> tuple[preflight.Outcome, int | None]:
    """Record the preflight, also a failed one, and queue the batch."""
    outcome = preflight.record(tx, examined, by)
    if not outcome.ok:
        return outcome, None
    return outcome, queue.enqueue(tx, examined.sync_id, by, priority=priority, auto_preflighted=True)


def _reopen_and_enqueue(tx: Transaction, examined: Examined, by: str, priority: int) -> int:
    preflight.reopen(tx, examined, by)
    return queue.enqueue(tx, examined.sync_id, by, priority=priority, auto_preflighted=True)


def _examine(mount: Mount, sync_id: str, seconds: float | None, only: set[Key] | None = None) -> Examined:
    examined: Examined
    (examined,) = bounded((preflight.examine(mount, each, only) for each in (sync_id,)), seconds)
    return examined


def _left(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - monotonic())


def _until_timeout(findings: Iterable[scan.Finding]) -> Iterator[scan.Finding]:
    """Yield the bundles that were read in time; the caller reports the others."""
    try:
        yield from findings
    except MountTimeout:
        return
