"""gpupanel restore-archive: bring the rows of an archive back into the database."""

from dataclasses import asdict

from ..archive import RestoreReport, Restorer
from .context import CommandContext
from .output import format_counts, format_section


def run(context: CommandContext) -> int:
    """Bring back all batches of a file, or some.

    JSON: {batches: [SYNC_ID], rows: {kind: n}, replanned: [SYNC_ID], superseded: [SYNC_ID]}.
    """
    report = Restorer(context.db, context.args.file, context.actor).run(context.sync_ids())
    context.emit(asdict(report), _format(report))
    return 0


def _format(report: RestoreReport) -> list[str]:
    return [
        f"Restored: {format_counts(report.rows)}",
        *format_section("Batches:", ((sync_id,) for sync_id in report.batches)),
        *format_section(
            "Their items stay as they are, restored or planned before:", ((sync_id,) for sync_id in report.replanned)
        ),
        *format_section(
            "Their items are in a later archive, which is not restored:", ((sync_id,) for sync_id in report.superseded)
        ),
    ]
