"""gpupanel list: the batches that match filters, as in the panel's list."""

from argparse import Namespace
from typing import Any

from .. import search
from ..db import ReadTransaction
from ..models import BatchStatus
from ..pagination import Cursor
from ..search import filters
from ..search.filters import BatchFilter
from ..text import format_size, pluralize, truncate
from ..web.serializers import cursor_params, serialize_batch
from .context import CommandContext
from .output import format_cell, format_table

TITLE_LENGTH = 60  # characters
COLUMNS = ("sync_id", "status", "type action", "items", "host", "discovered (UTC)", "latest job", "title")


def run(context: CommandContext) -> int:
    """List batches.

    JSON: {count, count_is_exact, batches, next, previous, stopped_at, further}.
    """
    wanted = requested_filters(context.args)
    page = context.db.run_read(_list, wanted, context.args)
    if not context.args.ids or context.args.json:
        context.emit(page, _format(page))
    elif page["batches"]:
        context.emit(page, [batch["sync_id"] for batch in page["batches"]])
    return 0


def requested_filters(args: Namespace) -> BatchFilter:
    """Return the filters that the options name. Raises InvalidInputError."""
    texts = {name: getattr(args, name) for name in (*filters.WORDS, "host")}
    return filters.parse_filter(texts | {"from": args.since, "to": args.until, "q": args.text})


def _list(tx: ReadTransaction, wanted: BatchFilter, args: Namespace) -> dict[str, Any]:
    path = search.choose_access_path(tx, wanted)
    page = search.list_batches(
        tx, wanted, search.PageRequest(_cursor(args), search.SORTS[args.sort], args.limit), path
    )
    count = search.count_batches(tx, wanted, path)
    return {
        "count": count.number, "count_is_exact": count.exact, "batches": [serialize_batch(row) for row in page.rows],
        "next": cursor_params(page.next), "previous": cursor_params(page.previous),
        "stopped_at": page.stopped_at, "further": cursor_params(page.further),
    }


def _cursor(args: Namespace) -> Cursor | None:
    batch_id = args.before if args.after is None else args.after
    return None if batch_id is None else Cursor(batch_id, ascending=args.after is not None)


def _format(page: dict[str, Any]) -> list[str]:
    more = "" if page["count_is_exact"] else " or more"
    lines = [f"{min(page['count'], search.COUNT_LIMIT):,}{more} found"]
    lines += format_table((_row(batch) for batch in page["batches"]), COLUMNS)
    if page["stopped_at"]:
        lines += [f"  The search read {search.MAX_ROWS_SCANNED:,} batches, back to {format_cell(page['stopped_at'])}."]
    cursor = page["further"] or page["next"] or {}
    return lines + [f"  Next page: --{name} {number}" for name, number in cursor.items()]


def _row(batch: dict[str, Any]) -> tuple[object, ...]:
    job = batch["job"]
    progress = f"{job['id']} {job['state']} {job['items_done']}/{job['items_total']}" if job else ""
    kind = " ".join(filter(None, (batch["sync_type"], batch["action"])))
    items = f"{pluralize(batch['item_count'], 'item')}, {format_size(batch['total_bytes'])}"
    status: str = batch["status"]
    if batch["undone"]:
        status += ", undone" if batch["undone"] == BatchStatus.COMPLETED else ", undone in part"
    if batch["changed_at"]:
        status += ", replaced by upstream"
    title = truncate(batch["container_title"] or batch["first_title"] or "", TITLE_LENGTH)
    return batch["sync_id"], status, kind, items, batch["source_host"], batch["discovered_at"], progress, title
