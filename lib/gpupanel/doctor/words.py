"""Words and codes that a Perl side keeps where this system keeps words of its own.

Only its team knows which of our words each of them stands for. The statement that converts them has <WORD> in each such
place: it is a syntax error until it is replaced (docs/decisions/0230-no-value-is-discarded-by-a-printed-statement.md).
"""

import re
from typing import NamedTuple

from ..db import Database
from ..db.create_table import Column, Table
from ..text import escape_unprintable
from . import nature

MOST_VALUES = 20  # in one statement; the next run of doctor names others
WORDS = {"sync_type", "event_type", "kind", "analysis_kind"}  # columns of words that are no ENUM
CODE = "^[0-9.]+$"
LENGTH = 64  # characters of the text column that takes the words before it becomes an ENUM
PLAIN = re.compile(r"[\w .:/+-]*", re.ASCII)
TEXT = re.compile(r"(?:var)?char\((\d+)\)|\w*text")


class OtherWords(NamedTuple):
    """The rows whose words are none of ours, and what to do."""

    rows: int
    query: str
    cause: str
    remedy: str


def find_other_words(db: Database, table: str, name: str, wanted: Column, theirs: Table) -> OtherWords | None:
    """Return the rows with other words than those of the ENUM, or with codes for words; None where there are none."""
    ours, actual = nature.words_of(wanted), theirs.columns[name][0]
    is_number = nature.NUMBER.match(actual.type) is not None
    if not ours and name not in WORDS:
        return None
    # As text: MariaDB compares a number with a word as numbers, so that 0 equals each word.
    text = f"CAST(`{name}` AS CHAR)"
    listed = ", ".join(f"'{word}'" for word in ours)
    condition = f"{text} <> '' AND BINARY {text} NOT IN ({listed})" if ours else f"{text} REGEXP '{CODE}'"
    values = {row["value"]: row["n"] for row in db.execute(
        f"SELECT MIN({text}) AS value, COUNT(*) AS n FROM {table} WHERE {condition} GROUP BY BINARY {text}"
        f" ORDER BY n DESC, value LIMIT {MOST_VALUES + 1}"
    )}
    if not values and not is_number:
        return None
    query = f"SELECT * FROM {table} WHERE {condition}"
    [row] = db.execute(f"SELECT COUNT(*) AS n FROM {table} WHERE {condition}")
    if is_number:
        cause = f"it is {actual.type}, and must be {wanted.type}: numbers, where this system keeps words."
    elif not ours:
        cause = "its texts are numbers, where this system keeps words."
    elif not nature.words_of(actual) and all(value.lower() in ours for value in values):
        return OtherWords(row["n"], query, f"its words are ours in other letters: {', '.join(ours)}.", nature.converted(
            f"UPDATE {table} SET {name} = LOWER({name}){nature.kept_times(theirs)}"
        ))
    else:
        others = [word for word in nature.words_of(actual) if word and word not in ours] or values
        cause = f"its words {escape_unprintable(', '.join(others))} are none of ours: {', '.join(ours)}."
    return OtherWords(row["n"], query, cause, _remedy(table, name, ours, list(values), theirs))


def _remedy(table: str, name: str, ours: list[str], values: list[str], theirs: Table) -> str:
    """Return the statements that convert the values, and what to fill in."""
    cases = " ".join(
        f"WHEN {_literal(value)} THEN {_literal(value.lower()) if value.lower() in ours else '<WORD>'}"
        for value in values[:MOST_VALUES]
    )
    match = TEXT.fullmatch(theirs.columns[name][0].type)
    takes_words = match and (not match[1] or int(match[1]) >= LENGTH)
    statements = [] if takes_words else [f"ALTER TABLE {table} MODIFY {name} VARCHAR({LENGTH})"]
    if cases:
        kept = nature.kept_times(theirs)
        statements.append(f"UPDATE {table} SET {name} = CASE {name} {cases} ELSE {name} END{kept}")
    remedy = nature.converted("; ".join(statements))
    if "<WORD>" in cases:
        listed = f" ({', '.join(ours)})" if ours else ""
        remedy += (
            f" Replace each <WORD> by a word of ours in quotes{listed}; until then the UPDATE is a syntax error."
            f" The values and their numbers: SELECT {name}, COUNT(*) FROM {table} GROUP BY {name};"
        )
    return remedy + (" Repeating step 1 names more values." if len(values) > MOST_VALUES else "")


def _literal(value: str) -> str:
    """Return a text as a literal that is the same in each session."""
    return f"'{value}'" if PLAIN.fullmatch(value) else f"_utf8mb4 X'{value.encode().hex()}'"
