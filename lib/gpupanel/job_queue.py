"""The import queue for operators: enqueue, cancel, reprioritise, list.

It never claims (docs/CONTRACT.md, 8. Queue).
"""

from datetime import datetime
from typing import Any

from . import ledger
from .db import DuplicateKeyError, ReadTransaction, Transaction, fill
from .errors import InvalidInputError, InvalidStateError, NotFoundError
from .models import BIGINT_MAX, BatchStatus, COUNT_LIMIT, JobState
from .pagination import Cursor, Page, build_page, keyset_condition, sort_order
from .rows import BatchRow, EventRow, JobRow, ListedJob, LockedJob, QueueSummary

PRIORITY = 100
PRIORITIES = range(-2**31, 2**31)  # the range of the column
SERVICE = "gpu-admin-panel-import-worker"
STOP = f"systemctl stop {SERVICE}"

# The cursors before and after all active jobs, which are listed by (priority, id), and all finished ones, by (end, id).
FIRST, LAST = Cursor(0, True, PRIORITIES[0]), Cursor(BIGINT_MAX, False, PRIORITIES[-1])
LATEST, EARLIEST = Cursor(BIGINT_MAX, False, datetime.max), Cursor(0, True, datetime(1000, 1, 1))


def enqueue(
    tx: Transaction, sync_id: str, actor: str, *, priority: int = PRIORITY, auto_preflighted: bool = False
) -> int:
    """Queue the failed and unprocessed items of a batch.

    Returns the job's id. Raises NotFoundError, and InvalidStateError unless the batch is preflight_passed.
    """
    batch = ledger.lock_batch(tx, sync_id)
    if batch["status"] != BatchStatus.PREFLIGHT_PASSED:
        raise _not_queueable(tx, batch)
    total = max(0, batch["item_count"] - tx.fetch_value("ledger.count_done", batch_id=batch["id"]))
    try:
        job_id = tx.insert(
            "job_queue.enqueue", batch_id=batch["id"], priority=priority, requested_by=actor, items_total=total
        )
    except DuplicateKeyError:
        raise _not_queueable(tx, batch) from None
    ledger.set_status(tx, batch["id"], BatchStatus.QUEUED)
    payload = {
        "auto_preflighted": int(auto_preflighted), "items_total": str(total), "job_id": job_id,
        "phase": "job_queue", "requested_by": actor,
    }
    ledger.append_event(tx, batch["id"], "job_queued", payload, actor)
    return job_id


def cancel(tx: Transaction, job_id: int, actor: str) -> str:
    """Cancel a queued job; return its sync_id. Raises NotFoundError, InvalidStateError."""
    job = _lock(tx, job_id)
    if job["state"] != JobState.QUEUED:
        raise _refused(job, "only a queued job can be canceled", "There is nothing left to cancel.")
    batch: BatchRow = tx.fetch_one("ledger.lock_by_id", batch_id=job["batch_id"])
    tx.execute("job_queue.cancel", job_id=job_id, reason="canceled by operator")
    ledger.set_status(tx, batch["id"], BatchStatus.PREFLIGHT_PASSED)
    payload = {"cancelled_by": actor, "job_id": str(job_id), "phase": "job_cancel"}
    ledger.append_event(tx, batch["id"], "job_canceled", payload, actor)
    return batch["sync_id"]


def set_priority(tx: Transaction, job_id: int, priority: int, actor: str) -> int:
    """Change a queued job's priority, lower first; return its position.

    Raises NotFoundError, InvalidInputError, and InvalidStateError unless the job is queued.
    """
    if priority not in PRIORITIES:
        raise InvalidInputError(f"priority: found {priority}, expected {PRIORITIES[0]} to {PRIORITIES[-1]}")
    job = _lock(tx, job_id)
    if job["state"] != JobState.QUEUED:
        raise _refused(job, "only a queued job's priority can be changed", "It has no position in the queue any more.")
    if job["priority"] != priority:
        tx.execute("job_queue.set_priority", job_id=job_id, priority=priority)
        payload = {"before": job["priority"], "job_id": job_id, "phase": "job_priority", "priority": priority}
        ledger.append_event(tx, job["batch_id"], "job_priority", payload, actor)
    return queue_position(tx, job_id, priority)


def queue_position(tx: ReadTransaction, job_id: int, priority: int, *, limit: int = COUNT_LIMIT + 1) -> int:
    """The position of a queued job, counted up to `limit`."""
    return int(tx.fetch_value("job_queue.count_ahead", job_id=job_id, priority=priority, limit=limit - 1)) + 1


def _lock(tx: Transaction, job_id: int) -> LockedJob:
    job: LockedJob | None = tx.fetch_one("job_queue.lock", job_id=job_id)
    if job is None:
        raise _not_found(job_id)
    return job


def _not_found(job_id: int) -> NotFoundError:
    return NotFoundError(f"There is no job {job_id}.", "Import Tasks lists all jobs.")


def job(tx: ReadTransaction, job_id: int) -> JobRow:
    """One job with its bundle. Raises NotFoundError."""
    row: JobRow | None = tx.fetch_one("job_queue.job", job_id=job_id)
    if row is None:
        raise _not_found(job_id)
    return row


