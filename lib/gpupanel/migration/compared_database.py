"""One of the two databases: its catalogue under our names, and its rows in the order of their natural keys."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from .. import config
from ..database import Database
from ..errors import ConfigurationError
from . import mapping as names
from .mapping import ABSENT, Catalogue, NameMapping
from .select_builder import SelectBuilder
from .table_specs import TableSpec
from .value_diff import renumber_jobs

COLUMNS = """SELECT TABLE_NAME t, COLUMN_NAME c FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE()
             ORDER BY TABLE_NAME, ORDINAL_POSITION"""
# One side may have to wait long for the other: for its sort, or while the other's extra rows are read.
PATIENCE = 24 * 3600

Row = dict[str, Any]


class ComparedDatabase:
    """A database to compare, read in one snapshot; SELECT on its tables is all that its account needs."""

    def __init__(self, conf: Path, mapping_file: Path | None = None, label: str = ""):
        """Raises ConfigurationError."""
        self.settings = config.load(conf).database
        self.mapping = names.load_mapping(mapping_file) if mapping_file else NameMapping()
        self.mapping_file = mapping_file
        self.label = label or str(conf)
        self._db = Database(self.settings, read_timeout=PATIENCE)
        self.catalogue: Catalogue = {}

    @property
    def place(self) -> str:
        """Where the database is, for the report."""
        where = self.settings.unix_socket or f"{self.settings.host}:{self.settings.port}"
        return f"{self.settings.name} on {where}"

    @contextmanager
    def opened(self) -> Iterator["ComparedDatabase"]:
        """Inside, rows can be read, and are those of one moment. Raises ConfigurationError for a mapping that does not fit."""
        self._db.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        self._db.execute(f"SET SESSION net_write_timeout = {PATIENCE}, net_read_timeout = {PATIENCE}")
        try:
            for row in self._db.execute(COLUMNS):
                self.catalogue.setdefault(row["t"], set()).add(row["c"])
            if problems := names.check_mapping(self.mapping, self.catalogue):
                raise ConfigurationError(f"{self.mapping_file} does not fit {self.place}", problems, names.HINT)
            with self._db.reading() as self._tx:
                yield self
        finally:
            self._db.close()

    # ------------------------------------------------------------------------------------------- what there is

    def has(self, table: str, column: str | None = None) -> bool:
        """Whether there is such a table, or column, under whatever name."""
        actual = self.mapping.table(table)
        columns = self.catalogue.get(actual)
        if actual == ABSENT or columns is None or column is None:
            return actual != ABSENT and columns is not None
        return self.mapping.column(table, column) in columns

    def unknown_columns(self, table: str, known: list[str]) -> list[str]:
        """Columns that have no counterpart in etc/schema.sql."""
        ours = {self.mapping.column(table, column) for column in known}
        return sorted(self.catalogue.get(self.mapping.table(table), set()) - ours)

    # --------------------------------------------------------------------------------------------------- rows

    def count(self, table: TableSpec) -> int:
        statement = f"SELECT COUNT(*) AS n FROM `{self.mapping.table(table.name)}`"
        return next(iter(list(self._tx.stream_statement(statement))))["n"]

    def rows(self, table: TableSpec, paths: list[str]) -> Iterator[Row]:
        """The table's rows with the values of `paths` (those that this side lacks are missing), in the order of the key
        as bytes. `#` is where a row stands among its like, `@` where it stands in its bundle. In bounded memory."""
        select = SelectBuilder(self, table)
        statement = select.statement([*table.key, *paths])
        return _in_order(table, self._tx.stream_statement(statement))

    def among(self, table: TableSpec, paths: list[str], where: dict[str, list]) -> list[Row]:
        """The rows in which each path of `where` has one of these values."""
        statement, params = SelectBuilder(self, table).statement([*table.key, *paths], where), {}
        for number, values in enumerate(where.values()):
            params[f"w{number}"] = values
        return list(_in_order(table, self._tx.stream_statement(statement, **params)))


def key_of(table: TableSpec, row: Row) -> tuple:
    """The natural key of a row; what is NULL counts as empty."""
    return tuple("" if row[part] is None else row[part] for part in table.key)


def _in_order(table: TableSpec, rows: Iterator[Row]) -> Iterator[Row]:
    if table.many:
        yield from rows
        return
    for _, group in groupby(rows, itemgetter(*table.leading)):
        yield from _sorted(table, list(group))


def _sorted(table: TableSpec, group: list[Row]) -> list[Row]:
    seen: dict[tuple, int] = {}
    jobs: dict[str, int] = {}
    for place, row in enumerate(group, 1):
        row["@"] = place
        if table.jobs_in in row:
            row[table.jobs_in] = renumber_jobs(row[table.jobs_in], jobs)
        if table.numbered:
            like = tuple(row[part] for part in table.key if part != "#")
            row["#"] = seen[like] = seen.get(like, 0) + 1
    return sorted(group, key=lambda row: key_of(table, row))
