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


class Doubt(NamedTuple):
    """An item or container that is not what its plan saw (`is_other`), or that its plan left as it was.

    `digest` and `columns` are those of the library's row, None where it has none.
    """

    key: tuple[str, str]
    planned: str | None
    is_other: bool
    digest: str
    columns: SayColumns | None


def find_drifted(tx: ReadTransaction, doubts: list[Doubt], own: OwnJob) -> dict[tuple[str, str], str | None]:
    """Return the entries that something other than an import changed, by key, with the undo that did so, if one did."""
    latest = results.latest(tx, [doubt.key for doubt in doubts], own.batch_id)
    undone: dict[tuple[str, str], str | None] = {
        doubt.key: by for doubt in doubts if (by := _undone_since(doubt.planned, latest.get(doubt.key)))
    }
    left = [
        doubt for doubt in doubts
        if doubt.key not in undone and doubt.is_other and not _is_by_import(doubt, latest.get(doubt.key), own)
    ]
    imported = _imported_elsewhere(tx, own.batch_id, [doubt.columns for doubt in left if doubt.columns])
    return undone | {
        doubt.key: None for doubt in left if doubt.columns is None or doubt.columns.last_batch_id not in imported
    }


def check(tx: ReadTransaction, decided: list[ItemDecision], own: OwnJob) -> dict[AssetKey, Drift]:
    """Return the items whose asset is not what their plan saw, for no import's reason."""
    doubtful = {each.key: each for each in decided if _is_doubtful(each)}
    if not doubtful:
        return {}
    drifted = find_drifted(tx, [_doubt(each) for each in doubtful.values()], own)
    return {
        key: _stronger(doubtful[key], undone_by) if undone_by else _drift(tx, doubtful[key])
        for key, undone_by in drifted.items()
    }


def _doubt(decided: ItemDecision) -> Doubt:
    existing = decided.existing
    return Doubt(
        decided.key, decided.entry.planned, _is_other(decided), found_digest(existing), existing and existing.columns
    )


def _is_doubtful(decided: ItemDecision) -> bool:
    """Whether an item writes to an asset that is not what its plan saw, or that its plan left as it was."""
    is_bound = decided.entry.target_digest is not None and decided.decision in STRONG and not decided.is_older
    return is_bound and (_is_other(decided) or decided.entry.planned in LEAVES)


def _is_other(decided: ItemDecision) -> bool:
    return found_digest(decided.existing) != decided.entry.target_digest


def _undone_since(planned: str | None, latest: LatestResult | None) -> str | None:
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


def _is_by_import(doubt: Doubt, latest: LatestResult | None, own: OwnJob) -> bool:
    """Whether imports with a result alone changed the row, or this job."""
    if latest is None:
        return False
    is_own = doubt.columns and (doubt.columns.source_batch_id, latest.job_id) == (own.batch_id, own.job_id)
    return bool(is_own) or doubt.digest == latest.target_digest


def _imported_elsewhere(tx: ReadTransaction, batch_id: int, rows: list[SayColumns]) -> set[int]:
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
