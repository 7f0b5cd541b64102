"""The list of batches, with filters, order and cursor in the URL."""

from typing import Any

from ... import filters, find
from ...config import Settings
from ...database import Database, Reading
from ...errors import InvalidInput
from ...filters import Filters
from ...pagination import Cursor
from ..visit import Visit
from .shapes import listed, neighbour

SORTS = ("newest", "oldest")


def show(db: Database, visit: Visit, settings: Settings) -> dict[str, Any]:
    """Return one page of matching batches. Raises InvalidInput.

    The parameter `before` or `after` is the cursor: the id of a batch.
    """
    wanted, place = filters.read(visit.query), _place(visit)
    sort = visit.choice("sort", list(SORTS)) or SORTS[0]
    chosen = {name: visit.query.get(name) or None for name in filters.NAMES}
    return db.read(_read, wanted, place, sort, settings.panel.page_size) | {
        "status": wanted.status, "statuses": filters.STATUSES, "before": visit.number("before"),
        "after": visit.number("after"), "sort": sort, "filters": chosen, "types": filters.TYPES,
        "actions": filters.ACTIONS,
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
        "counts": {status: bounded._asdict() for status, bounded in counts.items()},
        "batches": [listed(row) for row in page.rows],
        "next_before": page.next.id if page.next and not page.next.ascending else None,
        "next": neighbour(page.next),
        "previous": neighbour(page.previous),
        "stopped_at": page.stopped_at,
        "further": neighbour(page.further),
        "hosts": find.hosts(tx),
    }
