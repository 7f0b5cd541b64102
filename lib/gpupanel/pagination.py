"""Keyset pagination: each page costs the same, wherever it is."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar

from .models import BIGINT_MAX

ENDS = (0, BIGINT_MAX)  # ids below and above those of all rows

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page begins: beyond (key, id), in one direction.

    `key` is the value that the list is sorted by. A cursor that carries an id alone has None.
    """

    id: int
    ascending: bool
    key: int | datetime | None = None

    @property
    def is_end(self) -> bool:
        """Whether all rows of the list are on one side of the cursor."""
        return self.id in ENDS

    def parameters(self, name: str) -> dict[str, Any]:
        """The parameters of `keyset_condition` for this cursor."""
        return {f"{name}_key": self.key, f"{name}_id": self.id}


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Rows in the order of their list, and the neighbouring cursors.

    If the scan stopped before the page was full, `stopped_at` is the key of the last row scanned and `further` the
    cursor that continues the scan.
    """

    rows: list[Row]
    previous: Cursor | None
    next: Cursor | None
    stopped_at: int | datetime | None = None
    further: Cursor | None = None


def keyset_condition(key: str, row_id: str, name: str, ascending: bool) -> str:
    """SQL for the rows beyond the cursor `name`, as an index range."""
    sign = ">" if ascending else "<"
    return f"({key} {sign} %({name}_key)s OR ({key} = %({name}_key)s AND {row_id} {sign} %({name}_id)s))"


def nullable_condition(key: str, row_id: str, name: str, cursor: Cursor) -> str:
    """SQL for the rows beyond a cursor in a column where NULL is less than each value."""
    if cursor.key is not None:
        condition = keyset_condition(key, row_id, name, cursor.ascending)
        return condition if cursor.ascending else f"({condition} OR {key} IS NULL)"
    if cursor.ascending:
        return f"({key} IS NOT NULL OR ({key} IS NULL AND {row_id} > %({name}_id)s))"
    # No row matches the second part: it makes the server read a range from the id on, not all rows without a key.
    return f"(({key} IS NULL AND {row_id} < %({name}_id)s) OR ({key} = TIMESTAMP(99991231) AND {row_id} = 0))"


def sort_order(ascending: bool) -> str:
    """The SQL keyword for a sort direction."""
    return "ASC" if ascending else "DESC"


class PageOrder(NamedTuple):
    """The column by which a list is sorted, and its direction."""

    key: str
    ascending: bool


def build_page(
    found: list[dict[str, Any]], start: Cursor, limit: int, order: PageOrder, horizon: Cursor | None = None
) -> Page[Any]:
    """Make a page of the rows read from `start` on.

    `horizon` is where the scan stopped, if it did before the end of the list.
    """
    rows, is_full = found[:limit], len(found) > limit
    onward = row_cursor(rows[-1], order.key, start.ascending) if is_full else horizon
    back = row_cursor(rows[0], order.key, not start.ascending) if rows and not start.is_end else None
    stopped = None if is_full else horizon
    scan = (stopped.key if stopped else None, stopped)
    if start.ascending == order.ascending:
        return Page(rows, back, onward, *scan)
    return Page(rows[::-1], onward, back, *scan)


def row_cursor(row: dict[str, Any], key: str, ascending: bool) -> Cursor:
    """The cursor of a row in a list that is sorted by `key`."""
    return Cursor(row["id"], ascending, row[key])
