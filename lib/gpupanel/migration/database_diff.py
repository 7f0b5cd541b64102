"""Compare two databases by merging their rows by natural keys."""

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import NamedTuple

from . import table_specs
from .compared_database import ComparedDatabase, Row, key_of
from .findings import Difference, Findings, TableCounts
from .lone_rows import LoneRow, LoneRows, text_of_part
from .row_alignment import LEFT, RIGHT, SIDES, JobNames, align_rows, match_twins
from .row_diff import ComparisonOptions, RowComparer
from .table_specs import NATURAL, REFERENCES, TABLES, TableSpec
from .value_diff import TOLERATED, ValueDifference

# Missing parent rows to keep in memory, so that their child rows are not reported one by one.
MAX_MISSING_PARENTS = 200_000
PROGRESS_EVERY = 1000  # rows
# What the report lists as not compared.
ABSENT_TABLES = "tables that neither side has"
ONE_SIDED_COLUMNS = "columns that only this system has, and one side lacks"
UNKNOWN_COLUMNS = "columns that etc/schema.sql does not have"

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

    Raises UnreadableSideError for a database that cannot be read.
    """
    left.require_tables()
    right.require_tables()
    jobs, missing = JobNames(), MissingRows()
    for table in TABLES:
        if _comparable(table, left, right, findings):
            comparer = RowComparer.of(table, (left, right), options, jobs)
            TableComparison(comparer, table, (left, right), findings, missing).compare(jobs, progress)
    for side in (left, right):
        for (name, column, what), count in side.converted.items():
            findings.tolerate(f"{name}.{column}", f"{what} on {side.side}", count)


def merge_rows(table: TableSpec, left: Iterator[Row], right: Iterator[Row]) -> Iterator[RowPair]:
    """Yield the rows of both sides by key, in the order of the key; without the numbers of rows."""
    sides = [_keyed(table, left), _keyed(table, right)]
    heads = [next(side, None) for side in sides]
    while any(heads):
        key = min(head[0] for head in heads if head)
        matches = [head[1] if head and head[0] == key else [] for head in heads]
        heads = [next(side, None) if rows else head for side, head, rows in zip(sides, heads, matches, strict=True)]
        yield RowPair(key, *matches)


def _keyed(table: TableSpec, rows: Iterator[Row]) -> Iterator[tuple[tuple, list[Row]]]:
    for key, group in groupby(rows, lambda row: key_of(table, row)[:len(table.key) - table.numbered]):
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
        else:
            findings.tolerate(table.name, ABSENT_TABLES)
        return False
    for column in table_specs.column_types(table.name):
        has = [side.has(table.name, column) for side in (left, right)]
        if all(has) or not any(has) or column in table_specs.NEVER_COMPARED:
            continue
        if (table.name, column) in table_specs.OURS_ONLY:
            findings.tolerate(f"{table.name}.{column}", ONE_SIDED_COLUMNS)
        else:
            left_has, right_has = map(_presence, has)
            findings.add(Difference("column_missing", table.area, table.name, column, left=left_has, right=right_has))
    expected = list(table_specs.column_types(table.name))
    unknown = [side.unknown_columns(table.name, expected) for side in (left, right)]
    for column in sorted({*unknown[0]} & {*unknown[1]}):
        findings.tolerate(f"{table.name}.{column}", UNKNOWN_COLUMNS)
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


class MissingRows:
    """Rows of only one side to which other rows may refer: (table, natural key as text)."""

    def __init__(self) -> None:
        self._rows: set[tuple[str, str]] = set()

    def add(self, table: str, key: str) -> None:
        if len(self._rows) < MAX_MISSING_PARENTS:
            self._rows.add((table, key))

    def __contains__(self, row: tuple[str, str]) -> bool:
        return row in self._rows


class TableComparison:
    """The comparison of one table."""

    def __init__(
        self, comparer: RowComparer, table: TableSpec, sides: tuple[ComparedDatabase, ComparedDatabase],
        findings: Findings, missing: MissingRows,
    ):
        self._comparer, self._table, self._sides = comparer, table, sides
        self._findings, self._missing = findings, missing
        self._counts: TableCounts = findings.tally(table.area, table.name, table.noun)
        self._lone = LoneRows(table)

    def compare(self, jobs: JobNames, progress: Progress) -> None:
        counts = [side.count(self._table) for side in self._sides]
        read = [0, 0]
        merged = merge_rows(self._table, *(side.rows(self._table, self._comparer.paths) for side in self._sides))
        for _, bundle in groupby(merged, lambda pair: pair.key[0] if self._table.numbered else pair.key):
            pairs = [pair for merged_pair in bundle for pair in self._aligned(merged_pair, jobs)]
            self._compare_bundle(pairs, jobs)
            before = max(read)
            read = [read[0] + sum(len(pair.left) for pair in pairs), read[1] + sum(len(pair.right) for pair in pairs)]
            if max(read) // PROGRESS_EVERY > before // PROGRESS_EVERY:
                progress(self._table.name, max(read), max(counts))
        self._add_lone_rows()
        progress(self._table.name, max(counts), max(counts))
        for side, count, read_count in zip(SIDES, counts, read, strict=True):
            if count > read_count:
                text = f"{count - read_count} of {count} rows"
                self._findings.add(Difference("orphan", self._table.area, self._table.name, **{side: text}))

    def _aligned(self, pair: RowPair, jobs: JobNames) -> list[RowPair]:
        """Return a pair for each row of a numbered table; other pairs stay as they are."""
        if not self._table.numbered:
            return [pair]
        aligned = align_rows(pair.left, pair.right, self._comparer.cost)
        if self._table.name == "import_job":
            jobs.record(pair.key[0], aligned)
        return [
            RowPair((*pair.key, (right or left or {})["#"]), [left] if left else [], [right] if right else [])
            for left, right in aligned
        ]

    def _compare_bundle(self, pairs: list[RowPair], jobs: JobNames) -> None:
        """Compare the rows of one bundle, or of one key."""
        event_order = EventOrder(self._add, [side.has(self._table.name, "id") for side in self._sides])
        if self._table.jobs_in:
            self._comparer.link_jobs([(pair.left[0], pair.right[0]) for pair in pairs if pair.left and pair.right])
        for pair in pairs:
            self._pair(pair, jobs)
            if self._table.jobs_in:
                event_order.note(pair)
        event_order.end()

    def _pair(self, pair: RowPair, jobs: JobNames) -> None:
        if not pair.left or not pair.right:
            self._alone(pair, jobs)
            return
        if len(pair.left) != len(pair.right):
            self._add("", pair, ValueDifference("twice", f"{len(pair.left)} rows", f"{len(pair.right)} rows"))
        for left, right in match_twins(pair.left, pair.right, self._comparer.cost):
            self._rows(RowPair(pair.key, [left], [right]))

    def _rows(self, pair: RowPair) -> None:
        differences = self._comparer.differences(pair.left[0], pair.right[0])
        # A list, so that every difference is recorded, also after one that counts.
        if any([
            self._add(column, pair, difference)
            for column, difference in differences if not self._follows(column, difference)
        ]):
            self._counts.different += 1
        else:
            self._counts.equal += 1

    def _alone(self, pair: RowPair, jobs: JobNames) -> None:
        """Keep a row that one side lacks.

        A row whose parent is missing counts as implied.
        """
        side, row = (LEFT, pair.left[0]) if pair.left else (RIGHT, pair.right[0])
        if self._table.name in NATURAL:
            key = pair.key[-len(NATURAL[self._table.name]):]
            if self._table.name == "import_job":
                key = (pair.key[0], jobs.name(side, pair.key[0], row["#"]))
            self._missing.add(self._table.name, " ".join(map(str, key)))
        if any(parent in self._missing for parent in self._parents(pair.key)):
            self._counts.implied += 1
            return
        small = {self._table.bundle: row.get(self._table.bundle)}
        lone = LoneRow(pair.key, small, self._describe(row), self._comparer.fingerprint(row, side))
        if not self._lone.keep(side, lone):
            self._add_lone(side, lone)

    def _add_lone_rows(self) -> None:
        """Record the rows of only one side: those that differ in one part of their key, then the others."""
        for part, left, right in self._lone.take_pairs():
            column, _, below = part.partition(".")
            kind = "reference" if below else "value"
            texts = [text_of_part(self._table, part, lone.key) for lone in (left, right)]
            pair = RowPair(right.key, [left.row], [right.row])
            if self._add(column, pair, ValueDifference(kind, *texts)):
                self._counts.different += 1
            else:
                self._counts.accepted += 1
        for side in (LEFT, RIGHT):
            for lone in self._lone.rest(side):
                self._add_lone(side, lone)

    def _add_lone(self, side: int, lone: LoneRow) -> None:
        kind = f"{SIDES[side]}_only"
        rows: tuple[list[Row], list[Row]] = ([lone.row], [])
        texts = (lone.text, "")
        if side == RIGHT:
            rows, texts = ([], [lone.row]), ("", lone.text)
        path = str(lone.key[self._table.key.index("kind")]) if self._table.name == "asset_derivative" else ""
        if self._add("", RowPair(lone.key, *rows), ValueDifference(kind, *texts, path)):
            setattr(self._counts, kind, getattr(self._counts, kind) + 1)
        else:
            self._counts.accepted += 1

    def _add(self, column: str, pair: RowPair, difference: ValueDifference) -> bool:
        kind, left, right, path = difference
        if kind == TOLERATED:
            self._findings.tolerate(f"{self._table.name}.{column}", path)
            return False
        bundles = (row.get(self._table.bundle) for rows in (pair.right, pair.left) for row in rows[:1])
        bundle = next(filter(None, bundles), None)
        if self._table.jobs_in:
            path = f"{path} of {pair.key[1]}" if path else pair.key[1]
        row = " ".join(map(str, pair.key))
        return self._findings.add(
            Difference(kind, self._table.area, self._table.name, column, path, row, bundle or "", left, right)
        )

    def _parents(self, key: tuple) -> Iterator[tuple[str, str]]:
        """Yield (table, natural key as text) of each row that a key refers to."""
        values = dict(zip(self._table.key, key, strict=True))
        for reference in dict.fromkeys(part.rpartition(".")[0] for part in self._table.key):
            if reference:
                target = REFERENCES[reference]
                yield target, " ".join(str(values[f"{reference}.{part}"]) for part in NATURAL[target])

    def _follows(self, column: str, difference: ValueDifference) -> bool:
        """Return whether an id differs only because its row is missing."""
        if difference.kind != "reference":
            return False
        targets = difference.left, difference.right
        return any((REFERENCES[column], str(target)) in self._missing for target in targets)

    def _describe(self, row: Row) -> str:
        omitted = {*self._table.key, "@", self._table.bundle}
        values = ((path, row[path]) for path in row if path not in omitted)
        return ", ".join(f"{path.partition('.')[0]} {value}" for path, value in values if value is not None)[:300]


class EventOrder:
    """Compares the order of the events within each bundle.

    A side whose rows have no id does not say in which order it wrote those of the same time.
    """

    def __init__(self, add: Callable[..., bool], has_ids: list[bool]):
        self._add, self._has_ids = add, has_ids
        self._pairs: list[RowPair] = []

    def note(self, pair: RowPair) -> None:
        """Take in the next pair of events."""
        if self._pairs and self._pairs[0].key[0] != pair.key[0]:
            self.end()
        if pair.left and pair.right:
            self._pairs.append(pair)

    def end(self) -> None:
        """Compare the order of the bundle that is complete now."""
        by_left = sorted(self._pairs, key=lambda pair: self._place(pair.left[0], pair.right[0], self._has_ids[LEFT]))
        by_right = sorted(self._pairs, key=lambda pair: self._place(pair.right[0], pair.left[0], self._has_ids[RIGHT]))
        moved = [(left, right) for left, right in zip(by_left, by_right, strict=True) if left is not right]
        if moved:
            orders = [" then ".join(str(pair.key[1]) for pair in pairs[:12]) for pairs in zip(*moved, strict=True)]
            self._add("", moved[0][0], ValueDifference("sequence", *orders))
        self._pairs = []

    def _place(self, row: Row, other: Row, has_id: bool) -> tuple[str, int]:
        """Return what orders an event; of the same time, where only that is known, the other side's number."""
        return ("", row["@"]) if has_id else (str(row.get("created_at")), other["@"])
