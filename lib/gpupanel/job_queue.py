"""The import queue for operators: enqueue, cancel, hold, reprioritise, pause, list.

It never claims (docs/CONTRACT.md, 8. Queue).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from . import holds, ledger, perl_time, preflight_requests, workers
from .db import DuplicateKeyError, ReadTransaction, Transaction, fill
from .errors import InvalidInputError, InvalidStateError, NotFoundError
from .holds import Hold
from .models import BIGINT_MAX, BatchStatus, COUNT_LIMIT, HoldKind, JobState, PRIORITY, advice_on_active_job
from .pagination import Cursor, Page, PageOrder, build_page, keyset_condition, sort_order
from .rows import BatchRow, ChangedJob, EventRow, JobRow, ListedJob, LockedJob, QueueControl

PRIORITIES = range(-2**31, 2**31)  # the range of the column
STOP = "Only stopping its worker ends it; Import Tasks and docs/runbook.md say how."
WAITING = (JobState.QUEUED, JobState.HELD)  # the states that no worker works on
REASON_LENGTH = 500  # characters of a reason that a person gives
HELD_BY_OPERATOR = "held by {}"

# The cursors before and after all active jobs, which are listed by (priority, id), and all finished ones, by (end, id).
FIRST, LAST = Cursor(0, True, PRIORITIES[0]), Cursor(BIGINT_MAX, False, PRIORITIES[-1])
LATEST, EARLIEST = Cursor(BIGINT_MAX, False, datetime.max), Cursor(0, True, datetime(1000, 1, 1))


def enqueue(
    tx: Transaction, sync_id: str, actor: str, *, priority: int = PRIORITY, auto_preflighted: bool = False
) -> int:
    """Queue the failed and unprocessed items of a batch.

    Returns the job's id. The job is held while the job of its prior batch is active. Raises NotFoundError, and
    InvalidStateError unless the batch is preflight_passed, and a person preflighted what upstream delivered.
    """
    lock_chain(tx, sync_id)
    batch = ledger.lock_batch(tx, sync_id)
    if batch["status"] != BatchStatus.PREFLIGHT_PASSED:
        raise _not_queueable(tx, batch)
    _raise_if_unapproved(batch)
    preflight_requests.raise_if_open(tx, batch)
    _raise_if_undo_clashes(tx, batch)
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
    if reason := holds.decide(tx, batch["id"]):
        holds.hold(tx, job_id, reason, actor)
    return job_id


def _raise_if_unapproved(batch: BatchRow) -> None:
    if ledger.has_unapproved_plan(batch["status"], batch["changed_at"]):
        raise InvalidStateError(
            f"Upstream replaced the bundle of batch {batch['sync_id']}, and no person has preflighted it since.",
            "Run Preflight, check the new plan, then queue the batch.",
        )


def raise_if_active(tx: ReadTransaction, batch: BatchRow) -> None:
    """Raise InvalidStateError if a locked batch has an active job.

    A batch can be queued or importing without one after another program wrote to the queue; a preflight resets it.
    """
    is_busy = BatchStatus(batch["status"]).has_active_job
    if is_busy and tx.fetch_one("job_queue.active_job", batch_id=batch["id"]):
        raise InvalidStateError(
            f"Batch {batch['sync_id']} is {batch['status']}.", advice_on_active_job(batch["status"])
        )


def _raise_if_undo_clashes(tx: ReadTransaction, batch: BatchRow) -> None:
    """Refuse to import a batch and to undo it at once; both hold the row of the batch here."""
    if batch["undo_of"] is not None:
        workers.raise_if_foreign_claims(tx)
        if active := tx.fetch_one("job_queue.active_job", batch_id=batch["undo_of"]):
            raise InvalidStateError(
                f"Job {active['id']} of the batch that is to be undone is {active['state']}.",
                f"{advice_on_active_job(active['state'])} Then preflight the undo again.",
            )
    if active := tx.fetch_one("job_queue.active_undo", batch_id=batch["id"]):
        raise InvalidStateError(
            f"Batch {batch['sync_id']} is being undone by batch {active['sync_id']}: job {active['id']} is"
            f" {active['state']}.",
            advice_on_active_job(active["state"]),
        )


def lock_chain(tx: Transaction, sync_id: str) -> None:
    """Lock a batch, its prior and the batch that it undoes: the first locks of a transaction that queues the batch."""
    batch_id = tx.fetch_value("holds.batch_id", sync_id=sync_id)
    if batch_id is not None:
        holds.lock_chain(tx, batch_id)


def cancel(tx: Transaction, job_id: int, actor: str) -> str:
    """Cancel a queued or held job; return its sync_id. Raises NotFoundError, InvalidStateError."""
    job = _lock(tx, job_id)
    if job["state"] not in WAITING:
        raise _refused(job, "only a queued or held job can be canceled", "There is nothing left to cancel.")
    batch: BatchRow = tx.fetch_one("ledger.lock_by_id", batch_id=job["batch_id"])
    tx.execute("job_queue.cancel", job_id=job_id, reason="canceled by operator")
    ledger.set_status(tx, batch["id"], BatchStatus.PREFLIGHT_PASSED)
    payload = {"cancelled_by": actor, "job_id": str(job_id), "phase": "job_cancel"}
    ledger.append_event(tx, batch["id"], "job_canceled", payload, actor)
    holds.wake(tx, batch["id"], actor)
    return batch["sync_id"]


def hold(tx: Transaction, job_id: int, actor: str, reason: str = "") -> None:
    """Hold a queued or held job until a person releases it.

    Raises NotFoundError, InvalidInputError, InvalidStateError.
    """
    reason = _checked_reason(reason)
    job = _lock(tx, job_id)
    if job["state"] not in WAITING:
        raise _refused(job, "only a queued job can be held", "There is nothing left to hold.")
    if job["hold"] == HoldKind.OPERATOR:
        raise InvalidStateError(
            f"Job {job_id} is {job['hold_reason']} already.", f"gpupanel release {job_id} ends that."
        )
    tx.execute("holds.unhold", job_ids=[job_id])
    text = HELD_BY_OPERATOR.format(actor) + (f": {reason}" if reason else "")
    holds.hold(tx, job_id, Hold(HoldKind.OPERATOR, text), actor)
    touch(tx, job["batch_id"])


def release(tx: Transaction, job_id: int, actor: str) -> Hold | None:
    """End a hold of any kind but `prior`; return the hold that takes its place.

    Only the active job of a prior batch holds it again. Raises NotFoundError, InvalidStateError.
    """
    job = _lock(tx, job_id)
    if job["state"] != JobState.HELD:
        raise InvalidStateError(f"Job {job_id} is {job['state']}, not held.", "There is no hold to end.")
    if job["hold"] == HoldKind.PRIOR:
        raise InvalidStateError(
            f"Job {job_id} {job['hold_reason']}.", "The end of that job ends the hold; cancel that job to end it now."
        )
    again = holds.release(tx, job_id, job["batch_id"], actor)
    touch(tx, job["batch_id"])
    return again


def touch(tx: Transaction, batch_id: int) -> None:
    """Change the batch's `updated_at`, by which open pages see that its job changed."""
    tx.execute("job_queue.touch", batch_id=batch_id)


