"""Write the plan of an undo into the ledger, or count what it would do."""

import itertools
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from .. import ledger
from ..db import ReadTransaction, Transaction
from ..ledger import search_words
from ..models import COUNTED_PLANS, BatchStatus, ContainerPlan, Decision, ItemPlan
from ..preflight import SAMPLES, PreflightResult
from ..rows import BatchRow
from .effective import Key, UndoTarget
from .planner import UndoPlanner
from .requests import chain

ITEMS_AT_ONCE, CONTAINERS_AT_ONCE = 500, 100
MEMBERS_AT_ONCE = 10_000  # of several containers: what results recorded of each takes about 1 KB
BEFORE_ALL = (-1, 0)  # before each (position, id)
COUNTED = sorted((*COUNTED_PLANS, Decision.WILL_REMOVE, Decision.WILL_UNLINK))
NOT_LISTED = "the batch that is undone has no result of it any more"


class UndoPreview(NamedTuple):
    """What an undo would do: numbers by decision, and why some entries would stay as they are."""

    sync_id: str
    items: dict[str, int]
    containers: dict[str, int]
    kept: list[str]
    problem: str | None = None


class _Tally:
    """Counts the entries of a plan."""

    def __init__(self) -> None:
        self.items: Counter[Decision] = Counter()
        self.containers: Counter[Decision] = Counter()
        self.types: Counter[str] = Counter()
        self.kept: list[str] = []
        self.writes = 0
        self.planned: set[Key] = set()

    def add(self, counts: Counter[Decision], decision: Decision, reason: str, digest: str | None) -> None:
        counts[decision] += 1
        self.writes += digest is not None
        if digest is None and len(self.kept) < SAMPLES and reason not in self.kept:
            self.kept.append(reason)


def preview(tx: ReadTransaction, targets: list[UndoTarget]) -> UndoPreview:
    """Count what the undo of the last of these batches would do, after those of the others."""
    planner, tally, last = UndoPlanner(tx, targets), _Tally(), targets[-1]
    for containers in _container_plans(tx, planner, last.batch_id):
        for container in containers:
            tally.add(tally.containers, container.decision, container.reason, container.container_digest)
    for items in _item_plans(tx, planner, last.batch_id):
        for item in items:
            tally.add(tally.items, item.decision, item.reason, item.item_digest)
    return UndoPreview(last.sync_id, _counts(tally.items), _counts(tally.containers), tally.kept, _problem(last, tally))


def save_plan(
    tx: Transaction, batch: BatchRow, undo: BatchRow, actor: str, prior_sync_id: str | None = None
) -> PreflightResult:
    """Plan the undo of a locked batch, and write decisions, counts, events and status of the locked undo.

    `prior_sync_id` is the undo that is queued before this one.
    """
    targets = chain(tx, batch, prior_sync_id)
    tx.execute("ledger.place", batch_id=undo["id"], source_at=None, although_older=0)
    tally = _write(tx, UndoPlanner(tx, targets), batch, undo, None)
    ledger.withdraw_items(tx, undo["id"], tally.planned, NOT_LISTED)
    ledger.withdraw_containers(tx, undo["id"], tally.planned, NOT_LISTED)
    tx.execute(
        "undo.facts", batch_id=undo["id"], item_count=tally.items.total(), container_count=tally.containers.total(),
        prior_sync_id=prior_sync_id if len(targets) > 1 else None,
    )
    started = _started(batch, undo, tally) | {"prior_sync_id": prior_sync_id}
    ledger.append_event(tx, undo["id"], "preflight_started", started, actor)
    problem = _problem(targets[-1], tally)
    outcome = PreflightResult(problem is None, tally.items.total(), _counted(tally), [problem] if problem else [])
    tx.execute("ledger.planned", batch_id=undo["id"], plan=ledger.canonical_json(outcome.counts))
    ledger.append_event(tx, undo["id"], "preflight_finished", _finished(outcome, tally, "preflight"), actor)
    status = BatchStatus.PREFLIGHT_PASSED if outcome.ok else BatchStatus.PREFLIGHT_FAILED
    tx.execute("ledger.preflighted", batch_id=undo["id"], status=status, last_error=problem)
    return outcome


def replan_open(tx: Transaction, batch: BatchRow, undo: BatchRow, actor: str) -> PreflightResult:
    """Plan the open entries of a locked undo again; keep the other results."""
    only = ledger.open_items(tx, undo["id"])
    tally = _write(tx, UndoPlanner(tx, chain(tx, batch, undo["prior_sync_id"])), batch, undo, only)
    outcome = PreflightResult(True, tally.items.total(), _counted(tally), [])
    ledger.append_event(tx, undo["id"], "preflight_finished", _finished(outcome, tally, "retry"), actor)
    tx.execute(
        "ledger.preflighted", batch_id=undo["id"], status=BatchStatus.PREFLIGHT_PASSED, last_error=None
    )
    return outcome


