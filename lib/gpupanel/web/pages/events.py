"""Events of all batches, by batch, type, person and day; as page, JSON or CSV."""

import csv
import io
from typing import Any

from ... import ledger
from ...config import Settings
from ...db import Database, ReadTransaction
from ...errors import InvalidInputError
from ...event_sentences import EVENT_TYPES
from ...search import events, filters
from ...search.events import EventFilter
from .. import request as parameters
from ..request import Request
from ..responses import FileResponse
from . import export

COLUMNS = ("id", "sync_id", "event_type", "payload", "actor", "created_at")
MAX_EXPORTED = 10_000  # events of one CSV file; the next one continues with `before`
MAX_NAME = 255


def view(db: Database, request: Request, settings: Settings) -> dict[str, Any] | FileResponse:
    """Return a page of events, or a CSV file. Raises InvalidInputError, NotFoundError."""
    sync_id = request.query.get("sync_id") or None
    if sync_id:
        parameters.sync_id(sync_id)
    day = filters.parse_day_of("day", request.query.get("day") or "")
    wanted = EventFilter(None, _name(request, "event"), _name(request, "actor"), day)
    before = request.number("before")
    if request.choice("format", ["csv"]):
        return _csv(db, sync_id, wanted, before)
    page = db.run_read(_read, sync_id, wanted, before, settings.panel.page_size)
    return {
        "events": page.rows, "next_before": page.next_before, "is_stopped": page.is_stopped, "before": before,
        "filters": {"sync_id": sync_id, "event": wanted.event_type, "actor": wanted.actor,
                    "day": wanted.day and wanted.day.isoformat()},
        "types": EVENT_TYPES,
    }


def _read(
    tx: ReadTransaction, sync_id: str | None, wanted: EventFilter, before: int | None, limit: int
) -> events.EventPage:
    if sync_id:
        wanted = wanted._replace(batch_id=ledger.get_batch(tx, sync_id)["id"])
    return events.list_events(tx, wanted, before=before, limit=limit)


def _csv(db: Database, sync_id: str | None, wanted: EventFilter, before: int | None) -> FileResponse:
    """Return up to MAX_EXPORTED events, newest first."""
    file = io.BytesIO(export.BOM)
    file.seek(0, io.SEEK_END)
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    left = MAX_EXPORTED
    while left:
        page = db.run_read(_read, sync_id, wanted, before, min(left, export.AT_ONCE))
        writer.writerows([_cell(key, row[key]) for key in COLUMNS] for row in page.rows)
        left, before = left - len(page.rows), page.next_before
        if before is None:
            break
    text.detach()
    return FileResponse(file.getvalue(), {
        "Content-Type": export.TYPES["csv"], "Content-Length": str(len(file.getvalue())),
        "Content-Disposition": 'attachment; filename="events.csv"',
    })


def _cell(key: str, value: Any) -> str:
    return export.json_cell(value) if key == "payload" else export.safe_cell(value)


def _name(request: Request, name: str) -> str | None:
    text = (request.query.get(name) or "").strip()
    if len(text) > MAX_NAME:
        raise InvalidInputError(f"{name}: found {len(text)} characters, expected up to {MAX_NAME}")
    return text or None
