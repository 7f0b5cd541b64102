"""Status bar of each page, read from a few index entries."""

from datetime import datetime, timedelta
from typing import NamedTuple

from .. import queue
from ..database import Database, Reading
from ..errors import PanelError

STEP = 15  # seconds between updates of the ages on a page where nothing else changes


class Glance(NamedTuple):
    """Summary of the queue, with counts up to 10,001.

    `oldest` is how long the first queued job has waited, `failed` counts the last 24 hours, and `now` is the time for
    which pages show ages.
    """

    queued: int
    oldest: timedelta | None
    running: int
    failed: int
    now: datetime


def at_hand(db: Database) -> Glance | None:
    """Return the rounded summary, or None if the database fails."""
    try:
        return db.read(told)
    except PanelError:
        return None


def read(tx: Reading) -> Glance:
    """Return the summary by the database's clock."""
    return Glance(**queue.glance(tx))


def told(tx: Reading) -> Glance:
    """Return the summary with its ages as of `told_at`."""
    summary = read(tx)
    now = told_at(summary.now)
    oldest = None if summary.oldest is None else max(timedelta(), summary.oldest - (summary.now - now))
    return summary._replace(now=now, oldest=oldest)


def told_at(now: datetime) -> datetime:
    """Round a time down to STEP seconds, so that idle pages keep their ETag."""
    return now - (now - datetime.min) % timedelta(seconds=STEP)
