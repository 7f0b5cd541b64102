"""Decide what an undo does with each target: in its plan, and again under the locks of its import."""

from collections import defaultdict
from typing import Any

from .. import library_reader
from ..db import ReadTransaction, chunked, fill
from ..models import Decision
from ..order import fetch_sync_ids
from . import assets, containers, reader
from .assets import AssetState, AssetUndo
from .containers import ContainerState, ContainerUndo, Parts
from .conflicts import find_asset_conflicts, find_container_conflicts
from .effective import Key, Result, Run, UndoTarget, effective_results, first_result, newest_run, read_history
from .references import COVER, LISTED, ContainerFate, References, Remainder

# What an undo plans by what the batch did; the strongest of several results counts.
PLAN_BY_DONE = {
    Decision.CREATED: Decision.WILL_REMOVE, Decision.UPDATED: Decision.WILL_UPDATE,
    Decision.REMOVED: Decision.WILL_UPDATE, Decision.FAILED: Decision.WILL_UPDATE,
    Decision.LINKED: Decision.WILL_UNLINK, Decision.UNLINKED: Decision.WILL_LINK,
}
OTHER_PROGRAM = "another program changed it after batch {}: {}"


class UndoPlanner:
    """Plans the undo of the last batch of a chain, as if the undos of those before it had been imported.

    Plan the containers first, then other assets, then covers: what stays keeps its members and its cover.
    `lock` locks the tombstones that are read; the caller locks assets and containers. `taken_back` are the ids of
    results that the plans so far take back, or that this transaction has taken back.
    """

    def __init__(self, tx: ReadTransaction, chain: list[UndoTarget], *, lock: bool = False) -> None:
        self._tx, self._chain, self._lock = tx, chain, lock
        firsts = [first for target in chain if (first := first_result(tx, target.batch_id)) is not None]
        self._first = min(firsts, default=0)
        self._references = References(tx, chain[-1], self._first)
        self.taken_back: set[int] = set()

    # ------------------------------------------------------------------------------------------------ assets

    def plan_assets(self, keys: list[Key]) -> dict[Key, AssetUndo]:
        """(kind, hash) -> what the undo does with each asset; at most some hundred at a time."""
        undos, history, cancelled = self._plan_assets(keys, lock=self._lock)
        covers = {
            key[1]: undo.results[-1] for key, undo in undos.items()
            if key[0] == COVER and undo.decision is Decision.WILL_REMOVE
        }
        reasons = self._references.find_covers_in_use(covers, self._assets_after, cancelled) if covers else {}
        for cover_hash, reason in reasons.items():
            undos[COVER, cover_hash] = undos[COVER, cover_hash].left(reason)
        return self._with_results(undos, history)

    def _plan_assets(
        self, keys: list[Key], *, lock: bool = False
    ) -> tuple[dict[Key, AssetUndo], dict[Key, list[Result]], set[int]]:
        """Plan assets, whatever shows those that are covers; return their history and the results taken back, too."""
        states = reader.read_assets(self._tx, keys, lock=lock)
        history = read_history(self._tx, keys, self._chain, self._first)
        cancelled = set(self.taken_back)
        undos: dict[Key, AssetUndo] = {}
        for number, target in enumerate(self._chain):
            runs = {key: newest_run(history.get(key, []), target.batch_id, cancelled) for key in keys}
            undos = self._named({
                key: _plan_asset(key[0], target, runs[key], states[key]) for key in keys
            }, runs, target)
            undos = self._keep_listed(undos, runs, self._chain[:number + 1])
            for key, undo in undos.items():
                if undo.results:
                    states[key] = undo.after
                    cancelled |= set(undo.results)
        return undos, history, cancelled

    def _assets_after(self, keys: list[Key]) -> dict[Key, Remainder]:
        """What the undo leaves of assets, which may be of any batch."""
        undos, history, cancelled = self._plan_assets(keys)
        batch_id = self._chain[-1].batch_id
        return {
            key: Remainder(
                undo.after.covers if undo.after.is_live else frozenset(),
                effective_results(history.get(key, []), batch_id, cancelled),
            )
            for key, undo in undos.items()
        }

    def _with_results(self, undos: dict[Key, Any], history: dict[Key, list[Result]]) -> dict[Key, Any]:
        """Leave out the targets of which the batch has no result."""
        batch_id = self._chain[-1].batch_id
        return {
            key: undo for key, undo in undos.items()
            if any(result.batch_id == batch_id for result in history.get(key, ()))
        }

    def _keep_listed(
        self, undos: dict[Key, AssetUndo], runs: dict[Key, Run], targets: list[UndoTarget]
    ) -> dict[Key, AssetUndo]:
        """Leave the assets that would go, but that a gallery or collection lists which stays."""
        going = {
            undo.before.id: key for key, undo in undos.items()
            if undo.decision is Decision.WILL_REMOVE and undo.before.id is not None
        }
        if not going:
            return undos
        firsts = {asset_id: runs[key].results[-1].id for asset_id, key in going.items()}
        reasons: dict[int, str] = {}
        if len(targets) == len(self._chain):
            reasons |= self._references.find_own_listings(going) | self._references.find_foreign_listings(firsts)
        first = min(firsts.values())
        batch_ids = [target.batch_id for target in targets]
        listed: dict[int, int] = {}
        for kind in library_reader.CONTAINER_TYPES:
            statement = fill("undo.listed_since", type=kind)
            for ids in chunked(sorted(going)):
                rows = self._tx.fetch_all_sql(statement, asset_ids=ids, first=first, batch_ids=batch_ids)
                listed |= {row["asset_id"]: row["batch_id"] for row in rows}
        names = fetch_sync_ids(self._tx, listed.values())
        reasons |= {asset_id: LISTED.format(names[batch_id]) for asset_id, batch_id in listed.items()}
        return undos | {
            going[asset_id]: undos[going[asset_id]].left(reason) for asset_id, reason in reasons.items()
        }

    # ------------------------------------------------------------------------------------------------ containers

    def plan_containers(self, keys: list[Key]) -> dict[Key, ContainerUndo]:
        """(type, hash) -> what the undo does with each container; at most some hundred at a time."""
        history = read_history(self._tx, keys, self._chain, self._first)
        batch_ids = {target.batch_id for target in self._chain}
        own = {key: [each for each in results if each.batch_id in batch_ids] for key, results in history.items()}
        parts = reader.read_parts(self._tx, [result.id for results in own.values() for result in results])
        of_key = {key: [parts[result.id] for result in results] for key, results in own.items()}
        states = reader.read_containers(self._tx, keys, of_key, lock=self._lock)
        cancelled: set[int] = set()
        undos: dict[Key, ContainerUndo] = {}
        for target in self._chain:
            runs = {key: newest_run(history.get(key, []), target.batch_id, cancelled) for key in keys}
            undos = self._named({
                key: _plan_container(key[0], target, runs[key], states[key], parts) for key in keys
            }, runs, target)
            for key, undo in undos.items():
                if undo.results:
                    states[key] = undo.after
                    cancelled |= set(undo.results)
        self._note_fates(undos, history, cancelled)
        return self._with_results(undos, history)

    def _note_fates(
        self, undos: dict[Key, ContainerUndo], history: dict[Key, list[Result]], cancelled: set[int]
    ) -> None:
        """Remember what the undo leaves of containers, for their members and covers."""
        self.taken_back |= cancelled
        batch_id = self._chain[-1].batch_id
        for key, undo in undos.items():
            left = effective_results(history.get(key, []), batch_id, cancelled)
            keeps_own = any(result.batch_id == batch_id for result in left)
            self._references.fates[key] = ContainerFate(undo.after.is_live, undo.after.cover_hash, keeps_own)

    # ------------------------------------------------------------------------------------------------ names

    def _named(self, undos: dict[Key, Any], runs: dict[Key, Run], target: UndoTarget) -> dict[Key, Any]:
        """Name the batches that came in between."""
        batch_ids = {run.in_between for run in runs.values() if run.in_between is not None}
        names = fetch_sync_ids(self._tx, batch_ids)
        for key, run in runs.items():
            if run.in_between is not None:
                name = names.get(run.in_between, str(run.in_between))
                undos[key] = undos[key]._replace(reason=f"batch {name} changed it after batch {target.sync_id}")
        return undos


