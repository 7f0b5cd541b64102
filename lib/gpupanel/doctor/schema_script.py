"""The statements that change the tables of another program into those of etc/schema.sql, in an order that runs.

One ALTER for each table, since each rebuilds the table once. Foreign keys on columns that change are dropped before and
added after, also those of tables that are not ours. Every column that the other program does not know gets a default,
so that its INSERTs still work (docs/decisions/0181-in-place.md).
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .. import perl_time
from ..config import Settings
from ..db import Database
from ..db.create_table import Column, Table, read_table
from ..db.expected import expected_tables
from ..db.session import SQL_MODE
from ..errors import InvalidStateError
from ..text import escape_unprintable
from . import schema_diff
from .obstacles import FOREIGN, Obstacle

# Of a table of ours that is referred to, or refers to others: (table, constraint, column, parent, parent's column).
REFERENCES = """SELECT TABLE_NAME t, CONSTRAINT_NAME c FROM information_schema.KEY_COLUMN_USAGE
WHERE TABLE_SCHEMA = DATABASE() AND REFERENCED_TABLE_SCHEMA = DATABASE() AND REFERENCED_TABLE_NAME IN %(tables)s
ORDER BY TABLE_NAME, CONSTRAINT_NAME"""
NO_TABLES = Obstacle(
    "", "the database", 0, "", "it has none of the tables of etc/schema.sql, under their names.",
    "Check its name in [database]. Where the Perl side has other names, rename its tables and columns first, and let"
    " its programs use the new names: `compare schemas` proposes which.",
)
VERSIONED = (
    "it keeps the history of its rows (SYSTEM VERSIONING), so the server refuses to change it.",
    "Dump the history, if it is needed, and drop it: ALTER TABLE ... DROP SYSTEM VERSIONING.",
)
PLAIN = re.compile(r"\w+", re.ASCII)  # a name that a statement takes as it is
LOCK_SECONDS = 60  # a table that another program keeps locked ends the script, rather than its visitors' requests


class SchemaScript(NamedTuple):
    """The obstacles come first; then the statements, each without its semicolon."""

    obstacles: list[Obstacle]
    statements: list[str]

    def lines(self) -> Iterator[str]:
        """Yield the script for the `mariadb` client."""
        for obstacle in self.obstacles:
            yield from (f"-- {line}" for line in obstacle.lines())
        for statement in self.statements:
            yield f"{statement};"


class _Foreign(NamedTuple):
    """A foreign key as it is, or as it is wanted."""

    table: str
    name: str
    column: str
    parent: str
    parent_column: str
    definition: str


def schema_script(db: Database, settings: Settings) -> SchemaScript:
    """Compare the tables that exist with etc/schema.sql; `init-db` creates the missing ones afterwards."""
    tables = _read_tables(db)
    obstacles = [
        obstacle for name, actual in tables.items()
        for obstacle in schema_diff.obstacles_of(db, name, expected_tables()[name], actual)
    ]
    others = _foreign_keys_of_others(db, tables)
    obstacles += [_view(name) for name in sorted(_names(db, "VIEW") & expected_tables().keys())]
    obstacles += [Obstacle(name, "table", 0, "", *VERSIONED) for name, actual in tables.items() if actual.is_versioned]
    if not tables:
        obstacles.append(NO_TABLES)
    zone, odd_zone = _zone(db, settings, tables)
    obstacles += [odd_zone] if odd_zone else []
    # Where a column is of another nature, the statements could run, and would falsify it.
    body = [] if any(obstacle.cause for obstacle in obstacles) else [*_statements(tables, others)]
    return SchemaScript(obstacles, [*_session(zone), *body] if body else [])


def _view(name: str) -> Obstacle:
    """Return how the rows of a view become a table of its name.

    The copy has no keys, which step 4 adds; so it is made when both programs have stopped.
    """
    return Obstacle(
        name, "table", 0, f"SELECT * FROM {name}", "it is a view, and the rows are in other tables.",
        f"If it shows one table as it is, give that its name: DROP VIEW {name}; RENAME TABLE ... TO {name}. If it"
        " shows several tables, or a part of one, the rows have to be copied: skip the side by side, and when both"
        f" panels and workers have stopped in step 8, run: RENAME TABLE {name} TO {name}_view; CREATE TABLE {name} AS"
        f" SELECT * FROM {name}_view LIMIT 0; INSERT INTO {name} SELECT * FROM {name}_view; then repeat step 1. The"
        " Perl programs must write into this table from then on.",
    )


def _read_tables(db: Database) -> dict[str, Table]:
    """Return the existing tables of etc/schema.sql."""
    existing = _names(db, "BASE TABLE")
    return _read(db, [name for name in expected_tables() if name in existing])


def _read(db: Database, names: Iterable[str]) -> dict[str, Table]:
    tables = {name: read_table(db, name) for name in names}
    return {name: table for name, table in tables.items() if table}


def _names(db: Database, kind: str) -> set[str]:
    return {next(iter(row.values())) for row in db.execute("SHOW FULL TABLES WHERE Table_type = %(kind)s", kind=kind)}


def _foreign_keys_of_others(db: Database, tables: dict[str, Table]) -> dict[str, Table]:
    """Return the tables that are not ours and refer to ours."""
    rows = db.execute(REFERENCES, tables=list(tables)) if tables else []
    if odd := next((row for row in rows if not PLAIN.fullmatch(row["t"]) or not PLAIN.fullmatch(row["c"])), None):
        name, key = escape_unprintable(odd["t"]), escape_unprintable(odd["c"])
        raise InvalidStateError(
            f"The table {name} refers to these tables by its foreign key {key}; the script cannot name both.",
            "Drop that foreign key, run the script, and add the key again.",
        )
    return _read(db, (name for name in dict.fromkeys(row["t"] for row in rows) if name not in tables))


def _session(zone: str) -> Iterator[str]:
    """Set what the statements rely on, whatever the client's session has."""
    yield "SET NAMES utf8mb4"
    yield f"SET SESSION sql_mode = '{SQL_MODE}', lock_wait_timeout = {LOCK_SECONDS}, foreign_key_checks = 1"
    yield f"SET SESSION time_zone = '{zone}'"


