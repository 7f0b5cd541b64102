"""Pages and counts of the batches that match filters (decision 0024).

One filter, with or without dates, is read from an index in the order of the list, so a page costs what it shows. With
several filters, the one with the fewest rows chooses the index, and its rows are checked against the others: at most
SCAN rows at once, and a page that stops there says so.
"""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

from ..database import Reading, chunks, fill
from ..filters import Filters
from ..model import BOUND, BatchStatus
from ..pagination import ENDS, Cursor, Page, build_page
from ..rows import ListedBatch
from .roads import (
    DATES, INDEXES, KEY, SCAN, TABLE, Road, choose, conditions, follow, given, horizon_of, parameters, road, value,
)

MANY = 100  # where counts by status stop in a ledger of more than BOUND batches, since each list shows eight of them
MOST_HOSTS = 100
BEFORE_ALL = datetime(1000, 1, 1)


class Count(NamedTuple):
    """A number of batches; unless it is exact, there are at least so many."""

    number: int
    exact: bool


def page(
    tx: Reading, filters: Filters, place: Cursor | None = None, *, oldest_first: bool = False, limit: int = 50,
    by: Road | None = None,
) -> Page[ListedBatch]:
    """A page of batches from the cursor on, else from the start.

    `by` is the access path of these filters, if the caller knows it.
    """
    start = place or Cursor(ENDS[0] if oldest_first else ENDS[1], oldest_first)
    found, horizon = _look(tx, by or road(tx, filters), filters, start if place else None, limit + 1, start.ascending)
    batches = build_page(found, start, limit, KEY, list_ascending=oldest_first, horizon=horizon)
    return replace(batches, rows=_rows(tx, [row["id"] for row in batches.rows]))


def ids(tx: Reading, filters: Filters, *, limit: int = BOUND) -> tuple[list[int], bool]:
    """The ids of the latest matching batches, and whether these are all."""
    way, found, horizon = road(tx, filters), list[int](), None
    for _ in range(limit // SCAN):
        rows, horizon = _look(tx, way, filters, horizon, limit + 1 - len(found), False)
        found += [row["id"] for row in rows]
        if horizon is None or len(found) > limit:
            break
    return found[:limit], horizon is None and len(found) <= limit


def count(tx: Reading, filters: Filters, by: Road | None = None) -> Count:
    """The number of matching batches, exact or a lower limit."""
    way = by or road(tx, filters)
    if way.alone and not way.short:
        number = value(tx, "find.count_to", way, filters, bound=BOUND)
        return Count(number, number <= BOUND)
    horizon = horizon_of(tx, way, filters, None, False)
    return Count(value(tx, "find.count", way, filters, horizon), horizon is None and _whole(tx, way, filters))


def counts(tx: Reading, filters: Filters, by: Road | None = None) -> tuple[Count, dict[str, Count]]:
    """The number of matching batches, and status -> number without status.

    Without filters but dates, all numbers are exact while the ids of batches span at most BOUND.
    """
    large = not given(filters._replace(status=None)) and tx.value("find.span") >= BOUND
    by_status = count_by_status(tx, filters, by, most=MANY if large else None)
    own = by_status[filters.status] if filters.status else _sum(by_status.values())
    if not own.exact:
        own = count(tx, filters, by)
    if filters.status:
        by_status[filters.status] = own
    return own, by_status


def count_by_status(tx: Reading, filters: Filters, by: Road | None = None, *, most: int | None) -> dict[str, Count]:
    """status -> number of batches that match the other filters.

    Without filters but dates, each is counted up to `most`, or exactly if that is None.
    """
    others = filters._replace(status=None)
    if not given(others):
        return _count_each_status(tx, others, most)
    way = choose(given(others), by.numbers) if by and by.numbers else road(tx, others)
    horizon = horizon_of(tx, way, others, None, False)
    exact = horizon is None and _whole(tx, way, others)
    rows = follow(tx, "find.count_by_status", way, others, horizon=horizon)
    numbers = {row["status"]: row["batches"] for row in rows}
    return {str(status): Count(numbers.get(status, 0), exact) for status in BatchStatus}


def _count_each_status(tx: Reading, filters: Filters, most: int | None) -> dict[str, Count]:
    """Count by the index of statuses alone, in one statement."""
    name, source = "find.count_to" if most else "find.count", TABLE.format(INDEXES["status"])
    parts = []
    for status in BatchStatus:
        where = " AND ".join([f"b.status = '{status}'", *conditions(filters, DATES)])
        parts.append(f"({fill(name, source=source, where=where)}) AS {status}")
    [numbers] = tx.all_of(f"SELECT {', '.join(parts)}", **parameters(filters), bound=most)
    return {
        status: Count(min(number, most or number), not most or number <= most) for status, number in numbers.items()
    }


def _sum(parts: Collection[Count]) -> Count:
    number = sum(part.number for part in parts)
    return Count(number, number <= BOUND and all(part.exact for part in parts))


def _whole(tx: Reading, way: Road, filters: Filters) -> bool:
    """Whether the access path has all rows of its filter."""
    return way.lead != "asset_hash" or len(tx.all("find.touched", **parameters(filters))) < SCAN


def hosts(tx: Reading) -> list[str]:
    """The first source hosts by name."""
    return [row["source_host"] for row in tx.all("find.hosts", limit=MOST_HOSTS)]


def _look(
    tx: Reading, way: Road, filters: Filters, start: Cursor | None, limit: int, ascending: bool
) -> tuple[list[dict[str, Any]], Cursor | None]:
    """The next keys, and the cursor at which the scan stopped, if it did."""
    if start and start.key is None:
        start = replace(start, key=tx.value("find.moment", id=start.id) or BEFORE_ALL)
    horizon = None if way.alone else horizon_of(tx, way, filters, start, ascending)
    rows = follow(tx, "find.places", way, filters, ascending, start=start, horizon=horizon, limit=limit, offset=0)
    return rows, horizon


def _rows(tx: Reading, wanted: list[int]) -> list[ListedBatch]:
    """The batches with these ids, in this order."""
    rows = {row["id"]: row for chunk in chunks(wanted) for row in tx.all("find.rows", ids=chunk)}
    return [rows[number] for number in wanted]
