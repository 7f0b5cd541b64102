"""How batches are reached: by which index, how far, and which filters are looked up on the way."""

from collections.abc import Container
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ..database import Reading, query
from ..filters import Filters

SCAN = 5_000  # rows that one page, or one count of several filters, looks through at most


class Edge(NamedTuple):
    """A batch's place in the order of discovery."""

    discovered_at: datetime
    id: int


class Road(NamedTuple):
    """How rows are reached: what a query reads from, and by which filter. `alone`: no other filter is left to look up.
    `short`: it has no more than SCAN rows. `numbers` are those that it was chosen by: how many rows each filter has alone."""

    source: str
    lead: str | None
    alone: bool = False
    short: bool = False
    numbers: dict[str, int] = {}


# filter -> the index that leads to its rows
INDEXES = {
    "status": "by_status", "sync_type": "by_type", "action": "by_action", "host": "by_host", "sync_id": "sync_id",
}
CONDITIONS = {
    "status": "b.status = %(status)s", "sync_type": "b.sync_type = %(sync_type)s", "action": "b.action = %(action)s",
    "host": "b.source_host = %(host)s", "sync_id": "b.sync_id LIKE %(sync_id)s",
    "since": "b.discovered_at >= %(since)s", "until": "b.discovered_at < %(until)s",
}
DATES = {"since", "until"}
TABLE = "ingest_batch b FORCE INDEX ({})"
TOUCHED = "(SELECT DISTINCT batch_id FROM ({}) latest) touched STRAIGHT_JOIN ingest_batch b ON b.id = touched.batch_id"


def given(filters: Filters) -> list[str]:
    """The filters that are set, dates aside, since every index holds its rows by date."""
    return [name for name, value in filters._asdict().items() if value is not None and name not in DATES]


def road(tx: Reading, filters: Filters) -> Road:
    """The road with the fewest rows. The rows of a sync_id's start are in another order than the list, so that road is
    taken only when it is short."""
    names = given(filters)
    if "asset_hash" in names:
        return Road(TOUCHED.format(query("find.touched")), "asset_hash", alone=len(names) == 1, short=True)
    numbers = {}
    if len(names) > 1 or names == ["sync_id"]:
        numbers = {name: value(tx, "count_to", by(name), filters, only=True, bound=SCAN) for name in names}
    return choose(names, numbers)


def choose(names: list[str], numbers: dict[str, int]) -> Road:
    """The same for filters whose numbers of rows are known already; counted no further than SCAN + 1 each."""
    if not names:
        return Road(TABLE.format("discovered"), None, alone=True)
    if len(names) == 1 and names != ["sync_id"]:
        return by(names[0])._replace(alone=True)
    lead = min(names, key=numbers.__getitem__)
    if numbers[lead] <= SCAN:
        return by(lead)._replace(short=True, numbers=numbers)
    return (by(lead) if lead != "sync_id" else Road(TABLE.format("discovered"), None))._replace(numbers=numbers)


def by(name: str) -> Road:
    """By the index of one filter."""
    return Road(TABLE.format(INDEXES[name]), name)


def horizon_of(tx: Reading, road: Road, filters: Filters, start: Edge | None, later: bool) -> Edge | None:
    """The edge after SCAN rows of the road, None when it ends before."""
    if road.short:
        return None
    last = follow(tx, "places", road, filters, None, start, later, only=True, limit=1, offset=SCAN - 1)
    return Edge(last[0]["discovered_at"], last[0]["id"]) if last else None


def value(tx: Reading, name: str, road: Road, filters: Filters, horizon: Edge | None = None, **more) -> int:
    """What a query that counts comes to."""
    [row] = follow(tx, name, road, filters, horizon, **more)
    return row["batches"]


def follow(
    tx: Reading, name: str, road: Road, filters: Filters, horizon: Edge | None = None, start: Edge | None = None,
    later: bool = False, *, only: bool = False, **more,
) -> list[dict[str, Any]]:
    """A query of find.sql along the road, between `start` (not included) and `horizon` (included); with `only` the
    road's own filter and the dates count, and no other."""
    where = conditions(filters, DATES | {road.lead} if only else CONDITIONS)
    where += [_beyond("start", later)] if start else []
    where += [f"NOT {_beyond('horizon', later)}"] if horizon else []
    statement = query(f"find.{name}").format(
        source=road.source, where=" AND ".join(where) or "TRUE", way="ASC" if later else "DESC"
    )
    return tx.all_of(statement, **parameters(filters, start=start, horizon=horizon), **more)


def conditions(filters: Filters, names: Container[str]) -> list[str]:
    """The conditions of those filters that are set, and among `names`."""
    return [text for name, text in CONDITIONS.items() if name in names and getattr(filters, name) is not None]


def _beyond(edge: str, later: bool) -> str:
    """The rows behind an edge, in a form that an index is read by."""
    sign = ">" if later else "<"
    at, number = f"%({edge}_at)s", f"%({edge}_id)s"
    return f"(b.discovered_at {sign} {at} OR (b.discovered_at = {at} AND b.id {sign} {number}))"


def parameters(filters: Filters, **edges: Edge | None) -> dict[str, Any]:
    """What the conditions name; of an edge `start` that is `start_at` and `start_id`."""
    values = filters._asdict() | {
        "sync_id": f"{filters.sync_id}%", "asset_hash": f"{filters.asset_hash}%", "most": SCAN,
        "until": filters.until and filters.until + timedelta(days=1),
    }
    for name, edge in edges.items():
        values |= {f"{name}_at": edge.discovered_at, f"{name}_id": edge.id} if edge else {}
    return values
