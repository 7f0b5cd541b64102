"""Checks of the queue: the claim's plan, stale and orphaned jobs."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from .. import workers
from ..config import Settings
from ..db import Database, query
from ..text import format_duration
from .findings import Finding, judge, suggest

MAX_NAMED = 20  # named in one finding
DAY_SECONDS = 24 * 3600
# Spares our claims in Perl's sweep of stale jobs, which compares our heartbeats in UTC with local times.
NOT_OUR_CLAIM = "COALESCE(RIGHT(claim_token, 8) = BINARY LEFT(SHA2(worker, 256), 8), 0) = 0"


def check_claim_plan(db: Database, settings: Settings) -> Iterator[Finding]:
    """Check that a claim reads its index in order: any other plan locks every queued row."""
    rows = db.execute(f"EXPLAIN {query('claims.lock_next_queued')}")
    plans = [plan for plan in rows if plan["select_type"] == "PRIMARY" and plan["table"]]
    found = "; ".join(f"key {plan['key']}, {plan['Extra'] or 'nothing extra'}" for plan in plans)
    found = found or "no plan, since the queue is paused"  # the server reads no job then
    fine = all(plan["key"] == "claim" and "filesort" not in (plan["Extra"] or "") for plan in plans)
    yield judge(
        "claim plan", fine, found,
        "key claim, no filesort", "Give import_job the index of etc/schema.sql: KEY claim (state, priority, id).",
    )


def stale_jobs(db: Database, settings: Settings) -> Iterator[Finding]:
    """Jobs with a stale heartbeat, which any running worker requeues."""
    limit = settings.worker.stale_minutes
    jobs = db.run_read(lambda tx: tx.fetch_all(
        "doctor.stale_jobs", limit=MAX_NAMED, seconds=limit * 60, perl_offset=tx.perl_offset(limit * 60)
    ))
    found = [f"job {job['id']} on {job['worker']}" for job in jobs]
    yield judge(
        "stale jobs", not found, _listed(found), f"no running job without a heartbeat for {limit:g} minutes",
        "Start the worker: it requeues them within a minute.",
    )


def running_without_claim(db: Database, settings: Settings) -> Iterator[Finding]:
    """Running jobs without the time of a claim or a heartbeat, which a worker gives the present time."""
    rows = _rows(db, "doctor.running_without_claim")
    yield judge(
        "jobs without a claim", not rows, _listed([f"job {job['id']}" for job in rows]),
        "a running job has claimed_at or a heartbeat",
        "Start the worker: it requeues them if nothing is heard of their workers for stale_minutes.",
    )


def check_workers(db: Database, settings: Settings) -> Iterator[Finding]:
    """The workers that beat, late ones, and a pause."""
    presence, rows = db.run_read(lambda tx: (workers.presence(tx), workers.latest(tx)))
    found = str(presence.alive)
    if presence.age is not None:
        found += f", seen {format_duration(presence.age.total_seconds())} ago"
    yield suggest(
        "workers", presence.alive > 0, found, f"a worker that beats every {workers.BEAT_SECONDS} s",
        "Start the worker; its log says why it ended. An idle Perl worker is not seen here.",
    )
    late = [f"{row['host']}:{row['pid']}" for row in rows if row["is_late"]]
    yield suggest(
        "late workers", not late, _listed(late),
        f"each worker was seen in the last {workers.LATE_SECONDS} s, or has ended",
        "Check whether these workers were killed or lost the database. The next worker of the host takes the slot.",
    )
    pause = presence.pause
    why = f"paused by {pause['paused_by']}: {pause['reason']}" if pause else "not paused"
    yield suggest("pause", pause is None, why, "the queue is not paused", "Resume it: gpupanel resume")


def check_held_long(db: Database, settings: Settings) -> Iterator[Finding]:
    """Jobs that have waited for their bundle for a day."""
    rows = _rows(db, "doctor.held_long", seconds=DAY_SECONDS)
    yield suggest(
        "held jobs", not rows, _listed([f"job {row['id']} since {row['held_at']:%Y-%m-%d %H:%M:%S}" for row in rows]),
        "no job waits for its bundle for over 24 hours",
        "Bring the bundles back, or cancel the jobs: gpupanel cancel JOB.",
    )


def check_perl_sweep(db: Database, settings: Settings) -> Iterator[Finding]:
    """Whether the sweep of a Perl side needs a condition; no finding without its zone."""
    zone = settings.database.perl_time_zone
    if zone is None:
        return
    now = datetime.now(UTC)
    is_utc = not any((now + timedelta(days=days)).astimezone(zone).utcoffset() for days in (0, 91, 182, 273))
    yield suggest(
        "sweep of the Perl side", is_utc, zone.key,
        "Perl's sweep of stale jobs compares our heartbeats, which are in UTC, with UTC",
        "Before a worker runs beside Perl's, switch that sweep off, or add to its WHERE clause:"
        f" AND {NOT_OUR_CLAIM} (docs/PERL-PARITY.md, Side by side).",
    )


def status_mismatch(db: Database, settings: Settings) -> Iterator[Finding]:
    """Active jobs whose batch has another status."""
    rows = _rows(db, "doctor.status_mismatch")
    found = [f"job {job['id']} is {job['state']} and batch {job['sync_id']} {job['status']}" for job in rows]
    yield judge(
        "jobs of other batches", not found, _listed(found),
        "queued and held jobs of queued batches, running jobs of importing ones",
        "Check that no other worker or panel writes to this queue. A worker ends these jobs when it claims them; "
        "then queue the batches again.",
    )


def batches_without_job(db: Database, settings: Settings) -> Iterator[Finding]:
    """Queued and importing batches without an active job."""
    rows = _rows(db, "doctor.batches_without_job")
    found = [f"batch {batch['sync_id']} is {batch['status']}" for batch in rows]
    names = " ".join(batch["sync_id"] for batch in rows)
    yield judge(
        "batches without a job", not found, _listed(found), "a queued or importing batch has an active job",
        f"Preflight these batches, then queue them again: gpupanel preflight {names}",
    )


def check_queue_age(db: Database, settings: Settings) -> Iterator[Finding]:
    """The next job, if it has been queued for long."""
    limit = settings.worker.stale_minutes
    jobs = db.run_read(lambda tx: tx.fetch_all(
        "doctor.waiting", seconds=limit * 60, perl_offset=tx.perl_offset(limit * 60)
    ))
    found = [f"job {job['id']} since {job['queued_at']:%Y-%m-%d %H:%M:%S}" for job in jobs]
    yield suggest(
        "waiting jobs", not found, _listed(found), f"the next job is claimed within {limit:g} minutes",
        "Check that a worker runs, and read its log.",
    )


def _rows(db: Database, name: str, **params: float) -> list[dict[str, Any]]:
    return db.run_read(lambda tx: tx.fetch_all(name, limit=MAX_NAMED, **params))


def _listed(found: list[str]) -> str:
    return ("; ".join(found) or "none") + ("; possibly more" if len(found) == MAX_NAMED else "")
