"""The rows of ingest_batch: find, lock, change.

docs/CONTRACT.md, 6. Tables.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ..db import ReadTransaction, Transaction, chunked
from ..errors import NotFoundError
from ..models import BatchStatus, COUNT_LIMIT
from ..rows import BatchProgress, BatchRow, Facts, SkippedBundle, UndoRow
from ..text import json_object

if TYPE_CHECKING:
    from ..manifest import Manifest


TOKEN = ("id", "updated_at", "job_id", "state", "priority", "heartbeat_at", "items_done", "event_id")


def known_sync_ids(tx: ReadTransaction, sync_ids: list[str]) -> set[str]:
    """Those of the bundles that a scan need not read again."""
    return {row["sync_id"] for chunk in chunked(sync_ids) for row in tx.fetch_all("ledger.recorded", sync_ids=chunk)}


def skipped_bundles(tx: ReadTransaction, sync_ids: list[str]) -> dict[str, SkippedBundle]:
    """sync_id -> those of these bundles whose costly manifests were refused before."""
    rows = (row for chunk in chunked(sync_ids) for row in tx.fetch_all("ledger.skipped_states", sync_ids=chunk))
    return {row["sync_id"]: row for row in rows}


def get_batch(tx: ReadTransaction, sync_id: str) -> BatchRow:
    """The row of a batch. Raises NotFoundError."""
    return _decoded(tx.fetch_one("ledger.batch", sync_id=sync_id), sync_id)


def progress(tx: ReadTransaction, sync_ids: list[str]) -> list[BatchProgress]:
    """Status, latest job and open preflight request of those of these batches that are recorded."""
    perl_offset = tx.perl_offset(0)
    return [
        row for chunk in chunked(sync_ids)
        for row in tx.fetch_all("ledger.progress", sync_ids=chunk, perl_offset=perl_offset)
    ]


def lock_batch(tx: Transaction, sync_id: str) -> BatchRow:
    """Lock and return the row of a batch. Raises NotFoundError."""
    return _decoded(tx.fetch_one("ledger.lock", sync_id=sync_id), sync_id)


def checked_token(row: dict[str, Any] | None, sync_id: str) -> dict[str, Any]:
    """The change token in a row of `ledger.stamp`, which may have other columns too. Raises NotFoundError."""
    if row is None or row["id"] is None:
        raise _not_found(sync_id)
    return {name: row[name] for name in TOKEN}


def sort_by_upstream_order(tx: ReadTransaction, sync_ids: list[str]) -> list[str]:
    """Sort bundles by upstream's order: by when they were completed, and after their priors; unknown times last."""
    found = [row for chunk in chunked(sync_ids) for row in tx.fetch_all("ledger.handed_over", sync_ids=chunk)]
    rows: dict[str, dict[str, Any]] = {row["sync_id"]: row for row in found}
    times: dict[str, datetime | None] = {}
    for sync_id in rows:
        _add_times(rows, times, sync_id)
    known = sorted((time, sync_id) for sync_id, time in times.items() if time)
    return [sync_id for _, sync_id in known] + [sync_id for sync_id in sync_ids if not times.get(sync_id)]


def _add_times(rows: dict[str, dict[str, Any]], times: dict[str, datetime | None], sync_id: str | None) -> None:
    """Add the times of a bundle and of its priors among `rows`; a bundle comes after its prior."""
    chain: dict[str, None] = {}
    while sync_id in rows and sync_id not in times and sync_id not in chain:
        chain[sync_id] = None
        sync_id = rows[sync_id]["prior_sync_id"]
    for each in reversed(chain):
        own, prior = _own_time(rows[each]), times.get(rows[each]["prior_sync_id"])
        times[each] = max(own, prior + timedelta(microseconds=1)) if own and prior else own


def _own_time(row: Mapping[str, Any]) -> datetime | None:
    try:
        completed_at = datetime.fromisoformat(row["handed_over"] or "").replace(tzinfo=None)
    except ValueError:  # another program wrote the row
        completed_at = None
    return max(filter(None, (completed_at, row["source_at"])), default=None)