def _zone(db: Database, settings: Settings, tables: dict[str, Table]) -> tuple[str, Obstacle | None]:
    """Return the session's zone, and why it cannot be set.

    The server converts TIMESTAMP into DATETIME by this zone: the times stay as the other program sees them.
    """
    zone = settings.database.perl_time_zone
    stamps = [
        (table, name) for table, parsed in tables.items() for name, (column, _) in parsed.columns.items()
        if column.type.startswith("timestamp") and name in expected_tables()[table].columns
    ]
    if not stamps:
        return "+00:00", None
    table, name = stamps[0]
    if zone is None:
        return "+00:00", Obstacle(
            table, f"column {name}", 0, "",
            "it is TIMESTAMP, and becomes DATETIME in the zone of the Perl side's sessions.",
            "Set [database] perl_time_zone in this file to that zone, also where it is UTC.",
        )
    [known] = db.execute("SELECT CONVERT_TZ('2026-01-01', '+00:00', %(zone)s) AS at", zone=zone.key)
    if known["at"] is not None:
        return zone.key, None
    ends = [
        row for table, name in stamps for row in db.execute(f"SELECT MIN({name}) AS a, MAX({name}) AS b FROM {table}")
    ]
    times = [time for row in ends for time in row.values() if time is not None]
    if (offset := perl_time.fixed_offset(zone, times)) is not None:
        return offset, None
    return "+00:00", Obstacle(
        table, f"column {name}", 0, "",
        f"it is TIMESTAMP, and the server does not know the zone {zone.key}, by which it becomes DATETIME.",
        "Load the server's table of zones: mariadb-tzinfo-to-sql /usr/share/zoneinfo | mariadb mysql",
    )


