"""One connection a thread, and the retry loop around transactions.

docs/CONTRACT.md, 8. Queue.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime
from functools import cached_property
from typing import Any, Concatenate, ParamSpec, TypeVar

import pymysql
from pymysql.constants import CLIENT, FIELD_TYPE
from pymysql.converters import convert_datetime
from pymysql.cursors import DictCursor

from .. import errors
from ..config import DatabaseSettings
from . import session, sign_in
from .errors import ConnectionLostError, translate_error
from .transaction import Connection, ReadTransaction, Transaction

P = ParamSpec("P")
Tx = TypeVar("Tx", bound=ReadTransaction)
Result = TypeVar("Result")

MAX_ATTEMPTS = 6
# Seconds that a connection may be idle before it is tested for being alive.
PING_AFTER_SECONDS = 1
CONNECT_SECONDS = 5
PACKET_LIMIT = "SELECT @@max_allowed_packet"
LOCK_WAIT_TIMEOUT = 1205
TIME_FIELDS = (FIELD_TYPE.DATETIME, FIELD_TYPE.TIMESTAMP)


class Database:
    """One database and account; each thread keeps its own connection.

    The server ends a transaction that was idle for `idle_seconds`, so that a stopped process cannot keep its row locks
    (0: no limit). A statement fails after `read_timeout` seconds, which must be more than
    `lock_seconds`, the time that it waits for a row lock. A zero date, which a Perl program may write, is read as NULL,
    unless the reader `keeps_zero_dates`: it then gets their text.
    """

    def __init__(
        self, settings: DatabaseSettings, *, idle_seconds: int = 0, lock_seconds: int = 10, read_timeout: float = 60,
        keeps_zero_dates: bool = False,
    ) -> None:
        self.settings = settings
        self._keeps_zero_dates = keeps_zero_dates
        self._idle_seconds, self._lock_seconds = idle_seconds, lock_seconds
        self._read_timeout = read_timeout
        self._local = threading.local()

    @property
    def epoch(self) -> int:
        """How many connections this thread has made.

        After a new one, the server may have lost its last commits: it restarted, or another one took its place.
        """
        return getattr(self._local, "epoch", 0)

    @contextmanager
    def reading(self) -> Iterator[ReadTransaction]:
        """Open a read-only transaction."""
        connection = self._connection()
        try:
            connection.query("START TRANSACTION READ ONLY")
        except pymysql.MySQLError as error:
            self.close()
            raise translate_error(error) from error
        try:
            yield ReadTransaction(connection, self.settings.perl_time_zone)
        finally:
            self._rollback(connection)

    @contextmanager
    def reading_once(self) -> Iterator[ReadTransaction]:
        """Run one SELECT by itself, without the statements that begin and end a transaction.

        The connection stays in this mode until the next transaction, so a page that asks again costs one statement.
        """
        connection = self._connection()
        self._set_autocommit(connection, True)
        try:
            yield ReadTransaction(connection, self.settings.perl_time_zone)
        except BaseException:
            self._rollback(connection)  # which closes a connection that failed
            raise

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Open a transaction, which is committed or rolled back as a whole.

        Raises CommitUnknownError when the reply to COMMIT was lost.
        """
        connection = self._connection()
        self._set_autocommit(connection, False)
        try:
            yield Transaction(connection, self.settings.perl_time_zone)
        except BaseException:
            self._rollback(connection)
            raise
        self._commit(connection)

    def run_read(
        self, work: Callable[Concatenate[ReadTransaction, P], Result], *args: P.args, **kwargs: P.kwargs
    ) -> Result:
        """Run `work(tx, ...)` in a read-only transaction, with retries."""
        return self._retry_after_conflict(self.reading, lambda tx: work(tx, *args, **kwargs))

    def run_single(
        self, work: Callable[Concatenate[ReadTransaction, P], Result], *args: P.args, **kwargs: P.kwargs
    ) -> Result:
        """Run `work(tx, ...)`, which sends one SELECT, without a transaction around it, with retries."""
        return self._retry_after_conflict(self.reading_once, lambda tx: work(tx, *args, **kwargs))

    def run_transaction(
        self, work: Callable[Concatenate[Transaction, P], Result], *args: P.args, **kwargs: P.kwargs
    ) -> Result:
        """Run `work(tx, ...)` in a transaction; a retry repeats all of it."""
        return self._retry_after_conflict(self.transaction, lambda tx: work(tx, *args, **kwargs))

    def execute(self, statement: str, **params: Any) -> list[Any]:
        """Execute one statement outside of a transaction; return its rows.

        For schema, grants and server variables, which a node cut off from its cluster still answers.
        """
        connection = self._connection()
        cursor = connection.cursor(DictCursor)
        try:
            connection.autocommit(True)
            cursor.execute(statement, params or None)
            connection.autocommit(False)
        except pymysql.MySQLError as error:
            self.close()
            raise translate_error(error) from error
        return list(cursor.fetchall())

    def close(self) -> None:
        """Close this thread's connection."""
        connection = getattr(self._local, "connection", None)
        self._local.connection = None
        if connection is not None:
            with suppress(pymysql.MySQLError):
                connection.close()

    def _retry_after_conflict(
        self, begin: Callable[[], AbstractContextManager[Tx]], work: Callable[[Tx], Result]
    ) -> Result:
        """Run the work in a transaction, and all of it again after a deadlock or a lost connection."""
        deadline = time.monotonic() + self._read_timeout  # a server that hangs is waited for once, not ATTEMPTS times
        attempt = 1
        while True:
            try:
                with begin() as tx:
                    return work(tx)
            except (errors.DatabaseConflictError, ConnectionLostError):
                if attempt == MAX_ATTEMPTS or time.monotonic() > deadline:
                    raise
            time.sleep(random.uniform(0, 0.02 * 2**attempt))
            attempt += 1

    def _commit(self, connection: Connection) -> None:
        """Commit; a Galera node may report a conflict only here."""
        try:
            connection.commit()
        except pymysql.MySQLError as error:
            problem = translate_error(error)
            if isinstance(problem, errors.DatabaseConflictError):
                self._rollback(connection)
                raise problem from error
            self.close()
            raise errors.CommitUnknownError() from error

    def _set_autocommit(self, connection: Connection, value: bool) -> None:
        """Set the mode of a connection; no statement is sent if it has that mode."""
        try:
            connection.autocommit(value)
        except pymysql.MySQLError as error:
            self.close()
            raise translate_error(error) from error

    def _rollback(self, connection: Connection) -> None:
        """Roll back; close a connection on which that fails."""
        try:
            connection.rollback()
        except (pymysql.MySQLError, AttributeError):
            self.close()

    def _connection(self) -> Connection:
        """This thread's connection; one that died while idle is replaced."""
        connection: Connection | None = getattr(self._local, "connection", None)
        was_idle = connection is not None and time.monotonic() - self._local.used > PING_AFTER_SECONDS
        if was_idle and connection is not None and not _is_alive(connection):
            self.close()
        if connection is None or not connection.open:
            connection = self._local.connection = self._open()
        self._local.used = time.monotonic()
        return connection

    def _open(self) -> Connection:
        """Connect, count the connection, and read the server's limit of a statement's bytes."""
        connection = self._connect()
        self._local.epoch = self.epoch + 1
        try:
            connection.max_allowed_packet = _read_packet_limit(connection)
        except pymysql.MySQLError as error:
            connection.close()
            raise translate_error(error) from error
        return connection

    def _connect(self) -> Connection:
        connection = sign_in.connect(
            self.settings, self._tls_context, autocommit=None, client_flag=CLIENT.FOUND_ROWS,
            connect_timeout=CONNECT_SECONDS, read_timeout=self._read_timeout, write_timeout=self._read_timeout,
        )
        if not self._keeps_zero_dates:
            connection.decoders = {**connection.decoders, **dict.fromkeys(TIME_FIELDS, _read_time)}
        try:
            connection.query(session.TRANSACTIONS)
            connection.query(
                session.session_statement(idle_seconds=self._idle_seconds, lock_seconds=self._lock_seconds)
            )
        except pymysql.MySQLError as error:
            connection.close()
            raise translate_error(error) from error
        return connection

    @cached_property
    def _tls_context(self) -> sign_in.TlsContext | None:
        return sign_in.tls_context(self.settings)


def _read_time(text: str) -> datetime | None:
    """Return a time; None of a zero date, which the driver would leave as text."""
    time = convert_datetime(text)
    return time if isinstance(time, datetime) else None


def _read_packet_limit(connection: Connection) -> int:
    """Read how many bytes a statement may have.

    With wsrep_sync_wait, a node that is cut off from its Galera cluster ends even this SELECT with a lock wait
    timeout. The connection is made all the same, so that the statements that follow get the node's true error.
    """
    try:
        return _fetch_value(connection, PACKET_LIMIT)
    except pymysql.MySQLError as error:
        if error.args[0] != LOCK_WAIT_TIMEOUT:
            raise
        return _fetch_value(connection, f"SET STATEMENT wsrep_sync_wait = 0 FOR {PACKET_LIMIT}")


def _fetch_value(connection: Connection, statement: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        [[value]] = cursor.fetchall()
    return int(value)


def _is_alive(connection: Connection) -> bool:
    try:
        connection.ping(reconnect=False)
    except pymysql.MySQLError:
        return False
    return True
