"""Propose a mapping file for a database whose names differ."""

from collections.abc import Iterator, Set
from difflib import SequenceMatcher
from typing import Any, NamedTuple

from . import table_specs
from .compared_database import ComparedDatabase
from .mapping import ABSENT, NameMapping
from .mapping_evidence import SAMPLE_ROWS, SURE_NAMES, Evidence, share_of_equal_values, types_agree
from .table_specs import TABLES

MIN_LIKENESS = 0.5
# Shares of the columns of a table that have a counterpart.
MIN_COLUMNS, SURE_COLUMNS = 0.5, 0.75
# Synonyms in names of tables and columns; our words are on the right.
SYNONYMS = {
    "uuid": "sync id", "no": "id", "nr": "id", "number": "id", "checksum": "hash", "digest": "hash",
    "sha256": "hash", "kind": "type", "bundle": "batch", "bundles": "batch", "batches": "batch",
    "items": "item", "entries": "item", "log": "event", "events": "event", "assets": "asset",
    "media": "asset", "ts": "at", "time": "at", "on": "at", "state": "status", "pos": "position",
    "sort": "position", "order": "position", "message": "error", "data": "payload", "json": "payload",
    "jobs": "job", "hostname": "host", "server": "host", "bytes": "size", "ingest": "import",
    "caption": "title", "verdict": "decision", "touched": "updated", "changed": "updated",
    "galleries": "gallery", "collections": "collection", "covers": "cover", "sources": "source",
    "runs": "run", "mime": "content", "derivatives": "derivative", "who": "actor", "why": "reason",
    "tries": "attempts", "removed": "deleted", "erased": "deleted", "added": "created", "inserted": "created",
    "seen": "discovered", "found": "discovered", "ended": "finished", "started": "claimed",
}


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
        return not self.mapping.tables and not self.mapping.columns

    @property
    def notes(self) -> dict[tuple[str, str], str]:
        """Return the evidence of each line for `format_mapping`, unsure ones marked."""
        return {(line.table, line.column): f"{'' if line.sure else 'UNSURE: '}{line.evidence}" for line in self.lines}


def propose_mapping(side: ComparedDatabase, other: ComparedDatabase | None = None) -> MappingProposal:
    """Propose a mapping from the catalogue of a side, etc/schema.sql, and the values of the other side.

    The other side is evidence where it has the names of etc/schema.sql.
    """
    lines = list(_tables(side))
    tables = {line.table: line.theirs for line in lines}
    questions = [f"{line.table}: no table is alike" for line in lines if line.theirs == ABSENT]
    for table in TABLES:
        actual = tables.get(table.name, table.name)
        if actual != ABSENT:
            found = list(_columns(side, other, table.name, actual))
            lines += found
            questions += [
                f"{table.name}.{line.column}: no column of {actual} is alike" for line in found if line.theirs == ABSENT
            ]
    questions += [f"{_place(line)} = {line.theirs} is unsure: {line.evidence}" for line in lines if not line.sure]
    columns = {(line.table, line.column): line.theirs for line in lines if line.column}
    return MappingProposal(NameMapping(tables, columns), lines, questions)


def _place(line: ProposedLine) -> str:
    return f"{line.table}.{line.column}" if line.column else line.table


def _tables(side: ComparedDatabase) -> Iterator[ProposedLine]:
    """Propose their table for each of ours that they do not have; the likeliest pairs first, each table once."""
    wanted = [table.name for table in TABLES if table.name not in side.catalogue]
    free = [name for name in side.catalogue if name not in table_specs.expected_everywhere()]
    shares = {(ours, theirs): _share_of_columns(side, ours, theirs) for ours in wanted for theirs in free}
    scores = {
        pair: (_likeness(*pair) + share) / 2 for pair, share in shares.items()
        if share >= MIN_COLUMNS and (_likeness(*pair) >= MIN_LIKENESS or share >= SURE_COLUMNS)
    }
    pairs = _pairs(scores)
    for ours in wanted:
        if ours not in pairs:
            yield ProposedLine(ours, "", ABSENT, True, "no table has a like name and most of the columns")
            continue
        names, share = _likeness(ours, pairs[ours]), shares[ours, pairs[ours]]
        evidence = f"names {names:.0%} alike, {share:.0%} of the columns have a counterpart"
        yield ProposedLine(ours, "", pairs[ours], names >= SURE_NAMES or share >= SURE_COLUMNS, evidence)


