"""The operator's undo, shared by panel and shell: plan, queue and preview.

An undo reads no file, so that no function here waits for the mount (docs/decisions/0150-undo-is-a-batch.md).
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from . import job_queue, ledger, preflight_requests, undo
from .db import Database, ReadTransaction, Transaction
from .errors import InvalidStateError, NotFoundError, PanelError, PreflightFailedError
from .models import PRIORITY, BatchStatus
from .preflight import PreflightResult
from .rows import BatchRow
from .undo import UndoPreview, UndoTarget

MAX_REQUEST_ENTRIES = 20_000  # items, containers and members of a batch whose undo is planned in a request
DONE = (BatchStatus.COMPLETED, BatchStatus.PARTIAL, BatchStatus.FAILED)


class UndoResult(NamedTuple):
    """Result of queueing the undo of one batch: `undo_sync_id`, `job_id`, `counts` by decision, or the `problem`."""

    sync_id: str
    undo_sync_id: str | None = None
    job_id: int | None = None
    problem: str | None = None
    hint: str = ""
    counts: Mapping[str, int] = MappingProxyType({})


class UndoPlanned(NamedTuple):
    """The batch of an undo, and its plan: None where a worker is to make it."""

    sync_id: str
    plan: PreflightResult | None


def plan_undo(db: Database, sync_id: str, actor: str, *, in_request: bool = False) -> UndoPlanned:
    """Plan the undo of a batch, and store it as a batch of its own.

    An undo that was not imported yet is planned again. In a request, a worker plans a large one.
    Raises NotFoundError, and InvalidStateError for a batch that cannot be undone now.
    """
    return db.run_transaction(_plan, sync_id, actor, in_request)


def _plan(tx: Transaction, sync_id: str, actor: str, in_request: bool) -> UndoPlanned:
    batch = ledger.lock_batch(tx, sync_id)
    undo.raise_if_refused(tx, batch)
    made = undo.create(tx, batch, actor)
    if in_request and is_too_large(tx, batch["id"]):
        preflight_requests.request(tx, made["id"], actor)
        return UndoPlanned(made["sync_id"], None)
    outcome = undo.save_plan(tx, batch, made, actor)
    _raise_if_empty(made, outcome)
    return UndoPlanned(made["sync_id"], outcome)


def is_too_large(tx: ReadTransaction, batch_id: int) -> bool:
    """Whether the undo of a batch takes too long for a request."""
    limit = MAX_REQUEST_ENTRIES + 1
    return bool(tx.fetch_value("undo.count_entries", batch_id=batch_id, limit=limit) >= limit)


def _raise_if_empty(made: BatchRow, outcome: PreflightResult) -> None:
    """Roll back a new undo that would do nothing, so that it is no batch."""
    if not outcome.ok and made["started_at"] is None:
        raise InvalidStateError(f"There is nothing to undo: {'; '.join(outcome.problems)}.")


def undo_batches(
    db: Database, sync_ids: list[str], actor: str, *, priority: int = PRIORITY,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[UndoResult]:
    """Plan and queue the undo of batches, newest first; each waits for the one before. Raises NotFoundError.

    An undo that is queued already, such as by a call that was killed, is also waited for.
    """
    ordered = db.run_read(undo.newest_first, list(dict.fromkeys(sync_ids)))
    results: list[UndoResult] = []
    before: str | None = None
    for number, sync_id in enumerate(ordered, 1):
        result = _undo_one(db, sync_id, actor, priority, before)
        results.append(result)
        before = (result.undo_sync_id if result.job_id else db.run_read(_active_undo, sync_id)) or before
        progress(number, len(ordered))
    return results


def _active_undo(tx: ReadTransaction, sync_id: str) -> str | None:
    """Return the undo of a batch that has an active job, if any."""
    active = tx.fetch_one("job_queue.active_undo", batch_id=ledger.get_batch(tx, sync_id)["id"])
    return active and str(active["sync_id"])


def _undo_one(db: Database, sync_id: str, actor: str, priority: int, before: str | None) -> UndoResult:
    """Queue one undo; raise only errors that concern the others too."""
    try:
        made, outcome, job_id = db.run_transaction(_plan_and_queue, sync_id, actor, priority, before)
    except (NotFoundError, InvalidStateError) as error:
        return UndoResult(sync_id, problem=str(error), hint=error.hint)
    problem = None if outcome.ok else "; ".join(outcome.problems)
    return UndoResult(sync_id, made, job_id, problem, counts=outcome.counts)


def _plan_and_queue(
    tx: Transaction, sync_id: str, actor: str, priority: int, before: str | None
) -> tuple[str, PreflightResult, int | None]:
    batch = ledger.lock_batch(tx, sync_id)
    undo.raise_if_refused(tx, batch)
    made = undo.create(tx, batch, actor)
    outcome = undo.save_plan(tx, batch, made, actor, before)
    _raise_if_empty(made, outcome)
    if not outcome.ok:
        return made["sync_id"], outcome, None
    job_id = job_queue.enqueue(tx, made["sync_id"], actor, priority=priority, auto_preflighted=True)
    return made["sync_id"], outcome, job_id


def preview_undo(db: Database, sync_ids: list[str]) -> list[UndoPreview]:
    """Say what the undo of batches would do, newest first, and write nothing. Raises NotFoundError."""
    ordered = db.run_read(undo.newest_first, list(dict.fromkeys(sync_ids)))
    previews: list[UndoPreview] = []
    targets: list[UndoTarget] = []
    for sync_id in ordered:
        found, target = db.run_read(_preview, sync_id, targets)
        previews.append(found)
        targets += [target] if found.problem is None else []
    return previews


def _preview(tx: ReadTransaction, sync_id: str, before: list[UndoTarget]) -> tuple[UndoPreview, UndoTarget]:
    batch = ledger.get_batch(tx, sync_id)
    target = UndoTarget(batch["id"], sync_id)
    try:
        undo.raise_if_refused(tx, batch)
    except PanelError as error:
        return UndoPreview(sync_id, {}, {}, [], f"{error} {error.hint}"), target
    return undo.preview(tx, [*before, target]), target


# ------------------------------------------------------------------------------------------------ the undo as a batch


def replan(tx: Transaction, sync_id: str, actor: str) -> PreflightResult:
    """Plan an undo again. Raises InvalidStateError if its job is active or it was imported."""
    batch, made = undo.lock_targets(tx, sync_id)
    job_queue.raise_if_active(tx, made)
    if made["imported_at"] is not None:
        raise InvalidStateError(
            f"Batch {sync_id} has undone batch {batch['sync_id']} already.",
            "Retry its failed items; or undo either batch, which makes a new plan.",
        )
    preflight_requests.raise_if_open(tx, made)
    undo.raise_if_refused(tx, batch)
    return undo.save_plan(tx, batch, made, actor, made["prior_sync_id"])


def queue(db: Database, sync_id: str, actor: str, priority: int) -> int:
    """Queue an undo, planned again unless its plan is as a preflight left it; return the job's id.

    Raises InvalidStateError, PreflightFailedError.
    """
    outcome, job_id = db.run_transaction(_queue, sync_id, actor, priority)
    if job_id is None:
        raise PreflightFailedError(sync_id, outcome.problems if outcome else [])
    return job_id


def _queue(tx: Transaction, sync_id: str, actor: str, priority: int) -> tuple[PreflightResult | None, int | None]:
    job_queue.lock_chain(tx, sync_id)
    batch, made = undo.lock_targets(tx, sync_id)
    undo.raise_if_archived(tx, batch)  # an undo that was planned holds no archive up
    outcome = None if made["status"] == BatchStatus.PREFLIGHT_PASSED else replan(tx, sync_id, actor)
    if outcome is not None and not outcome.ok:
        return outcome, None
    return outcome, job_queue.enqueue(tx, sync_id, actor, priority=priority, auto_preflighted=outcome is not None)


def retry(tx: Transaction, sync_id: str, actor: str, priority: int) -> int:
    """Queue the open entries of an undo again; return the job's id. Raises InvalidStateError."""
    job_queue.lock_chain(tx, sync_id)
    batch, made = undo.lock_targets(tx, sync_id)
    job_queue.raise_if_active(tx, made)
    if made["status"] not in DONE:
        raise InvalidStateError(f"Batch {sync_id} is {made['status']}: it was not imported yet.", "Queue it instead.")
    if made["status"] == BatchStatus.COMPLETED:
        raise InvalidStateError(f"Batch {sync_id} is completed: none of its items failed.", "Nothing is to be retried.")
    undo.raise_if_refused(tx, batch)
    undo.replan_open(tx, batch, made, actor)
    return job_queue.enqueue(tx, sync_id, actor, priority=priority, auto_preflighted=True)


def save_requested(
    tx: Transaction, sync_id: str, actor: str, then_queue: int | None
) -> PreflightResult:
    """Make the plan that a worker was asked for; the request has ended in this transaction."""
    job_queue.lock_chain(tx, sync_id)
    outcome = replan(tx, sync_id, actor)
    if outcome.ok and then_queue is not None:
        job_queue.enqueue(tx, sync_id, actor, priority=then_queue, auto_preflighted=True)
    return outcome
