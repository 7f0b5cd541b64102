"""The batch page, with the sections and labels of the Perl panel."""

from typing import Any

from ... import ledger, queue
from ...config import Settings
from ...database import Database, Reading
from ...model import BOUND, SETTLED, BatchStatus, Decision, JobState
from .. import glance, items
from .. import visit as parameters
from ..glance import Glance
from ..items import Sieve
from ..visit import Visit
from .shapes import EVENT, JOB, PLANNED_BATCH, shaped

LATEST = 50


def show(db: Database, visit: Visit, settings: Settings) -> dict[str, Any]:
    """Return the values of the page. Raises InvalidInput, NotFound."""
    return db.read(_read, *_parameters(visit), settings.panel.page_size)


def version(db: Database, visit: Visit, settings: Settings) -> tuple[str, Glance | None]:
    """Return a change token, and the summary if shown (docs/decisions/0032)."""
    sync_id, *_ = _parameters(visit)
    return db.read(_version, sync_id, not visit.wants_json)


def _parameters(visit: Visit) -> tuple[str, Sieve, int]:
    return parameters.sync_id(visit.query.get("sync_id")), items.wanted(visit), visit.number("start") or 0


def _version(tx: Reading, sync_id: str, with_summary: bool) -> tuple[str, Glance | None]:
    stamp = ledger.stamp(tx, sync_id)
    summary = glance.told(tx) if with_summary else None
    return repr((stamp | {"now": glance.told_at(stamp["now"])}, summary)), summary


def _read(tx: Reading, sync_id: str, sieve: Sieve, start: int, size: int) -> dict[str, Any]:
    row = ledger.batch(tx, sync_id)
    jobs = queue.history(tx, row["id"], limit=LATEST + 1)
    counts = ledger.bounded_counts(tx, row["id"], limit=BOUND + 1)
    marks = {mark: counts.pop(mark, 0) for mark in ledger.MARKS}
    withdrawn = counts.pop(Decision.WITHDRAWN, 0)
    shown = (_items_by_hash if sieve.hash_start else _items_page)(tx, row["id"], sieve, start, size)
    return {
        "batch": shaped(row, PLANNED_BATCH, queueable=not BatchStatus(row["status"]).busy),
        "active_job": next((shaped(job, JOB) for job in jobs if _is_active(job)), None),
        "jobs": [shaped(job, JOB) for job in jobs[:LATEST]],
        "more_jobs": len(jobs) > LATEST,
        "item_count": _item_count(row, counts),
        "decisions": {str(decision): counts[decision] for decision in items.ORDER if decision in counts},
        "marks": marks,
        "retryable": _retryable(row, counts),
        **shown,
        "events": [shaped(event, EVENT) for event in ledger.events(tx, row["id"], limit=LATEST)],
        "decision": sieve.decision,
        "mark": sieve.mark,
        "q": sieve.hash_start,
        "withdrawn": withdrawn,
        "outdated": _outdated(row, counts),
        "manifest_changed": _changed(tx, row),
    }


def _items_page(tx: Reading, batch_id: int, sieve: Sieve, start: int, size: int) -> dict[str, Any]:
    rows, next_start = items.page(tx, batch_id, sieve, start, size)
    previous = ledger.place_before(tx, batch_id, start, decision=sieve.decision, mark=sieve.mark, limit=size)
    return {
        "items": [items.shown(row) for row in rows], "start": start, "previous_start": previous,
        "next_start": next_start, "more_matches": False,
    }


def _items_by_hash(tx: Reading, batch_id: int, sieve: Sieve, start: int, size: int) -> dict[str, Any]:
    rows = ledger.items_of_hash(tx, batch_id, sieve.hash_start or "", limit=size + 1)
    return {
        "items": [items.shown(row) for row in rows[:size]], "start": 0, "previous_start": None, "next_start": None,
        "more_matches": len(rows) > size,
    }


def _retryable(row: dict[str, Any], counts: dict[str, int]) -> bool:
    """Return whether failed or open items or containers can be retried."""
    ended = row["status"] in (BatchStatus.PARTIAL, BatchStatus.FAILED)
    return ended and any(decision in counts for decision in SETTLED)


def _item_count(row: dict[str, Any], counts: dict[str, int]) -> int:
    """Return the number of items; beyond the bound, that of the manifest."""
    listed: int = row["item_count"]
    return sum(counts.values()) if max(counts.values(), default=0) <= BOUND else listed


def _outdated(row: dict[str, Any], counts: dict[str, int]) -> bool:
    """Return whether the last preflight failed before it planned items."""
    return bool(counts) and row["plan"] is not None and not any(row["plan"].values())


def _changed(tx: Reading, row: dict[str, Any]) -> dict[str, Any] | None:
    """Return the manifest change since the preflight, or None."""
    event = ledger.latest_event(tx, row["id"], "manifest_changed")
    if not event or event["payload"].get("phase") != "import":
        return None
    stale = row["started_at"] is not None and event["created_at"] < row["started_at"]
    payload = event["payload"]
    return None if stale else {"at": event["created_at"], "before": payload["before"], "after": payload["after"]}


def _is_active(job: dict[str, Any]) -> bool:
    return job["state"] in (JobState.QUEUED, JobState.RUNNING)
