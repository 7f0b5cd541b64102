"""ReadTransaction runs SELECTs, Transaction writes too; rows are dicts."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import groupby, islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import pymysql
from pymysql.cursors import Cursor, DictCursor, SSDictCursor

from .. import errors, perl_time
from . import bulk_insert
from .errors import DataError, PacketTooLargeError, translate_error
from .queries import fill, query

Item = TypeVar("Item")
if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    Connection = pymysql.Connection[Cursor]
else:
    Connection = pymysql.Connection  # generic in the type stubs alone

# An IN list stays below MariaDB's in_predicate_conversion_threshold (1000), at which its plan may change.
CHUNK_ROWS = 500
# Characters of one INSERT of many rows.
MAX_INSERT_CHARACTERS = 1024 * 1024
MAX_CHARACTER_BYTES = 4  # in UTF-8
PARAMETER = re.compile(r"%\((\w+)\)s")


class InsertTemplate(NamedTuple):
    """An INSERT split into head, the values of one row, and tail."""

    head: str
    row: str
    names: tuple[str, ...]
    tail: str


@cache
def _insert(name: str, **fragments: str) -> InsertTemplate:
    statement = fill(name, **fragments) if fragments else query(name)
    head, values, rest = re.split(r"(?<=\s)(VALUES )(?=\()", statement, maxsplit=1)
    row, *tail = re.split(r"(?=\nON DUPLICATE|\nRETURNING)", rest, maxsplit=1)
    return InsertTemplate(head + values, PARAMETER.sub("%s", row), tuple(PARAMETER.findall(row)), "".join(tail))


def chunked(things: Iterable[Item], size: int = CHUNK_ROWS) -> Iterator[list[Item]]:
    """Split into lists of at most `size`."""
    iterator = iter(things)
    while chunk := list(islice(iterator, size)):
        yield chunk


def chunk_by_first(keys: Iterable[tuple[str, str]]) -> Iterator[tuple[str, list[str]]]:
    """Group pairs such as (asset_type, asset_hash) by their first element.

    With two `IN` lists instead, the server would look up each combination.
    """
    for first, pairs in groupby(sorted(keys), itemgetter(0)):
        yield from ((first, chunk) for chunk in chunked(second for _, second in pairs))


class ReadTransaction:
    """A read-only transaction. A list as parameter becomes an `IN` list."""

    def __init__(self, connection: Connection, perl_zone: "ZoneInfo | None" = None) -> None:
        self._connection, self.perl_zone = connection, perl_zone

    def perl_offset(self, age: float) -> int:
        """Return how many seconds the Perl side's times of `age` seconds ago are ahead of UTC."""
        return perl_time.offset_seconds(self.perl_zone, age)

    @property
    def address(self) -> tuple[Any, ...]:
        """Which database this is: socket or host and port, and name."""
        connection: Any = self._connection
        return connection.unix_socket or (connection.host, connection.port), connection.db

    def _execute(self, sql: str, params: dict[str, Any] | None) -> DictCursor:
        cursor = self._connection.cursor(DictCursor)
        if params and any(type(value) is list for value in params.values()):
            sql, params = sql % bulk_insert.literals(self._connection, params), None
        try:
            self._raise_if_too_large(statement := cursor.mogrify(sql, params))
            cursor.execute(statement)
        except pymysql.MySQLError as error:
            raise translate_error(error) from error
        except UnicodeEncodeError as error:
            raise DataError(f"UTF-8 has no encoding of the character {error.object[error.start]!a}.") from error
        return cursor

    def _raise_if_too_large(self, statement: str) -> None:
        """Check a statement before it is sent: after one that is too large, the server closes the connection.

        Raises: PacketTooLargeError.
        """
        limit: int = self._connection.max_allowed_packet
        if len(statement) * MAX_CHARACTER_BYTES < limit - 1:
            return
        needed = len(statement.encode()) + 1  # the command's byte
        if needed >= limit:
            raise PacketTooLargeError(f"the statement needs {needed:,} bytes, max_allowed_packet is {limit:,}")

    def fetch_all(self, name: str, **params: Any) -> list[Any]:
        """All rows of a named query."""
        return self.fetch_all_sql(query(name), **params)

    def fetch_all_sql(self, statement: str, **params: Any) -> list[Any]:
        """All rows of a filled or joined statement."""
        return list(self._execute(statement, params).fetchall())

    def fetch_one(self, name: str, **params: Any) -> Any:
        """The first row, or None."""
        return self._execute(query(name), params).fetchone()

    def fetch_value(self, name: str, **params: Any) -> Any:
        """The first column of the first row, or None."""
        row = self.fetch_one(name, **params)
        return next(iter(row.values())) if row else None

    def stream(self, name: str, **params: Any) -> Iterator[Any]:
        """The rows one by one; read all, or close, before the next query."""
        return self.stream_sql(query(name), **params)

    def stream_sql(self, statement: str, **params: Any) -> Iterator[Any]:
        """Stream the rows of a statement that is not a named query."""
        cursor = self._connection.cursor(SSDictCursor)
        try:
            cursor.execute(statement, params or None)
            yield from cursor
        except pymysql.MySQLError as error:
            raise translate_error(error) from error
        finally:
            cursor.close()


class Transaction(ReadTransaction):
    """A transaction that also writes."""

    def execute(self, name: str, **params: Any) -> int:
        """Execute one statement; return the number of matched rows."""
        return self._execute(query(name), params).rowcount

    def insert(self, name: str, **params: Any) -> int:
        """Execute one INSERT; return the new row's id."""
        return self._execute(query(name), params).lastrowid

    def insert_many(self, name: str, rows: list[dict[str, Any]], **fragments: str) -> list[Any]:
        """Execute an INSERT for many rows; return its RETURNING rows.

        `fragments` fill the holes of the named query.
        """
        if not rows:
            return []
        insert = _insert(name, **fragments)
        columns, writer = itemgetter(*insert.names), bulk_insert.RowWriter(self._connection, insert.row)
        texts = writer.write(map(columns, rows))
        return [
            row for values in bulk_insert.join_up_to(texts, self._insert_characters())
            for row in self._execute(f"{insert.head}{values}{insert.tail}", None).fetchall()
        ]

    def _insert_characters(self) -> int:
        """Return how long one INSERT may be; half of the server's limit, since a character may have several bytes."""
        limit: int = self._connection.max_allowed_packet
        return min(MAX_INSERT_CHARACTERS, limit // 2)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo this block alone if it raises an error of ours."""
        self._execute("SAVEPOINT inner_work", {})
        try:
            yield
        except (errors.DatabaseConflictError, errors.DatabaseUnavailableError):
            raise
        except errors.PanelError:
            self._execute("ROLLBACK TO SAVEPOINT inner_work", {})
            raise
        self._execute("RELEASE SAVEPOINT inner_work", {})
