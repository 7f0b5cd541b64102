"""Two catalogues: what one side calls otherwise, and a mapping file that would make them meet."""

from difflib import SequenceMatcher
from typing import NamedTuple

from . import table_specs
from .compared_database import ComparedDatabase
from .mapping import ABSENT, Catalogue, NameMapping
from .table_specs import TABLES

ENOUGH = 0.5
# Words that people use for each other in such names; ours are on the right.
SYNONYMS = {
    "uuid": "sync id", "no": "id", "nr": "id", "number": "id", "checksum": "hash", "digest": "hash", "sha256": "hash", "kind": "type",
    "bundle": "batch", "bundles": "batch", "batches": "batch", "items": "item", "entries": "item", "log": "event", "events": "event",
    "assets": "asset", "media": "asset", "ts": "at", "time": "at", "on": "at", "state": "status", "pos": "position", "sort": "position",
    "order": "position", "message": "error", "data": "payload", "json": "payload", "jobs": "job", "hostname": "host", "server": "host",
    "bytes": "size", "ingest": "import", "caption": "title", "verdict": "decision", "touched": "updated", "changed": "updated",
    "galleries": "gallery", "collections": "collection", "covers": "cover", "sources": "source", "runs": "run", "mime": "content",
    "derivatives": "derivative", "who": "actor", "why": "reason",
}


class MappingProposal(NamedTuple):
    """What a side's mapping file would say; `open` names what a person has to decide."""

    mapping: NameMapping
    open: list[str]

    @property
    def empty(self) -> bool:
        return not self.mapping.tables and not self.mapping.columns


def propose_mapping(side: ComparedDatabase) -> MappingProposal:
    """A mapping for a side, from its catalogue alone and the names of etc/schema.sql."""
    tables = _tables(side.catalogue)
    found: dict[tuple[str, str], str] = {}
    questions: list[str] = []
    for table in TABLES:
        actual = tables.get(table.name, table.name)
        if actual == ABSENT:
            questions.append(f"{table.name}: no table looks like it")
            continue
        for column, theirs in _columns(table.name, actual, side.catalogue[actual]).items():
            found[table.name, column] = theirs
            if theirs == ABSENT:
                questions.append(f"{table.name}.{column}: no column of {actual} looks like it")
    return MappingProposal(NameMapping(tables, found), questions)


def _tables(catalogue: Catalogue) -> dict[str, str]:
    """Our table -> theirs, where the names differ; the likeliest pairs first, each table once."""
    wanted = [table.name for table in TABLES if table.name not in catalogue]
    free = [name for name in catalogue if name not in table_specs.BY_NAME]
    scores = {(ours, theirs): _table_likeness(ours, theirs, catalogue[theirs]) for ours in wanted for theirs in free}
    return _pairs(wanted, scores)


def _table_likeness(ours: str, theirs: str, columns: set[str]) -> float:
    """By the name, and by how many of the columns have a counterpart."""
    known = table_specs.compared_columns(ours)
    named = _words(ours) | _words(theirs)
    met = sum(max((_likeness(column, name, named) for name in columns), default=0) for column in known) / len(known)
    return (_likeness(ours, theirs) + met) / 2


def _columns(table: str, actual: str, there: set[str]) -> dict[str, str]:
    """Our column -> theirs, where the names differ, or `-`."""
    wanted = [column for column in table_specs.column_types(table) if column not in there and column != "active_batch_id"]
    free, named = there - set(table_specs.column_types(table)), _words(table) | _words(actual)
    return _pairs(wanted, {(ours, theirs): _likeness(ours, theirs, named) for ours in wanted for theirs in free})


def _pairs(wanted: list[str], scores: dict[tuple[str, str], float]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for ours, theirs in sorted(scores, key=lambda pair: (-scores[pair], pair)):
        if ours not in pairs and theirs not in pairs.values() and scores[ours, theirs] >= ENOUGH:
            pairs[ours] = theirs
    return {name: pairs.get(name, ABSENT) for name in wanted}


def _likeness(ours: str, theirs: str, without: frozenset | set = frozenset()) -> float:
    """From 0 to 1: by letters, and by words that mean the same; words that the table is named by anyway say nothing."""
    letters = SequenceMatcher(None, ours, theirs, autojunk=False).ratio()
    one, other = (_words(name) - without or _words(name) for name in (ours, theirs))
    return max(letters, len(one & other) / len(one | other))


def _words(name: str) -> set[str]:
    return {word for part in name.lower().split("_") for word in SYNONYMS.get(part, part).split()}
