"""gpupanel cutover: the steps of a cutover that need more than one of the other commands."""

from ..cli.context import CommandContext
from ..cli.output import format_table
from ..db import Database, ReadTransaction
from ..text import pluralize
from . import time_conversion
from .time_conversion import ConversionReport, TO_LOCAL, TO_UTC

ACTIVE = """SELECT j.id, j.state, b.sync_id, j.worker FROM import_job j JOIN ingest_batch b ON b.id = j.batch_id
WHERE j.state IN ('queued', 'running', 'held') ORDER BY j.id LIMIT 50"""


def run(context: CommandContext) -> int:
    """Return 0 done, 1 refused or not drained."""
    return STEPS[context.args.what](context)


def _drained(context: CommandContext) -> int:
    """Say whether all jobs have ended. JSON: {active: [{id, state, sync_id, worker}]}."""
    active = context.db.run_read(_active_jobs)
    lines = format_table(
        ((job["id"], job["state"], job["sync_id"], job["worker"]) for job in active),
        ("job", "state", "sync_id", "worker"),
    )
    context.emit({"active": active}, ["No job is queued, running or held."] if not active else [
        f"{pluralize(len(active), 'job')} must end first:", *lines,
    ])
    return 1 if active else 0


def _active_jobs(tx: ReadTransaction) -> list[dict[str, object]]:
    return tx.fetch_all_sql(ACTIVE)


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
