"""gpupanel asset: the library's state of an asset, and its history."""

from datetime import datetime
from typing import Any

from .. import asset_history
from ..db import ReadTransaction
from ..errors import NotFoundError
from .context import CommandContext
from .output import format_section, format_table

COLUMNS = ("time (UTC)", "decision", "batch", "job", "requested by", "field", "before", "after")


def run(context: CommandContext) -> int:
    """Show each asset with this hash.

    JSON: {assets: [{asset, source, documents, covers, derivatives, galleries, collections, batches, history, archives,
    at, past: {field: {value, certain}} or null}]}.
    """
    assets = context.db.run_read(_read, context.args.hash.lower(), context.args.at)
    context.emit({"assets": assets}, [line for asset in assets for line in _format(asset)])
    return 0


def _read(tx: ReadTransaction, asset_hash: str, at: datetime | None) -> list[dict[str, Any]]:
    found = []
    for kind in (*asset_history.TYPES, *asset_history.CONTAINER_TYPES):
        load = asset_history.load if kind in asset_history.TYPES else asset_history.load_container
        try:
            details = load(tx, kind, asset_hash)
        except NotFoundError:
            continue
        asset = details["asset"]
        past = asset_history.fields_of(tx, asset, at, kind, asset_hash) if at and asset else None
        found.append({"type": kind, "hash": asset_hash, "at": at, "past": past} | details)
    if not found:
        message = f"No asset, gallery or collection has the hash {asset_hash}."
        raise NotFoundError(message, "Enter the whole hash, 64 hexadecimal digits.")
    return found


def _format(details: dict[str, Any]) -> list[str]:
    asset = details["asset"]
    state = "not in the library" if asset is None else "removed" if asset["deleted_at"] else f"asset {asset['id']}"
    names = [name for name in (*asset_history.FIELDS, "cover_hash") if asset and name in asset]
    facts = [(name, asset[name]) for name in (*names, "first_sync_id", "last_sync_id")] if asset else []
    kept = [*details["galleries"], *details["collections"]]
    return [
        f"{details['type']} {details['hash']}: {state}",
        *format_table(facts),
        *([f"Earlier results are archived, see {', '.join(details['archives'])}."] if details["archives"] else []),
        *_format_past(details["past"], details["at"]),
        *format_section("Galleries and collections", ((row["title"], row["container_hash"]) for row in kept)),
        *format_section("Members", (
            (row["position"], row["asset_type"], row["asset_hash"], row["title"]) for row in details.get("members", ())
        )),
        *format_section(
            "History, newest first", (cells for row in details["history"] for cells in _cells(row)), COLUMNS
        ),
    ]


def _format_past(past: dict[str, dict[str, Any]] | None, at: datetime | None) -> list[str]:
    rows = (
        (field, each["value"], "" if each["certain"] else "another program changed it, the time is unknown")
        for field, each in (past or {}).items()
    )
    return format_section(f"Fields at {at:%Y-%m-%d %H:%M:%S} UTC", rows) if at else []


def _cells(result: dict[str, Any]) -> list[tuple[object, ...]]:
    head = tuple(result[name] for name in ("created_at", "decision", "sync_id", "job_id", "requested_by"))
    changes = [
        (name, *change) for name, change in result["changes"].items() if isinstance(change, list) and len(change) == 2
    ]
    return [(*head, *change) for change in changes] or [(*head, "", "", "")]
