"""The queue as operators see it: enqueue, cancel, list (DESIGN section 8). Never claims; that is the worker's."""

from typing import Any

from . import ledger
from .database import Duplicate, Reading, Transaction
from .errors import NotFound, Refused
from .model import BatchStatus, JobState

PRIORITY = 100
STOP = "systemctl stop gpu-admin-panel-import-worker"


def enqueue(tx: Transaction, sync_id: str, by: str, *, priority: int = PRIORITY, auto_preflighted: bool = False) -> int:
    """Queue a batch whose preflight passed; returns the job's id. Raises NotFound, and Refused in any other status."""
    batch = ledger.lock(tx, sync_id)
    if batch["status"] != BatchStatus.PREFLIGHT_PASSED:
        raise _not_queueable(tx, batch)
    total = batch["item_count"]
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
    job = tx.one("queue.lock", job_id=job_id)
    if job is None:
        raise NotFound(f"There is no job {job_id}.", "Look at Import Tasks for the jobs there are.")
    if job["state"] != JobState.QUEUED:
        raise _not_cancelable(job)
    batch = tx.one("ledger.lock_by_id", batch_id=job["batch_id"])
    tx.run("queue.cancel", job_id=job_id, reason="canceled by operator")
    ledger.set_status(tx, batch["id"], BatchStatus.PREFLIGHT_PASSED)
    payload = {"cancelled_by": by, "job_id": str(job_id), "phase": "job_cancel"}
    ledger.append(tx, batch["id"], "job_canceled", payload, by)
    return batch["sync_id"]


def job(tx: Reading, job_id: int) -> dict[str, Any]:
    """One job with its bundle. Raises NotFound."""
    row = tx.one("queue.job", job_id=job_id)
    if row is None:
        raise NotFound(f"There is no job {job_id}.", "Look at Import Tasks for the jobs there are.")
    return row


def history(tx: Reading, batch_id: int, *, limit: int = 50) -> list[dict[str, Any]]:
    """The jobs of a batch, newest first."""
    return tx.all("queue.history", batch_id=batch_id, limit=limit)


def waiting(tx: Reading, *, limit: int = 50) -> list[dict[str, Any]]:
    """The queued jobs, the next one first, each with `now`, the database's time."""
    return tx.all("queue.in_state", state=JobState.QUEUED, limit=limit)


def running(tx: Reading, *, limit: int = 50) -> list[dict[str, Any]]:
    """The running jobs, each with `now`, the database's time."""
    return tx.all("queue.in_state", state=JobState.RUNNING, limit=limit)


def finished(tx: Reading, *, limit: int = 50) -> list[dict[str, Any]]:
    """The jobs that ended last, newest first."""
    return tx.all("queue.finished", limit=limit)


def count(tx: Reading, state: JobState, *, limit: int = 10_001) -> int:
    """How many jobs are in a state, counted no further than `limit`."""
    return tx.value("queue.count_in_state", state=state, limit=limit)


def _not_queueable(tx: Reading, batch: dict) -> Refused:
    name = f"Batch {batch['sync_id']}"
    active = tx.one("queue.active_job", batch_id=batch["id"])
    if active:
        return Refused(f"{name} is {active['state']} already, as job {active['id']}.", "Follow it on Import Tasks.")
    return Refused(f"{name} is {batch['status']}, not preflight_passed.", "Preflight it first.")


def _not_cancelable(job: dict) -> Refused:
    if job["state"] == JobState.RUNNING:
        return Refused(
            f"Job {job['id']} is running on {job['worker']}; only a queued job can be canceled.",
            f"Only stopping the service ends it: {STOP}",
        )
    return Refused(f"Job {job['id']} is {job['state']} already.", "There is nothing left to cancel.")
