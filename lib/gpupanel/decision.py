"""The decision table: what an import does with an item.

docs/CONTRACT.md, 5. Words for states.

Pure functions: the preflight calls them to plan, and the importer again in the transaction that writes.
"""

from collections.abc import Iterable, Set as AbstractSet
from typing import Any

from . import library_reader
from .container_reader import ExistingContainer, MemberSummary
from .library_reader import ContainerKey, ExistingAsset
from .manifest import Container, InvalidItem, Item, Manifest
from .models import CONTAINER_FIELDS, Changes, Decision
from .order import BundleOrder, Say, is_newer, must_yield
from .text import short_hash

Verdict = tuple[Decision, str, Changes | None]  # decision, reason, changes

RANK = {"photo": 0, "video": 1, "cover": 2}


class ContainerMemberships:
    """The containers of a bundle that list an item.

    If items of several types share a hash, it means the photo before the video before the cover, as in
    `catalogue.by_hash`.
    """

    def __init__(self, manifest: Manifest) -> None:
        self.containers: tuple[Container, ...] = tuple(manifest.containers)
        self._keys: dict[str, set[ContainerKey]] = {}
        for container in self.containers:
            for member in container.items:
                self._keys.setdefault(member, set()).add((container.type, container.container_hash))
        self._by_key: dict[ContainerKey, Container] = {
            (container.type, container.container_hash): container for container in self.containers
        }
        self._types: dict[str, str] = {}
        for item in manifest.items if self._keys else ():
            earlier = self._types.get(item.asset_hash, item.asset_type)
            self._types[item.asset_hash] = min(earlier, item.asset_type, key=RANK.__getitem__)

    @property
    def members(self) -> AbstractSet[str]:
        """The hashes of all members."""
        return self._keys.keys()

    def containers_of(self, item: Item | InvalidItem) -> set[ContainerKey]:
        """(type, hash) of each container that lists the item."""
        is_meant = self._types.get(item.asset_hash) == item.asset_type
        return self._keys.get(item.asset_hash, set()) if is_meant else set()

    def containers_listing(self, items: Iterable[Item]) -> list[Container]:
        """The containers that list any of these items."""
        keys: set[ContainerKey] = set().union(*(self.containers_of(item) for item in items))
        return [self._by_key[key] for key in sorted(keys)]


# ------------------------------------------------------------------------------------------------------- items


def decide(
    action: str, item: Item, known: ExistingAsset | Say | None, bundle: BundleOrder,
    containers: AbstractSet[ContainerKey] = frozenset(),
) -> Verdict:
    """Apply the decision table to an item: (decision, reason, changes).

    `known` is the asset, or the latest removal of one that the library lacks; `containers` are those that list the
    item. The reason is worded to be true before the import and after it.
    """
    existing, say = (known, known.say) if isinstance(known, ExistingAsset) else (None, known)
    if say and must_yield(bundle, say):
        return _decide_older(action, item, existing, (bundle, say), containers)
    decision, reason, changes = _decide_latest(action, item, existing, bundle, containers)
    return decision, f"{_overridden(say, bundle)}{reason}", changes


def _decide_latest(
    action: str, item: Item, existing: ExistingAsset | None, bundle: BundleOrder, containers: AbstractSet[ContainerKey]
) -> Verdict:
    """Decide about an item of a bundle that has its say."""
    kind = item.asset_type
    if action == "remove":
        return _decide_remove(kind, existing)
    if existing is None:
        return Decision.WILL_CREATE, f"this {kind} is new to the library", None
    changes = differences(item, existing)
    if existing.removed:
        return Decision.WILL_UPDATE, f"{_named(existing)} was removed, and is restored", changes
    if changes and action == "update":
        return Decision.WILL_UPDATE, f"{_named(existing)} differs in {', '.join(changes)}", changes
    kept = f"; a create never overwrites, so {', '.join(changes)} stay as they are" if changes else ""
    links = _missing_links(item, existing, bundle, containers)
    if links:
        return Decision.WILL_LINK, f"{_named(existing)} lacks {' and '.join(links)}{kept}", None
    return Decision.WILL_SKIP, f"{_named(existing)} is in the library already{kept}", changes if kept else None


