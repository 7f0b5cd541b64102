"""gpupanel events: the events of all batches, and those that come."""

import json
from typing import Any

from .. import ledger
from ..db import ReadTransaction
from ..search import events
from ..search.events import EventFilter, EventPage
from .context import CommandContext, encode_json
from .output import format_cell, format_table
from .polling import poll
from .show import event_text

FOLLOW_SECONDS = 1
COLUMNS = ("id", "time (UTC)", "event", "batch", "actor", "what happened")


def run(context: CommandContext) -> int:
    """Print a page of events, newest first; with --follow the latest in their order, then each as it comes.

    JSON: {events: [event], next_before, is_stopped}; with --follow each event on a line of its own.
    """
    args = context.args
    wanted = context.db.run_read(_filter, args.batch, args.event, args.by, args.day)
    if args.follow:
        return _follow(context, wanted)
    page = context.db.run_read(events.list_events, wanted, before=args.before, limit=args.limit)
    data = {"events": page.rows, "next_before": page.next_before, "is_stopped": page.is_stopped}
    context.emit(data, _format(page))
    return 0


def _filter(tx: ReadTransaction, sync_id: str | None, event: str | None, actor: str | None, day: Any) -> EventFilter:
    """Raises NotFoundError."""
    return EventFilter(ledger.get_batch(tx, sync_id)["id"] if sync_id else None, event, actor, day)


def _follow(context: CommandContext, wanted: EventFilter) -> int:
    db, follower = context.db, events.Follower(wanted)
    for rows in poll(lambda: db.run_read(follower.read, first=context.args.limit), FOLLOW_SECONDS):
        for row in rows:
            _print(context, row)
    return 0


def _print(context: CommandContext, row: dict[str, Any]) -> None:
    if context.args.json:
        print(json.dumps(row, default=encode_json), flush=True)
    else:
        print("  ".join(format_cell(cell) for cell in _cells(row)), flush=True)


def _cells(row: dict[str, Any]) -> tuple[object, ...]:
    return row["id"], row["created_at"], row["event_type"], row["sync_id"], row["actor"], event_text(row)


def _format(page: EventPage) -> list[str]:
    lines = format_table(map(_cells, page.rows), COLUMNS, indent="") or ["No event matches."]
    if page.is_stopped:
        lines.append(f"The search read {events.MAX_ROWS_SCANNED:,} events.")
    return lines + ([f"Next page: --before {page.next_before}"] if page.next_before else [])