def pause(tx: Transaction, actor: str, reason: str) -> None:
    """Pause the queue: no worker of this version claims a job; running jobs continue.

    Raises InvalidInputError, and InvalidStateError if it is paused (docs/decisions/0140-a-second-pause-is-refused.md).
    """
    reason = _checked_reason(reason)
    tx.execute("job_queue.lock_control")
    if paused := control(tx):
        why = f": {paused['reason'].rstrip('.')}" if paused["reason"] else ""
        raise InvalidStateError(
            f"{paused['paused_by']} paused the queue already, at {paused['since']:%Y-%m-%d %H:%M:%S} UTC{why}.",
            "That pause stays as it is. Resume the queue first to pause it for another reason.",
        )
    tx.execute("job_queue.control", paused=1, actor=actor, reason=reason)


def resume(tx: Transaction, actor: str) -> bool:
    """Resume the queue; return whether it was paused."""
    return tx.execute("job_queue.control", paused=0, actor=actor, reason="") > 0


def control(tx: ReadTransaction) -> QueueControl | None:
    """Who paused the queue, why and since when; None while it is not paused."""
    row: QueueControl | None = tx.fetch_one("job_queue.paused")
    return row


def _checked_reason(reason: str) -> str:
    reason = reason.strip()
    if len(reason) > REASON_LENGTH:
        raise InvalidInputError(f"reason: found {len(reason)} characters, expected at most {REASON_LENGTH}")
    if not reason.isprintable():
        hidden = next(char for char in reason if not char.isprintable())
        raise InvalidInputError(f"reason: found {hidden!a}, expected printable characters on one line")
    return reason


def set_priority(tx: Transaction, job_id: int, priority: int, actor: str) -> int:
    """Change the priority of a queued or held job, lower first; return its position among the queued ones.

    Raises NotFoundError, InvalidInputError, and InvalidStateError if the job is neither queued nor held.
    """
    if priority not in PRIORITIES:
        raise InvalidInputError(f"priority: found {priority}, expected {PRIORITIES[0]} to {PRIORITIES[-1]}")
    job = _lock(tx, job_id)
    if job["state"] not in WAITING:
        raise _refused(job, "only a queued job's priority can be changed", "It has no position in the queue any more.")
    if job["priority"] != priority:
        tx.execute("job_queue.set_priority", job_id=job_id, priority=priority)
        payload = {"before": job["priority"], "job_id": job_id, "phase": "job_priority", "priority": priority}
        ledger.append_event(tx, job["batch_id"], "job_priority", payload, actor)
    return queue_position(tx, job_id, priority)


