"""Compare tables, columns and keys with etc/schema.sql."""

import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from ..config import Settings
from ..db import Database, migrations, queries
from ..db.create_table import QUOTED_OR_NOT, Column, Table, quoted, read_table
from ..db.expected import expected_tables
from ..errors import DatabaseAccessError, DatabaseUnavailableError
from . import nature
from .obstacles import Obstacle, find_in_unchanged, find_obstacles
from .findings import NOTE, OK, WRONG, Finding, judge

BY_NAME = re.compile(r"(?:FROM|JOIN) (\w+)(?: \w+)? FORCE INDEX \((\w+)\)")
BETWEEN = "; "  # two statements of one change
# Defaults of columns that a program does not know whose INSERTs must work: its documents are hashed as they are stored.
DIGESTS = {
    ("asset_source", "sha256"): "(SHA2(document, 256))",
    ("asset_ai_run", "content_sha256"): "(SHA2(COALESCE(document, ''), 256))",
}
DEFAULTS = {"json": "'{}'", "datetime": "CURRENT_TIMESTAMP(6)", "char": "''", "varchar": "''", "longtext": "''"}
DATA_TYPE = re.compile(r"^\w+(?:\([^)]*\))?")
NO_PARTITIONS = "REMOVE PARTITIONING"
CHARACTERS = "CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"
MISSING = "Run bin/gpupanel init-db, which makes what is missing."
MIGRATE = "Stop the workers, then run bin/gpupanel init-db, which applies the migrations that are missing."


class Difference(NamedTuple):
    """A difference of a table: `what` is `column x`, `index x` or `foreign key x`; `change` a clause of ALTER TABLE."""

    what: str
    found: str
    wanted: str
    change: str


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
    found, expected_version = row["version"], migrations.newest_version()
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
        actual = read_table(db, table)
    except DatabaseAccessError:
        yield Finding(f"table {table}", WRONG, "no privilege on it", "the table of etc/schema.sql", MISSING)
    except DatabaseUnavailableError as error:
        if "doesn't exist" not in str(error):
            raise
        yield Finding(f"table {table}", WRONG, "missing", "the table of etc/schema.sql", MISSING)
    else:
        if actual is None:
            advice = "Run bin/gpupanel doctor --statements: it prints how to copy the view's rows into a table."
            yield Finding(f"table {table}", WRONG, "a view", "a table", advice)
            return
        yield from _findings(db, table, expected_tables()[table], actual)


def _findings(db: Database, table: str, wanted: Table, actual: Table) -> Iterator[Finding]:
    for each in _differences(wanted, actual, table):
        obstacles = find_obstacles(db, table, each.what, wanted, actual)
        change = f"ALTER TABLE {table} {each.change.replace(BETWEEN, f'; ALTER TABLE {table} ')};"
        first = "".join(obstacle.advice for obstacle in obstacles)
        advice = first + ("" if any(obstacle.cause for obstacle in obstacles) else change)
        yield Finding(f"table {table}: {each.what}", WRONG, each.found, each.wanted, advice.strip())
    yield from _surplus(table, wanted, actual)


def changes_of(table: str, wanted: Table, actual: Table) -> Iterator[tuple[str, str]]:
    """Yield (what, clause of an ALTER TABLE) for engine, columns and indexes; foreign keys are not among them."""
    for each in _differences(wanted, actual, table):
        if not each.what.startswith("foreign key"):
            yield each.what, each.change


def obstacles_of(db: Database, table: str, wanted: Table, actual: Table) -> Iterator[Obstacle]:
    """Yield the rows that make the table's statements fail, and those that this system would not find afterwards."""
    changes = [each.what for each in _differences(wanted, actual, table)]
    for what in changes:
        yield from find_obstacles(db, table, what, wanted, actual)
    yield from find_in_unchanged(
        db, table, [name for name in wanted.columns if f"column {name}" not in changes], wanted, actual
    )


def _differences(wanted: Table, actual: Table, table: str) -> Iterator[Difference]:
    if actual.engine != wanted.engine:
        yield Difference("its engine", actual.engine, wanted.engine, f"ENGINE = {wanted.engine}")
    if actual.is_partitioned:
        # The server takes this clause at the end of an ALTER alone, and without a comma before it.
        yield Difference("its partitions", "partitioned", "one table, to which foreign keys can refer", NO_PARTITIONS)
    yield from _columns(table, wanted, actual)
    yield from _others_columns(wanted, actual)
    yield from _indexes(table, wanted, actual)
    yield from _foreign_keys(wanted, actual)


