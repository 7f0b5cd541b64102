"""The list of batches, with filters, order and cursor in the URL."""

from typing import Any

from ... import search
from ...config import Settings
from ...db import Database, ReadTransaction
from ...errors import InvalidInputError
from ...pagination import Cursor
from ...search import filters
from ...search.filters import BatchFilter
from ..request import Request
from ..serializers import cursor_params, serialize_batch
from ..etag import etag_source

__all__ = ["etag_source", "view"]


def view(db: Database, request: Request, settings: Settings) -> dict[str, Any]:
    """Return one page of matching batches. Raises InvalidInputError.

    The parameter `before` or `after` is the cursor: the id of a batch.
    """
    wanted, cursor = filters.parse_filter(request.query), _cursor(request)
    sort = request.choice("sort", list(search.SORTS)) or "newest"
    chosen = {name: request.query.get(name) or None for name in filters.NAMES}
    return db.run_read(_read, wanted, cursor, sort, settings.panel.page_size) | {
        "status": wanted.status, "statuses": filters.STATUSES, "before": request.number("before"),
        "after": request.number("after"), "sort": sort, "filters": chosen, "types": filters.TYPES,
        "actions": filters.ACTIONS, "is_prefix": wanted.words is None, "attention": wanted.attention,
    }


def _shows_held(wanted: BatchFilter, cursor: Cursor | None) -> bool:
    """Return whether the list is the first page of all batches that need attention: held ones come first there."""
    return cursor is None and wanted == BatchFilter(attention="new")


def _cursor(request: Request) -> Cursor | None:
    before, after = request.number("before"), request.number("after")
    if before is not None and after is not None:
        raise InvalidInputError("before, after: found both, expected one of them")
    batch_id = before if after is None else after
    return None if batch_id is None else Cursor(batch_id, ascending=after is not None)


def _read(tx: ReadTransaction, wanted: BatchFilter, cursor: Cursor | None, sort: str, size: int) -> dict[str, Any]:
    path = search.choose_access_path(tx, wanted)
    page = search.list_batches(tx, wanted, search.PageRequest(cursor, search.SORTS[sort], size), path)
    held = search.list_held_for_person(tx, limit=size) if _shows_held(wanted, cursor) else []
    count, counts = search.count_list_and_statuses(tx, wanted, path)
    return {
        "count": count.number,
        "count_is_exact": count.exact,
        "counts": {status: bounded._asdict() for status, bounded in counts.items()},
        "batches": [serialize_batch(row) for row in page.rows],
        "held": [serialize_batch(row) for row in held],
        "next_before": page.next.id if page.next and not page.next.ascending else None,
        "next": cursor_params(page.next),
        "previous": cursor_params(page.previous),
        "stopped_at": page.stopped_at,
        "further": cursor_params(page.further),
        "hosts": search.list_hosts(tx),
    }