def count_batches(tx: ReadTransaction, *, limit: int = COUNT_LIMIT + 1) -> int:
    """The number of batches, counted up to `limit`."""
    return int(tx.fetch_value("ledger.count", limit=limit))


def has_unapproved_plan(status: str, changed_at: datetime | None) -> bool:
    """Whether a worker stored the plan of a batch that passed, and no person preflighted it since (decision 0110)."""
    return status == BatchStatus.PREFLIGHT_PASSED and changed_at is not None


def is_archived(batch: BatchRow) -> bool:
    """Whether results and items of a batch are in an archive alone; a later preflight plans it anew."""
    archived_at, planned_at = batch["archived_at"], batch["started_at"]
    return archived_at is not None and (planned_at is None or planned_at <= archived_at)


def has_archived_results(tx: ReadTransaction, batch_id: int) -> bool:
    """Whether any result of a batch is in an archive alone, also after a later preflight."""
    return bool(tx.fetch_value("ledger.has_archived_results", batch_id=batch_id))


def was_planned(tx: ReadTransaction, batch_id: int) -> bool:
    """Whether a batch was imported, queued, or planned with an entry that would not fail."""
    return bool(tx.fetch_value("ledger.was_planned", batch_id=batch_id))


def imported_since_plan(tx: ReadTransaction, batch_id: int, others: Iterable[int]) -> set[int]:
    """Those of the batches `others` that a worker, also one of Perl, imported since this batch was planned."""
    return {
        row["id"] for ids in chunked(sorted(set(others)))
        for row in tx.fetch_all("ledger.imported_since_plan", batch_id=batch_id, ids=ids)
    }


def set_status(tx: Transaction, batch_id: int, status: BatchStatus) -> None:
    """Write the status of a batch."""
    tx.execute("ledger.set_status", batch_id=batch_id, status=status)


def manifest_columns(manifest: Manifest | None, glimpsed: Mapping[str, Any], sha256: str | None) -> Facts:
    """The manifest's columns, or those salvaged from a refused manifest."""
    if manifest is None:
        columns: Any = {"sync_type": None, "action": None, "item_count": 0, "total_bytes": 0, "source_host": None}
        columns |= glimpsed
        columns |= {"manifest_sha256": sha256, "manifest_summary": None, "container_count": 0, "prior_sync_id": None}
        return columns  # type: ignore[no-any-return]
    return {
        "sync_type": manifest.sync_type, "action": manifest.action, "item_count": manifest.item_count,
        "total_bytes": manifest.total_bytes, "source_host": manifest.source_host,
        "manifest_sha256": manifest.sha256, "manifest_summary": json.dumps(manifest.summary),
        "container_count": len(manifest.containers), "prior_sync_id": manifest.prior_sync_id,
    }


def undone_by(tx: ReadTransaction, batch: BatchRow) -> str | None:
    """The sync_id of the batch that an undo takes back; None for any other batch."""
    if batch["undo_of"] is None:
        return None
    row = tx.fetch_one("undo.batch", batch_id=batch["undo_of"])
    return row["sync_id"] if row else None


def undos_of(tx: ReadTransaction, batch_id: int, *, limit: int = 20) -> list[UndoRow]:
    """The undos of a batch, the newest first, each with its latest job."""
    return tx.fetch_all("undo.of_batch", batch_id=batch_id, limit=limit)


def _decoded(row: BatchRow | None, sync_id: str) -> BatchRow:
    if row is None:
        raise _not_found(sync_id)
    row["plan"] = json_object(row["plan"])
    row["manifest_summary"] = json_object(row["manifest_summary"])
    return row


def _not_found(sync_id: str) -> NotFoundError:
    return NotFoundError(f"Batch {sync_id} is not recorded.", "Scan the mount first, or check the id.")
