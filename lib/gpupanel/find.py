"""Finding batches: by filters, from a place on, and how many there are (docs/DECISIONS.md, "Finding batches").

One filter, with dates or without, is read from an index that holds its rows in the order of the list: a page costs what
it shows, wherever it is. Of several filters the one that leaves the fewest rows leads, and the others are looked up in
its rows: at most SCAN of them at once, and a page that stops there says so.
"""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from .database import Reading, chunks, query
from .filters import Filters
from .model import BatchStatus

SCAN = 5_000  # rows that one page, or one count of several filters, looks through at most
BOUND = 10_000  # a count goes no further
MOST_HOSTS = 100
BEFORE_ALL = datetime(1000, 1, 1)
ENDS = (0, 2**63 - 1)  # ids that stand before all batches and after them


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


class Edge(NamedTuple):
    """A batch's place in the order of discovery."""

    discovered_at: datetime
    id: int


class Road(NamedTuple):
    """How rows are reached: what a query reads from, and by which filter. `alone`: no other filter is left to look up.
    `short`: it has no more than SCAN rows."""

    source: str
    lead: str | None
    alone: bool = False
    short: bool = False


# filter -> the index that leads to its rows
INDEXES = {
    "status": "status_discovered", "sync_type": "type_discovered", "action": "action_discovered",
    "host": "host_discovered", "sync_id": "sync_id",
}
CONDITIONS = {
    "status": "b.status = %(status)s", "sync_type": "b.sync_type = %(sync_type)s", "action": "b.action = %(action)s",
    "host": "b.source_host = %(host)s", "sync_id": "b.sync_id LIKE %(sync_id)s",
    "since": "b.discovered_at >= %(since)s", "until": "b.discovered_at < %(until)s",
}
DATES = {"since", "until"}
TABLE = "ingest_batch b FORCE INDEX ({})"
TOUCHED = "(SELECT DISTINCT batch_id FROM ({}) latest) touched STRAIGHT_JOIN ingest_batch b ON b.id = touched.batch_id"


