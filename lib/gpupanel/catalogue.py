"""Read-only look-ups of items and containers in the library."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from .database import Reading, chunks, grouped
from .manifest import Container, Item
from .rows import AssetRow

FIELDS = ("asset_subtype", "path", "title", "mime_type", "width", "height", "bytes", "duration_seconds")
DERIVATIVE_FIELDS = ("bytes", "sha256", "mime_type", "width", "height")

Key = tuple[str, str]

_json = json.JSONEncoder(ensure_ascii=False).encode


class Existing(NamedTuple):
    """One asset of the library.

    `covers` maps a cover hash to the id of its live link; `containers` holds the (type, hash) of the bundle's
    containers with the asset as live member; `derivatives` is filled only if the fingerprint differs from the item's.
    """

    id: int
    removed: bool
    fingerprint: str
    fields: dict[str, Any]
    first_sync_id: str | None
    covers: dict[str, int]
    containers: frozenset[Key]
    derivatives: dict[Key, dict[str, Any]]


def fingerprint(item: Item) -> str:
    """SHA-256 of all fields that the library stores of an item."""
    derivatives = sorted((d.kind, d.path, *(getattr(d, field) for field in DERIVATIVE_FIELDS)) for d in item.persisted)
    values = [getattr(item, field) for field in FIELDS]
    return hashlib.sha256(_json([values, derivatives]).encode()).hexdigest()


def existing(tx: Reading, items: list[Item], containers: Iterable[Container] = ()) -> dict[Key, Existing]:
    """(asset_type, asset_hash) -> asset, live or removed, of these items."""
    by_key: dict[Key, Item] = {(item.asset_type, item.asset_hash): item for item in items}
    rows = {(row["asset_type"], row["asset_hash"]): row for row in _assets(tx, by_key)}
    if not rows:
        return {}
    ids = [row["id"] for row in rows.values()]
    differing = [row["id"] for key, row in rows.items() if row["fingerprint"] != fingerprint(by_key[key])]
    covers, memberships = _covers(tx, ids), _memberships(tx, ids, containers)
    derivatives = _derivatives(tx, differing)
    return {
        key: Existing(
            row["id"], row["deleted_at"] is not None, row["fingerprint"],
            {field: row[field] for field in FIELDS},  # type: ignore[literal-required]
            row["first_sync_id"], covers[row["id"]], frozenset(memberships[row["id"]]), derivatives[row["id"]],
        )
        for key, row in rows.items()
    }


def by_hash(tx: Reading, hashes: Iterable[str]) -> dict[str, int]:
    """asset_hash -> id of the live asset that a container means.

    A photo comes before a video before a cover.
    """
    ids: dict[str, int] = {}
    for chunk in chunks(hashes):
        for asset_type in ("cover", "video", "photo"):
            rows = tx.all("catalogue.assets", asset_type=asset_type, hashes=chunk)
            ids |= {row["asset_hash"]: row["id"] for row in rows if row["deleted_at"] is None}
    return ids


def _assets(tx: Reading, keys: Iterable[Key]) -> Iterator[AssetRow]:
    for asset_type, hashes in grouped(keys):
        yield from tx.all("catalogue.assets", asset_type=asset_type, hashes=hashes)


def _covers(tx: Reading, asset_ids: list[int]) -> dict[int, dict[str, int]]:
    covers: dict[int, dict[str, int]] = defaultdict(dict)
    for row in tx.all("catalogue.covers", asset_ids=asset_ids):
        if row["deleted_at"] is None:
            covers[row["asset_id"]][row["cover_hash"]] = row["id"]
    return covers


def _derivatives(tx: Reading, asset_ids: list[int]) -> dict[int, dict[Key, dict[str, Any]]]:
    derivatives: dict[int, dict[Key, dict[str, Any]]] = defaultdict(dict)
    for row in tx.all("catalogue.derivatives", asset_ids=asset_ids) if asset_ids else ():
        derivatives[row["asset_id"]][row["kind"], row["path"]] = {key: row[key] for key in DERIVATIVE_FIELDS}
    return derivatives


def _memberships(tx: Reading, asset_ids: list[int], containers: Iterable[Container]) -> dict[int, set[Key]]:
    members: dict[int, set[Key]] = defaultdict(set)
    for kind, by_hashes, of_containers in (
        ("gallery", "catalogue.galleries", "catalogue.gallery_members"),
        ("collection", "catalogue.collections", "catalogue.collection_members"),
    ):
        for chunk in chunks(container.container_hash for container in containers if container.type == kind):
            ids = {row["id"]: row["container_hash"] for row in tx.all(by_hashes, hashes=chunk)}
            for row in tx.all(of_containers, container_ids=list(ids), asset_ids=asset_ids) if ids else ():
                members[row["asset_id"]].add((kind, ids[row["container_id"]]))
    return members