def with_characters(column: Column, definition: str) -> str:
    """Name the character set, which the column would else take from its table."""
    if not column.collation or "CHARACTER SET" in definition:
        return definition
    return DATA_TYPE.sub(rf"\g<0> {CHARACTERS}", definition, count=1)


def with_default(table: str, name: str, column: Column, definition: str) -> str:
    """Give a column that another program does not know a default, so that its INSERTs still work."""
    if not column.required:
        return definition
    default = DIGESTS.get((table, name)) or next(
        (text for kind, text in DEFAULTS.items() if column.type.startswith(kind)), "0"
    )
    return f"{definition} DEFAULT {default}"


def _columns(table: str, wanted: Table, actual: Table) -> Iterator[Difference]:
    for name, (column, definition) in wanted.columns.items():
        if name not in actual.columns:
            added = with_default(table, name, column, with_characters(column, definition))
            yield Difference(f"column {name}", "missing", definition, f"ADD COLUMN {name} {added}")
        elif not _fits(actual.columns[name][0], column):
            anew = f"DROP COLUMN {name}, ADD COLUMN {name} {definition}"
            change = anew if column.generated else f"MODIFY COLUMN {name} {with_characters(column, definition)}"
            yield Difference(f"column {name}", actual.columns[name][1], definition, change)


def _fits(actual: Column, wanted: Column) -> bool:
    """Whether a column is as wanted; one that must have a value may have a default besides."""
    return actual == wanted or (wanted.required and actual._replace(default="") == wanted)


def _others_columns(wanted: Table, actual: Table) -> Iterator[Difference]:
    """An additional column must not require a value."""
    for name, (column, definition) in actual.columns.items():
        if name not in wanted.columns and column.required:
            parts = QUOTED_OR_NOT.findall(definition)
            free = "".join(text or other.replace("NOT NULL", "NULL") for text, other in parts)
            change = f"MODIFY COLUMN {quoted(name)} {free}"
            yield Difference(f"column {name}", definition, "a default, or NULL", change)


def _indexes(table: str, wanted: Table, actual: Table) -> Iterator[Difference]:
    for name, (unique, columns) in wanted.indexes.items():
        same = [other for other, index in actual.indexes.items() if index == (unique, columns)]
        kind = "PRIMARY KEY" if name == "PRIMARY" else f"{'UNIQUE ' * unique}KEY {name}"
        definition = f"{kind} ({columns.replace(',', ', ')})"
        if not same:
            other = actual.indexes.get(name)
            replaced = f"DROP {'PRIMARY KEY' if name == 'PRIMARY' else f'INDEX {name}'}, " if other else ""
            if name == "PRIMARY" and other and not set(columns.split(",")) <= set(other[1].split(",")):
                replaced += nature.unique_instead(wanted, actual)
            found = f"on ({other[1]}), {'unique' if other[0] else 'not unique'}" if other else "missing"
            yield Difference(f"index {name}", found, definition, f"{replaced}ADD {definition}")
        elif (table, name) in forced_indexes() and name not in same:
            rename = f"RENAME INDEX {quoted(same[0])} TO {name}"
            yield Difference(f"index {name}", f"named {same[0]}", definition, rename)


def _foreign_keys(wanted: Table, actual: Table) -> Iterator[Difference]:
    for name, definition in wanted.foreign.items():
        if definition not in actual.foreign.values():
            found = actual.foreign.get(name)
            # Two statements, since the server refuses to drop and add the same name in one.
            replaced = f"DROP FOREIGN KEY {name}{BETWEEN}" if found else ""
            change = f"{replaced}ADD CONSTRAINT {name} {definition}"
            yield Difference(f"foreign key {name}", found or "missing", definition, change)


def _surplus(table: str, wanted: Table, actual: Table) -> Iterator[Finding]:
    """An additional key or check may refuse rows of this application."""
    for name, check in actual.checks.items():
        yield _strange(table, f"check {name}", check, f"DROP CONSTRAINT {quoted(name)}")
    for name, index in actual.indexes.items():
        if index[0] and index not in wanted.indexes.values() and name not in wanted.indexes:
            yield _strange(table, f"index {name}", f"UNIQUE ({index[1]})", f"DROP INDEX {quoted(name)}")
    for name, definition in actual.foreign.items():
        if definition not in wanted.foreign.values() and name not in wanted.foreign:
            yield _strange(table, f"foreign key {name}", definition, f"DROP FOREIGN KEY {quoted(name)}")


def _strange(table: str, what: str, found: str, change: str) -> Finding:
    advice = f"Check that it refuses no row of this application, or: ALTER TABLE {table} {change};"
    return Finding(f"table {table}: {what}", NOTE, found, "no such key or check in etc/schema.sql", advice)
