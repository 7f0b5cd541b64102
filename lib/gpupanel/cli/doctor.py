"""gpupanel doctor: check the installation."""

from importlib import import_module

from .. import doctor
from ..doctor.findings import Finding
from .context import CommandContext
from .output import format_cell


def run(context: CommandContext) -> int:
    """JSON: [{check, level: ok | note | wrong, found, expected, advice}]."""
    findings = _check_mapping(context) if context.args.mapping else doctor.run_checks(context.settings)
    lines = [line for finding in findings for line in _format(finding)]
    context.emit([finding._asdict() for finding in findings], lines)
    return 1 if any(finding.level == doctor.WRONG for finding in findings) else 0


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
