"""init-db: make the database and its two accounts from etc/schema.sql and etc/grants.sql, or complete them."""

import dataclasses
import re

from ..config import DatabaseSettings
from ..database import Database
from ..doctor.sources import ACCOUNTS, statements
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
        made = [table for table in _tables(db) if table not in before]
    finally:
        db.close()
    return [f"table {table}" for table in made]


def _tables(db: Database) -> list[str]:
    return [next(iter(row.values())) for row in db.execute("SHOW TABLES")]


def open_account(admin: DatabaseSettings, user: str, password: str) -> None:
    """Give an account its password and unlock it."""
    db = Database(admin)
    try:
        db.execute("ALTER USER %(user)s@localhost IDENTIFIED BY %(password)s ACCOUNT UNLOCK", user=user, password=password)
    finally:
        db.close()
