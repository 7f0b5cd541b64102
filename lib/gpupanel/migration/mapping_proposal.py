"""Propose a mapping file for a database whose names differ."""

from collections.abc import Set
from difflib import SequenceMatcher
from typing import NamedTuple

from . import table_specs
from .compared_database import ComparedDatabase
from .mapping import ABSENT, Catalogue, NameMapping
from .table_specs import TABLES

MIN_LIKENESS = 0.5
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
}


class MappingProposal(NamedTuple):
    """A proposed mapping.

    `open` lists the questions that a person has to decide.
    """

    mapping: NameMapping
    open: list[str]

    @property
    def empty(self) -> bool:
        return not self.mapping.tables and not self.mapping.columns


def propose_mapping(side: ComparedDatabase) -> MappingProposal:
    """Propose a mapping from the catalogue of a side and etc/schema.sql."""
    tables = _tables(side.catalogue)
    names: dict[tuple[str, str], str] = {}
    questions: list[str] = []
    for table in TABLES:
        actual = tables.get(table.name, table.name)
        if actual == ABSENT:
            questions.append(f"{table.name}: no similar table")
            continue
        for column, theirs in _columns(table.name, actual, side.catalogue[actual]).items():
            names[table.name, column] = theirs
            if theirs == ABSENT:
                questions.append(f"{table.name}.{column}: no similar column in {actual}")
    return MappingProposal(NameMapping(tables, names), questions)


def _tables(catalogue: Catalogue) -> dict[str, str]:
    """Return our table -> their table, where the names differ.

    The likeliest pairs first, each table once.
    """
    wanted = [table.name for table in TABLES if table.name not in catalogue]
    free = [name for name in catalogue if name not in table_specs.BY_NAME]
    scores = {(ours, theirs): _table_likeness(ours, theirs, catalogue[theirs]) for ours in wanted for theirs in free}
    return _pairs(wanted, scores)


def _table_likeness(ours: str, theirs: str, columns: set[str]) -> float:
    """Return the likeness of two tables, by name and by columns."""
    expected = table_specs.compared_columns(ours)
    table_words = _words(ours) | _words(theirs)
    likeness = sum(max((_likeness(column, name, table_words) for name in columns), default=0) for column in expected)
    return (_likeness(ours, theirs) + likeness / len(expected)) / 2


def _columns(table: str, actual: str, existing: set[str]) -> dict[str, str]:
    """Return our column -> their column, where the names differ, or `-`."""
    ours = table_specs.column_types(table)
    wanted = [column for column in ours if column not in existing and column != "active_batch_id"]
    free, table_words = existing - set(ours), _words(table) | _words(actual)
    return _pairs(wanted, {(ours, theirs): _likeness(ours, theirs, table_words) for ours in wanted for theirs in free})


def _pairs(wanted: list[str], scores: dict[tuple[str, str], float]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for ours, theirs in sorted(scores, key=lambda pair: (-scores[pair], pair)):
        if ours not in pairs and theirs not in pairs.values() and scores[ours, theirs] >= MIN_LIKENESS:
            pairs[ours] = theirs
    return {name: pairs.get(name, ABSENT) for name in wanted}


def _likeness(ours: str, theirs: str, ignored: Set[str] = frozenset()) -> float:
    """Return 0 to 1, by letters and by synonyms.

    `ignored` are the words of the name of the table.
    """
    letters = SequenceMatcher(None, ours, theirs, autojunk=False).ratio()
    our_words, their_words = (_words(name) - ignored or _words(name) for name in (ours, theirs))
    return max(letters, len(our_words & their_words) / len(our_words | their_words))


def _words(name: str) -> set[str]:
    return {word for part in name.lower().split("_") for word in SYNONYMS.get(part, part).split()}
