"""Actions on many batches: preview, and run within a time limit (decision 0027).

Each batch is handled by itself, according to its present status. So a selection that is sent twice has no effect the
second time, and a refused batch does not hold up the others.
"""

from collections.abc import Callable
from time import monotonic
from typing import NamedTuple

from . import attention, job_queue, ledger, services
from .services import BatchResult, PreflightOptions, QueueOptions
from .db import Database, ReadTransaction, Transaction, chunked
from .errors import InvalidStateError, MountTimeoutError, PanelError, PreflightRequested
from .models import ATTENTION, PRIORITY, BatchStatus as Status
from .mount import Mount
from .rows import BatchRow, ChosenBatch, LockedJob

QUEUE, PREFLIGHT, RETRY, CANCEL, SEEN = "queue", "preflight", "retry", "cancel", "seen"
BULK_ACTIONS = (QUEUE, PREFLIGHT, RETRY, CANCEL, SEEN)
TIME_SHARE = 0.5  # share of a request's time after which the next batch is left to the next request

QUEUED, PREFLIGHTED, CANCELED, MARKED = "queued", "preflighted", "canceled", "marked as seen"
BOTH, RETRIED = "preflighted, and queued if that passes", "failed items are queued again, the others kept"
FREE = [status for status in Status if not status.has_active_job]
# action -> status -> its effect on a batch in that status; in any other status it is refused.
EFFECTS = {
    QUEUE: {status: QUEUED if status is Status.PREFLIGHT_PASSED else BOTH for status in FREE},
    PREFLIGHT: dict.fromkeys(FREE, PREFLIGHTED),
    RETRY: {status: BOTH if status is Status.PREFLIGHT_FAILED else RETRIED for status in services.RETRYABLE_STATUSES},
    CANCEL: {Status.QUEUED: CANCELED},
    SEEN: dict.fromkeys(Status, MARKED),
}
REPLACED = "upstream replaced its bundle, and no person has preflighted it since; run Preflight, check the plan first"
BUSY = {Status.QUEUED: "it is queued already", Status.IMPORTING: "it is being imported"}


class BatchPreview(NamedTuple):
    """The effect of an action on a batch, or why it would be refused."""

    sync_id: str
    status: str
    will: str | None
    refusal: str | None


class ActionTerms(NamedTuple):
    """Who acts, how long the mount may take, and with which priority a job is queued."""

    actor: str
    seconds: float
    priority: int = PRIORITY

    @property
    def queue_options(self) -> QueueOptions:
        return QueueOptions(self.priority, self.seconds)


def select_batches(tx: ReadTransaction, ids: list[int]) -> dict[int, ChosenBatch]:
    """id -> batch, in the order given."""
    rows = {row["id"]: row for chunk in chunked(ids) for row in tx.fetch_all("search.by_ids", ids=chunk)}
    return {number: rows[number] for number in ids if number in rows}


def in_order(tx: ReadTransaction, ids: list[int]) -> list[int]:
    """Sort the batches by when upstream completed them."""
    by_sync_id = {row["sync_id"]: number for number, row in select_batches(tx, ids).items()}
    return [by_sync_id[sync_id] for sync_id in ledger.sort_by_upstream_order(tx, list(by_sync_id))]


def preview(tx: ReadTransaction, what: str, ids: list[int]) -> list[BatchPreview]:
    """Preview an action on each batch in its present status."""
    return [_foreseen(what, row) for row in select_batches(tx, ids).values()]


def _foreseen(what: str, batch: ChosenBatch | BatchRow) -> BatchPreview:
    refusal = _refusal(what, batch)
    effect = None if refusal else EFFECTS[what][Status(batch["status"])]
    return BatchPreview(batch["sync_id"], batch["status"], effect, refusal)


def _refusal(what: str, batch: ChosenBatch | BatchRow) -> str | None:
    """Why the action is refused in the batch's present status, or None."""
    status = Status(batch["status"])
    if what == SEEN:
        return _reason_not_marked(batch)
    if what == QUEUE and ledger.has_unapproved_plan(status, batch["changed_at"]):
        return REPLACED
    if what == QUEUE and status is Status.DISCOVERED and batch["last_error"]:
        return f"not importable: {batch['last_error'].rstrip('.')}"
    if status in EFFECTS[what]:
        return None
    if what == CANCEL:
        if status is Status.IMPORTING:
            return "its job is running; only a queued or held job can be canceled"
        return "it has no queued job"
    return BUSY.get(status) or services.reason_not_retried(status)