def _share_of_columns(side: ComparedDatabase, ours: str, theirs: str) -> float:
    """Return the share of our columns that have a counterpart by name and type; 0 if one of the key has none."""
    expected = [
        column for column in table_specs.compared_columns(ours)
        if (ours, column) not in table_specs.OURS_ONLY | table_specs.UNKNOWN_TO_PERL
    ]
    words = _words(ours) | _words(theirs)
    likeness = {
        column: max((
            _likeness(column, name, words)
            for name in side.catalogue[theirs] if _agree(side, ours, column, theirs, name)
        ), default=0.0)
        for column in expected
    }
    own_key = [part for part in table_specs.BY_NAME[ours].key if "." not in part and part != "#"]
    if any(likeness[column] < MIN_LIKENESS for column in own_key):
        return 0.0
    return sum(likeness[column] >= SURE_NAMES for column in expected) / len(expected)


def _columns(
    side: ComparedDatabase, other: ComparedDatabase | None, table: str, actual: str
) -> Iterator[ProposedLine]:
    """Propose their column for each of ours that they do not have, or `-`."""
    ours, existing = table_specs.column_types(table), side.catalogue[actual]
    computed = table_specs.NEVER_COMPARED - {"id"}
    wanted = [column for column in ours if column not in existing and column not in computed]
    free, words = sorted(existing - set(ours)), _words(table) | _words(actual)
    samples = _samples(side, actual, free), _samples(other, table, wanted) if other else {}
    found = {
        (column, name): Evidence(
            _likeness(column, name, words), _agree(side, table, column, actual, name), ours[column],
            side.types[actual, name], *_shares(table, column, samples[1].get(column, []), samples[0].get(name, [])),
        )
        for column in wanted for name in free
    }
    pairs = _pairs({
        pair: evidence.score for pair, evidence in found.items()
        if evidence.types and (evidence.names >= MIN_LIKENESS or evidence.is_sure)
    })
    for column in wanted:
        if column in pairs:
            evidence = found[column, pairs[column]]
            yield ProposedLine(table, column, pairs[column], evidence.is_sure, str(evidence))
        elif (table, column) in table_specs.OURS_ONLY | table_specs.UNKNOWN_TO_PERL:
            yield ProposedLine(table, column, ABSENT, True, "only this system has it")
        else:
            yield ProposedLine(table, column, ABSENT, False, "no column has a like name, type and values")


def _agree(side: ComparedDatabase, table: str, column: str, actual: str, name: str) -> bool:
    return types_agree(table_specs.column_types(table)[column], side.types[actual, name])


def _samples(side: ComparedDatabase, table: str, columns: list[str]) -> dict[str, list[Any]]:
    """Return the values of some rows by column."""
    columns = [column for column in columns if column in side.catalogue.get(table, ())]
    rows = side.sample(table, columns, SAMPLE_ROWS) if columns else []
    return {column: [row[column] for row in rows] for column in columns}


def _shares(table: str, column: str, ours: list[Any], theirs: list[Any]) -> tuple[float | None, int]:
    """Compare values, but of ids and times, which differ between equal databases."""
    kind = table_specs.column_kind(table, column)
    if column == "id" or kind in (table_specs.REFERENCE, table_specs.TIME, table_specs.PRESENCE):
        return None, 0
    return share_of_equal_values(ours, theirs)


def _pairs(scores: dict[tuple[str, str], float]) -> dict[str, str]:
    """Choose the likeliest pairs, each name once."""
    pairs: dict[str, str] = {}
    for ours, theirs in sorted(scores, key=lambda pair: (-scores[pair], pair)):
        if ours not in pairs and theirs not in pairs.values():
            pairs[ours] = theirs
    return pairs


def _likeness(ours: str, theirs: str, ignored: Set[str] = frozenset()) -> float:
    """Return 0 to 1, by letters and by synonyms.

    `ignored` are the words of the name of the table.
    """
    letters = SequenceMatcher(None, ours, theirs, autojunk=False).ratio()
    our_words, their_words = (_words(name) - ignored or _words(name) for name in (ours, theirs))
    return max(letters, len(our_words & their_words) / len(our_words | their_words))


def _words(name: str) -> set[str]:
    return {word for part in name.lower().split("_") for word in SYNONYMS.get(part, part).split()}
