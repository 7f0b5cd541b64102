"""ETag source of the pages that show the queue or all batches.

Every change writes an event: docs/decisions/0031-every-change-writes-an-event.md.
"""

from .. import job_queue, workers
from ..config import Settings
from ..db import Database, ReadTransaction
from ..models import JobState
from . import cursors, status_bar
from .request import Request


def etag_source(db: Database, request: Request, settings: Settings) -> tuple[str, None]:
    """Return a change token, no summary: events, workers and pause cover the status bar."""
    return db.run_read(_version, request, settings.panel.page_size), None


def _version(tx: ReadTransaction, request: Request, size: int) -> str:
    """Return latest events, heartbeats and progress: each change has one."""
    running = job_queue.list_active(tx, JobState.RUNNING, cursors.active_cursor(request, "running"), limit=size).rows
    beats = [(job["id"], job["heartbeat_at"], job["items_done"]) for job in running]
    presence = workers.presence(tx)
    return repr((
        tx.fetch_all("job_queue.latest_events"), status_bar.round_down(presence.now), beats, presence.alive,
        presence.pause,
    ))
