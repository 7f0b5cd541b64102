"""gpupanel doctor: check the installation."""

from contextlib import closing
from importlib import import_module

from .. import doctor
from ..db import Database
from ..doctor.findings import Finding
from ..doctor.schema_script import schema_script
from .context import CommandContext
from .output import format_cell

OBSTACLE_SECONDS = 3600  # a query that counts rows reads a whole table


def run(context: CommandContext) -> int:
    """JSON: [{check, level: ok | note | wrong, found, expected, advice}]."""
    if context.args.statements:
        return _print_statements(context)
    findings = _check_mapping(context) if context.args.mapping else doctor.run_checks(context.settings)
    lines = [line for finding in findings for line in _format(finding)]
    context.emit([finding._asdict() for finding in findings], lines)
    return 1 if any(finding.level == doctor.WRONG for finding in findings) else 0


def _print_statements(context: CommandContext) -> int:
    """Print a script; return 1 if it has obstacles.

    JSON: {obstacles: [{table, what, rows, query, cause, remedy}], statements}.
    """
    with closing(Database(context.settings.database, read_timeout=OBSTACLE_SECONDS)) as db:
        script = schema_script(db, context.settings)
    obstacles = [obstacle._asdict() for obstacle in script.obstacles]
    context.emit({"obstacles": obstacles, "statements": script.statements}, script.lines())
    return 1 if obstacles else 0


def _check_mapping(context: CommandContext) -> list[Finding]:
    """Check a database whose tables have other names.

    The migration package goes after the cutover.
    """
    mapping_check = import_module("gpupanel.migration.mapping_check")
    return mapping_check.check_database(context.settings.path, context.args.mapping)


def _format(finding: Finding) -> list[str]:
    lines = [f"{finding.level:5}  {format_cell(finding.check)}: {format_cell(finding.found)}"]
    if finding.level != "ok":
        lines += [f"       expected: {format_cell(finding.expected)}", f"       to do: {format_cell(finding.advice)}"]
    return lines
