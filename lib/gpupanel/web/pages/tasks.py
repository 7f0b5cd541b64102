"""Import Tasks: what runs, what waits and why, what has ended, and how much was imported in the last day."""

from datetime import datetime, timedelta
from typing import Any

from ... import queue
from ...config import Settings
from ...database import Database, Reading
from ...model import BOUND, JobState
from .. import glance, pace, places
from ..visit import Visit
from . import chart
from .shapes import BUNDLE, JOB, shaped

ENDED = (JobState.COMPLETED, JobState.FAILED, JobState.CANCELED)
MARKS = 12  # events of progress that a job's pace is told from: two minutes
IDLE = timedelta(minutes=1)  # a worker looks each second, so that one that has taken nothing for so long is not there
PUT_ASIDE = timedelta(minutes=16)  # the longest that a worker passes over a job that it had to put back
BUSY_SECONDS, QUIET_SECONDS = 3, 10  # between two looks of the page's script: as long as workers take jobs, and otherwise


def show(db: Database, visit: Visit, settings: Settings) -> dict:
    """A page of the running jobs, of the queued and of the ended ones, these by `state` if given; each from its own place
    on (places). Raises InvalidInput."""
    state = visit.choice("state", list(ENDED))
    stale = timedelta(minutes=settings.panel.stale_minutes)
    return db.read(_read, visit, settings.panel.page_size, state, stale) | {"state": state, "states": list(ENDED)}


def version(db: Database, visit: Visit, settings: Settings) -> tuple[str, None]:
    """What the page depends on, less its address and reader: it is the same as long as this is. The events tell of the status
    line, too."""
    return db.read(_version, visit, settings.panel.page_size), None


def _version(tx: Reading, visit: Visit, size: int) -> str:
    """Whatever happens writes an event, except heartbeats and the progress between two events."""
    running = queue.line(tx, JobState.RUNNING, places.in_line(visit, "running"), limit=size).rows
    beats = [(job["id"], job["heartbeat_at"], job["items_done"]) for job in running]
    return repr((tx.all("queue.latest_events"), glance.told_at(tx.value("queue.now")), beats))


def _read(tx: Reading, visit: Visit, size: int, state: str | None, stale: timedelta) -> dict[str, Any]:
    counts = queue.counts(tx)
    pages = {
        "running": queue.line(tx, JobState.RUNNING, places.in_line(visit, "running"), limit=size),
        "queued": queue.line(tx, JobState.QUEUED, places.in_line(visit, "queued"), limit=size),
        "finished": queue.ended(tx, places.among_ended(tx, visit), state=state, limit=size),
    }
    marks = queue.marks(tx, [job["batch_id"] for job in pages["running"].rows], limit=MARKS)
    running = [_running(job, marks[job["batch_id"]], stale) for job in pages["running"].rows]
    alive = counts[JobState.RUNNING] > len(running) or any(job["condition"] != pace.DEAD for job in running)
    seen = None if alive else _idle_since(tx, size)
    return {
        "counts": counts,
        "finished_count": counts[state] if state else sum(counts[each] for each in ENDED),
        "moving": bool(counts[JobState.RUNNING] or counts[JobState.QUEUED]),
        "look_again": BUSY_SECONDS if seen is None else QUIET_SECONDS,
        "running": running,
        "no_worker": seen is not None,
        "no_worker_since": seen or None,
        "queued": _queued(tx, pages["queued"].rows, counts[JobState.RUNNING], seen is not None),
        "finished": [_ended(job) for job in pages["finished"].rows],
        "pages": {name: places.neighbours(name, page) for name, page in pages.items()},
        "chart": chart.read(tx),
    }


def _running(job: dict, marks: list[dict], stale: timedelta) -> dict:
    known = pace.of(job, marks, stale)
    beat = job["heartbeat_at"]
    return shaped(
        job, BUNDLE + JOB, heartbeat_age=job["now"] - beat if beat else None, stale_after=stale, **known._asdict()
    )


def _idle_since(tx: Reading, size: int) -> datetime | str | None:
    """Since when no worker has taken a job though some wait; "" when none ever has; None when one seems to be there.

    A worker that had to put a job back passes over it for a while, and is not taken for a missing one.
    """
    waiting = queue.waiting(tx, limit=size)
    if not waiting or any(_is_put_aside(job) for job in waiting):
        return None
    sign = tx.one("queue.last_sign")
    claims = [job["claimed_at"] for job in waiting if job["claimed_at"]]
    seen, now = max([sign["seen"], *claims]), sign["now"]
    if now - max(seen, min(job["queued_at"] for job in waiting)) <= IDLE:
        return None
    return seen if seen.year > 1000 else ""


def _is_put_aside(job: dict) -> bool:
    return bool(job["last_error"] and job["claimed_at"] and job["now"] - job["claimed_at"] < PUT_ASIDE)


def _queued(tx: Reading, jobs: list[dict], running: int, no_worker: bool) -> list[dict]:
    """The jobs with their places in line, which are counted no further than BOUND."""
    first = queue.place(tx, jobs[0]["id"], jobs[0]["priority"]) if jobs else 1
    return [_waiting(min(place, BOUND + 1), job, running, no_worker) for place, job in enumerate(jobs, first)]


def _waiting(place: int, job: dict, running: int, no_worker: bool) -> dict:
    """`why` is what the job waits for; `ahead` counts the queued jobs before it."""
    return shaped(
        job, BUNDLE + JOB, place=place, ahead=place - 1, waited=job["now"] - job["queued_at"],
        why=_why(place, job, running, no_worker),
    )


def _why(place: int, job: dict, running: int, no_worker: bool) -> str:
    if no_worker:
        return "no_worker"
    if _is_put_aside(job):
        return "put_back"
    return "jobs_ahead" if place > 1 or running else "next"


def _ended(job: dict) -> dict:
    """`batch_status` is the batch's now: a later job may have changed it."""
    took = job["finished_at"] - job["claimed_at"] if job["claimed_at"] else None
    return shaped(job, BUNDLE + JOB, took=took, batch_status=job["status"])
