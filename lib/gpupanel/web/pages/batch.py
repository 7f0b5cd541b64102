"""The batch page, with the sections and labels of the Perl panel."""

from collections import Counter
from typing import Any, NamedTuple

from ... import asset_history, attention, job_queue, ledger, preflight_requests, search
from ...config import Settings
from ...db import Database, ReadTransaction
from ...models import BatchStatus, COUNT_LIMIT, DONE_DECISIONS, Decision, JobState
from ...rows import BatchRow, LockedJob
from ...search.count_memo import CountMemo
from .. import job_progress, request as parameters, status_bar
from ..request import Request
from ..serializers import (
    CONTAINER, EVENT, JOB, NAME, PLANNED_BATCH, PREFLIGHT_REQUEST, UNDO, is_queueable, is_undoable, pick,
)
from ..status_bar import QueueSummary
from . import item_list
from .item_list import ItemFilter

LATEST = 50
AHEAD_LIMIT = 1_000  # jobs before a queued one that its page counts
_AHEAD: CountMemo[int] = CountMemo()


class PageParameters(NamedTuple):
    """The batch, its items, and the positions of the first item and container."""

    sync_id: str
    item_filter: ItemFilter
    start: int
    container: int


def view(db: Database, request: Request, settings: Settings) -> dict[str, Any]:
    """Return the values of the page. Raises InvalidInputError, NotFoundError."""
    return db.run_read(_read, _parameters(request), settings.panel.page_size)


def etag_source(db: Database, request: Request, settings: Settings) -> tuple[str, QueueSummary]:
    """Return a change token and the summary, by one statement; a queued job's place takes another one after events.

    docs/decisions/0032, 0137, 0215.
    """
    sync_id, *_ = _parameters(request)
    summary, token = status_bar.load_with_batch(db, sync_id)
    is_queued = token["state"] == JobState.QUEUED
    ahead = db.run_single(_kept_ahead, token["job_id"], token["priority"], summary) if is_queued else None
    if request.wants_json:
        return repr((token, ahead)), summary
    bar = summary._replace(version=()).etag_source(moves=token["state"] == JobState.RUNNING)
    return repr((token, bar, ahead)), summary


def _parameters(request: Request) -> PageParameters:
    return PageParameters(
        parameters.sync_id(request.query.get("sync_id")), item_list.parse_item_filter(request),
        request.number("start") or 0, request.number("container") or 0,
    )


def _read(tx: ReadTransaction, wanted: PageParameters, size: int) -> dict[str, Any]:
    sync_id, item_filter, start, container = wanted
    row = ledger.get_batch(tx, sync_id)
    preflight_request = preflight_requests.of_batch(tx, row["id"])
    is_requested = preflight_request is not None and preflight_request["state"] in preflight_requests.OPEN_STATES
    counts = ledger.bounded_decision_counts(tx, row["id"], limit=COUNT_LIMIT + 1)
    marks = {mark: counts.pop(mark, 0) for mark in ledger.ITEM_FLAGS}
    withdrawn = counts.pop(Decision.WITHDRAWN, 0)
    load_items = _items_by_hash if item_filter.hash_start else _items_page
    is_retryable = _is_retryable(row, counts)
    is_failing = any(decision in counts for decision in item_list.FAILING)
    failing = _failing(tx, row["id"], size) if is_failing else []
    remedies = Counter(item["remedy"] for item in failing)
    listed = search.listed_batch(tx, row["id"])
    return {
        "batch": pick(row, PLANNED_BATCH, queueable=is_queueable(row) and not is_requested),
        "attention": attention.load(tx, row).to_json(row),
        "archived": ledger.is_archived(row),
        **_undo(tx, row, is_requested=is_requested),
        "named": pick(listed, NAME),
        "undone": listed["undone"],
        "preflight_request": pick(preflight_request, PREFLIGHT_REQUEST) if preflight_request else None,
        **_jobs(tx, row),
        "item_count": _item_count(row, counts),
        "decisions": {str(decision): counts[decision] for decision in item_list.DECISION_ORDER if decision in counts},
        "marks": marks,
        "retryable": is_retryable,
        "primary": None if is_requested else _primary_action(row, is_retryable, remedies),
        "failures": [reason._asdict() for reason in ledger.failure_reasons(tx, row["id"])]
        if _shows_reasons(row)
        else [],
        "failing": [] if any(item_filter) or start else failing,
        "remedies": dict(remedies),
        **_containers(tx, row, container),
        **load_items(tx, row["id"], item_filter, start, size),
        "events": [pick(event, EVENT) for event in ledger.list_events(tx, row["id"], limit=LATEST)],
        "decision": item_filter.decision,
        "mark": item_filter.mark,
        "q": item_filter.hash_start,
        "withdrawn": withdrawn,
        "outdated": _is_outdated(row, counts),
        "manifest_changed": _manifest_change(tx, row),
    }


