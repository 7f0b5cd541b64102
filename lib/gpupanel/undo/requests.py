"""Which batches can be undone, in which order, and the batch of an undo."""

from uuid import uuid4

from .. import ledger, preflight_requests, workers
from ..db import ReadTransaction, Transaction
from ..errors import InvalidStateError
from ..models import advice_on_active_job
from ..rows import BatchRow
from .effective import UndoTarget, first_result

MAX_CHAIN = 1000  # undos that are queued one after the other


def raise_if_refused(tx: ReadTransaction, batch: BatchRow) -> None:
    """Raise InvalidStateError for a batch that cannot be undone now."""
    name = f"Batch {batch['sync_id']}"
    if active := tx.fetch_one("job_queue.active_job", batch_id=batch["id"]):
        raise InvalidStateError(
            f"{name} is {active['state']}, as job {active['id']}; an undo would race with it.",
            advice_on_active_job(active["state"]),
        )
    raise_if_archived(tx, batch)
    if first_result(tx, batch["id"]) is None:
        raise InvalidStateError(
            f"{name} has no results: it was not imported yet, or by another program.",
            "Only what this worker imported can be undone.",
        )
    workers.raise_if_foreign_claims(tx)


def raise_if_archived(tx: ReadTransaction, batch: BatchRow) -> None:
    """Raise InvalidStateError where an undo would miss results of the batch."""
    if ledger.has_archived_results(tx, batch["id"]):
        raise InvalidStateError(
            f"The results of batch {batch['sync_id']} are archived.",
            "Restore them with gpupanel restore-archive, then undo the batch.",
        )


def newest_first(tx: ReadTransaction, sync_ids: list[str]) -> list[str]:
    """Sort batches by their latest result, the newest first; those without one come last. Raises NotFoundError."""
    latest = {
        sync_id: tx.fetch_value("undo.latest_result", batch_id=ledger.get_batch(tx, sync_id)["id"]) or 0
        for sync_id in sync_ids
    }
    return sorted(sync_ids, key=lambda sync_id: (-latest[sync_id], sync_id))


def create(tx: Transaction, batch: BatchRow, actor: str) -> BatchRow:
    """Return the locked undo of a locked batch: the one that was not imported yet, or a new one.

    Raises InvalidStateError if it is queued, or a worker is to plan it.
    """
    sync_id = tx.fetch_value("undo.open", batch_id=batch["id"])
    if sync_id is None:
        sync_id = str(uuid4())
        tx.insert(
            "undo.create", sync_id=sync_id, sync_type=batch["sync_type"], undo_of=batch["id"], prior_sync_id=None
        )
        undo = ledger.lock_batch(tx, sync_id)
        facts = {"phase": "undo", "requested_by": actor, "undo_of": batch["sync_id"], "undo_sync_id": sync_id}
        for each in (batch, undo):
            ledger.append_event(tx, each["id"], "undo_requested", facts, actor)
        return undo
    undo = ledger.lock_batch(tx, sync_id)
    if active := tx.fetch_one("job_queue.active_job", batch_id=undo["id"]):
        raise InvalidStateError(
            f"Batch {batch['sync_id']} is being undone by batch {sync_id}: job {active['id']} is {active['state']}.",
            advice_on_active_job(active["state"]),
        )
    preflight_requests.raise_if_open(tx, undo)
    return undo


def lock_targets(tx: Transaction, undo_sync_id: str) -> tuple[BatchRow, BatchRow]:
    """Lock the batch that an undo takes back, then the undo; return both. Raises NotFoundError."""
    undo = ledger.get_batch(tx, undo_sync_id)
    row = tx.fetch_one("undo.batch", batch_id=undo["undo_of"])
    batch = ledger.lock_batch(tx, row["sync_id"])
    return batch, ledger.lock_batch(tx, undo_sync_id)


def chain(tx: ReadTransaction, batch: BatchRow, prior_sync_id: str | None) -> list[UndoTarget]:
    """The batches that are undone before a batch by jobs that are still active, in order, and the batch itself."""
    targets = [UndoTarget(batch["id"], batch["sync_id"])]
    while prior_sync_id and len(targets) < MAX_CHAIN:
        prior = tx.fetch_one("undo.active_prior", sync_id=prior_sync_id)
        if prior is None:
            break
        row = tx.fetch_one("undo.batch", batch_id=prior["undo_of"])
        targets.append(UndoTarget(row["id"], row["sync_id"]))
        prior_sync_id = prior["prior_sync_id"]
    return targets[::-1]
