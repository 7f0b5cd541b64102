"""init-db: create the database and its accounts, or bring an older database to the newest version.

An empty database gets etc/schema.sql; an older one the numbered migrations that it lacks. Then missing tables, indexes
and columns with a default are added. Nothing else of a table is changed, since that could lose data: `doctor` names the
differences and what would mend each. Versions: docs/decisions/0116-schema-versions.md.
"""

import dataclasses
import re
from contextlib import closing
from typing import Any

from .. import perl_time
from ..config import DatabaseSettings
from ..errors import ConfigurationError, DatabaseUnavailableError, InvalidStateError
from . import Database, migrations
from .create_table import Table, read_table
from .expected import ACCOUNTS, expected_tables, read_statements

__all__ = ["ACCOUNTS", "apply", "open_account"]

VERSIONS = "schema_version"
# A column of each table that every version of this program has, and no Perl panel.
ALWAYS_OURS = {
    "import_job": "claim_token", "ingest_event": "actor", "ingest_batch_item": "planned", "asset": "fingerprint",
    "ingest_batch": "plan",
}
# A running job with a heartbeat younger than this has a worker that lives (the default of stale_minutes).
FRESH_MINUTES = 15
# Rebuilding a table of millions of rows takes minutes; a statement that waits for a table lock gives up much earlier.
STATEMENT_TIMEOUT_SECONDS = 24 * 3600
TABLE_LOCK_SECONDS = 60
INIT_LOCK_SECONDS = 10

RUNNING = f"""SELECT id, worker FROM import_job
WHERE state = 'running' AND COALESCE(heartbeat_at, claimed_at) > NOW(6) - INTERVAL {FRESH_MINUTES} MINUTE
    + INTERVAL IF(RIGHT(claim_token, 8) = BINARY LEFT(SHA2(worker, 256), 8), 0, %(perl_offset)s) SECOND
ORDER BY id LIMIT 1"""


class ForeignTablesError(InvalidStateError):
    """Tables of the same names that another program made."""


def apply(admin: DatabaseSettings) -> list[str]:
    """Bring the database that `admin` names to the newest version; returns what was made, a line each.

    Raises:
        ConfigurationError: the name of the database is not made of letters, digits and _.
        Refused: another init-db runs, a worker imports, or the database has a newer version than this program.
    """
    name = admin.name
    if not re.fullmatch(r"[A-Za-z0-9_]{1,64}", name):
        raise ConfigurationError("init-db", [f"[database] name: found {name!r}, expected letters, digits and _"])
    with closing(Database(dataclasses.replace(admin, name=""))) as server:
        server.execute(f"CREATE DATABASE IF NOT EXISTS `{name}` CHARACTER SET utf8mb4")
        return _bring_up_to_date(admin)


def _bring_up_to_date(admin: DatabaseSettings) -> list[str]:
    with closing(Database(admin, read_timeout=STATEMENT_TIMEOUT_SECONDS)) as db:  # the end releases the lock
        _lock(db, admin.name)
        before = set(_tables(db))
        _refuse_foreign_tables(db, before)
        migrated = _migrate(db, before)
        for statement in read_statements("schema.sql"):
            db.execute(statement)
        made = [f"table {table}" for table in _tables(db) if table not in before]
        completed = [added for table in sorted(before & set(expected_tables())) for added in _complete(db, table)]
        # Grants name columns, which a table that another program made has only now.
        for statement in read_statements("grants.sql"):
            _execute(db, statement)
        return migrated + made + completed


def _refuse_foreign_tables(db: Database, tables: set[str]) -> None:
    """Refuse tables of another program, before anything is changed. Raises ForeignTablesError."""
    foreign = sorted(
        table for table, column in ALWAYS_OURS.items()
        if table in tables and not db.execute(f"SHOW COLUMNS FROM {table} LIKE %(column)s", column=column)
    )
    if foreign:
        raise ForeignTablesError(
            f"The database has tables of another program: {', '.join(foreign)}; nothing was changed.",
            "Run gpupanel doctor --statements with this account, execute what it prints, then run init-db again.",
        )


def _lock(db: Database, name: str) -> None:
    """Keep other init-db off this database until the connection is closed."""
    db.execute(f"SET SESSION lock_wait_timeout = {TABLE_LOCK_SECONDS}")
    [row] = db.execute(
        "SELECT GET_LOCK(LEFT(CONCAT('init-db.', %(name)s), 64), %(seconds)s) AS is_ours", name=name,
        seconds=INIT_LOCK_SECONDS,
    )
    if row["is_ours"] != 1:
        raise InvalidStateError(
            f"Another init-db is working on {name}; nothing was changed.", "Wait until it has ended."
        )


