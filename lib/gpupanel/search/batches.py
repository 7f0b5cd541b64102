"""Pages and counts of the batches that match filters (decision 0024).

One filter, with or without dates, is read from an index in the order of the list, so a page costs what it shows. With
several filters, the filter with the fewest rows chooses the index, and its rows are checked against the other filters:
at most MAX_ROWS_SCANNED rows at once, and a page that stops there says so.
"""

from collections.abc import Collection
from dataclasses import replace
from typing import Any, NamedTuple

from ..db import ReadTransaction, chunked, fill
from ..models import BatchStatus, COUNT_LIMIT
from ..pagination import Cursor, ENDS, Page, PageOrder, build_page
from ..rows import ListedBatch
from .access_path import (
    AccessPath, BatchScan, DATES, INDEXES, MAX_ROWS_SCANNED, NEWEST, OTHER_INDEXES, Sort, TABLE, choose_access_path,
    choose_index, choose_sorted_path, conditions, fetch_count, filter_names, parameters, run_query, scan_limit_row,
)
from .count_memo import CountMemo
from .filters import BatchFilter

# In a ledger of more than COUNT_LIMIT batches counts by status stop here: each list shows eight of them.
STATUS_COUNT_LIMIT = 100
# In a ledger of so many batches counts are kept until an event appears; those of a smaller one cost little.
KEPT_FROM = 1000
MAX_HOSTS = 100


class BoundedCount(NamedTuple):
    """A number of batches; unless it is exact, there are at least so many."""

    number: int
    exact: bool


class PageRequest(NamedTuple):
    """Which page of a list: `limit` rows from the cursor on, else from the start."""

    cursor: Cursor | None = None
    sort: Sort = NEWEST
    limit: int = 50


FIRST_PAGE = PageRequest()
_KEPT: CountMemo[tuple[BoundedCount, dict[str, BoundedCount]]] = CountMemo()


def list_batches(
    tx: ReadTransaction, filters: BatchFilter, wanted: PageRequest = FIRST_PAGE, path: AccessPath | None = None
) -> Page[ListedBatch]:
    """A page of batches; `path` is the access path of these filters, if the caller has chosen it."""
    cursor, sort, limit = wanted
    start = cursor or Cursor(ENDS[0] if sort.ascending else ENDS[1], sort.ascending)
    path = choose_sorted_path(tx, filters, sort, path or choose_access_path(tx, filters))
    scan = BatchScan(path, filters, start.ascending, None if start.is_end else start, key=sort.key)
    keys, horizon = _next_keys(tx, scan, limit + 1, sort)
    batches = build_page(keys, start, limit, PageOrder(sort.key, sort.ascending), horizon)
    return replace(batches, rows=_rows(tx, [row["id"] for row in batches.rows]))


