"""Find assets that something other than an import changed since their plan.

An approval binds what the plan saw. What only imports changed, this bundle follows in upstream's order
(docs/decisions/0110-plan-approval-result.md, "The library changed").
"""

from typing import Any, NamedTuple

from .. import digests, ledger, library_reader
from ..db import ReadTransaction
from ..ledger import results
from ..ledger.results import LatestResult
from ..library_reader import AssetKey, ExistingAsset, SayColumns
from ..models import Changes, Decision
from ..text import json_changes, quote_value
from . import planned_values
from .item_decision import LEAVES, ItemDecision, found_digest

STRONG = (Decision.WILL_CREATE, Decision.WILL_UPDATE, Decision.WILL_REMOVE)
WOULD_NOW = {
    Decision.WILL_CREATE: "would create", Decision.WILL_UPDATE: "would update", Decision.WILL_REMOVE: "would remove",
}
MAX_VALUE_LENGTH = 100  # characters of a value in a reason, which names two values a field
REMEDY = "preflight again, look, queue"


class Drift(NamedTuple):
    """Why an item is not written, and its fields as field -> [planned before, found]."""

    reason: str
    fields: Changes


class OwnJob(NamedTuple):
    """The batch and job that import; a dry run has no job."""

    batch_id: int
    job_id: int | None


def check(tx: ReadTransaction, decided: list[ItemDecision], own: OwnJob) -> dict[AssetKey, Drift]:
    """Return the items whose asset is not what their plan saw, for no import's reason."""
    doubtful = [each for each in decided if _is_doubtful(each)]
    if not doubtful:
        return {}
    latest = results.latest(tx, [each.key for each in doubtful], own.batch_id)
    undone = {
        each.key: by for each in doubtful if (by := undone_since(each.entry.planned, latest.get(each.key)))
    }
    left = [
        each for each in doubtful
        if each.key not in undone and _is_other(each) and not _is_by_import(each, latest.get(each.key), own)
    ]
    imported = imported_elsewhere(tx, own.batch_id, [each.existing.columns for each in left if each.existing])
    by_undo = {each.key: _stronger(each, undone[each.key]) for each in doubtful if each.key in undone}
    return by_undo | {
        each.key: _drift(tx, each) for each in left
        if each.existing is None or each.existing.columns.last_batch_id not in imported
    }


def _is_doubtful(decided: ItemDecision) -> bool:
    """Whether an item writes to an asset that is not what its plan saw, or that its plan left as it was."""
    is_bound = decided.entry.target_digest is not None and decided.decision in STRONG and not decided.is_older
    return is_bound and (_is_other(decided) or decided.entry.planned in LEAVES)


def _is_other(decided: ItemDecision) -> bool:
    return found_digest(decided.existing) != decided.entry.target_digest


def undone_since(planned: str | None, latest: LatestResult | None) -> str | None:
    """The undo that lets an entry be written although its plan left it: the bundle that had decided later is undone.

    An undo is no bundle that this one follows in upstream's order.
    """
    return latest.undone_by if latest and planned in LEAVES else None


def stronger_reason(decision: Decision, undone_by: str) -> str:
    """Why an entry is not written that its plan left as it was."""
    return f"batch {undone_by} undid a later bundle since the plan, and this one {WOULD_NOW[decision]} it now; {REMEDY}"


def _stronger(decided: ItemDecision, undone_by: str) -> Drift:
    reason = stronger_reason(decided.decision, undone_by)
    return Drift(reason, {"decision": [decided.entry.planned, decided.decision]})


def _is_by_import(decided: ItemDecision, latest: LatestResult | None, own: OwnJob) -> bool:
    """Whether imports with a result alone changed the asset, or this job."""
    existing = decided.existing
    if latest and latest.target_digest == found_digest(existing):
        return True
    if existing is None:
        return False
    return latest is not None and (existing.columns.source_batch_id, latest.job_id) == (own.batch_id, own.job_id)


def imported_elsewhere(tx: ReadTransaction, batch_id: int, rows: list[SayColumns]) -> set[int]:
    """The batches that a worker without results (Perl, 0.1.0) wrote some of these rows for since the plan.

    Such a worker writes `last_batch_id` alone. If its import ended before the plan, something else changed the row.
    """
    last = [row.last_batch_id for row in rows if row.last_batch_id and row.last_batch_id != row.source_batch_id]
    return ledger.imported_since_plan(tx, batch_id, last) if last else set()


# ------------------------------------------------------------------------------------------------------ the reason


def _drift(tx: ReadTransaction, decided: ItemDecision) -> Drift:
    fields, existing, planned = _fields(decided), decided.existing, decided.entry.target_digest
    if not fields and existing and planned:
        fields = planned_values.asset_changes(tx, decided.key, existing, planned)
    what = "other fields or derivatives" if decided.decision is Decision.WILL_REMOVE else "other derivatives"
    found = format_fields(fields) if existing else "the library does not have it any more"
    reason = f"changed outside of an import since the plan: {found or f'it has {what}'}; {REMEDY}"
    return Drift(reason, fields or {"derivatives": [None, None]})


def format_fields(fields: Changes) -> str:
    """Name the fields with the values that were found and planned."""
    return ", ".join(
        f"{name} is {quote_value(value, MAX_VALUE_LENGTH)}, the plan had {quote_value(planned, MAX_VALUE_LENGTH)}"
        for name, (planned, value) in fields.items()
    )


def _fields(decided: ItemDecision) -> Changes:
    """field -> [planned before, found]; the mark is named where it alone explains the digest."""
    existing = decided.existing
    if existing is None:
        return {"asset": [decided.entry.planned, None]}
    if decided.entry.target_digest == digests.ABSENT:
        return {"asset": [None, existing.id]}
    if _digest_if(existing, not existing.removed) == decided.entry.target_digest:
        return {"deleted": [not existing.removed, existing.removed]}
    planned = _planned_fields(decided)
    return {name: [value, existing.fields[name]] for name, value in planned.items() if existing.fields[name] != value}


def _digest_if(existing: ExistingAsset, is_removed: bool) -> str:
    return digests.asset_digest(existing.fields, is_removed, existing.derivatives)


def _planned_fields(decided: ItemDecision) -> dict[str, Any]:
    """The fields that the plan saw: those of the item, but for its changes. A removal plans no fields."""
    if decided.decision is Decision.WILL_REMOVE:
        return {}
    item, approved = decided.entry.asset, json_changes(decided.entry.approved) or {}
    fields = {name: getattr(item, name) for name in library_reader.FIELDS}
    return fields | {name: before for name, (before, _) in approved.items() if name in fields}
