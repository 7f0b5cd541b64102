"""What the library and the ledger know of one asset, gallery or collection, now and at an earlier time."""

from datetime import datetime
from typing import Any

from .db import ReadTransaction, chunked, fill
from .errors import NotFoundError
from .models import BIGINT_MAX, CONTAINER_FIELDS
from .text import json_object

FIELDS = ("asset_subtype", "path", "title", "mime_type", "width", "height", "bytes", "duration_seconds")
TYPES = ("photo", "cover", "video")
CONTAINER_TYPES = ("gallery", "collection")
LIMIT = 100  # rows of each kind
HISTORY_LIMIT = 50  # results a page
FIRST_MEMBERS = 8  # members of which a batch page shows thumbnails; as many removed ones are passed over before them
PAST_LIMIT = 1_000  # results that are taken back for an earlier time

ContainerKey = tuple[str, int]  # type, and id in the library


def load(tx: ReadTransaction, asset_type: str, asset_hash: str, before: int | None = None) -> dict[str, Any]:
    """An asset with all that belongs to it, and a page of its history. Raises NotFoundError."""
    key = {"asset_type": asset_type, "asset_hash": asset_hash}
    row = tx.fetch_one("asset.row", **key)
    batches = tx.fetch_all("asset.pictures", **key, limit=LIMIT)
    history = results(tx, asset_type, asset_hash, before, HISTORY_LIMIT + 1)
    if row is None and not batches and not history:
        raise NotFoundError(f"No {asset_type} has the hash {asset_hash}.", "Check the type and the hash.")
    page = history[:HISTORY_LIMIT]
    parts = _parts(tx, row["id"]) if row else {"source": None, "documents": [], "covers": [], "derivatives": [],
                                               "galleries": [], "collections": []}
    return {
        "asset": row, **parts, "batches": batches, "history": page, "archives": _archives(tx, row),
        "next_before": page[-1]["id"] if len(history) > HISTORY_LIMIT else None,
    }


def load_container(
    tx: ReadTransaction, container_type: str, container_hash: str, before: int | None = None, member: int = 0
) -> dict[str, Any]:
    """A gallery or collection as `load` returns an asset, with a page of its members. Raises NotFoundError."""
    key = {"container_hash": container_hash}
    row = tx.fetch_all_sql(fill("asset.container", type=container_type), **key)
    batches = tx.fetch_all("asset.container_batches", type=container_type, **key, limit=LIMIT)
    history = results(tx, container_type, container_hash, before, HISTORY_LIMIT + 1)
    if not row and not batches and not history:
        raise NotFoundError(f"No {container_type} has the hash {container_hash}.", "Check the type and the hash.")
    members = tx.fetch_all_sql(
        fill("asset.members", type=container_type), container_id=row[0]["id"], start=member, limit=LIMIT + 1
    ) if row else []
    page = history[:HISTORY_LIMIT]
    return {
        "asset": row[0] if row else None, "members": members[:LIMIT], "batches": batches, "history": page,
        "next_member": members[LIMIT]["position"] if len(members) > LIMIT else None,
        "next_before": page[-1]["id"] if len(history) > HISTORY_LIMIT else None,
        "source": None, "documents": [], "covers": [], "derivatives": [], "galleries": [], "collections": [],
        "archives": _archives(tx, row[0] if row else None),
    }


def first_members(tx: ReadTransaction, containers: set[ContainerKey]) -> dict[ContainerKey, list[dict[str, Any]]]:
    """The first live members of these galleries and collections, each with its thumbnail."""
    keys = sorted(containers)
    parts = [
        fill("asset.first_members", type=kind, container=f"%(container_{number})s")
        for number, (kind, _) in enumerate(keys)
    ]
    params = {f"container_{number}": container_id for number, (_, container_id) in enumerate(keys)}
    rows = tx.fetch_all_sql("\nUNION ALL\n".join(parts), limit=2 * FIRST_MEMBERS, **params) if parts else []
    members: dict[ContainerKey, list[int]] = {}
    for row in sorted(rows, key=lambda row: row["position"]):
        first = members.setdefault((row["type"], row["container_id"]), [])
        if row["deleted_at"] is None and len(first) < FIRST_MEMBERS:
            first.append(row["asset_id"])
    ids = {asset_id for first in members.values() for asset_id in first}
    assets = {
        row["id"]: row for chunk in chunked(sorted(ids)) for row in tx.fetch_all("asset.thumbnails", asset_ids=chunk)
    }
    return {key: [assets[asset_id] for asset_id in first] for key, first in members.items()}


def _archives(tx: ReadTransaction, row: dict[str, Any] | None) -> list[str]:
    """The files that hold results of the bundles that created and wrote an asset."""
    if row is None:
        return []
    batch_ids = [row["first_batch_id"], row["last_batch_id"]]
    return [each["file"] for each in tx.fetch_all("asset.archives", batch_ids=batch_ids)]


def _parts(tx: ReadTransaction, asset_id: int) -> dict[str, Any]:
    params = {"asset_id": asset_id, "limit": LIMIT}
    return {
        "source": tx.fetch_one("asset.source", asset_id=asset_id),
        "documents": tx.fetch_all("asset.documents", **params), "covers": tx.fetch_all("asset.covers", **params),
        "derivatives": tx.fetch_all("asset.derivatives", **params),
        "galleries": tx.fetch_all_sql(fill("asset.containers", type="gallery"), **params),
        "collections": tx.fetch_all_sql(fill("asset.containers", type="collection"), **params),
    }


def results(
    tx: ReadTransaction, asset_type: str, asset_hash: str, before: int | None, limit: int
) -> list[dict[str, Any]]:
    """What jobs did with an asset, newest first, with `changes` decoded."""
    rows = tx.fetch_all(
        "asset.results", asset_type=asset_type, asset_hash=asset_hash, limit=limit,
        before=BIGINT_MAX if before is None else before,
    )
    return [row | {"changes": json_object(row["changes"]) or {}} for row in rows]


def fields_of(
    tx: ReadTransaction, row: dict[str, Any], moment: datetime, kind: str, asset_hash: str
) -> dict[str, dict[str, Any]]:
    """The fields of an asset, gallery or collection of the library at a time, as `fields_at` has them."""
    latest = results(tx, kind, asset_hash, None, PAST_LIMIT)
    fields = CONTAINER_FIELDS if kind in CONTAINER_TYPES else FIELDS
    return fields_at(row, latest, moment, fields, is_whole=not _archives(tx, row))


def fields_at(
    asset: dict[str, Any], history: list[dict[str, Any]], moment: datetime, fields: tuple[str, ...] = FIELDS,
    *, is_whole: bool = True,
) -> dict[str, dict[str, Any]]:
    """field -> its `value` at a time, and whether it is `certain`: not where a part of the history is archived.

    The results after that time are taken back, the newest first. A field that another program changed in between does
    not have the value that an import wrote: then the time of the change is unknown.
    """
    values = {field: {"value": asset[field], "certain": is_whole} for field in fields}
    for result in history:
        if result["created_at"] <= moment:
            for field, change in _changes(result, fields):
                values[field]["certain"] &= values[field]["value"] == change[1]
            if result["decision"] in ("created", "updated"):
                break
            continue
        for field, (old, new) in _changes(result, fields):
            values[field] = {"value": old, "certain": values[field]["certain"] and values[field]["value"] == new}
    return values


def _changes(result: dict[str, Any], fields: tuple[str, ...]) -> list[tuple[str, list[Any]]]:
    return [
        (field, change) for field, change in result["changes"].items()
        if field in fields and isinstance(change, list) and len(change) == 2
    ]
