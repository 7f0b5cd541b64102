"""Rows that only one side has: find those that are the same row under another key."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

from .row_alignment import LEFT, RIGHT
from .row_reader import Row
from .table_specs import TableSpec

# Rows of a side to keep; further ones are recorded at once.
MAX_LONE_ROWS = 20_000


class LoneRow(NamedTuple):
    """A row without its values: `row` has the bundle, `fingerprint` stands for the compared values."""

    key: tuple
    row: Row
    text: str
    fingerprint: bytes


class LoneRows:
    """The rows of one table that one side lacks."""

    def __init__(self, table: TableSpec):
        self._table = table
        self._rows: tuple[list[LoneRow], list[LoneRow]] = ([], [])

    def keep(self, side: int, lone: LoneRow) -> bool:
        """Keep a row; return False if there are too many."""
        if len(self._rows[side]) >= MAX_LONE_ROWS:
            return False
        self._rows[side].append(lone)
        return True

    def take_pairs(self) -> Iterator[tuple[str, LoneRow, LoneRow]]:
        """Yield (part of the key, left, right) of rows that differ in that part alone.

        A pair is certain only if no other row could be in it.
        """
        for part in parts_of(self._table):
            yield from self._take(part, lambda lone: lone.fingerprint)
        if self._table.version:
            yield from self._take(self._table.version, lambda lone: b"")

    def rest(self, side: int) -> list[LoneRow]:
        """Return the rows that are in no pair."""
        return self._rows[side]

    def _take(self, part: str, content: Any) -> Iterator[tuple[str, LoneRow, LoneRow]]:
        candidates: dict[tuple, tuple[list[LoneRow], list[LoneRow]]] = defaultdict(lambda: ([], []))
        for side in (LEFT, RIGHT):
            for lone in self._rows[side]:
                candidates[key_without(self._table, part, lone.key), content(lone)][side].append(lone)
        pairs = [(left[0], right[0]) for left, right in candidates.values() if len(left) == len(right) == 1]
        for side in (LEFT, RIGHT):
            taken = {pair[side].key for pair in pairs}
            self._rows[side][:] = [lone for lone in self._rows[side] if lone.key not in taken]
        yield from ((part, *pair) for pair in pairs)


def parts_of(table: TableSpec) -> list[str]:
    """Return what may differ alone in a key: a column, or all parts of a reference by the first of them."""
    ways: dict[str, str] = {}
    for part in table.key:
        if part != "#":
            ways.setdefault(part.rpartition(".")[0] or part, part)
    return list(ways.values())


def key_without(table: TableSpec, part: str, key: tuple) -> tuple:
    """Return a key without the number and a part of `parts_of`."""
    return tuple(
        value for name, value in zip(table.key, key, strict=True) if name != "#" and not _is_in(name, part)
    )


def text_of_part(table: TableSpec, part: str, key: tuple) -> str:
    """Return the values of a part of `parts_of` as text."""
    return " ".join(str(value) for name, value in zip(table.key, key, strict=True) if _is_in(name, part))


def _is_in(name: str, part: str) -> bool:
    way = part.rpartition(".")[0]
    return name == part or (bool(way) and name.rpartition(".")[0] == way)
