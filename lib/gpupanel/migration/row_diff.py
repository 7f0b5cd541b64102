"""Compare two rows with the same natural key, column by column."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from hashlib import blake2b
from typing import Any

from . import table_specs, value_diff
from .compared_database import ComparedDatabase, Row, key_part
from .masks import COLUMN_MASKS
from .row_alignment import LEFT, RIGHT, JobNames
from .table_specs import HASH, JSON, PLAIN, PRESENCE, REFERENCE, REFERENCES, TIME, TableSpec
from .value_diff import TOLERATED, ValueDifference

DANGLING = "no such row"
UNNAMED_ROWS = "ids of rows that one side cannot name"
# An unequal time counts less than any difference, when jobs or events are matched.
COST_OF_TIME = 0.01


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

    def __init__(self, table: TableSpec, columns: list[str], options: ComparisonOptions, jobs: JobNames):
        self._table, self._options, self._jobs = table, options, jobs
        self._columns = {
            column: table_specs.column_kind(table.name, column) for column in columns if column not in table.key
        }
        self._times = [column for column, kind in self._columns.items() if kind is TIME]
        self._own_hashes = [part for part in table.key if "." not in part and table_specs.is_hash(part)]
        self._renamed_jobs: dict[str, str] = {}

    @classmethod
    def of(
        cls, table: TableSpec, sides: tuple[ComparedDatabase, ComparedDatabase], options: ComparisonOptions,
        jobs: JobNames,
    ) -> "RowComparer":
        return cls(table, shared_columns(table, *sides), options, jobs)

    @property
    def paths(self) -> list[str]:
        """Return the paths to select of each row."""
        paths = [self._table.bundle]
        for column, kind in self._columns.items():
            paths += [*table_specs.natural_key_paths(column), column] if kind is REFERENCE else [column]
        return list(dict.fromkeys(path for path in paths if path not in self._table.key))

    def link_jobs(self, pairs: list[tuple[Row, Row]]) -> None:
        """Find which job of the left side is which one of the right side, from the events of a bundle."""
        votes: Counter[tuple[str, str]] = Counter()
        for left, right in pairs:
            ids = [value_diff.job_ids(row.get(self._table.jobs_in)) for row in (left, right)]
            votes.update(zip(*ids, strict=False))
        self._renamed_jobs = {}
        taken: set[str] = set()
        for (left_id, right_id), _ in votes.most_common():
            if left_id not in self._renamed_jobs and right_id not in taken:
                self._renamed_jobs[left_id] = right_id
                taken.add(right_id)

    def differences(self, left: Row, right: Row) -> Iterator[tuple[str, ValueDifference]]:
        """Yield (column, difference), those that are tolerated too."""
        for column in self._own_hashes:
            if left[column] != right[column]:
                yield column, ValueDifference("hash_case", left[column], right[column])
        has_other_time = False
        for column, kind in self._columns.items():
            if kind is not REFERENCE and value_diff.is_same(left[column], right[column]):
                continue
            for difference in self._column(column, kind, left, right):
                has_other_time |= difference.kind in ("time", "no_time")
                yield column, difference
        if not has_other_time:
            times = [{column: row.get(column) for column in self._times} for row in (left, right)]
            for difference in value_diff.diff_time_order(*times):
                yield "", difference

    def cost(self, left: Row, right: Row) -> float:
        """Return how much two rows differ."""
        kinds = [difference.kind for _, difference in self.differences(left, right)]
        times = sum(left.get(column) != right.get(column) for column in self._times)
        return sum(kind != TOLERATED for kind in kinds) + COST_OF_TIME * times

    def _column(self, column: str, kind: str, left: Row, right: Row) -> Iterator[ValueDifference]:
        if kind is REFERENCE:
            return self._reference(column, left, right)
        place, values = (self._table.name, column), (left[column], right[column])
        states = [_removal_state(value) for value in values]
        if column == "deleted_at" and states[0] != states[1]:
            return iter([ValueDifference("removed", *states)])
        if kind is TIME:
            return value_diff.diff_time(*values, self._options.tolerance)
        if kind is JSON:
            return self._json(column, *values)
        if kind is PRESENCE:
            return value_diff.diff_presence(*values, table_specs.ONLY_PRESENCE[place])
        if kind is HASH:
            return value_diff.diff_hash(*values)
        return value_diff.diff_plain(*values, COLUMN_MASKS.get(place))

    def _json(self, column: str, left: Any, right: Any) -> Iterator[ValueDifference]:
        if column == self._table.jobs_in:
            renamed = value_diff.rename_jobs(left, self._renamed_jobs)
            if renamed != left:
                yield value_diff.tolerated(value_diff.JOB_IDS, left, right)
            left = renamed
        is_masked = (self._table.name, column) in table_specs.MASKED_JSON
        yield from value_diff.diff_json(left, right, self._options.by_bytes, is_masked)

    # ------------------------------------------------------------------------------------------------ references

    def _reference(self, column: str, left: Row, right: Row) -> Iterator[ValueDifference]:
        paths = [path for path in table_specs.natural_key_paths(column) if path in left and path in right]
        if not paths:
            if left[column] != right[column]:
                yield value_diff.tolerated(UNNAMED_ROWS, left[column], right[column])
            return
        targets = [self._target(column, paths, side, row) for side, row in ((LEFT, left), (RIGHT, right))]
        if targets[0] != targets[1]:
            left_target, right_target = targets
            yield ValueDifference("reference", left_target, right_target)
        elif left[column] != right[column]:
            yield value_diff.tolerated(value_diff.SURROGATE_IDS, left[column], right[column])

    def _target(self, column: str, paths: list[str], side: int, row: Row) -> str | None:
        values = [row[path] for path in paths]
        if all(value is None or path.endswith(".#") for path, value in zip(paths, values, strict=True)):
            return None if row[column] in (None, 0) else DANGLING
        if REFERENCES[column] == "import_job" and len(values) == 2:
            sync_id = key_part(paths[0], values[0])
            return f"{sync_id} {self._jobs.name(side, sync_id, values[1])}"
        parts = (key_part(path, value) for path, value in zip(paths, values, strict=True) if value is not None)
        return " ".join(map(str, parts))

    # ---------------------------------------------------------------------------------------------- fingerprints

    def fingerprint(self, row: Row, side: int) -> bytes:
        """Return a digest of the compared values, without times and what is tolerated."""
        of_key = {part.partition(".")[0] for part in self._table.key}
        values = [
            self._plain_value(column, kind, row, side)
            for column, kind in self._columns.items() if column not in of_key
        ]
        return blake2b(repr(values).encode("utf-8", "surrogatepass"), digest_size=16).digest()

    def _plain_value(self, column: str, kind: str, row: Row, side: int) -> Any:
        value = row[column]
        if kind in (TIME, PRESENCE):
            return value is None or value_diff.is_zero_time(value)
        if kind is REFERENCE:
            paths = [path for path in table_specs.natural_key_paths(column) if path in row]
            target = self._target(column, paths, side, row) if paths else None
            own = key_part("sync_id", row.get("sync_id"))
            # A job of the same bundle stays the same if the bundle has another sync_id.
            return "*" if target and own and target.startswith(own) else target
        if kind is JSON:
            if column == self._table.jobs_in:
                value = value_diff.without_names(value)
            try:
                return value_diff.canonical_json(value)
            except (ValueError, TypeError, ArithmeticError, RecursionError):
                return value
        if kind is PLAIN and isinstance(value, str) and (mask := COLUMN_MASKS.get((self._table.name, column))):
            return mask.apply(value)
        return _without_type(value.lower() if kind is HASH and isinstance(value, str) else value)


def _without_type(value: Any) -> str:
    """Return the same text for numbers with the same value, and for an empty text and NULL."""
    if isinstance(value, (int, float, Decimal)):
        return value_diff.text_of_number(value)
    return "" if value is None else str(value)


def shared_columns(table: TableSpec, left: ComparedDatabase, right: ComparedDatabase) -> list[str]:
    """Return the compared columns that both sides have."""
    columns = table_specs.compared_columns(table.name)
    return [column for column in columns if left.has(table.name, column) and right.has(table.name, column)]


def _removal_state(deleted_at: object) -> str:
    return "live" if deleted_at is None or value_diff.is_zero_time(deleted_at) else "removed"
