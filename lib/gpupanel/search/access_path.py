"""Choose the index for a batch search and build its WHERE clause."""

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, NamedTuple

from ..db import ReadTransaction, fill, query
from ..models import ATTENTION
from ..pagination import Cursor, keyset_condition, nullable_condition, row_cursor, sort_order
from .filters import BatchFilter

MAX_ROWS_SCANNED = 5_000  # rows that one page, or one count of several filters, scans at most


@dataclass(frozen=True, slots=True)
class Sort:
    """An order of the list: column, its index, direction, and the key of a cursor that names no batch."""

    key: str = "discovered_at"
    index: str = "discovered"
    ascending: bool = False
    missing: Any = datetime(1000, 1, 1)


NEWEST = Sort()
# Name in URLs and options -> order.
SORTS = {
    "newest": NEWEST,
    "oldest": Sort(ascending=True),
    "items": Sort("item_count", "by_items", missing=-1),
    "fewest_items": Sort("item_count", "by_items", ascending=True, missing=-1),
    "bytes": Sort("total_bytes", "by_bytes", missing=-1),
    "fewest_bytes": Sort("total_bytes", "by_bytes", ascending=True, missing=-1),
    "completed": Sort("completed_at", "by_completed", missing=None),
    "first_completed": Sort("completed_at", "by_completed", ascending=True, missing=None),
}


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


class BatchScan(NamedTuple):
    """The batches that a query reads: access path, filters, direction, start (excluded) and last row of the scan."""

    path: AccessPath
    filters: BatchFilter
    ascending: bool = False
    start: Cursor | None = None
    horizon: Cursor | None = None
    key: str = NEWEST.key


# filter -> its index
INDEXES = {
    "status": "by_status", "sync_type": "by_type", "action": "by_action", "host": "by_host", "sync_id": "sync_id",
    "attention": "by_attention",
}
CONDITIONS = {
    "status": "b.status = %(status)s", "sync_type": "b.sync_type = %(sync_type)s", "action": "b.action = %(action)s",
    "host": "b.source_host = %(host)s", "sync_id": "b.sync_id LIKE %(sync_id)s",
    "attention": "b.attention = %(attention)s",
    "since": "b.discovered_at >= %(since)s", "until": "b.discovered_at < %(until)s",
}
HAS_WORD = "EXISTS (SELECT 1 FROM ingest_batch_word w WHERE w.batch_id = b.id AND w.word LIKE %(word_{})s)"
ALL_CONDITIONS = {*CONDITIONS, "words"}
DATES = {"since", "until"}
TABLE = "ingest_batch b FORCE INDEX ({})"
TOUCHED = (
    "(SELECT DISTINCT batch_id FROM ({}) latest) touched STRAIGHT_JOIN ingest_batch b ON b.id = touched.batch_id"
)
# The filters whose index is not one of ingest_batch, and the query that reads it.
OTHER_INDEXES = {"asset_hash": "search.batches_with_asset", "words": "search.batches_with_word"}


def filter_names(filters: BatchFilter) -> list[str]:
    """The filters that are set, without dates: all indexes have dates."""
    return [name for name, value in filters._asdict().items() if value is not None and name not in DATES]


