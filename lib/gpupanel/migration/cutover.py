"""gpupanel cutover: the steps of a cutover that need more than one of the other commands."""

from ..cli.context import CommandContext
from ..cli.output import format_table
from ..db import Database, ReadTransaction
from ..text import pluralize
from . import time_conversion
from .time_conversion import ConversionReport, TO_LOCAL, TO_UTC

ACTIVE = """SELECT j.id, j.state, b.sync_id, j.worker FROM import_job j JOIN ingest_batch b ON b.id = j.batch_id
WHERE j.state IN ('queued', 'running', 'held') ORDER BY j.id LIMIT 50"""
# Perl's tables have no active_batch_id.
ORPHANED = """SELECT b.sync_id, b.status FROM ingest_batch b WHERE b.status IN ('queued', 'importing') AND NOT EXISTS (
  SELECT 1 FROM import_job j WHERE j.batch_id = b.id AND j.state IN ('queued', 'running', 'held')
) ORDER BY b.id LIMIT 50"""


def run(context: CommandContext) -> int:
    """Return 0 done, 1 refused or not drained."""
    return STEPS[context.args.what](context)


def _drained(context: CommandContext) -> int:
    """Say whether all jobs have ended, and their batches too.

    JSON: {active: [{id, state, sync_id, worker}], batches_without_job: [{sync_id, status}]}.
    """
    active, orphaned = context.db.run_read(_unfinished)
    lines = format_table(
        ((job["id"], job["state"], job["sync_id"], job["worker"]) for job in active),
        ("job", "state", "sync_id", "worker"),
    )
    report = [f"{pluralize(len(active), 'job')} must end first:", *lines] if active else []
    if orphaned:
        names = ", ".join(f"'{batch['sync_id']}'" for batch in orphaned)
        report += [
            "These batches have no active job and cannot end:",
            *format_table(((batch["sync_id"], batch["status"]) for batch in orphaned), ("sync_id", "status")),
            f"Reset them: UPDATE ingest_batch SET status = 'discovered' WHERE sync_id IN ({names});"
            " then preflight and queue them again.",
        ]
    context.emit({"active": active, "batches_without_job": orphaned}, report or ["No job is queued, running or held."])
    return 1 if report else 0


def _unfinished(tx: ReadTransaction) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """Return the active jobs, and the batches that wait for a job that is not there."""
    return tx.fetch_all_sql(ACTIVE), tx.fetch_all_sql(ORPHANED)


def _convert_times(context: CommandContext) -> int:
    """Convert the times of the Perl side. JSON: {direction, zone, rows: {table: n}}."""
    direction = TO_LOCAL if context.args.back else TO_UTC
    convert = time_conversion.preview if context.args.dry_run else time_conversion.convert_times
    db = Database(context.settings.database, read_timeout=time_conversion.STATEMENT_TIMEOUT_SECONDS)
    try:
        report = convert(db, direction, context.actor)
    finally:
        db.close()
    context.emit(report._asdict(), _format(report, context.args.dry_run))
    return 0


def _format(report: ConversionReport, is_dry_run: bool) -> list[str]:
    way = f"from {report.zone} to UTC" if report.direction == TO_UTC else f"from UTC to {report.zone}"
    verb = "Would convert" if is_dry_run else "Converted"
    rows = {table: count for table, count in report.rows.items() if count}
    return [f"{verb} the times of {pluralize(sum(rows.values()), 'row')} {way}.", *format_table(rows.items())]


STEPS = {"drained": _drained, "convert-times": _convert_times}
