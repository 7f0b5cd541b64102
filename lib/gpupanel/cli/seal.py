"""gpupanel seal: a receipt for each job that has ended."""

from ..receipts import SealReport, seal
from .context import CommandContext
from .output import plural


def run(context: CommandContext) -> int:
    """Seal the jobs that have ended.

    JSON: {receipts: [{id, sync_id, job_id, lines, root, head}], waiting: [JOB], id, head}. The line with the head is
    what a journal keeps outside of the database.
    """
    args = context.args
    report = seal(context.db, every=args.every)
    if args.json or report.receipts or not args.quiet:
        data = {
            "receipts": [receipt._asdict() for receipt in report.receipts], "waiting": report.waiting,
            "id": report.id, "head": report.head,
        }
        context.emit(data, _format(report))
    return 0


def _format(report: SealReport) -> list[str]:
    waiting = f" {plural(len(report.waiting), 'job')} waits for a running job." if report.waiting else ""
    return [f"{plural(len(report.receipts), 'receipt')} added.{waiting} Receipt {report.id}, head {report.head}"]
