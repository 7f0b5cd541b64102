"""Import Tasks: what runs, what waits, what has ended."""

from ... import queue
from ...config import Settings
from ...database import Database, Reading
from ...model import JobState
from ..visit import Visit
from .shapes import BUNDLE, JOB, shaped

ENDED = (JobState.COMPLETED, JobState.FAILED, JobState.CANCELED)


def show(db: Database, visit: Visit, settings: Settings) -> dict:
    """All running jobs that fit a page, those that are next, and those that ended last."""
    return db.read(_read, settings.panel.page_size)


def _read(tx: Reading, size: int) -> dict:
    counts = {str(state): queue.count(tx, state) for state in JobState}
    return {
        "counts": counts,
        "finished_count": sum(counts[state] for state in ENDED),
        "moving": bool(counts[JobState.RUNNING] or counts[JobState.QUEUED]),
        "running": [_running(job) for job in queue.running(tx, limit=size)],
        "queued": [_waiting(place, job) for place, job in enumerate(queue.waiting(tx, limit=size), 1)],
        "finished": [_ended(job) for job in queue.finished(tx, limit=size)],
    }


def _running(job: dict) -> dict:
    beat = job["heartbeat_at"]
    return shaped(job, BUNDLE + JOB, heartbeat_age=job["now"] - beat if beat else None)


def _waiting(place: int, job: dict) -> dict:
    return shaped(job, BUNDLE + JOB, place=place, waited=job["now"] - job["queued_at"])


def _ended(job: dict) -> dict:
    """`batch_status` is the batch's now: a later job may have changed it."""
    took = job["finished_at"] - job["claimed_at"] if job["claimed_at"] else None
    return shaped(job, BUNDLE + JOB, took=took, batch_status=job["status"])
