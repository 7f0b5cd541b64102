"""Preflights that are too long for a request: ask for one, cancel it, read how it stands.

A worker claims a request as it claims jobs (worker/preflights.py). While a request is queued or running, its batch is
neither preflighted nor queued by others (docs/decisions/0114-holds-and-workers-in-rows.md).
"""

from . import ledger
from .db import ReadTransaction, Transaction
from .errors import InvalidStateError
from .models import EventType, PRIORITY
from .rows import BatchRow, PreflightRequest

OPEN_STATES = ("queued", "running")


def of_batch(tx: ReadTransaction, batch_id: int) -> PreflightRequest | None:
    """The latest request of a batch, None if there is none."""
    row: PreflightRequest | None = tx.fetch_one("preflights.of_batch", batch_id=batch_id)
    return row


def raise_if_open(tx: ReadTransaction, batch: BatchRow) -> None:
    """Raise InvalidStateError if a worker is to preflight the batch, or does so now."""
    request = of_batch(tx, batch["id"])
    if request and request["state"] in OPEN_STATES:
        raise InvalidStateError(
            f"A preflight of batch {batch['sync_id']} was requested by {request['requested_by']};"
            f" it is {request['state']}.",
            "Wait until a worker has made it, or cancel the request.",
        )


def request(
    tx: Transaction, batch_id: int, actor: str, *, then_queue: int | None = None, although_older: bool = False
) -> None:
    """Ask the workers for a preflight; `then_queue` is the priority with which it queues the batch if it passes.

    Raises InvalidStateError if a request is open or a job is active.
    """
    batch: BatchRow = tx.fetch_one("ledger.lock_by_id", batch_id=batch_id)
    if active := tx.fetch_one("job_queue.active_job", batch_id=batch_id):
        raise InvalidStateError(
            f"Batch {batch['sync_id']} is {active['state']} already, as job {active['id']}.",
            "Follow it on Import Tasks.",
        )
    raise_if_open(tx, batch)
    queue = {"then_queue": int(then_queue is not None), "priority": PRIORITY if then_queue is None else then_queue}
    facts = queue | {"actor": actor, "although_older": int(although_older)}
    if not tx.execute("preflights.request_again", batch_id=batch_id, **facts):
        tx.execute("preflights.request", batch_id=batch_id, **facts)
    payload: dict[str, object] = queue | {"phase": "preflight_request", "requested_by": actor}
    _append_event(tx, batch_id, "preflight_requested", payload, actor)


def cancel(tx: Transaction, sync_id: str, actor: str) -> None:
    """Cancel the open request of a batch; a worker that makes it writes nothing.

    Raises NotFoundError, InvalidStateError.
    """
    batch = ledger.lock_batch(tx, sync_id)
    if not tx.execute("preflights.cancel", batch_id=batch["id"], reason=f"canceled by {actor}"):
        message = f"Batch {sync_id} has no open preflight request."
        raise InvalidStateError(message, "There is nothing left to cancel.")
    _append_event(tx, batch["id"], "preflight_canceled", {"cancelled_by": actor, "phase": "preflight_cancel"}, actor)


def _append_event(
    tx: Transaction, batch_id: int, event_type: EventType, payload: dict[str, object], actor: str
) -> None:
    """Append an event, and change the batch, by which open pages see it."""
    ledger.append_event(tx, batch_id, event_type, payload, actor)
    tx.execute("preflights.touch", batch_id=batch_id)
