"""Rows of both databases with the same digest: the evidence for columns with few values, and for words.

A sample of each side has few rows in common where a table is a view, or has a key of several columns. Digests are equal
in equal columns alone, so a sample of ours finds its rows on the other side.
"""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from . import table_specs
from .compared_database import BINARY_TYPES, ComparedDatabase, Row
from .mapping import ABSENT
from .mapping_evidence import MIN_VALUES, SAMPLE_ROWS, comparable
from .table_specs import HASH, JSON, PLAIN

# So many words of theirs may mean one of ours.
MAX_WORDS_FOR_ONE = 2
LENGTH = re.compile(r"(?:var)?(?:char|binary)\((\d+)\)")


class EqualRows(NamedTuple):
    """Rows of both sides with the same digest, each with its columns by the side's own names."""

    ours: list[Row]
    theirs: list[Row]

    def share(self, table: str, column: str, name: str) -> tuple[float | None, int]:
        """Return the share of rows with equal values in two columns, and of how many; None where values say nothing.

        Words are equal where theirs is the most frequent one beside ours, and the other way round.
        """
        if not self.ours or column == "id" or table_specs.column_kind(table, column) not in (HASH, JSON, PLAIN):
            return None, 0
        pairs = [
            (_comparable(mine[column]), _comparable(other[name]))
            for mine, other in zip(self.ours, self.theirs, strict=True)
        ]
        pairs = [pair for pair in pairs if pair != ("", "")]
        if len({mine for mine, _ in pairs}) < 2:
            return None, len(pairs)
        if table_specs.words_of(table, column):
            return _share_of_words(pairs), len(pairs)
        return sum(mine == other for mine, other in pairs) / len(pairs), len(pairs)


def find_equal_rows(
    side: ComparedDatabase, other: ComparedDatabase, table: str, actual: str, free: list[str], wanted: list[str]
) -> EqualRows:
    """Find rows of their table `actual` by the digests of a sample of ours; none where no column has such digests."""
    keys = [part for part in table_specs.BY_NAME[table].key if "." not in part and table_specs.is_hash(part)]
    keys += [column for column in table_specs.compared_columns(table) if table_specs.is_hash(column)]
    wanted = [column for column in wanted if column in other.catalogue.get(table, ())]
    if not keys or keys[0] not in other.catalogue.get(table, ()):
        return EqualRows([], [])
    key = keys[0]
    ours = _by_key(other.sample(table, list(dict.fromkeys((key, *wanted))), SAMPLE_ROWS), key)
    given = side.mapping.columns.get((table, key))
    names = [given] if given and given != ABSENT else [name for name in free if _may_hold(side, actual, name, key)]
    best: dict[str, Row] = {}
    for name in names:
        values = [stored for row in ours.values() for stored in _stored(side, actual, name, row[key])]
        rows = side.sample_among(actual, list(dict.fromkeys((name, *free))), name, values, 2 * SAMPLE_ROWS)
        found = _by_key(rows, name)
        best = max(best, {value: found[value] for value in found if value in ours}, key=len)
    if len(best) < MIN_VALUES:
        return EqualRows([], [])
    return EqualRows([ours[value] for value in best], list(best.values()))


def _share_of_words(pairs: list[tuple[str, str]]) -> float:
    """Return the share of the pairs of words that are the most frequent ones of both; 0 where that is one pair."""
    counts = Counter(pairs)
    if len({other for _, other in pairs}) > MAX_WORDS_FOR_ONE * len({mine for mine, _ in pairs}):
        return 0.0  # values that are new in each row are the most frequent ones of all
    mutual = [
        pair for pair in counts
        if all(counts[pair] == max(counts[other] for other in counts if other[at] == pair[at]) for at in (0, 1))
    ]
    return sum(counts[pair] for pair in mutual) / len(pairs) if len(mutual) > 1 else 0.0


def _by_key(rows: Iterable[Row], key: str) -> dict[str, Row]:
    """Return the rows by their digest, without those that share one."""
    known = [(comparable(row[key]), row) for row in rows if row[key]]
    counts = Counter(value for value, _ in known)
    return {value: row for value, row in known if counts[value] == 1}


def _may_hold(side: ComparedDatabase, table: str, name: str, key: str) -> bool:
    """Return whether a column is long enough for the digests of a key."""
    match = LENGTH.match(side.definitions.get((table, name), "").lower())
    digits = 36 if key in table_specs.IDENTIFIERS else 64
    least = (16 if digits == 36 else 32) if side.types.get((table, name)) in BINARY_TYPES else digits
    return match is not None and int(match[1]) >= least


def _stored(side: ComparedDatabase, table: str, name: str, value: Any) -> list[str | bytes]:
    """Return a digest in each form in which a column may hold it."""
    text = value.hex() if isinstance(value, (bytes, bytearray)) else str(value)
    if side.types.get((table, name)) not in BINARY_TYPES:
        return [text.lower(), text.upper()]
    digits = text.replace("-", "")
    # The bytes that the digits stand for, or the digits as characters.
    forms = [bytes.fromhex(digits)] if re.fullmatch(r"(?:[0-9a-fA-F]{2})+", digits) else []
    return [*forms, text.lower().encode(), text.upper().encode()]


def _comparable(value: Any) -> str:
    return "" if value in (None, "") else comparable(value)
