"""Status bar of each page, read from a few index entries."""

from datetime import datetime, timedelta
from typing import NamedTuple

from .. import job_queue, workers
from ..db import Database, ReadTransaction
from ..errors import PanelError
from ..rows import QueueControl

AGE_STEP_SECONDS = 15  # seconds between updates of the ages on a page where nothing else changes


class QueueSummary(NamedTuple):
    """Summary of the queue, with counts up to 10,001.

    `oldest` is how long the first queued job has waited, `failed` counts the last 24 hours, and `now` is the time for
    which pages show ages. `workers` is the number of workers that beat, `seen` how long ago one was seen.
    """

    queued: int
    oldest: timedelta | None
    running: int
    failed: int
    now: datetime
    held: int = 0
    workers: int = 0
    seen: timedelta | None = None
    pause: QueueControl | None = None

    @property
    def etag_source(self) -> "QueueSummary":
        """The summary without the age of the last heartbeat, which changes with each request."""
        return self._replace(seen=None)


def load_or_none(db: Database) -> QueueSummary | None:
    """Return the rounded summary, or None if the database fails."""
    try:
        return db.run_read(load_rounded)
    except PanelError:
        return None


def load(tx: ReadTransaction) -> QueueSummary:
    """Return the summary by the database's clock."""
    presence = workers.presence(tx)
    return QueueSummary(
        **job_queue.summary(tx), workers=presence.alive, seen=presence.age, pause=presence.pause
    )


def load_rounded(tx: ReadTransaction) -> QueueSummary:
    """Return the summary with its ages as of a rounded time."""
    summary = load(tx)
    now = round_down(summary.now)
    oldest = None if summary.oldest is None else max(timedelta(), summary.oldest - (summary.now - now))
    return summary._replace(now=now, oldest=oldest)


def round_down(now: datetime) -> datetime:
    """Round a time down to a multiple of 15 seconds, so that idle pages keep their ETag."""
    return now - (now - datetime.min) % timedelta(seconds=AGE_STEP_SECONDS)
