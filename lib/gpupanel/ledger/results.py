"""Results: what each job did with each item and container, append-only.

A row is written in the transaction that settles its entry (docs/decisions/0112-results-are-append-only.md).
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from ..db import ReadTransaction, Transaction, chunk_by_first, chunked
from ..models import EntryResult, MAX_REASON_LENGTH, MemberChange, TombstoneChange
from ..text import time_text

FAILURE_SAMPLES = 5  # reasons of failures in the payload of job_finished

Key = tuple[str, str]  # (kind, hash)


class LatestResult(NamedTuple):
    """The latest result of a target that did not fail; `undone_by` is the undo that made it since the plan, if any."""

    job_id: int
    target_digest: str
    undone_by: str | None = None


def insert(tx: Transaction, batch_id: int, job_id: int, results: list[EntryResult]) -> dict[Key, int]:
    """Append the results of a job; return (kind, hash) -> id."""
    rows = tx.insert_many("results.insert", _rows(batch_id, job_id, results), returning="RETURNING id")
    return {(result.kind, result.hash): row["id"] for result, row in zip(results, rows, strict=True)}


def insert_of_items(tx: Transaction, batch_id: int, job_id: int, results: list[EntryResult]) -> None:
    """Append the results of items, whose ids no other row names."""
    tx.insert_many("results.insert", _rows(batch_id, job_id, results), returning="")


def insert_members(tx: Transaction, members: Mapping[int, Iterable[MemberChange]]) -> None:
    """Append what results did with members; `members` has them by the id of the result."""
    tx.insert_many("results.insert_members", [
        change._asdict() | {
            "result_id": result_id, "came": int(change.came), "say_only": int(change.say_only),
            "source_at": time_text(change.source_at), "source_at_before": time_text(change.source_at_before),
        }
        for result_id, changes in members.items() for change in changes
    ])


def insert_tombstones(tx: Transaction, tombstones: Mapping[int, Iterable[TombstoneChange]]) -> None:
    """Append the tombstones of members that results wrote, by the id of the result."""
    tx.insert_many("results.insert_tombstones", [
        change._asdict() | {
            "result_id": result_id, "source_at": time_text(change.source_at),
            "source_at_before": time_text(change.source_at_before),
        }
        for result_id, changes in tombstones.items() for change in changes
    ])


def latest(tx: ReadTransaction, keys: Iterable[Key], batch_id: int) -> dict[Key, LatestResult]:
    """(kind, hash) -> latest result that did not fail, of these targets; an undo is named since the batch's plan."""
    ids = [
        row["id"] for kind, hashes in chunk_by_first(keys)
        for row in tx.fetch_all("results.latest_ids", kind=kind, hashes=hashes)
    ]
    return {
        (row["kind"], row["hash"]): LatestResult(row["job_id"], row["target_digest"], row["undone_by"])
        for chunk in chunked(ids) for row in tx.fetch_all("results.by_ids", ids=chunk, batch_id=batch_id)
    }


def changes_of(tx: ReadTransaction, key: Key, limit: int) -> list[str]:
    """The `changes` of the latest results of a target that did not fail, newest first."""
    kind, hash_ = key
    return [row["changes"] for row in tx.fetch_all("results.changes_of", kind=kind, hash=hash_, limit=limit)]


def failure_samples(tx: ReadTransaction, batch_id: int, limit: int = FAILURE_SAMPLES) -> list[str]:
    """The first reasons of failed items by position, then of containers."""
    rows = tx.fetch_all("results.failed_items", batch_id=batch_id, limit=limit)
    if len(rows) < limit:
        rows += tx.fetch_all("results.failed_containers", batch_id=batch_id, limit=limit - len(rows))
    return [row["reason"] for row in rows]


def _rows(batch_id: int, job_id: int, results: list[EntryResult]) -> list[dict[str, Any]]:
    return [
        {
            "batch_id": batch_id, "job_id": job_id, "kind": kind, "hash": hash_, "planned": planned,
            "approved": approved if isinstance(approved, str) else _json(approved), "decision": decision,
            "reason": reason[:MAX_REASON_LENGTH], "last_error": error and error[:MAX_REASON_LENGTH],
            "changes": _json(changes), "target_digest": digest, "target_id": target_id, "cover_id": cover_id,
        }
        for kind, hash_, planned, approved, decision, reason, error, changes, digest, target_id, cover_id in results
    ]


def _json(changes: Any) -> str | None:
    return msgspec.json.encode(changes).decode() if changes else None
