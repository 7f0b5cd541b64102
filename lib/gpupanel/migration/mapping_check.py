"""doctor --mapping: whether a database with other names has what a comparison, or a switch to this system, needs."""

from collections.abc import Iterator
from pathlib import Path

from ..doctor.finding import NOTE, OK, WRONG, Finding
from . import table_specs
from .compared_database import ComparedDatabase
from .mapping import ABSENT
from .table_specs import TABLES, TableSpec

ADVICE = "Name it in the mapping file, or say there that it is absent with `-`."


def check_mapping(conf: Path, mapping_file: Path) -> list[Finding]:
    """A finding for each table and column that the database lacks. Raises ConfigurationError for a mapping that is wrong."""
    with ComparedDatabase(conf, mapping_file).opened() as side:
        findings = [finding for table in TABLES for finding in _table(side, table)]
    return findings or [Finding("mapping", OK, f"{len(TABLES)} tables with their columns", "those of etc/schema.sql")]


def _table(side: ComparedDatabase, table: TableSpec) -> Iterator[Finding]:
    actual = side.mapping.table(table.name)
    if not side.has(table.name):
        yield Finding(f"table {table.name}", NOTE if actual == ABSENT else WRONG, "missing", "a table to compare it with", ADVICE)
        return
    for column in table_specs.compared_columns(table.name):
        if not side.has(table.name, column):
            level = NOTE if side.mapping.column(table.name, column) == ABSENT else WRONG
            yield Finding(f"column {table.name}.{column}", level, f"missing in {actual}", "a column to compare it with", ADVICE)
