"""MariaDB: connections, transactions, named queries, and driver errors in our own words (DESIGN sections 3 and 8).

The only module that imports pymysql. Queries live in sql/*.sql; `"queue.next"` is the query `next` of sql/queue.sql.
"""

import random
import threading
import time
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from itertools import islice
from typing import Any, Callable, Iterable, Iterator

import pymysql
from pymysql.constants import CLIENT
from pymysql.cursors import DictCursor, SSDictCursor

from . import errors
from .config import DatabaseSettings

CONFLICT = {1020, 1205, 1213}
LOST = {0, 1053, 1077, 1158, 1159, 1160, 1161, 1927, 2006, 2013, 2014, 2055, 4031}
UNREACHABLE = {1021, 1040, 1041, 1047, 1114, 1129, 1203, 1226, 1290, 1836, 2002, 2003, 2005}
DENIED = {1044, 1045, 1142, 1143, 1227, 1370, 1698, 4151}
NO_SCHEMA = {1049, 1054, 1146, 1176}
REFUSED_DATA = {1048, 1062, 1264, 1265, 1292, 1366, 1406, 1452, 4025}
DUPLICATE = 1062
# Whatever else the server says of itself: no memory, a full disk, a statement interrupted. A mistake of ours is neither.
TROUBLE = (pymysql.OperationalError, pymysql.InternalError)

ATTEMPTS = 6

# A statement, since the variable's name differs between servers.
ISOLATION = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"

# Long IN lists stay below MariaDB's in_predicate_conversion_threshold (1000), past which a plan may change.
ROWS = 500


class DataRefused(errors.PanelError):
    """The database refused a value."""


class Duplicate(DataRefused):
    """The database has such a row already."""


class ConnectionLost(errors.DatabaseUnavailable):
    """The connection to the database was lost; what it had not committed is undone."""


class DatabaseTrouble(errors.DatabaseUnavailable):
    """The database could not do this now."""

    hint = "Look at MariaDB's error log: memory, disk space, limits; then try again."


def translate(error: pymysql.MySQLError) -> errors.PanelError:
    """The driver's error as one of ours. Server messages stay; no statement or parameter is ever in one."""
    code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    text = str(error.args[1]) if len(error.args) > 1 else str(error)
    if code in CONFLICT:
        return errors.DatabaseConflict()
    if code == DUPLICATE:
        return Duplicate(text)
    if code in REFUSED_DATA or isinstance(error, pymysql.DataError):
        return DataRefused(text)
    if code in DENIED:
        return errors.DatabaseDenied(text)
    if code in NO_SCHEMA:
        return errors.DatabaseUnavailable(text, "Run bin/gpupanel init-db with an account that may create tables.")
    if code in LOST:
        return ConnectionLost()
    if code in UNREACHABLE:
        return errors.DatabaseUnavailable(text)
    kind = DatabaseTrouble if isinstance(error, TROUBLE) else errors.PanelError
    return kind(f"The database answered with error {code}: {text}")


@cache
def queries(file: str) -> dict[str, str]:
    """The named queries of sql/<file>.sql: each starts with a line `-- name: <name>`."""
    text = files(__package__).joinpath("sql", f"{file}.sql").read_text(encoding="utf-8")
    named = (part.partition("\n") for part in text.split("-- name: ")[1:])
    return {name.strip(): _statement(body) for name, _, body in named}


def _statement(body: str) -> str:
    return "\n".join(line for line in body.splitlines() if not line.startswith("--")).strip()


def query(name: str) -> str:
    """The statement called `file.name`."""
    file, _, key = name.partition(".")
    return queries(file)[key]


def chunks(things: Iterable, size: int = ROWS) -> Iterator[list]:
    """Lists of at most `size` things each."""
    iterator = iter(things)
    while chunk := list(islice(iterator, size)):
        yield chunk


class Reading:
    """A read-only transaction: rows are dicts, parameters are named, lists stand for `IN` lists."""

    def __init__(self, connection: pymysql.Connection):
        self._connection = connection

    def _execute(self, sql: str, params: dict) -> DictCursor:
        cursor = self._connection.cursor(DictCursor)
        try:
            cursor.execute(sql, params)
        except pymysql.MySQLError as error:
            raise translate(error) from error
        return cursor

    def all(self, name: str, **params) -> list[dict[str, Any]]:
        return list(self._execute(query(name), params).fetchall())

    def one(self, name: str, **params) -> dict[str, Any] | None:
        return self._execute(query(name), params).fetchone()

    def value(self, name: str, **params) -> Any:
        """The first column of the first row, or None."""
        row = self.one(name, **params)
        return next(iter(row.values())) if row else None

    def stream(self, name: str, **params) -> Iterator[dict[str, Any]]:
        """The rows one by one, in bounded memory. Read all of them, or close the iterator, before the next query."""
        return self.stream_statement(query(name), **params)

    def stream_statement(self, statement: str, **params) -> Iterator[dict[str, Any]]:
        """The same for a statement that was made for tables and columns of other names."""
        cursor = self._connection.cursor(SSDictCursor)
        try:
            cursor.execute(statement, params or None)
            yield from cursor
        except pymysql.MySQLError as error:
            raise translate(error) from error
        finally:
            cursor.close()