def queue_position(tx: ReadTransaction, job_id: int, priority: int, *, limit: int = COUNT_LIMIT + 1) -> int:
    """The position of a queued job, counted up to `limit`."""
    return int(tx.fetch_value("job_queue.count_ahead", job_id=job_id, priority=priority, limit=limit - 1)) + 1


def _lock(tx: Transaction, job_id: int) -> ChangedJob:
    job: ChangedJob | None = tx.fetch_one("job_queue.lock", job_id=job_id)
    if job is None:
        raise _not_found(job_id)
    _convert_to_utc(tx, [job])
    return job


def _not_found(job_id: int) -> NotFoundError:
    return NotFoundError(f"There is no job {job_id}.", "Import Tasks lists all jobs.")


def job(tx: ReadTransaction, job_id: int) -> JobRow:
    """One job with its bundle. Raises NotFoundError."""
    row: JobRow | None = tx.fetch_one("job_queue.job", job_id=job_id)
    if row is None:
        raise _not_found(job_id)
    _convert_to_utc(tx, [row])
    return row


def list_of_batch(tx: ReadTransaction, batch_id: int, *, limit: int = 50) -> list[LockedJob]:
    """The jobs of a batch, newest first."""
    rows: list[LockedJob] = tx.fetch_all("job_queue.history", batch_id=batch_id, limit=limit)
    _convert_to_utc(tx, rows)
    return rows


def list_queued(tx: ReadTransaction, *, limit: int = 50) -> list[ListedJob]:
    """The queued jobs in the order in which they are claimed."""
    return list_active(tx, JobState.QUEUED, limit=limit).rows


def list_active(
    tx: ReadTransaction, state: JobState, start: Cursor | None = None, *, limit: int = 50
) -> Page[ListedJob]:
    """A page of queued, held or running jobs, in the order of their claims."""
    start = start or FIRST
    found = _beyond(tx, "job_queue.list_active", start, limit + 1, "j.priority", state=state)
    return _in_utc(tx, build_page(found, start, limit, PageOrder("priority", True)))


def list_finished(
    tx: ReadTransaction, start: Cursor | None = None, *, state: JobState | str | None = None, limit: int = 50
) -> Page[ListedJob]:
    """A page of finished jobs, latest first, optionally of one state."""
    start = start or LATEST
    name = "job_queue.ended_in_state" if state else "job_queue.list_finished"
    found = _beyond(tx, name, start, limit + 1, "j.finished_at", state=state)
    return _in_utc(tx, build_page(found, start, limit, PageOrder("finished_at", False)))


def _in_utc(tx: ReadTransaction, page: Page[ListedJob]) -> Page[ListedJob]:
    """Convert the times that the Perl worker wrote, after the cursors were made of those in the database."""
    _convert_to_utc(tx, page.rows)
    return page


def _convert_to_utc(tx: ReadTransaction, jobs: Sequence[LockedJob]) -> None:
    """Convert the times that another program wrote, where it writes those of a local zone."""
    if tx.perl_zone is None or not jobs:
        return
    here = {row["id"] for row in tx.fetch_all("job_queue.queued_here", job_ids=[job["id"] for job in jobs])}
    perl_time.convert_to_utc(tx.perl_zone, jobs, {job["id"] for job in jobs} - here)


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
        return InvalidStateError(
            f"{name} is {active['state']} already, as job {active['id']}.", "Follow it on Import Tasks."
        )
    if BatchStatus(batch["status"]).has_active_job:
        return InvalidStateError(f"{name} is {batch['status']}, but has no active job.", "Preflight it; then queue it.")
    return InvalidStateError(f"{name} is {batch['status']}, not preflight_passed.", "Preflight it first.")


def _refused(job: ChangedJob, rule: str, hint_if_ended: str) -> InvalidStateError:
    if job["state"] == JobState.RUNNING:
        message = f"Job {job['id']} is running on {job['worker']}; {rule}."
        return InvalidStateError(message, _hint_while_running(job))
    return InvalidStateError(f"Job {job['id']} is {job['state']} already.", hint_if_ended)


def _hint_while_running(job: ChangedJob) -> str:
    """How to stop a running job, or what becomes of one whose worker is late."""
    if not workers.is_job_late(job, job["now"]):
        return STOP
    seen = job["heartbeat_at"] or job["claimed_at"]
    if seen is None:
        return "No heartbeat of its worker is known. Another worker takes the job over stale_minutes after it saw it."
    return (
        f"Its worker is late: the last heartbeat was at {seen:%Y-%m-%d %H:%M:%S} UTC. Another worker takes the job over"
        " stale_minutes after that."
    )
