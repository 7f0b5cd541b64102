"""The decision table: what an import does with an item.

docs/CONTRACT.md, 5. Words for states.

Pure functions: the preflight calls them to plan, and the importer again in the transaction that writes.
"""

from collections.abc import Set as AbstractSet
from typing import Any

from . import library_reader
from .library_reader import AssetKey, ExistingAsset
from .manifest import Container, Item, Manifest
from .models import Changes, Decision
from .text import short_hash

RANK = {"photo": 0, "video": 1, "cover": 2}


class ContainerMemberships:
    """The containers of a bundle that list an item.

    If items of several types share a hash, it means the photo before the video before the cover, as in
    `catalogue.by_hash`.
    """

    def __init__(self, manifest: Manifest) -> None:
        self.containers: tuple[Container, ...] = tuple(manifest.containers)
        self._keys: dict[str, set[AssetKey]] = {}
        for container in self.containers:
            for member in container.items:
                self._keys.setdefault(member, set()).add((container.type, container.container_hash))
        self._types: dict[str, str] = {}
        for item in manifest.items if self._keys else ():
            earlier = self._types.get(item.asset_hash, item.asset_type)
            self._types[item.asset_hash] = min(earlier, item.asset_type, key=RANK.__getitem__)

    def containers_of(self, item: Item) -> set[AssetKey]:
        """(type, hash) of each container that lists the item."""
        is_meant = self._types.get(item.asset_hash) == item.asset_type
        return self._keys.get(item.asset_hash, set()) if is_meant else set()


def decide(
    action: str, item: Item, existing: ExistingAsset | None, containers: AbstractSet[AssetKey] = frozenset()
) -> tuple[Decision, str, Changes | None]:
    """Apply the decision table to an item: (decision, reason, changes).

    `containers` are those that list the item. The reason is worded to be true before the import and after it.
    """
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
    links = _missing_links(item, existing, containers)
    if links:
        return Decision.WILL_LINK, f"{_named(existing)} lacks {' and '.join(links)}{kept}", None
    return Decision.WILL_SKIP, f"{_named(existing)} is in the library already{kept}", changes if kept else None


def differences(item: Item, existing: ExistingAsset) -> Changes | None:
    """field -> [before, after] of the fields in which item and asset differ.

    A derivative that only the library has is no difference: absence is never an instruction (docs/CONTRACT.md, 2.8).
    """
    if existing.fingerprint == library_reader.fingerprint(item):
        return None
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


def _decide_remove(kind: str, existing: ExistingAsset | None) -> tuple[Decision, str, None]:
    if existing is None:
        return Decision.WILL_SKIP, f"the library does not have this {kind}", None
    if existing.removed:
        return Decision.WILL_SKIP, f"{_named(existing)} was removed before", None
    return Decision.WILL_REMOVE, f"{_named(existing)} is taken out of the library, and can be restored", None


def _named(existing: ExistingAsset) -> str:
    origin = f", brought by batch {existing.first_sync_id}," if existing.first_sync_id else ""
    return f"asset {existing.id}{origin}"


def _missing_links(item: Item, existing: ExistingAsset, containers: AbstractSet[AssetKey]) -> list[str]:
    cover = ["its cover link"] if item.cover_hash and item.cover_hash not in existing.covers else []
    lacking = sorted(containers - existing.containers)
    return cover + [f"its place in {kind} {short_hash(container_hash)}" for kind, container_hash in lacking]
