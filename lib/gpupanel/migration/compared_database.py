"""One side of a comparison: its catalogue and its rows."""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

from .. import config
from ..db import Database
from ..errors import ConfigurationError, PanelError
from . import mapping as names
from . import table_specs
from .mapping import ABSENT, Catalogue, NameMapping
from .row_reader import Row, RowReader, Zones
from .select_builder import SelectBuilder
from .table_specs import TableSpec

COLUMNS = """SELECT TABLE_NAME t, COLUMN_NAME c, DATA_TYPE k, COLUMN_TYPE d, COLUMN_KEY = 'PRI' p
             FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() ORDER BY TABLE_NAME, ORDINAL_POSITION"""
FOREIGN_KEYS = """SELECT TABLE_NAME t, COLUMN_NAME c, REFERENCED_TABLE_NAME r FROM information_schema.KEY_COLUMN_USAGE
                  WHERE TABLE_SCHEMA = DATABASE() AND REFERENCED_TABLE_SCHEMA = DATABASE()"""
# One side may wait long while the other one sorts, or reads rows that only it has.
STATEMENT_TIMEOUT_SECONDS = 24 * 3600
BINARY_TYPES = {"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"}
LONG_TYPES = {"text", "mediumtext", "longtext", "blob", "mediumblob", "longblob"}
SAMPLE_LENGTH = 65_536  # characters or bytes of a value
HEX = re.compile(r"([0-9a-fA-F]{2})+")
NO_TABLES = "this account can read none of the tables to compare"
MAX_NAMED_COLUMNS = 6  # of a message


class UnreadableSideError(PanelError):
    """A side cannot be read; the comparison has no result."""

    message = "A side cannot be read."
    hint = "Nothing was compared to the end, and nothing was written to the databases."


