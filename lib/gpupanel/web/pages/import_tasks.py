"""Import Tasks: running, queued, held and finished jobs, workers, and a chart."""

from datetime import datetime, timedelta
from typing import Any

from ... import job_queue, search, workers
from ...config import Settings
from ...db import Database, ReadTransaction
from ...models import COUNT_LIMIT, JobState
from ...rows import EventRow, ListedJob, WorkerRow
from .. import job_progress
from ..job_cursors import active_cursor, finished_cursor, neighbours
from ..etag import etag_source
from ..request import Request
from ..serializers import BUNDLE, JOB, WORKER, pick
from . import throughput_chart

__all__ = ["etag_source", "view"]

ENDED = (JobState.COMPLETED, JobState.FAILED, JobState.CANCELED)
EVENT_LIMIT = 12  # progress events that a job's throughput is computed from: two minutes
IDLE = timedelta(minutes=1)  # workers poll every second: without a claim for this long, none is running
BUSY_SECONDS, QUIET_SECONDS = 3, 10  # refresh interval of the page, while workers claim jobs and otherwise


def view(db: Database, request: Request, settings: Settings) -> dict[str, Any]:
    """Return one page of each list of jobs. Raises InvalidInputError."""
    name = request.choice("state", ENDED)
    state = JobState(name) if name else None
    stale = timedelta(minutes=settings.panel.stale_minutes)
    return db.run_read(_read, request, settings.panel.page_size, state, stale) | {"state": state, "states": list(ENDED)}


def _read(tx: ReadTransaction, request: Request, size: int, state: JobState | None, stale: timedelta) -> dict[str, Any]:
    counts = job_queue.count_up_to(tx)
    pages = {
        "running": job_queue.list_active(tx, JobState.RUNNING, active_cursor(request, "running"), limit=size),
        "queued": job_queue.list_active(tx, JobState.QUEUED, active_cursor(request, "queued"), limit=size),
        "held": job_queue.list_active(tx, JobState.HELD, active_cursor(request, "held"), limit=size),
        "finished": job_queue.list_finished(tx, finished_cursor(tx, request), state=state, limit=size),
    }
    events = job_queue.progress_events(tx, [job["batch_id"] for job in pages["running"].rows], limit=EVENT_LIMIT)
    running = [_running(job, events[job["batch_id"]], stale) for job in pages["running"].rows]
    presence = workers.presence(tx)
    has_live_job = any(not workers.is_job_late(job, job["now"]) for job in pages["running"].rows)
    alive = presence.alive or counts[JobState.RUNNING] > len(running) or has_live_job
    idle_since = None if alive else _idle_since(tx, size)
    undone = search.find_undone(tx, [job["batch_id"] for job in pages["finished"].rows])
    titles = search.list_titles(tx, [job["batch_id"] for page in pages.values() for job in page.rows])
    return {
        "titles": {job["sync_id"]: titles[job["batch_id"]] for page in pages.values() for job in page.rows},
        "counts": counts,
        "finished_count": counts[state] if state else sum(counts[ended] for ended in ENDED),
        "moving": bool(counts[JobState.RUNNING] or counts[JobState.QUEUED] or counts[JobState.HELD]),
        "look_again": BUSY_SECONDS if idle_since is None else QUIET_SECONDS,
        "running": running,
        "no_worker": idle_since is not None,
        "no_worker_since": idle_since or None,
        "queued": _queued(tx, pages["queued"].rows, counts[JobState.RUNNING], idle_since is not None),
        "held": [_held(job) for job in pages["held"].rows],
        "paused": presence.pause,
        "workers": [_worker(row) for row in workers.latest(tx, limit=size)],
        "finished": [_ended(job, undone) for job in pages["finished"].rows],
        "pages": {name: neighbours(name, page) for name, page in pages.items()},
        "chart": throughput_chart.load_chart(tx),
    }


def _running(job: ListedJob, events: list[EventRow], stale: timedelta) -> dict[str, Any]:
    progress = job_progress.estimate(job, events, stale)
    beat = job["heartbeat_at"]
    age = job["now"] - beat if beat else None
    containers = next(filter(None, (job_progress.settled_containers(event, job["id"]) for event in events[::-1])), None)
    return pick(
        job, BUNDLE + JOB, heartbeat_age=age, stale_after=stale, container_progress=containers, **progress._asdict()
    )


def _idle_since(tx: ReadTransaction, size: int) -> datetime | str | None:
    """Return since when jobs are queued and no worker has claimed one.

    "" means that no worker ever has, None that a worker seems to be running.
    """
    waiting = job_queue.list_queued(tx, limit=size)
    if not waiting:
        return None
    worker: dict[str, Any] = tx.fetch_one(
        "job_queue.last_worker_activity", perl_offset=tx.perl_offset(0)
    ) or {}
    claims = [job["claimed_at"] for job in waiting if job["claimed_at"]]
    last_activity: datetime = max([worker["seen"], *claims])
    if worker["now"] - max(last_activity, min(job["queued_at"] for job in waiting)) <= IDLE:
        return None
    return last_activity if last_activity.year > 1000 else ""


def _queued(tx: ReadTransaction, jobs: list[ListedJob], running: int, no_worker: bool) -> list[dict[str, Any]]:
    """Return the jobs with their positions in the queue, counted up to COUNT_LIMIT."""
    first = job_queue.queue_position(tx, jobs[0]["id"], jobs[0]["priority"]) if jobs else 1
    return [
        _waiting(min(position, COUNT_LIMIT + 1), job, running, no_worker) for position, job in enumerate(jobs, first)
    ]


def _waiting(position: int, job: ListedJob, running: int, no_worker: bool) -> dict[str, Any]:
    """Return a queued job with its position and the reason why it waits."""
    return pick(
        job, BUNDLE + JOB, place=position, ahead=position - 1, waited=job["now"] - job["queued_at"],
        why=_wait_reason(position, job, running, no_worker),
    )


def _held(job: ListedJob) -> dict[str, Any]:
    return pick(job, BUNDLE + JOB, waited=job["now"] - job["queued_at"])


def _worker(row: WorkerRow) -> dict[str, Any]:
    return pick(
        row, WORKER, state=workers.state_of(row), seen_age=timedelta(seconds=row["age"]),
        mount_ok=None if row["mount_ok"] is None else bool(row["mount_ok"]),
    )


def _wait_reason(position: int, job: ListedJob, running: int, no_worker: bool) -> str:
    if no_worker:
        return "no_worker"
    if job["last_error"] and job["claimed_at"]:
        return "put_back"
    return "jobs_ahead" if position > 1 or running else "next"


def _ended(job: ListedJob, undone: dict[int, str]) -> dict[str, Any]:
    """Return a finished job, with the current status of its batch, and that of the undo that took the batch back."""
    claimed, finished = job["claimed_at"], job["finished_at"]
    took = finished - claimed if claimed and finished else None
    return pick(job, BUNDLE + JOB, took=took, batch_status=job["status"], undone=undone.get(job["batch_id"]))
