"""Stale jobs: running jobs whose worker is dead. Each worker looks for them, and requeues or fails them.

docs/CONTRACT.md, "8. Queue".
"""

from typing import Any

from .. import holds, ledger
from ..db import ReadTransaction, Transaction
from ..models import BatchStatus, EventType
from .claims import job_label


def see_jobs_without_times(tx: Transaction) -> int:
    """Give running jobs without the time of a claim or a heartbeat the present time; return their number.

    A worker of another program that lives writes its own heartbeat; the job of a dead one is stale after the threshold.
    """
    jobs = tx.fetch_all("stale_jobs.lock_without_times")
    for job in jobs:
        tx.execute("stale_jobs.see", job_id=job["id"], perl_offset=tx.perl_offset(0))
    return len(jobs)


def list_stale(tx: ReadTransaction, seconds: float) -> dict[int, str]:
    """Return the labels of stale running jobs by id, oldest first."""
    rows = tx.fetch_all("stale_jobs.list", seconds=seconds, perl_offset=tx.perl_offset(seconds))
    return {row["id"]: job_label(row["id"], row["sync_id"]) for row in rows}


def requeue_stale(tx: Transaction, job_id: int, seconds: float, max_attempts: int, actor: str) -> str | None:
    """Requeue a stale job, or fail it after its last attempt.

    Returns what was done, for the log; None when the job is no longer stale or its row is locked.
    """
    horizon = {"seconds": seconds, "perl_offset": tx.perl_offset(seconds)}
    job = tx.fetch_one("stale_jobs.lock", job_id=job_id, **horizon)
    if job is None:
        return None
    reason = f"worker {job['worker']} sent no heartbeat for over {seconds:g} s"
    if job["attempts"] >= max_attempts:
        last = f"gave up after {job['attempts']} attempts: in the last one, {reason}"
        return _fail_stale(tx, job, horizon, last, actor)
    if not tx.execute("stale_jobs.requeue", job_id=job_id, reason=reason, **horizon):
        return None
    hold = holds.decide(tx, job["batch_id"])
    ledger.set_status(tx, job["batch_id"], BatchStatus.QUEUED)
    _note_end(tx, job, "job_reset", reason, actor)
    if hold:
        holds.hold(tx, job_id, hold, actor)
    return f"requeued, {reason}"


def _fail_stale(
    tx: Transaction, job: dict[str, Any], horizon: dict[str, float], reason: str, actor: str
) -> str | None:
    if not tx.execute("stale_jobs.fail", job_id=job["job_id"], reason=reason, **horizon):
        return None
    tx.execute("ledger.finished", batch_id=job["batch_id"], status=BatchStatus.FAILED, last_error=reason)
    tx.execute("claims.mark_imported", batch_id=job["batch_id"], job_id=job["job_id"])
    _note_end(tx, job, "job_failed", reason, actor)
    holds.wake(tx, job["batch_id"], actor)
    return f"failed, {reason}"


def _note_end(tx: Transaction, job: dict[str, Any], event_type: EventType, reason: str, actor: str) -> None:
    payload = {
        "attempts": job["attempts"], "job_id": job["job_id"], "reason": reason, "worker": job["worker"],
        "phase": "job_fail" if event_type == "job_failed" else "job_reset",
    }
    ledger.append_event(tx, job["batch_id"], event_type, payload, actor)
