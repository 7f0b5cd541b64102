"""What happens when upstream replaced a bundle after its approval.

An approval binds the action, the set of entries and their digests. A manifest with the same ones is imported under its
old plan. Any other one ends the job, and its plan needs an approval of its own
(docs/decisions/0110-plan-approval-result.md).
"""

from typing import NamedTuple

from .. import holds, ledger, preflight, unseen_change
from ..db import ReadTransaction, Transaction
from ..digests import container_digest, item_digest
from ..errors import ClaimLostError
from ..manifest import InvalidItem, Manifest
from ..models import BatchStatus, JobState
from ..bundle_inspection import BundleInspection
from ..preflight import PreflightResult
from ..rows import BatchRow
from ..text import pluralize
from . import claims
from .claims import Claim, ImportResult, JobEnd

REPLAN = "replan"
CHANGED = "the bundle changed after it was approved"


class Approved(NamedTuple):
    """The action of an approved plan, and the digest of each of its items and containers."""

    action: str | None
    items: dict[tuple[str, str], str | None]
    containers: dict[tuple[str, str], str | None]


class NewPlan(NamedTuple):
    """How a job ended whose bundle had changed; `successor_id` is the job that was queued in its place."""

    result: ImportResult
    successor_id: int | None


def approved(tx: ReadTransaction, batch_id: int) -> Approved:
    """What an approval of a batch binds, without withdrawn entries."""
    items = tx.fetch_all("approvals.items", batch_id=batch_id)
    containers = tx.fetch_all("approvals.containers", batch_id=batch_id)
    return Approved(
        tx.fetch_value("approvals.action", batch_id=batch_id),
        {(row["asset_type"], row["asset_hash"]): row["item_digest"] for row in items},
        {(row["type"], row["container_hash"]): row["container_digest"] for row in containers},
    )


def is_approved(manifest: Manifest, plan: Approved) -> bool:
    """Return whether a manifest has exactly the entries that were approved."""
    return (
        manifest.action == plan.action and _containers(manifest) == plan.containers
        and _items(manifest) == plan.items
    )


def describe_differences(manifest: Manifest, plan: Approved) -> list[str]:
    """Count the entries of a manifest that are not as approved; none if its action is another one.

    An entry whose approved digest is NULL is not known to differ.
    """
    if manifest.action != plan.action:
        return []
    return [
        *_differences("item", _items(manifest), plan.items),
        *_differences("container", _containers(manifest), plan.containers),
    ]


def _differences(
    noun: str, found: dict[tuple[str, str], str | None], planned: dict[tuple[str, str], str | None]
) -> list[str]:
    changed = sum(planned[key] not in (None, found[key]) for key in found.keys() & planned.keys())
    added, gone = len(found.keys() - planned.keys()), len(planned.keys() - found.keys())
    whole, approved_ones = pluralize(len(found), noun), pluralize(len(planned), f"approved {noun}")
    parts = [
        (changed, f"{changed:,} of {whole} {_verb(changed, 'differ')} from the approved plan"),
        (added, f"{added:,} of {whole} {_verb(added, 'be')} not in the approved plan"),
        (gone, f"{gone:,} of {approved_ones} {_verb(gone, 'be')} gone"),
    ]
    return [text for number, text in parts if number]


def _verb(number: int, verb: str) -> str:
    singular, plural = {"differ": ("differs", "differ"), "be": ("is", "are")}[verb]
    return singular if number == 1 else plural


def _containers(manifest: Manifest) -> dict[tuple[str, str], str | None]:
    return {(each.type, each.container_hash): container_digest(each) for each in manifest.containers}


def _items(manifest: Manifest) -> dict[tuple[str, str], str | None]:
    """Return the digest of each item; an invalid item has none, so that its manifest is never taken for approved."""
    return {
        (item.asset_type, item.asset_hash): "" if isinstance(item, InvalidItem) else item_digest(item)
        for item in manifest.items
    }


def accept(tx: Transaction, claim: Claim, manifest: Manifest) -> bool:
    """Take over a manifest with other bytes and the approved entries; return whether it is one.

    Raises: ClaimLostError.
    """
    claims.heartbeat(tx, claim)
    if not is_approved(manifest, approved(tx, claim.batch_id)):
        return False
    batch = _lock_batch(tx, claim)
    if batch["manifest_sha256"] != manifest.sha256:
        inspection = BundleInspection(claim.sync_id, manifest.sha256, manifest, [], {})
        preflight.note_change(tx, batch, inspection, claim.worker, "import")
    return True


def end_job(tx: Transaction, claim: Claim, bundle: BundleInspection, on_change: str) -> NewPlan:
    """Store the new plan and end the job; with `replan`, queue another job for it.

    Raises: ClaimLostError.
    """
    differences = describe_differences(bundle.manifest, approved(tx, claim.batch_id)) if bundle.manifest else []
    claims.end(tx, claim, JobEnd(JobState.FAILED, BatchStatus.PREFLIGHT_FAILED, CHANGED))
    outcome = preflight.write_plan(tx, _lock_batch(tx, claim), bundle, claim.worker, phase="import")
    reason = f"{_cause(claim, bundle)}: {'; '.join([*differences, unseen_change.consequence(outcome)])}"
    status = BatchStatus.PREFLIGHT_PASSED if outcome.ok else BatchStatus.PREFLIGHT_FAILED
    tx.execute("claims.end_changed", job_id=claim.job_id, status=status, reason=reason, changed_sha256=bundle.sha256)
    claims.note(tx, claim, "job_failed", "job_fail", reason=reason)
    is_queued = outcome.ok and on_change == REPLAN
    successor_id = _queue_successor(tx, claim, outcome) if is_queued else None
    if not is_queued:
        holds.wake(tx, claim.batch_id, claim.worker)
    return NewPlan(ImportResult(BatchStatus.QUEUED if is_queued else status, {}, {}, reason), successor_id)


def _lock_batch(tx: Transaction, claim: Claim) -> BatchRow:
    batch: BatchRow | None = tx.fetch_one("ledger.lock_by_id", batch_id=claim.batch_id)
    if batch is None:
        raise ClaimLostError("The batch of the job vanished.")
    return batch


def _cause(claim: Claim, bundle: BundleInspection) -> str:
    return "the manifest cannot be used any more" if bundle.sha256 == claim.manifest_sha256 else CHANGED


def _queue_successor(tx: Transaction, claim: Claim, outcome: PreflightResult) -> int:
    """Queue the new plan for the person who had queued the job that ended."""
    job_id = tx.insert("claims.enqueue_successor", job_id=claim.job_id, items_total=outcome.item_count)
    ledger.set_status(tx, claim.batch_id, BatchStatus.QUEUED)
    requested_by = tx.fetch_value("claims.requested_by", job_id=job_id)
    payload = {
        "auto_preflighted": 1, "items_total": str(outcome.item_count), "job_id": job_id, "phase": "job_queue",
        "replaces_job_id": claim.job_id, "requested_by": requested_by,
    }
    ledger.append_event(tx, claim.batch_id, "job_queued", payload, claim.worker)
    if reason := holds.decide(tx, claim.batch_id):
        holds.hold(tx, job_id, reason, claim.worker)
    return job_id
