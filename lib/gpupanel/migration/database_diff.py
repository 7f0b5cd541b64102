"""Compare two databases by merging their rows by natural keys."""

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import NamedTuple

from . import table_specs
from .compared_database import ComparedDatabase, Row, key_of
from .findings import Difference, Findings, TableCounts
from .row_diff import ComparisonOptions, RowComparer
from .table_specs import NATURAL, REFERENCES, TABLES, TableSpec
from .value_diff import ValueDifference

# Missing parent rows to keep in memory, so that their child rows are not reported one by one.
MAX_MISSING_PARENTS = 200_000
PROGRESS_EVERY = 1000  # rows

Progress = Callable[[str, int, int], None]


def no_progress(table: str, done: int, total: int) -> None:
    """Ignore progress (default callback)."""


class RowPair(NamedTuple):
    """The rows of one key; a side has several if it has no UNIQUE key on it."""

    key: tuple
    left: list[Row]
    right: list[Row]


def compare_databases(
    left: ComparedDatabase, right: ComparedDatabase, options: ComparisonOptions, findings: Findings,
    progress: Progress = no_progress,
) -> None:
    """Compare all tables of two opened sides into `findings`.

    Raises PanelError for a database that cannot be read.
    """
    missing: set[tuple] = set()
    for table in TABLES:
        if _comparable(table, left, right, findings):
            TableComparison(table, left, right, options, findings, missing).compare(progress)


def merge_rows(table: TableSpec, left: Iterator[Row], right: Iterator[Row]) -> Iterator[RowPair]:
    """Yield the rows of both sides by key, in the order of the key."""
    sides = [_keyed(table, left), _keyed(table, right)]
    heads = [next(side, None) for side in sides]
    while any(heads):
        key = min(head[0] for head in heads if head)
        matches = [head[1] if head and head[0] == key else [] for head in heads]
        heads = [next(side, None) if rows else head for side, head, rows in zip(sides, heads, matches, strict=True)]
        yield RowPair(key, *matches)


def _keyed(table: TableSpec, rows: Iterator[Row]) -> Iterator[tuple[tuple, list[Row]]]:
    for key, group in groupby(rows, lambda row: key_of(table, row)):
        yield key, list(group)


# ------------------------------------------------------------------------------------------------ structure


def _comparable(table: TableSpec, left: ComparedDatabase, right: ComparedDatabase, findings: Findings) -> bool:
    """Report missing tables and columns.

    Return whether the rows can be compared.
    """
    has = [side.has(table.name) for side in (left, right)]
    if not all(has):
        if any(has):
            left_has, right_has = map(_presence, has)
            findings.add(Difference("table_missing", table.area, table.name, left=left_has, right=right_has))
        return False
    for column in table_specs.column_types(table.name):
        has = [side.has(table.name, column) for side in (left, right)]
        if any(has) and not all(has) and column not in table_specs.NEVER_COMPARED:
            left_has, right_has = map(_presence, has)
            findings.add(Difference("column_missing", table.area, table.name, column, left=left_has, right=right_has))
    expected = list(table_specs.column_types(table.name))
    unknown = [side.unknown_columns(table.name, expected) for side in (left, right)]
    for column in sorted({*unknown[0]} ^ {*unknown[1]}):
        has = [column in columns for columns in unknown]
        left_has, right_has = map(_presence, has)
        findings.add(Difference("column_unknown", table.area, table.name, column, left=left_has, right=right_has))
    lacking = [part for part in table.key for side in (left, right) if not _reaches(side, table, part)]
    if lacking:
        findings.add(Difference("no_key", table.area, table.name, row=", ".join(dict.fromkeys(lacking))))
    return not lacking


def _reaches(side: ComparedDatabase, table: TableSpec, part: str) -> bool:
    """Return whether the side has each column on the path of a key part."""
    *path, column = part.split(".")
    name = table.name
    for step in path:
        if not side.has(name, step) or not side.has(REFERENCES[step], "id"):
            return False
        name = REFERENCES[step]
    return column == "#" or side.has(name, column)


def _presence(has: bool) -> str:
    return "present" if has else "missing"


# -------------------------------------------------------------------------------------------------- one table


