"""Fold the entries of several batches over the library, in queue order and in the reverse order.

Each entry is folded alone: an item changes its own asset only, and a container depends on the marks of its members'
assets, which the fold of the items has stored (docs/decisions/0160-fold-by-entry.md).
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .. import container_reader
from ..db import Database, ReadTransaction
from ..library_reader import CONTAINER_TYPES
from ..models import Changes
from ..order import BundleOrder, Order
from ..reference_fold import (
    ASSET_TYPES, Key, Library, Order as FoldedOrder, import_container, import_item,
)
from . import library_state
from .entry_store import EntryStore, Mark, StoredBundle, StoredContainer, StoredItem, members_of
from .library_state import approved_values, live_hashes, part_of
from .views import Effect, View, differences, effect_of, view_asset, view_container

FORWARD, REVERSE = 0, 1
MISSING_SAMPLES = 20
PARTS = ("derivatives", "members")


class EntryForecast(NamedTuple):
    """What becomes of an asset or container; `bundles` are the numbers of those that name it."""

    key: Key
    effect: Effect
    changes: Changes
    bundles: list[int]


class OrderEffect(NamedTuple):
    """How an entry would end in the reverse order: name -> [in this order, in the reverse order]."""

    key: Key
    changes: Changes
    bundles: list[int]


class MissingMembers(NamedTuple):
    """The members that a container of a bundle would lack when it is imported."""

    number: int
    key: Key
    missing: int
    sample: list[str]


class Overwrite(NamedTuple):
    """A value that one bundle sets and a later one changes; `set_by` and `changed_by` are numbers of bundles."""

    key: Key
    name: str
    set_by: int
    value: Any
    changed_by: int
    changed_to: Any


class OverwriteFinder:
    """Finds the overwrites of one entry, from its states after each bundle in queue order."""

    def __init__(self, key: Key) -> None:
        self._key = key
        self._setters: dict[str, int] = {}

    def note(self, number: int, before: View | None, after: View | None) -> Iterator[Overwrite]:
        """Yield the values that the bundle changes and that a bundle before it has set; remember what it sets."""
        for name, (was, now) in _flat(differences(before, after)):
            setter = self._setters.get(name)
            if setter is not None and was is not None:
                yield Overwrite(self._key, name, setter, was, number, now)
            self._setters[name] = number


def _flat(changes: Changes) -> Iterable[tuple[str, list[Any]]]:
    """The changes with one name for each part; what comes as new has no value before."""
    for name, (was, now) in changes.items():
        if name == "covers":
            continue
        if name not in PARTS:
            yield name, [was, now]
            continue
        for part in dict.fromkeys([*was, *now]):
            yield f"{name} {part}", [was.get(part), now.get(part)]


@dataclass
class LimitedList:
    """The first entries of a list of any length, and its length."""

    most: int
    first: list[Any] = field(default_factory=list)
    total: int = 0

    def add(self, each: Any) -> None:
        self.total += 1
        if len(self.first) < self.most:
            self.first.append(each)


class Findings:
    """What the fold found; each list keeps its first `most` entries."""

    def __init__(self, most: int) -> None:
        self.effects: dict[str, Counter[Effect]] = defaultdict(Counter)  # kind -> effect -> entries
        self.by_bundle: dict[int, Counter[Effect]] = defaultdict(Counter)  # assets alone
        self.changes, self.overwrites = LimitedList(most), LimitedList(most)
        self.order_effects, self.missing = LimitedList(most), LimitedList(most)

    def add_entry(self, key: Key, before: View | None, after: View | None, bundles: list[int]) -> None:
        effect = effect_of(before, after)
        self.effects[key[0]][effect] += 1
        if before != after:
            self.changes.add(EntryForecast(key, effect, differences(before, after), bundles))

    def add_overwrites(self, overwrites: Iterable[Overwrite]) -> None:
        for overwrite in overwrites:
            self.overwrites.add(overwrite)


class EntryFolder:
    """Folds all entries of a store; `steps` maps the number of a bundle to its place in the queue."""

    def __init__(
        self, db: Database, store: EntryStore, bundles: dict[int, StoredBundle], findings: Findings,
        checkpoint: Callable[[int], None],
    ) -> None:
        self._db, self._store, self._bundles, self._findings = db, store, bundles, findings
        self._checkpoint = checkpoint
        self._last = len(bundles) - 1
        self._marks: list[Mark] = []

    def fold(self) -> None:
        """Fold items, then containers.

        `checkpoint(entries)` is called after each chunk, and with 0 before each version of a container, which may have
        any number of members; it may raise.
        """
        for kind in ASSET_TYPES:
            for chunk in library_state.in_chunks(self._store.items(kind)):
                self._fold_assets(chunk)
                self._store.add_marks(self._marks)
                self._marks.clear()
                self._checkpoint(sum(map(len, chunk.values())))
        for kind in CONTAINER_TYPES:
            for chunk in library_state.in_chunks(self._store.containers(kind), size=members_of):
                self._fold_containers(chunk)
                self._checkpoint(sum(map(len, chunk.values())))

    def _step(self, variant: int, number: int) -> int:
        return number if variant == FORWARD else self._last - number

    # ------------------------------------------------------------------------------------------------ assets

    def _fold_assets(self, chunk: dict[Key, list[StoredItem]]) -> None:
        library = self._db.run_read(library_state.read_assets, chunk)
        for key, entries in chunk.items():
            before = view_asset(library.assets.get(key))
            ends = [self._fold_asset(part_of(library, key), key, entries, variant) for variant in (FORWARD, REVERSE)]
            numbers = [entry.number for entry in entries]
            self._findings.add_entry(key, before, ends[FORWARD], numbers)
            self._compare_orders(key, ends, numbers)

    def _fold_asset(self, library: Library, key: Key, entries: list[StoredItem], variant: int) -> View | None:
        setters = OverwriteFinder(key)
        first = view = view_asset(library.assets.get(key))
        for entry in entries if variant == FORWARD else reversed(entries):
            bundle = self._bundles[entry.number]
            overrides = bundle.although_older and approved_values(view) == approved_values(first)
            import_item(library, entry.item, bundle.as_import(overrides=overrides))
            after = view_asset(library.assets.get(key))
            removed_by = _removed_by(library, key)
            if removed_by or not _is_live(view):
                step = self._step(variant, entry.number)
                self._marks.append(Mark(variant, key[1], key[0], step, removed_by))
            if variant == FORWARD:
                self._findings.by_bundle[entry.number][effect_of(view, after)] += 1
                self._findings.add_overwrites(setters.note(entry.number, view, after))
            view = after
        return view

    def _compare_orders(self, key: Key, ends: list[View | None], numbers: list[int]) -> None:
        forward, reverse = (end if _is_live(end) else None for end in ends)
        if forward != reverse:
            self._findings.order_effects.add(OrderEffect(key, differences(forward, reverse), numbers))

    # -------------------------------------------------------------------------------------------- containers

    def _fold_containers(self, chunk: dict[Key, list[StoredContainer]]) -> None:
        listed = {
            key: {name for entry in entries for name in entry.container.items} for key, entries in chunk.items()
        }
        library = self._db.run_read(library_state.read_containers, listed)
        names = {name for members in listed.values() for name in members}
        live = self._db.run_read(library_state.live_assets, names)
        for key, entries in chunk.items():
            before = view_container(library.containers.get(key))
            ends = [
                self._fold_container(part_of(library, key, listed[key]), (key, entries, live), variant)
                for variant in (FORWARD, REVERSE)
            ]
            numbers = [entry.number for entry in entries]
            self._findings.add_entry(key, before, ends[FORWARD], numbers)
            self._compare_orders(key, ends, numbers)

    def _fold_container(
        self, library: Library, group: tuple[Key, list[StoredContainer], set[Key]], variant: int
    ) -> View | None:
        key, entries, live = group
        setters = OverwriteFinder(key)
        first = view = view_container(library.containers.get(key))
        for entry in entries if variant == FORWARD else reversed(entries):
            self._checkpoint(0)
            bundle, container = self._bundles[entry.number], entry.container
            marks = self._store.marks(variant, container.items, self._step(variant, entry.number))
            library.live = live_hashes(container.items, marks, live)
            overrides = bundle.although_older and approved_values(view) == approved_values(first)
            is_complete = import_container(library, container, bundle.as_import(overrides=overrides))
            after = view_container(library.containers.get(key))
            if variant == FORWARD:
                self._findings.add_overwrites(setters.note(entry.number, view, after))
                if not is_complete:
                    lacking = set(container.items) - set(library.live)
                    removed = set[str]() if overrides else self._db.run_read(_removed_later, bundle, (lacking, marks))
                    self._note_missing(bundle.number, key, sorted(lacking - removed))
            view = after
        return view

    def _note_missing(self, number: int, key: Key, missing: list[str]) -> None:
        if missing:
            self._findings.missing.add(MissingMembers(number, key, len(missing), missing[:MISSING_SAMPLES]))


def _removed_later(
    tx: ReadTransaction, bundle: StoredBundle, found: tuple[set[str], dict[Key, str | None]]
) -> set[str]:
    """Those of the hashes without a live asset that a later bundle removed: they are not missing."""
    lacking, marks = found
    own, own_say = BundleOrder(Order(*bundle.order), bundle.batch_id), _say_text(bundle.order)
    removed = {name for (_, name), say in marks.items() if say and say > own_say}
    unmarked = lacking - {name for _, name in marks}
    return removed | container_reader.removed_later(tx, unmarked, own)


def _removed_by(library: Library, key: Key) -> str | None:
    """The say that removed an asset, or that keeps it absent; None if it is live."""
    asset = library.assets.get(key)
    if asset is not None:
        return _say_text(asset.say) if asset.deleted else None
    return _say_text(library.tombstones.get(key, library_state.OLDEST))


def _say_text(say: FoldedOrder) -> str:
    """A say as text that sorts as says do."""
    return f"{say.source_at.isoformat(timespec='microseconds')} {say.sync_id}"


def _is_live(view: View | None) -> bool:
    return view is not None and not view["deleted"]
