"""Rows that the wanted table refuses: what makes a statement of `schema_script` fail, with the query that finds it."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from ..db import Database
from ..db.create_table import Column, Table
from ..errors import DatabaseUnavailableError, PanelError
from . import nature, words

FOREIGN = re.compile(r"FOREIGN KEY\((\w+)\) REFERENCES (\w+)\((\w+)\)")
LENGTH = re.compile(r"(?:var)?char\((\d+)\)")
LITERAL = re.compile(r"'(?:[^']|'')*'|\d+")
NO_TIMES = "'', '0', '0000-00-00', '0000-00-00 00:00:00'"  # texts that stand for no time
FRACTIONS = ("decimal", "double", "float")
TIMES = ("date", "timestamp")
ACTIVE = "state IN ('queued', 'running', 'held')"
ACTIVE_JOBS = (
    f"SELECT batch_id, COUNT(*) AS jobs FROM import_job WHERE {ACTIVE}"
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
    """Return the rows with capital letters or a prefix in a digest, or with words that are none of ours."""
    if not {name} <= wanted.columns.keys() & actual.columns.keys():
        return []
    if other := words.find_other_words(db, table, name, wanted.columns[name][0], actual):
        return [Obstacle(table, f"column {name}", *other)]
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
    for condition, sentence, value in _refused(f"`{name}`", column, actual.columns[name][0]):
        yield f"SELECT * FROM {table} WHERE {condition}", _changed(table, name, condition, sentence, value, actual)
    if _may_be_no_text(column, actual.columns[name][0]):
        condition = f"BINARY CONVERT(`{name}` USING utf8mb4) <> `{name}`"
        yield f"SELECT * FROM {table} WHERE {condition}", (
            "Where they are latin1, and the Perl programs write UTF-8 from now on: SET SESSION sql_mode = '';"
            f" UPDATE {table} SET `{name}` = CONVERT(CONVERT(`{name}` USING latin1) USING utf8mb4)"
            f"{nature.kept_times(actual)} WHERE {condition};"
        )


def _may_be_no_text(wanted: Column, actual: Column) -> bool:
    """Return whether bytes become characters."""
    return bool(nature.BYTES.match(actual.type)) and bool(wanted.collation or wanted.type == "json")


def _changed(table: str, name: str, condition: str, sentence: str, value: str, actual: Table) -> str:
    """Return the statements that give the rows another value; <VALUE> is a syntax error until it is replaced."""
    # Strict sessions refuse a statement over rows with zero dates.
    mode = "SET SESSION sql_mode = ''; " if value == "NULL" or actual.columns[name][0].type.startswith(TIMES) else ""
    freed = f"{_nullable(table, name, actual).strip()} ".lstrip() if value == "NULL" else ""
    kept = nature.kept_times(actual, changed=name)
    return f"{sentence}: {mode}{freed}UPDATE {table} SET `{name}` = {value}{kept} WHERE {condition};"


def _nullable(table: str, name: str, actual: Table) -> str:
    """Return the statement by which a column may be NULL, if it may not."""
    column, definition = actual.columns[name]
    if column.nullable:
        return ""
    kind = definition.partition(" NOT NULL")[0]
    return f" ALTER TABLE {table} MODIFY `{name}` {kind} NULL;"


def _refused(name: str, wanted: Column, actual: Column) -> Iterator[tuple[str, str, str]]:
    """Yield (condition, sentence, value to write) of values that the wanted type refuses.

    Only an empty text or a zero date stands for none.
    """
    by_hand = (f"Write what is right for <VALUE>{', NULL for none' * wanted.nullable}", "<VALUE>")
    none = ("Where they stand for none", "NULL") if wanted.nullable else by_hand
    # Without the second condition: MariaDB finds zero dates of a NOT NULL column by IS NULL.
    if not wanted.nullable and actual.nullable:
        default = wanted.default if LITERAL.fullmatch(wanted.default) and not nature.words_of(wanted) else ""
        why = "The Perl programs must write no NULL from now on"
        told = f"{why}; this system's default is" if default else f"{why}; write what is right for <VALUE>"
        yield f"{name} IS NULL", told, default or "<VALUE>"
    if wanted.type.startswith("enum("):
        yield f"CAST({name} AS CHAR) = ''", *none
    if wanted.type == "json":
        yield f"{name} = ''", *none
        yield f"{name} <> '' AND NOT JSON_VALID({name})", *by_hand
    if wanted.collation.startswith("ascii") and not actual.collation.startswith("ascii"):
        yield f"{name} <> CONVERT({name} USING ascii)", *by_hand
    if (length := LENGTH.match(wanted.type)) and wanted.type != actual.type:
        is_digest = nature.DIGITS.fullmatch(wanted.type) is not None
        shortened = (f"Where the first {length[1]} characters are enough", f"LEFT({name}, {length[1]})")
        yield f"CHAR_LENGTH({name}) > {length[1]}", *(by_hand if is_digest else shortened)
    if wanted.type.endswith(" unsigned") and not actual.type.endswith(" unsigned"):
        yield f"{name} < 0", *by_hand
    if wanted.type.startswith("datetime"):
        no_time = ("Write the time that is known best for <VALUE>, such as '1970-01-02'", "<VALUE>")
        yield _no_time(name, actual.type), *(none if wanted.nullable else no_time)
        if not actual.type.startswith(TIMES):
            yield f"{name} NOT IN ({NO_TIMES}) AND CAST({name} AS DATETIME(6)) IS NULL", *by_hand
    if "int" in wanted.type and actual.type.startswith(FRACTIONS):
        yield f"{name} <> TRUNCATE({name}, 0)", "Where whole numbers are enough", f"ROUND({name})"
    if "int" in wanted.type and actual.collation:
        yield f"{name} = ''", *none
        yield f"{name} <> '' AND {name} NOT REGEXP '^-?[0-9]+$'", *by_hand


def _no_time(name: str, kind: str) -> str:
    """Return the condition of zero dates, and of texts that stand for no time."""
    return f"{name} < '1000-01-01'" if kind.startswith(TIMES) else f"{name} IN ({NO_TIMES})"


def _of_index(table: str, name: str, wanted: Table, actual: Table) -> Iterator[tuple[str, str]]:
    unique, columns = wanted.indexes[name]
    if (table, name) == ("import_job", "one_active_job_a_batch"):
        yield ACTIVE_JOBS, _one_active_job(actual)
    elif unique and all(column in actual.columns for column in columns.split(",")):
        present = " AND ".join(f"{column} IS NOT NULL" for column in columns.split(","))
        yield (
            f"SELECT {columns}, COUNT(*) AS `rows` FROM {table} WHERE {present}"
            f" GROUP BY {columns} HAVING COUNT(*) > 1"
        ), _without_twins(table, columns, present, actual)


def _one_active_job(actual: Table) -> str:
    """Return the statement that cancels all active jobs of a batch but one: the running one, else the first."""
    ended = ", j.finished_at = COALESCE(j.finished_at, NOW())" if "finished_at" in actual.columns else ""
    return (
        f"The rows: SELECT * FROM import_job WHERE {ACTIVE} ORDER BY batch_id, id; When no worker is at work,"
        " cancel all but one of each batch, in the session of the Perl side's zone: UPDATE import_job j JOIN (SELECT"
        f" batch_id, COALESCE(MIN(IF(state = 'running', id, NULL)), MIN(id)) AS kept FROM import_job WHERE {ACTIVE}"
        f" GROUP BY batch_id) k ON k.batch_id = j.batch_id SET j.state = 'canceled'{ended}"
        f"{nature.kept_times(actual, 'j.')} WHERE j.{ACTIVE} AND j.id <> k.kept;"
    )


def _without_twins(table: str, columns: str, present: str, actual: Table) -> str:
    """Return the query of the rows that have the same key, and how one of them is left."""
    same = " AND ".join(f"t.{column} = d.{column}" for column in columns.split(","))
    groups = f"(SELECT {columns}{{0}} FROM {table} WHERE {present} GROUP BY {columns} HAVING COUNT(*) > 1) d"
    order = ", ".join(f"d.{column}" for column in columns.split(","))
    rows = f"The rows: SELECT t.* FROM {table} t JOIN {groups.format('')} ON {same} ORDER BY {order}; "
    if actual.indexes.get("PRIMARY", (True, ""))[1] != "id" or columns == "id":
        return f"{rows}Leave one of each, or give the others values of their own."
    if table in nature.REFERRED:
        return (
            f"{rows}Leave one of each: let the rows that refer to the others refer to it, copy the others into a table"
            " of their own, and delete them."
        )
    found = f"{table} t JOIN {groups.format(', MAX(id) AS kept')} ON {same} WHERE t.id <> d.kept"
    moved = _moved(table, f"{table}_twins", f"SELECT t.* FROM {found}")
    return f"{rows}To leave the newest of each, move the others: {moved}"


def _moved(table: str, copy: str, query: str) -> str:
    """Return the statements that move rows into a table of their own; only rows that are in the copy are deleted."""
    return f"CREATE TABLE {copy} AS {query}; DELETE t FROM {table} t JOIN {copy} k ON k.id = t.id;"


def _of_foreign_key(table: str, name: str, wanted: Table, actual: Table) -> Iterator[tuple[str, str]]:
    match = FOREIGN.search(wanted.foreign[name])
    if match and match[1] in actual.columns:
        column, parent, key = match.groups()
        lost = f"c.{column} IS NOT NULL AND p.{key} IS NULL"
        joined = f"{table} c LEFT JOIN {parent} p ON p.{key} = c.{column}"
        may_be_none = wanted.columns[column][0].nullable
        if may_be_none:
            remedy = _without_reference(table, column, joined, lost, actual)
        else:
            remedy = _without_orphans(table, column, parent, f"SELECT c.* FROM {joined} WHERE {lost}", actual)
        yield f"SELECT c.* FROM {joined} WHERE {lost}", remedy


def _without_reference(table: str, column: str, joined: str, lost: str, actual: Table) -> str:
    return (
        "Where they refer to no row, and the Perl programs write NULL for none from now on:"
        f"{_nullable(table, column, actual)} UPDATE {joined} SET c.{column} = NULL"
        f"{nature.kept_times(actual, 'c.')} WHERE {lost};"
    )


def _without_orphans(table: str, column: str, parent: str, query: str, actual: Table) -> str:
    known = f"Where their rows of {parent} can be restored, restore them. "
    if actual.indexes.get("PRIMARY", (True, ""))[1] != "id":
        return f"{known}Otherwise copy these rows into a table of their own, and delete them."
    return f"{known}Otherwise move these rows: {_moved(table, f'{table}_without_{column}', query)}"
