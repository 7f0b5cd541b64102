"""The queue: how a claim finds its job, and jobs whose worker is gone."""

from collections.abc import Iterator

from ... import queue
from ...config import Settings
from ...database import Database, query
from .finding import NOTE, Finding, judge


def claim_plan(db: Database, settings: Settings) -> Iterator[Finding]:
    """Any other plan than a walk along the claim's index locks every queued row (DESIGN section 8)."""
    [plan] = db.execute(f"EXPLAIN {query('work.next')}")
    found = f"key {plan['key']}, {plan['Extra'] or 'nothing extra'}"
    yield judge(
        "plan of the claim", plan["key"] == "claim" and "filesort" not in (plan["Extra"] or ""), found,
        "key claim, no filesort", "Give import_job the index of etc/schema.sql: KEY claim (state, priority, id).",
    )


def stale(db: Database, settings: Settings) -> Iterator[Finding]:
    """Any worker resets these; that they are still there means that none runs."""
    limit = settings.worker.stale_minutes
    silent = [
        job for job in db.read(queue.running, limit=1000)
        if (job["now"] - job["heartbeat_at"]).total_seconds() > limit * 60
    ]
    found = ", ".join(f"job {job['id']} on {job['worker']}" for job in silent) or "none"
    yield judge(
        "stale jobs", not silent, found, f"no running job without a heartbeat for {limit:g} minutes",
        "Start the worker: it resets them within a minute.",
    )
    waiting = db.read(queue.waiting, limit=1)
    if waiting and (waiting[0]["now"] - waiting[0]["queued_at"]).total_seconds() > limit * 60:
        yield Finding(
            "waiting jobs", NOTE, f"job {waiting[0]['id']} since {waiting[0]['queued_at']:%Y-%m-%d %H:%M:%S}",
            f"the next job is claimed within {limit:g} minutes", "See that a worker runs, and what its log says.",
        )
