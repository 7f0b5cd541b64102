"""What the ledger and the results record of a written item.

docs/decisions/0112-results-are-append-only.md
"""

from datetime import datetime
from typing import Any, NamedTuple

from .. import digests
from ..library_reader import SayColumns
from ..manifest import Derivative
from ..models import Decision, EntryResult, ItemPlan
from ..text import time_text
from .item_decision import WRITES, ItemDecision
from .library_writer import Assigned, CoverLink

NOTHING = SayColumns()
Files = dict[tuple[str, str], dict[str, Any]]  # (kind, path) -> values


class Written(NamedTuple):
    """What was written of an item; `say` is None where the asset's say stays.

    `file_say` is the say of the derivatives. `tombstone` is the say that a tombstone replaced, and the one it has.
    """

    asset_id: int | None = None
    cover: CoverLink | None = None
    derivatives: tuple[Derivative, ...] = ()
    say: Assigned | None = None
    file_say: Assigned | None = None
    tombstone: tuple[Assigned | None, Assigned] | None = None


class Values(NamedTuple):
    """The values that an import writes: the fields of an asset, {} where they stay, and those of derivatives."""

    fields: dict[str, Any]
    files: Files


class SettledItem(NamedTuple):
    """An item after its import: its row in the ledger, and its result."""

    plan: ItemPlan
    result: EntryResult


def settled_item(decided: ItemDecision, written: Written) -> SettledItem:
    """Return what is recorded of an item."""
    entry, done, reason = decided.entry, decided.decision.done, decided.reason
    (kind, asset_hash), cover_id = entry.key, _cover_id(decided, written)
    plan = ItemPlan(
        entry.position, kind, asset_hash, entry.item.cover_hash, done, reason, decided.changes, written.asset_id,
        cover_id, id=entry.id,
    )
    error = changes = digest = None
    if decided.is_failing:
        error = reason
    else:
        values = Values(
            digests.item_fields(entry.asset) if decided.decision in WRITES else {},
            {(each.kind, each.path): digests.derivative_fields(each) for each in written.derivatives},
        )
        changes, digest = _changes(decided, written, values), _digest_after(decided, written, values)
    result = EntryResult(
        kind, asset_hash, entry.planned, entry.approved, done, reason, error, changes, digest, written.asset_id,
        cover_id,
    )
    return SettledItem(plan, result)


def _cover_id(decided: ItemDecision, written: Written) -> int | None:
    if written.cover:
        return written.cover.id
    cover_hash = decided.entry.item.cover_hash
    return decided.existing.covers.get(cover_hash) if decided.existing and cover_hash else None


def _changes(decided: ItemDecision, written: Written, values: Values) -> dict[str, Any]:
    """name -> [before, after] of each value that was written."""
    changes = _field_changes(decided, values.fields) | _say_changes(decided, written)
    before: Files = decided.existing.derivatives if decided.existing else {}
    files = values.files
    changed = {" ".join(key): [before.get(key), after] for key, after in files.items() if before.get(key) != after}
    if changed:
        changes["derivatives"] = changed
    changes |= _file_say_changes(decided, written, files)
    if written.tombstone:
        changes["tombstone"] = [each and say_text(each.source_at, each.batch_id) for each in written.tombstone]
    if written.cover:
        link_before = written.cover.id if written.cover.is_restored else None
        changes["covers"] = {decided.entry.item.cover_hash: [link_before, written.cover.id]}
    if decided.new and (documents := decided.new.changes):
        changes["documents"] = documents
    if decided.drift:
        changes["drift"] = decided.drift
    return changes


def _field_changes(decided: ItemDecision, fields: dict[str, Any]) -> dict[str, Any]:
    existing = decided.existing
    if decided.decision is Decision.WILL_REMOVE:
        return {"deleted": [False, True]}
    if decided.decision not in WRITES:
        return {}
    if existing is None:
        return {name: [None, value] for name, value in fields.items() if value is not None}
    values = ((name, existing.fields[name], value) for name, value in fields.items())
    changes = {name: [before, after] for name, before, after in values if before != after}
    if existing.fingerprint != (after := digests.fingerprint(decided.entry.asset)):
        changes["fingerprint"] = [existing.fingerprint, after]
    return changes | {"deleted": [True, False]} if existing.removed else changes


def _file_say_changes(decided: ItemDecision, written: Written, files: Files) -> dict[str, Any]:
    """The says of the derivatives that the library had: "kind path" -> [before, after]."""
    if decided.existing is None or written.file_say is None:
        return {}
    before = decided.existing.derivative_columns
    after = say_text(written.file_say.source_at, written.file_say.batch_id)
    moved = {
        " ".join(key): [said, after] for key in files if key in before and (said := say_text(*before[key])) != after
    }
    return {"derivative_says": moved} if moved else {}


def say_text(source_at: datetime | None, batch_id: int | None) -> list[Any] | None:
    """A say as a result has it: [source_at, batch id], None where there is none."""
    return None if source_at is None else [time_text(source_at), batch_id]


def _say_changes(decided: ItemDecision, written: Written) -> dict[str, Any]:
    if written.say is None:
        return {}
    before, (source_at, batch_id) = decided.existing.columns if decided.existing else NOTHING, written.say
    changes: dict[str, Any] = {}
    if before.source_at != source_at:
        changes["source_at"] = [time_text(before.source_at), time_text(source_at)]
    if before.source_batch_id != batch_id:
        changes["source_batch_id"] = [before.source_batch_id, batch_id]
    if before.last_batch_id != batch_id:
        changes["last_batch_id"] = [before.last_batch_id or None, batch_id]
    return changes


def _digest_after(decided: ItemDecision, written: Written, values: Values) -> str:
    """The digest of the asset as it is after the write."""
    existing = decided.existing
    files = {**existing.derivatives, **values.files} if existing else values.files
    if decided.decision in WRITES and written.asset_id is not None:
        return digests.asset_digest(values.fields, False, files)
    if existing is None:
        return digests.ABSENT
    return digests.asset_digest(existing.fields, existing.removed or decided.decision is Decision.WILL_REMOVE, files)