def _statements(tables: dict[str, Table], others: dict[str, Table]) -> Iterator[str]:
    changes = {name: list(_changes(name, actual)) for name, actual in tables.items()}
    modified = {
        (name, column) for name, actual in tables.items() for column, definition in actual.columns.items()
        if column in expected_tables()[name].columns and not _has_same_type(name, column, definition[0])
    }
    existing = [*_foreign_keys(tables), *_foreign_keys(others)]
    wanted = [*_foreign_keys({name: expected_tables()[name] for name in tables})]
    kept = {
        foreign for foreign in existing
        if not {(foreign.table, foreign.column), (foreign.parent, foreign.parent_column)} & modified
        and (foreign.table in others or _is_in(foreign, wanted) or not _has_name(foreign, wanted))
    }
    dropped = [foreign for foreign in existing if foreign not in kept]
    added = [foreign for foreign in wanted if not _is_in(foreign, kept)]
    added += [
        foreign for foreign in dropped
        if foreign.table in others or not (_is_in(foreign, added) or _has_name(foreign, added))
    ]
    yield from (f"ALTER TABLE {foreign.table} DROP FOREIGN KEY {foreign.name}" for foreign in dropped)
    yield from (
        f"ALTER TABLE {name} {', '.join(clauses)}{_without_partitions(tables[name])}"
        for name, clauses in changes.items() if clauses
    )
    yield from _columns_of_others([foreign for foreign in dropped if foreign.table in others], others)
    yield from (
        f"ALTER TABLE {foreign.table} ADD CONSTRAINT {foreign.name} {foreign.definition}" for foreign in added
    )


def _changes(name: str, actual: Table) -> Iterator[str]:
    """Yield the clauses of the table's ALTER."""
    wanted = expected_tables()[name]
    changes = [change for _, change in schema_diff.changes_of(name, wanted, actual)]
    if changes:
        yield from ("ENGINE = InnoDB", "ROW_FORMAT = DYNAMIC", f"DEFAULT {schema_diff.CHARACTERS}")
        yield from (change for change in changes if not change.startswith(("ENGINE", schema_diff.NO_PARTITIONS)))


def _without_partitions(actual: Table) -> str:
    return f" {schema_diff.NO_PARTITIONS}" if actual.is_partitioned else ""


def _has_same_type(table: str, column: str, actual: Column) -> bool:
    wanted = expected_tables()[table].columns[column][0]
    return (wanted.type, wanted.collation) == (actual.type, actual.collation)


def _foreign_keys(tables: dict[str, Table]) -> Iterator[_Foreign]:
    for table, parsed in tables.items():
        for name, definition in parsed.foreign.items():
            if match := FOREIGN.search(definition):
                column, parent, parent_column = match.groups()
                yield _Foreign(table, name, column, parent, parent_column, definition)


def _is_in(foreign: _Foreign, others: list[_Foreign] | set[_Foreign]) -> bool:
    return any((foreign.table, foreign.definition) == (other.table, other.definition) for other in others)


def _has_name(foreign: _Foreign, others: list[_Foreign]) -> bool:
    return any((foreign.table, foreign.name) == (other.table, other.name) for other in others)


def _columns_of_others(dropped: list[_Foreign], others: dict[str, Table]) -> Iterator[str]:
    """Give the columns that refer to ours the type of ours."""
    for foreign in dropped:
        column, text = others[foreign.table].columns[foreign.column]
        parent, definition = expected_tables()[foreign.parent].columns[foreign.parent_column]
        kind = re.match(r"\w+(?:\([^)]*\))?(?: UNSIGNED)?(?: CHARACTER SET \w+ COLLATE \w+)?", definition)
        if kind and (column.type, column.collation) != (parent.type, parent.collation):
            yield f"ALTER TABLE {foreign.table} MODIFY COLUMN {foreign.column} {kind[0]} {_null_and_default(text)}"


def _null_and_default(definition: str) -> str:
    """Return the part of a column's definition after its type."""
    nullable = "NOT NULL" if "NOT NULL" in definition else "NULL"
    default = re.search(r" DEFAULT ('(?:[^']|'')*'|[\w.()-]+)", definition)
    return nullable + (default[0] if default else "")
