"""Read-only look-ups of items in the library, a few statements for each chunk of items."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple

from . import digests, order
from .db import ReadTransaction, chunk_by_first, chunked, fill
from .manifest import Container, Item
from .models import SHA256
from .order import Resolver, Say
from .rows import AssetRow

FIELDS = digests.FIELDS
DERIVATIVE_FIELDS = digests.DERIVATIVE_VALUES
CONTAINER_TYPES = ("gallery", "collection")
# Of several assets with one hash, a container means the photo before the video before the cover.
MEANT_LAST_TO_FIRST = ("cover", "video", "photo")

AssetKey = tuple[str, str]
ContainerKey = tuple[str, str]

_json = json.JSONEncoder(ensure_ascii=False).encode


class SayColumns(NamedTuple):
    """The columns of a row that say which bundle decided about it last."""

    source_at: datetime | None = None
    source_batch_id: int | None = None
    last_batch_id: int = 0


class ExistingAsset(NamedTuple):
    """One asset of the library.

    `covers` maps a cover hash to the id of its live link; `containers` holds the (type, hash) of the bundle's
    containers with the asset as live member; `derivatives` has the values of the live ones by kind and path. `say` is
    the latest say about fields and mark. `derivative_says` and `member_says` are those of derivatives, and of
    memberships that are removed or that a `remove` did not find. `hashed` are the live derivatives whose SHA-256 was
    compared with the manifest. `derivative_columns` are the columns of each derivative's own say.
    """

    id: int
    removed: bool
    fields: dict[str, Any]
    first_sync_id: str | None
    covers: dict[str, int]
    containers: frozenset[ContainerKey]
    derivatives: dict[AssetKey, dict[str, Any]]
    say: Say | None
    derivative_says: dict[AssetKey, Say | None]
    member_says: dict[ContainerKey, Say | None]
    columns: SayColumns = SayColumns()
    hashed: frozenset[AssetKey] = frozenset()
    derivative_columns: Mapping[AssetKey, tuple[datetime | None, int | None]] = MappingProxyType({})
    fingerprint: str = ""

    @property
    def target_digest(self) -> str:
        """The digest that an approval binds."""
        return digests.asset_digest(self.fields, self.removed, self.derivatives)


class Membership(NamedTuple):
    """An asset's place in a container; `say` is None where the container's say counts."""

    position: int
    removed: bool
    say: Say | None


def existing_assets(
    tx: ReadTransaction, items: list[Item], containers: Iterable[Container] = ()
) -> dict[AssetKey, ExistingAsset]:
    """(asset_type, asset_hash) -> asset, live or removed, of these items."""
    rows = {(row["asset_type"], row["asset_hash"]): row for row in _assets(tx, items)}
    if not rows:
        return {}
    resolver = Resolver(tx)
    says = {row["id"]: resolver.say(row) for row in rows.values()}
    covers, derivatives = _covers(tx, list(says)), _derivatives(tx, list(says))
    live, member_says = _memberships(tx, {row["asset_hash"]: row["id"] for row in _meant(rows)}, containers, resolver)
    return {
        key: ExistingAsset(
            row["id"], row["deleted_at"] is not None,
            {field: row[field] for field in FIELDS},  # type: ignore[literal-required]
            row["first_sync_id"], covers[row["id"]], frozenset(live[row["id"]]),
            {file: {name: each[name] for name in DERIVATIVE_FIELDS} for file, each in derivatives[row["id"]].items()},
            says[row["id"]],
            {file: resolver.own_say(each, says[row["id"]]) for file, each in derivatives[row["id"]].items()},
            member_says[row["id"]],
            SayColumns(row["source_at"], row["source_batch_id"], row["last_batch_id"]),
            frozenset(file for file, each in derivatives[row["id"]].items() if each["checked_how"] == SHA256),
            {file: (each["source_at"], each["source_batch_id"]) for file, each in derivatives[row["id"]].items()},
            row["fingerprint"],
        )
        for key, row in rows.items()
    }


def asset_ids_by_hash(tx: ReadTransaction, hashes: Iterable[str]) -> dict[str, int]:
    """asset_hash -> id of the live asset that a container means.

    A photo comes before a video before a cover.
    """
    return {row["asset_hash"]: row["id"] for row in _asset_ids(tx, hashes) if row["deleted_at"] is None}


def all_asset_ids_by_hash(tx: ReadTransaction, hashes: Iterable[str]) -> dict[str, list[int]]:
    """asset_hash -> ids of its assets of all types, live or removed."""
    ids: dict[str, list[int]] = defaultdict(list)
    for row in _asset_ids(tx, hashes):
        ids[row["asset_hash"]].append(row["id"])
    return ids


def container_rows(tx: ReadTransaction, containers: Iterable[Container]) -> dict[ContainerKey, Any]:
    """(type, hash) -> row of these containers, live or removed, with the batch of their last_batch_id."""
    rows: dict[ContainerKey, Any] = {}
    for kind, hashes in chunk_by_first((container.type, container.container_hash) for container in containers):
        for row in tx.fetch_all_sql(fill("library_read.containers", type=kind), hashes=hashes):
            rows[kind, row["container_hash"]] = row
    return rows


def memberships(
    tx: ReadTransaction, container_type: str, pairs: Iterable[tuple[int, int]], resolver: Resolver
) -> dict[tuple[int, int], Membership]:
    """(container id, asset id) -> membership, live or removed."""
    statement = fill("library_read.members", type=container_type)
    return {
        (row["container_id"], row["asset_id"]): Membership(
            row["position"], row["deleted_at"] is not None, resolver.own_say(row, None)
        )
        for chunk in chunked(pairs) for row in tx.fetch_all_sql(statement, pairs=_json(chunk))
    }


def _asset_ids(tx: ReadTransaction, hashes: Iterable[str]) -> Iterator[Any]:
    for chunk in chunked(hashes):
        for asset_type in MEANT_LAST_TO_FIRST:
            yield from tx.fetch_all("library_read.asset_ids", asset_type=asset_type, hashes=chunk)


def _assets(tx: ReadTransaction, items: list[Item]) -> Iterator[AssetRow]:
    for asset_type, hashes in chunk_by_first((item.asset_type, item.asset_hash) for item in items):
        yield from tx.fetch_all("library_read.assets", asset_type=asset_type, hashes=hashes)


def _meant(rows: Mapping[AssetKey, AssetRow]) -> Iterator[AssetRow]:
    """The assets in the order in which a container means them, the least meant first."""
    for asset_type in MEANT_LAST_TO_FIRST:
        yield from (row for row in rows.values() if row["asset_type"] == asset_type)


def _covers(tx: ReadTransaction, asset_ids: list[int]) -> dict[int, dict[str, int]]:
    covers: dict[int, dict[str, int]] = defaultdict(dict)
    for chunk in chunked(asset_ids):
        for row in tx.fetch_all("library_read.covers", asset_ids=chunk):
            if row["deleted_at"] is None:
                covers[row["asset_id"]][row["cover_hash"]] = row["id"]
    return covers


def _derivatives(tx: ReadTransaction, asset_ids: list[int]) -> dict[int, dict[AssetKey, Any]]:
    derivatives: dict[int, dict[AssetKey, Any]] = defaultdict(dict)
    for chunk in chunked(asset_ids):
        for row in tx.fetch_all("library_read.derivatives", asset_ids=chunk):
            derivatives[row["asset_id"]][row["kind"], row["path"]] = row
    return derivatives


def _memberships(
    tx: ReadTransaction, asset_ids: dict[str, int], containers: Iterable[Container], resolver: Resolver
) -> tuple[dict[int, set[ContainerKey]], dict[int, dict[ContainerKey, Say | None]]]:
    """Containers by id of their live members; and who removed a member, or removed it before it came."""
    live: dict[int, set[ContainerKey]] = defaultdict(set)
    says: dict[int, dict[ContainerKey, Say | None]] = defaultdict(dict)
    absent: dict[order.TombstoneKey, tuple[int, ContainerKey]] = {}
    listing = [(container, set(container.items) & asset_ids.keys()) for container in containers]
    rows = container_rows(tx, (container for container, hashes in listing if hashes))
    for kind in CONTAINER_TYPES:
        listed: list[tuple[ContainerKey, set[str]]] = [
            ((kind, each.container_hash), hashes) for each, hashes in listing if each.type == kind
        ]
        pairs = ((rows[key]["id"], asset_ids[each]) for key, hashes in listed if key in rows for each in hashes)
        found = memberships(tx, kind, pairs, resolver)
        for key, asset_hash in ((key, each) for key, hashes in listed for each in hashes):
            asset_id = asset_ids[asset_hash]
            membership = found.get((rows[key]["id"], asset_id)) if key in rows else None
            if membership is None:
                absent[order.member_key(*key, asset_hash)] = asset_id, key
            elif membership.removed:
                says[asset_id][key] = membership.say or resolver.say(rows[key])
            else:
                live[asset_id].add(key)
    for tombstone, say in (order.tombstones(tx, absent) if absent else {}).items():
        asset_id, key = absent[tombstone]
        says[asset_id][key] = say
    return live, says
