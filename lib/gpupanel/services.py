"""The operator's actions, shared by panel and shell.

Each reads the mount outside of any transaction, then writes in as few transactions as its promise allows. `seconds`
limits the time for the mount; None sets no limit.
"""

from collections.abc import Callable, Iterable
from itertools import chain
from time import monotonic
from typing import NamedTuple

from . import job_queue, ledger, preflight, preflight_requests, undo_service, unseen_change
from .bundle_inspection import BundleInspection, check_files, inspect_bundle, read_bundle
from .db import Database, Transaction, chunked
from .errors import (
    InvalidStateError, MountUnavailableError, NotFoundError, PanelError, PreflightFailedError,
    PreflightRequested, PreflightTooLongError, UnseenChangeError,
)
from .library_reader import AssetKey
from .manifest import Item
from .models import PRIORITY, BatchStatus
from .mount import Mount, iterate_with_timeout, seconds_left
from .rows import BatchRow
from .scan_run import ScanReport, ScanRun

LIST_BATCH_SIZE = 1000  # sentinels that the listing thread yields at a time
MAX_REQUEST_BYTES = 32 * 1024 * 1024  # of a manifest that is preflighted in a request
MAX_REQUEST_LOOKUPS = 2_000  # items and derivatives of a bundle that is preflighted in a request
RETRYABLE_STATUSES = (BatchStatus.FAILED, BatchStatus.PARTIAL, BatchStatus.PREFLIGHT_FAILED)

Progress = Callable[[int, int], None]  # called with (done, total)


def no_progress(done: int, total: int) -> None:
    """Ignore progress (default callback)."""


class PreflightOptions(NamedTuple):
    """Options of a preflight; `progress` counts the items whose files were checked.

    `although_older` plans to write the bundle although a newer one was imported.
    """

    although_older: bool = False
    seconds: float | None = None
    progress: Progress = no_progress


class QueueOptions(NamedTuple):
    """Options of queueing; `progress` counts the batches of a list."""

    priority: int = PRIORITY
    seconds: float | None = None
    progress: Progress = no_progress


PREFLIGHT_DEFAULTS, QUEUE_DEFAULTS = PreflightOptions(), QueueOptions()


class BatchResult(NamedTuple):
    """The result of an action on one batch: what it `did`, or the `problem`."""

    sync_id: str
    job_id: int | None = None
    problem: str | None = None
    hint: str = ""
    did: str | None = None


def scan_mount(
    db: Database, mount: Mount, actor: str, *, seconds: float | None = None, progress: Progress = no_progress,
) -> ScanReport:
    """Record the new bundles on the mount. Raises MountUnavailableError."""
    deadline = None if seconds is None else monotonic() + seconds
    report = ScanReport()
    sync_ids: list[str] = []
    batches = iterate_with_timeout(chunked(mount.list_sentinels(), LIST_BATCH_SIZE), seconds)
    for sentinel in chain.from_iterable(batches):
        (sync_ids if sentinel.sync_id else report.strays).append(sentinel.sync_id or sentinel.name)
    recorded = db.run_read(ledger.known_sync_ids, sync_ids)
    unknown = sorted(set(sync_ids) - recorded)
    report.sentinels, report.known = len(sync_ids), len(recorded)
    if not sync_ids and not report.strays and db.run_read(ledger.count_batches, limit=1):
        raise MountUnavailableError(
            f"The mount {mount.sync_dir} has no bundles, but the ledger has: it is empty, or not mounted."
        )
    ScanRun(db, mount, actor, report, progress).run(unknown, deadline)
    return report


def preflight_batch(
    db: Database, mount: Mount, sync_id: str, actor: str, options: PreflightOptions = PREFLIGHT_DEFAULTS
) -> preflight.PreflightResult:
    """Plan each item and container of a batch.

    Raises NotFoundError, MountUnavailableError, InvalidStateError if a job is active or the bundle is gone, and
    PreflightRequested if `seconds` are given and a worker is to make it.
    """
    although_older, seconds, progress = options
    batch = db.run_read(ledger.get_batch, sync_id)
    if batch["undo_of"] is not None:
        if seconds is not None and batch["imported_at"] is None and _has_large_undo(db, batch):
            raise request_preflight(db, batch, actor)
        return db.run_transaction(undo_service.replan, sync_id, actor)
    try:
        examined = _inspect_bundle(mount, sync_id, seconds, progress=progress)._replace(although_older=although_older)
    except PreflightTooLongError:
        raise request_preflight(db, batch, actor, although_older=although_older) from None
    return db.run_transaction(preflight.save_preflight, examined, actor)


