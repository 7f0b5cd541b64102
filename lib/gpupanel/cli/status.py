"""gpupanel status: count batches and jobs, list active jobs."""

import json
import sys
from collections.abc import Mapping
from typing import Any

from .. import job_queue, search, workers
from ..db import ReadTransaction
from ..models import JobState
from ..rows import QueueControl, WorkerRow
from ..rows import ListedJob
from ..search.filters import BatchFilter
from ..text import pluralize
from .context import CommandContext, encode_json
from .list import requested_filters
from .polling import poll
from .output import format_age, format_cell, format_section, format_table

WATCH_SECONDS = 2
CLEAR = "\033[H\033[J"  # to the first line, and clear the screen from there on
JOB_COLUMNS = ("job", "sync_id", "done", "priority", "requested by", "worker")


def run(context: CommandContext) -> int:
    """Count batches and jobs; list workers, and at most 50 running, 50 queued and 50 held jobs.

    JSON: {batches: {status: n}, at_least: [status], jobs: {state: n}, running: [job], waiting: [job], held: [job],
    paused: {paused_by, reason, since} or null, workers: [worker], workers_alive: n, now}; with --watch one object a
    line.
    Running jobs have `heartbeat_age` in seconds, and `is_late`. With filters a count may stop at a limit, and
    `at_least` then names its status.
    """
    wanted = requested_filters(context.args)
    if context.args.watch:
        return _watch(context, wanted)
    status = context.db.run_read(_status, wanted)
    context.emit(status, _format(status))
    return 0


def _watch(context: CommandContext, wanted: BatchFilter) -> int:
    """Print the status every WATCH_SECONDS: over the last one on a terminal, else below it after a blank line."""
    before = CLEAR if sys.stdout.isatty() else ""
    for status in poll(lambda: context.db.run_read(_status, wanted), WATCH_SECONDS):
        if context.args.json:
            print(json.dumps(status, default=encode_json), flush=True)
        else:
            head = f"{format_cell(status['now'])} UTC, every {WATCH_SECONDS} s; Ctrl-C ends this"
            print(before + "\n".join([head, "", *_format(status)]), end="\n" if before else "\n\n", flush=True)
    return 0


def _status(tx: ReadTransaction, wanted: BatchFilter) -> dict[str, Any]:
    counts, presence = _count(tx, wanted), workers.presence(tx)
    return {
        "batches": {
            name: count.number if count.exact else min(count.number, search.COUNT_LIMIT)
            for name, count in counts.items()
        },
        "at_least": [name for name, count in counts.items() if not count.exact],
        "jobs": job_queue.count_all(tx),
        "running": [_running_job(job) for job in job_queue.list_active(tx, JobState.RUNNING).rows],
        "waiting": [public_job(job) for job in job_queue.list_queued(tx)],
        "held": [public_job(job) for job in job_queue.list_active(tx, JobState.HELD).rows],
        "paused": presence.pause,
        "workers_alive": presence.alive,
        "workers": [_public_worker(row) for row in workers.latest(tx) if row["ended_at"] is None],
        "now": presence.now,
    }


def _count(tx: ReadTransaction, wanted: BatchFilter) -> dict[str, search.BoundedCount]:
    """Count the matching batches by status."""
    counts = search.count_by_status(tx, wanted, most=None if wanted == BatchFilter() else search.COUNT_LIMIT)
    return {status: count for status, count in counts.items() if wanted.status in (None, status)}


def _running_job(job: ListedJob) -> dict[str, Any]:
    heartbeat = job["heartbeat_at"]
    return public_job(job) | {
        "heartbeat_age": (job["now"] - heartbeat).total_seconds() if heartbeat else None,
        "is_late": workers.is_job_late(job, job["now"]),
    }


def _public_worker(row: WorkerRow) -> dict[str, Any]:
    return {
        "host": row["host"], "slot": row["slot"], "pid": row["pid"], "version": row["version"], "age": row["age"],
        "state": workers.state_of(row), "job_id": row["job_id"], "started_at": row["started_at"],
        "seen_at": row["seen_at"], "mount_ok": None if row["mount_ok"] is None else bool(row["mount_ok"]),
    }


def public_job(job: Mapping[str, Any]) -> dict[str, Any]:
    """Return a job without its claim token, which is the worker's secret."""
    return {key: value for key, value in job.items() if key not in ("claim_token", "active_batch_id", "now")}


def _format(status: dict[str, Any]) -> list[str]:
    at_least = status["at_least"]
    batches = ((name, f"{count}{'+' if name in at_least else ''}") for name, count in status["batches"].items())
    running = ((*_job_cells(job), _last_heartbeat(job)) for job in status["running"])
    waiting = ((*_job_cells(job), job["last_error"]) for job in status["waiting"])
    held = ((*_job_cells(job), job["hold"], job["hold_reason"], job["not_before"]) for job in status["held"])
    return [
        *_format_pause(status["paused"]), *_format_workers(status),
        "Batches", *format_table(batches), "Jobs", *format_table(status["jobs"].items()),
        *format_section("Running", running, (*JOB_COLUMNS, "last heartbeat")),
        *format_section("Next", waiting, (*JOB_COLUMNS, "released because")),
        *format_section("Held", held, (*JOB_COLUMNS, "hold", "because", "until (UTC)")),
    ]


def _format_pause(pause: QueueControl | None) -> list[str]:
    if pause is None:
        return []
    text = f"The queue is paused by {pause['paused_by']} since {pause['since']:%Y-%m-%d %H:%M:%S}: {pause['reason']}"
    return [format_cell(text)]


def _format_workers(status: dict[str, Any]) -> list[str]:
    alive = status["workers_alive"]
    head = f"{pluralize(alive, 'worker')} alive" if alive else "No worker is alive"
    rows = (
        (
            f"{row['host']}:{row['pid']}", row["slot"], row["state"], row["job_id"], format_age(row["age"]),
            row["version"],
        )
        for row in status["workers"]
    )
    return [head, *format_table(rows, ("worker", "slot", "state", "job", "seen", "version"))]


def _job_cells(job: dict[str, Any]) -> tuple[object, ...]:
    progress = f"{job['items_done']}/{job['items_total']}"
    worker = f"{job['worker']}, late" if job.get("is_late") else job["worker"]
    return job["id"], job["sync_id"], progress, job["priority"], job["requested_by"], worker


def _last_heartbeat(job: dict[str, Any]) -> str | None:
    return None if job["heartbeat_age"] is None else format_age(job["heartbeat_age"])
