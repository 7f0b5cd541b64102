"""Compare tables, columns and keys with etc/schema.sql."""

import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

from ..config import Settings
from ..db import Database, create_table, queries, versions
from ..db.create_table import Column, Table
from ..db.expected import expected_tables
from ..errors import DatabaseAccessError, DatabaseUnavailableError
from .obstacles import find_obstacles
from .findings import NOTE, OK, WRONG, Finding, judge

BY_NAME = re.compile(r"(?:FROM|JOIN) (\w+)(?: \w+)? FORCE INDEX \((\w+)\)")
DATA_TYPE = re.compile(r"^\w+(?:\([^)]*\))?")
CHARACTERS = "CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"
MISSING = "Run bin/gpupanel init-db, which makes what is missing."
MIGRATE = "Stop the workers, then run bin/gpupanel init-db, which applies the migrations that are missing."


@cache
def forced_indexes() -> set[tuple[str, str]]:
    """The (table, index) pairs that queries require by FORCE INDEX."""
    folder = files(__package__.rpartition(".")[0]).joinpath("sql")
    names = [file.name.removesuffix(".sql") for file in folder.iterdir() if file.name.endswith(".sql")]
    return {pair for name in names for text in queries(name).values() for pair in BY_NAME.findall(text)}


def version(db: Database, settings: Settings) -> Iterator[Finding]:
    """Whether all migrations were applied. A missing table is a finding of `compare`."""
    try:
        [row] = db.execute("SELECT MAX(version) AS version FROM schema_version")
    except DatabaseUnavailableError as error:
        if "doesn't exist" not in str(error):
            raise
        return
    found, expected_version = row["version"], versions.newest()
    yield judge("schema version", found == expected_version, found, f"version {expected_version}", MIGRATE)


def compare_schema(db: Database, settings: Settings) -> Iterator[Finding]:
    """Yield the differences, and one ok finding if none is wrong."""
    findings = [finding for table in expected_tables() for finding in _table(db, table)]
    yield from findings
    if all(finding.level != WRONG for finding in findings):
        found = f"{len(expected_tables())} tables with their columns, indexes and foreign keys"
        yield Finding("tables", OK, found, "those of etc/schema.sql")


def _table(db: Database, table: str) -> Iterator[Finding]:
    try:
        [row] = db.execute(f"SHOW CREATE TABLE {table}")
    except DatabaseAccessError:
        yield Finding(f"table {table}", WRONG, "no privilege on it", "the table of etc/schema.sql", MISSING)
    except DatabaseUnavailableError as error:
        if "doesn't exist" not in str(error):
            raise
        yield Finding(f"table {table}", WRONG, "missing", "the table of etc/schema.sql", MISSING)
    else:
        if "Create Table" not in row:
            yield Finding(f"table {table}", WRONG, "a view", "a table", f"DROP VIEW {table}, then init-db.")
            return
        _, actual = create_table.parse_create_table(row["Create Table"])
        wanted = expected_tables()[table]
        for compared in (_engine, _columns, _others_columns, _indexes, _foreign_keys, _surplus):
            for finding in compared(table, wanted, actual):
                yield _after_obstacles(db, table, finding, actual)


def _after_obstacles(db: Database, table: str, finding: Finding, actual: Table) -> Finding:
    """Put before a statement what makes it fail."""
    what = finding.check.partition(": ")[2]
    if finding.level != WRONG or what.rpartition(" ")[2] not in _names(expected_tables()[table]):
        return finding
    first = find_obstacles(db, table, what, expected_tables()[table], actual)
    return finding._replace(advice=first + finding.advice)


def _names(table: Table) -> set[str]:
    return {*table.columns, *table.indexes, *table.foreign}


def _with_characters(column: Column, definition: str) -> str:
    """Name the character set, which the column would else take from its table."""
    if not column.collation or "CHARACTER SET" in definition:
        return definition
    return DATA_TYPE.sub(rf"\g<0> {CHARACTERS}", definition, count=1)