def list_ids(tx: ReadTransaction, filters: BatchFilter, *, limit: int = COUNT_LIMIT) -> tuple[list[int], bool]:
    """The ids of the latest matching batches, and whether these are all."""
    scan, ids = BatchScan(choose_access_path(tx, filters), filters), list[int]()
    for _ in range(limit // MAX_ROWS_SCANNED):
        rows, horizon = _next_keys(tx, scan, limit + 1 - len(ids))
        ids += [row["id"] for row in rows]
        scan = scan._replace(start=horizon)
        if horizon is None or len(ids) > limit:
            break
    return ids[:limit], scan.start is None and len(ids) <= limit


def count_batches(tx: ReadTransaction, filters: BatchFilter, path: AccessPath | None = None) -> BoundedCount:
    """The number of matching batches, exact or a lower limit."""
    path = path or choose_access_path(tx, filters)
    if path.alone and not path.short:
        number = fetch_count(tx, "search.count_to", BatchScan(path, filters), bound=COUNT_LIMIT)
        return BoundedCount(number, number <= COUNT_LIMIT)
    horizon = scan_limit_row(tx, BatchScan(path, filters))
    number = fetch_count(tx, "search.count", BatchScan(path, filters, horizon=horizon))
    return BoundedCount(number, horizon is None and _is_complete(tx, path, filters))


def count_list_and_statuses(
    tx: ReadTransaction, filters: BatchFilter, path: AccessPath | None = None
) -> tuple[BoundedCount, dict[str, BoundedCount]]:
    """The number of matching batches, and status -> number without status.

    Without filters but dates, all numbers are exact while the ids of batches span at most COUNT_LIMIT. In a ledger of
    KEPT_FROM batches or more, the numbers are those of the newest events.
    """
    state = tx.fetch_one("search.ledger_state")
    if state["span"] < KEPT_FROM:
        return _count_list_and_statuses(tx, filters, path, state["span"])
    number, by_status = _KEPT.get(
        tx, filters, tuple(state.values()), lambda: _count_list_and_statuses(tx, filters, path, state["span"])
    )
    return number, dict(by_status)


def _count_list_and_statuses(
    tx: ReadTransaction, filters: BatchFilter, path: AccessPath | None, span: int
) -> tuple[BoundedCount, dict[str, BoundedCount]]:
    large = not filter_names(filters._replace(status=None)) and span >= COUNT_LIMIT
    by_status = count_by_status(tx, filters, path, most=STATUS_COUNT_LIMIT if large else None)
    own = by_status[filters.status] if filters.status else _sum(by_status.values())
    if not own.exact:
        own = count_batches(tx, filters, path)
    if filters.status:
        by_status[filters.status] = own
    return own, by_status


def count_by_status(
    tx: ReadTransaction, filters: BatchFilter, path: AccessPath | None = None, *, most: int | None
) -> dict[str, BoundedCount]:
    """status -> number of batches that match the other filters.

    Without filters but dates, each is counted up to `most`, or exactly if that is None.
    """
    other_filters = filters._replace(status=None)
    if not filter_names(other_filters):
        return _count_each_status(tx, other_filters, most)
    if path and path.numbers:
        path = choose_index(filter_names(other_filters), path.numbers)
    else:
        path = choose_access_path(tx, other_filters)
    horizon = scan_limit_row(tx, BatchScan(path, other_filters))
    exact = horizon is None and _is_complete(tx, path, other_filters)
    rows = run_query(tx, "search.count_by_status", BatchScan(path, other_filters, horizon=horizon))
    numbers = {row["status"]: row["batches"] for row in rows}
    return {str(status): BoundedCount(numbers.get(status, 0), exact) for status in BatchStatus}


def _count_each_status(tx: ReadTransaction, filters: BatchFilter, most: int | None) -> dict[str, BoundedCount]:
    """Count by the index of statuses alone, in one statement."""
    name, source = "search.count_to" if most else "search.count", TABLE.format(INDEXES["status"])
    parts = []
    for status in BatchStatus:
        where = " AND ".join([f"b.status = '{status}'", *conditions(filters, DATES)])
        parts.append(f"({fill(name, source=source, where=where)}) AS {status}")
    [numbers] = tx.fetch_all_sql(f"SELECT {', '.join(parts)}", **parameters(filters), bound=most)
    return {
        status: BoundedCount(min(number, most or number), not most or number <= most)
        for status, number in numbers.items()
    }


def _sum(parts: Collection[BoundedCount]) -> BoundedCount:
    number = sum(part.number for part in parts)
    return BoundedCount(number, number <= COUNT_LIMIT and all(part.exact for part in parts))


def _is_complete(tx: ReadTransaction, path: AccessPath, filters: BatchFilter) -> bool:
    """Whether the access path has all rows of its filter."""
    return (
        path.lead not in OTHER_INDEXES
        or len(tx.fetch_all(OTHER_INDEXES[path.lead], **parameters(filters))) < MAX_ROWS_SCANNED
    )


def listed_batch(tx: ReadTransaction, batch_id: int) -> ListedBatch:
    """One batch as the list shows it."""
    [row] = _rows(tx, [batch_id])
    return row


def list_titles(tx: ReadTransaction, ids: Collection[int]) -> dict[int, str | None]:
    """batch id -> what names it, None where nothing does."""
    rows = [row for chunk in chunked(dict.fromkeys(ids)) for row in tx.fetch_all("search.titles", ids=chunk)]
    return {row["id"]: row["title"] for row in rows}


def find_undone(tx: ReadTransaction, batch_ids: list[int], *, limit: int = 1_000) -> dict[int, str]:
    """batch id -> status of the undo that took it back, for those of these batches that are undone.

    An undo that was undone itself does not count, nor does one from before the latest import.
    """
    found: dict[int, str] = {}
    for row in tx.fetch_all("search.later_undos", batch_ids=batch_ids, limit=limit) if batch_ids else ():
        if row["id"] not in found:  # the undos of an undo are newer, so they came before it
            found.setdefault(row["undo_of"], row["status"])
    return found


def list_held_for_person(tx: ReadTransaction, *, limit: int = 50) -> list[ListedBatch]:
    """Batches whose job waits for a person who has not seen that, the latest hold first."""
    return _rows(tx, [row["id"] for row in tx.fetch_all("attention.held", limit=limit)])


def list_hosts(tx: ReadTransaction) -> list[str]:
    """The first source hosts by name."""
    return [row["source_host"] for row in tx.fetch_all("search.hosts", limit=MAX_HOSTS)]


def _next_keys(
    tx: ReadTransaction, scan: BatchScan, limit: int, sort: Sort = NEWEST
) -> tuple[list[dict[str, Any]], Cursor | None]:
    """The next keys, and the cursor at which the scan stopped, if it did."""
    start = scan.start
    if start and start.key is None:
        row = tx.fetch_all_sql(fill("search.sort_key", key=sort.key), id=start.id)
        key = row[0][sort.key] if row else sort.missing
        scan = scan._replace(start=replace(start, key=key))
    horizon = None if scan.path.alone else scan_limit_row(tx, scan)
    return run_query(tx, "search.page_keys", scan._replace(horizon=horizon), limit=limit, offset=0), horizon


def _rows(tx: ReadTransaction, ids: list[int]) -> list[ListedBatch]:
    """The batches with these ids, in this order."""
    rows = {row["id"]: row for chunk in chunked(ids) for row in tx.fetch_all("search.rows", ids=chunk)}
    undone = find_undone(tx, [row["id"] for row in rows.values() if row["imported_at"]])
    return [rows[batch_id] | {"undone": undone.get(batch_id)} for batch_id in ids]
