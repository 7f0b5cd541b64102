"""Choose the index for a batch search and build its WHERE clause."""

from collections.abc import Container, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any, NamedTuple

from ..db import ReadTransaction, fill, query
from ..pagination import Cursor, keyset_condition, row_cursor, sort_order
from .filters import BatchFilter

MAX_ROWS_SCANNED = 5_000  # rows that one page, or one count of several filters, scans at most
KEY = "discovered_at"  # the column that the list is sorted by


class AccessPath(NamedTuple):
    """An access path: table and index, and the filter that it applies.

    `alone`: it applies all filters. `short`: it has at most MAX_ROWS_SCANNED rows. `numbers`: rows of each filter, as
    far as they were counted to choose the path.
    """

    source: str
    lead: str | None
    alone: bool = False
    short: bool = False
    numbers: Mapping[str, int] = MappingProxyType({})


# filter -> its index
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
TOUCHED = (
    "(SELECT DISTINCT batch_id FROM ({}) latest) touched STRAIGHT_JOIN ingest_batch b ON b.id = touched.batch_id"
)


def filter_names(filters: BatchFilter) -> list[str]:
    """The filters that are set, without dates: all indexes have dates."""
    return [name for name, value in filters._asdict().items() if value is not None and name not in DATES]


def choose_access_path(tx: ReadTransaction, filters: BatchFilter) -> AccessPath:
    """Choose the access path with the fewest rows.

    The index of sync_ids is not in the order of the list, so it is used only if it has few rows.
    """
    names = filter_names(filters)
    if "asset_hash" in names:
        return AccessPath(
            TOUCHED.format(query("search.batches_with_asset")), "asset_hash", alone=len(names) == 1, short=True
        )
    numbers = {}
    if len(names) > 1 or names == ["sync_id"]:
        numbers = {
            name: fetch_bounded_value(
                tx, "search.count_to", path_by_index(name), filters, only=True, bound=MAX_ROWS_SCANNED
            )
            for name in names
        }
    return choose_index(names, numbers)


def choose_index(names: list[str], numbers: Mapping[str, int]) -> AccessPath:
    """Choose the access path by the number of rows of each filter."""
    if not names:
        return AccessPath(TABLE.format("discovered"), None, alone=True)
    if len(names) == 1 and names != ["sync_id"]:
        return path_by_index(names[0])._replace(alone=True)
    lead = min(names, key=numbers.__getitem__)
    if numbers[lead] <= MAX_ROWS_SCANNED:
        return path_by_index(lead)._replace(short=True, numbers=numbers)
    path = path_by_index(lead) if lead != "sync_id" else AccessPath(TABLE.format("discovered"), None)
    return path._replace(numbers=numbers)


def path_by_index(name: str) -> AccessPath:
    """The access path by the index of one filter."""
    return AccessPath(TABLE.format(INDEXES[name]), name)


def scan_limit_row(
    tx: ReadTransaction, path: AccessPath, filters: BatchFilter, start: Cursor | None, ascending: bool
) -> Cursor | None:
    """The cursor after MAX_ROWS_SCANNED rows of the access path; None if it has fewer."""
    if path.short:
        return None
    last = run_query(
        tx, "search.page_keys", path, filters, ascending, start=start, only=True, limit=1, offset=MAX_ROWS_SCANNED - 1
    )
    return row_cursor(last[0], KEY, ascending) if last else None


def fetch_bounded_value(
    tx: ReadTransaction, name: str, path: AccessPath, filters: BatchFilter, horizon: Cursor | None = None, **more: Any
) -> int:
    """The result of a query that counts batches."""
    [row] = run_query(tx, name, path, filters, horizon=horizon, **more)
    return int(row["batches"])


def run_query(
    tx: ReadTransaction, name: str, path: AccessPath, filters: BatchFilter, ascending: bool = False, *,
    start: Cursor | None = None, horizon: Cursor | None = None, only: bool = False, **more: Any,
) -> list[dict[str, Any]]:
    """Run a query of search.sql from `start` (excluded) to `horizon`.

    With `only`, the path's own filter and the dates apply, and no other filter.
    """
    where = conditions(filters, DATES | {path.lead or ""} if only else CONDITIONS)
    where += [keyset_condition("b.discovered_at", "b.id", "start", ascending)] if start else []
    where += ["NOT " + keyset_condition("b.discovered_at", "b.id", "horizon", ascending)] if horizon else []
    holes = {"source": path.source, "where": " AND ".join(where) or "TRUE"}
    if name == "search.page_keys":
        holes["order"] = sort_order(ascending)
    return tx.fetch_all_sql(fill(name, **holes), **parameters(filters, start=start, horizon=horizon), **more)


def conditions(filters: BatchFilter, names: Container[str]) -> list[str]:
    """The conditions of those filters that are set and among `names`."""
    return [text for name, text in CONDITIONS.items() if name in names and getattr(filters, name) is not None]


def parameters(filters: BatchFilter, **cursors: Cursor | None) -> dict[str, Any]:
    """The parameters of the conditions and cursors."""
    values = filters._asdict() | {
        "sync_id": f"{filters.sync_id}%", "asset_hash": f"{filters.asset_hash}%", "most": MAX_ROWS_SCANNED,
        "until": filters.until and filters.until + timedelta(days=1),
    }
    for name, cursor in cursors.items():
        values |= cursor.parameters(name) if cursor else {}
    return values
