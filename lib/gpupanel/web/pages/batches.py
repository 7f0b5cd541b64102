"""The list of batches, newest first."""

from ... import ledger
from ...config import Settings
from ...database import Database, Reading
from ...model import BatchStatus
from ..visit import Visit
from .shapes import BATCH, shaped


def show(db: Database, visit: Visit, settings: Settings) -> dict:
    """`status` and `before` (an id: the page that follows it) choose the rows. Raises InvalidInput."""
    statuses = [str(status) for status in BatchStatus]
    status, before = visit.choice("status", statuses), visit.number("before")
    return db.read(_read, status, before, settings.panel.page_size) | {
        "status": status, "statuses": statuses, "before": before,
    }


def _read(tx: Reading, status: str | None, before: int | None, size: int) -> dict:
    """One row more than is shown tells whether there is a next page."""
    last = ledger.NEWEST if before is None else before
    rows = ledger.batches(tx, status=status, before=last, limit=size + 1)
    more = len(rows) > size
    return {
        "count": ledger.count(tx, status=status),
        "batches": [_batch(row) for row in rows[:size]],
        "next_before": rows[size - 1]["id"] if more else None,
    }


def _batch(row: dict) -> dict:
    job = {"id": row["job_id"], "state": row["job_state"]} | shaped(row, ("items_done", "items_total"))
    busy = BatchStatus(row["status"]).busy
    return shaped(row, BATCH, queueable=not busy, job=job if row["job_id"] else None)