def queue_batch(
    db: Database, mount: Mount, sync_id: str, actor: str, options: QueueOptions = QUEUE_DEFAULTS
) -> int:
    """Queue a batch, preflighting it first if needed; return the job's id.

    Raises NotFoundError, MountUnavailableError, PreflightFailedError, InvalidStateError if a job is active or the
    bundle gone, and PreflightRequested as `preflight_batch` does.
    """
    priority, seconds, _ = options
    batch = db.run_read(ledger.get_batch, sync_id)
    if batch["undo_of"] is not None:
        is_open = batch["status"] != BatchStatus.PREFLIGHT_PASSED and batch["imported_at"] is None
        if seconds is not None and is_open and _has_large_undo(db, batch):
            raise request_preflight(db, batch, actor, then_queue=priority)
        return undo_service.queue(db, sync_id, actor, priority)
    if batch["status"] == BatchStatus.PREFLIGHT_PASSED or BatchStatus(batch["status"]).has_active_job:
        return db.run_transaction(job_queue.enqueue, sync_id, actor, priority=priority)
    try:
        examined = _inspect_bundle(mount, sync_id, seconds)
    except PreflightTooLongError:
        raise request_preflight(db, batch, actor, then_queue=priority) from None
    return _queue_whole(db, _preflight_and_enqueue, examined, actor, priority)


def retry_batch(
    db: Database, mount: Mount, sync_id: str, actor: str, options: QueueOptions = QUEUE_DEFAULTS
) -> int:
    """Queue the open items of a batch again; return the job's id.

    If no item was processed successfully, the items are archived, or the manifest has changed, all items are queued.
    Raises NotFoundError, MountUnavailableError, PreflightFailedError, InvalidStateError if nothing failed, nothing
    would succeed, or the bundle is gone, and PreflightRequested as `preflight_batch` does.
    """
    priority, seconds, _ = options
    deadline = None if seconds is None else monotonic() + seconds
    batch = db.run_read(ledger.get_batch, sync_id)
    status = batch["status"]
    if batch["undo_of"] is not None:
        if seconds is not None and _has_large_undo(db, batch):
            message = f"Batch {sync_id} is too large to be planned again in a request; nothing was retried."
            raise InvalidStateError(message, f"Retry it in a shell: gpupanel retry {sync_id}")
        return db.run_transaction(undo_service.retry, sync_id, actor, priority)
    if BatchStatus(status).has_active_job:
        return db.run_transaction(job_queue.enqueue, sync_id, actor, priority=priority)
    if status not in RETRYABLE_STATUSES:
        message = f"Batch {sync_id} is {status}: {reason_not_retried(status)}."
        raise InvalidStateError(message, "Queue the batch instead.")
    try:
        if not ledger.is_archived(batch) and db.run_read(ledger.has_done_items, batch["id"]):
            examined = _inspect_bundle(mount, sync_id, seconds, db.run_read(ledger.open_items, batch["id"]))
            is_same = not examined.problems and examined.sha256 == batch["manifest_sha256"]
            if is_same or examined.sha256 is None:
                return db.run_transaction(_reopen_and_enqueue, examined, actor, priority)
        examined = _inspect_bundle(mount, sync_id, seconds_left(deadline))
    except PreflightTooLongError:
        raise request_preflight(db, batch, actor, then_queue=priority) from None
    return _queue_whole(db, _retry_whole, examined, actor, priority)


def request_preflight(
    db: Database, batch: BatchRow, actor: str, *, then_queue: int | None = None, although_older: bool = False
) -> PreflightRequested:
    """Ask a worker for a preflight; `then_queue` is the priority with which to queue the batch, None not to queue it.

    Returns what a caller raises. Raises InvalidStateError if a request is open or a job is active.
    """
    db.run_transaction(
        preflight_requests.request, batch["id"], actor, then_queue=then_queue, although_older=although_older
    )
    return PreflightRequested(batch["sync_id"], then_queue=then_queue is not None)


def _has_large_undo(db: Database, batch: BatchRow) -> bool:
    return db.run_read(undo_service.is_too_large, batch["undo_of"] or 0)


def is_too_long(size_bytes: int, items: int, derivatives: int) -> bool:
    """Whether a preflight takes too long for a request."""
    return size_bytes > MAX_REQUEST_BYTES or items + derivatives > MAX_REQUEST_LOOKUPS


def reason_not_retried(status: str) -> str:
    """Why a batch that has no active job cannot be retried."""
    return "none of its items failed" if status == BatchStatus.COMPLETED else "it has not been imported yet"


