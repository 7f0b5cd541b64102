"""Actions on many batches: preview, and run within a time limit (decision 0027).

Each batch is handled by itself, according to its present status. So a selection that is sent twice has no effect the
second time, and a refused batch does not hold up the others.
"""

from collections.abc import Callable
from time import monotonic
from typing import NamedTuple

from . import actions, ledger, queue
from .actions import BatchResult
from .database import Database, Reading, Transaction, chunks
from .errors import MountTimeout, PanelError, Refused
from .model import BatchStatus as Status
from .mount import Mount
from .rows import ChosenBatch, LockedJob

QUEUE, PREFLIGHT, RETRY, CANCEL = "queue", "preflight", "retry", "cancel"
BULKS = (QUEUE, PREFLIGHT, RETRY, CANCEL)
PAUSE = 0.5  # share of a request's time after which the next batch is left to the next request

QUEUED, PREFLIGHTED, CANCELED = "queued", "preflighted", "canceled"
BOTH, RETRIED = "preflighted, and queued if that passes", "failed items are queued again, the others kept"
FREE = [status for status in Status if not status.busy]
# action -> status -> its effect on a batch in that status; in any other status it is refused.
WILL = {
    QUEUE: {status: QUEUED if status is Status.PREFLIGHT_PASSED else BOTH for status in FREE},
    PREFLIGHT: dict.fromkeys(FREE, PREFLIGHTED),
    RETRY: {status: BOTH if status is Status.PREFLIGHT_FAILED else RETRIED for status in actions.RETRIED},
    CANCEL: {Status.QUEUED: CANCELED},
}
BUSY = {Status.QUEUED: "it is queued already", Status.IMPORTING: "it is being imported"}


class Foreseen(NamedTuple):
    """The effect of an action on a batch, or why it would be refused."""

    sync_id: str
    status: str
    will: str | None
    refusal: str | None


def chosen(tx: Reading, ids: list[int]) -> dict[int, ChosenBatch]:
    """id -> batch, in the order given."""
    rows = {row["id"]: row for chunk in chunks(ids) for row in tx.all("find.chosen", ids=chunk)}
    return {number: rows[number] for number in ids if number in rows}


def in_order(tx: Reading, ids: list[int]) -> list[int]:
    """Sort the batches by when upstream completed them."""
    by_sync_id = {row["sync_id"]: number for number, row in chosen(tx, ids).items()}
    return [by_sync_id[sync_id] for sync_id in ledger.in_order_of_handover(tx, list(by_sync_id))]


def foresee(tx: Reading, what: str, ids: list[int]) -> list[Foreseen]:
    """Preview an action on each batch in its present status."""
    return [_foreseen(what, row["sync_id"], row["status"]) for row in chosen(tx, ids).values()]


def _foreseen(what: str, sync_id: str, status: str) -> Foreseen:
    effect = WILL[what].get(Status(status))
    return Foreseen(sync_id, status, effect, None if effect else _refusal(what, Status(status)))


def _refusal(what: str, status: Status) -> str:
    if what == CANCEL:
        if status is Status.IMPORTING:
            return "its job is running; only stopping the service ends it"
        return "it has no queued job"
    return BUSY.get(status) or actions.not_retried(status)


def perform(
    db: Database, mount: Mount, what: str, sync_ids: list[str], by: str, *, seconds: float
) -> tuple[list[BatchResult], list[str]]:
    """Run an action; return the results, and the batches not reached.

    A batch has all of the time that is left. If that is too little, the batch is the first of the next request; it
    fails only if all of the time is too little.
    """
    started = monotonic()
    results: list[BatchResult] = []
    for number, sync_id in enumerate(sync_ids):
        passed = monotonic() - started
        if number and passed > seconds * PAUSE:
            return results, sync_ids[number:]
        try:
            results.append(DO[what](db, mount, sync_id, by, seconds - passed))
        except MountTimeout as error:
            if number:
                return results, sync_ids[number:]
            results.append(BatchResult(sync_id, problem=str(error), hint=error.hint))
        except PanelError as error:
            results.append(BatchResult(sync_id, problem=str(error), hint=error.hint))
    return results, []


def _queue(db: Database, mount: Mount, sync_id: str, by: str, seconds: float) -> BatchResult:
    job_id = actions.queue_batch(db, mount, sync_id, by, seconds=seconds)
    return BatchResult(sync_id, job_id, did=f"queued as job {job_id}")


def _preflight(db: Database, mount: Mount, sync_id: str, by: str, seconds: float) -> BatchResult:
    outcome = actions.preflight_batch(db, mount, sync_id, by, seconds=seconds)
    if not outcome.ok:
        problem = f"The preflight failed: {'; '.join(outcome.problems)}."
        return BatchResult(sync_id, problem=problem, hint="Ask upstream to fix the bundle, then preflight it again.")
    counts = ", ".join(f"{count} {decision}" for decision, count in outcome.counts.items() if count)
    return BatchResult(sync_id, did=f"preflight passed: {counts or 'no item was planned'}")


def _retry(db: Database, mount: Mount, sync_id: str, by: str, seconds: float) -> BatchResult:
    foreseen = _foreseen(RETRY, sync_id, db.read(ledger.batch, sync_id)["status"])
    if foreseen.refusal:
        raise Refused(f"Batch {sync_id} is {foreseen.status}: {foreseen.refusal}.")
    job_id = actions.retry_batch(db, mount, sync_id, by, seconds=seconds)
    return BatchResult(sync_id, job_id, did=f"failed items are queued as job {job_id}")


def _cancel(db: Database, mount: Mount, sync_id: str, by: str, seconds: float) -> BatchResult:
    job_id = db.transact(_cancel_job_of, sync_id, by)
    return BatchResult(sync_id, job_id, did=f"job {job_id} canceled")


def _cancel_job_of(tx: Transaction, sync_id: str, by: str) -> int:
    batch = ledger.batch(tx, sync_id)
    job: LockedJob | None = tx.one("queue.active_job", batch_id=batch["id"])
    if job is None:
        raise Refused(f"Batch {sync_id} is {batch['status']}: it has no queued job.")
    queue.cancel(tx, job["id"], by)
    return job["id"]


DO: dict[str, Callable[[Database, Mount, str, str, float], BatchResult]] = {
    QUEUE: _queue, PREFLIGHT: _preflight, RETRY: _retry, CANCEL: _cancel,
}
