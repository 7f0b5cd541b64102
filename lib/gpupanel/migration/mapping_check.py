"""doctor --mapping: check a database whose tables have other names."""

from collections.abc import Iterator
from pathlib import Path

from ..doctor.findings import Finding, NOTE, OK, WRONG
from . import table_specs
from .compared_database import ComparedDatabase
from .mapping import ABSENT
from .table_specs import TABLES, TableSpec

ADVICE = "Name it in the mapping file, or mark it there as missing with `-`."


def check_database(conf: Path, mapping_file: Path) -> list[Finding]:
    """Return a finding for each missing table and column.

    Raises ConfigurationError for an invalid mapping.
    """
    with ComparedDatabase(conf, mapping_file).opened() as side:
        findings = [finding for table in TABLES for finding in _table(side, table)]
    return findings or [Finding("mapping", OK, f"{len(TABLES)} tables with their columns", "those of etc/schema.sql")]


def _table(side: ComparedDatabase, table: TableSpec) -> Iterator[Finding]:
    actual = side.mapping.table(table.name)
    if not side.has(table.name):
        level = NOTE if actual == ABSENT else WRONG
        yield Finding(f"table {table.name}", level, "missing", "a table to compare with", ADVICE)
        return
    for column in table_specs.compared_columns(table.name):
        if not side.has(table.name, column):
            ours_alone = (table.name, column) in table_specs.OURS_ONLY | table_specs.UNKNOWN_TO_PERL
            level = NOTE if ours_alone or side.mapping.column(table.name, column) == ABSENT else WRONG
            check = f"column {table.name}.{column}"
            yield Finding(check, level, f"missing in {actual}", "a column to compare with", ADVICE)