def _undo(tx: ReadTransaction, row: BatchRow, *, is_requested: bool) -> dict[str, Any]:
    """Return the batch that this one undoes, the undos of this one, and whether it can be undone."""
    return {
        "undo_of": ledger.undone_by(tx, row),
        "undos": [pick(undo, UNDO) for undo in ledger.undos_of(tx, row["id"])],
        "undoable": is_undoable(row) and not is_requested,
    }


def _jobs(tx: ReadTransaction, row: BatchRow) -> dict[str, Any]:
    """Return the active job with its progress, and the latest jobs."""
    jobs = job_queue.list_of_batch(tx, row["id"], limit=LATEST + 1)
    active = next((job for job in jobs if _is_active(job)), None)
    is_queued = active and active["state"] == JobState.QUEUED
    ahead = _count_ahead(tx, active["id"], active["priority"]) if active and is_queued else None
    return {
        "active_job": pick(active, JOB) if active else None,
        "ahead": ahead,
        "container_progress": _container_progress(tx, row, jobs),
        "jobs": [pick(job, JOB) for job in jobs[:LATEST]],
        "more_jobs": len(jobs) > LATEST,
    }


def _count_ahead(tx: ReadTransaction, job_id: int, priority: int) -> int:
    """Return how many queued jobs are claimed before a queued one, counted up to AHEAD_LIMIT + 1."""
    return job_queue.queue_position(tx, job_id, priority, limit=AHEAD_LIMIT + 2) - 1


def _kept_ahead(tx: ReadTransaction, job_id: int, priority: int, summary: QueueSummary) -> int:
    """Return `_count_ahead`, counted again when an event has appeared or the number of jobs has changed."""
    state = summary.version, summary.queued, summary.running
    return _AHEAD.get(tx, (job_id, priority), state, lambda: _count_ahead(tx, job_id, priority))


def _primary_action(row: BatchRow, is_retryable: bool, remedies: Counter[str]) -> str | None:
    """Return the action that moves the batch on; None if nothing does here: a job runs, or upstream acts first."""
    status = BatchStatus(row["status"])
    if status.has_active_job:
        return None
    if is_retryable:
        waits_for_upstream = list(remedies) == [item_list.FIX_BUNDLE] and not row["changed_at"]
        return None if waits_for_upstream else "retry"
    if status is BatchStatus.DISCOVERED and row["last_error"]:
        return None
    if row["changed_at"] or status in (BatchStatus.DISCOVERED, BatchStatus.PREFLIGHT_FAILED):
        return "preflight"
    return None if status is BatchStatus.COMPLETED else "queue"


def _shows_reasons(row: BatchRow) -> bool:
    """Return whether the batch has a plan or an ended job; while one runs, the counts say enough."""
    return not BatchStatus(row["status"]).has_active_job and row["status"] != BatchStatus.DISCOVERED


