"""Two databases, table by table: both sides' rows are read in the order of their natural keys, and merged."""

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import NamedTuple

from . import table_specs
from .compared_database import ComparedDatabase, Row, key_of
from .findings import Findings, TableCounts
from .row_diff import ComparisonOptions, RowComparer
from .table_specs import NATURAL, REFERENCES, TABLES, TableSpec
from .value_diff import ValueDifference

# How many missing parents are remembered, so that their children are not reported one by one.
REMEMBERED = 200_000
EVERY = 1000

Progress = Callable[[str, int, int], None]


class RowPair(NamedTuple):
    """The rows of one key; more than one where a side has no UNIQUE key on it."""

    key: tuple
    left: list[Row]
    right: list[Row]


def compare_databases(
    left: ComparedDatabase, right: ComparedDatabase, strictness: ComparisonOptions, findings: Findings, progress: Progress = lambda *told: None
) -> None:
    """Compare all tables of two opened sides into `findings`. Raises PanelError for a database that cannot be read."""
    missing: set[tuple] = set()
    for table in TABLES:
        if _comparable(table, left, right, findings):
            TableComparison(table, left, right, strictness, findings, missing).compare(progress)


def merge_rows(table: TableSpec, left: Iterator[Row], right: Iterator[Row]) -> Iterator[RowPair]:
    """The rows of both sides by key, in the order of the key."""
    sides = [_keyed(table, left), _keyed(table, right)]
    heads = [next(side, None) for side in sides]
    while any(heads):
        key = min(head[0] for head in heads if head)
        met = [head[1] if head and head[0] == key else [] for head in heads]
        heads = [next(side, None) if rows else head for side, head, rows in zip(sides, heads, met)]
        yield RowPair(key, *met)


def _keyed(table: TableSpec, rows: Iterator[Row]) -> Iterator[tuple[tuple, list[Row]]]:
    for key, group in groupby(rows, lambda row: key_of(table, row)):
        yield key, list(group)


# ------------------------------------------------------------------------------------------- how they are built


def _comparable(table: TableSpec, left: ComparedDatabase, right: ComparedDatabase, findings: Findings) -> bool:
    """Name what one side lacks; whether there is enough to compare rows by."""
    there = [side.has(table.name) for side in (left, right)]
    if not all(there):
        if any(there):
            findings.add("table_missing", table.area, table.name, left=_there(there[0]), right=_there(there[1]))
        return False
    for column in table_specs.column_types(table.name):
        has = [side.has(table.name, column) for side in (left, right)]
        if any(has) and not all(has) and column not in table_specs.NEVER_COMPARED:
            findings.add("column_missing", table.area, table.name, column, left=_there(has[0]), right=_there(has[1]))
    known = list(table_specs.column_types(table.name))
    for column in sorted({*left.unknown_columns(table.name, known)} ^ {*right.unknown_columns(table.name, known)}):
        has = [column in side.unknown_columns(table.name, known) for side in (left, right)]
        findings.add("column_unknown", table.area, table.name, column, left=_there(has[0]), right=_there(has[1]))
    lacking = [part for part in table.key for side in (left, right) if not _reaches(side, table, part)]
    if lacking:
        findings.add("no_key", table.area, table.name, row=", ".join(dict.fromkeys(lacking)))
    return not lacking


def _reaches(side: ComparedDatabase, table: TableSpec, part: str) -> bool:
    """Whether the side has each column on the way to a part of the key."""
    *way, column = part.split(".")
    here = table.name
    for step in way:
        if not side.has(here, step) or not side.has(REFERENCES[step], "id"):
            return False
        here = REFERENCES[step]
    return column == "#" or side.has(here, column)


def _there(has: bool) -> str:
    return "there" if has else "missing"


# -------------------------------------------------------------------------------------------------- one table


