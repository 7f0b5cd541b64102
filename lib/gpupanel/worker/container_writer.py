"""Write galleries and collections of one bundle, a group in one transaction.

Container rows are locked by type and hash, then members' assets are read without a lock, then tombstones. A container
that no import has brought yet has no row to lock: an import that inserts one reads the tombstones afterwards, and a
`remove` that finds none reads the containers again after it wrote its tombstones, so that neither misses the other
(docs/decisions/0111-upstream-order.md, "Race of create and remove").
"""

from collections import defaultdict
from collections.abc import Container as Collection
from itertools import islice
from typing import Any

from .. import digests, library_reader, order
from ..container_reader import ExistingContainer, existing_containers, removed_later
from ..db import ReadTransaction, Transaction
from ..errors import DatabaseConflictError
from ..library_reader import Membership
from ..order import BundleOrder, Resolver, Say, TombstoneKey, must_yield
from . import container_drift, library_containers, library_writer
from .chunk_writer import ImportRun
from .container_work import ContainerWork
from .containers import PendingContainer, SettledContainer
from .entry_writers import ContainerGroupWriter
from .library_writer import Assigned

Works = list[ContainerWork]


class ContainerWriter(ContainerGroupWriter):
    """Writes the containers of one bundle."""

    def __init__(self, run: ImportRun, action: str) -> None:
        self._run, self._action = run, action

    def _write_type(self, tx: Transaction, kind: str, entries: list[PendingContainer]) -> list[SettledContainer]:
        works = self._lock(tx, kind, entries)
        if self._action == "remove":
            self._resolve_leaving(tx, kind, works)
        else:
            self._create(tx, kind, works)
            self._resolve_coming(tx, kind, works)
        first = [work for work in works if work.entry.is_first_step]
        for work in first:
            work.decide()
        container_drift.check(tx, first, self._run)
        written = [work for work in works if not work.problem]
        library_containers.write_members(tx, kind, [row for work in written for row in self._member_rows(work)])
        self._mark(tx, kind, written)
        library_containers.write_containers(tx, kind, [work.row() for work in written if work.is_row_written])
        if self._action == "remove":
            self._bury(tx, kind, written)
        return [work.settled() for work in works]

    # ------------------------------------------------------------------------------------------ read

    def _lock(self, tx: Transaction, kind: str, entries: list[PendingContainer]) -> Works:
        library_containers.lock_containers(tx, kind, [entry.container.container_hash for entry in entries])
        rows = existing_containers(tx, [entry.container for entry in entries])
        return [self._work(entry, rows.get(entry.key)) for entry in entries]

    def _work(self, entry: PendingContainer, existing: ExistingContainer | None) -> ContainerWork:
        """`although_older` counts only while the container is what the operator saw."""
        bundle, found = self._run.bundle, existing.target_digest if existing else digests.ABSENT
        if bundle.although_older and (not entry.plan or entry.plan["target_digest"] != found):
            bundle = bundle._replace(although_older=False)
        return ContainerWork(entry, self._action, bundle, existing, existing.id if existing else None)

    def _create(self, tx: Transaction, kind: str, works: Works) -> None:
        """Insert the containers that the library does not have; their marks follow."""
        absent = {work.entry.container.container_hash: work for work in works if work.existing is None}
        for container_hash, container_id in library_containers.create_containers(
            tx, kind, [_row_of_new(work) for work in absent.values()]
        ).items():
            absent[container_hash].id = container_id

    def _resolve_coming(self, tx: Transaction, kind: str, works: Works) -> None:
        """Find the members of a create or update, and decide about each."""
        listed = {work: _resolved(work.entry) for work in works}
        ids = library_reader.asset_ids_by_hash(tx, {name for members in listed.values() for name in members})
        known = self._memberships(tx, kind, (
            (work.existing.id, ids[name]) for work, members in listed.items() if work.existing
            for name in members if name in ids
        ))
        absent = {
            (work, name): order.member_key(kind, work.entry.container.container_hash, name)
            for work, members in listed.items() for name in members if name in ids and (work.id, ids[name]) not in known
        }
        tombstones = self._tombstones(tx, works, list(absent.values()))
        removed = _removed_later(tx, listed, ids)
        for work, members in listed.items():
            for name, position in members.items():
                if name in removed[work.bundle]:
                    work.stopped += 1
                    continue
                if name not in ids:
                    work.missing.append(name)
                    continue
                place = known.get((work.id or 0, ids[name]))
                if place:
                    say, write = work.say_of(place), work.rules.keep(ids[name], position, place)
                else:
                    say = tombstones.get(absent[work, name])
                    write = work.rules.add(ids[name], position, say)
                work.stopped += must_yield(work.bundle, say)
                work.writes[name] = [write] if write else []

    def _resolve_leaving(self, tx: Transaction, kind: str, works: Works) -> None:
        """Find the memberships that a `remove` lists, and decide about each; it means assets of all types."""
        listed = {work: _resolved(work.entry) for work in works}
        ids = library_reader.all_asset_ids_by_hash(tx, {name for members in listed.values() for name in members})
        known = self._memberships(tx, kind, (
            (work.existing.id, asset_id) for work, members in listed.items() if work.existing
            for name in members for asset_id in ids.get(name, ())
        ))
        self._tombstones(tx, works, [])
        for work, members in listed.items():
            for name in members:
                pairs = ((each, known.get((work.id or 0, each))) for each in ids.get(name, ()))
                places = [(each, place) for each, place in pairs if place]
                writes = [work.rules.remove(asset_id, place) for asset_id, place in places]
                work.writes[name] = [write for write in writes if write]
                work.present += any(write and write.change for write in writes)
                live = [place for _, place in places if not place.removed]
                work.stopped += any(must_yield(work.bundle, work.say_of(place)) for place in live)
                if not places:
                    work.unknown.append(name)

    def _memberships(self, tx: Transaction, kind: str, pairs: Any) -> dict[tuple[int, int], Membership]:
        wanted = list(pairs)
        return library_reader.memberships(tx, kind, wanted, Resolver(tx)) if wanted else {}

    def _tombstones(self, tx: Transaction, works: Works, keys: list[TombstoneKey]) -> dict[TombstoneKey, Say]:
        """Read the tombstones of containers and members; locked where a container was inserted."""
        lock = any(work.existing is None and work.id for work in works)
        found = order.tombstones(tx, [*(work.entry.key for work in works), *keys], lock=lock)
        for work in works:
            work.tombstone = found.get(work.entry.key)
        return found

    # ------------------------------------------------------------------------------------------ write

    def _member_rows(self, work: ContainerWork) -> list[dict[str, Any]]:
        return [
            {
                "container_id": work.id, "asset_id": write.asset_id, "position": write.position,
                "source_at": str(write.source_at), "source_batch_id": self._run.batch_id,
                "is_removed": int(write.is_removed), "is_change": write.change is not None,
            }
            for write in work.part
        ]

    def _mark(self, tx: Transaction, kind: str, works: Works) -> None:
        """Decide which containers are removed; the first and the last step of a large one do."""
        for work in works:
            work.is_removed = work.was_removed
        marked = [work for work in works if work.id and (work.entry.is_first_step or work.entry.is_last_step)]
        doubtful = {work.id: work for work in marked if work.id and work.may_be_removed}
        filled = library_containers.containers_with_members(tx, kind, doubtful) if doubtful else set()
        for work in marked:
            work.is_removed = work.id in doubtful and not self._has_members(tx, kind, work, work.id in filled)

    def _has_members(self, tx: Transaction, kind: str, work: ContainerWork, has_now: bool) -> bool:
        """Whether the container has a live member after its last step."""
        if any(not write.is_removed for write in work.later if write.change):
            return True
        leaving = sum(1 for write in work.later if write.change and write.is_removed)
        if not leaving or not has_now or not work.id:
            return has_now
        return library_containers.count_members(tx, kind, work.id) > leaving

    def _bury(self, tx: Transaction, kind: str, works: Works) -> None:
        """Write the tombstones of a `remove`: for the containers, and for members without a membership."""
        naming = [work for work in works if work.entry.members]
        says: dict[TombstoneKey, Assigned] = {work.entry.key: work.buried for work in naming}
        for work in naming:
            says |= dict.fromkeys(_tombstone_keys(work)[1:], work.buried)
        written = library_writer.insert_tombstones(tx, says.items())
        for work in naming:
            work.written_tombstones = {key: written[key] for key in _tombstone_keys(work) if key in written}
        absent = [work.entry.container.container_hash for work in naming if work.existing is None]
        if absent and library_containers.lock_containers(tx, kind, absent):
            raise DatabaseConflictError(f"Another import created this {kind} meanwhile.")


