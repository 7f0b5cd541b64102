"""Two rows with the same natural key, column by column."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import tzinfo

from . import table_specs, value_diff
from .compared_database import ComparedDatabase, Row
from .table_specs import JSON, PLAIN, PRESENCE, REFERENCE, TIME, TableSpec
from .value_diff import ValueDifference


@dataclass(frozen=True)
class ComparisonOptions:
    """`by_bytes`: JSON also by its spacing and the order of its keys. `tolerance`: how many seconds times may be apart;
    None compares their presence and order only."""

    by_bytes: bool = False
    tolerance: float | None = None


class RowComparer:
    """Compares the columns that both sides have."""

    def __init__(self, table: TableSpec, columns: list[str], strictness: ComparisonOptions, zones: tuple[tzinfo, tzinfo]):
        self._table, self._strictness, self._zones = table, strictness, zones
        self._columns = {
            column: table_specs.column_kind(table.name, column) for column in columns if column not in table.key
        }
        self._times = [column for column, meaning in self._columns.items() if meaning is TIME]

    @classmethod
    def of(cls, table: TableSpec, left: ComparedDatabase, right: ComparedDatabase, strictness: ComparisonOptions) -> "RowComparer":
        return cls(table, shared_columns(table, left, right), strictness, (left.mapping.zone, right.mapping.zone))

    @property
    def paths(self) -> list[str]:
        """What is to be selected of each row."""
        found = [self._table.bundle]
        for column, meaning in self._columns.items():
            found += table_specs.natural_key_paths(column) if meaning is REFERENCE else [column]
        return list(dict.fromkeys(path for path in found if path not in self._table.key))

    def unlike(self, left: Row, right: Row) -> Iterator[tuple[str, ValueDifference]]:
        """(column, how it differs) for each difference; the column of an order of times is empty."""
        for column, meaning in self._columns.items():
            # Most values are the same on both sides; only times may be so, and still mean two moments in two zones.
            if meaning in (PLAIN, JSON) and left[column] == right[column]:
                continue
            for found in self._column(column, meaning, left, right):
                yield column, found
        for found in value_diff.diff_time_order(self._moments(left), self._moments(right)):
            yield "", found

    def _moments(self, row: Row) -> Row:
        return {column: row.get(column) for column in self._times}

    def _column(self, column: str, meaning: str, left: Row, right: Row) -> Iterator[ValueDifference]:
        if meaning is REFERENCE:
            return self._reference(column, left, right)
        one, other = left[column], right[column]
        if column == "deleted_at" and (one is None) != (other is None):
            return iter([ValueDifference("removed", _live(one), _live(other))])
        if meaning is TIME:
            return value_diff.diff_time(one, other, self._strictness.tolerance, self._zones)
        if meaning is JSON:
            return value_diff.diff_json(one, other, self._strictness.by_bytes)
        return value_diff.diff_presence(one, other) if meaning is PRESENCE else value_diff.diff_plain(one, other)

    def _reference(self, column: str, left: Row, right: Row) -> Iterator[ValueDifference]:
        paths = [path for path in table_specs.natural_key_paths(column) if path in left and path in right]
        one, other = (" ".join(str(row[path]) for path in paths if row[path] is not None) for row in (left, right))
        if one != other:
            yield ValueDifference("reference", one or None, other or None)


def shared_columns(table: TableSpec, left: ComparedDatabase, right: ComparedDatabase) -> list[str]:
    """The compared columns that both sides have."""
    columns = table_specs.compared_columns(table.name)
    return [column for column in columns if left.has(table.name, column) and right.has(table.name, column)]


def _live(moment) -> str:
    return "live" if moment is None else "removed"
