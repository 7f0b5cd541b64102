"""Compare the library with what the completed bundles of the mount make of it, in upstream's order.

The reference fold makes of each entry what upstream says, the library is read in pages in the same order, and both are
compared. Nothing is written. docs/decisions/0162-reconcile.md
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from heapq import merge
from itertools import groupby
from operator import itemgetter
from typing import Any, TypeVar, cast

from ..container_reader import existing_containers
from ..db import Database, ReadTransaction
from ..library_reader import CONTAINER_TYPES
from ..manifest import Container
from ..models import CONTAINER_FIELDS
from ..mount import Mount
from ..reference_fold import (
    ASSET_TYPES, Asset, FIELDS, Key, Library, Order, import_container, import_item, promise_of,
)
from . import library_state
from .comparison import Gap, Upstream, GapKind, compare_asset, compare_container
from .entry_store import EntryStore, Mark, StoredBundle, StoredContainer, StoredItem, members_of
from .library_state import approved_values, live_hashes, part_of
from .remedy import Difference, Trial, find_remedy
from .upstream_bundles import UpstreamBundles, read_bundles
from .views import View, view_asset, view_container

MAX_ACTIVE = 1000  # active jobs are counted up to this number in each state
NO_PARTS: list[dict[str, Any]] = [{}, {}]
UPSTREAM, DONE = 0, 0  # the variant and step of marks: there is one fold, and its end counts

Progress = Callable[[int, int], None]
Stored = TypeVar("Stored", StoredItem, StoredContainer)


@dataclass
class Summary:
    """The counts of a reconciliation. `gaps` counts differences by kind of entry and of difference."""

    entries: int = 0
    gaps: Counter[tuple[str, GapKind]] = field(default_factory=Counter)
    undecided: int = 0
    active_jobs: int = 0

    @property
    def differences(self) -> int:
        return self.gaps.total()


class Reconciliation:
    """One comparison of mount and library.

    Read `upstream` and `summary` after `differences()` has ended. `superseded` are the bundles with an entry that a
    later bundle decided about: overriding with one of them would put back what that later bundle changed.
    """

    def __init__(self, db: Database, mount: Mount, progress: Callable[[str], Progress]) -> None:
        self._db, self._mount, self._progress = db, mount, progress
        self._store = EntryStore()
        self._marks: list[Mark] = []
        self.upstream, self.summary = UpstreamBundles(), Summary()
        self.superseded: set[str] = set()

    def close(self) -> None:
        """Delete the temporary file."""
        self._store.close()

    def status(self, sync_id: str) -> str:
        """The status of a bundle in the ledger, and whether it was undone."""
        known = self.upstream.known.get(sync_id)
        if known is None:
            return "not recorded"
        return f"{known.status}, undone" if known.undone else known.status

    def never_imported(self) -> list[str]:
        """The completed bundles of the mount that no import has completed."""
        known, bundles = self.upstream.known, self.upstream.bundles.values()
        return [each.sync_id for each in bundles if each.sync_id not in known or not known[each.sync_id].was_imported]

    def differences(self) -> Iterator[Difference]:
        """Yield each difference as it is found.

        Raises MountUnavailableError, TemporaryFileError.
        """
        self.upstream = read_bundles(self._db, self._mount, self._store, self._progress("read"))
        self.summary.active_jobs = self._db.run_read(
            lambda tx: tx.fetch_value("folds.active_jobs", most=MAX_ACTIVE)
        )
        progress, total, done = self._progress("compare"), sum(self._store.counts()), 0
        for kind in ASSET_TYPES:
            for chunk in library_state.in_chunks(self._keys(kind, self._store.items(kind))):
                yield from self._compare_assets(chunk)
                self._store.add_marks(self._marks)
                self._marks.clear()
                done += sum(map(len, chunk.values()))
                progress(done, total)
        for kind in CONTAINER_TYPES:
            for chunk in library_state.in_chunks(self._keys(kind, self._store.containers(kind)), members_of):
                yield from self._compare_containers(chunk)
                done += sum(map(len, chunk.values()))
                progress(done, total)

    def _keys(self, kind: str, named: Iterator[tuple[Key, list[Any]]]) -> Iterator[tuple[Key, list[Any]]]:
        """The entries that a bundle names or that the library has, by hash, with the bundles' versions in order."""
        upstream = ((key[1], self._placed(entries)) for key, entries in named)
        nothing: list[Any] = []
        here = ((entry_hash, nothing) for entry_hash in self._hashes(kind))
        for entry_hash, group in groupby(merge(upstream, here, key=itemgetter(0)), itemgetter(0)):
            yield (kind, entry_hash), max((entries for _, entries in group), key=len)

    def _hashes(self, kind: str) -> Iterator[str]:
        after = ""
        while page := self._db.run_read(library_state.page_of_hashes, kind, after):
            yield from page
            after = page[-1]

    def _placed(self, entries: list[Any]) -> list[Any]:
        """Sort versions by the order of their bundles, without those of bundles that have none."""
        bundles = self.upstream.bundles
        placed = [entry for entry in entries if entry.number in bundles]
        return sorted(placed, key=lambda entry: bundles[entry.number].order)

    def _bundles_of(self, entries: Iterable[StoredItem | StoredContainer]) -> dict[int, StoredBundle]:
        return {entry.number: self.upstream.bundles[entry.number] for entry in entries}

    def _note(self, key: Key, upstream: Upstream, gap: Gap | None) -> None:
        self.summary.entries += 1
        self.summary.undecided += not upstream.promise.values
        if gap:
            self.summary.gaps[key[0], gap.what] += 1

    def _note_superseded(self, bundles: dict[int, StoredBundle], says: Iterable[Order]) -> None:
        latest = max(says, default=library_state.OLDEST)
        self.superseded.update(bundle.sync_id for bundle in bundles.values() if bundle.order < latest)

    # ------------------------------------------------------------------------------------------------ assets

    def _compare_assets(self, chunk: dict[Key, list[StoredItem]]) -> Iterator[Difference]:
        library = self._db.run_read(library_state.read_assets, chunk)
        for key, entries in chunk.items():
            asset, upstream = self._fold_asset(key, entries)
            gap = compare_asset(view_asset(library.assets.get(key)), upstream, is_named=bool(entries))
            self._note(key, upstream, gap)
            if gap:
                yield self._asset_difference(part_of(library, key), key, entries, (gap, asset, upstream))

    def _fold_asset(self, key: Key, entries: list[StoredItem]) -> tuple[Asset | None, Upstream]:
        bundles, library = self._bundles_of(entries), Library()
        for entry in entries:
            import_item(library, entry.item, bundles[entry.number].as_import())
        asset = library.assets.get(key)
        if entries:
            is_there = asset is not None and not asset.deleted
            self._marks.append(Mark(UPSTREAM, key[1], key[0], DONE, None if is_there else "removed"))
            self._note_superseded(bundles, [asset.say] if asset else library.tombstones.values())
        promise = promise_of(bundle.action for bundle in bundles.values())
        choices = [] if promise.values else [
            {name: getattr(entry.item, name) for name in FIELDS}
            for entry in entries if bundles[entry.number].action != "remove"
        ]
        return asset, Upstream(view_asset(asset), promise, choices)

    def _asset_difference(
        self, library: Library, key: Key, entries: list[StoredItem], found: tuple[Gap, Asset | None, Upstream]
    ) -> Difference:
        gap, asset, upstream = found
        bundles, here = self._bundles_of(entries), library.assets.get(key)

        def attempt(trial: Trial) -> Gap | None:
            copy = part_of(library, key)
            for entry, overrides in _imports(trial, entries, lambda: view_asset(copy.assets.get(key))):
                import_item(copy, entry.item, bundles[entry.number].as_import(overrides=overrides))
            return compare_asset(view_asset(copy.assets.get(key)), upstream, is_named=True)

        contributors = _asset_contributors(gap, asset, entries, bundles)
        say = here.say if here else library.tombstones.get(key)
        return Difference(key, gap, find_remedy(gap, bundles, say, contributors, attempt))

    # -------------------------------------------------------------------------------------------- containers

    def _compare_containers(self, chunk: dict[Key, list[StoredContainer]]) -> Iterator[Difference]:
        listed = {
            key: {name for entry in entries for name in entry.container.items} for key, entries in chunk.items()
        }
        library, in_library, ids = self._db.run_read(_read_containers, listed)
        for key, entries in chunk.items():
            live = live_hashes(listed[key], self._store.marks(UPSTREAM, listed[key], DONE), in_library)
            here = view_container(library.containers.get(key))
            if here is not None:
                here["members"] = self._db.run_read(library_state.visible_members, key[0], ids[key])
            folded, upstream = self._fold_container(key, entries, live)
            gap = compare_container(here, upstream, is_named=bool(entries))
            self._note(key, upstream, gap)
            if gap:
                part = part_of(library, key, listed[key])
                part.live = live
                yield self._container_difference(part, key, entries, (gap, folded, upstream, here))

    def _container_difference(
        self, library: Library, key: Key, entries: list[StoredContainer],
        found: tuple[Gap, Library, Upstream, View | None],
    ) -> Difference:
        gap, folded, upstream, here = found
        bundles, owned, live = self._bundles_of(entries), library.containers.get(key), library.live or ()
        listed = set(owned.members) if owned else set[str]()
        others = {name: place for name, place in (here or {"members": {}})["members"].items() if name not in listed}

        def attempt(trial: Trial) -> Gap | None:
            copy = part_of(library, key, (name for entry in entries for name in entry.container.items))
            for entry, overrides in _imports(trial, entries, lambda: view_container(copy.containers.get(key))):
                import_container(copy, entry.container, bundles[entry.number].as_import(overrides=overrides))
            view = _visible(view_container(copy.containers.get(key)), live)
            if view is not None:
                view["members"] |= others
            return compare_container(view, upstream, is_named=True)

        contributors = _container_contributors(gap, folded, key, bundles)
        return Difference(key, gap, find_remedy(gap, bundles, owned.say if owned else None, contributors, attempt))

    def _fold_container(
        self, key: Key, entries: list[StoredContainer], live: set[str]
    ) -> tuple[Library, Upstream]:
        bundles, library = self._bundles_of(entries), Library(live=live)
        choices = []
        for entry in entries:
            bundle, container = bundles[entry.number], entry.container
            import_container(library, container, bundle.as_import())
            if bundle.action != "remove":
                choices.append({name: getattr(container, name) for name in CONTAINER_FIELDS})
        self._note_superseded(bundles, _container_says(library, key))
        promise = promise_of(bundle.action for bundle in bundles.values())
        return library, Upstream(_visible(view_container(library.containers.get(key)), live), promise, choices)


