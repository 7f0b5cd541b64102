"""Rows that the wanted table refuses: what makes a statement of `schema_script` fail, with the query that finds it."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from ..db import Database
from ..db.create_table import Column, Table
from ..errors import DatabaseUnavailableError, PanelError
from . import nature

FOREIGN = re.compile(r"FOREIGN KEY\((\w+)\) REFERENCES (\w+)\((\w+)\)")
LENGTH = re.compile(r"(?:var)?char\((\d+)\)")
FRACTIONS = ("decimal", "double", "float")
BLOBS = ("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob")
TIMES = ("datetime", "timestamp")
ACTIVE_JOBS = (
    "SELECT batch_id, COUNT(*) AS jobs FROM import_job WHERE state IN ('queued', 'running', 'held')"
    " GROUP BY batch_id HAVING COUNT(*) > 1"
)


class Obstacle(NamedTuple):
    """Rows that make a statement fail: `what` is `column x`, `index x` or `foreign key x` of a table, or `table`.

    Where no change of rows helps, `cause` says why and `remedy` what to do; there may be no row then.
    """

    table: str
    what: str
    rows: int
    query: str
    cause: str = ""
    remedy: str = ""

    @property
    def advice(self) -> str:
        """Return what to do first."""
        if self.cause:
            return f"{self.cause} {self.remedy} "
        return f"First correct the {self.rows:,} rows of: {self.query}. "

    @property
    def place(self) -> str:
        is_part = bool(self.table) and self.what != "table"
        return f"{self.what} of {self.table}" if is_part else f"{self.what} {self.table}".strip()

    def lines(self) -> Iterator[str]:
        """Yield the obstacle as text, a line each."""
        if self.cause:
            yield f"{self.place}: {self.cause}"
            yield f"  {self.remedy}"
            return
        yield f"{self.rows:,} rows come first, for {self.place}:"
        yield f"  {self.query};"


def find_obstacles(db: Database, table: str, what: str, wanted: Table, actual: Table) -> list[Obstacle]:
    """Return the rows that come first."""
    kind, _, name = what.rpartition(" ")
    if kind == "column" and (cause := nature.find_cause(table, name, wanted, actual)):
        query = f"SELECT * FROM {table} WHERE `{name}` IS NOT NULL" if name in actual.columns else ""
        return [Obstacle(table, what, _count(db, query) if query else 0, query, *cause)]
    if kind == "column" and (cause := nature.find_other_words(table, name, wanted, actual)):
        query = f"SELECT * FROM {table} WHERE `{name}` NOT IN {wanted.columns[name][0].type.removeprefix('enum')}"
        return [Obstacle(table, what, rows, query, *cause)] if (rows := _count(db, query)) else []
    queries = {"column": _of_column, "index": _of_index, "foreign key": _of_foreign_key}.get(kind)
    counts = ((query, _count(db, query)) for query in (queries(table, name, wanted, actual) if queries else ()))
    return [Obstacle(table, what, rows, query) for query, rows in counts if rows]


def _count(db: Database, query: str) -> int:
    """Count the rows of a query; none where its table or a column of it is missing, which is a finding of its own."""
    try:
        [row] = db.execute(f"SELECT COUNT(*) AS n FROM ({query}) AS found")
    except DatabaseUnavailableError:
        return 0
    except PanelError:  # rows that the query itself cannot convert
        return 1
    return int(row["n"])


def _of_column(table: str, name: str, wanted: Table, actual: Table) -> Iterator[str]:
    if not {name} <= wanted.columns.keys() & actual.columns.keys():
        return
    column: Column = wanted.columns[name][0]
    if column.generated:
        return
    for condition in _refused(f"`{name}`", column, actual.columns[name][0]):
        yield f"SELECT * FROM {table} WHERE {condition}"


def _refused(name: str, wanted: Column, actual: Column) -> Iterator[str]:
    """Return the conditions of values that the wanted type refuses."""
    if not wanted.nullable:
        yield f"{name} IS NULL"
    if wanted.type.startswith("enum("):
        yield f"{name} NOT IN {wanted.type.removeprefix('enum')}"
    if wanted.type == "json":
        yield f"{name} IS NOT NULL AND NOT JSON_VALID({name})"
    if wanted.collation.startswith("ascii") and not actual.collation.startswith("ascii"):
        yield f"{name} <> CONVERT({name} USING ascii)"
    if (length := LENGTH.match(wanted.type)) and wanted.type != actual.type:
        yield f"CHAR_LENGTH({name}) > {length[1]}"
    if wanted.type.endswith(" unsigned") and not actual.type.endswith(" unsigned"):
        yield f"{name} < 0"
    if wanted.type.startswith("datetime"):
        yield _no_time(name, actual.type)
    if wanted.collation and actual.type.startswith(BLOBS):
        yield f"BINARY CONVERT({name} USING utf8mb4) <> {name}"  # bytes that are no characters
    if "int" in wanted.type and actual.type.startswith(FRACTIONS):
        yield f"{name} <> TRUNCATE({name}, 0)"
    if "int" in wanted.type and actual.collation:
        yield f"{name} NOT REGEXP '^-?[0-9]+$'"


def _no_time(name: str, kind: str) -> str:
    """Return the condition of zero dates, and of texts that are no times."""
    if kind.startswith(TIMES):
        return f"{name} < '1000-01-01'"
    return f"{name} IS NOT NULL AND CAST({name} AS DATETIME(6)) IS NULL"


def _of_index(table: str, name: str, wanted: Table, actual: Table) -> Iterator[str]:
    unique, columns = wanted.indexes[name]
    if (table, name) == ("import_job", "one_active_job_a_batch"):
        yield ACTIVE_JOBS
    elif unique and all(column in actual.columns for column in columns.split(",")):
        present = " AND ".join(f"{column} IS NOT NULL" for column in columns.split(","))
        yield (
            f"SELECT {columns}, COUNT(*) AS `rows` FROM {table} WHERE {present}"
            f" GROUP BY {columns} HAVING COUNT(*) > 1"
        )


def _of_foreign_key(table: str, name: str, wanted: Table, actual: Table) -> Iterator[str]:
    match = FOREIGN.search(wanted.foreign[name])
    if match and match[1] in actual.columns:
        column, parent, key = match.groups()
        yield (
            f"SELECT c.* FROM {table} c LEFT JOIN {parent} p ON p.{key} = c.{column}"
            f" WHERE c.{column} IS NOT NULL AND p.{key} IS NULL"
        )
