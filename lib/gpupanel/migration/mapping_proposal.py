"""Propose a mapping file for a database whose names differ."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from . import table_specs
from .compared_database import ComparedDatabase, Row
from .mapping import ABSENT, NameMapping
from .mapping_evidence import (
    MANY_VALUES, MIN_VALUES, NUMBERS, SAMPLE_ROWS, SURE_NAMES, SURE_VALUES, Evidence, distinct, share_of_equal,
    share_of_equal_values, types_agree,
)
from .mapping_rows import EqualRows, find_equal_rows
from .mapping_words import propose_words
from .name_likeness import MIN_LIKENESS, likeliest_pairs, likeness, words_of_name
from .row_reader import parse_time
from .table_specs import TABLES

GIVEN = "named in the mapping file"
# Shares of the columns of a table that have a counterpart.
MIN_COLUMNS, SURE_COLUMNS = 0.5, 0.75
# So many columns of a table with equal values are evidence without any likeness of names.
SURE_VALUE_COLUMNS = 3


class ProposedLine(NamedTuple):
    """A line of a mapping with its evidence; `column` is empty for a table."""

    table: str
    column: str
    theirs: str
    sure: bool
    evidence: str


class MappingProposal(NamedTuple):
    """A proposed mapping.

    `open` lists the questions that a person has to decide.
    """

    mapping: NameMapping
    lines: list[ProposedLine]
    open: list[str]

    @property
    def empty(self) -> bool:
        return not self.mapping.tables and not self.mapping.columns and not self.mapping.words

    @property
    def notes(self) -> dict[tuple[str, str], str]:
        """Return the evidence of each line for `format_mapping`, unsure ones marked."""
        return {(line.table, line.column): f"{'' if line.sure else 'UNSURE: '}{line.evidence}" for line in self.lines}


def propose_mapping(side: ComparedDatabase, other: ComparedDatabase | None = None) -> MappingProposal:
    """Propose a mapping from the catalogue of a side, etc/schema.sql, and the values of the other side.

    The other side is evidence where it has the names of etc/schema.sql. Lines of the side's own mapping file are kept.
    """
    lines = list(_tables(side, other))
    tables = {line.table: line.theirs for line in lines}
    unsure_tables = {line.table for line in lines if not line.sure}
    questions = [f"{line.table}: no table is alike" for line in lines if line.theirs == ABSENT and not line.sure]
    for table in TABLES:
        actual = tables.get(table.name, table.name)
        if actual != ABSENT and actual in side.catalogue:
            found = list(_columns(side, other, table.name, actual, tables))
            if table.name in unsure_tables:
                found = [line._replace(sure=line.sure and line.theirs == ABSENT) for line in found]
            lines += found
            questions += [
                f"{table.name}.{line.column}: no column of {actual} is alike"
                for line in found if line.theirs == ABSENT and not line.sure
            ]
    questions += [
        f"{_place(line)} = {line.theirs} is unsure: {line.evidence}"
        for line in lines if not line.sure and line.theirs != ABSENT
    ]
    questions += _unnamed(side, lines, tables)
    columns = {(line.table, line.column): line.theirs for line in lines if line.column}
    names = NameMapping(tables, columns)
    words = propose_words(side, other, names)
    lines += [ProposedLine(*line) for line in words.lines]
    all_words = {**side.mapping.words, **words.words}
    return MappingProposal(
        names._replace(zone=side.mapping.zone, words=all_words), lines, questions + words.open
    )


def _unnamed(side: ComparedDatabase, lines: list[ProposedLine], tables: Mapping[str, str]) -> Iterator[str]:
    """Yield the columns of each table that no line names, where a column of ours has none."""
    for table in TABLES:
        actual = tables.get(table.name, table.name)
        of_table = [line for line in lines if line.table == table.name and line.column]
        ours = {*table_specs.column_types(table.name)}
        left_over = sorted(side.catalogue.get(actual, set()) - ours - {line.theirs for line in of_table})
        if left_over and any(line.theirs == ABSENT and not line.sure for line in of_table):
            yield f"{table.name}: no line names these columns of {actual}: {', '.join(left_over)}"


def _place(line: ProposedLine) -> str:
    return f"{line.table}.{line.column}" if line.column else line.table


def _tables(side: ComparedDatabase, other: ComparedDatabase | None) -> Iterator[ProposedLine]:
    """Propose their table for each of ours that they do not have; the likeliest pairs first, each table once."""
    given = side.mapping.tables
    yield from (ProposedLine(ours, "", theirs, True, GIVEN) for ours, theirs in given.items())
    wanted = [table.name for table in TABLES if table.name not in side.catalogue and table.name not in given]
    taken = table_specs.expected_everywhere() | set(given.values())
    free = [name for name in side.catalogue if name not in taken]
    shares = {(ours, theirs): _share_of_columns(side, ours, theirs) for ours in wanted for theirs in free}
    scores = {
        pair: (likeness(*pair) + share) / 2 for pair, share in shares.items()
        if share >= MIN_COLUMNS and (likeness(*pair) >= MIN_LIKENESS or share >= SURE_COLUMNS)
    }
    values = _equal_columns(side, other, [ours for ours in wanted if ours not in likeliest_pairs(scores)], free)
    for pair, (equal, informative) in values.items():
        if equal and equal / informative >= MIN_COLUMNS:
            # More equal columns are better evidence; a view has no key, and the rows of its table.
            score = equal / informative * equal / (equal + 1) + (0.01 if pair[1] in side.primary else 0.0)
            scores[pair] = max(scores.get(pair, 0.0), score)
    pairs = likeliest_pairs(scores)
    for ours in wanted:
        if ours not in pairs:
            yield ProposedLine(ours, "", ABSENT, False, "no table has a like name and most of the columns, or values")
            continue
        theirs = _with_more_rows(side, ours, pairs, values)
        names, share = likeness(ours, theirs), shares[ours, theirs]
        equal, informative = values.get((ours, theirs), (0, 0))
        evidence = f"names {names:.0%} alike, {share:.0%} of the columns have a counterpart"
        evidence += f", {equal} of {informative} columns have equal values" if informative else ""
        by_values = equal >= SURE_VALUE_COLUMNS and equal / informative >= MIN_COLUMNS
        is_sure = (share > 0 and (names >= SURE_NAMES or share >= SURE_COLUMNS)) or by_values
        if theirs != pairs[ours]:
            evidence, is_sure = f"{evidence}; {pairs[ours]} is like it, and has fewer rows", False
        yield ProposedLine(ours, "", theirs, is_sure, evidence)


def _with_more_rows(
    side: ComparedDatabase, ours: str, pairs: Mapping[str, str], values: Mapping[tuple[str, str], tuple[int, int]]
) -> str:
    """Return the proposed table, or one with as many equal columns and more rows, such as a view over two tables."""
    proposed = pairs[ours]
    found = values.get((ours, proposed), (0, 0))
    alike = [
        theirs for (table, theirs), counts in values.items()
        if table == ours and counts == found and counts[0] and theirs not in pairs.values()
    ]
    rows = {theirs: side.count_rows(theirs) for theirs in (proposed, *alike)} if alike else {proposed: 0}
    return max(rows, key=lambda theirs: rows[theirs])


def _equal_columns(
    side: ComparedDatabase, other: ComparedDatabase | None, wanted: list[str], free: list[str]
) -> dict[tuple[str, str], tuple[int, int]]:
    """Return (columns of ours with equal values, columns of ours with many values) of each pair of tables."""
    found: dict[tuple[str, str], tuple[int, int]] = {}
    ours_of = {table: _many_values(other, table, _compared_by_value(table)) for table in wanted} if other else {}
    if not any(ours_of.values()):
        return found
    theirs_of = {table: list(_many_values(side, table, sorted(side.catalogue[table])).values()) for table in free}
    for table, ours in ours_of.items():
        for name, theirs in theirs_of.items():
            equal = sum(
                any((share_of_equal(known, values)[0] or 0.0) >= SURE_VALUES for values in theirs)
                for known in ours.values()
            )
            found[table, name] = equal, len(ours)
    return found


def _compared_by_value(table: str) -> list[str]:
    """Return the columns whose values are those of the bundles on every side."""
    return [
        column for column in _known_to_perl(table)
        if table_specs.column_kind(table, column) in (table_specs.HASH, table_specs.PLAIN, table_specs.JSON)
        and table_specs.column_types(table)[column].partition("(")[0] not in NUMBERS
    ]


def _known_to_perl(table: str) -> list[str]:
    """Return the columns that a Perl side may have."""
    unknown = table_specs.OURS_ONLY | table_specs.UNKNOWN_TO_PERL
    return [column for column in table_specs.compared_columns(table) if (table, column) not in unknown]


def _many_values(side: ComparedDatabase, table: str, columns: list[str]) -> dict[str, set[str]]:
    """Return the distinct values of each column that has many."""
    samples = {column: distinct(values) for column, values in _samples(side, table, columns).items()}
    return {column: values for column, values in samples.items() if len(values) >= MANY_VALUES}


def _share_of_columns(side: ComparedDatabase, ours: str, theirs: str) -> float:
    """Return the share of our columns that have a counterpart by name and type; 0 if one of the key has none."""
    expected = _known_to_perl(ours)
    words = words_of_name(ours) | words_of_name(theirs)
    best = {
        column: max((
            likeness(column, name, words)
            for name in side.catalogue[theirs] if _agree(side, ours, column, theirs, name)
        ), default=0.0)
        for column in expected
    }
    own_key = [part for part in table_specs.BY_NAME[ours].key if "." not in part and part != "#"]
    if any(best[column] < MIN_LIKENESS for column in own_key):
        return 0.0
    return sum(best[column] >= SURE_NAMES for column in expected) / len(expected)


def _columns(
    side: ComparedDatabase, other: ComparedDatabase | None, table: str, actual: str, tables: Mapping[str, str]
) -> Iterator[ProposedLine]:
    """Propose their column for each of ours that they do not have, or `-`."""
    ours, existing = table_specs.column_types(table), side.catalogue[actual]
    computed = table_specs.NEVER_COMPARED - {"id"}
    given = {column: theirs for (name, column), theirs in side.mapping.columns.items() if name == table}
    yield from (ProposedLine(table, column, theirs, True, GIVEN) for column, theirs in given.items())
    existing = existing - set(given.values())
    wanted = [column for column in ours if column not in existing and column not in computed and column not in given]
    possible = [column for column in wanted if column == "id" or column in _known_to_perl(table)]
    free, words = sorted(existing - set(ours)), words_of_name(table) | words_of_name(actual)
    equal = find_equal_rows(side, other, table, actual, free, possible) if other else EqualRows([], [])
    if equal.ours:
        samples = _columns_of(equal.theirs, free), _columns_of(equal.ours, possible)
    else:
        samples = _samples(side, actual, free), _samples(other, table, possible) if other else {}
    found = {
        (column, name): Evidence(
            likeness(column, name, words),
            _agree(side, table, column, actual, name) and _may_be_times(table, column, samples[0].get(name, [])),
            ours[column],
            side.types[actual, name], *_shares(table, column, samples[1].get(column, []), samples[0].get(name, [])),
            rows=(agreeing := equal.share(table, column, name) if column in samples[1] else (None, 0))[0],
            row_count=agreeing[1],
        )
        for column in possible for name in free
        # No reference is the only primary key.
        if column == "id" or column not in table_specs.REFERENCES or side.primary.get(actual) != [name]
        or table == "asset_source"
    }
    agree = [
        pair for pair, evidence in found.items() if evidence.types and (evidence.is_in_rows or evidence.is_by_values)
    ]
    for (column, name), evidence in found.items():
        if any((column == pair[0]) != (name == pair[1]) for pair in agree):
            evidence = found[column, name] = evidence._replace(has_rival=True)
        if column in table_specs.REFERENCES:
            target = table_specs.REFERENCES[column]
            target = tables.get(target, target)
            found[column, name] = _linked(side, target, (actual, name), samples[0].get(name, []), evidence)
        elif column == "id" and side.primary.get(actual) == [name]:
            found[column, name] = evidence._replace(key="the primary key")
    pairs = likeliest_pairs({
        pair: evidence.score for pair, evidence in found.items()
        if evidence.types and evidence.linked != 0
        and (
            evidence.names >= MIN_LIKENESS or evidence.is_sure or evidence.is_in_rows or evidence.is_like_by_values
            or evidence.linked == 1
        )
    })
    if table == "asset_source" and "asset_id" not in pairs:
        # Each asset has one row, whose primary key may be the id of the asset.
        linked = found.get(("asset_id", pairs.get("id", "")))
        if linked and linked.linked == 1:
            pairs["asset_id"] = pairs.pop("id")
    for column in wanted:
        if column in pairs:
            evidence = found[column, pairs[column]]
            yield ProposedLine(table, column, pairs[column], evidence.is_sure, str(evidence))
        elif column not in possible:
            yield ProposedLine(table, column, ABSENT, True, "only this system has it")
        else:
            yield ProposedLine(table, column, ABSENT, False, "no column has a like name, type and values")


def _linked(
    side: ComparedDatabase, target: str, column: tuple[str, str], sample: list[Any], evidence: Evidence
) -> Evidence:
    """Add what the catalogue and the values of their column say of a reference to the table `target`."""
    if side.foreign.get(column) == target:
        evidence = evidence._replace(key=f"refers to {target}")
    values = [value for value in dict.fromkeys(sample) if isinstance(value, int) and value]
    if any(not isinstance(value, int) for value in sample if value is not None):
        return evidence._replace(types=False)
    primary = side.primary.get(target, [])
    if len(primary) != 1:
        return evidence._replace(is_unproven=True)
    if not evidence.types or len(values) < MIN_VALUES:
        return evidence
    return evidence._replace(
        linked=side.count_among(target, primary[0], values) / len(values), value_count=len(values)
    )


def _agree(side: ComparedDatabase, table: str, column: str, actual: str, name: str) -> bool:
    return types_agree(table_specs.column_types(table)[column], side.types[actual, name])


def _may_be_times(table: str, column: str, sample: list[Any]) -> bool:
    """Return whether each value is a time, where ours is one; zero dates are none on any side."""
    if not table_specs.column_types(table)[column].startswith("datetime"):
        return True
    return all(parse_time(value) is not None for value in sample if value not in (None, "", 0))


def _samples(side: ComparedDatabase, table: str, columns: list[str]) -> dict[str, list[Any]]:
    """Return the values of some rows by column."""
    columns = [column for column in columns if column in side.catalogue.get(table, ())]
    rows = side.sample(table, columns, SAMPLE_ROWS) if columns else []
    return {column: [row[column] for row in rows] for column in columns}


def _columns_of(rows: list[Row], columns: list[str]) -> dict[str, list[Any]]:
    """Return the values of rows by column."""
    return {column: [row[column] for row in rows] for column in columns if column in rows[0]}


def _shares(table: str, column: str, ours: list[Any], theirs: list[Any]) -> tuple[float | None, int]:
    """Compare values, but of ids and times, which differ between equal databases."""
    kind = table_specs.column_kind(table, column)
    if column == "id" or kind in (table_specs.REFERENCE, table_specs.TIME, table_specs.PRESENCE):
        return None, 0
    return share_of_equal_values(ours, theirs)
