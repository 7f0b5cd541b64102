"""Finding batches: by filters, from a place on, and how many there are (docs/decisions/0024).

One filter, with dates or without, is read from an index that holds its rows in the order of the list: a page costs what
it shows, wherever it is. Of several filters the one that leaves the fewest rows leads, and the others are looked up in
its rows: at most SCAN of them at once, and a page that stops there says so.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple

from ..database import Reading, chunks, query
from ..filters import Filters
from ..model import BOUND, HIGHEST, BatchStatus
from .roads import (
    DATES, INDEXES, SCAN, TABLE, Edge, Road, choose, conditions, follow, given, horizon_of, parameters, road, value,
)

MANY = 100  # in a ledger of more than BOUND batches each count beside a status goes no further: a list has eight of them
MOST_HOSTS = 100
BEFORE_ALL = datetime(1000, 1, 1)
ENDS = (0, HIGHEST)  # ids that stand before all batches and after them


class Place(NamedTuple):
    """What was discovered later than the batch with this id, or earlier; ENDS stand outside of all."""

    id: int
    later: bool


class Page(NamedTuple):
    """Rows in the order of the list, and where its neighbours begin. When the page was not full after SCAN rows,
    `stopped_at` is the moment of the last one, and `further` where looking goes on."""

    rows: list[dict[str, Any]]
    next: Place | None
    previous: Place | None
    stopped_at: datetime | None
    further: Place | None


class Count(NamedTuple):
    """How many there are, or at least are."""

    number: int
    exact: bool


def page(
    tx: Reading, filters: Filters, place: Place | None = None, *, oldest_first: bool = False, limit: int = 50,
    by: Road | None = None,
) -> Page:
    """Up to `limit` batches from `place` on, else from the start of the list, each with its latest job. `by` is what `road`
    found for these filters, if it was asked already."""
    later = place.later if place else oldest_first
    found, horizon = _look(tx, by or road(tx, filters), filters, _edge(tx, place), later, limit + 1)
    shown, full = found[:limit], len(found) > limit
    end = shown[-1] if full else horizon
    onward = Place(end.id, later) if end else None
    back = Place(shown[0].id, not later) if place and place.id not in ENDS and shown else None
    stopped = (horizon.discovered_at, onward) if horizon and not full else (None, None)
    rows = _rows(tx, [edge.id for edge in shown])
    if later == oldest_first:
        return Page(rows, onward, back, *stopped)
    return Page(rows[::-1], back, onward, *stopped)


def ids(tx: Reading, filters: Filters, *, limit: int = BOUND) -> tuple[list[int], bool]:
    """The ids of the latest batches, at most `limit`, and whether those are all that the filters leave."""
    way, found, horizon = road(tx, filters), [], None
    for _ in range(limit // SCAN):
        more, horizon = _look(tx, way, filters, horizon, False, limit + 1 - len(found))
        found += [edge.id for edge in more]
        if horizon is None or len(found) > limit:
            break
    return found[:limit], horizon is None and len(found) <= limit


def count(tx: Reading, filters: Filters, by: Road | None = None) -> Count:
    """How many batches the filters leave; beyond BOUND, or where looking stopped at SCAN, it is at least the number."""
    way = by or road(tx, filters)
    if way.alone and not way.short:
        number = value(tx, "count_to", way, filters, bound=BOUND)
        return Count(number, number <= BOUND)
    horizon = horizon_of(tx, way, filters, None, False)
    return Count(value(tx, "count", way, filters, horizon), horizon is None and _whole(tx, way, filters))


def counts(tx: Reading, filters: Filters, by: Road | None = None) -> tuple[Count, dict[str, Count]]:
    """How many batches the filters leave, which follows from the others where those are exact, and status -> how many of it
    the other filters leave. With no filters but dates all are exact while ids span no more than BOUND."""
    large = not given(filters._replace(status=None)) and tx.value("find.span") >= BOUND
    each = count_by_status(tx, filters, by, most=MANY if large else None)
    own = each[filters.status] if filters.status else _sum(each.values())
    if not own.exact:
        own = count(tx, filters, by)
    if filters.status:
        each[filters.status] = own
    return own, each


def count_by_status(tx: Reading, filters: Filters, by: Road | None = None, *, most: int | None) -> dict[str, Count]:
    """status -> how many batches of it the other filters leave, or at least so many where looking stopped at SCAN. When
    there are none but dates, each is counted to `most`, or to the end if that is None."""
    others = filters._replace(status=None)
    if not given(others):
        return _count_each_status(tx, others, most)
    way = choose(given(others), by.numbers) if by and by.numbers else road(tx, others)
    horizon = horizon_of(tx, way, others, None, False)
    exact = horizon is None and _whole(tx, way, others)
    numbers = {row["status"]: row["batches"] for row in follow(tx, "count_by_status", way, others, horizon)}
    return {str(status): Count(numbers.get(status, 0), exact) for status in BatchStatus}


def _count_each_status(tx: Reading, filters: Filters, most: int | None) -> dict[str, Count]:
    """By the index of statuses alone, in one statement."""
    where = " AND ".join(["b.status = '{0}'", *conditions(filters, DATES)])
    part = query("find.count_to" if most else "find.count").format(source=TABLE.format(INDEXES["status"]), where=where)
    parts = [f"({part.format(status)}) AS {status}" for status in BatchStatus]
    [numbers] = tx.all_of(f"SELECT {', '.join(parts)}", **parameters(filters), bound=most)
    return {status: Count(min(number, most or number), not most or number <= most) for status, number in numbers.items()}


def _sum(parts: Collection[Count]) -> Count:
    number = sum(part.number for part in parts)
    return Count(number, number <= BOUND and all(part.exact for part in parts))


def _whole(tx: Reading, way: Road, filters: Filters) -> bool:
    """Whether the road has all that its filter leaves: that of an asset ends at SCAN."""
    return way.lead != "asset_hash" or len(tx.all("find.touched", **parameters(filters))) < SCAN


def hosts(tx: Reading) -> list[str]:
    """The first hosts by name that bundles came from."""
    return [row["source_host"] for row in tx.all("find.hosts", limit=MOST_HOSTS)]


def _look(
    tx: Reading, road: Road, filters: Filters, start: Edge | None, later: bool, limit: int
) -> tuple[list[Edge], Edge | None]:
    """The next batches from `start` on, and the edge beyond which it was not looked."""
    horizon = None if road.alone else horizon_of(tx, road, filters, start, later)
    rows = follow(tx, "places", road, filters, horizon, start, later, limit=limit, offset=0)
    return [Edge(row["discovered_at"], row["id"]) for row in rows], horizon


def _edge(tx: Reading, place: Place | None) -> Edge | None:
    if place is None:
        return None
    return Edge(tx.value("find.moment", id=place.id) or BEFORE_ALL, place.id)


def _rows(tx: Reading, wanted: list[int]) -> list[dict[str, Any]]:
    """The batches with these ids, in this order."""
    known = {row["id"]: row for some in chunks(wanted) for row in tx.all("find.rows", ids=some)}
    return [known[number] for number in wanted]
