"""doctor --mapping: check a database whose tables have other names."""

from collections.abc import Iterator
from pathlib import Path

from ..doctor.findings import Finding, OK, WRONG
from . import table_specs
from .compared_database import ComparedDatabase
from .mapping import ABSENT
from .table_specs import TABLES, TableSpec

ADVICE = "Name it in the mapping file, or mark it there as missing with `-`."
OURS = table_specs.OURS_ONLY | table_specs.UNKNOWN_TO_PERL


def check_database(conf: Path, mapping_file: Path) -> list[Finding]:
    """Return a finding for each table and column that is missing, and not marked so.

    Raises ConfigurationError for an invalid mapping.
    """
    with ComparedDatabase(conf, mapping_file).opened() as side:
        findings = [finding for table in TABLES for finding in _table(side, table)]
    if any(finding.level == WRONG for finding in findings):
        return findings
    return [*findings, Finding("mapping", OK, "each table and column is named, or marked as missing", "the same")]


def _table(side: ComparedDatabase, table: TableSpec) -> Iterator[Finding]:
    actual = side.mapping.table(table.name)
    if not side.has(table.name):
        if actual != ABSENT:
            yield Finding(f"table {table.name}", WRONG, f"no table {actual}", "a table to compare with", ADVICE)
        return
    missing = [
        column for column in table_specs.compared_columns(table.name)
        if not side.has(table.name, column) and side.mapping.column(table.name, column) != ABSENT
    ]
    if ours := [column for column in missing if (table.name, column) in OURS]:
        expected = "nothing: no Perl side is known to have them"
        yield Finding(f"columns of {table.name} that this system added", OK, ", ".join(ours), expected)
    for column in missing:
        if (table.name, column) not in OURS:
            check = f"column {table.name}.{column}"
            yield Finding(check, WRONG, f"missing in {actual}", "a column to compare with", ADVICE)
