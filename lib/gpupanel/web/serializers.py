"""Public fields of rows, without claim tokens (docs/PANEL-JSON.md)."""

from collections.abc import Mapping
from typing import Any

from .. import ledger
from ..models import ATTENTION, BatchStatus
from ..pagination import Cursor
from ..rows import BatchRow, ListedBatch

NAME = ("container_title", "first_id", "first_title", "first_picture")
CONTAINER = (
    "id", "position", "type", "container_hash", "title", "cover_hash", "planned", "decision", "reason", "changes",
    "members", "members_done", "missing", "missing_count", "target_id", "last_error", "job_id", "updated_at",
)
BATCH = (
    "id", "sync_id", "sync_type", "action", "status", "item_count", "total_bytes", "source_host", "manifest_sha256",
    "container_count", "last_error", "discovered_at", "started_at", "completed_at", "updated_at",
    "imported_at", "imported_job_id", "imported_sha256", "changed_at",
    "seen_by", "seen_at",
)
PLANNED_BATCH = (
    *BATCH, "manifest_summary", "plan", "prior_sync_id", "source_at", "although_older", "archived_at", "archive_file",
)
ITEM = (
    "position", "asset_type", "asset_hash", "cover_hash", "planned", "decision", "reason", "changes", "asset_id",
    "cover_id", "last_error", "job_id", "updated_at", "id", "path", "picture", "earlier", "earlier_reason",
    "earlier_job_id", "item_title",
)
JOB = (
    "id", "state", "priority", "requested_by", "queued_at", "claimed_at", "worker", "attempts", "heartbeat_at",
    "items_done", "items_total", "finished_at", "last_error", "hold", "hold_reason", "not_before", "held_at",
)
PREFLIGHT_REQUEST = (
    "state", "requested_by", "requested_at", "then_queue", "priority", "worker", "attempts", "last_error",
    "finished_at",
)
HOLD = ("hold", "hold_reason", "not_before", "held_at")
WORKER = ("host", "slot", "pid", "version", "job_id", "started_at", "seen_at", "ended_at")
UNDO = ("sync_id", "status", "imported_at", "discovered_at", "job_id", "job_state", "requested_by")
BUNDLE = ("sync_id", "sync_type", "action")
EVENT = ("id", "event_type", "payload", "actor", "created_at")


def pick(row: Mapping[str, Any], keys: tuple[str, ...], **more: Any) -> dict[str, Any]:
    """Return these fields of a row, and `more`."""
    return {key: row[key] for key in keys} | more


def serialize_batch(row: ListedBatch) -> dict[str, Any]:
    """Return the fields of a batch in a list, with its latest job."""
    job = {"id": row["job_id"], "state": row["job_state"]} | pick(row, ("items_done", "items_total", "hold_reason"))
    return pick(row, BATCH + NAME, queueable=is_queueable(row), job=job if row["job_id"] else None,
                needs_attention=row["attention"] == ATTENTION["new"], undone=row["undone"])


def is_queueable(row: BatchRow) -> bool:
    """Return whether the batch has no active job, and no plan that a worker stored and no person has preflighted.

    An undo that was imported wholly is not queued again.
    """
    return not (
        BatchStatus(row["status"]).has_active_job or ledger.has_unapproved_plan(row["status"], row["changed_at"])
        or (row["undo_of"] is not None and row["status"] == BatchStatus.COMPLETED)
    )


def is_undoable(row: BatchRow) -> bool:
    """Return whether the batch was imported and has no active job, so that an undo can be planned."""
    return row["imported_at"] is not None and not BatchStatus(row["status"]).has_active_job


def cursor_params(cursor: Cursor | None) -> dict[str, int] | None:
    """Return the query parameter of a cursor, None without one."""
    return {"after" if cursor.ascending else "before": cursor.id} if cursor else None
