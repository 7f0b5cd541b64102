"""list: the batches that filters find, as the panel's list has them."""

from argparse import Namespace
from typing import Any

from ... import filters, find
from ...database import Reading
from ...filters import Filters
from ...web.pages.shapes import listed, neighbour
from ..shell import Shell
from ..text import plain, size, table


def list(shell: Shell) -> int:  # noqa: A001 - a command's function bears its name
    """JSON: the keys of the panel's list that docs/PANEL-JSON.md names: count, count_is_exact, batches, next, previous,
    stopped_at, further."""
    wanted = asked_for(shell.args)
    seen = shell.db.read(_list, wanted, shell.args)
    if not shell.args.ids or shell.args.json:
        shell.tell(seen, _lines(seen))
    elif seen["batches"]:
        shell.tell(seen, [batch["sync_id"] for batch in seen["batches"]])
    return 0


def asked_for(args: Namespace) -> Filters:
    """The filters that the options mean. Raises InvalidInput."""
    given = {name: getattr(args, name) for name in (*filters.WORDS, "host")}
    return filters.read(given | {"from": args.since, "to": args.until, "q": args.text})


def _list(tx: Reading, wanted: Filters, args: Namespace) -> dict[str, Any]:
    road = find.road(tx, wanted)
    page = find.page(tx, wanted, _place(args), oldest_first=args.sort == "oldest", limit=args.limit, by=road)
    count = find.count(tx, wanted, road)
    return {
        "count": count.number, "count_is_exact": count.exact, "batches": [listed(row) for row in page.rows],
        "next": neighbour(page.next), "previous": neighbour(page.previous),
        "stopped_at": page.stopped_at, "further": neighbour(page.further),
    }


def _place(args: Namespace) -> find.Place | None:
    given = args.before if args.after is None else args.after
    return None if given is None else find.Place(given, later=args.after is not None)


def _lines(seen: dict[str, Any]) -> "list[str]":
    more = "" if seen["count_is_exact"] else " or more"
    lines = [f"{min(seen['count'], find.BOUND):,}{more} found", *table(_row(batch) for batch in seen["batches"])]
    if seen["stopped_at"]:
        lines += [f"  {find.SCAN:,} batches were looked through, as far as {plain(seen['stopped_at'])}"]
    onward = seen["further"] or seen["next"]
    return lines + [f"  go on with --{name} {number}" for name, number in (onward or {}).items()]


def _row(batch: dict[str, Any]) -> tuple:
    job = batch["job"]
    progress = f"job {job['id']} {job['state']} {job['items_done']}/{job['items_total']}" if job else ""
    kind = " ".join(filter(None, (batch["sync_type"], batch["action"])))
    count = f"{batch['item_count']:,} item{'' if batch['item_count'] == 1 else 's'}, {size(batch['total_bytes'])}"
    return (batch["sync_id"], batch["status"], kind, count, batch["source_host"], batch["discovered_at"], progress)
