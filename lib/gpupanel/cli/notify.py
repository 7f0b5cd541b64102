"""gpupanel notify: tell people by mail or web hook what failed."""

import os
import socket
import sys
from dataclasses import asdict
from datetime import UTC, datetime

from .. import notify
from ..errors import DeliveryError
from ..notify.message import Message, compose_trial
from ..text import escape_unprintable, pluralize
from .context import CommandContext
from .output import format_cell

UNIT_VARIABLES = ("MONITOR_SERVICE_RESULT", "MONITOR_EXIT_CODE", "MONITOR_EXIT_STATUS")  # of systemd, for OnFailure=


def run(context: CommandContext) -> int:
    """Send what failed since the last message; with --test or --failed-unit one message of its own.

    JSON: [{channel, sent, waiting, next_try, problem, warnings: [text]}]. Return 1 if a channel did not accept the
    message, or refused a recipient.
    """
    settings, args = context.settings, context.args
    host = escape_unprintable(socket.gethostname())
    channels = notify.channels(settings.notify, host, settings.path)
    if args.test:
        return _report(context, send_all(channels, compose_trial(host, datetime.now(UTC))))
    if args.failed_unit:
        failed = notify.compose_unit_failed(host, args.failed_unit, _unit_result(), datetime.now(UTC))
        return _report(context, send_all(channels, failed))
    sender = notify.Sender(host, settings.notify.panel_url, settings.panel.stale_minutes * 60)
    return _report(context, notify.send_due(context.db, channels, sender, now=args.now))


def send_all(channels: list[notify.Channel], message: Message) -> list[notify.Report]:
    """Send a message that has no notice, by each channel."""
    reports = []
    for channel in channels:
        report = notify.Report(channel.name)
        try:
            warning = notify.deliver(channel, message)
            report.sent, report.warnings = 1, [warning] if warning else []
        except DeliveryError as error:
            report.problem = str(error)
        reports.append(report)
    return reports


def _unit_result() -> str:
    """What systemd says of the unit that failed, such as `exit-code, exited, 2`."""
    return ", ".join(value for name in UNIT_VARIABLES if (value := os.environ.get(name)))


def _report(context: CommandContext, reports: list[notify.Report]) -> int:
    context.emit([asdict(report) for report in reports], [_format(report) for report in reports if not report.problem])
    for report in reports:
        for problem in filter(None, (report.problem, *report.warnings)):
            print(f"gpupanel: {format_cell(problem)}", file=sys.stderr)
    return 1 if any(report.problem or report.warnings for report in reports) else 0


def _format(report: notify.Report) -> str:
    if report.next_try:
        return (
            f"{report.channel}: {pluralize(report.waiting, 'notice')} waiting after a failed attempt;"
            f" the next one is due at {format_cell(report.next_try)} UTC, --now tries at once"
        )
    sent = f"{pluralize(report.sent, 'notice')} sent" if report.sent else "nothing to send"
    return f"{report.channel}: {sent}"
