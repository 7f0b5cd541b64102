"""The containers of a batch: their plans.

docs/decisions/0113-containers-in-the-ledger.md
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ..db import ReadTransaction, Transaction, chunked
from ..models import ContainerPlan, Decision, MAX_REASON_LENGTH

if TYPE_CHECKING:
    from ..manifest import Manifest


def plan_containers(tx: Transaction, batch_id: int, plans: list[ContainerPlan]) -> None:
    """Write the plans of some containers of a batch."""
    tx.insert_many("ledger_containers.plan", [_row(batch_id, plan) for plan in plans])


def settled_containers(tx: ReadTransaction, batch_id: int) -> set[tuple[str, str]]:
    """Keys of the containers that a job has processed successfully."""
    rows = tx.fetch_all("ledger_containers.settled", batch_id=batch_id)
    return {(row["type"], row["container_hash"]) for row in rows}


def withdraw_missing_containers(tx: Transaction, batch_id: int, manifest: Manifest) -> int:
    """Mark containers that the manifest no longer lists; return their number."""
    rows = tx.fetch_all("ledger_containers.listed", batch_id=batch_id)
    listed = {(container.type, container.container_hash) for container in manifest.containers} if rows else set()
    withdrawn = [row["id"] for row in rows if (row["type"], row["container_hash"]) not in listed]
    for ids in chunked(withdrawn):
        tx.execute("ledger_containers.withdraw", ids=ids, reason="the manifest does not list this container any more")
    return len(withdrawn)


def _row(batch_id: int, plan: ContainerPlan) -> dict[str, Any]:
    failed = plan.decision in (Decision.WILL_FAIL, Decision.FAILED)
    reason = plan.reason[:MAX_REASON_LENGTH]
    return plan._asdict() | {
        "batch_id": batch_id, "reason": reason, "last_error": reason if failed else None,
        "changes": json.dumps(plan.changes, ensure_ascii=False) if plan.changes else None,
        "missing": json.dumps(plan.missing) if plan.missing else None,
    }
