"""Pages of the events of all batches, by id, newest first (docs/decisions/0131-events-by-id.md)."""

from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from ..db import ReadTransaction, fill
from ..models import BIGINT_MAX
from .access_path import MAX_ROWS_SCANNED

# Ids and times of events have the same order, but for those that were open at the same time: a transaction takes its
# ids and times before its commit. A day is read with so many ids before and after it.
OVERLAP_IDS = 1_000


class EventFilter(NamedTuple):
    """The conditions of a list of events; None is no condition. `day` is in UTC."""

    batch_id: int | None = None
    event_type: str | None = None
    actor: str | None = None
    day: date | None = None


class EventPage(NamedTuple):
    """Events, the id before which the next page begins, and whether the scan stopped before the page was full."""

    rows: list[dict[str, Any]]
    next_before: int | None
    is_stopped: bool


CONDITIONS = {
    "batch_id": "e.batch_id = %(batch_id)s", "event_type": "e.event_type = %(event_type)s",
    "actor": "e.actor = %(actor)s",
}
OF_DAY = "e.created_at >= %(since)s AND e.created_at < %(until)s"
RANGE = "e.id < %(before)s AND e.id >= %(first)s"


def list_events(
    tx: ReadTransaction, wanted: EventFilter, *, before: int | None = None, limit: int = 50
) -> EventPage:
    """A page of events before an id; it reads MAX_ROWS_SCANNED events at most."""
    values = wanted._asdict() | _span(tx, wanted.day, BIGINT_MAX if before is None else before)
    index, scanned = ("batch", f"{RANGE} AND {CONDITIONS['batch_id']}") if wanted.batch_id else ("PRIMARY", RANGE)
    [horizon] = tx.fetch_all_sql(
        fill("events.horizon", index=index, where=scanned), most=MAX_ROWS_SCANNED - 1, **values
    ) or [None]
    where = " AND ".join(
        [
            RANGE,
            *(text for name, text in CONDITIONS.items() if values[name] is not None),
            *([OF_DAY] if wanted.day else []),
        ]
    )
    values |= {"first": horizon["id"]} if horizon else {}
    rows = tx.fetch_all_sql(fill("events.page", index=index, where=where), limit=limit + 1, **values)
    if len(rows) > limit:
        return EventPage(rows[:limit], rows[limit - 1]["id"], False)
    return EventPage(rows, horizon["id"] if horizon else None, horizon is not None)


def _span(tx: ReadTransaction, day: date | None, before: int) -> dict[str, Any]:
    """The ids of a day, and its limits."""
    if day is None:
        return {"before": before, "first": 0, "since": None, "until": None}
    since = datetime(day.year, day.month, day.day)
    until = since + timedelta(days=1)
    return {
        "before": min(before, _first_id(tx, until) + OVERLAP_IDS), "first": max(0, _first_id(tx, since) - OVERLAP_IDS),
        "since": since, "until": until,
    }


def _first_id(tx: ReadTransaction, moment: datetime) -> int:
    """The id of the first event at a time or later, by bisection of the ids."""
    low, high = 0, (tx.fetch_value("events.last_id") or 0) + 1
    while low < high:
        middle = (low + high) // 2
        row = tx.fetch_one("events.from_id", id=middle)
        if row is None or row["created_at"] >= moment:
            high = middle
        else:
            low = row["id"] + 1
    return low
