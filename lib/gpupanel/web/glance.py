"""The status line of each page: what waits, what runs, what failed. A handful of index entries, however much there is."""

from datetime import datetime, timedelta
from typing import NamedTuple

from .. import queue
from ..database import Database, Reading
from ..errors import PanelError

STEP = 15  # seconds after which pages tell ages anew though nothing happened


class Glance(NamedTuple):
    """Jobs, counted no further than 10,001; `oldest` is how long the first of the queued ones has waited, `failed` counts
    the last 24 hours, and `now` is the database's time, or the moment that pages tell ages for."""

    queued: int
    oldest: timedelta | None
    running: int
    failed: int
    now: datetime


def at_hand(db: Database) -> Glance | None:
    """None when the database does not answer: a page that can be shown without it is shown without this line."""
    try:
        return db.read(told)
    except PanelError:
        return None


def read(tx: Reading) -> Glance:
    return Glance(**queue.glance(tx))


def told(tx: Reading) -> Glance:
    """The same by the clock of the pages, which `told_at` sets."""
    seen = read(tx)
    now = told_at(seen.now)
    return seen._replace(now=now, oldest=seen.oldest and max(timedelta(), seen.oldest - (seen.now - now)))


def told_at(now: datetime) -> datetime:
    """The moment for which pages tell ages: it stands still for STEP seconds, and so does a page on which nothing happens."""
    return now - (now - datetime.min) % timedelta(seconds=STEP)