def _imports(trial: Trial, entries: list[Stored], view: Callable[[], View | None]) -> Iterator[tuple[Stored, bool]]:
    """Yield the versions of an entry that a trial imports, and whether each overrides newer bundles.

    It does until an import has changed what an approval binds.
    """
    first = approved_values(view())
    for entry in entries:
        if entry.number in trial.numbers:
            yield entry, trial.overrides and approved_values(view()) == first


def _visible(view: View | None, live: Collection[str]) -> View | None:
    """The state of a container with the members alone whose assets are live."""
    if view is None:
        return None
    return view | {"members": {name: place for name, place in view["members"].items() if name in live}}


def _read_containers(
    tx: ReadTransaction, listed: dict[Key, set[str]]
) -> tuple[Library, set[Key], dict[Key, int]]:
    """The containers with the listed members, the live assets among these, and the containers' ids."""
    library = library_state.read_containers(tx, listed)
    in_library = library_state.live_assets(tx, {name for names in listed.values() for name in names})
    existing = existing_containers(tx, [Container(cast(Any, kind), name) for kind, name in listed])
    return library, in_library, {key: container.id for key, container in existing.items()}


def _asset_contributors(
    gap: Gap, asset: Asset | None, entries: list[StoredItem], bundles: dict[int, StoredBundle]
) -> list[int]:
    """The bundles that set what differs; none where any that names the asset may have."""
    if asset is None or gap.what in (GapKind.MISSING, GapKind.EXTRA):
        return []
    says: set[Order] = set()
    if gap.what is not GapKind.DIFFERENT or gap.changes.keys() & set(FIELDS):
        says.add(asset.say)
    _, derivatives = gap.changes.get("derivatives", NO_PARTS)
    says |= {each.say for file, each in asset.derivatives.items() if " ".join(file) in derivatives}
    _, covers = gap.changes.get("covers", NO_PARTS)
    latest = {entry.item.cover_hash: entry.number for entry in entries if entry.item.cover_hash in covers}
    return [*(number for number, bundle in bundles.items() if bundle.order in says), *latest.values()]


def _container_contributors(
    gap: Gap, library: Library, key: Key, bundles: dict[int, StoredBundle]
) -> list[int]:
    """The bundles that set what differs."""
    container = library.containers.get(key)
    says = _container_says(library, key)
    if container and gap.what is GapKind.DIFFERENT:
        was, now = gap.changes.get("members", NO_PARTS)
        says = {container.members[name].say for name in {*was, *now} if name in container.members}
        if gap.changes.keys() & set(CONTAINER_FIELDS):
            says.add(container.say)
    return [number for number, bundle in bundles.items() if bundle.order in says]


def _container_says(library: Library, key: Key) -> set[Order]:
    """The says about a container and its members."""
    container = library.containers.get(key)
    says = {library.tombstones[key]} if key in library.tombstones else set()
    if container:
        says |= {container.say} | {member.say for member in container.members.values()}
    return says
