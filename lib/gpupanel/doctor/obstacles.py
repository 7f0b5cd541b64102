"""What makes a statement of `schema_diff` fail: rows that the wanted table refuses, with the query that finds them."""

import re
from collections.abc import Iterator

from ..db import Database
from ..db.create_table import Column, Table

FOREIGN = re.compile(r"FOREIGN KEY\((\w+)\) REFERENCES (\w+)\((\w+)\)")
ACTIVE_JOBS = (
    "SELECT batch_id, COUNT(*) AS jobs FROM import_job WHERE state IN ('queued', 'running', 'held')"
    " GROUP BY batch_id HAVING COUNT(*) > 1"
)


def find_obstacles(db: Database, table: str, what: str, wanted: Table, actual: Table) -> str:
    """Return a sentence with the rows that come first, or an empty text; `what` is `column x`, `index x`, ..."""
    kind, _, name = what.rpartition(" ")
    queries = {"column": _of_column, "index": _of_index, "foreign key": _of_foreign_key}.get(kind)
    if queries is None:
        return ""
    found = []
    for query in queries(table, name, wanted, actual):
        [row] = db.execute(f"SELECT COUNT(*) AS n FROM ({query}) AS found")
        if row["n"]:
            found.append(f"First correct the {row['n']:,} rows of: {query}. ")
    return "".join(found)


def _of_column(table: str, name: str, wanted: Table, actual: Table) -> Iterator[str]:
    column: Column = wanted.columns[name][0]
    if name not in actual.columns or column.generated:
        return
    if not column.nullable:
        yield f"SELECT * FROM {table} WHERE `{name}` IS NULL"
    if column.type.startswith("enum("):
        yield f"SELECT * FROM {table} WHERE `{name}` NOT IN {column.type.removeprefix('enum')}"
    if column.type == "json":
        yield f"SELECT * FROM {table} WHERE `{name}` IS NOT NULL AND NOT JSON_VALID(`{name}`)"


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
