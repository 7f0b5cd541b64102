"""One side of a comparison: its catalogue and its rows."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from .. import config
from ..db import Database
from ..errors import ConfigurationError
from . import mapping as names
from .mapping import ABSENT, Catalogue, NameMapping
from .select_builder import SelectBuilder
from .table_specs import TableSpec
from .value_diff import renumber_jobs

COLUMNS = """SELECT TABLE_NAME t, COLUMN_NAME c FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE()
             ORDER BY TABLE_NAME, ORDINAL_POSITION"""
# One side may wait long while the other one sorts, or reads rows that only it has.
STATEMENT_TIMEOUT_SECONDS = 24 * 3600

Row = dict[str, Any]


class ComparedDatabase:
    """A database to compare, read in one snapshot.

    Its account needs only SELECT.
    """

    def __init__(self, conf: Path, mapping_file: Path | None = None, label: str = ""):
        """Raises ConfigurationError."""
        self.settings = config.load(conf).database
        self.mapping = names.load_mapping(mapping_file) if mapping_file else NameMapping()
        self.mapping_file = mapping_file
        self.label = label or str(conf)
        self._db = Database(self.settings, read_timeout=STATEMENT_TIMEOUT_SECONDS)
        self.catalogue: Catalogue = {}

    @property
    def place(self) -> str:
        """Return name and address of the database, for the report."""
        where = self.settings.unix_socket or f"{self.settings.host}:{self.settings.port}"
        return f"{self.settings.name} on {where}"

    @contextmanager
    def opened(self) -> Iterator["ComparedDatabase"]:
        """Connect and read in one snapshot.

        Raises ConfigurationError if the mapping does not fit.
        """
        self._db.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        for timeout in ("net_write_timeout", "net_read_timeout"):
            self._db.execute(f"SET SESSION {timeout} = {STATEMENT_TIMEOUT_SECONDS}")
        try:
            for row in self._db.execute(COLUMNS):
                self.catalogue.setdefault(row["t"], set()).add(row["c"])
            if problems := names.check_mapping(self.mapping, self.catalogue):
                raise ConfigurationError(f"{self.mapping_file} does not fit {self.place}", problems, names.HINT)
            with self._db.reading() as self._tx:
                yield self
        finally:
            self._db.close()

    # ------------------------------------------------------------------------------------------- catalogue

    def has(self, table: str, column: str | None = None) -> bool:
        """Return whether the side has this table or column, under its own name."""
        actual = self.mapping.table(table)
        columns = self.catalogue.get(actual)
        if actual == ABSENT or columns is None or column is None:
            return actual != ABSENT and columns is not None
        return self.mapping.column(table, column) in columns

    def unknown_columns(self, table: str, expected: list[str]) -> list[str]:
        """Return the columns without a counterpart in etc/schema.sql."""
        ours = {self.mapping.column(table, column) for column in expected}
        return sorted(self.catalogue.get(self.mapping.table(table), set()) - ours)

    # --------------------------------------------------------------------------------------------------- rows

    def count(self, table: TableSpec) -> int:
        """Count the rows of a table."""
        statement = f"SELECT COUNT(*) AS n FROM `{self.mapping.table(table.name)}`"
        return next(iter(list(self._tx.stream_sql(statement))))["n"]

    def rows(self, table: TableSpec, paths: list[str]) -> Iterator[Row]:
        """Yield the rows in the order of the key as bytes, in bounded memory.

        Rows lack the paths that this side lacks. `#` is the number of a row among rows with an otherwise equal key, `@`
        its number in its bundle.
        """
        select = SelectBuilder(self, table)
        statement = select.statement([*table.key, *paths])
        return _in_order(table, self._tx.stream_sql(statement))

    def among(self, table: TableSpec, paths: list[str], where: dict[str, list]) -> list[Row]:
        """Return the rows in which each path of `where` has one of its values."""
        statement, params = SelectBuilder(self, table).statement([*table.key, *paths], where), {}
        for number, values in enumerate(where.values()):
            params[f"w{number}"] = values
        return list(_in_order(table, self._tx.stream_sql(statement, **params)))


def key_of(table: TableSpec, row: Row) -> tuple:
    """Return the natural key of a row; NULL counts as empty."""
    return tuple("" if row[part] is None else row[part] for part in table.key)


def _in_order(table: TableSpec, rows: Iterator[Row]) -> Iterator[Row]:
    if table.many:
        yield from rows
        return
    for _, group in groupby(rows, itemgetter(*table.leading)):
        yield from _sorted(table, list(group))


def _sorted(table: TableSpec, group: list[Row]) -> list[Row]:
    numbers: dict[tuple, int] = {}
    jobs: dict[str, int] = {}
    for number, row in enumerate(group, 1):
        row["@"] = number
        if table.jobs_in in row:
            row[table.jobs_in] = renumber_jobs(row[table.jobs_in], jobs)
        if table.numbered:
            others = tuple(row[part] for part in table.key if part != "#")
            row["#"] = numbers[others] = numbers.get(others, 0) + 1
    return sorted(group, key=lambda row: key_of(table, row))
