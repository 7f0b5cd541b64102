"""Pages of the events of all batches, by id, newest first (docs/decisions/0131-events-by-id.md)."""

from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from ..db import ReadTransaction, fill
from ..models import BIGINT_MAX
from .access_path import MAX_ROWS_SCANNED

# Ids and times of events have the same order, but for those that were open at the same time: a transaction takes its
# ids and times before its commit. A day is read with so many ids before and after it.
OVERLAP_IDS = 1_000
LATE_IDS = 200  # ids that a follower reads again: transactions that wrote them may have been open
FOLLOWED_AT_ONCE = 1_000  # events that a follower reads at a time


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
    values |= {"first": horizon["id"]} if horizon else {}
    page = fill("events.page", index=index, where=_conditions(wanted), order="DESC")
    rows = tx.fetch_all_sql(page, limit=limit + 1, **values)
    if len(rows) > limit:
        return EventPage(rows[:limit], rows[limit - 1]["id"], False)
    return EventPage(rows, horizon["id"] if horizon else None, horizon is not None)


class Follower:
    """Reads the events that come, each once, oldest first."""

    def __init__(self, wanted: EventFilter):
        self._wanted = wanted
        self._seen: set[int] = set()
        self._highest: int | None = None

    def read(self, tx: ReadTransaction, *, first: int) -> list[dict[str, Any]]:
        """The first time the latest `first` events, then those that were committed since.

        An event may be committed after one with a higher id, so that each time the last LATE_IDS ids are read again.
        """
        highest = tx.fetch_value("events.last_id") or 0
        found = self._since(tx, (highest if self._highest is None else self._highest) - LATE_IDS)
        if self._highest is None:
            self._seen = {row["id"] for row in found}
            rows = list_events(tx, self._wanted, limit=first).rows[::-1]
        else:
            rows = [row for row in found if row["id"] not in self._seen]
        # Behind a full page are more events, which the next call reads.
        self._highest = found[-1]["id"] if len(found) == FOLLOWED_AT_ONCE else highest
        seen = self._seen | {row["id"] for row in rows}
        self._seen = {event_id for event_id in seen if event_id > self._highest - LATE_IDS}
        return rows

    def _since(self, tx: ReadTransaction, after: int) -> list[dict[str, Any]]:
        statement = fill("events.page", index="PRIMARY", where=_conditions(self._wanted), order="ASC")
        values = self._wanted._asdict() | _span(tx, self._wanted.day, BIGINT_MAX)
        values["first"] = max(values["first"], after + 1)
        return tx.fetch_all_sql(statement, limit=FOLLOWED_AT_ONCE, **values)


def _conditions(wanted: EventFilter) -> str:
    """The WHERE clause of the filters, with the range of ids."""
    values = wanted._asdict()
    chosen = [text for name, text in CONDITIONS.items() if values[name] is not None]
    return " AND ".join([RANGE, *chosen, *([OF_DAY] if wanted.day else [])])


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