def _plan_asset(kind: str, target: UndoTarget, run: Run, state: AssetState) -> AssetUndo:
    if not run.results:
        return AssetUndo(Decision.WILL_SKIP, _nothing(run, target), state, state)
    if conflicts := find_asset_conflicts(state, run.results[0]):
        reason = OTHER_PROGRAM.format(target.sync_id, "; ".join(conflicts))
        return AssetUndo(Decision.WILL_SKIP, reason, state, state)
    after = state
    for result in run.results:
        after = assets.take_back(after, result)
    changes = assets.asset_changes(state, after)
    if not changes:
        return AssetUndo(Decision.WILL_SKIP, f"batch {target.sync_id} changed nothing of it", state, state)
    decision = _decision(run.results, state.is_live, after.is_live)
    is_restored = after.is_live and not state.is_live
    reason = _reason(decision, kind, target, is_restored, list(assets.plan_changes(changes)))
    results = tuple(result.id for result in run.results)
    return AssetUndo(decision, reason, state, after, results, changes | {"undoes": list(results)})


def _plan_container(
    kind: str, target: UndoTarget, run: Run, state: ContainerState, parts: dict[int, Parts]
) -> ContainerUndo:
    if not run.results:
        return ContainerUndo(Decision.WILL_SKIP, _nothing(run, target), state, state)
    if conflicts := find_container_conflicts(state, run.results[0], parts[run.results[0].id]):
        reason = OTHER_PROGRAM.format(target.sync_id, "; ".join(conflicts))
        return ContainerUndo(Decision.WILL_SKIP, reason, state, state)
    after = state
    for result in run.results:
        after = containers.take_back(after, result, parts[result.id])
    decision = _decision(run.results, state.is_live, after.is_live)
    undo = ContainerUndo(decision, "", state, after, tuple(result.id for result in run.results))
    if undo.changes == {"undoes": list(undo.results)} and not undo.member_changes and not undo.tombstone_changes:
        return ContainerUndo(Decision.WILL_SKIP, f"batch {target.sync_id} changed nothing of it", state, state)
    is_restored = after.is_live and not state.is_live
    return undo._replace(reason=_reason(decision, kind, target, is_restored, list(undo.plan_changes or ())))