def _tombstone_keys(work: ContainerWork) -> list[TombstoneKey]:
    """The tombstones that a `remove` writes: of its container, then of members without a membership."""
    kind, container_hash = work.entry.key
    return [work.entry.key, *(order.member_key(kind, container_hash, name) for name in work.unknown)]


def _row_of_new(work: ContainerWork) -> dict[str, Any]:
    container = work.entry.container
    return {
        "container_hash": container.container_hash, "title": container.title, "cover_hash": container.cover_hash,
        "batch_id": work.bundle.batch_id, "source_at": str(work.bundle.order.source_at),
    }


def _resolved(entry: PendingContainer) -> dict[str, int]:
    """The members to be looked up: all in the first step, later those of the step."""
    if entry.is_first_step:
        return entry.members
    return dict(islice(entry.members.items(), entry.start, entry.end))


def _removed_later(
    tx: ReadTransaction, listed: dict[ContainerWork, dict[str, int]], live: Collection[str]
) -> dict[BundleOrder, set[str]]:
    """Members whose assets a later bundle removed: they are as it left them, and not missing."""
    lacking: dict[BundleOrder, set[str]] = defaultdict(set)
    for work, members in listed.items():
        lacking[work.bundle] |= {name for name in members if name not in live}
    return {bundle: removed_later(tx, names, bundle) for bundle, names in lacking.items()}
