"""Bundles that upstream replaced before a person queued them: the unseen action is planned, and not approved.

docs/decisions/0117-no-unseen-action-is-approved.md
"""

from .bundle_inspection import BundleInspection
from .db import Transaction
from .preflight import PreflightResult
from .rows import BatchRow

# What a plan would do, by decision: "15 items would now be removed".
WOULD = {
    "will_create": "created", "will_update": "updated", "will_link": "linked", "will_skip": "skipped",
    "will_remove": "removed", "will_unlink": "unlinked", "will_fail": "refused",
}


def consequence(outcome: PreflightResult) -> str:
    """Say what a new plan would do, or why there is none."""
    if not outcome.ok:
        return "; ".join(outcome.problems)
    parts = [
        f"{count:,} {'item' if count == 1 else 'items'} would now be {WOULD[decision]}"
        for decision, count in outcome.counts.items() if count and decision in WOULD
    ]
    return ", ".join(parts) or "it has no items any more"


def withhold(
    tx: Transaction, recorded: BatchRow, examined: BundleInspection, outcome: PreflightResult
) -> PreflightResult:
    """Withhold the stored plan of a locked batch from the queue, if its bundle does something else than was recorded.

    `recorded` is the batch before that plan.
    """
    if not outcome.ok or not _is_unseen(recorded, examined):
        return outcome
    reason = f"{_what_changed(recorded, examined)}: {consequence(outcome)}"
    tx.execute("ledger.withhold", batch_id=recorded["id"], sha256=examined.sha256, reason=reason)
    return outcome._replace(withheld=reason)


def _is_unseen(recorded: BatchRow, examined: BundleInspection) -> bool:
    """Whether other bytes than the recorded ones have another action, or remove."""
    if examined.manifest is None or recorded["manifest_sha256"] == examined.sha256:
        return False
    action = examined.manifest.action
    return action == "remove" or recorded["action"] not in (None, action)


def _what_changed(recorded: BatchRow, examined: BundleInspection) -> str:
    action = examined.manifest.action if examined.manifest else None
    if recorded["action"] in (None, action):
        return f"upstream replaced the bundle, {_named(action)}, after it was recorded"
    return f"upstream replaced the bundle, {_named(recorded['action'])} when it was recorded, by {_named(action)}"


def _named(action: str | None) -> str:
    return f"an {action}" if action == "update" else f"a {action}"
