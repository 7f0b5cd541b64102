"""Read-only look-ups of galleries and collections and their members, a few statements for each chunk of members."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Set as AbstractSet
from dataclasses import dataclass, field
from typing import NamedTuple

from . import digests, order
from .db import ReadTransaction, chunked
from .library_reader import (
    MEANT_LAST_TO_FIRST, ContainerKey, Membership, SayColumns, all_asset_ids_by_hash, asset_ids_by_hash,
    container_rows, memberships,
)
from .manifest import Container
from .order import BundleOrder, Resolver, Say

SAMPLES = 20  # missing members that are kept by their hashes


class ExistingContainer(NamedTuple):
    """A gallery or collection of the library; `has_members` counts live memberships alone."""

    id: int
    removed: bool
    title: str | None
    cover_hash: str | None
    has_members: bool
    say: Say | None
    columns: SayColumns = SayColumns()

    @property
    def target_digest(self) -> str:
        """The digest that an approval binds."""
        return digests.library_container_digest(self.title, self.cover_hash, self.removed)


@dataclass(slots=True)
class MemberSummary:
    """What a bundle would do with the members of one container, counted while they are read.

    Distinct members: `arriving` would come, `moving` are elsewhere in it, `present` would be taken out by a `remove`,
    `stopped` are as a newer bundle left them, also where it removed the asset itself. `missing` has the first of those
    that are neither in the library nor brought by the bundle. `tombstone` is the latest `remove` that named the
    container.
    """

    total: int = 0
    arriving: int = 0
    moving: int = 0
    present: int = 0
    stopped: int = 0
    missing: list[str] = field(default_factory=list)
    missing_count: int = 0
    tombstone: Say | None = None


class _Listed(NamedTuple):
    """A member as the manifest lists it, at the first of its positions."""

    key: ContainerKey
    position: int
    asset_hash: str


def existing_containers(tx: ReadTransaction, containers: Iterable[Container]) -> dict[ContainerKey, ExistingContainer]:
    """(type, hash) -> container, live or removed, of these containers."""
    resolver = Resolver(tx)
    return {
        key: ExistingContainer(
            row["id"], row["deleted_at"] is not None, row["title"], row["cover_hash"], bool(row["has_members"]),
            resolver.say(row), SayColumns(row["source_at"], row["source_batch_id"], row["last_batch_id"]),
        )
        for key, row in container_rows(tx, containers).items()
    }


def removed_later(tx: ReadTransaction, hashes: Iterable[str], bundle: BundleOrder) -> set[str]:
    """Those of these hashes without a live asset that a later bundle took out of the library."""
    resolver, removed = Resolver(tx), set[str]()
    for chunk in chunked(hashes):
        buried = order.tombstones(tx, ((asset_type, each) for asset_type in MEANT_LAST_TO_FIRST for each in chunk))
        removed |= {key[1] for key, say in buried.items() if order.must_yield(bundle, say)}
        for asset_type in MEANT_LAST_TO_FIRST:
            rows = tx.fetch_all("library_read.assets", asset_type=asset_type, hashes=chunk)
            removed |= {row["asset_hash"] for row in rows if order.must_yield(bundle, resolver.say(row))}
    return removed


class MemberReader:
    """Compares the members of a bundle's containers with the library.

    `brought` are hashes of the items that the bundle will create or restore before its containers.
    """

    def __init__(self, tx: ReadTransaction, action: str, bundle: BundleOrder, brought: AbstractSet[str] = frozenset()):
        self._tx, self._action, self._bundle, self._brought = tx, action, bundle, brought
        self._resolver = Resolver(tx)

    def summarize(
        self, containers: list[Container], existing: dict[ContainerKey, ExistingContainer]
    ) -> dict[ContainerKey, MemberSummary]:
        """(type, hash) -> summary of the members of these containers."""
        keys: list[ContainerKey] = [(container.type, container.container_hash) for container in containers]
        buried = order.tombstones(self._tx, keys)
        summaries = {key: MemberSummary(tombstone=buried.get(key)) for key in keys}
        for chunk in chunked(_listed(containers)):
            if self._action == "remove":
                self._count_present(chunk, existing, summaries)
            else:
                self._count_arriving(chunk, existing, summaries)
        return summaries

    def _count_present(
        self, chunk: list[_Listed], existing: dict[ContainerKey, ExistingContainer],
        summaries: dict[ContainerKey, MemberSummary],
    ) -> None:
        """Count members that are in; a `remove` means assets of any type, also removed ones."""
        ids = all_asset_ids_by_hash(self._tx, {each.asset_hash for each in chunk})
        found = self._memberships(
            (each.key, existing[each.key].id, asset_id)
            for each in chunk if each.key in existing for asset_id in ids.get(each.asset_hash, ())
        )
        for each in chunk:
            tally = summaries[each.key]
            tally.total += 1
            places = [found.get((each.key, asset_id)) for asset_id in ids.get(each.asset_hash, ())]
            live = [place for place in places if place and not place.removed]
            if any(self._is_stopped(place.say or existing[each.key].say) for place in live):
                tally.stopped += 1
            elif live:
                tally.present += 1

    def _count_arriving(
        self, chunk: list[_Listed], existing: dict[ContainerKey, ExistingContainer],
        summaries: dict[ContainerKey, MemberSummary],
    ) -> None:
        ids = asset_ids_by_hash(self._tx, {each.asset_hash for each in chunk})
        found = self._memberships(
            (each.key, existing[each.key].id, ids[each.asset_hash])
            for each in chunk if each.key in existing and each.asset_hash in ids
        )
        places = [found.get((each.key, ids.get(each.asset_hash, 0))) for each in chunk]
        absent = {
            each: order.member_key(*each.key, each.asset_hash)
            for each, place in zip(chunk, places, strict=True) if place is None
        }
        buried = order.tombstones(self._tx, absent.values()) if absent else {}
        lacking = {each.asset_hash for each in chunk} - ids.keys() - self._brought
        removed = removed_later(self._tx, lacking, self._bundle)
        for each, place in zip(chunk, places, strict=True):
            tally = summaries[each.key]
            tally.total += 1
            if each.asset_hash in removed:
                tally.stopped += 1
            elif each.asset_hash in lacking:
                tally.missing_count += 1
                tally.missing += [each.asset_hash] if len(tally.missing) < SAMPLES else []
            elif place is None:
                stopped = self._is_stopped(buried.get(absent[each]))
                tally.stopped, tally.arriving = tally.stopped + stopped, tally.arriving + (not stopped)
            elif self._is_stopped(place.say or existing[each.key].say):
                tally.stopped += 1
            elif place.removed:
                tally.arriving += 1
            elif place.position != each.position and self._action == "update":
                tally.moving += 1

    def _is_stopped(self, say: Say | None) -> bool:
        return order.must_yield(self._bundle, say)

    def _memberships(
        self, wanted: Iterable[tuple[ContainerKey, int, int]]
    ) -> dict[tuple[ContainerKey, int], Membership]:
        by_type: dict[str, dict[tuple[int, int], ContainerKey]] = defaultdict(dict)
        for key, container_id, asset_id in wanted:
            by_type[key[0]][container_id, asset_id] = key
        return {
            (keys[pair], pair[1]): place
            for kind, keys in by_type.items()
            for pair, place in memberships(self._tx, kind, keys, self._resolver).items()
        }


def _listed(containers: Iterable[Container]) -> Iterator[_Listed]:
    for container in containers:
        key = container.type, container.container_hash
        seen: set[str] = set()
        for position, asset_hash in enumerate(container.items):
            if asset_hash not in seen:
                seen.add(asset_hash)
                yield _Listed(key, position, asset_hash)
