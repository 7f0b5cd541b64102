"""What forecast and reconciliation share: a part of a library that a fold may change, and which assets are live."""

from collections.abc import Iterable
from copy import deepcopy

from ..reference_fold import ASSET_TYPES, Key, Library
from .entry_store import StoredContainer
from .views import View


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


def members_of(entries: list[StoredContainer]) -> int:
    """The number of members that versions of a container list."""
    return sum(entry.members for entry in entries)
