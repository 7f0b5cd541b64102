"""Reading and Transaction: what runs in one, and the named queries of sql/*.sql."""

import re
from contextlib import contextmanager
from functools import cache
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Any, Iterable, Iterator, NamedTuple

import pymysql
from pymysql.cursors import DictCursor, SSDictCursor

from .. import errors
from . import literals
from .driver import translate

SQL = Path(__file__).parents[1] / "sql"

# Long IN lists stay below MariaDB's in_predicate_conversion_threshold (1000), past which a plan may change.
ROWS = 500
# Characters of one statement that inserts many rows.
LONGEST_INSERT = 1024 * 1024
PARAMETER = re.compile(r"%\((\w+)\)s")


@cache
def queries(file: str) -> dict[str, str]:
    """The named queries of sql/<file>.sql: each starts with a line `-- name: <name>`."""
    text = (SQL / f"{file}.sql").read_text(encoding="utf-8")
    named = (part.partition("\n") for part in text.split("-- name: ")[1:])
    return {name.strip(): _statement(body) for name, _, body in named}


def _statement(body: str) -> str:
    return "\n".join(line for line in body.splitlines() if not line.startswith("--")).strip()


def query(name: str) -> str:
    """The statement called `file.name`."""
    file, _, key = name.partition(".")
    return queries(file)[key]


class Insert(NamedTuple):
    """An INSERT taken apart: `head` + one `row` % values in the order of `names` for each row + `tail`."""

    head: str
    row: str
    names: tuple[str, ...]
    tail: str


@cache
def _insert(name: str) -> Insert:
    head, values, rest = re.split(r"(?<=\s)(VALUES )(?=\()", query(name), maxsplit=1)
    row, *tail = re.split(r"(?=\nON DUPLICATE|\nRETURNING)", rest, maxsplit=1)
    return Insert(head + values, PARAMETER.sub("%s", row), tuple(PARAMETER.findall(row)), "".join(tail))


def chunks(things: Iterable, size: int = ROWS) -> Iterator[list]:
    """Lists of at most `size` things each."""
    iterator = iter(things)
    while chunk := list(islice(iterator, size)):
        yield chunk


def grouped(keys: Iterable[tuple[str, str]]) -> Iterator[tuple[str, list[str]]]:
    """Pairs such as (asset_type, asset_hash) in their order, as (first, at most ROWS seconds): of two `IN` lists the server
    would look for each combination."""
    for first, pairs in groupby(sorted(keys), itemgetter(0)):
        yield from ((first, some) for some in chunks(second for _, second in pairs))


class Reading:
    """A read-only transaction: rows are dicts, parameters are named, lists stand for `IN` lists."""

    def __init__(self, connection: pymysql.Connection):
        self._connection = connection

    def _execute(self, sql: str, params: dict | None) -> DictCursor:
        cursor = self._connection.cursor(DictCursor)
        try:
            cursor.execute(sql, params)
        except pymysql.MySQLError as error:
            raise translate(error) from error
        return cursor

    def all(self, name: str, **params) -> list[dict[str, Any]]:
        return self.all_of(query(name), **params)

    def all_of(self, statement: str, **params) -> list[dict[str, Any]]:
        """The same for a query that was completed: by an index, a column, a direction, or put together of parts."""
        return list(self._execute(statement, params).fetchall())

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

    def run_many(self, name: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Execute one INSERT ... VALUES for many rows, in statements of up to about a megabyte; returns what it is RETURNING."""
        if not rows:
            return []
        insert, written = _insert(name), literals.of(self._connection)
        picked = itemgetter(*insert.names)
        texts = (insert.row % tuple([written[type(value)](value) for value in picked(row)]) for row in rows)
        return [
            row for values in literals.packed(texts, LONGEST_INSERT)
            for row in self._execute(f"{insert.head}{values}{insert.tail}", None).fetchall()
        ]

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