def page(
    tx: Reading, filters: Filters, place: Place | None = None, *, oldest_first: bool = False, limit: int = 50
) -> Page:
    """Up to `limit` batches from `place` on, else from the start of the list, each with its latest job."""
    later = place.later if place else oldest_first
    found, horizon = _look(tx, _road(tx, filters), filters, _edge(tx, place), later, limit + 1)
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
    road, found, horizon = _road(tx, filters), [], None
    for _ in range(limit // SCAN):
        more, horizon = _look(tx, road, filters, horizon, False, limit + 1 - len(found))
        found += [edge.id for edge in more]
        if horizon is None or len(found) > limit:
            break
    return found[:limit], horizon is None and len(found) <= limit


def count(tx: Reading, filters: Filters) -> Count:
    """How many batches the filters leave; beyond BOUND, or where looking stopped at SCAN, it is at least the number."""
    road = _road(tx, filters)
    horizon = None if road.alone else _horizon(tx, road, filters, None, False)
    number = _value(tx, "count", road, filters, horizon, limit=BOUND + 1)
    whole = road.lead != "asset_hash" or len(_touching(tx, filters)) < SCAN
    return Count(number, horizon is None and whole and number <= BOUND)


def count_by_status(tx: Reading, filters: Filters) -> dict[str, Count]:
    """status -> how many batches of it the other filters leave."""
    others = filters._replace(status=None)
    if not _given(others):
        return {str(status): count(tx, others._replace(status=status)) for status in BatchStatus}
    road = _road(tx, others)
    horizon = _horizon(tx, road, others, None, False)
    rows = _all(tx, "count_by_status", road, others, horizon)
    numbers = {row["status"]: row["batches"] for row in rows}
    return {str(status): Count(numbers.get(status, 0), horizon is None) for status in BatchStatus}


def hosts(tx: Reading) -> list[str]:
    """The first hosts by name that bundles came from."""
    return [row["source_host"] for row in tx.all("find.hosts", limit=MOST_HOSTS)]


# ------------------------------------------------------------------------------------------------- how it is found


def _given(filters: Filters) -> list[str]:
    """The filters that are set, dates aside, since every index holds its rows by date."""
    return [name for name, value in filters._asdict().items() if value is not None and name not in DATES]


def _road(tx: Reading, filters: Filters) -> Road:
    """The road with the fewest rows. The rows of a sync_id's start are in another order than the list, so that road is
    taken only when it is short."""
    given = _given(filters)
    if "asset_hash" in given:
        return Road(TOUCHED.format(query("find.touched")), "asset_hash", alone=len(given) == 1, short=True)
    if not given:
        return Road(TABLE.format("discovered"), None, alone=True)
    if len(given) == 1 and given != ["sync_id"]:
        return _by(given[0])._replace(alone=True)
    numbers = {name: _value(tx, "count", _by(name), filters, only=True, limit=SCAN + 1) for name in given}
    lead = min(given, key=numbers.__getitem__)
    if numbers[lead] <= SCAN:
        return _by(lead)._replace(short=True)
    return _by(lead) if lead != "sync_id" else Road(TABLE.format("discovered"), None)


def _by(name: str) -> Road:
    return Road(TABLE.format(INDEXES[name]), name)


def _look(
    tx: Reading, road: Road, filters: Filters, start: Edge | None, later: bool, limit: int
) -> tuple[list[Edge], Edge | None]:
    """The next batches from `start` on, and the edge beyond which it was not looked."""
    horizon = None if road.alone else _horizon(tx, road, filters, start, later)
    rows = _all(tx, "places", road, filters, horizon, start, later, limit=limit, offset=0)
    return [Edge(row["discovered_at"], row["id"]) for row in rows], horizon


def _horizon(tx: Reading, road: Road, filters: Filters, start: Edge | None, later: bool) -> Edge | None:
    """The edge after SCAN rows of the road, None when it ends before."""
    if road.short:
        return None
    rows = _all(tx, "places", road, filters, None, start, later, only=True, limit=1, offset=SCAN - 1)
    return Edge(rows[0]["discovered_at"], rows[0]["id"]) if rows else None


def _value(tx: Reading, name: str, road: Road, filters: Filters, horizon: Edge | None = None, **more) -> int:
    [row] = _all(tx, name, road, filters, horizon, **more)
    return row["batches"]


def _all(
    tx: Reading, name: str, road: Road, filters: Filters, horizon: Edge | None = None, start: Edge | None = None,
    later: bool = False, *, only: bool = False, **more,
) -> list[dict[str, Any]]:
    """A query of find.sql along the road, between `start` (not included) and `horizon` (included); with `only` the
    road's own filter and the dates count, and no other."""
    names = [name for name in CONDITIONS if getattr(filters, name) is not None]
    where = [CONDITIONS[name] for name in names if not only or name in DATES or name == road.lead]
    where += [_beyond("start", later)] if start else []
    where += [f"NOT {_beyond('horizon', later)}"] if horizon else []
    statement = query(f"find.{name}").format(
        source=road.source, where=" AND ".join(where) or "TRUE", way="ASC" if later else "DESC"
    )
    return list(tx.stream_statement(statement, **_parameters(filters, start=start, horizon=horizon), **more))


def _beyond(edge: str, later: bool) -> str:
    """The rows behind an edge, in a form that an index is read by."""
    sign = ">" if later else "<"
    at, number = f"%({edge}_at)s", f"%({edge}_id)s"
    return f"(b.discovered_at {sign} {at} OR (b.discovered_at = {at} AND b.id {sign} {number}))"


def _parameters(filters: Filters, **edges: Edge | None) -> dict[str, Any]:
    values = filters._asdict() | {
        "sync_id": f"{filters.sync_id}%", "asset_hash": f"{filters.asset_hash}%", "most": SCAN,
        "until": filters.until and filters.until + timedelta(days=1),
    }
    for name, edge in edges.items():
        values |= {f"{name}_at": edge.discovered_at, f"{name}_id": edge.id} if edge else {}
    return values


def _touching(tx: Reading, filters: Filters) -> list[dict[str, Any]]:
    return tx.all("find.touched", asset_hash=f"{filters.asset_hash}%", most=SCAN)


def _edge(tx: Reading, place: Place | None) -> Edge | None:
    if place is None:
        return None
    return Edge(tx.value("find.moment", id=place.id) or BEFORE_ALL, place.id)


def _rows(tx: Reading, wanted: list[int]) -> list[dict[str, Any]]:
    """The batches with these ids, in this order."""
    known = {row["id"]: row for some in chunks(wanted) for row in tx.all("find.rows", ids=some)}
    return [known[number] for number in wanted]
