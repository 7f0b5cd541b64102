"""The queue: how a claim finds its job, and jobs and batches that nobody looks after."""

from collections.abc import Iterator

from ..config import Settings
from ..database import Database, Reading, query
from .finding import NOTE, Finding, judge

MOST = 20  # named in one finding


def claim_plan(db: Database, settings: Settings) -> Iterator[Finding]:
    """Check that a claim reads its index in order: any other plan locks every queued row."""
    plans = db.execute(f"EXPLAIN {query('work.first')}", aside=[0])
    found = "; ".join(f"key {plan['key']}, {plan['Extra'] or 'nothing extra'}" for plan in plans)
    yield judge(
        "claim plan", all(plan["key"] == "claim" and "filesort" not in (plan["Extra"] or "") for plan in plans), found,
        "key claim, no filesort", "Give import_job the index of etc/schema.sql: KEY claim (state, priority, id).",
    )


def silent(db: Database, settings: Settings) -> Iterator[Finding]:
    """Any worker resets these; that they are still there means that none runs."""
    limit = settings.worker.stale_minutes
    found = [f"job {job['id']} on {job['worker']}" for job in _rows(db, "silent", seconds=limit * 60)]
    yield judge(
        "stale jobs", not found, _listed(found), f"no running job without a heartbeat for {limit:g} minutes",
        "Start the worker: it resets them within a minute.",
    )


def unclaimed(db: Database, settings: Settings) -> Iterator[Finding]:
    rows = _rows(db, "unclaimed")
    ids = ", ".join(str(job["id"]) for job in rows)
    yield judge(
        "jobs without a claim", not rows, _listed([f"job {job['id']}" for job in rows]),
        "a running job has a claim_token and a heartbeat",
        f"UPDATE import_job SET heartbeat_at = queued_at WHERE state = 'running' AND id IN ({ids}); a worker then resets them.",
    )


def astray(db: Database, settings: Settings) -> Iterator[Finding]:
    rows = _rows(db, "astray")
    found = [f"job {job['id']} is {job['state']} and batch {job['sync_id']} {job['status']}" for job in rows]
    yield judge(
        "jobs of other batches", not found, _listed(found), "queued jobs of queued batches, running jobs of importing ones",
        "See that no other worker or panel writes this queue. A worker ends these jobs when it comes to them; "
        "then queue the batches again.",
    )


def orphaned(db: Database, settings: Settings) -> Iterator[Finding]:
    rows = _rows(db, "orphaned")
    found = [f"batch {batch['sync_id']} is {batch['status']}" for batch in rows]
    names = ", ".join(f"'{batch['sync_id']}'" for batch in rows)
    yield judge(
        "batches without a job", not found, _listed(found), "a queued or importing batch has a queued or running job",
        f"UPDATE ingest_batch SET status = 'discovered' WHERE sync_id IN ({names}); then preflight and queue them again.",
    )


def waiting(db: Database, settings: Settings) -> Iterator[Finding]:
    limit = settings.worker.stale_minutes
    found = [f"job {job['id']} since {job['queued_at']:%Y-%m-%d %H:%M:%S}" for job in _rows(db, "waiting", seconds=limit * 60)]
    yield judge(
        "waiting jobs", not found, _listed(found), f"the next job is claimed within {limit:g} minutes",
        "See that a worker runs, and what its log says.", otherwise=NOTE,
    )


def _rows(db: Database, name: str, **params) -> list[dict]:
    return db.read(Reading.all, f"doctor.{name}", limit=MOST, **params)


def _listed(found: list[str]) -> str:
    return ("; ".join(found) or "none") + ("; and perhaps more" if len(found) == MOST else "")