class Transaction(Reading):
    """A transaction that also writes."""

    def run(self, name: str, **params) -> int:
        """Execute one statement; returns how many rows it found, changed or not."""
        return self._execute(query(name), params).rowcount

    def insert(self, name: str, **params) -> int:
        """Execute one INSERT; returns the new row's id."""
        return self._execute(query(name), params).lastrowid

    def run_many(self, name: str, rows: list[dict[str, Any]]) -> None:
        """Execute one INSERT ... VALUES for many rows, in statements of up to about a megabyte, as the driver cuts them."""
        if not rows:
            return
        cursor = self._connection.cursor()
        try:
            cursor.executemany(query(name), rows)
        except pymysql.MySQLError as error:
            raise translate(error) from error

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo only what happens inside, if it fails with refused data or an error of ours."""
        self._execute("SAVEPOINT inner_work", {})
        try:
            yield
        except (errors.DatabaseConflict, errors.DatabaseUnavailable):
            raise
        except errors.PanelError:
            self._execute("ROLLBACK TO SAVEPOINT inner_work", {})
            raise
        self._execute("RELEASE SAVEPOINT inner_work", {})


class Database:
    """One database and account; each thread has its own connection, made when first needed and kept.

    `idle_seconds` bounds how long a transaction may sit idle before the server ends it, so that a process that was
    stopped in the middle of one cannot keep its row locks (0 means the server's own setting). `read_timeout` bounds, in
    seconds, how long a statement is waited for; it has to be longer than `lock_seconds`, for which one waits for a row.
    """

    def __init__(self, settings: DatabaseSettings, *, idle_seconds: int = 0, lock_seconds: int = 10, read_timeout: float = 60):
        self.settings = settings
        self._idle_seconds, self._lock_seconds = idle_seconds, lock_seconds
        self._read_timeout = read_timeout
        self._local = threading.local()

    @contextmanager
    def reading(self) -> Iterator[Reading]:
        """A read-only transaction."""
        connection = self._begin("START TRANSACTION READ ONLY")
        try:
            yield Reading(connection)
        finally:
            self._rollback(connection)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """A transaction that commits as a whole, or not at all. Raises OutcomeUnknown when the reply to COMMIT was lost."""
        connection = self._begin("START TRANSACTION")
        try:
            yield Transaction(connection)
        except BaseException:
            self._rollback(connection)
            raise
        self._commit(connection)

    def read(self, work: Callable, *args, **kwargs) -> Any:
        """`work(reading, *args, **kwargs)` in a read-only transaction, run again when the server asks for it."""
        return self._again(self.reading, work, args, kwargs)

    def transact(self, work: Callable, *args, **kwargs) -> Any:
        """`work(tx, *args, **kwargs)` in a transaction; the whole of it is run again after a conflict or a lost connection."""
        return self._again(self.transaction, work, args, kwargs)

    def execute(self, statement: str, **params) -> list[dict[str, Any]]:
        """One statement on its own, for schema and grants, which no transaction can hold; returns its rows."""
        cursor = self._connection().cursor(DictCursor)
        try:
            cursor.execute(statement, params or None)
        except pymysql.MySQLError as error:
            raise translate(error) from error
        return list(cursor.fetchall())

    def close(self) -> None:
        """Close this thread's connection."""
        connection = getattr(self._local, "connection", None)
        self._local.connection = None
        if connection is not None:
            try:
                connection.close()
            except pymysql.MySQLError:
                pass

    def _again(self, opening, work, args, kwargs):
        deadline = time.monotonic() + self._read_timeout  # a server that hangs costs one wait, not several
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with opening() as tx:
                    return work(tx, *args, **kwargs)
            except (errors.DatabaseConflict, ConnectionLost):
                if attempt == ATTEMPTS or time.monotonic() > deadline:
                    raise
                time.sleep(random.uniform(0, 0.02 * 2**attempt))

    def _begin(self, statement: str) -> pymysql.Connection:
        """Start on the kept connection; one that died while idle is replaced, since nothing was done on it yet."""
        for fresh in (False, True):
            connection = self._connection()
            try:
                connection.query(statement)
                return connection
            except pymysql.MySQLError as error:
                self.close()
                if fresh or not isinstance(translate(error), ConnectionLost):
                    raise translate(error) from error

    def _commit(self, connection: pymysql.Connection) -> None:
        try:
            connection.commit()
        except pymysql.MySQLError as error:
            self.close()
            problem = translate(error)
            raise (problem if isinstance(problem, errors.DatabaseConflict) else errors.OutcomeUnknown()) from error

    def _rollback(self, connection: pymysql.Connection) -> None:
        """Leave the transaction behind; a connection that cannot even do that is dropped, which ends it too."""
        try:
            connection.rollback()
        except (pymysql.MySQLError, AttributeError):
            self.close()

    def _connection(self) -> pymysql.Connection:
        connection = getattr(self._local, "connection", None)
        if connection is None or not connection.open:
            connection = self._local.connection = self._connect()
        return connection

    def _connect(self) -> pymysql.Connection:
        settings = self.settings
        where = {"unix_socket": settings.unix_socket} if settings.unix_socket else {
            "host": settings.host, "port": settings.port,
        }
        try:
            connection = pymysql.connect(
                **where, user=settings.user, password=settings.password, database=settings.name or None,
                charset="utf8mb4", autocommit=True, client_flag=CLIENT.FOUND_ROWS, init_command=ISOLATION, connect_timeout=5,
                read_timeout=self._read_timeout, write_timeout=self._read_timeout, ssl_disabled=self._is_local(),
            )
            connection.query(self._session())
            return connection
        except pymysql.MySQLError as error:
            raise translate(error) from error

    def _session(self) -> str:
        idle = f", idle_transaction_timeout = {self._idle_seconds}" if self._idle_seconds else ""
        return (
            f"SET SESSION time_zone = '+00:00', innodb_lock_wait_timeout = {self._lock_seconds},"
            f" sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO'{idle}"
        )

    def _is_local(self) -> bool:
        """Nothing can listen in on a socket or on loopback, and a TLS context costs more than the query."""
        return bool(self.settings.unix_socket) or self.settings.host in ("localhost", "127.0.0.1", "::1")
