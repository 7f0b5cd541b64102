"""gpupanel wait: wait until the jobs of bundles have ended."""

from time import monotonic
from typing import Any

from .. import ledger, workers
from ..errors import NotFoundError
from ..models import BatchStatus, JobState
from ..rows import BatchProgress
from ..text import format_duration
from ..workers import Presence
from .context import CommandContext
from .output import format_cell, format_table
from .polling import poll

POLL_SECONDS = 1
ALL_COMPLETED, NOT_ALL_COMPLETED, TIME_IS_OVER = 0, 1, 3
COLUMNS = ("sync_id", "status", "done", "job", "because")
RETRY = "gpupanel show SYNC_ID lists what failed; gpupanel retry SYNC_ID queues it again when the cause is removed."
NEXT = {
    BatchStatus.PARTIAL: RETRY,
    BatchStatus.FAILED: RETRY,
    BatchStatus.PREFLIGHT_FAILED: "A bundle that failed its preflight: ask upstream to fix and resend it.",
    BatchStatus.PREFLIGHT_PASSED: "Check the plan with gpupanel show SYNC_ID, then queue it: gpupanel queue SYNC_ID.",
}


def run(context: CommandContext) -> int:
    """Wait until no batch is queued, held, importing, or waits for a preflight.

    JSON: [{sync_id, status, is_done, job_id, job_state, items_done, items_total, reason}]. Return 0 if each batch is
    completed, 1 if one is not, 3 if one was not done in time.
    """
    sync_ids, seconds = context.sync_ids(), context.args.timeout
    deadline = None if seconds is None else monotonic() + seconds
    progress = context.progress("items")
    rows: list[BatchProgress] = []
    presence: Presence | None = None
    for found in poll(lambda: _read(context, sync_ids), POLL_SECONDS, needs_reader=False):
        rows, presence = found
        done, total = sum(row["items_done"] or 0 for row in rows), sum(row["items_total"] or 0 for row in rows)
        if all(map(_is_done, rows)):
            progress(total, total)
            break
        progress(min(done, total - 1), max(total, 1))
        if deadline is not None and monotonic() >= deadline:
            progress(1, 1)
            break
    reasons = [_reason(row, presence) for row in rows]
    table = format_table(map(_cells, rows, reasons), COLUMNS, indent="")
    context.emit(list(map(_public, rows, reasons)), [*table, *_next_steps(rows)])
    if not all(map(_is_done, rows)):
        return TIME_IS_OVER
    return ALL_COMPLETED if all(row["status"] == BatchStatus.COMPLETED for row in rows) else NOT_ALL_COMPLETED


def _read(context: CommandContext, sync_ids: list[str]) -> tuple[list[BatchProgress], Presence]:
    """The batches in the given order, and the workers. Raises NotFoundError."""
    found, presence = context.db.run_read(lambda tx: (ledger.progress(tx, sync_ids), workers.presence(tx)))
    rows = {row["sync_id"]: row for row in found}
    if missing := [sync_id for sync_id in sync_ids if sync_id not in rows]:
        raise NotFoundError(f"Batch {missing[0]} is not recorded.", "Scan the mount first.")
    return [rows[sync_id] for sync_id in sync_ids], presence


def _is_done(row: BatchProgress) -> bool:
    return not BatchStatus(row["status"]).has_active_job and row["preflight_state"] is None


def _next_steps(rows: list[BatchProgress]) -> list[str]:
    """What to do about the batches that have ended otherwise than completed, each step once."""
    ended = [BatchStatus(row["status"]) for row in rows if _is_done(row)]
    return list(dict.fromkeys(NEXT[status] for status in ended if status in NEXT))


def _reason(row: BatchProgress, presence: Presence | None) -> str | None:
    if row["status"] == BatchStatus.COMPLETED:
        return None
    if _is_done(row):
        return row["last_error"] or ("its last job was canceled" if row["job_id"] else "it was not queued")
    if row["preflight_state"]:
        return f"a worker is to preflight it; the request is {row['preflight_state']}"
    if row["job_state"] == JobState.HELD:
        return row["hold_reason"]
    if row["job_state"] == JobState.RUNNING and (late := _lateness(row)):
        return late
    if presence is None:
        return None
    if presence.pause and row["job_state"] == JobState.QUEUED:
        return f"the queue is paused by {presence.pause['paused_by']}: {presence.pause['reason']}"
    return None if presence.alive else "no worker is alive"


def _lateness(row: BatchProgress) -> str | None:
    """Why a running job may not go on: its worker sent no heartbeat for a while. None while heartbeats come."""
    silent = row["silent_seconds"]
    if silent is not None and silent <= workers.LATE_SECONDS:
        return None
    worker = f"its worker {row['worker']}" if row["worker"] else "its worker"
    since = "" if silent is None else f" for {format_duration(silent)}"
    return f"{worker} is late: no heartbeat{since}; another worker takes the job over stale_minutes after the last one"


def _public(row: BatchProgress, reason: str | None) -> dict[str, Any]:
    names = ("sync_id", "status", "job_id", "job_state", "items_done", "items_total")
    return {name: value for name, value in row.items() if name in names} | {
        "is_done": _is_done(row), "reason": reason,
    }


def _cells(row: BatchProgress, reason: str | None) -> tuple[object, ...]:
    progress = f"{row['items_done']}/{row['items_total']}" if row["job_id"] else ""
    job = f"{row['job_id']} {row['job_state']}" if row["job_id"] else ""
    return row["sync_id"], row["status"], progress, job, format_cell(reason)
