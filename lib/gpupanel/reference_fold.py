"""The library that upstream's order gives, in plain Python: bundles in, library out.

It states the rules of docs/decisions/0111-upstream-order.md without a database, as slowly and as readably as possible.
Tests hold the importer to it. A manifest is used by its attributes only, so nothing of the project is imported here.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

FIELDS = ("asset_subtype", "path", "title", "mime_type", "width", "height", "bytes", "duration_seconds")
VALUES = ("bytes", "sha256", "mime_type", "width", "height")  # of a derivative
MICROSECOND = timedelta(microseconds=1)
Key = tuple[str, str]  # (type, hash)


class Order(NamedTuple):
    """The place of a bundle in upstream's order."""

    source_at: datetime
    sync_id: str


class Documents(NamedTuple):
    """Digests of an item's documents: its source, and its analyses as (kind, sha256)."""

    source: str
    analyses: frozenset[Key] = frozenset()


@dataclass(frozen=True)
class Handover:
    """A bundle: its parsed manifest, and the documents of its items by (type, hash)."""

    manifest: Any
    documents: dict[Key, Documents] = field(default_factory=dict)


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

    `members` also has the removed ones.
    """

    say: Order
    title: str | None
    cover_hash: str | None
    deleted: bool = False
    members: dict[str, Member] = field(default_factory=dict)


@dataclass
class Library:
    """Tombstones are keyed by (type, hash), and those of members by (container type, container hash, asset hash)."""

    assets: dict[Key, Asset] = field(default_factory=dict)
    containers: dict[Key, Container] = field(default_factory=dict)
    tombstones: dict[tuple[str, ...], Order] = field(default_factory=dict)

    def is_buried(self, key: tuple[str, ...], order: Order) -> bool:
        """Whether a later bundle removed what this key names."""
        return key in self.tombstones and self.tombstones[key] > order

    def bury(self, key: tuple[str, ...], order: Order) -> None:
        self.tombstones[key] = max(order, self.tombstones.get(key, order))

    def has_live(self, asset_hash: str) -> bool:
        return any(key[1] == asset_hash and not asset.deleted for key, asset in self.assets.items())


def orders(handovers: Iterable[Handover]) -> dict[str, Order]:
    """sync_id -> order, where all these bundles are known. Raises ValueError for a bundle that is its own prior."""
    known = {handover.manifest.sync_id: handover.manifest for handover in handovers}
    return {sync_id: Order(_source_at(known, sync_id), sync_id) for sync_id in known}


def _source_at(known: dict[str, Any], sync_id: str) -> datetime:
    """The later of the manifest's own time and the prior's + 1 microsecond, from the first prior on."""
    chain: list[str] = []
    while sync_id in known:
        if sync_id in chain:
            raise ValueError(f"bundle {sync_id} is its own prior")
        chain.append(sync_id)
        sync_id = known[sync_id].prior_sync_id
    source_at = _manifest_time(known[chain[-1]])
    for follower in reversed(chain[:-1]):
        source_at = max(_manifest_time(known[follower]), source_at + MICROSECOND)
    return source_at


def _manifest_time(manifest: Any) -> datetime:
    """When upstream completed the bundle, cut to microseconds."""
    whole, _, fraction = (manifest.completed_at or manifest.created_at).removesuffix("Z").partition(".")
    return datetime.fromisoformat(whole) + int(fraction[:6].ljust(6, "0")) * MICROSECOND


def fold(handovers: Iterable[Handover], arrivals: Iterable[str] | None = None) -> Library:
    """The library after these imports, by default one of each bundle in upstream's order.

    All bundles are known from the start. Bundles with members that were missing are retried at the end.
    """
    known = {handover.manifest.sync_id: handover for handover in handovers}
    order_of, library = orders(known.values()), Library()
    imports = sorted(known, key=order_of.__getitem__) if arrivals is None else list(arrivals)
    unfinished = {sync_id for sync_id in imports if not import_bundle(library, known[sync_id], order_of[sync_id])}
    while unfinished:
        finished = {sync_id for sync_id in unfinished if import_bundle(library, known[sync_id], order_of[sync_id])}
        if not finished:
            break
        unfinished -= finished
    return library


def import_bundle(library: Library, handover: Handover, order: Order) -> bool:
    """Import all items, then all containers; returns whether no member was missing."""
    manifest = handover.manifest
    for item in manifest.items:
        if manifest.action == "remove":
            _remove_item(library, item, order)
        else:
            documents = handover.documents.get((item.asset_type, item.asset_hash), Documents(""))
            _bring_item(library, item, documents, order, manifest.action)
    if manifest.action == "remove":
        for container in manifest.containers:
            _take_out(library, container, order)
        return True
    return all([_bring_container(library, container, order, manifest.action) for container in manifest.containers])


def _remove_item(library: Library, item: Any, order: Order) -> None:
    key = item.asset_type, item.asset_hash
    asset = library.assets.get(key)
    if asset is None:
        library.bury(key, order)
    elif asset.say <= order:
        asset.deleted, asset.say = True, order


def _bring_item(library: Library, item: Any, documents: Documents, order: Order, action: str) -> None:
    key = item.asset_type, item.asset_hash
    asset = library.assets.get(key)
    if asset is None:
        if not library.is_buried(key, order):
            asset = library.assets[key] = Asset(order)
            _write_fields(asset, item, documents, order)
            _add_parts(asset, item, documents, order, action)
    elif asset.say > order:
        if not asset.deleted:
            _add_parts(asset, item, documents, order, action)
    elif asset.deleted or action == "update":
        _write_fields(asset, item, documents, order)
        _add_parts(asset, item, documents, order, "update")
    else:  # a create never overwrites, and reads no documents of a live asset; it has its say
        asset.say = order
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


def _bring_container(library: Library, container: Any, order: Order, action: str) -> bool:
    """Write the container's own fields, then its members; returns whether all members are in the library."""
    key = container.type, container.container_hash
    known = library.containers.get(key)
    if known is None:
        known = library.containers[key] = Container(order, container.title, container.cover_hash)
    elif known.say <= order:
        is_restored = known.deleted and not library.is_buried(key, order)
        if action == "update" or is_restored:
            known.title, known.cover_hash = container.title, container.cover_hash
        known.say = order
    missing = [asset_hash for asset_hash in container.items if not library.has_live(asset_hash)]
    for position, asset_hash in reversed(list(enumerate(container.items))):  # the first of two equal members counts
        if asset_hash not in missing and not library.is_buried((*key, asset_hash), order):
            _bring_member(known, asset_hash, position, order, action)
    _mark(library, key)
    return not missing


def _bring_member(container: Container, asset_hash: str, position: int, order: Order, action: str) -> None:
    """Add, restore or move a member, unless a later bundle decided about it. A create moves none."""
    member = container.members.get(asset_hash)
    if member is None or (member.say <= order and (member.removed or action == "update")):
        container.members[asset_hash] = Member(position, order)
    elif member.say <= order:
        member.say = order


def _take_out(library: Library, container: Any, order: Order) -> None:
    """Remove the listed members; a member without a membership leaves a tombstone.

    An empty list removes nothing.
    """
    key = container.type, container.container_hash
    known = library.containers.get(key)
    if not container.items:
        return
    library.bury(key, order)
    for asset_hash in container.items:
        member = known.members.get(asset_hash) if known else None
        if member is None:
            library.bury((*key, asset_hash), order)
        elif member.say <= order:
            member.removed, member.say = True, order
    if known:
        _mark(library, key)


def _mark(library: Library, key: Key) -> None:
    """A container is removed when it has no member left and a remove was the latest to name it."""
    container = library.containers[key]
    has_members = any(not member.removed for member in container.members.values())
    container.deleted = not has_members and library.is_buried(key, container.say)
