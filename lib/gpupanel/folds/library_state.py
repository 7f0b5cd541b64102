"""The library in the terms of the reference fold: its rows, a few statements for each chunk, and parts for a fold."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from copy import deepcopy
from datetime import datetime
from typing import Any, cast

from .. import container_reader, library_reader, order
from ..db import ReadTransaction, chunked, fill
from ..library_reader import ExistingAsset, MEANT_LAST_TO_FIRST
from ..manifest import Container, Item
from ..order import Resolver, Say
from ..reference_fold import (
    ASSET_TYPES, Asset, Container as FoldedContainer, Derivative, Key, Library, Member, Order, VALUES,
)
from .views import View

OLDEST = Order(datetime.min, "")  # the say of a row that no bundle wrote: each bundle is later
PAGE_ROWS = 500


def order_of(say: Say | None) -> Order:
    """The order of the latest say about a row."""
    return Order(*say.order) if say else OLDEST


# ------------------------------------------------------------------------------------------------------- assets


def read_assets(tx: ReadTransaction, keys: Iterable[Key]) -> Library:
    """Read these assets, and the tombstones of those that the library lacks. Documents are not read."""
    keys = list(keys)
    items = [Item(cast(Any, asset_type), asset_hash) for asset_type, asset_hash in keys]
    existing = library_reader.existing_assets(tx, items)
    absent = [key for key in keys if key not in existing]
    buried = order.tombstones(tx, absent) if absent else {}
    return Library(
        {key: fold_asset(asset) for key, asset in existing.items()},
        tombstones={key: order_of(say) for key, say in buried.items()},
    )


def fold_asset(asset: ExistingAsset) -> Asset:
    """An asset in the terms of the reference fold, without its documents."""
    derivatives = {
        file: Derivative(tuple(values[name] for name in VALUES), order_of(asset.derivative_says[file]))
        for file, values in asset.derivatives.items()
    }
    return Asset(
        order_of(asset.say), asset.removed, dict(asset.fields), covers=set(asset.covers), derivatives=derivatives
    )


def page_of_hashes(tx: ReadTransaction, kind: str, after: str) -> list[str]:
    """The next hashes of an asset type, a gallery or a collection, live or removed, after a hash."""
    if kind in ("gallery", "collection"):
        rows = tx.fetch_all_sql(fill("folds.container_hashes", type=kind), after=after, rows=PAGE_ROWS)
    else:
        rows = tx.fetch_all("folds.asset_hashes", kind=kind, after=after, rows=PAGE_ROWS)
    return [row["hash"] for row in rows]


def live_assets(tx: ReadTransaction, hashes: Collection[str]) -> set[Key]:
    """(type, hash) of the live assets with these hashes."""
    return {
        (kind, row["asset_hash"])
        for chunk in chunked(hashes) for kind in MEANT_LAST_TO_FIRST
        for row in tx.fetch_all("library_read.asset_ids", asset_type=kind, hashes=chunk) if row["deleted_at"] is None
    }


# --------------------------------------------------------------------------------------------------- containers


def read_containers(tx: ReadTransaction, listed: Mapping[Key, Collection[str]]) -> Library:
    """Read containers, with those of their members that are listed, and with tombstones.

    `listed` maps (type, hash) to asset hashes. A library of containers alone: `live` is empty.
    """
    library, resolver = Library(live=frozenset()), Resolver(tx)
    entries = [Container(cast(Any, kind), container_hash) for kind, container_hash in listed]
    existing = container_reader.existing_containers(tx, entries)
    ids = library_reader.all_asset_ids_by_hash(tx, {name for hashes in listed.values() for name in hashes})
    tombstones: dict[order.TombstoneKey, tuple[str, ...]] = {key: key for key in listed}
    for kind in library_reader.CONTAINER_TYPES:
        of_kind = {key: hashes for key, hashes in listed.items() if key[0] == kind}
        pairs = (
            (existing[key].id, asset_id)
            for key, hashes in of_kind.items() if key in existing for name in hashes for asset_id in ids.get(name, ())
        )
        places = library_reader.memberships(tx, kind, pairs, resolver)
        for key, hashes in of_kind.items():
            if key in existing:
                row = existing[key]
                folded = FoldedContainer(order_of(row.say), row.title, row.cover_hash, row.removed)
                folded.members = _members(places, row.id, {name: ids.get(name, ()) for name in hashes}, folded.say)
                live = sum(not member.removed for member in folded.members.values())
                folded.has_others = row.has_members and _has_others(tx, kind, row.id, live)
                library.containers[key] = folded
            known = library.containers[key].members if key in library.containers else {}
            tombstones |= {order.member_key(*key, name): (*key, name) for name in hashes if name not in known}
    found = order.tombstones(tx, tombstones) if tombstones else {}
    library.tombstones = {tombstones[key]: order_of(say) for key, say in found.items()}
    return library


def _members(
    places: Mapping[tuple[int, int], library_reader.Membership], container_id: int,
    ids: Mapping[str, Collection[int]], owner: Order,
) -> dict[str, Member]:
    """asset hash -> membership; of several assets with one hash, a live membership counts."""
    members: dict[str, Member] = {}
    for name, asset_ids in ids.items():
        found = [place for each in asset_ids if (place := places.get((container_id, each)))]
        if found:
            place = min(found, key=lambda each: each.removed)
            members[name] = Member(place.position, order_of(place.say) if place.say else owner, place.removed)
    return members


def _has_others(tx: ReadTransaction, kind: str, container_id: int, live: int) -> bool:
    """Whether a container has more live members than these."""
    statement = fill("folds.count_members", type=kind)
    rows = tx.fetch_all_sql(statement, container_id=container_id, most=live + 1)
    return bool(rows[0]["members"] > live)


def visible_members(tx: ReadTransaction, kind: str, container_id: int) -> dict[str, int]:
    """asset hash -> position of the visible members of a container, read in pages."""
    statement = fill("folds.members", type=kind)
    members: dict[str, int] = {}
    after = 0
    while rows := tx.fetch_all_sql(statement, container_id=container_id, after=after, rows=PAGE_ROWS):
        members |= {row["asset_hash"]: row["position"] for row in rows if row["is_visible"]}
        after = rows[-1]["asset_id"]
    return members


def in_chunks(groups: Iterable[tuple[Key, list]], size: Callable[[list], int] = len) -> Iterator[dict[Key, list]]:
    """Join groups of entries to chunks of up to PAGE_ROWS groups and little more than that in size."""
    chunk: dict[Key, list] = {}
    total = 0
    for key, entries in groups:
        chunk[key] = entries
        total += size(entries)
        if total >= PAGE_ROWS or len(chunk) >= PAGE_ROWS:
            yield chunk
            chunk, total = {}, 0
    if chunk:
        yield chunk


# ------------------------------------------------------------------------------------------------- parts for a fold


def part_of(library: Library, key: Key, members: Iterable[str] = ()) -> Library:
    """A copy of the library with one entry, which a fold may change."""
    tombstones = (key, *((*key, name) for name in members))
    asset, container = library.assets.get(key), library.containers.get(key)
    return Library(
        {key: deepcopy(asset)} if asset else {}, {key: deepcopy(container)} if container else {},
        {each: library.tombstones[each] for each in tombstones if each in library.tombstones}, library.live,
    )


def approved_values(view: View | None) -> View | None:
    """What an approval binds of an entry (docs/decisions/0110-plan-approval-result.md)."""
    return view and {name: value for name, value in view.items() if name not in ("covers", "members")}


def live_hashes(hashes: Iterable[str], marks: dict[Key, str | None], in_library: set[Key]) -> set[str]:
    """Those of the hashes with a live asset; an asset without a mark is as the library has it."""
    live = {name for (_, name), removed_by in marks.items() if removed_by is None}
    return live.union(
        name for name in hashes
        if any((kind, name) in in_library and (kind, name) not in marks for kind in ASSET_TYPES)
    )