class TableComparison:
    """The comparison of one table; `missing` holds the rows that only one side has, and that others may point to."""

    def __init__(
        self, table: TableSpec, left: ComparedDatabase, right: ComparedDatabase, strictness: ComparisonOptions, findings: Findings, missing: set[tuple],
    ):
        self._table, self._sides, self._findings, self._missing = table, (left, right), findings, missing
        self._comparer = RowComparer.of(table, left, right, strictness)
        self._tally: TableCounts = findings.tally(table.area, table.name, table.noun)

    def compare(self, progress: Progress) -> None:
        counts = [side.count(self._table) for side in self._sides]
        read, sequence = [0, 0], EventOrder(self._add)
        for pair in merge_rows(self._table, *(side.rows(self._table, self._comparer.paths) for side in self._sides)):
            self._pair(pair)
            if self._table.jobs_in:
                sequence.note(pair)
            read = [read[0] + len(pair.left), read[1] + len(pair.right)]
            if max(read) % EVERY == 0:
                progress(self._table.name, max(read), max(counts))
        sequence.end()
        progress(self._table.name, max(counts), max(counts))
        for side, count, met in zip(("left", "right"), counts, read):
            if count > met:
                self._findings.add("orphan", self._table.area, self._table.name, **{side: f"{count - met} of {count} rows"})

    def _pair(self, pair: RowPair) -> None:
        if not pair.left or not pair.right:
            self._alone(pair)
            return
        if max(len(pair.left), len(pair.right)) > 1:
            self._add("twice", "", pair, f"{len(pair.left)} rows", f"{len(pair.right)} rows")
        found = [each for each in self._comparer.unlike(pair.left[0], pair.right[0]) if not self._follows(*each)]
        # All are noted, whether or not an earlier one is an accepted difference.
        if any([self._add(unlike.kind, column, pair, unlike.left, unlike.right, unlike.path) for column, unlike in found]):
            self._tally.different += 1
        else:
            self._tally.equal += 1

    def _alone(self, pair: RowPair) -> None:
        """A row that one side lacks; nothing to tell when it is only that its parent is missing."""
        if self._table.name in NATURAL and len(self._missing) < REMEMBERED:
            self._missing.add((self._table.name, tuple(map(str, pair.key[-len(NATURAL[self._table.name]):]))))
        if any((target, key) in self._missing for target, key in self._parents(pair.key)):
            self._tally.implied += 1
            return
        kind, rows = ("left_only", pair.left) if pair.left else ("right_only", pair.right)
        told = {"left": self._told(rows[0])} if pair.left else {"right": self._told(rows[0])}
        if self._add(kind, "", pair, **told):
            setattr(self._tally, kind, getattr(self._tally, kind) + 1)
        else:
            self._tally.accepted += 1

    def _add(self, kind: str, column: str, pair: RowPair, left="", right="", path: str = "") -> bool:
        bundles = (row.get(self._table.bundle) for rows in (pair.right, pair.left) for row in rows[:1])
        bundle = next(filter(None, bundles), None)
        if self._table.jobs_in and not path:
            path = pair.key[1]
        elif self._table.jobs_in:
            path = f"{path} of {pair.key[1]}"
        return self._findings.add(
            kind, self._table.area, self._table.name, column, path=path, row=" ".join(map(str, pair.key)), bundle=bundle,
            left=left, right=right,
        )

    def _parents(self, key: tuple) -> Iterator[tuple[str, tuple]]:
        """(table, natural key) of each row that a key of this table leads to."""
        values = dict(zip(self._table.key, key))
        for way in dict.fromkeys(part.rpartition(".")[0] for part in self._table.key):
            if way:
                target = REFERENCES[way]
                yield target, tuple(values[f"{way}.{part}"] for part in NATURAL[target])

    def _follows(self, column: str, unlike: ValueDifference) -> bool:
        """Whether an id points to another row only since that row is missing on one side."""
        ends = [tuple(str(end).split(" ")) for end in (unlike.left, unlike.right)] if unlike.kind == "reference" else []
        return any((REFERENCES[column], end) in self._missing for end in ends)

    def _told(self, row: Row) -> str:
        values = ((path, row[path]) for path in row if path not in self._table.key and path not in ("@", self._table.bundle))
        return ", ".join(f"{path.partition('.')[0]} {value}" for path, value in values if value is not None)[:300]


class EventOrder:
    """Whether the events that both sides have come in the same order within each bundle."""

    def __init__(self, add: Callable):
        self._add, self._pairs = add, []

    def note(self, pair: RowPair) -> None:
        if self._pairs and self._pairs[0].key[0] != pair.key[0]:
            self.end()
        if pair.left and pair.right:
            self._pairs.append(pair)

    def end(self) -> None:
        """The bundle is complete."""
        by_left = sorted(self._pairs, key=lambda pair: pair.left[0]["@"])
        by_right = sorted(self._pairs, key=lambda pair: pair.right[0]["@"])
        moved = [(one, other) for one, other in zip(by_left, by_right) if one is not other]
        if moved:
            told = [" then ".join(str(pair.key[1]) for pair in some[:12]) for some in zip(*moved)]
            self._add("sequence", "", moved[0][0], *told)
        self._pairs = []
