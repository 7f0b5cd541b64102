"""The list of batches: filters, order and place in the URL, and what can be done with those that are chosen."""

from ... import filters, find
from ...config import Settings
from ...database import Database, Reading
from ...errors import InvalidInput
from ...filters import Filters
from ...pagination import Cursor
from ..visit import Visit
from .shapes import listed, neighbour

SORTS = ("newest", "oldest")


def show(db: Database, visit: Visit, settings: Settings) -> dict:
    """The filters (`filters.NAMES`), `sort`, and `before` or `after`: an id, beyond which the page begins. Raises
    InvalidInput."""
    wanted, place = filters.read(visit.query), _place(visit)
    sort = visit.choice("sort", list(SORTS)) or SORTS[0]
    chosen = {name: visit.query.get(name) or None for name in filters.NAMES}
    return db.read(_read, wanted, place, sort, settings.panel.page_size) | {
        "status": wanted.status, "statuses": filters.STATUSES, "before": visit.number("before"),
        "after": visit.number("after"), "sort": sort, "filters": chosen, "types": filters.TYPES, "actions": filters.ACTIONS,
    }


def _place(visit: Visit) -> Cursor | None:
    before, after = visit.number("before"), visit.number("after")
    if before is not None and after is not None:
        raise InvalidInput("before, after: found both, expected one of them")
    given = before if after is None else after
    return None if given is None else Cursor(given, ascending=after is not None)


def _read(tx: Reading, wanted: Filters, place: Cursor | None, sort: str, size: int) -> dict:
    road = find.road(tx, wanted)
    page = find.page(tx, wanted, place, oldest_first=sort == "oldest", limit=size, by=road)
    count, counts = find.counts(tx, wanted, road)
    return {
        "count": count.number,
        "count_is_exact": count.exact,
        "counts": {status: each._asdict() for status, each in counts.items()},
        "batches": [listed(row) for row in page.rows],
        "next_before": page.next.id if page.next and not page.next.ascending else None,
        "next": neighbour(page.next),
        "previous": neighbour(page.previous),
        "stopped_at": page.stopped_at,
        "further": neighbour(page.further),
        "hosts": find.hosts(tx),
    }