def _decide_older(
    action: str, item: Item, existing: ExistingAsset | None, order: tuple[BundleOrder, Say],
    containers: AbstractSet[ContainerKey],
) -> Verdict:
    """Decide about an item of which a newer bundle has the latest say: only what is missing is added."""
    bundle, say = order
    if existing and not existing.removed and action != "remove":
        links = _missing_links(item, existing, bundle, containers)
        lacking = links + _lacking_derivatives(action, item, existing, bundle)
        if lacking:
            return Decision.WILL_LINK, f"{decided_by(say, adds=True)}: {' and '.join(lacking)}", None
    return Decision.WILL_SKIP, decided_by(say, adds=False), None


def decided_by(say: Say, *, adds: bool) -> str:
    """The reason of an entry that an older bundle leaves as a newer one decided."""
    what = "adds only what is missing" if adds else "changes nothing"
    sync_id, time = say.order.sync_id, f"{say.order.source_at:%Y-%m-%d %H:%M:%S}"
    return f"a newer bundle, {sync_id} of {time}, decided last; this older one {what}"


def _overridden(say: Say | None, bundle: BundleOrder) -> str:
    return f"although older than {say.order.sync_id}: " if say and is_newer(say, bundle) else ""


def differences(item: Item, existing: ExistingAsset) -> Changes | None:
    """field -> [before, after] of the fields in which item and asset differ.

    The columns are compared, not the fingerprint: another program may have written the row. A derivative that only the
    library has is no difference: absence is never an instruction (docs/CONTRACT.md, 2.8).
    """
    changes: dict[str, list[Any]] = {
        field: [existing.fields[field], getattr(item, field)]
        for field in library_reader.FIELDS if existing.fields[field] != getattr(item, field)
    }
    before: list[str] = []
    after: list[str] = []
    for derivative in item.persisted:
        stored = existing.derivatives.get((derivative.kind, derivative.path))
        if stored != {field: getattr(derivative, field) for field in library_reader.DERIVATIVE_FIELDS}:
            label = f"{derivative.kind} {derivative.path}"
            before += [label] if stored else []
            after.append(label)
    return changes | ({"derivatives": [before, after]} if after else {}) or None


def _decide_remove(kind: str, existing: ExistingAsset | None) -> Verdict:
    if existing is None:
        return Decision.WILL_SKIP, f"the library does not have this {kind}", None
    if existing.removed:
        return Decision.WILL_SKIP, f"{_named(existing)} was removed before", None
    return Decision.WILL_REMOVE, f"{_named(existing)} is taken out of the library, and can be restored", None


def _named(existing: ExistingAsset) -> str:
    origin = f", brought by batch {existing.first_sync_id}," if existing.first_sync_id else ""
    return f"asset {existing.id}{origin}"


def _missing_links(
    item: Item, existing: ExistingAsset, bundle: BundleOrder, containers: AbstractSet[ContainerKey]
) -> list[str]:
    """The cover link, and the memberships that no later bundle took out."""
    cover = ["its cover link"] if item.cover_hash and item.cover_hash not in existing.covers else []
    lacking = [
        key for key in sorted(containers - existing.containers) if not must_yield(bundle, existing.member_says.get(key))
    ]
    return cover + [f"its place in {kind} {short_hash(container_hash)}" for kind, container_hash in lacking]


def _lacking_derivatives(action: str, item: Item, existing: ExistingAsset, bundle: BundleOrder) -> list[str]:
    """The derivatives that an older bundle adds; an update also writes those that only older bundles named."""
    lacking = []
    for derivative in item.persisted:
        file = derivative.kind, derivative.path
        stored = existing.derivatives.get(file)
        values = {field: getattr(derivative, field) for field in library_reader.DERIVATIVE_FIELDS}
        is_stale = action == "update" and stored != values and not is_newer(existing.derivative_says.get(file), bundle)
        if stored is None or is_stale:
            lacking.append(f"the derivative {derivative.kind} {derivative.path}")
    return lacking


