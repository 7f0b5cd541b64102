"""gpupanel status: count batches and jobs, list active jobs."""

from collections.abc import Mapping
from typing import Any

from .. import job_queue, search
from ..db import ReadTransaction
from ..rows import ListedJob
from ..search.filters import BatchFilter
from .context import CommandContext
from .list import requested_filters
from .output import format_age, format_section, format_table

JOB_COLUMNS = ("job", "sync_id", "done", "priority", "requested by", "worker")


def run(context: CommandContext) -> int:
    """Count batches and jobs; list at most 50 running and 50 queued jobs.

    JSON: {batches: {status: n}, at_least: [status], jobs: {state: n}, running: [job], waiting: [job]}.
    Running jobs have `heartbeat_age` in seconds. With filters a count may stop at a limit, and `at_least`
    then names its status.
    """
    status = context.db.run_read(_status, requested_filters(context.args))
    context.emit(status, _format(status))
    return 0


def _status(tx: ReadTransaction, wanted: BatchFilter) -> dict[str, Any]:
    counts = _count(tx, wanted)
    return {
        "batches": {
            name: count.number if count.exact else min(count.number, search.COUNT_LIMIT)
            for name, count in counts.items()
        },
        "at_least": [name for name, count in counts.items() if not count.exact],
        "jobs": job_queue.count_all(tx),
        "running": [_running_job(job) for job in job_queue.list_running(tx)],
        "waiting": [public_job(job) for job in job_queue.list_queued(tx)],
    }


def _count(tx: ReadTransaction, wanted: BatchFilter) -> dict[str, search.BoundedCount]:
    """Count the matching batches by status."""
    counts = search.count_by_status(tx, wanted, most=None if wanted == BatchFilter() else search.COUNT_LIMIT)
    return {status: count for status, count in counts.items() if wanted.status in (None, status)}


def _running_job(job: ListedJob) -> dict[str, Any]:
    heartbeat = job["heartbeat_at"]
    return public_job(job) | {"heartbeat_age": (job["now"] - heartbeat).total_seconds() if heartbeat else None}


def public_job(job: Mapping[str, Any]) -> dict[str, Any]:
    """Return a job without its claim token, which is the worker's secret."""
    return {key: value for key, value in job.items() if key not in ("claim_token", "active_batch_id", "now")}


def _format(status: dict[str, Any]) -> list[str]:
    at_least = status["at_least"]
    batches = ((name, f"{count}{'+' if name in at_least else ''}") for name, count in status["batches"].items())
    running = ((*_job_cells(job), _last_heartbeat(job)) for job in status["running"])
    waiting = ((*_job_cells(job), job["last_error"]) for job in status["waiting"])
    return [
        "Batches", *format_table(batches), "Jobs", *format_table(status["jobs"].items()),
        *format_section("Running", running, (*JOB_COLUMNS, "last heartbeat")),
        *format_section("Next", waiting, (*JOB_COLUMNS, "released because")),
    ]


def _job_cells(job: dict[str, Any]) -> tuple[object, ...]:
    progress = f"{job['items_done']}/{job['items_total']}"
    return job["id"], job["sync_id"], progress, job["priority"], job["requested_by"], job["worker"]


def _last_heartbeat(job: dict[str, Any]) -> str | None:
    return None if job["heartbeat_age"] is None else format_age(job["heartbeat_age"])