def _nothing(run: Run, target: UndoTarget) -> str:
    if run.was_undone:
        return f"what batch {target.sync_id} did here is undone already"
    return f"batch {target.sync_id} changed nothing of it"


def _decision(results: tuple[Result, ...], is_live: bool, will_be_live: bool) -> Decision:
    if is_live and not will_be_live:
        return Decision.WILL_REMOVE
    if will_be_live and not is_live:
        return Decision.WILL_UPDATE
    plans: dict[Decision, None] = defaultdict(lambda: None)
    for result in results:
        plans[PLAN_BY_DONE.get(Decision(result.decision), Decision.WILL_SKIP)] = None
    strongest = (Decision.WILL_UPDATE, Decision.WILL_UNLINK, Decision.WILL_LINK)
    return next((plan for plan in strongest if plan in plans), Decision.WILL_SKIP)


def _reason(decision: Decision, kind: str, target: UndoTarget, is_restored: bool, named: list[str]) -> str:
    batch, values = f"batch {target.sync_id}", ", ".join(name for name in named if name != "deleted")
    if decision is Decision.WILL_REMOVE:
        return f"{batch} brought this {kind}; it is taken out of the library, and can be restored"
    if is_restored:
        return f"{batch} took out this {kind}; it is restored"
    if decision is Decision.WILL_UPDATE:
        return f"put back as before {batch}: {values or 'what was there'}"
    if decision is Decision.WILL_UNLINK:
        return f"what {batch} added is taken back: {values or 'its places in galleries and collections'}"
    if decision is Decision.WILL_LINK:
        return f"what {batch} took back is added again: {values or 'its places in galleries and collections'}"
    return f"{batch} changed no value; its place in upstream's order is taken back"