def _migrate(db: Database, tables: set[str]) -> list[str]:
    """Apply the migrations that the database lacks; an empty database needs none. Raises InvalidStateError."""
    is_empty = not tables & set(expected_tables()) - {VERSIONS}
    version = _recorded_version(db, tables) or (migrations.newest_version() if is_empty else migrations.FIRST)
    if version > migrations.newest_version():
        raise InvalidStateError(
            f"The database has schema version {version}, this program knows {migrations.newest_version()};"
            " nothing was changed.",
            "Install the newer program, or restore the backup that was made before the upgrade.",
        )
    missing = [migration for migration in migrations.load() if migration.version > version]
    if missing:
        _require_no_worker(db, tables)
    _record_version(db, version)
    for migration in missing:
        for statement in migration.statements:
            _execute(db, statement)
        _record_version(db, migration.version)
    return [f"version {migration.version}: {migration.name}" for migration in missing]


def _execute(db: Database, statement: str, **params: float) -> list[dict[str, Any]]:
    """Execute a statement; say what comes first where a table lacks a column. Raises InvalidStateError."""
    try:
        return db.execute(statement, **params)
    except DatabaseUnavailableError as error:
        if "column" not in str(error).lower():
            raise
        raise InvalidStateError(
            f"A table of another program lacks a column: {error}. Statement: {' '.join(statement.split())[:120]}",
            "Run gpupanel doctor with this account: execute its statements for columns in their order, then init-db.",
        ) from error


def _recorded_version(db: Database, tables: set[str]) -> int | None:
    if VERSIONS not in tables:
        return None
    [row] = db.execute(f"SELECT MAX(version) AS version FROM {VERSIONS}")
    version: int | None = row["version"]
    return version


def _record_version(db: Database, version: int) -> None:
    """Write that the database has this version.

    The table is created before any other, so that a killed run is resumed.
    """
    for statement in read_statements("schema.sql"):
        if statement.startswith(f"CREATE TABLE IF NOT EXISTS {VERSIONS} "):
            db.execute(statement)
    db.execute(f"INSERT IGNORE INTO {VERSIONS} (version) VALUES (%(version)s)", version=version)


def _require_no_worker(db: Database, tables: set[str]) -> None:
    """Refuse to change tables under a worker that imports. Raises InvalidStateError."""
    offset = perl_time.offset_seconds(db.settings.perl_time_zone, FRESH_MINUTES * 60)
    running = _execute(db, RUNNING, perl_offset=offset) if "import_job" in tables else []
    if running:
        [job] = running
        raise InvalidStateError(
            f"Stop the workers first: job {job['id']} is running on {job['worker']}; nothing was changed.",
            f"A worker that was killed counts as running for {FRESH_MINUTES} minutes after its last heartbeat.",
        )


def _complete(db: Database, table: str) -> list[str]:
    """Add missing columns and indexes that change no row; a column or index that has the name stays as it is."""
    actual = read_table(db, table)
    return [*_add_columns(db, table, actual), *_add_indexes(db, table, actual)] if actual else []


def _add_columns(db: Database, table: str, actual: Table) -> list[str]:
    missing = [
        (name, definition) for name, (column, definition) in expected_tables()[table].columns.items()
        if name not in actual.columns and not (column.required or column.counts or column.generated)
    ]
    for name, definition in missing:
        db.execute(f"ALTER TABLE {table} ADD COLUMN `{name}` {definition}")
    return [f"column {name} of {table}" for name, _ in missing]


def _add_indexes(db: Database, table: str, actual: Table) -> list[str]:
    missing = [
        (name, index) for name, index in expected_tables()[table].indexes.items()
        if name not in actual.indexes and index not in actual.indexes.values()
    ]
    for name, (unique, columns) in missing:
        db.execute(f"CREATE {'UNIQUE ' * unique}INDEX {name} ON {table} ({columns})")
    return [f"index {name} of {table}" for name, _ in missing]


def _tables(db: Database) -> list[str]:
    return [next(iter(row.values())) for row in db.execute("SHOW TABLES")]


def open_account(admin: DatabaseSettings, user: str, password: str) -> None:
    """Give an account its password and unlock it."""
    unlock = "ALTER USER %(user)s@localhost IDENTIFIED BY %(password)s ACCOUNT UNLOCK"
    with closing(Database(admin)) as db:
        db.execute(unlock, user=user, password=password)
