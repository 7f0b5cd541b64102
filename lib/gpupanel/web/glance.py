"""The status line of each page: what waits, what runs, what failed. A handful of index entries, however much there is."""

from datetime import datetime, timedelta
from typing import NamedTuple

from .. import queue
from ..database import Database, Reading
from ..errors import PanelError


class Glance(NamedTuple):
    """Jobs, counted no further than 10,001; `oldest` is how long the first of the queued ones has waited, `failed` counts
    the last 24 hours, and `now` is the database's time."""

    queued: int
    oldest: timedelta | None
    running: int
    failed: int
    now: datetime


def at_hand(db: Database) -> Glance | None:
    """None when the database does not answer: a page that can be shown without it is shown without this line."""
    try:
        return db.read(read)
    except PanelError:
        return None


def read(tx: Reading) -> Glance:
    return Glance(**queue.glance(tx))
