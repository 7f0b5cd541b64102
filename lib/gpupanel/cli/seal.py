"""gpupanel seal: a receipt for each job that has ended."""

import socket
import sys
from datetime import UTC, datetime

from ..receipts import SealReport, seal
from ..text import escape_unprintable, pluralize
from .context import CommandContext
from .output import format_cell


def run(context: CommandContext) -> int:
    """Seal the jobs that have ended.

    JSON: {receipts: [{id, sync_id, job_id, lines, root, head}], waiting: [JOB], id, head}. The line with the head is
    what a journal keeps outside of the database; --tell sends it, too.
    """
    args = context.args
    report = seal(context.db, every=args.every)
    if args.json or report.receipts or not args.quiet:
        data = {
            "receipts": [receipt._asdict() for receipt in report.receipts], "waiting": report.waiting,
            "id": report.id, "head": report.head,
        }
        context.emit(data, _format(report))
    return _tell(context, report) if args.tell else 0


def _tell(context: CommandContext, report: SealReport) -> int:
    """Send the head by mail or web hook; return 1 if a channel did not accept it."""
    from .. import notify
    from ..notify.message import compose_head
    from .notify import send_all

    host = escape_unprintable(socket.gethostname())
    channels = notify.channels(context.settings.notify, host, context.settings.path)
    reports = send_all(channels, compose_head(host, report.id, report.head, datetime.now(UTC)))
    for each in reports:
        if each.problem:
            print(f"gpupanel: {format_cell(each.problem)}", file=sys.stderr)
    return 1 if any(each.problem for each in reports) else 0


def _format(report: SealReport) -> list[str]:
    waiting = f" {pluralize(len(report.waiting), 'job')} left for the next run: in use." if report.waiting else ""
    return [f"{pluralize(len(report.receipts), 'receipt')} added.{waiting} Receipt {report.id}, head {report.head}"]
