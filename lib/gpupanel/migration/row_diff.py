"""Compare two rows with the same natural key, column by column."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import tzinfo

from . import table_specs, value_diff
from .compared_database import ComparedDatabase, Row
from .table_specs import JSON, PLAIN, PRESENCE, REFERENCE, TIME, TableSpec
from .value_diff import ValueDifference


@dataclass(frozen=True)
class ComparisonOptions:
    """How strictly to compare.

    `by_bytes`: JSON also by its spacing and the order of its keys. `tolerance`: the largest distance of two times in
    seconds; None compares only presence and order.
    """

    by_bytes: bool = False
    tolerance: float | None = None


class RowComparer:
    """Compares the columns that both sides have."""

    def __init__(self, table: TableSpec, columns: list[str], options: ComparisonOptions, zones: tuple[tzinfo, tzinfo]):
        self._table, self._options, self._zones = table, options, zones
        self._columns = {
            column: table_specs.column_kind(table.name, column) for column in columns if column not in table.key
        }
        self._times = [column for column, meaning in self._columns.items() if meaning is TIME]

    @classmethod
    def of(
        cls, table: TableSpec, left: ComparedDatabase, right: ComparedDatabase, options: ComparisonOptions
    ) -> "RowComparer":
        return cls(table, shared_columns(table, left, right), options, (left.mapping.zone, right.mapping.zone))

    @property
    def paths(self) -> list[str]:
        """Return the paths to select of each row."""
        paths = [self._table.bundle]
        for column, meaning in self._columns.items():
            paths += table_specs.natural_key_paths(column) if meaning is REFERENCE else [column]
        return list(dict.fromkeys(path for path in paths if path not in self._table.key))

    def differences(self, left: Row, right: Row) -> Iterator[tuple[str, ValueDifference]]:
        """Yield (column, difference); the column of an order of times is empty."""
        for column, meaning in self._columns.items():
            # A shortcut for equal values, but for times: equal times in two zones are two moments.
            if meaning in (PLAIN, JSON) and left[column] == right[column]:
                continue
            for difference in self._column(column, meaning, left, right):
                yield column, difference
        for difference in value_diff.diff_time_order(self._times_of(left), self._times_of(right)):
            yield "", difference

    def _times_of(self, row: Row) -> Row:
        return {column: row.get(column) for column in self._times}

    def _column(self, column: str, meaning: str, left: Row, right: Row) -> Iterator[ValueDifference]:
        if meaning is REFERENCE:
            return self._reference(column, left, right)
        values = left[column], right[column]
        if column == "deleted_at" and (values[0] is None) != (values[1] is None):
            return iter([ValueDifference("removed", _removal_state(values[0]), _removal_state(values[1]))])
        if meaning is TIME:
            return value_diff.diff_time(*values, self._options.tolerance, self._zones)
        if meaning is JSON:
            return value_diff.diff_json(*values, self._options.by_bytes)
        return value_diff.diff_presence(*values) if meaning is PRESENCE else value_diff.diff_plain(*values)

    def _reference(self, column: str, left: Row, right: Row) -> Iterator[ValueDifference]:
        paths = [path for path in table_specs.natural_key_paths(column) if path in left and path in right]
        targets = [" ".join(str(row[path]) for path in paths if row[path] is not None) for row in (left, right)]
        if targets[0] != targets[1]:
            yield ValueDifference("reference", targets[0] or None, targets[1] or None)


def shared_columns(table: TableSpec, left: ComparedDatabase, right: ComparedDatabase) -> list[str]:
    """Return the compared columns that both sides have."""
    columns = table_specs.compared_columns(table.name)
    return [column for column in columns if left.has(table.name, column) and right.has(table.name, column)]


def _removal_state(deleted_at: object) -> str:
    return "live" if deleted_at is None else "removed"