def _engine(table: str, wanted: Table, actual: Table) -> Iterator[Finding]:
    if actual.engine != wanted.engine:
        yield _different(table, "its engine", actual.engine, wanted.engine, f"ENGINE = {wanted.engine}")


def _columns(table: str, wanted: Table, actual: Table) -> Iterator[Finding]:
    for name, (column, definition) in wanted.columns.items():
        if name not in actual.columns:
            added = f"ADD COLUMN {name} {_with_characters(column, definition)}"
            yield _different(table, f"column {name}", "missing", definition, added)
        elif actual.columns[name][0] != column:
            anew = f"DROP COLUMN {name}, ADD COLUMN {name} {definition}"
            change = anew if column.generated else f"MODIFY COLUMN {name} {_with_characters(column, definition)}"
            yield _different(table, f"column {name}", actual.columns[name][1], definition, change)


def _others_columns(table: str, wanted: Table, actual: Table) -> Iterator[Finding]:
    """An additional column must not require a value."""
    for name, (column, definition) in actual.columns.items():
        if name not in wanted.columns and column.required:
            free = definition.replace("NOT NULL", "NULL")
            yield _different(table, f"column {name}", definition, "a default, or NULL", f"MODIFY COLUMN {name} {free}")


def _indexes(table: str, wanted: Table, actual: Table) -> Iterator[Finding]:
    for name, (unique, columns) in wanted.indexes.items():
        same = [other for other, index in actual.indexes.items() if index == (unique, columns)]
        kind = "PRIMARY KEY" if name == "PRIMARY" else f"{'UNIQUE ' * unique}KEY {name}"
        definition = f"{kind} ({columns.replace(',', ', ')})"
        if not same:
            other = actual.indexes.get(name)
            replaced = f"DROP INDEX {name}, " if other else ""
            found = f"on ({other[1]}), {'unique' if other[0] else 'not unique'}" if other else "missing"
            yield _different(table, f"index {name}", found, definition, f"{replaced}ADD {definition}")
        elif (table, name) in forced_indexes() and name not in same:
            rename = f"RENAME INDEX {same[0]} TO {name}"
            yield _different(table, f"index {name}", f"named {same[0]}", definition, rename)


def _foreign_keys(table: str, wanted: Table, actual: Table) -> Iterator[Finding]:
    for name, definition in wanted.foreign.items():
        if definition not in actual.foreign.values():
            found = actual.foreign.get(name)
            # Two statements, since the server refuses to drop and add the same name in one.
            replaced = f"DROP FOREIGN KEY {name}; ALTER TABLE {table} " if found else ""
            change = f"{replaced}ADD CONSTRAINT {name} {definition}"
            yield _different(table, f"foreign key {name}", found or "missing", definition, change)


def _surplus(table: str, wanted: Table, actual: Table) -> Iterator[Finding]:
    """An additional key may refuse rows of this application."""
    for name, index in actual.indexes.items():
        if index[0] and index not in wanted.indexes.values() and name not in wanted.indexes:
            yield _strange(table, f"index {name}", f"UNIQUE ({index[1]})", f"DROP INDEX {name}")
    for name, definition in actual.foreign.items():
        if definition not in wanted.foreign.values() and name not in wanted.foreign:
            yield _strange(table, f"foreign key {name}", definition, f"DROP FOREIGN KEY {name}")


def _different(table: str, what: str, found: str, wanted: str, change: str) -> Finding:
    return Finding(f"table {table}: {what}", WRONG, found, wanted, f"ALTER TABLE {table} {change};")


def _strange(table: str, what: str, found: str, change: str) -> Finding:
    advice = f"Check that it refuses no row of this application, or: ALTER TABLE {table} {change};"
    return Finding(f"table {table}: {what}", NOTE, found, "no such key in etc/schema.sql", advice)
