"""The library that upstream's order gives, in plain Python: entries of bundles in, library out.

It states the rules of docs/decisions/0111-upstream-order.md without a database, as slowly and as readably as possible.
Tests fold whole bundles by it (tests/whole_fold.py), and hold the importer to the result. An entry is used by its
attributes only, so nothing of the project is imported here.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

FIELDS = ("asset_subtype", "path", "title", "mime_type", "width", "height", "bytes", "duration_seconds")
VALUES = ("bytes", "sha256", "mime_type", "width", "height")  # of a derivative
MICROSECOND = timedelta(microseconds=1)
ASSET_TYPES = ("photo", "cover", "video")
Key = tuple[str, str]  # (type, hash)


class Order(NamedTuple):
    """The place of a bundle in upstream's order."""

    source_at: datetime
    sync_id: str


class BundleImport(NamedTuple):
    """What a bundle does with one entry, and its place; `overrides` writes although a newer bundle decided last."""

    action: str
    order: Order
    overrides: bool = False

    def place(self, *says: Order | None) -> Order:
        """The order that counts for one row: at its own earlier say, or just after the newer says that it overrides."""
        place = self.order
        for say in says:
            if say is not None and say > place:
                if say.sync_id == place.sync_id:
                    place = say
                elif self.overrides:
                    place = Order(say.source_at + MICROSECOND, place.sync_id)
        return place


class Documents(NamedTuple):
    """Digests of an item's documents: its source, and its analyses as (kind, sha256)."""

    source: str
    analyses: frozenset[Key] = frozenset()


NO_DOCUMENTS = Documents("")


@dataclass
class Derivative:
    values: tuple
    say: Order


@dataclass
class Asset:
    """`say` is the latest bundle that decided about fields and the deleted mark, also where it changed nothing."""

    say: Order
    deleted: bool = False
    fields: dict[str, Any] = field(default_factory=dict)
    source: str = ""
    covers: set[str] = field(default_factory=set)
    analyses: set[Key] = field(default_factory=set)
    derivatives: dict[Key, Derivative] = field(default_factory=dict)


@dataclass
class Member:
    position: int
    say: Order
    removed: bool = False


@dataclass
class Container:
    """A container; `say` is the latest create or update, and the latest remove is a tombstone.

    `members` also has the removed ones. `has_others`: the library has live members that were not read into `members`.
    """

    say: Order
    title: str | None
    cover_hash: str | None
    deleted: bool = False
    members: dict[str, Member] = field(default_factory=dict)
    has_others: bool = False


@dataclass
class Library:
    """Tombstones are keyed by (type, hash), and those of members by (container type, container hash, asset hash).

    `live` has the hashes of live assets for a library of containers alone; None where `assets` has all.
    """

    assets: dict[Key, Asset] = field(default_factory=dict)
    containers: dict[Key, Container] = field(default_factory=dict)
    tombstones: dict[tuple[str, ...], Order] = field(default_factory=dict)
    live: Collection[str] | None = None

    def is_buried(self, key: tuple[str, ...], order: Order) -> bool:
        """Whether a later bundle removed what this key names."""
        return key in self.tombstones and self.tombstones[key] > order

    def bury(self, key: tuple[str, ...], order: Order) -> None:
        self.tombstones[key] = max(order, self.tombstones.get(key, order))

    def has_live(self, asset_hash: str) -> bool:
        if self.live is not None:
            return asset_hash in self.live
        found = (self.assets.get((asset_type, asset_hash)) for asset_type in ASSET_TYPES)
        return any(asset is not None and not asset.deleted for asset in found)


def orders_of_times(times: Mapping[str, tuple[datetime, str | None]]) -> tuple[dict[str, Order], set[str]]:
    """Order the bundles given as sync_id -> (own time, prior); return also those without a place.

    The place of a bundle is the later of its own time and that of a prior that is known + 1 microsecond. A bundle that
    is its own prior, directly or through others, has none; such a prior counts as unknown.
    """
    places: dict[str, datetime] = {}
    ringed: set[str] = set()
    for sync_id in times:
        chain: dict[str, None] = {}
        each: str | None = sync_id
        while each is not None and each in times and each not in places and each not in ringed and each not in chain:
            chain[each] = None
            each = times[each][1]
        walked = list(chain)
        if each in chain:
            ringed.update(walked[walked.index(each):])
        for follower in reversed(walked):
            if follower not in ringed:
                own, prior = times[follower]
                places[follower] = max(own, places[prior] + MICROSECOND) if prior in places else own
    return {sync_id: Order(place, sync_id) for sync_id, place in places.items()}, ringed


def import_item(library: Library, item: Any, bundle: BundleImport, documents: Documents = NO_DOCUMENTS) -> None:
    """Import one item of a bundle; no other entry of the library changes, and none but its own counts."""
    if bundle.action == "remove":
        _remove_item(library, item, bundle)
    else:
        _bring_item(library, item, documents, bundle)


def import_container(library: Library, container: Any, bundle: BundleImport) -> bool:
    """Import one container of a bundle; returns whether no member was missing.

    Besides the container itself, only the marks of its members' assets count.
    """
    if bundle.action == "remove":
        _take_out(library, container, bundle)
        return True
    return _bring_container(library, container, bundle)


def _remove_item(library: Library, item: Any, bundle: BundleImport) -> None:
    key = item.asset_type, item.asset_hash
    asset = library.assets.get(key)
    if asset is None:
        library.bury(key, bundle.place(library.tombstones.get(key)))
        return
    place = bundle.place(asset.say)
    if asset.say <= place:
        asset.deleted, asset.say = True, place


