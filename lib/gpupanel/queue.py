"""The queue as operators see it: enqueue, cancel, reorder, list (docs/CONTRACT.md, 8). Never claims; that is the worker's."""

from datetime import datetime
from typing import Any, NamedTuple

from . import ledger
from .database import Duplicate, Reading, Transaction, query
from .errors import InvalidInput, NotFound, Refused
from .model import BOUND, HIGHEST, BatchStatus, JobState

PRIORITY = 100
PRIORITIES = range(-2**31, 2**31)  # what the column holds
SERVICE = "gpu-admin-panel-import-worker"
STOP = f"systemctl stop {SERVICE}"


class Place(NamedTuple):
    """Where in a list of jobs a page begins: beyond (priority, id), or (end, id); `back`: with those before it."""

    at: int | datetime
    id: int
    back: bool = False


class Page(NamedTuple):
    """Jobs in the order of their list, and where its neighbours begin."""

    rows: list[dict[str, Any]]
    previous: Place | None
    next: Place | None


FIRST, LAST = Place(PRIORITIES[0], 0), Place(PRIORITIES[-1], HIGHEST, True)
LATEST, EARLIEST = Place(datetime.max, HIGHEST), Place(datetime(1000, 1, 1), 0, True)
ENDS = (FIRST, LAST, LATEST, EARLIEST)


def enqueue(tx: Transaction, sync_id: str, by: str, *, priority: int = PRIORITY, auto_preflighted: bool = False) -> int:
    """Queue what is open of a batch whose preflight passed: the items that no job has done since they were planned, or that
    failed. Returns the job's id. Raises NotFound, and Refused in any other status."""
    batch = ledger.lock(tx, sync_id)
    if batch["status"] != BatchStatus.PREFLIGHT_PASSED:
        raise _not_queueable(tx, batch)
    total = max(0, batch["item_count"] - tx.value("ledger.count_done", batch_id=batch["id"]))
    try:
        job_id = tx.insert(
            "queue.enqueue", batch_id=batch["id"], priority=priority, requested_by=by, items_total=total
        )
    except Duplicate:
        raise _not_queueable(tx, batch) from None
    ledger.set_status(tx, batch["id"], BatchStatus.QUEUED)
    payload = {
        "auto_preflighted": int(auto_preflighted), "items_total": str(total), "job_id": job_id,
        "phase": "job_queue", "requested_by": by,
    }
    ledger.append(tx, batch["id"], "job_queued", payload, by)
    return job_id


def cancel(tx: Transaction, job_id: int, by: str) -> str:
    """Cancel a queued job; returns the sync_id of its batch. Raises NotFound, and Refused once it runs or has ended."""
    job = _locked(tx, job_id)
    if job["state"] != JobState.QUEUED:
        raise _refused(job, "only a queued job can be canceled", "There is nothing left to cancel.")
    batch = tx.one("ledger.lock_by_id", batch_id=job["batch_id"])
    tx.run("queue.cancel", job_id=job_id, reason="canceled by operator")
    ledger.set_status(tx, batch["id"], BatchStatus.PREFLIGHT_PASSED)
    payload = {"cancelled_by": by, "job_id": str(job_id), "phase": "job_cancel"}
    ledger.append(tx, batch["id"], "job_canceled", payload, by)
    return batch["sync_id"]


def set_priority(tx: Transaction, job_id: int, priority: int, by: str) -> int:
    """Give a queued job another priority, lower first; returns its place in line from then on, as `place` does.

    Raises NotFound, InvalidInput, and Refused once the job runs or has ended.
    """
    if priority not in PRIORITIES:
        raise InvalidInput(f"priority: found {priority}, expected {PRIORITIES[0]} to {PRIORITIES[-1]}")
    job = _locked(tx, job_id)
    if job["state"] != JobState.QUEUED:
        raise _refused(job, "only a queued job's priority can be changed", "There is no place in line to change.")
    if job["priority"] != priority:
        tx.run("queue.set_priority", job_id=job_id, priority=priority)
        payload = {"before": job["priority"], "job_id": job_id, "phase": "job_priority", "priority": priority}
        ledger.append(tx, job["batch_id"], "job_priority", payload, by)
    return place(tx, job_id, priority)


def place(tx: Reading, job_id: int, priority: int, *, limit: int = BOUND + 1) -> int:
    """The place in line of a queued job with this priority, counted no further than `limit`."""
    return tx.value("queue.ahead", job_id=job_id, priority=priority, limit=limit - 1) + 1


def _locked(tx: Transaction, job_id: int) -> dict[str, Any]:
    job = tx.one("queue.lock", job_id=job_id)
    if job is None:
        raise _unknown(job_id)
    return job


def _unknown(job_id: int) -> NotFound:
    return NotFound(f"There is no job {job_id}.", "Look at Import Tasks for the jobs there are.")


def job(tx: Reading, job_id: int) -> dict[str, Any]:
    """One job with its bundle. Raises NotFound."""
    row = tx.one("queue.job", job_id=job_id)
    if row is None:
        raise _unknown(job_id)
    return row


def history(tx: Reading, batch_id: int, *, limit: int = 50) -> list[dict[str, Any]]:
    """The jobs of a batch, newest first."""
    return tx.all("queue.history", batch_id=batch_id, limit=limit)


