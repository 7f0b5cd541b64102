"""Propose the words of a side that mean a word of etc/schema.sql: `wartend` for `queued`."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

from . import table_specs
from .compared_database import ComparedDatabase
from .mapping import ABSENT, NameMapping
from .mapping_evidence import MIN_VALUES, SAMPLE_ROWS, SURE_VALUES, comparable
from .table_specs import TABLES, TableSpec

ENUM_WORD = re.compile(r"'((?:[^']|'')*)'")
Words = dict[tuple[str, str], dict[str, str]]
WordLine = tuple[str, str, str, bool, str]


class WordProposal(NamedTuple):
    """Their word -> our word by (table, column); `lines` as those of a MappingProposal; `open` are questions."""

    words: Words
    lines: list[WordLine]
    open: list[str]


def propose_words(side: ComparedDatabase, other: ComparedDatabase | None, mapping: NameMapping) -> WordProposal:
    """Propose the words of each column of words that has others than ours; rows of equal keys are the evidence."""
    proposal = WordProposal({}, [], [])
    for table in TABLES:
        actual = mapping.table(table.name)
        for column in (name for name in table_specs.column_types(table.name) if table_specs.words_of(table.name, name)):
            theirs = mapping.column(table.name, column)
            if actual != ABSENT and theirs in side.catalogue.get(actual, ()):
                _propose(side, other, mapping, table, column, proposal)
    return proposal


def _propose(
    side: ComparedDatabase, other: ComparedDatabase | None, mapping: NameMapping, table: TableSpec, column: str,
    proposal: WordProposal,
) -> None:
    known = table_specs.words_of(table.name, column)
    actual, theirs = mapping.table(table.name), mapping.column(table.name, column)
    keys = [part for part in table.key if table_specs.is_hash(part) and "." not in part]
    key = mapping.column(table.name, keys[0]) if keys else ABSENT
    columns = [name for name in dict.fromkeys((theirs, key)) if name in side.catalogue[actual]]
    sample = side.sample(actual, columns, SAMPLE_ROWS)
    given = side.mapping.words.get((table.name, column), {})
    unknown = sorted({*_words_of(side, actual, theirs, sample)} - {*known, *given})
    if not unknown:
        return
    words = _words_by_key(sample, key, theirs) if key in columns else {}
    counts = _counts_by_key(other, table, column, keys[0], words) if words and other else {}
    place = f"{table.name}.{column}"
    for word in unknown:
        found = counts.get(word, Counter()).most_common(1)
        if not found:
            proposal.open.append(f"{place}: their word {word!r} has no counterpart; ours are {', '.join(known)}")
            continue
        [(ours, rows)] = found
        total = sum(counts[word].values())
        evidence = f"{rows} of {total} rows with the same key have {word} here and {ours} there"
        is_sure = rows >= MIN_VALUES and rows / total >= SURE_VALUES
        proposal.words.setdefault((table.name, column), dict(given))[word] = ours
        proposal.lines.append((place, ours, word, is_sure, evidence))
        if not is_sure:
            proposal.open.append(f"{place}: {ours} = {word} is unsure: {evidence}")


def _words_of(side: ComparedDatabase, table: str, column: str, sample: Iterable[dict[str, Any]]) -> list[str]:
    """Return the words of an ENUM, or those of the sample."""
    definition = side.definitions.get((table, column), "")
    if definition.lower().startswith("enum("):
        return [word.replace("''", "'") for word in ENUM_WORD.findall(definition)]
    return [_text(value) for value in dict.fromkeys(row[column] for row in sample) if value not in (None, "")]


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _words_by_key(sample: list[dict[str, Any]], key: str, column: str) -> dict[str, set[str]]:
    """Return their words in the rows of each key."""
    words: dict[str, set[str]] = defaultdict(set)
    for row in sample:
        if row[column] not in (None, "") and row[key]:
            words[comparable(row[key])].add(_text(row[column]))
    return words


def _counts_by_key(
    other: ComparedDatabase, table: TableSpec, column: str, key: str, words: dict[str, set[str]]
) -> dict[str, Counter[str]]:
    """Return how often each of our words is in a row with the same key as their word."""
    if not other.has(table.name, column) or not other.has(table.name, key):
        return {}
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    our_column, our_key = (other.mapping.column(table.name, name) for name in (column, key))
    for row in other.sample(other.mapping.table(table.name), [our_column, our_key], SAMPLE_ROWS):
        for word in words.get(comparable(row[our_key]), ()) if row[our_key] and row[our_column] else ():
            counts[word][_text(row[our_column])] += 1
    return counts
