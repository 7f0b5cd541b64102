"""One batch: facts, manifest summary, job history, items, recent events, labelled and ordered as in the Perl panel."""

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


def show(db: Database, visit: Visit, settings: Settings) -> dict:
    """`sync_id` chooses the batch; of its items those that items.wanted says, from the position `start` on. Raises
    InvalidInput, NotFound."""
    return db.read(_read, *_asked_for(visit), settings.panel.page_size)


def version(db: Database, visit: Visit, settings: Settings) -> tuple[str, Glance | None]:
    """What the page depends on, less its address and reader: it is the same as long as this is (docs/decisions/0032); and the
    status line, which is a part of that where the page has one. Raises InvalidInput, NotFound."""
    sync_id, *_ = _asked_for(visit)
    return db.read(_version, sync_id, not visit.wants_json)


def _asked_for(visit: Visit) -> tuple[str, Sieve, int]:
    return parameters.sync_id(visit.query.get("sync_id")), items.wanted(visit), visit.number("start") or 0


def _version(tx: Reading, sync_id: str, with_line: bool) -> tuple[str, Glance | None]:
    stamp = ledger.stamp(tx, sync_id)
    line = glance.told(tx) if with_line else None
    return repr((stamp | {"now": glance.told_at(stamp["now"])}, line)), line


def _read(tx: Reading, sync_id: str, sieve: Sieve, start: int, size: int) -> dict:
    row = ledger.batch(tx, sync_id)
    jobs = queue.history(tx, row["id"], limit=LATEST + 1)
    counts = ledger.bounded_counts(tx, row["id"], limit=BOUND + 1)
    marks = {mark: counts.pop(mark, 0) for mark in ledger.MARKS}
    withdrawn = counts.pop(Decision.WITHDRAWN, 0)
    shown = (_found if sieve.hash_start else _paged)(tx, row["id"], sieve, start, size)
    return {
        "batch": shaped(row, PLANNED_BATCH, queueable=not BatchStatus(row["status"]).busy),
        "active_job": next((shaped(job, JOB) for job in jobs if _active(job)), None),
        "jobs": [shaped(job, JOB) for job in jobs[:LATEST]],
        "more_jobs": len(jobs) > LATEST,
        "item_count": _item_count(row, counts),
        "decisions": {str(each): counts[each] for each in items.ORDER if each in counts},
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


def _paged(tx: Reading, batch_id: int, sieve: Sieve, start: int, size: int) -> dict:
    rows, next_start = items.page(tx, batch_id, sieve, start, size)
    previous = ledger.place_before(tx, batch_id, start, decision=sieve.decision, mark=sieve.mark, limit=size)
    return {
        "items": [items.shown(row) for row in rows], "start": start, "previous_start": previous,
        "next_start": next_start, "more_matches": False,
    }


def _found(tx: Reading, batch_id: int, sieve: Sieve, start: int, size: int) -> dict:
    rows = ledger.items_of_hash(tx, batch_id, sieve.hash_start, limit=size + 1)
    return {
        "items": [items.shown(row) for row in rows[:size]], "start": 0, "previous_start": None, "next_start": None,
        "more_matches": len(rows) > size,
    }


def _retryable(row: dict, counts: dict[str, int]) -> bool:
    """Whether a job came to some items without a good end: items failed or are left, or containers are not whole."""
    return row["status"] in (BatchStatus.PARTIAL, BatchStatus.FAILED) and any(each in counts for each in SETTLED)


def _item_count(row: dict, counts: dict[str, int]) -> int:
    """How many are listed. Where counting stopped at the bound, the manifest knows: what it lists is what is planned."""
    return sum(counts.values()) if max(counts.values(), default=0) <= BOUND else row["item_count"]


def _outdated(row: dict, counts: dict[str, int]) -> bool:
    """Whether the items are those of an earlier plan, since the last preflight did not get as far as them."""
    return bool(counts) and row["plan"] is not None and not any(row["plan"].values())


def _changed(tx: Reading, row: dict) -> dict | None:
    """When the import found another manifest than was preflighted, unless a preflight came after that."""
    event = ledger.latest_event(tx, row["id"], "manifest_changed")
    if not event or event["payload"].get("phase") != "import":
        return None
    stale = row["started_at"] is not None and event["created_at"] < row["started_at"]
    return None if stale else {"at": event["created_at"], **{key: event["payload"][key] for key in ("before", "after")}}


def _active(job: dict) -> bool:
    return job["state"] in (JobState.QUEUED, JobState.RUNNING)