def waiting(tx: Reading, *, limit: int = 50) -> list[dict[str, Any]]:
    """The queued jobs, the next one first, each with `now`, the database's time."""
    return line(tx, JobState.QUEUED, limit=limit).rows


def running(tx: Reading, *, limit: int = 50) -> list[dict[str, Any]]:
    """The running jobs, each with `now`, the database's time."""
    return line(tx, JobState.RUNNING, limit=limit).rows


def line(tx: Reading, state: JobState, start: Place | None = None, *, limit: int = 50) -> Page:
    """The queued or running jobs beyond a place, in the order in which they are claimed; a place is (priority, id)."""
    found = _beyond(tx, "queue.line", start or FIRST, limit + 1, state=state, priority=(start or FIRST).at)
    return _page(found, start, limit, "priority")


def ended(tx: Reading, start: Place | None = None, *, state: JobState | None = None, limit: int = 50) -> Page:
    """The jobs that have ended, the latest first, beyond a place, which is (end, id); of one outcome if `state` is given."""
    name = "queue.ended_in_state" if state else "queue.ended"
    found = _beyond(tx, name, start or LATEST, limit + 1, descending=True, state=state, at=(start or LATEST).at)
    return _page(found, start, limit, "finished_at")


def ended_place(tx: Reading, job_id: int, *, back: bool) -> Place | None:
    """The place of a job among those that have ended; None when it has not."""
    at = tx.value("queue.ended_at", job_id=job_id)
    return at and Place(at, job_id, back)


def _beyond(tx: Reading, name: str, start: Place, limit: int, *, descending: bool = False, **params) -> list[dict[str, Any]]:
    """Rows beyond the place, in the order in which they are met."""
    upwards = start.back == descending
    statement = query(name).format(beyond=">" if upwards else "<", way="ASC" if upwards else "DESC")
    return tx.all_of(statement, id=start.id, limit=limit, **params)


def _page(found: list[dict[str, Any]], start: Place | None, limit: int, key: str) -> Page:
    """Of one row more than fits, the page and its neighbours."""
    back, more = start is not None and start.back, len(found) > limit
    rows = found[:limit][::-1] if back else found[:limit]
    if not rows:
        return Page(rows, None, None)
    first, last = Place(rows[0][key], rows[0]["id"], True), Place(rows[-1][key], rows[-1]["id"])
    inside = start is not None and start not in ENDS
    if back:
        return Page(rows, first if more else None, last if inside else None)
    return Page(rows, first if inside else None, last if more else None)


def marks(tx: Reading, batch_ids: list[int], *, limit: int) -> dict[int, list[dict[str, Any]]]:
    """batch id -> the events that tell how its running job gets on, the oldest first: its claim, and up to `limit` more."""
    known: dict[int, list[dict[str, Any]]] = {batch_id: [] for batch_id in batch_ids}
    parts = [query("queue.marks").format(batch_id=batch_id) for batch_id in batch_ids]
    for row in tx.all_of("\nUNION ALL\n".join(parts) + "\nORDER BY id", limit=limit) if parts else ():
        known[row["batch_id"]].append(row)
    return known


def glance(tx: Reading, *, hours: int = 24, limit: int = BOUND + 1) -> dict[str, Any]:
    """How many jobs are `queued`, `running` and have `failed` in the last hours, each counted no further than `limit`, and
    for how long the first one has been queued: `oldest`, None when nothing waits. `now` is the database's time."""
    row = tx.one("queue.glance", hours=hours, bound=limit - 1)
    return row | {"oldest": row["oldest"] and row["now"] - row["oldest"]}


def count_ended(tx: Reading, state: JobState, *, hours: int = 24, limit: int = BOUND + 1) -> int:
    """How many jobs ended so in the last hours, counted no further than `limit`."""
    return tx.value("queue.count_ended", state=state, hours=hours, limit=limit)


def counts(tx: Reading, *, limit: int = BOUND + 1) -> dict[str, int]:
    """state -> how many jobs, counted no further than `limit` each."""
    parts = [query("queue.count_in").format(state=state) for state in JobState]
    [numbers] = tx.all_of(f"SELECT {', '.join(parts)}", bound=limit - 1)
    return numbers


def census(tx: Reading) -> dict[str, int]:
    """state -> how many jobs, all of them: that reads a whole index, in a fraction of a second for a million jobs."""
    found = {row["state"]: row["jobs"] for row in tx.all("queue.census")}
    return {str(state): found.get(state, 0) for state in JobState}


def _not_queueable(tx: Reading, batch: dict) -> Refused:
    name = f"Batch {batch['sync_id']}"
    active = tx.one("queue.active_job", batch_id=batch["id"])
    if active:
        return Refused(f"{name} is {active['state']} already, as job {active['id']}.", "Follow it on Import Tasks.")
    return Refused(f"{name} is {batch['status']}, not preflight_passed.", "Preflight it first.")


def _refused(job: dict, rule: str, nothing: str) -> Refused:
    if job["state"] == JobState.RUNNING:
        return Refused(
            f"Job {job['id']} is running on {job['worker']}; {rule}.", f"Only stopping the service ends it: {STOP}"
        )
    return Refused(f"Job {job['id']} is {job['state']} already.", nothing)
