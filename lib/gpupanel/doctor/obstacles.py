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
BLOBS = re.compile(r"(?:var)?binary|(?:tiny|medium|long)?blob")
TIMES = ("datetime", "timestamp")
ACTIVE_JOBS = (
    "SELECT batch_id, COUNT(*) AS jobs FROM import_job WHERE state IN ('queued', 'running', 'held')"
    " GROUP BY batch_id HAVING COUNT(*) > 1"
)


class Obstacle(NamedTuple):
    """Rows that make a statement fail: `what` is `column x`, `index x` or `foreign key x` of a table, or `table`.

    Where no change of rows helps, `cause` says why; there may be no row then. `remedy` says what to do.
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
        return f"First correct the {self.rows:,} rows of: {self.query}. {self.remedy}".strip() + " "

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
        if self.remedy:
            yield f"  {self.remedy}"


def find_obstacles(db: Database, table: str, what: str, wanted: Table, actual: Table) -> list[Obstacle]:
    """Return the rows that come first."""
    kind, _, name = what.rpartition(" ")
    if kind == "column" and (cause := nature.find_cause(table, name, wanted, actual)):
        query = f"SELECT * FROM {table} WHERE `{name}` IS NOT NULL" if name in actual.columns else ""
        return [Obstacle(table, what, _count(db, query) if query else 0, query, *cause)]
    if kind == "column" and (found := _of_letters(db, table, name, wanted, actual)):
        return found
    return _rows_of(db, table, what, wanted, actual)


def find_in_unchanged(db: Database, table: str, names: list[str], wanted: Table, actual: Table) -> list[Obstacle]:
    """Return capital letters and zero dates in columns whose type is the wanted one; the table is read once."""
    kinds = {name: wanted.columns[name][0].type for name in names}
    conditions = {name: nature.CAPITALS.format(f"`{name}`") for name in names if nature.DIGITS.fullmatch(kinds[name])}
    conditions |= {name: _no_time(f"`{name}`", kind) for name, kind in kinds.items() if kind.startswith("datetime")}
    counts = ", ".join(f"COUNT(IF({condition}, 1, NULL)) AS `{name}`" for name, condition in conditions.items())
    found = db.execute(f"SELECT {counts} FROM {table}")[0] if counts else {}
    return [
        obstacle for name, rows in found.items() if rows
        for obstacle in (
            _of_letters(db, table, name, wanted, actual) or _rows_of(db, table, f"column {name}", wanted, actual)
        )
    ]


def _of_letters(db: Database, table: str, name: str, wanted: Table, actual: Table) -> list[Obstacle]:
    """Return the rows with capital letters in a digest, or with words that are none of ours or have other letters."""
    if not {name} <= wanted.columns.keys() & actual.columns.keys():
        return []
    causes = nature.find_other_letters(table, name, wanted.columns[name][0], actual)
    counts = ((query, cause, _count(db, query)) for query, cause in causes)
    return [Obstacle(table, f"column {name}", rows, query, *cause) for query, cause, rows in counts if rows]


def _rows_of(db: Database, table: str, what: str, wanted: Table, actual: Table) -> list[Obstacle]:
    """Return the rows that the wanted table refuses."""
    kind, _, name = what.rpartition(" ")
    queries = {"column": _of_column, "index": _of_index, "foreign key": _of_foreign_key}.get(kind)
    counts = ((*each, _count(db, each[0])) for each in (queries(table, name, wanted, actual) if queries else ()))
    return [Obstacle(table, what, rows, query, remedy=remedy) for query, remedy, rows in counts if rows]


def _count(db: Database, query: str) -> int:
    """Count the rows of a query; none where its table or a column of it is missing, which is a finding of its own."""
    try:
        [row] = db.execute(f"SELECT COUNT(*) AS n FROM ({query}) AS found")
    except DatabaseUnavailableError:
        return 0
    except PanelError:  # rows that the query itself cannot convert
        return 1
    return int(row["n"])


def _of_column(table: str, name: str, wanted: Table, actual: Table) -> Iterator[tuple[str, str]]:
    """Yield (query, remedy) of rows."""
    if not {name} <= wanted.columns.keys() & actual.columns.keys():
        return
    column: Column = wanted.columns[name][0]
    if column.generated:
        return
    for condition, stands_for_none in _refused(f"`{name}`", column, actual.columns[name][0]):
        remedy = _emptied(table, name, condition, actual) if stands_for_none and column.nullable else ""
        yield f"SELECT * FROM {table} WHERE {condition}", remedy
    if _may_be_no_text(column, actual.columns[name][0]):
        condition = f"BINARY CONVERT(`{name}` USING utf8mb4) <> `{name}`"
        yield f"SELECT * FROM {table} WHERE {condition}", (
            "Where they are latin1, and the Perl programs write UTF-8 from now on: SET SESSION sql_mode = '';"
            f" UPDATE {table} SET `{name}` = CONVERT(CONVERT(`{name}` USING latin1) USING utf8mb4)"
            f"{nature.kept_times(actual)} WHERE {condition};"
        )


def _may_be_no_text(wanted: Column, actual: Column) -> bool:
    """Return whether bytes become characters."""
    return bool(BLOBS.match(actual.type)) and bool(wanted.collation or wanted.type == "json")


def _emptied(table: str, name: str, condition: str, actual: Table) -> str:
    """Return the statements by which values that stand for none become NULL."""
    return (
        f"Where they stand for none: SET SESSION sql_mode = '';{_nullable(table, name, actual)} UPDATE {table} SET"
        f" `{name}` = NULL{nature.kept_times(actual)} WHERE {condition};"
    )


def _nullable(table: str, name: str, actual: Table) -> str:
    """Return the statement by which a column may be NULL, if it may not."""
    column, definition = actual.columns[name]
    if column.nullable:
        return ""
    kind = definition.partition(" NOT NULL")[0]
    return f" ALTER TABLE {table} MODIFY `{name}` {kind} NULL;"


def _refused(name: str, wanted: Column, actual: Column) -> Iterator[tuple[str, bool]]:
    """Yield (condition, whether it is one of values that stand for none) of values that the wanted type refuses."""
    if not wanted.nullable:
        yield f"{name} IS NULL", False
    if wanted.type.startswith("enum("):
        yield f"{name} NOT IN {wanted.type.removeprefix('enum')}", True
    if wanted.type == "json":
        yield f"{name} IS NOT NULL AND NOT JSON_VALID({name})", True
    if wanted.collation.startswith("ascii") and not actual.collation.startswith("ascii"):
        yield f"{name} <> CONVERT({name} USING ascii)", False
    if (length := LENGTH.match(wanted.type)) and wanted.type != actual.type:
        yield f"CHAR_LENGTH({name}) > {length[1]}", False
    if wanted.type.endswith(" unsigned") and not actual.type.endswith(" unsigned"):
        yield f"{name} < 0", False
    if wanted.type.startswith("datetime"):
        yield _no_time(name, actual.type), True
    if "int" in wanted.type and actual.type.startswith(FRACTIONS):
        yield f"{name} <> TRUNCATE({name}, 0)", False
    if "int" in wanted.type and actual.collation:
        yield f"{name} NOT REGEXP '^-?[0-9]+$'", True


def _no_time(name: str, kind: str) -> str:
    """Return the condition of zero dates, and of texts that are no times."""
    if kind.startswith(TIMES):
        return f"{name} < '1000-01-01'"
    return f"{name} IS NOT NULL AND CAST({name} AS DATETIME(6)) IS NULL"


def _of_index(table: str, name: str, wanted: Table, actual: Table) -> Iterator[tuple[str, str]]:
    unique, columns = wanted.indexes[name]
    if (table, name) == ("import_job", "one_active_job_a_batch"):
        yield ACTIVE_JOBS, ""
    elif unique and all(column in actual.columns for column in columns.split(",")):
        present = " AND ".join(f"{column} IS NOT NULL" for column in columns.split(","))
        yield (
            f"SELECT {columns}, COUNT(*) AS `rows` FROM {table} WHERE {present}"
            f" GROUP BY {columns} HAVING COUNT(*) > 1"
        ), ""


def _of_foreign_key(table: str, name: str, wanted: Table, actual: Table) -> Iterator[tuple[str, str]]:
    match = FOREIGN.search(wanted.foreign[name])
    if match and match[1] in actual.columns:
        column, parent, key = match.groups()
        lost = f"c.{column} IS NOT NULL AND p.{key} IS NULL"
        joined = f"{table} c LEFT JOIN {parent} p ON p.{key} = c.{column}"
        may_be_none = wanted.columns[column][0].nullable
        remedy = _without_reference(table, column, joined, lost, actual) if may_be_none else ""
        yield f"SELECT c.* FROM {joined} WHERE {lost}", remedy


def _without_reference(table: str, column: str, joined: str, lost: str, actual: Table) -> str:
    return (
        "Where they refer to no row, and the Perl programs write NULL for none from now on:"
        f"{_nullable(table, column, actual)} UPDATE {joined} SET c.{column} = NULL"
        f"{nature.kept_times(actual, 'c.')} WHERE {lost};"
    )