def choose_access_path(tx: ReadTransaction, filters: BatchFilter) -> AccessPath:
    """Choose the access path with the fewest rows.

    The index of sync_ids is not in the order of the list, so it is used only if it has few rows.
    """
    names = filter_names(filters)
    other = next((name for name in names if name in OTHER_INDEXES), None)
    if other:
        is_alone = len(names) == 1 and len(filters.words or ("",)) == 1
        return AccessPath(TOUCHED.format(query(OTHER_INDEXES[other])), other, alone=is_alone, short=True)
    numbers = {}
    if len(names) > 1 or names == ["sync_id"]:
        numbers = {
            name: fetch_count(
                tx, "search.count_to", BatchScan(path_by_index(name), filters), only=True, bound=MAX_ROWS_SCANNED
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


def choose_sorted_path(tx: ReadTransaction, filters: BatchFilter, sort: Sort, path: AccessPath) -> AccessPath:
    """Choose the access path of a list in another order than that of discovery; `path` is the one in that order.

    The rows of a filter that has few are sorted; else the index of the order is read, and its rows are checked.
    """
    if sort.index == NEWEST.index or path.short:
        return path
    names = filter_names(filters)
    if not names and filters.since is None and filters.until is None:
        return AccessPath(TABLE.format(sort.index), None, alone=True)
    if path.numbers:  # the rows were counted: no filter has few
        return AccessPath(TABLE.format(sort.index), None)
    candidate = path_by_index(names[0]) if names else AccessPath(TABLE.format(NEWEST.index), None)
    rows = fetch_count(tx, "search.count_to", BatchScan(candidate, filters), only=True, bound=MAX_ROWS_SCANNED)
    return candidate._replace(short=True) if rows <= MAX_ROWS_SCANNED else AccessPath(TABLE.format(sort.index), None)


def path_by_index(name: str) -> AccessPath:
    """The access path by the index of one filter."""
    return AccessPath(TABLE.format(INDEXES[name]), name)


def scan_limit_row(tx: ReadTransaction, scan: BatchScan) -> Cursor | None:
    """The cursor after MAX_ROWS_SCANNED rows of the access path; None if it has fewer."""
    if scan.path.short:
        return None
    last = run_query(tx, "search.page_keys", scan, only=True, limit=1, offset=MAX_ROWS_SCANNED - 1)
    return row_cursor(last[0], scan.key, scan.ascending) if last else None


def fetch_count(tx: ReadTransaction, name: str, scan: BatchScan, *, only: bool = False, **params: int) -> int:
    """The result of a query that counts batches."""
    [row] = run_query(tx, name, scan, only=only, **params)
    return int(row["batches"])


def run_query(
    tx: ReadTransaction, name: str, scan: BatchScan, *, only: bool = False, **params: int
) -> list[dict[str, Any]]:
    """Run a query of search.sql.

    With `only`, the path's own filter and the dates apply, and no other filter.
    """
    path, filters, ascending, start, horizon, key = scan
    where = conditions(filters, DATES | {path.lead or ""} if only else ALL_CONDITIONS)
    where += [_beyond(key, "start", start)] if start else []
    where += [_up_to(key, horizon)] if horizon else []
    holes = {"source": path.source, "where": " AND ".join(where) or "TRUE"}
    if name == "search.page_keys":
        holes |= {"order": sort_order(ascending), "key": key}
    return tx.fetch_all_sql(fill(name, **holes), **parameters(filters, start=start, horizon=horizon), **params)


def _beyond(key: str, name: str, cursor: Cursor) -> str:
    """The condition of the rows beyond a cursor."""
    if key == "completed_at":
        return nullable_condition(f"b.{key}", "b.id", name, cursor)
    return keyset_condition(f"b.{key}", "b.id", name, cursor.ascending)


def _up_to(key: str, horizon: Cursor) -> str:
    """The condition of the rows up to the horizon, and of those without a key that come before it."""
    condition = f"NOT {_beyond(key, 'horizon', horizon)}"
    return f"({condition} OR b.{key} IS NULL)" if key == "completed_at" and horizon.ascending else condition


def conditions(filters: BatchFilter, names: Container[str]) -> list[str]:
    """The conditions of those filters that are set and among `names`."""
    return [
        *(text for name, text in CONDITIONS.items() if name in names and getattr(filters, name) is not None),
        *(HAS_WORD.format(number) for number in range(1, len(filters.words or ())) if "words" in names),
    ]


def parameters(filters: BatchFilter, **cursors: Cursor | None) -> dict[str, Any]:
    """The parameters of the conditions and cursors."""
    words = sorted(filters.words or (), key=len, reverse=True)  # the longest, likely the rarest, chooses the rows
    values = filters._asdict() | {f"word_{number}": _prefix(word) for number, word in enumerate(words)} | {
        "sync_id": f"{filters.sync_id}%", "asset_hash": f"{filters.asset_hash}%", "most": MAX_ROWS_SCANNED,
        "attention": ATTENTION.get(filters.attention or ""),
        "until": filters.until and filters.until + timedelta(days=1),
    }
    for name, cursor in cursors.items():
        values |= cursor.parameters(name) if cursor else {}
    return values


def _prefix(word: str) -> str:
    """The LIKE pattern of the words that begin so."""
    return re.sub(r"([\\%_])", r"\\\1", word) + "%"
