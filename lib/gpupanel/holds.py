"""Holds: why a queued job is not claimable, its backoff, and what ends each hold.

A held job has the state `held`, which no claim takes; its batch stays `queued`. Locks are taken in the order: own job,
batches by ascending id, other jobs (docs/decisions/0114-holds-and-workers-in-rows.md).
"""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from . import ledger
from .db import Transaction
from .models import EventType, HoldKind

PAGE_JOBS = 100  # jobs that one transaction of a wake-up, a sweep or a mass hold writes, at most
WITH_BACKOFF = (HoldKind.BUNDLE, HoldKind.BACKOFF)  # each hold in a row doubles the time until the next sweep


class Hold(NamedTuple):
    """A reason to hold a job; `batch_id` is the prior whose active job is awaited."""

    kind: HoldKind
    reason: str
    batch_id: int | None = None
    prior_sync_id: str | None = None


# ------------------------------------------------------------------------------------------- holding


def lock_chain(tx: Transaction, batch_id: int) -> tuple[int | None, str | None]:
    """Lock a batch, its prior and the batch that it undoes by ascending id; return the prior's id and sync_id.

    Queueing and the end of a job both lock the prior's batch first, so that neither misses the other.
    """
    chain = tx.fetch_one("holds.chain", batch_id=batch_id)
    if chain is None:
        return None, None
    others = [batch_id for batch_id in (chain["prior_id"], chain["undo_of"]) if batch_id]
    tx.fetch_all("holds.lock_batches", batch_ids=[chain["id"], *others])
    return chain["prior_id"], chain["prior_sync_id"]


def decide(tx: Transaction, batch_id: int) -> Hold | None:
    """Return the hold of a batch's job while the job of its prior is active.

    Locks both batches. A prior that is unknown or has no active job holds nothing.
    """
    prior_id, prior_sync_id = lock_chain(tx, batch_id)
    active = tx.fetch_one("holds.active_job", batch_id=prior_id) if prior_id else None
    if active is None:
        return None
    reason = f"waits for job {active['id']} of its prior bundle {prior_sync_id}"
    return Hold(HoldKind.PRIOR, reason, prior_id, prior_sync_id)


def hold(tx: Transaction, job_id: int, hold: Hold, actor: str, *, last_error: str | None = None) -> bool:
    """Hold a queued job; return whether an event was written.

    The event is written where the reason differs from the job's latest one. An operator's hold is always recorded.
    """
    (job,) = tx.fetch_all("holds.reasons", job_ids=[job_id])
    write_hold(tx, [job_id], hold, last_error)
    if job["hold_reason"] == hold.reason and hold.kind is not HoldKind.OPERATOR:
        return False
    not_before = tx.fetch_value("holds.not_before", job_id=job_id)
    append_held(tx, [(job["batch_id"], job_id)], hold, actor, not_before)
    return True


def write_hold(tx: Transaction, job_ids: list[int], hold: Hold, last_error: str | None = None) -> int:
    """Hold queued jobs without an event; return their number."""
    return tx.execute(
        "holds.hold", job_ids=job_ids, hold=hold.kind, reason=hold.reason[:ledger.MAX_REASON_LENGTH],
        hold_batch_id=hold.batch_id, backs_off=int(hold.kind in WITH_BACKOFF), last_error=last_error,
    )


def append_held(
    tx: Transaction, jobs: Iterable[tuple[int, int]], hold: Hold, actor: str, not_before: datetime | None
) -> None:
    """Append job_held for each (batch id, job id)."""
    facts: dict[str, object] = {
        "hold": hold.kind, "not_before": not_before and str(not_before), "phase": "job_hold",
        "prior_sync_id": hold.prior_sync_id, "reason": hold.reason, "worker": actor,
    }
    _append_events(tx, "job_held", jobs, actor, facts)


def _append_events(
    tx: Transaction, event_type: EventType, jobs: Iterable[tuple[int, int]], actor: str, facts: dict[str, object]
) -> None:
    """Append one event for each (batch id, job id), with one INSERT."""
    ledger.append_events(tx, event_type, [(batch_id, facts | {"job_id": job_id}) for batch_id, job_id in jobs], actor)


# ------------------------------------------------------------------------------------------- releasing


def wake(tx: Transaction, batch_id: int, actor: str = "") -> int:
    """Put the jobs that wait for a batch back into the queue; return their number.

    The end of each job calls this while it holds the row of its batch. Later pages are the sweep's.
    """
    followers = tx.fetch_all("holds.lock_followers", batch_id=batch_id, limit=PAGE_JOBS)
    if not followers:
        return 0
    tx.execute("holds.unhold", job_ids=[job["id"] for job in followers])
    facts: dict[str, object] = {"by": "prior", "phase": "job_unhold"}
    _append_events(tx, "job_unheld", [(job["batch_id"], job["id"]) for job in followers], actor, facts)
    return len(followers)


def release(tx: Transaction, job_id: int, batch_id: int, actor: str) -> Hold | None:
    """End the hold of a locked job for a person; return the hold that takes its place.

    The job is held again while the job of its prior is active.
    """
    again = decide(tx, batch_id)
    tx.execute("holds.unhold", job_ids=[job_id])
    _append_events(tx, "job_unheld", [(batch_id, job_id)], actor, {"by": actor, "phase": "job_unhold"})
    if again:
        hold(tx, job_id, again, actor)
    return again
