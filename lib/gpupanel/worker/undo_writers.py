"""Carry out an undo: each entry is planned again under the lock of its target, and written if it is as approved.

docs/decisions/0150-undo-is-a-batch.md, "Approval"
"""

from typing import Any, TypeVar

from .. import order
from ..db import Transaction
from ..errors import DatabaseConflictError
from ..library_reader import AssetKey
from ..models import Decision, EntryResult, ItemPlan
from ..undo import COVER, AssetState, AssetUndo, ContainerState, ContainerUndo, UndoPlanner, UndoTarget
from . import library_containers, library_writer, undo_writes
from .containers import PendingContainer, SettledContainer
from .document_prefetch import ImportItem
from .entry_writers import ContainerGroupWriter, ItemWriter
from .item_results import SettledItem

CHANGED = "not written: what batch {} did here is not what the plan saw; undo it again"
NOT_PLANNED = "not part of the approved plan, and could be undone now: undo batch {} again"

NO_ASSET = AssetUndo(Decision.WILL_SKIP, "", AssetState(), AssetState())
NO_CONTAINER = ContainerUndo(Decision.WILL_SKIP, "", ContainerState(), ContainerState())

Undo = TypeVar("Undo", AssetUndo, ContainerUndo)


class UndoItemWriter(ItemWriter):
    """Takes back what a batch did with its items."""

    def __init__(self, batch_id: int, job_id: int, target: UndoTarget) -> None:
        super().__init__(batch_id, job_id)
        self._target = target

    def write(self, tx: Transaction, entries: list[ImportItem]) -> list[SettledItem]:
        """Take back what is as the batch left it and as it was planned.

        Raises: DataError or DatabaseConflictError.
        """
        library_writer.lock_assets(tx, [entry.key for entry in entries])
        planner = UndoPlanner(tx, [self._target], lock=True)
        undos: dict[AssetKey, AssetUndo] = {}
        for are_covers in (False, True):  # a cover goes only after all that shows it
            chosen = [entry for entry in entries if (entry.key[0] == COVER) is are_covers]
            if not chosen:
                continue
            planned = planner.plan_assets([entry.key for entry in chosen])
            approved = {
                entry.key: _approved(planned.get(entry.key, NO_ASSET), entry.item_digest, self._target)
                for entry in chosen
            }
            undo_writes.put_back_assets(tx, approved)
            planner.taken_back |= {result_id for undo in approved.values() for result_id in undo.results}
            undos |= approved
        absent = [key for key, undo in undos.items() if undo.results and undo.before.id is None]
        if absent and library_writer.lock_assets(tx, absent):
            raise DatabaseConflictError("An import created one of these assets meanwhile.")
        return [_settled(entry, undos[entry.key]) for entry in entries]


def _approved(undo: Undo, approved: str | None, target: UndoTarget) -> Undo:
    """Return the undo as approved, or why the entry stays as it is."""
    if not undo.reason:
        return undo._replace(reason=f"batch {target.sync_id} has no result of it")
    if undo.digest in (None, approved):
        return undo
    return undo.left((NOT_PLANNED if approved is None else CHANGED).format(target.sync_id))


def _settled(entry: ImportItem, undo: AssetUndo) -> SettledItem:
    (kind, asset_hash), done = entry.key, undo.decision.done
    plan = ItemPlan(
        entry.position, kind, asset_hash, entry.item.cover_hash, done, undo.reason, undo.plan_changes, undo.before.id,
        id=entry.id,
    )
    digest = undo.after.digest if undo.results else None
    return SettledItem(plan, EntryResult(
        kind, asset_hash, entry.planned, entry.approved, done, undo.reason, None, undo.changes, digest, undo.before.id,
    ))


class UndoContainerWriter(ContainerGroupWriter):
    """Takes back what a batch did with its containers, each whole or not at all."""

    def __init__(self, target: UndoTarget) -> None:
        self._target = target

    def _write_type(self, tx: Transaction, kind: str, entries: list[PendingContainer]) -> list[SettledContainer]:
        """Take back what is as the batch left it and as it was planned."""
        keys = [entry.key for entry in entries]
        library_containers.lock_containers(tx, kind, [container_hash for _, container_hash in keys])
        planned = UndoPlanner(tx, [self._target], lock=True).plan_containers(keys)
        undos: dict[AssetKey, ContainerUndo] = {}
        for entry in entries:
            digest = entry.plan["container_digest"] if entry.plan else None
            undos[entry.key] = _approved(planned.get(entry.key, NO_CONTAINER), digest, self._target)
        undo_writes.put_back_containers(tx, kind, undos)
        undo_writes.put_back_tombstones(tx, _tombstones(undos))
        absent = [key[1] for key, undo in undos.items() if undo.results and undo.before.id is None]
        if absent and library_containers.lock_containers(tx, kind, absent):
            raise DatabaseConflictError(f"An import created one of these {kind} rows meanwhile.")
        return [_settled_container(entry, undos[entry.key]) for entry in entries]


def _tombstones(undos: dict[AssetKey, ContainerUndo]) -> dict[AssetKey, Any]:
    """(kind, hash) -> (before, after) of the tombstones of containers and members."""
    stones: dict[AssetKey, Any] = {}
    for key, undo in undos.items():
        if not undo.results:
            continue
        before, after = undo.before, undo.after
        if before.tombstone != after.tombstone:
            stones[key] = before.tombstone, after.tombstone
        for name, stone in after.stones.items():
            if stone != before.stones[name]:
                stones[order.member_key(*key, name)] = before.stones[name], stone
    return stones


def _settled_container(entry: PendingContainer, undo: ContainerUndo) -> SettledContainer:
    if not undo.results:
        return SettledContainer(entry, undo.decision.done, undo.reason, target_id=undo.before.id)
    return SettledContainer(
        entry, undo.decision.done, undo.reason, undo.plan_changes, undo.changes, tuple(undo.member_changes),
        target_id=undo.before.id, target_digest=undo.after.digest, tombstones=tuple(undo.tombstone_changes),
    )
