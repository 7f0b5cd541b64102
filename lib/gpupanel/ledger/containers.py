"""The containers of a batch: their plans, progress and results.

docs/decisions/0113-containers-in-the-ledger.md
"""

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from ..db import ReadTransaction, Transaction, chunk_by_first, chunked
from ..errors import NotFoundError
from ..models import ContainerPlan, MAX_REASON_LENGTH
from ..rows import ContainerRow, PlannedContainer
from ..text import json_changes
from .items import plan_row

ContainerKey = tuple[str, str]  # (type, container_hash)


# ------------------------------------------------------------------------------------------------ reading


def planned_containers(
    tx: ReadTransaction, batch_id: int, keys: Iterable[ContainerKey]
) -> dict[ContainerKey, PlannedContainer]:
    """(type, container_hash) -> row of these containers, if not withdrawn."""
    return {
        (row["type"], row["container_hash"]): row | {"changes": json_changes(row["changes"])}
        for kind, hashes in chunk_by_first(keys)
        for row in tx.fetch_all("ledger_containers.planned", batch_id=batch_id, type=kind, hashes=hashes)
    }


def container_counts(tx: ReadTransaction, batch_id: int) -> dict[str, int]:
    """decision -> number of containers, without withdrawn ones."""
    return {row["decision"]: row["containers"] for row in tx.fetch_all("ledger_containers.counts", batch_id=batch_id)}


def list_containers(tx: ReadTransaction, batch_id: int, *, start: int = 0, limit: int = 50) -> list[ContainerRow]:
    """Up to `limit` containers from a position on, including withdrawn ones."""
    return [
        row | {"changes": json_changes(row["changes"]), "missing": json.loads(row["missing"] or "[]")}
        for row in tx.fetch_all("ledger_containers.page", batch_id=batch_id, start=start, limit=limit)
    ]


def container_result(tx: ReadTransaction, job_id: int, key: ContainerKey) -> dict[str, Any]:
    """Id and decision of the result that the first step of a job recorded.

    Raises: NotFoundError.
    """
    kind, hash_ = key
    row: dict[str, Any] | None = tx.fetch_one("ledger_containers.result_of_job", job_id=job_id, kind=kind, hash=hash_)
    if row is None:
        raise NotFoundError(f"Job {job_id} has no result of the {kind} {hash_}.")
    return row


# ------------------------------------------------------------------------------------------------ writing


def plan_containers(tx: Transaction, batch_id: int, plans: list[ContainerPlan]) -> None:
    """Write the plans of some containers of a batch."""
    tx.insert_many("ledger_containers.plan", [
        plan_row(plan, batch_id=batch_id) | {"missing": json.dumps(plan.missing) if plan.missing else None}
        for plan in plans
    ])


def settled_containers(tx: ReadTransaction, batch_id: int) -> set[tuple[str, str]]:
    """Keys of the containers that a job has processed successfully."""
    rows = tx.fetch_all("ledger_containers.settled", batch_id=batch_id)
    return {(row["type"], row["container_hash"]) for row in rows}


def withdraw_containers(tx: Transaction, batch_id: int, listed: Iterable[ContainerKey], reason: str) -> None:
    """Mark the containers of a plan that are not listed any more."""
    rows = tx.fetch_all("ledger_containers.listed", batch_id=batch_id)
    kept = set(listed) if rows else set()
    for ids in chunked(row["id"] for row in rows if (row["type"], row["container_hash"]) not in kept):
        tx.execute("ledger_containers.withdraw", ids=ids, reason=reason)


def settle_containers(tx: Transaction, batch_id: int, job_id: int, rows: list[dict[str, Any]]) -> None:
    """Write what a job did with some containers, or how far it is with a large one."""
    tx.insert_many("ledger_containers.settle", [
        row | {
            "batch_id": batch_id, "job_id": job_id, "reason": row["reason"][:MAX_REASON_LENGTH],
            "last_error": row["last_error"] and row["last_error"][:MAX_REASON_LENGTH],
            "changes": json.dumps(row["changes"], ensure_ascii=False) if row["changes"] else None,
            "missing": json.dumps(row["missing"]) if row["missing"] else None,
        }
        for row in rows
    ])


class ContainerStep(NamedTuple):
    """How far a job is with a large container; `decision` settles it after the last step."""

    type: str
    container_hash: str
    job_id: int
    members_done: int
    decision: str | None


def advance_container(tx: Transaction, batch_id: int, step: ContainerStep) -> None:
    """Write how far a job is with a large container."""
    tx.execute("ledger_containers.advance", batch_id=batch_id, **step._asdict())
