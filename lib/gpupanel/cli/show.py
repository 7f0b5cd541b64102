"""gpupanel show: one batch with its plan, jobs, items and events."""

from typing import Any

from .. import job_queue, ledger
from ..db import ReadTransaction
from ..event_sentences import describe_event
from ..models import JobState
from ..rows import ContainerRow
from ..text import format_size, short_hash, truncate
from .context import CommandContext
from .output import format_counts, format_section, format_table
from .status import public_job

PAYLOAD_LENGTH = 200  # characters, as on the batch page
JOB_COLUMNS = ("job", "state", "done", "requested by", "queued (UTC)", "worker", "finished (UTC)", "last error")
HOLD_COLUMNS = ("job", "hold", "because", "until (UTC)")
UNDO_COLUMNS = ("batch", "status", "requested by", "job", "imported (UTC)")
ITEM_COLUMNS = ("type", "asset hash", "title", "decision", "reason")
CONTAINER_COLUMNS = ("type", "title", "container hash", "members", "missing", "decision", "reason")
CONTAINERS = 50
EVENT_COLUMNS = ("time (UTC)", "event", "actor", "what happened")


def run(context: CommandContext) -> int:
    """Show a batch with at most 50 jobs and 50 events.

    JSON: {batch, undo_of, undos: [undo], decisions: {decision: n}, jobs: [job], items: [item],
    containers: [container], events: [event]}.
    """
    details = context.db.run_read(_read, context.sync_id, context.args.items)
    context.emit(details, _format(details))
    return 0


def _read(tx: ReadTransaction, sync_id: str, items: int) -> dict[str, Any]:
    batch = ledger.get_batch(tx, sync_id)
    return {
        "batch": batch, "undo_of": ledger.undone_by(tx, batch), "undos": ledger.undos_of(tx, batch["id"]),
        "decisions": ledger.decision_counts(tx, batch["id"]),
        "jobs": [public_job(job) for job in job_queue.list_of_batch(tx, batch["id"])],
        "items": ledger.add_library_titles(tx, ledger.list_items(tx, batch["id"], limit=items)),
        "containers": ledger.list_containers(tx, batch["id"], limit=CONTAINERS),
        "events": ledger.list_events(tx, batch["id"]),
    }


def _format(details: dict[str, Any]) -> list[str]:
    batch, items = details["batch"], details["items"]
    held = [job for job in details["jobs"] if job["state"] == JobState.HELD]
    omitted = sum(details["decisions"].values()) - len(items)
    return [
        f"Batch {batch['sync_id']}", *format_table([*_facts(batch), *_undone(details)]),
        *format_section("Undone by", map(_undo_cells, details["undos"]), UNDO_COLUMNS),
        *([f"Archived, see {batch['archive_file']}"] if ledger.is_archived(batch) else []),
        *format_section("Jobs, newest first", map(_job_cells, details["jobs"]), JOB_COLUMNS),
        *format_section("Held", map(_hold_cells, held), HOLD_COLUMNS),
        f"Items: {format_counts(details['decisions'])}", *format_table(map(_item_cells, items), ITEM_COLUMNS),
        *([f"  and {omitted} more; --items N shows more of them"] if omitted > 0 else []),
        *_format_containers(batch["container_count"], details["containers"]),
        *format_section("Events, newest first", map(_event_cells, details["events"]), EVENT_COLUMNS),
    ]


def _facts(batch: dict[str, Any]) -> list[tuple[str, object]]:
    facts: list[tuple[str, object]] = [(name, batch[name]) for name in ("sync_type", "action", "status", "item_count")]
    facts += [("total_bytes", format_size(batch["total_bytes"])), ("source_host", batch["source_host"])]
    sha256 = batch["manifest_sha256"]
    facts += [("manifest_sha256", sha256 and short_hash(sha256)), ("containers", batch["container_count"])]
    times = ("discovered_at", "started_at", "completed_at", "imported_at", "changed_at")
    facts += [(name, batch[name]) for name in times]
    return [*facts, ("plan", format_counts(batch["plan"] or {})), ("last_error", batch["last_error"])]


def _undone(details: dict[str, Any]) -> list[tuple[str, object]]:
    return [("undo_of", details["undo_of"])] if details["undo_of"] else []


def _undo_cells(undo: dict[str, Any]) -> tuple[object, ...]:
    return undo["sync_id"], undo["status"], undo["requested_by"], undo["job_id"], undo["imported_at"]


def _job_cells(job: dict[str, Any]) -> tuple[object, ...]:
    progress = f"{job['items_done']}/{job['items_total']}"
    columns = ("requested_by", "queued_at", "worker", "finished_at", "last_error")
    return job["id"], job["state"], progress, *(job[column] for column in columns)


def _hold_cells(job: dict[str, Any]) -> tuple[object, ...]:
    return job["id"], job["hold"], job["hold_reason"], job["not_before"]


def _item_cells(item: dict[str, Any]) -> tuple[object, ...]:
    reason = item["last_error"] or item["reason"]
    return item["asset_type"], short_hash(item["asset_hash"]), item["item_title"], item["decision"], reason


def _format_containers(number: int, containers: list[ContainerRow]) -> list[str]:
    lines = format_section(f"Containers: {number}", map(_container_cells, containers), CONTAINER_COLUMNS)
    left = number - len(containers)
    return lines + ([f"  and {left} more; the batch page lists all"] if left > 0 and lines else [])


def _container_cells(row: ContainerRow) -> tuple[object, ...]:
    return (
        row["type"], row["title"], short_hash(row["container_hash"]), f"{row['members_done']}/{row['members']}",
        row["missing_count"] or None, row["decision"], row["last_error"] or row["reason"],
    )


def _event_cells(event: dict[str, Any]) -> tuple[object, ...]:
    return event["created_at"], event["event_type"], event["actor"], event_text(event)


def event_text(event: dict[str, Any]) -> str:
    """Return the sentence of an event, or the start of a payload that has none."""
    sentence = describe_event(event["event_type"], event["payload"], event["actor"]).sentence
    return sentence or truncate(event["payload"], PAYLOAD_LENGTH)
