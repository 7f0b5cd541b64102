"""MariaDB: connections, transactions, named queries, and driver errors in our own words (docs/CONTRACT.md, 3 and 8).

The only room that imports pymysql. Queries live in sql/*.sql; `"queue.next"` is the query `next` of sql/queue.sql.
"""

import random
import threading
import time
from contextlib import contextmanager
from typing import Any, Callable, Iterator

import pymysql
from pymysql.constants import CLIENT
from pymysql.cursors import DictCursor

from .. import errors
from ..config import DatabaseSettings
from .driver import ConnectionLost, DatabaseTrouble, DataRefused, Duplicate, translate
from .transactions import Reading, Transaction, chunks, grouped, queries, query

__all__ = [
    "ConnectionLost", "Database", "DatabaseTrouble", "DataRefused", "Duplicate", "Reading", "Transaction",
    "chunks", "grouped", "queries", "query", "translate",
]

ATTEMPTS = 6
# Seconds after which a connection that was not used is asked whether it is still there.
FRESH = 1

# A statement, since the variable's name differs between servers.
ISOLATION = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"


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
        connection = self._connection()
        try:
            connection.query("START TRANSACTION READ ONLY")
        except pymysql.MySQLError as error:
            self.close()
            raise translate(error) from error
        try:
            yield Reading(connection)
        finally:
            self._rollback(connection)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """A transaction that commits as a whole, or not at all; it begins with its first statement. Raises OutcomeUnknown when
        the reply to COMMIT was lost."""
        connection = self._connection()
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
        """One statement outside of any transaction, as for schema, grants and what the server says of itself, which a node that is
        cut off from its cluster still does; returns its rows."""
        connection = self._connection()
        cursor = connection.cursor(DictCursor)
        try:
            connection.autocommit(True)
            cursor.execute(statement, params or None)
            connection.autocommit(False)
        except pymysql.MySQLError as error:
            self.close()
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

    def _commit(self, connection: pymysql.Connection) -> None:
        """Commit. A conflict is an answer like another one: the nodes of a Galera cluster find theirs only here."""
        try:
            connection.commit()
        except pymysql.MySQLError as error:
            problem = translate(error)
            if isinstance(problem, errors.DatabaseConflict):
                self._rollback(connection)
                raise problem from error
            self.close()
            raise errors.OutcomeUnknown() from error

    def _rollback(self, connection: pymysql.Connection) -> None:
        """Leave the transaction behind; a connection that cannot even do that is dropped, which ends it too."""
        try:
            connection.rollback()
        except (pymysql.MySQLError, AttributeError):
            self.close()

    def _connection(self) -> pymysql.Connection:
        """The kept connection; one that died while it was idle is replaced, since nothing is done on it yet."""
        connection = getattr(self._local, "connection", None)
        if connection is not None and time.monotonic() - self._local.used > FRESH and not _lives(connection):
            self.close()
        if connection is None or not connection.open:
            connection = self._local.connection = self._connect()
        self._local.used = time.monotonic()
        return connection

    def _connect(self) -> pymysql.Connection:
        settings = self.settings
        where = {"unix_socket": settings.unix_socket} if settings.unix_socket else {
            "host": settings.host, "port": settings.port,
        }
        try:
            connection = pymysql.connect(
                **where, user=settings.user, password=settings.password, database=settings.name or None,
                charset="utf8mb4", autocommit=None, client_flag=CLIENT.FOUND_ROWS, init_command=ISOLATION, connect_timeout=5,
                read_timeout=self._read_timeout, write_timeout=self._read_timeout, ssl_disabled=self._is_local(),
            )
            connection.query(self._session())
            return connection
        except pymysql.MySQLError as error:
            raise translate(error) from error

    def _session(self) -> str:
        idle = f", idle_transaction_timeout = {self._idle_seconds}" if self._idle_seconds else ""
        return (
            f"SET NAMES utf8mb4, autocommit = 0, time_zone = '+00:00', innodb_lock_wait_timeout = {self._lock_seconds},"
            f" sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO'{idle}"
        )

    def _is_local(self) -> bool:
        """Nothing can listen in on a socket or on loopback, and a TLS context costs more than the query."""
        return bool(self.settings.unix_socket) or self.settings.host in ("localhost", "127.0.0.1", "::1")


def _lives(connection: pymysql.Connection) -> bool:
    try:
        connection.ping(reconnect=False)
    except pymysql.MySQLError:
        return False
    return True