class ComparedDatabase:
    """A database to compare, read in one snapshot.

    Its account needs only SELECT.
    """

    def __init__(self, conf: Path, mapping_file: Path | None = None, label: str = "", side: str = ""):
        """Raises ConfigurationError."""
        self.settings = config.load(conf).database
        self.mapping = names.load_mapping(mapping_file) if mapping_file else NameMapping()
        self.mapping_file = mapping_file
        self.label = label or str(conf)
        self.side = f"the {side} side" if side else "the database"
        self._db = Database(self.settings, read_timeout=STATEMENT_TIMEOUT_SECONDS, keeps_zero_dates=True)
        self.catalogue: Catalogue = {}
        self.types: dict[tuple[str, str], str] = {}
        self.definitions: dict[tuple[str, str], str] = {}
        self.primary: dict[str, list[str]] = {}
        self.foreign: dict[tuple[str, str], str] = {}
        self.converted: Counter[tuple[str, str, str]] = Counter()

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
        try:
            with self._named("its tables"):
                self._prepare()
            if problems := names.check_mapping(self.mapping, self.catalogue):
                raise ConfigurationError(f"{self.mapping_file} does not fit {self.place}", problems, names.HINT)
            with ExitStack() as stack:
                with self._named("its tables"):
                    self._tx = stack.enter_context(self._db.reading())
                yield self
        finally:
            self._db.close()

    def _prepare(self) -> None:
        self._db.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        for timeout in ("net_write_timeout", "net_read_timeout"):
            self._db.execute(f"SET SESSION {timeout} = {STATEMENT_TIMEOUT_SECONDS}")
        for row in self._db.execute(COLUMNS):
            self.catalogue.setdefault(row["t"], set()).add(row["c"])
            self.types[row["t"], row["c"]] = row["k"].lower()
            self.definitions[row["t"], row["c"]] = row["d"]
            if row["p"]:
                self.primary.setdefault(row["t"], []).append(row["c"])
        self.foreign = {(row["t"], row["c"]): row["r"] for row in self._db.execute(FOREIGN_KEYS)}

    @contextmanager
    def _named(self, what: str) -> Iterator[None]:
        """Name side, table and columns in each failure to read. Raises UnreadableSideError."""
        try:
            yield
        except (ConfigurationError, UnreadableSideError):
            raise
        # The driver fails with errors of any class when a connection ends, or a value is none of its type.
        except Exception as error:
            text = " ".join(str(error).split()) or type(error).__name__
            raise UnreadableSideError(f"{self.side} ({self.place}): cannot read {what}: {text}") from error

    # ------------------------------------------------------------------------------------------- catalogue

    def has(self, table: str, column: str | None = None) -> bool:
        """Return whether the side has this table or column, under its own name."""
        actual = self.mapping.table(table)
        columns = self.catalogue.get(actual)
        if actual == ABSENT or columns is None or column is None:
            return actual != ABSENT and columns is not None
        return self.mapping.column(table, column) in columns

    def require_tables(self) -> None:
        """Raise UnreadableSideError for a side with none of the tables."""
        if not any(self.has(table.name) for table in table_specs.TABLES):
            text = f"{self.side} ({self.place}): {NO_TABLES}"
            raise UnreadableSideError(text, "Name its tables in a mapping file; `compare schemas` proposes one.")

    def unknown_columns(self, table: str, expected: list[str]) -> list[str]:
        """Return the columns without a counterpart in etc/schema.sql."""
        ours = {self.mapping.column(table, column) for column in expected}
        return sorted(self.catalogue.get(self.mapping.table(table), set()) - ours)

    # --------------------------------------------------------------------------------------------------- rows

    def count(self, table: TableSpec) -> int:
        """Count the rows of a table. Raises UnreadableSideError."""
        return self.count_rows(self.mapping.table(table.name))

    def count_rows(self, actual: str) -> int:
        """Count the rows of a table by its own name. Raises UnreadableSideError."""
        with self._named(f"table {actual}"):
            return next(iter(list(self._tx.stream_sql(f"SELECT COUNT(*) AS n FROM `{actual}`"))))["n"]

    def rows(self, table: TableSpec, paths: list[str]) -> Iterator[Row]:
        """Yield the rows in the order of the key as bytes, in bounded memory.

        Rows lack the paths that this side lacks. `#` is the number of a row among rows with an otherwise equal key, `@`
        its number in its bundle. Raises UnreadableSideError.
        """
        paths = list(dict.fromkeys([*table.key, *paths]))
        return _in_order(table, self._read(table, paths, SelectBuilder(self, table).statement(paths), {}))

    def among(self, table: TableSpec, paths: list[str], where: dict[str, list]) -> list[Row]:
        """Return the rows in which each path of `where` has one of its values. Raises UnreadableSideError."""
        paths = list(dict.fromkeys([*table.key, *paths]))
        statement = SelectBuilder(self, table).statement(paths, where)
        params = {f"w{number}": self._stored(table, *where_of) for number, where_of in enumerate(where.items())}
        return list(_in_order(table, self._read(table, paths, statement, params)))

    def sample(self, table: str, columns: list[str], limit: int) -> list[Row]:
        """Return the first and the last rows of a table of this database, by its own names, and no row twice.

        A side that has run for years and one that is new have their last rows in common. Of a long text or BLOB its
        beginning is read. Raises UnreadableSideError.
        """
        listed = self._listed(table, columns)
        with self._named(f"table {table} ({', '.join(columns)})"):
            key = self.primary.get(table, [])
            if len(key) != 1:
                return list(self._tx.stream_sql(f"SELECT {listed} FROM `{table}` LIMIT {int(limit)}"))
            return self._ends(table, listed, key[0], limit // 2)

    def sample_among(self, table: str, columns: list[str], key: str, values: list, limit: int) -> list[Row]:
        """Return rows of a table of this database whose `key` has one of these values. Raises UnreadableSideError."""
        if not values:
            return []
        listed = self._listed(table, columns)
        statement = f"SELECT {listed} FROM `{table}` WHERE `{key}` IN %(values)s LIMIT {int(limit)}"
        with self._named(f"table {table} ({', '.join(columns)})"):
            return list(self._tx.stream_sql(statement, values=values))

    def _listed(self, table: str, columns: list[str]) -> str:
        return ", ".join(
            f"LEFT(`{column}`, {SAMPLE_LENGTH}) AS `{column}`" if self.types.get((table, column)) in LONG_TYPES
            else f"`{column}`" for column in columns
        )

    def _ends(self, table: str, listed: str, key: str, limit: int) -> list[Row]:
        """Return the first and the last rows in the order of the primary key."""
        rows: dict[Any, Row] = {}
        for order in ("ASC", "DESC"):
            statement = f"SELECT {listed}, `{key}` AS `#` FROM `{table}` ORDER BY `{key}` {order} LIMIT {int(limit)}"
            for row in self._tx.stream_sql(statement):
                rows[row.pop("#")] = row
        return list(rows.values())

    def count_among(self, table: str, column: str, values: list) -> int:
        """Return how many of these values a key of a table of this database has. Raises UnreadableSideError."""
        statement = f"SELECT COUNT(DISTINCT `{column}`) AS n FROM `{table}` WHERE `{column}` IN %(values)s"
        with self._named(f"table {table} ({column})"):
            return next(iter(list(self._tx.stream_sql(statement, values=values))))["n"] if values else 0

    def _read(self, table: TableSpec, paths: list[str], statement: str, params: Row) -> Iterator[Row]:
        reader = RowReader(table, paths, self._zones, self.converted)
        own = [self.mapping.column(table.name, path) for path in paths if path != "#" and "." not in path]
        columns = ", ".join(own[:MAX_NAMED_COLUMNS]) + (", ..." if len(own) > MAX_NAMED_COLUMNS else "")
        with self._named(f"table {self.mapping.table(table.name)} ({columns})"):
            yield from reader.read(self._tx.stream_sql(statement, **params))

    def _type(self, table: str, column: str) -> str:
        """Return the type here of a column of etc/schema.sql."""
        return self.types.get((self.mapping.table(table), self.mapping.column(table, column)), "")

    def is_binary(self, table: str, column: str) -> bool:
        """Return whether a column of etc/schema.sql is stored as bytes here."""
        return self._type(table, column) in BINARY_TYPES

    @property
    def _zones(self) -> Zones:
        columns = ((table, column) for table in table_specs.BY_NAME for column in table_specs.column_types(table))
        return Zones(self.mapping.zone, {place for place in columns if self._type(*place) == "timestamp"})

    def _stored(self, table: TableSpec, path: str, values: list) -> list:
        """Return values as this side stores them."""
        place = table_specs.end_of(table.name, path)
        words = self.mapping.words.get(place, {})
        theirs = [word for word, ours in words.items() if ours in values]
        values = theirs + [value for value in values if value not in words.values()]
        if not table_specs.is_hash(path) or not self.is_binary(*place):
            return values
        digits = [value.replace("-", "") for value in values]
        return values + [bytes.fromhex(text) for text in digits if HEX.fullmatch(text)]


def key_of(table: TableSpec, row: Row) -> tuple:
    """Return the natural key of a row; NULL counts as empty, and digests have no case."""
    return tuple(key_part(part, row[part]) for part in table.key)


def key_part(path: str, value: Any) -> Any:
    """Return a value as part of a natural key."""
    if path.rpartition(".")[2] == "#":
        return value
    text = "" if value is None else str(value)
    return text.lower() if table_specs.is_hash(path) else text


def _in_order(table: TableSpec, rows: Iterator[Row]) -> Iterator[Row]:
    if table.many:
        yield from rows
        return
    for _, group in groupby(rows, lambda row: [key_part(part, row[part]) for part in table.leading]):
        yield from _sorted(table, list(group))


def _sorted(table: TableSpec, group: list[Row]) -> list[Row]:
    numbers: dict[tuple, int] = {}
    for number, row in enumerate(group, 1):
        row["@"] = number
        if table.numbered:
            others = tuple(row[part] for part in table.key if part != "#")
            row["#"] = numbers[others] = numbers.get(others, 0) + 1
    return sorted(group, key=lambda row: key_of(table, row))