def _bring_item(library: Library, item: Any, documents: Documents, bundle: BundleImport) -> None:
    key, action = (item.asset_type, item.asset_hash), bundle.action
    asset = library.assets.get(key)
    place = bundle.place(asset.say if asset else library.tombstones.get(key))
    if asset is None:
        if not library.is_buried(key, place):
            asset = library.assets[key] = Asset(place)
            _write_fields(asset, item, documents, place)
            _add_parts(asset, item, documents, place, action)
    elif asset.say > place:
        if not asset.deleted:
            _add_parts(asset, item, documents, place, action)
    elif asset.deleted or action == "update":
        _write_fields(asset, item, documents, place)
        _add_parts(asset, item, documents, place, "update")
    else:  # a create never overwrites, and reads no documents of a live asset; it has its say
        asset.say = place
        asset.covers |= {item.cover_hash} - {None}


def _write_fields(asset: Asset, item: Any, documents: Documents, order: Order) -> None:
    asset.say, asset.deleted, asset.source = order, False, documents.source
    asset.fields = {name: getattr(item, name) for name in FIELDS}


def _add_parts(asset: Asset, item: Any, documents: Documents, order: Order, action: str) -> None:
    """What is additive: covers, analyses, and derivatives that are missing or that only older updates named."""
    asset.covers |= {item.cover_hash} - {None}
    asset.analyses |= documents.analyses
    for derivative in item.persisted:
        file = derivative.kind, derivative.path
        known = asset.derivatives.get(file)
        if known is None or (action == "update" and known.say <= order):
            asset.derivatives[file] = Derivative(tuple(getattr(derivative, name) for name in VALUES), order)


def _bring_container(library: Library, container: Any, bundle: BundleImport) -> bool:
    """Write the container's own fields, then its members; returns whether all members are in the library."""
    key = container.type, container.container_hash
    known, tombstone = library.containers.get(key), library.tombstones.get(key)
    was_deleted, owner = bool(known and known.deleted), known.say if known else None
    place = bundle.place(owner, tombstone if bundle.overrides else None)
    if known is None:
        known = library.containers[key] = Container(place, container.title, container.cover_hash)
    elif known.say <= place:
        is_restored = known.deleted and not library.is_buried(key, place)
        if bundle.action == "update" or is_restored:
            known.title, known.cover_hash = container.title, container.cover_hash
        known.say = place
    missing = {asset_hash for asset_hash in container.items if not library.has_live(asset_hash)}
    for position, asset_hash in reversed(list(enumerate(container.items))):  # the first of two equal members counts
        if asset_hash not in missing:
            _bring_member(library, key, asset_hash, position, bundle)
    _mark(library, key, stays_deleted=was_deleted and known.say > place)
    return not missing


def _bring_member(library: Library, key: Key, asset_hash: str, position: int, bundle: BundleImport) -> None:
    """Add, restore or move a member, unless a later bundle decided about it. A create moves none."""
    container = library.containers[key]
    member = container.members.get(asset_hash)
    if member is None:
        place = bundle.place(library.tombstones.get((*key, asset_hash)))
        if not library.is_buried((*key, asset_hash), place):
            container.members[asset_hash] = Member(position, place)
        return
    place = bundle.place(member.say)
    if member.say <= place:
        if member.removed or bundle.action == "update":
            container.members[asset_hash] = Member(position, place)
        member.say = place


def _take_out(library: Library, container: Any, bundle: BundleImport) -> None:
    """Remove the listed members; a member without a membership leaves a tombstone.

    An empty list removes nothing.
    """
    key = container.type, container.container_hash
    known = library.containers.get(key)
    if not container.items:
        return
    place = bundle.place(library.tombstones.get(key), known.say if known else None)
    library.bury(key, place)
    for asset_hash in container.items:
        member = known.members.get(asset_hash) if known else None
        if member is None:
            library.bury((*key, asset_hash), place)
            continue
        member_place = bundle.place(member.say)
        if member.say <= member_place:
            member.removed, member.say = True, member_place
    if known:
        _mark(library, key, stays_deleted=known.deleted)


def _mark(library: Library, key: Key, *, stays_deleted: bool) -> None:
    """A container is removed when it has no member left and a remove was the latest to name it.

    One that was removed otherwise stays so until a bundle that is not older brings it back or adds a member.
    """
    container = library.containers[key]
    has_members = container.has_others or any(not member.removed for member in container.members.values())
    container.deleted = not has_members and (stays_deleted or library.is_buried(key, container.say))


# ------------------------------------------------------------------------------------------- what is promised


class Promise(NamedTuple):
    """What upstream's order alone decides of an entry; anything else depends on the order of arrival.

    `values`: fields, source, derivatives and analyses of an asset; title, cover and positions of a container.
    `parts`: covers, analyses and derivatives of an asset; of a container, its mark while it has no visible member.
    """

    values: bool
    parts: bool


def promise_of(actions: Iterable[str]) -> Promise:
    """What is promised of an entry that bundles with these actions name, in upstream's order.

    A create that is not the first to bring the entry leaves what arrived first. What arrives while the entry is removed
    is not added.
    """
    values = parts = True
    is_brought = False
    for action in actions:
        values = values and not (action == "create" and is_brought)
        parts = parts and action != "remove"
        is_brought = is_brought or action != "remove"
    return Promise(values, parts)