# -------------------------------------------------------------------------------------------------- containers


def decide_container(
    action: str, container: Container, existing: ExistingContainer | None, bundle: BundleOrder, members: MemberSummary
) -> Verdict:
    """Apply the decision table to a container: (decision, reason, changes)."""
    say = existing.say if existing else None
    if existing is None or existing.removed:
        say = _later(say, members.tombstone)
    decide_by_state = _decide_container_remove if action == "remove" else _decide_container
    is_older = say is not None and must_yield(bundle, say)
    decision, reason, changes = decide_by_state(action, container, existing, members, is_older)
    if say is not None and is_older:
        reason = f"{decided_by(say, adds=decision is not Decision.WILL_SKIP)}; {reason}"
    return decision, f"{_overridden(say, bundle)}{reason}{_missing(action, members)}", changes


def _decide_container(
    action: str, container: Container, existing: ExistingContainer | None, members: MemberSummary, is_older: bool
) -> Verdict:
    kind = container.type
    moving = members.moving if action == "update" else 0
    if existing is None:
        if not members.arriving and not members.missing_count and (is_older or members.stopped):
            return Decision.WILL_SKIP, f"a newer bundle took out each member of this {kind}", None
        return Decision.WILL_CREATE, f"this {kind} is new to the library, with {_members(members.arriving)}", None
    named, changes = f"{kind} {existing.id}", container_differences(container, existing)
    if not is_older and existing.removed:
        coming = f" with {_members(members.arriving)}" if members.arriving else ""
        return Decision.WILL_UPDATE, f"{named} was removed, and is restored{coming}", changes
    if not is_older and changes and action == "update":
        return Decision.WILL_UPDATE, f"{named} differs in {', '.join(changes)}", changes
    kept = "" if is_older or not changes else f"; a create never overwrites, so {', '.join(changes)} stay as they are"
    if members.arriving or moving:
        lacking = [f"lacks {_members(members.arriving)}"] if members.arriving else []
        moved = [f"has {_members(moving)} in {'another place' if moving == 1 else 'other places'}"] if moving else []
        return Decision.WILL_LINK, f"{named} {' and '.join(lacking + moved)}{kept}", None
    return Decision.WILL_SKIP, f"{named} is in the library already{kept}", changes if kept else None


def _decide_container_remove(
    action: str, container: Container, existing: ExistingContainer | None, members: MemberSummary, is_older: bool
) -> Verdict:
    """Decide about the members that a `remove` lists; the container goes with its last one."""
    kind = container.type
    if existing is None:
        return Decision.WILL_SKIP, f"the library does not have this {kind}", None
    named = f"{kind} {existing.id}"
    if not members.total:
        return Decision.WILL_SKIP, f"{named} stays: an empty list of members is no instruction", None
    if existing.removed:
        return Decision.WILL_SKIP, f"{named} was removed before", None
    if members.present:
        return Decision.WILL_REMOVE, f"{_members(members.present)} of {members.total} are taken out of {named}", None
    if not existing.has_members and not is_older:
        return Decision.WILL_REMOVE, f"{named} has no member, and is taken out of the library", None
    return Decision.WILL_SKIP, f"{named} has none of these members", None


def container_differences(container: Container, existing: ExistingContainer) -> Changes | None:
    """field -> [before, after] of title and cover, where they differ."""
    return {
        field: [getattr(existing, field), getattr(container, field)]
        for field in CONTAINER_FIELDS if getattr(existing, field) != getattr(container, field)
    } or None


def _later(one: Say | None, other: Say | None) -> Say | None:
    return max((say for say in (one, other) if say), key=lambda say: say.order, default=None)


def _members(count: int) -> str:
    return "1 member" if count == 1 else f"{count} members"


def _missing(action: str, members: MemberSummary) -> str:
    if action == "remove" or not members.missing_count:
        return ""
    return f"; {members.missing_count} of {_members(members.total)} are not in the library"
