"""Two rows with the same natural key, column by column."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import tzinfo

from . import values, vocabulary
from .side import Row, Side
from .values import Unlike
from .vocabulary import JSON, PLAIN, PRESENCE, REFERENCE, TIME, Table


@dataclass(frozen=True)
class Strictness:
    """`by_bytes`: JSON also by its spacing and the order of its keys. `tolerance`: how many seconds times may be apart;
    None compares their presence and order only."""

    by_bytes: bool = False
    tolerance: float | None = None


class Comparer:
    """Compares the columns that both sides have."""

    def __init__(self, table: Table, columns: list[str], strictness: Strictness, zones: tuple[tzinfo, tzinfo]):
        self._table, self._strictness, self._zones = table, strictness, zones
        self._columns = {
            column: vocabulary.meaning(table.name, column) for column in columns if column not in table.key
        }
        self._times = [column for column, meaning in self._columns.items() if meaning is TIME]

    @classmethod
    def of(cls, table: Table, left: Side, right: Side, strictness: Strictness) -> "Comparer":
        return cls(table, shared(table, left, right), strictness, (left.mapping.zone, right.mapping.zone))

    @property
    def paths(self) -> list[str]:
        """What is to be selected of each row."""
        found = [self._table.bundle]
        for column, meaning in self._columns.items():
            found += vocabulary.natural(column) if meaning is REFERENCE else [column]
        return list(dict.fromkeys(path for path in found if path not in self._table.key))

    def unlike(self, left: Row, right: Row) -> Iterator[tuple[str, Unlike]]:
        """(column, how it differs) for each difference; the column of an order of times is empty."""
        for column, meaning in self._columns.items():
            # Most values are the same on both sides; only times may be so, and still mean two moments in two zones.
            if meaning in (PLAIN, JSON) and left[column] == right[column]:
                continue
            for found in self._column(column, meaning, left, right):
                yield column, found
        for found in values.order(self._moments(left), self._moments(right)):
            yield "", found

    def _moments(self, row: Row) -> Row:
        return {column: row.get(column) for column in self._times}

    def _column(self, column: str, meaning: str, left: Row, right: Row) -> Iterator[Unlike]:
        if meaning is REFERENCE:
            return self._reference(column, left, right)
        one, other = left[column], right[column]
        if column == "deleted_at" and (one is None) != (other is None):
            return iter([Unlike("removed", _live(one), _live(other))])
        if meaning is TIME:
            return values.time(one, other, self._strictness.tolerance, self._zones)
        if meaning is JSON:
            return values.document(one, other, self._strictness.by_bytes)
        return values.presence(one, other) if meaning is PRESENCE else values.plain(one, other)

    def _reference(self, column: str, left: Row, right: Row) -> Iterator[Unlike]:
        paths = [path for path in vocabulary.natural(column) if path in left and path in right]
        one, other = (" ".join(str(row[path]) for path in paths if row[path] is not None) for row in (left, right))
        if one != other:
            yield Unlike("reference", one or None, other or None)


def shared(table: Table, left: Side, right: Side) -> list[str]:
    """The compared columns that both sides have."""
    columns = vocabulary.compared(table.name)
    return [column for column in columns if left.has(table.name, column) and right.has(table.name, column)]


def _live(moment) -> str:
    return "live" if moment is None else "removed"