def _write(
    tx: Transaction, planner: UndoPlanner, batch: BatchRow, undo: BatchRow, only: set[Key] | None
) -> _Tally:
    tally, words = _Tally(), search_words.WordSet()
    settled = set() if only is None else ledger.settled_containers(tx, undo["id"])
    for containers in _container_plans(tx, planner, batch["id"]):
        open_ones = [each for each in containers if (each.type, each.container_hash) not in settled]
        ledger.plan_containers(tx, undo["id"], open_ones)
        words.add(each.title for each in open_ones)
        for container in open_ones:
            tally.add(tally.containers, container.decision, container.reason, container.container_digest)
            tally.planned.add((container.type, container.container_hash))
    for items in _item_plans(tx, planner, batch["id"]):
        chosen = [item for item in items if only is None or (item.asset_type, item.asset_hash) in only]
        ledger.plan_items(tx, undo["id"], chosen)
        words.add(text for item in chosen for text in (item.item_title, item.path))
        for item in chosen:
            tally.add(tally.items, item.decision, item.reason, item.item_digest)
            tally.types[item.asset_type] += 1
            tally.planned.add((item.asset_type, item.asset_hash))
    search_words.save(tx, undo["id"], words)
    return tally


# ------------------------------------------------------------------------------------------------ entries


def _item_plans(tx: ReadTransaction, planner: UndoPlanner, batch_id: int) -> Iterator[list[ItemPlan]]:
    """Plan the items of a batch that have a result, in its order but covers last, in chunks."""
    position = 0
    pages = (_pages(tx, "undo.items", batch_id, ITEMS_AT_ONCE, are_covers=[each]) for each in (0, 1))
    for rows in itertools.chain.from_iterable(pages):
        undos = planner.plan_assets([(row["asset_type"], row["asset_hash"]) for row in rows])
        plans = []
        for row in rows:
            if undo := undos.get((row["asset_type"], row["asset_hash"])):
                plans.append(ItemPlan(
                    position, row["asset_type"], row["asset_hash"], row["cover_hash"], undo.decision, undo.reason,
                    undo.plan_changes, undo.before.id, None, row["path"], row["picture"], item_digest=undo.digest,
                    target_digest=undo.before.digest, item_title=row["item_title"],
                ))
                position += 1
        yield plans


def _container_plans(tx: ReadTransaction, planner: UndoPlanner, batch_id: int) -> Iterator[list[ContainerPlan]]:
    position = 0
    pages = _pages(tx, "undo.containers_of", batch_id, CONTAINERS_AT_ONCE)
    for rows in (part for page in pages for part in _parts(page)):
        undos = planner.plan_containers([(row["type"], row["container_hash"]) for row in rows])
        plans = []
        for row in rows:
            if undo := undos.get((row["type"], row["container_hash"])):
                plans.append(ContainerPlan(
                    position, row["type"], row["container_hash"], undo.digest, undo.before.digest, row["title"],
                    row["cover_hash"], undo.decision, undo.reason, undo.plan_changes, len(undo.moves),
                    target_id=undo.before.id,
                ))
                position += 1
        yield plans


def _parts(rows: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Cut containers into parts that have MEMBERS_AT_ONCE members at most; a larger one is alone."""
    part: list[dict[str, Any]] = []
    members = 0
    for row in rows:
        if part and members + row["members"] > MEMBERS_AT_ONCE:
            yield part
            part, members = [], 0
        part.append(row)
        members += row["members"]
    if part:
        yield part


def _pages(
    tx: ReadTransaction, name: str, batch_id: int, size: int, **params: Any
) -> Iterator[list[dict[str, Any]]]:
    position, row_id = BEFORE_ALL
    while rows := tx.fetch_all(name, batch_id=batch_id, position=position, id=row_id, limit=size, **params):
        yield rows
        position, row_id = rows[-1]["position"], rows[-1]["id"]


# ------------------------------------------------------------------------------------------------ events


def _problem(target: UndoTarget, tally: _Tally) -> str | None:
    if tally.writes:
        return None
    reasons = "; ".join(tally.kept) or "its results changed nothing"
    return f"nothing of batch {target.sync_id} can be undone: {reasons}"


def _counts(counts: Counter[Decision]) -> dict[str, int]:
    return {str(decision): counts[decision] for decision in sorted(counts)}


def _counted(tally: _Tally) -> dict[str, int]:
    return {str(decision): tally.items[decision] for decision in COUNTED}


def _started(batch: BatchRow, undo: BatchRow, tally: _Tally) -> dict[str, object]:
    """The payload of preflight_started."""
    return {
        "action": "undo", "container_count": tally.containers.total(), "item_count": tally.items.total(),
        "item_type_counts": dict(tally.types), "manifest_sha256": None, "phase": "preflight",
        "sync_id": undo["sync_id"], "sync_type": batch["sync_type"], "total_bytes": 0, "undo_of": batch["sync_id"],
    }


def _finished(outcome: PreflightResult, tally: _Tally, phase: str) -> dict[str, object]:
    """The payload of preflight_finished."""
    return {
        "counts": outcome.counts, "failure_samples": outcome.problems[:SAMPLES], "item_count": outcome.item_count,
        "item_type_counts": dict(tally.types), "ok": int(outcome.ok), "phase": phase,
    }
