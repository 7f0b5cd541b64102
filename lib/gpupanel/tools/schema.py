"""init-db: make the database and its two accounts from etc/schema.sql and etc/grants.sql, or complete them.

Tables that are missing are made; to those that are there, columns are added that may be empty, and indexes. Nothing
else of a table is touched, since that could lose something: `doctor` names the differences and what would mend each.
"""

import dataclasses
import re

from ..config import DatabaseSettings
from ..database import Database
from ..doctor import definitions
from ..doctor.sources import ACCOUNTS, statements
from ..doctor.tables import expected
from ..errors import ConfigurationError

__all__ = ["ACCOUNTS", "apply", "open_account"]


def apply(admin: DatabaseSettings) -> list[str]:
    """Run both files as `admin`, in the database that it names; returns what was made, a line each."""
    name = admin.name
    if not re.fullmatch(r"[A-Za-z0-9_]{1,64}", name):
        raise ConfigurationError("init-db", [f"[database] name: found {name!r}, expected letters, digits and _"])
    server = Database(dataclasses.replace(admin, name=""))
    try:
        server.execute(f"CREATE DATABASE IF NOT EXISTS `{name}` CHARACTER SET utf8mb4")
        return _run_files(Database(admin))
    finally:
        server.close()


def _run_files(db: Database) -> list[str]:
    try:
        before = set(_tables(db))
        for file in ("schema.sql", "grants.sql"):
            for statement in statements(file):
                db.execute(statement)
        made = [f"table {table}" for table in _tables(db) if table not in before]
        return made + [added for table in sorted(before & set(expected())) for added in _complete(db, table)]
    finally:
        db.close()


def _complete(db: Database, table: str) -> list[str]:
    """Add what a table of ours lacks and what changes no row; what has the name already stays as it is."""
    [row] = db.execute(f"SHOW CREATE TABLE {table}")
    if "Create Table" not in row:
        return []
    _, actual = definitions.table(row["Create Table"])
    return [*_add_columns(db, table, actual), *_add_indexes(db, table, actual)]


def _add_columns(db: Database, table: str, actual: definitions.Table) -> list[str]:
    missing = [
        (name, definition) for name, (column, definition) in expected()[table].columns.items()
        if name not in actual.columns and column.nullable and not column.generated
    ]
    for name, definition in missing:
        db.execute(f"ALTER TABLE {table} ADD COLUMN {name} {definition}")
    return [f"column {name} of {table}" for name, _ in missing]


def _add_indexes(db: Database, table: str, actual: definitions.Table) -> list[str]:
    missing = [
        (name, index) for name, index in expected()[table].indexes.items()
        if name not in actual.indexes and index not in actual.indexes.values()
    ]
    for name, (unique, columns) in missing:
        db.execute(f"CREATE {'UNIQUE ' * unique}INDEX {name} ON {table} ({columns})")
    return [f"index {name} of {table}" for name, _ in missing]


def _tables(db: Database) -> list[str]:
    return [next(iter(row.values())) for row in db.execute("SHOW TABLES")]


def open_account(admin: DatabaseSettings, user: str, password: str) -> None:
    """Give an account its password and unlock it."""
    db = Database(admin)
    try:
        db.execute("ALTER USER %(user)s@localhost IDENTIFIED BY %(password)s ACCOUNT UNLOCK", user=user, password=password)
    finally:
        db.close()
