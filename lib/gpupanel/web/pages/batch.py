"""One batch: facts, manifest summary, job history, items, recent events, labelled and ordered as in the Perl panel."""

from ... import ledger, queue
from ...config import Settings
from ...database import Database, Reading
from ...model import DONE, BatchStatus, Decision, JobState
from .. import visit as parameters
from ..visit import Visit
from .shapes import EVENT, ITEM, JOB, PLANNED_BATCH, shaped

LATEST = 50


def show(db: Database, visit: Visit, settings: Settings) -> dict:
    """`sync_id` chooses the batch, `start` the position of the first item. Raises InvalidInput, NotFound."""
    sync_id = parameters.sync_id(visit.query.get("sync_id"))
    return db.read(_read, sync_id, visit.number("start") or 0, settings.panel.page_size)


def _read(tx: Reading, sync_id: str, start: int, size: int) -> dict:
    row = ledger.batch(tx, sync_id)
    jobs = queue.history(tx, row["id"], limit=LATEST + 1)
    rows = ledger.items(tx, row["id"], start=start, limit=size + 1)
    items, next_start = _page(rows, size)
    decisions = ledger.decision_counts(tx, row["id"])
    return {
        "batch": shaped(row, PLANNED_BATCH, queueable=not BatchStatus(row["status"]).busy),
        "active_job": next((shaped(job, JOB) for job in jobs if _active(job)), None),
        "jobs": [shaped(job, JOB) for job in jobs[:LATEST]],
        "more_jobs": len(jobs) > LATEST,
        "item_count": sum(decisions.values()),
        "decisions": decisions,
        "items": [shaped(item, ITEM, as_planned=_as_planned(item)) for item in items],
        "start": start,
        "previous_start": max(0, start - size) if start else None,
        "next_start": next_start,
        "events": [shaped(event, EVENT) for event in ledger.events(tx, row["id"], limit=LATEST)],
    }


def _page(rows: list[dict], size: int) -> tuple[list[dict], int | None]:
    """The rows of this page and where the next one starts. Withdrawn items may share a position with listed ones, so
    rows of one position stay together."""
    if len(rows) <= size:
        return rows, None
    following = rows[size]["position"]
    whole = [row for row in rows[:size] if row["position"] < following]
    return (whole, following) if whole else (rows[:size], following + 1)


def _active(job: dict) -> bool:
    return job["state"] in (JobState.QUEUED, JobState.RUNNING)


def _as_planned(item: dict) -> bool:
    """Whether what was done, if anything was yet, is what the preflight had planned."""
    planned, decision = item["planned"], item["decision"]
    return planned is None or decision in (planned, DONE[Decision(planned)])