def queue_batches(
    db: Database, mount: Mount, sync_ids: Iterable[str], actor: str, options: QueueOptions = QUEUE_DEFAULTS
) -> list[BatchResult]:
    """Queue batches one by one, in the order of their completion upstream.

    So an update follows the bundle that it updates. A database error is raised at the first batch, and reported as
    the result of later ones.
    """
    ordered = db.run_read(ledger.sort_by_upstream_order, list(dict.fromkeys(sync_ids)))
    results: list[BatchResult] = []
    for done, sync_id in enumerate(ordered):
        try:
            results.append(_queue_one(db, mount, sync_id, actor, options.priority))
        except PanelError as error:
            if not results:
                raise
            return results + _not_reached(ordered[done:], error)
        options.progress(done + 1, len(ordered))
    return results


def _queue_one(db: Database, mount: Mount, sync_id: str, actor: str, priority: int) -> BatchResult:
    """Queue one batch; raise only errors that concern the others too."""
    try:
        return BatchResult(sync_id, queue_batch(db, mount, sync_id, actor, QueueOptions(priority)))
    except (NotFoundError, InvalidStateError, MountUnavailableError) as error:
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


Queueing = Callable[[Transaction, BundleInspection, str, int], tuple[preflight.PreflightResult, int | None]]


def _queue_whole(db: Database, work: Queueing, examined: BundleInspection, actor: str, priority: int) -> int:
    """Preflight and queue all items. Raises InvalidStateError, PreflightFailedError, UnseenChangeError."""
    outcome, job_id = db.run_transaction(work, examined, actor, priority)
    if outcome.withheld:
        raise UnseenChangeError(examined.sync_id, outcome.withheld)
    if job_id is None:
        raise PreflightFailedError(examined.sync_id, outcome.problems)
    return job_id


def _retry_whole(
    tx: Transaction, examined: BundleInspection, actor: str, priority: int
) -> tuple[preflight.PreflightResult, int | None]:
    """Retry all items. Raises InvalidStateError if the batch has changed meanwhile."""
    job_queue.lock_chain(tx, examined.sync_id)
    status = ledger.lock_batch(tx, examined.sync_id)["status"]
    if status not in RETRYABLE_STATUSES:
        message = f"Batch {examined.sync_id} has changed meanwhile; it is {status}."
        raise InvalidStateError(message, "Check it, then retry.")
    return _preflight_and_enqueue(tx, examined, actor, priority)


def _preflight_and_enqueue(
    tx: Transaction, examined: BundleInspection, actor: str, priority: int
) -> tuple[preflight.PreflightResult, int | None]:
    """Record the preflight, also a failed one, and queue the batch unless its plan is withheld."""
    job_queue.lock_chain(tx, examined.sync_id)
    recorded = ledger.lock_batch(tx, examined.sync_id)
    outcome = unseen_change.withhold(tx, recorded, examined, preflight.save_preflight(tx, examined, actor))
    if not outcome.ok or outcome.withheld:
        return outcome, None
    return outcome, job_queue.enqueue(tx, examined.sync_id, actor, priority=priority, auto_preflighted=True)


def _reopen_and_enqueue(tx: Transaction, examined: BundleInspection, actor: str, priority: int) -> int:
    job_queue.lock_chain(tx, examined.sync_id)
    preflight.replan_open_items(tx, examined, actor)
    return job_queue.enqueue(tx, examined.sync_id, actor, priority=priority, auto_preflighted=True)


def _inspect_bundle(
    mount: Mount, sync_id: str, seconds: float | None, only: set[AssetKey] | None = None,
    *, progress: Progress = no_progress,
) -> BundleInspection:
    """Inspect a bundle; with a time limit raise PreflightTooLongError for a long one."""

    def inspect(sync_id: str) -> BundleInspection:
        if seconds is None:
            return inspect_bundle(mount, sync_id, only, progress=progress)
        return _inspect_short(mount, sync_id, only)

    examined: BundleInspection
    (examined,) = iterate_with_timeout(map(inspect, (sync_id,)), seconds)
    return examined


def _inspect_short(mount: Mount, sync_id: str, only: set[AssetKey] | None) -> BundleInspection:
    examined = read_bundle(mount, sync_id, only, most_bytes=MAX_REQUEST_BYTES)
    derivatives = 0
    for items, (_, item) in enumerate(examined.entries(examined.manifest) if examined.manifest else (), 1):
        derivatives += len(item.derivatives) if isinstance(item, Item) else 0
        if is_too_long(0, items, derivatives):
            raise PreflightTooLongError
    return check_files(mount, examined)