def list_of_batch(tx: ReadTransaction, batch_id: int, *, limit: int = 50) -> list[LockedJob]:
    """The jobs of a batch, newest first."""
    return tx.fetch_all("job_queue.history", batch_id=batch_id, limit=limit)


def list_queued(tx: ReadTransaction, *, limit: int = 50) -> list[ListedJob]:
    """The queued jobs in the order in which they are claimed."""
    return list_active(tx, JobState.QUEUED, limit=limit).rows


def list_running(tx: ReadTransaction, *, limit: int = 50) -> list[ListedJob]:
    """The running jobs."""
    return list_active(tx, JobState.RUNNING, limit=limit).rows


def list_active(tx: ReadTransaction, state: JobState, start: Cursor | None = None, *, limit: int = 50) -> Page[ListedJob]:
    """A page of queued or running jobs, in the order of their claims."""
    start = start or FIRST
    found = _beyond(tx, "job_queue.list_active", start, limit + 1, "j.priority", state=state)
    return build_page(found, start, limit, "priority", list_ascending=True)


def list_finished(
    tx: ReadTransaction, start: Cursor | None = None, *, state: JobState | str | None = None, limit: int = 50
) -> Page[ListedJob]:
    """A page of finished jobs, latest first, optionally of one state."""
    start = start or LATEST
    name = "job_queue.ended_in_state" if state else "job_queue.list_finished"
    found = _beyond(tx, name, start, limit + 1, "j.finished_at", state=state)
    return build_page(found, start, limit, "finished_at", list_ascending=False)


def finished_cursor(tx: ReadTransaction, job_id: int, *, ascending: bool) -> Cursor | None:
    """The cursor of a finished job; None if the job has not finished."""
    finished_at: datetime | None = tx.fetch_value("job_queue.ended_at", job_id=job_id)
    return Cursor(job_id, ascending, finished_at) if finished_at else None


def _beyond(tx: ReadTransaction, name: str, start: Cursor, limit: int, key: str, **params: str | None) -> list[Any]:
    """The rows beyond a cursor, nearest first."""
    beyond = keyset_condition(key, "j.id", "start", start.ascending)
    statement = fill(name, beyond=beyond, order=sort_order(start.ascending))
    return tx.fetch_all_sql(statement, **start.parameters("start"), limit=limit, **params)


def progress_events(tx: ReadTransaction, batch_ids: list[int], *, limit: int) -> dict[int, list[EventRow]]:
    """batch id -> its claim event and up to `limit` progress events."""
    progress: dict[int, list[EventRow]] = {batch_id: [] for batch_id in batch_ids}
    parts = [fill("job_queue.progress_events", batch_id=f"%(batch_{index})s") for index in range(len(batch_ids))]
    params = {f"batch_{index}": batch_id for index, batch_id in enumerate(batch_ids)}
    for row in tx.fetch_all_sql("\nUNION ALL\n".join(parts) + "\nORDER BY id", limit=limit, **params) if parts else ():
        progress[row["batch_id"]].append(row)
    return progress


def summary(tx: ReadTransaction, *, hours: int = 24, limit: int = COUNT_LIMIT + 1) -> QueueSummary:
    """Summarise the queue; `failed` counts the last hours only."""
    summary: QueueSummary = tx.fetch_one("job_queue.summary", hours=hours, bound=limit - 1)
    queued_at: Any = summary["oldest"]
    summary["oldest"] = queued_at and summary["now"] - queued_at
    return summary


def count_ended(tx: ReadTransaction, state: JobState, *, hours: int = 24, limit: int = COUNT_LIMIT + 1) -> int:
    """The number of jobs that finished so lately, counted up to `limit`."""
    return int(tx.fetch_value("job_queue.count_ended", state=state, hours=hours, limit=limit))


def count_up_to(tx: ReadTransaction, *, limit: int = COUNT_LIMIT + 1) -> dict[str, int]:
    """state -> number of jobs, each counted up to `limit`."""
    parts = [fill("job_queue.count_in", state=str(state)) for state in JobState]
    numbers: dict[str, int]
    [numbers] = tx.fetch_all_sql(f"SELECT {', '.join(parts)}", bound=limit - 1)
    return numbers


def count_all(tx: ReadTransaction) -> dict[str, int]:
    """state -> exact number of jobs, by reading a whole index."""
    numbers = {row["state"]: row["jobs"] for row in tx.fetch_all("job_queue.count_by_state")}
    return {str(state): numbers.get(state, 0) for state in JobState}


def _not_queueable(tx: ReadTransaction, batch: BatchRow) -> InvalidStateError:
    name = f"Batch {batch['sync_id']}"
    active = tx.fetch_one("job_queue.active_job", batch_id=batch["id"])
    if active:
        return InvalidStateError(f"{name} is {active['state']} already, as job {active['id']}.", "Follow it on Import Tasks.")
    return InvalidStateError(f"{name} is {batch['status']}, not preflight_passed.", "Preflight it first.")


def _refused(job: LockedJob, rule: str, hint_if_ended: str) -> InvalidStateError:
    if job["state"] == JobState.RUNNING:
        return InvalidStateError(
            f"Job {job['id']} is running on {job['worker']}; {rule}.", f"Only stopping the service ends it: {STOP}"
        )
    return InvalidStateError(f"Job {job['id']} is {job['state']} already.", hint_if_ended)