def _failing(tx: ReadTransaction, batch_id: int, size: int) -> list[dict[str, Any]]:
    """Return the first failing items, which the first page shows before the others."""
    rows = [
        row for decision in item_list.FAILING
        for row in ledger.list_items(tx, batch_id, decision, limit=size)
    ]
    return [item_list.serialize_item(row) for row in ledger.add_library_titles(tx, rows[:size])]


def _containers(tx: ReadTransaction, row: BatchRow, start: int) -> dict[str, Any]:
    """Return a page of the containers, and where the next one starts."""
    rows = ledger.list_containers(tx, row["id"], start=start, limit=LATEST + 1) if row["container_count"] else []
    shown = rows[:LATEST]
    members = asset_history.first_members(tx, {(row["type"], row["target_id"]) for row in shown if row["target_id"]})
    return {
        "containers": [
            pick(each, CONTAINER, first_members=members.get((each["type"], each["target_id"] or 0), []))
            for each in shown
        ],
        "next_container": rows[LATEST]["position"] if len(rows) > LATEST else None, "container": start,
    }


def _items_page(
    tx: ReadTransaction, batch_id: int, item_filter: ItemFilter, start: int, size: int
) -> dict[str, Any]:
    rows, next_start = item_list.list_page(tx, batch_id, item_filter, start, size)
    previous = ledger.previous_page_start(tx, batch_id, item_filter.group, start=start, limit=size)
    return {
        "items": [item_list.serialize_item(row) for row in rows], "start": start, "previous_start": previous,
        "next_start": next_start, "more_matches": False,
    }


def _items_by_hash(
    tx: ReadTransaction, batch_id: int, item_filter: ItemFilter, start: int, size: int
) -> dict[str, Any]:
    rows = ledger.list_items_by_hash(tx, batch_id, item_filter.hash_start or "", limit=size + 1)
    found = ledger.add_library_titles(tx, rows[:size])
    return {
        "items": [item_list.serialize_item(row) for row in found], "start": 0, "previous_start": None,
        "next_start": None, "more_matches": len(rows) > size,
    }


def _is_retryable(row: BatchRow, counts: dict[str, int]) -> bool:
    """Return whether failed or open items or containers can be retried."""
    ended = row["status"] in (BatchStatus.PARTIAL, BatchStatus.FAILED)
    return ended and any(decision in counts for decision in DONE_DECISIONS)


def _item_count(row: BatchRow, counts: dict[str, int]) -> int:
    """Return the number of items; beyond the bound, that of the manifest."""
    return sum(counts.values()) if max(counts.values(), default=0) <= COUNT_LIMIT else row["item_count"]


def _is_outdated(row: BatchRow, counts: dict[str, int]) -> bool:
    """Return whether the last preflight failed before it planned items."""
    return bool(counts) and row["plan"] is not None and not any(row["plan"].values())


def _manifest_change(tx: ReadTransaction, row: BatchRow) -> dict[str, Any] | None:
    """Return the manifest change that an import saw since the preflight, or None."""
    event = ledger.latest_event(tx, row["id"], "manifest_changed")
    if not event or event["payload"].get("phase") not in ("import", "import_end"):
        return None
    # A job that ended because of the change began the new plan right after the event.
    stale = not row["changed_at"] and row["started_at"] is not None and event["created_at"] < row["started_at"]
    payload = event["payload"]
    shown = {key: payload.get(key) for key in ("before", "after", "phase")}
    return None if stale else shown | {"at": event["created_at"]}


def _container_progress(tx: ReadTransaction, row: BatchRow, jobs: list[LockedJob]) -> dict[str, int] | None:
    """Return how many containers the running job has settled, by its latest progress event; None without one."""
    running = next((job for job in jobs if job["state"] == JobState.RUNNING), None)
    event = ledger.latest_event(tx, row["id"], "job_progress") if running and row["container_count"] else None
    return job_progress.settled_containers(event, running["id"]) if event and running else None


def _is_active(job: LockedJob) -> bool:
    return job["state"] in (JobState.QUEUED, JobState.HELD, JobState.RUNNING)
