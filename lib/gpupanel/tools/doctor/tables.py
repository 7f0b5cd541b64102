"""Tables, columns and indexes against etc/schema.sql; each difference comes with the statement that would mend it."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from ...config import Settings
from ...database import Database
from ...paths import shipped
from ..schema import statements
from .finding import WRONG, Finding, judge

TABLE = re.compile(r"CREATE TABLE IF NOT EXISTS (\w+) \((.*)\) ENGINE", re.DOTALL)
INDEX = re.compile(r"(UNIQUE )?KEY (\w+) \(([^)]*)\)")
AFTER_A_COMMA = re.compile(r",\s*\n\s*(?=\w+ )")  # each definition of schema.sql starts a line

COLUMNS = "SELECT TABLE_NAME t, COLUMN_NAME c FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE()"
INDEXES = """SELECT TABLE_NAME t, INDEX_NAME i, MIN(NON_UNIQUE) = 0 u,
                    GROUP_CONCAT(COLUMN_NAME ORDER BY SEQ_IN_INDEX SEPARATOR ', ') c
             FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = DATABASE() GROUP BY TABLE_NAME, INDEX_NAME"""


class Expected(NamedTuple):
    """One table of schema.sql: column -> definition, and (unique, columns) of an index -> definition."""

    columns: dict[str, str]
    indexes: dict[tuple[bool, str], str]


def expected() -> dict[str, Expected]:
    """table -> what schema.sql says of it."""
    texts = statements((shipped("etc") / "schema.sql").read_text(encoding="utf-8"))
    found = (TABLE.match(text) for text in texts)
    return {match[1]: _expected(match[2]) for match in found if match}


def _expected(body: str) -> Expected:
    columns, indexes = {}, {}
    for definition in (" ".join(part.split()) for part in AFTER_A_COMMA.split(body.strip())):
        if index := INDEX.match(definition):
            indexes[bool(index[1]), index[3]] = definition
        elif not definition.startswith("CONSTRAINT"):
            columns[definition.split()[0]] = definition
    return Expected(columns, indexes)


def compare(db: Database, settings: Settings) -> Iterator[Finding]:
    """A finding for each table, column and index that is missing; one that says so when none is."""
    columns: dict[str, set[str]] = {}
    for row in db.execute(COLUMNS):
        columns.setdefault(row["t"], set()).add(row["c"])
    indexes = {(row["t"], bool(row["u"]), row["c"]) for row in db.execute(INDEXES)}
    wanted = expected()
    missing = [problem for table in wanted for problem in _missing(table, wanted[table], columns.get(table), indexes)]
    yield from missing
    if not missing:
        yield judge("tables", True, f"{len(wanted)} tables with their columns and indexes", "those of etc/schema.sql", "")


def _missing(table: str, wanted: Expected, columns: set[str] | None, indexes: set) -> Iterator[Finding]:
    if columns is None:
        yield Finding(f"table {table}", WRONG, "missing", "the table of etc/schema.sql", "Run bin/gpupanel init-db.")
        return
    for column, definition in wanted.columns.items():
        if column not in columns:
            yield _mend(table, f"column {column}", definition, "COLUMN ")
    for (unique, listed), definition in wanted.indexes.items():
        if (table, unique, listed) not in indexes:
            yield _mend(table, f"index on {listed}", definition, "")


def _mend(table: str, what: str, definition: str, word: str) -> Finding:
    return Finding(f"table {table}", WRONG, f"no {what}", definition, f"ALTER TABLE {table} ADD {word}{definition};")