class TableComparison:
    """The comparison of one table.

    `missing` holds rows of only one side that other rows may refer to.
    """

    def __init__(
        self, table: TableSpec, left: ComparedDatabase, right: ComparedDatabase, options: ComparisonOptions,
        findings: Findings, missing: set[tuple],
    ):
        self._table, self._sides, self._findings, self._missing = table, (left, right), findings, missing
        self._comparer = RowComparer.of(table, left, right, options)
        self._counts: TableCounts = findings.tally(table.area, table.name, table.noun)

    def compare(self, progress: Progress) -> None:
        counts = [side.count(self._table) for side in self._sides]
        read, event_order = [0, 0], EventOrder(self._add)
        for pair in merge_rows(self._table, *(side.rows(self._table, self._comparer.paths) for side in self._sides)):
            self._pair(pair)
            if self._table.jobs_in:
                event_order.note(pair)
            read = [read[0] + len(pair.left), read[1] + len(pair.right)]
            if max(read) % PROGRESS_EVERY == 0:
                progress(self._table.name, max(read), max(counts))
        event_order.end()
        progress(self._table.name, max(counts), max(counts))
        for side, count, read_count in zip(("left", "right"), counts, read, strict=True):
            if count > read_count:
                text = f"{count - read_count} of {count} rows"
                self._findings.add(Difference("orphan", self._table.area, self._table.name, **{side: text}))

    def _pair(self, pair: RowPair) -> None:
        if not pair.left or not pair.right:
            self._alone(pair)
            return
        if max(len(pair.left), len(pair.right)) > 1:
            self._add("", pair, ValueDifference("twice", f"{len(pair.left)} rows", f"{len(pair.right)} rows"))
        differences = self._comparer.differences(pair.left[0], pair.right[0])
        # A list, so that every difference is recorded, also after one that counts.
        if any([
            self._add(column, pair, difference)
            for column, difference in differences if not self._follows(column, difference)
        ]):
            self._counts.different += 1
        else:
            self._counts.equal += 1

    def _alone(self, pair: RowPair) -> None:
        """Record a row that one side lacks.

        A row whose parent is missing counts as implied.
        """
        if self._table.name in NATURAL and len(self._missing) < MAX_MISSING_PARENTS:
            self._missing.add((self._table.name, tuple(map(str, pair.key[-len(NATURAL[self._table.name]):]))))
        if any((target, key) in self._missing for target, key in self._parents(pair.key)):
            self._counts.implied += 1
            return
        kind, rows = ("left_only", pair.left) if pair.left else ("right_only", pair.right)
        text = self._describe(rows[0])
        if self._add("", pair, ValueDifference(kind, *((text, "") if pair.left else ("", text)))):
            setattr(self._counts, kind, getattr(self._counts, kind) + 1)
        else:
            self._counts.accepted += 1

    def _add(self, column: str, pair: RowPair, difference: ValueDifference) -> bool:
        bundles = (row.get(self._table.bundle) for rows in (pair.right, pair.left) for row in rows[:1])
        bundle = next(filter(None, bundles), None)
        kind, left, right, path = difference
        if self._table.jobs_in:
            path = f"{path} of {pair.key[1]}" if path else pair.key[1]
        row = " ".join(map(str, pair.key))
        return self._findings.add(
            Difference(kind, self._table.area, self._table.name, column, path, row, bundle or "", left, right)
        )

    def _parents(self, key: tuple) -> Iterator[tuple[str, tuple]]:
        """Yield (table, natural key) of each row that a key refers to."""
        values = dict(zip(self._table.key, key, strict=True))
        for reference in dict.fromkeys(part.rpartition(".")[0] for part in self._table.key):
            if reference:
                target = REFERENCES[reference]
                yield target, tuple(values[f"{reference}.{part}"] for part in NATURAL[target])

    def _follows(self, column: str, difference: ValueDifference) -> bool:
        """Return whether an id differs only because its row is missing."""
        if difference.kind != "reference":
            return False
        targets = (tuple(str(target).split(" ")) for target in (difference.left, difference.right))
        return any((REFERENCES[column], target) in self._missing for target in targets)

    def _describe(self, row: Row) -> str:
        omitted = {*self._table.key, "@", self._table.bundle}
        values = ((path, row[path]) for path in row if path not in omitted)
        return ", ".join(f"{path.partition('.')[0]} {value}" for path, value in values if value is not None)[:300]


class EventOrder:
    """Compares the order of the events within each bundle."""

    def __init__(self, add: Callable[..., bool]):
        self._add = add
        self._pairs: list[RowPair] = []

    def note(self, pair: RowPair) -> None:
        """Take in the next pair of events."""
        if self._pairs and self._pairs[0].key[0] != pair.key[0]:
            self.end()
        if pair.left and pair.right:
            self._pairs.append(pair)

    def end(self) -> None:
        """Compare the order of the bundle that is complete now."""
        by_left = sorted(self._pairs, key=lambda pair: pair.left[0]["@"])
        by_right = sorted(self._pairs, key=lambda pair: pair.right[0]["@"])
        moved = [(left, right) for left, right in zip(by_left, by_right, strict=True) if left is not right]
        if moved:
            orders = [" then ".join(str(pair.key[1]) for pair in pairs[:12]) for pairs in zip(*moved, strict=True)]
            self._add("", moved[0][0], ValueDifference("sequence", *orders))
        self._pairs = []
