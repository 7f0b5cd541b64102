"""An installation of the tests: server, database, accounts, configurations."""

import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from constants import NAME, TABLES, empty, password
from gpupanel.db import Database
from gpupanel.devtools.mariadb_server import THROWAWAY, MariaDBServer
from gpupanel.db import schema


def prepared(folder: Path) -> Path:
    """Give a folder the data directory of a new server, as a copy of one that this process makes once.

    mariadb-install-db takes ten times as long. The files are mostly zeros, which a sparse copy leaves out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", "--sparse=always", f"{_new_server().name}/data", folder], check=True)
    return folder


@cache
def _new_server() -> tempfile.TemporaryDirectory:
    folder = tempfile.TemporaryDirectory(prefix="gpupanel-new-")
    with MariaDBServer(Path(folder.name), *THROWAWAY):
        pass
    return folder


def init_db(server: MariaDBServer) -> None:
    """Create the schema and both accounts."""
    schema.apply(server.admin(NAME))
    for account in schema.ACCOUNTS:
        schema.open_account(server.admin(NAME), account, password(account))


@contextmanager
def installed(folder: Path, *options: str, **more) -> Iterator[MariaDBServer]:
    """Run a private MariaDB with schema and accounts; TEST_MARIADB_OPTIONS extend its command line."""
    more_options = os.environ.get("TEST_MARIADB_OPTIONS", "").split()
    with MariaDBServer(prepared(folder), *options, *more_options, **more) as server:
        init_db(server)
        yield server


@contextmanager
def filled(server: MariaDBServer, statements: Iterable[str]) -> Iterator[Database]:
    """Yield the administrator's account over tables that these statements have filled and analyzed."""
    db = Database(server.admin(NAME))
    empty(db)
    db.execute("SET foreign_key_checks = 0, unique_checks = 0")
    for statement in statements:
        db.execute(statement)
    for table in TABLES:
        db.execute(f"ANALYZE TABLE {table}")
    yield db
    db.close()


def write(path, socket, assets_dir, user, **sections):
    """Write a configuration for the account `user`, with its password in a file beside it."""
    secret = path.parent / f"{user}.password"
    if not secret.exists():  # a program that runs may be reading it
        secret.touch(0o600)
        secret.write_text(password(user))
    sections["database"] = {"unix_socket": socket, "user": user, "password_file": f"{user}.password"}
    sections["mount"] = {"sync_dir": assets_dir / "sync"}
    lines = []
    for section, options in sections.items():
        lines += [f"[{section}]", *(f"{option} = {value}" for option, value in options.items()), ""]
    path.write_text("\n".join(lines))
    return path