def _reason_not_marked(batch: ChosenBatch | BatchRow) -> str | None:
    if batch["attention"] == ATTENTION["seen"]:
        return "a person has seen it already"
    is_held = batch.get("is_held") and batch["status"] == Status.QUEUED
    return None if batch["attention"] or is_held else "it needs no attention"


def run(
    db: Database, mount: Mount, what: str, sync_ids: list[str], terms: ActionTerms
) -> tuple[list[BatchResult], list[str]]:
    """Run an action; return the results, and the batches not reached.

    A batch has all of the time that is left. If that is too little, the batch is the first of the next request; it
    fails only if all of the time is too little.
    """
    started, seconds = monotonic(), terms.seconds
    results: list[BatchResult] = []
    for number, sync_id in enumerate(sync_ids):
        passed = monotonic() - started
        if number and passed > seconds * TIME_SHARE:
            return results, sync_ids[number:]
        try:
            results.append(HANDLERS[what](db, mount, sync_id, terms._replace(seconds=seconds - passed)))
        except MountTimeoutError as error:
            if number:
                return results, sync_ids[number:]
            results.append(BatchResult(sync_id, problem=str(error), hint=error.hint))
        except PreflightRequested as requested:
            results.append(BatchResult(sync_id, did=str(requested)))
        except PanelError as error:
            results.append(BatchResult(sync_id, problem=str(error), hint=error.hint))
    return results, []


def _queue(db: Database, mount: Mount, sync_id: str, terms: ActionTerms) -> BatchResult:
    batch = db.run_read(ledger.get_batch, sync_id)
    if batch["status"] == Status.DISCOVERED and (refusal := _refusal(QUEUE, batch)):
        message = f"The last scan skipped the bundle; it is {refusal}."
        raise InvalidStateError(message, "Mend the bundle, then scan again.")
    job_id = services.queue_batch(db, mount, sync_id, terms.actor, terms.queue_options)
    return BatchResult(sync_id, job_id, did=f"queued as job {job_id}")


def _preflight(db: Database, mount: Mount, sync_id: str, terms: ActionTerms) -> BatchResult:
    outcome = services.preflight_batch(db, mount, sync_id, terms.actor, PreflightOptions(seconds=terms.seconds))
    if not outcome.ok:
        problem = f"The preflight failed: {'; '.join(outcome.problems)}."
        return BatchResult(sync_id, problem=problem, hint="Ask upstream to fix the bundle, then preflight it again.")
    counts = ", ".join(f"{count} {decision}" for decision, count in outcome.counts.items() if count)
    return BatchResult(sync_id, did=f"preflight passed: {counts or 'no item was planned'}")


def _retry(db: Database, mount: Mount, sync_id: str, terms: ActionTerms) -> BatchResult:
    foreseen = _foreseen(RETRY, db.run_read(ledger.get_batch, sync_id))
    if foreseen.refusal:
        raise InvalidStateError(f"Batch {sync_id} is {foreseen.status}: {foreseen.refusal}.")
    job_id = services.retry_batch(db, mount, sync_id, terms.actor, terms.queue_options)
    return BatchResult(sync_id, job_id, did=f"failed items are queued as job {job_id}")


def _cancel(db: Database, mount: Mount, sync_id: str, terms: ActionTerms) -> BatchResult:
    job_id = db.run_transaction(_cancel_job_of, sync_id, terms.actor)
    return BatchResult(sync_id, job_id, did=f"job {job_id} canceled")


def _cancel_job_of(tx: Transaction, sync_id: str, actor: str) -> int:
    batch = ledger.get_batch(tx, sync_id)
    job: LockedJob | None = tx.fetch_one("job_queue.active_job", batch_id=batch["id"])
    if job is None:
        raise InvalidStateError(f"Batch {sync_id} is {batch['status']}: it has no queued job.")
    job_queue.cancel(tx, job["id"], actor)
    return job["id"]


def _mark_seen(db: Database, mount: Mount, sync_id: str, terms: ActionTerms) -> BatchResult:
    reasons = db.run_transaction(attention.mark_seen, sync_id, terms.actor)
    return BatchResult(sync_id, did=f"marked as seen: {', '.join(reasons)}")


HANDLERS: dict[str, Callable[[Database, Mount, str, ActionTerms], BatchResult]] = {
    QUEUE: _queue, PREFLIGHT: _preflight, RETRY: _retry, CANCEL: _cancel, SEEN: _mark_seen,
}
