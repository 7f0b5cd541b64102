"""Many batches at once: what would become of each, and doing it a bounded part at a time (docs/decisions/0027).

Each batch is settled by itself, by what its status is at that moment. So nothing happens twice when the same selection is
sent twice, and one batch that is refused holds up none of the others.
"""

from time import monotonic
from typing import Any, NamedTuple

from . import actions, ledger, queue
from .database import Database, Reading, Transaction, chunks
from .errors import MountTimeout, PanelError, Refused
from .model import BatchStatus as Status
from .mount import Mount

QUEUE, PREFLIGHT, RETRY, CANCEL = "queue", "preflight", "retry", "cancel"
BULKS = (QUEUE, PREFLIGHT, RETRY, CANCEL)
PAUSE = 0.5  # of the time that a request has, how much may pass before a batch is left for the next request

QUEUED, PREFLIGHTED, CANCELED = "queued", "preflighted", "canceled"
BOTH, RETRIED = "preflighted, and queued if that passes", "what failed is queued again; what is done stays"
FREE = [status for status in Status if not status.busy]
# what -> status -> what will become of a batch in it; in any other status it is refused.
WILL = {
    QUEUE: {status: QUEUED if status is Status.PREFLIGHT_PASSED else BOTH for status in FREE},
    PREFLIGHT: dict.fromkeys(FREE, PREFLIGHTED),
    RETRY: {status: BOTH if status is Status.PREFLIGHT_FAILED else RETRIED for status in actions.RETRIED},
    CANCEL: {Status.QUEUED: CANCELED},
}
BUSY = {Status.QUEUED: "it is queued already", Status.IMPORTING: "it is being imported"}


class Foreseen(NamedTuple):
    """What will become of a batch; `refusal` says why nothing will."""

    sync_id: str
    status: str
    will: str | None
    refusal: str | None


class Outcome(NamedTuple):
    """What became of a batch: what was done, or the problem and what to do next."""

    sync_id: str
    job_id: int | None
    problem: str | None
    hint: str
    did: str | None


def chosen(tx: Reading, ids: list[int]) -> dict[int, dict[str, Any]]:
    """id -> sync_id and status of these batches, in the order given."""
    known = {row["id"]: row for some in chunks(ids) for row in tx.all("find.chosen", ids=some)}
    return {number: known[number] for number in ids if number in known}


def in_order(tx: Reading, ids: list[int]) -> list[int]:
    """The batches in the order in which upstream handed them over, so that an update follows what it updates."""
    known = {row["sync_id"]: number for number, row in chosen(tx, ids).items()}
    return [known[sync_id] for sync_id in ledger.in_order_of_handover(tx, list(known))]


def foresee(tx: Reading, what: str, ids: list[int]) -> list[Foreseen]:
    """What `what` would do with each batch as it is now."""
    return [_foreseen(what, row["sync_id"], row["status"]) for row in chosen(tx, ids).values()]


def _foreseen(what: str, sync_id: str, status: str) -> Foreseen:
    will = WILL[what].get(Status(status))
    return Foreseen(sync_id, status, will, None if will else _refusal(what, Status(status)))


def _refusal(what: str, status: Status) -> str:
    if what == CANCEL:
        return "it runs; only stopping the service ends it" if status is Status.IMPORTING else "no job of it is queued"
    return BUSY.get(status) or actions.not_retried(status)


def perform(
    db: Database, mount: Mount, what: str, sync_ids: list[str], by: str, *, seconds: float
) -> tuple[list[Outcome], list[str]]:
    """Do it, in the order given; returns the outcomes, and the batches that the time did not suffice for.

    A batch that begins has what is left of the time; one that needs more is tried again as the first of the next
    request, and counts as failed only when all of the time is too little.
    """
    started, outcomes = monotonic(), []
    for number, sync_id in enumerate(sync_ids):
        passed = monotonic() - started
        if number and passed > seconds * PAUSE:
            return outcomes, sync_ids[number:]
        try:
            outcomes.append(_one(db, mount, what, sync_id, by, seconds - passed))
        except MountTimeout as error:
            if number:
                return outcomes, sync_ids[number:]
            outcomes.append(Outcome(sync_id, None, str(error), error.hint, None))
    return outcomes, []


def _one(db: Database, mount: Mount, what: str, sync_id: str, by: str, seconds: float) -> Outcome:
    try:
        return DO[what](db, mount, sync_id, by, seconds)
    except MountTimeout:
        raise
    except PanelError as error:
        return Outcome(sync_id, None, str(error), error.hint, None)


def _queue(db: Database, mount: Mount, sync_id: str, by: str, seconds: float) -> Outcome:
    job_id = actions.queue_batch(db, mount, sync_id, by, seconds=seconds)
    return Outcome(sync_id, job_id, None, "", f"queued as job {job_id}")


def _preflight(db: Database, mount: Mount, sync_id: str, by: str, seconds: float) -> Outcome:
    outcome = actions.preflight_batch(db, mount, sync_id, by, seconds=seconds)
    if not outcome.ok:
        problem = f"The preflight failed: {'; '.join(outcome.problems)}."
        return Outcome(sync_id, None, problem, "Mend the bundle and preflight it again.", None)
    counts = ", ".join(f"{count} {decision}" for decision, count in outcome.counts.items() if count)
    return Outcome(sync_id, None, None, "", f"preflight passed: {counts or 'no item was planned'}")


def _retry(db: Database, mount: Mount, sync_id: str, by: str, seconds: float) -> Outcome:
    foreseen = _foreseen(RETRY, sync_id, db.read(ledger.batch, sync_id)["status"])
    if foreseen.refusal:
        raise Refused(f"Batch {sync_id} is {foreseen.status}: {foreseen.refusal}.")
    job_id = actions.retry_batch(db, mount, sync_id, by, seconds=seconds)
    return Outcome(sync_id, job_id, None, "", f"what failed is queued as job {job_id}")


def _cancel(db: Database, mount: Mount, sync_id: str, by: str, seconds: float) -> Outcome:
    job_id = db.transact(_cancel_job_of, sync_id, by)
    return Outcome(sync_id, job_id, None, "", f"job {job_id} canceled")


def _cancel_job_of(tx: Transaction, sync_id: str, by: str) -> int:
    batch = ledger.batch(tx, sync_id)
    job = tx.one("queue.active_job", batch_id=batch["id"])
    if job is None:
        raise Refused(f"Batch {sync_id} is {batch['status']}: no job of it is queued.")
    queue.cancel(tx, job["id"], by)
    return job["id"]


DO = {QUEUE: _queue, PREFLIGHT: _preflight, RETRY: _retry, CANCEL: _cancel}
