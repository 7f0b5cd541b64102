"""What the ledger and the results record of a written item.

docs/decisions/0112-results-are-append-only.md
"""

from datetime import datetime
from typing import Any, NamedTuple

from .. import digests
from ..library_reader import FIELDS, SayColumns
from ..manifest import Derivative
from ..models import Decision, EntryResult, ItemPlan
from .item_decision import WRITES, ItemDecision, derivative_values
from .library_writer import Assigned, CoverLink

NOTHING = SayColumns()


class Written(NamedTuple):
    """What was written of an item; `say` is None where the asset's say stays."""

    asset_id: int | None = None
    cover: CoverLink | None = None
    derivatives: tuple[Derivative, ...] = ()
    say: Assigned | None = None


class SettledItem(NamedTuple):
    """An item after its import: its row in the ledger, and its result."""

    plan: ItemPlan
    result: EntryResult


def settled_item(decided: ItemDecision, written: Written) -> SettledItem:
    """Return what is recorded of an item."""
    entry, done = decided.entry, decided.decision.done
    cover_id = _cover_id(decided, written)
    plan = ItemPlan(
        entry.position, *entry.key, entry.item.cover_hash, done, decided.reason, decided.changes, written.asset_id,
        cover_id, id=entry.id,
    )
    if decided.is_failing:
        changes, digest, error = None, None, decided.reason
    else:
        (changes, digest), error = (_changes(decided, written), _digest_after(decided, written)), None
    result = EntryResult(
        *entry.key, entry.planned, entry.approved, done, decided.reason, error, changes or None, digest,
        written.asset_id, cover_id,
    )
    return SettledItem(plan, result)


def _cover_id(decided: ItemDecision, written: Written) -> int | None:
    if written.cover:
        return written.cover.id
    cover_hash = decided.entry.item.cover_hash
    return decided.existing.covers.get(cover_hash) if decided.existing and cover_hash else None


def _changes(decided: ItemDecision, written: Written) -> dict[str, Any]:
    """name -> [before, after] of each value that was written."""
    changes = _field_changes(decided) | _say_changes(decided, written)
    before = decided.existing.derivatives if decided.existing else {}
    pairs = {(each.kind, each.path): derivative_values(each) for each in written.derivatives}
    files = {" ".join(key): [before.get(key), after] for key, after in pairs.items() if before.get(key) != after}
    if files:
        changes["derivatives"] = files
    if written.cover:
        link_before = written.cover.id if written.cover.is_restored else None
        changes["covers"] = {decided.entry.item.cover_hash: [link_before, written.cover.id]}
    if decided.new and decided.new.changes:
        changes["documents"] = decided.new.changes
    if decided.drift:
        changes["drift"] = decided.drift
    return changes


def _field_changes(decided: ItemDecision) -> dict[str, Any]:
    existing = decided.existing
    if decided.decision is Decision.WILL_REMOVE:
        return {"deleted": [False, True]}
    if decided.decision not in WRITES:
        return {}
    item = decided.entry.asset
    values = [(name, existing.fields[name] if existing else None, getattr(item, name)) for name in FIELDS]
    changes = {name: [before, after] for name, before, after in values if before != after}
    return changes | ({"deleted": [True, False]} if existing and existing.removed else {})


def _say_changes(decided: ItemDecision, written: Written) -> dict[str, Any]:
    if written.say is None:
        return {}
    before, (source_at, batch_id) = decided.existing.columns if decided.existing else NOTHING, written.say
    values = (
        ("source_at", _text(before.source_at), _text(source_at)),
        ("source_batch_id", before.source_batch_id, batch_id),
        ("last_batch_id", before.last_batch_id or None, batch_id),
    )
    return {name: [was, now] for name, was, now in values if was != now}


def _digest_after(decided: ItemDecision, written: Written) -> str:
    """The digest of the asset as it is after the write."""
    existing = decided.existing
    if existing is None and written.asset_id is None:
        return digests.ABSENT
    files = dict(existing.derivatives) if existing else {}
    files |= {(each.kind, each.path): derivative_values(each) for each in written.derivatives}
    if decided.decision in WRITES:
        item = decided.entry.asset
        return digests.asset_digest({name: getattr(item, name) for name in FIELDS}, False, files)
    assert existing is not None
    return digests.asset_digest(existing.fields, existing.removed or decided.decision is Decision.WILL_REMOVE, files)


def _text(time: datetime | None) -> str | None:
    return time.isoformat(" ", "microseconds") if time else None
