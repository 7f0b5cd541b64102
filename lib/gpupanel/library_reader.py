"""Read-only look-ups of items and containers in the library."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from .db import ReadTransaction, chunk_by_first, chunked
from .manifest import Container, Item
from .rows import AssetRow

FIELDS = ("asset_subtype", "path", "title", "mime_type", "width", "height", "bytes", "duration_seconds")
DERIVATIVE_FIELDS = ("bytes", "sha256", "mime_type", "width", "height")

AssetKey = tuple[str, str]

_json = json.JSONEncoder(ensure_ascii=False).encode


class ExistingAsset(NamedTuple):
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
    containers: frozenset[AssetKey]
    derivatives: dict[AssetKey, dict[str, Any]]


def fingerprint(item: Item) -> str:
    """SHA-256 of all fields that the library stores of an item."""
    derivatives = sorted((d.kind, d.path, *(getattr(d, field) for field in DERIVATIVE_FIELDS)) for d in item.persisted)
    values = [getattr(item, field) for field in FIELDS]
    return hashlib.sha256(_json([values, derivatives]).encode()).hexdigest()


def find_assets(tx: ReadTransaction, items: list[Item], containers: Iterable[Container] = ()) -> dict[AssetKey, ExistingAsset]:
    """(asset_type, asset_hash) -> asset, live or removed, of these items."""
    by_key: dict[AssetKey, Item] = {(item.asset_type, item.asset_hash): item for item in items}
    rows = {(row["asset_type"], row["asset_hash"]): row for row in _assets(tx, by_key)}
    if not rows:
        return {}
    ids = [row["id"] for row in rows.values()]
    differing = [row["id"] for key, row in rows.items() if row["fingerprint"] != fingerprint(by_key[key])]
    covers, memberships = _covers(tx, ids), _memberships(tx, ids, containers)
    derivatives = _derivatives(tx, differing)
    return {
        key: ExistingAsset(
            row["id"], row["deleted_at"] is not None, row["fingerprint"],
            {field: row[field] for field in FIELDS},  # type: ignore[literal-required]
            row["first_sync_id"], covers[row["id"]], frozenset(memberships[row["id"]]), derivatives[row["id"]],
        )
        for key, row in rows.items()
    }


def asset_ids_by_hash(tx: ReadTransaction, hashes: Iterable[str]) -> dict[str, int]:
    """asset_hash -> id of the live asset that a container means.

    A photo comes before a video before a cover.
    """
    ids: dict[str, int] = {}
    for chunk in chunked(hashes):
        for asset_type in ("cover", "video", "photo"):
            rows = tx.fetch_all("library_read.assets", asset_type=asset_type, hashes=chunk)
            ids |= {row["asset_hash"]: row["id"] for row in rows if row["deleted_at"] is None}
    return ids


def _assets(tx: ReadTransaction, keys: Iterable[AssetKey]) -> Iterator[AssetRow]:
    for asset_type, hashes in chunk_by_first(keys):
        yield from tx.fetch_all("library_read.assets", asset_type=asset_type, hashes=hashes)


def _covers(tx: ReadTransaction, asset_ids: list[int]) -> dict[int, dict[str, int]]:
    covers: dict[int, dict[str, int]] = defaultdict(dict)
    for row in tx.fetch_all("library_read.covers", asset_ids=asset_ids):
        if row["deleted_at"] is None:
            covers[row["asset_id"]][row["cover_hash"]] = row["id"]
    return covers


def _derivatives(tx: ReadTransaction, asset_ids: list[int]) -> dict[int, dict[AssetKey, dict[str, Any]]]:
    derivatives: dict[int, dict[AssetKey, dict[str, Any]]] = defaultdict(dict)
    for row in tx.fetch_all("library_read.derivatives", asset_ids=asset_ids) if asset_ids else ():
        derivatives[row["asset_id"]][row["kind"], row["path"]] = {key: row[key] for key in DERIVATIVE_FIELDS}
    return derivatives


def _memberships(tx: ReadTransaction, asset_ids: list[int], containers: Iterable[Container]) -> dict[int, set[AssetKey]]:
    members: dict[int, set[AssetKey]] = defaultdict(set)
    for kind, by_hashes, of_containers in (
        ("gallery", "library_read.galleries", "library_read.gallery_members"),
        ("collection", "library_read.collections", "library_read.collection_members"),
    ):
        for chunk in chunked(container.container_hash for container in containers if container.type == kind):
            ids = {row["id"]: row["container_hash"] for row in tx.fetch_all(by_hashes, hashes=chunk)}
            for row in tx.fetch_all(of_containers, container_ids=list(ids), asset_ids=asset_ids) if ids else ():
                members[row["asset_id"]].add((kind, ids[row["container_id"]]))
    return members
