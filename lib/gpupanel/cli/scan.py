"""gpupanel scan: record the bundles on the mount."""

from dataclasses import asdict

from .. import services
from ..scan_run import ScanReport
from .context import CommandContext
from .output import format_section


def run(context: CommandContext) -> int:
    """Scan the mount.

    JSON: {sentinels, known, discovered: [SYNC_ID], passed_over: {SYNC_ID: reason}, changed_upstream: [SYNC_ID],
    strays: [name], left: [SYNC_ID]}.
    """
    report = services.scan_mount(context.db, context.mount, context.actor, progress=context.progress("scan"))
    if context.args.json or not context.args.quiet or report.discovered:
        context.emit(asdict(report), _format(report))
    return 0


def _format(report: ScanReport) -> list[str]:
    return [
        f"{report.sentinels} found: {len(report.discovered)} new, {report.known} known,"
        f" {len(report.passed_over)} skipped.",
        *format_section("New:", ((sync_id,) for sync_id in report.discovered)),
        *format_section("Skipped:", sorted(report.passed_over.items())),
        *format_section(
            "Replaced by upstream since their last preflight:", ((each,) for each in report.changed_upstream)
        ),
        *format_section("Not the name of a bundle:", ((name,) for name in sorted(report.strays))),
        *format_section("Left for the next scan:", ((sync_id,) for sync_id in report.left)),
    ]
