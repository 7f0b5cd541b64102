"""Make a receipt for each job that has ended, and add it to the chain.

The account of `seal` may only read, and add to ingest_receipt.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ..db import Database, DuplicateKeyError, ReadTransaction, Transaction
from .lines import EMPTY_HEAD, Hasher, digest_of, next_head, receipt_body
from .rows import Span, container_lines, pack, read_lines

PAGE_JOBS = 500
LATE = timedelta(hours=1)  # a job that ended before the last sealed one by more is found by `seal --all` only
BEGINNING = datetime(1000, 1, 1)
ATTEMPTS = 5  # at the next place of the chain, if another `seal` takes it, or the server loses its end


class SealedReceipt(NamedTuple):
    """A receipt that was made."""

    id: int
    sync_id: str
    job_id: int
    lines: int
    root: str
    head: str


@dataclass
class SealReport:
    """The receipts that were made, and jobs that wait: a running job or another transaction works on their batch."""

    receipts: list[SealedReceipt] = field(default_factory=list)
    waiting: list[int] = field(default_factory=list)
    id: int = 0
    head: str = EMPTY_HEAD


class _Last(NamedTuple):
    """The end of the chain."""

    id: int = 0
    head: str = EMPTY_HEAD


class _Bounds(NamedTuple):
    """What a receipt is made of; `last` is the end of the chain when that was read."""

    sync_id: str
    now: datetime
    previous: str | None
    span: Span
    last: _Last


def seal(db: Database, *, every: bool = False) -> SealReport:
    """Seal all jobs that have ended since the last call; with `every`, look through all jobs.

    Each receipt is one transaction, so that a `seal` that is killed loses none.
    """
    done, after = SealReport(), 0
    since = BEGINNING if every else _horizon(db)
    while jobs := db.run_read(_unsealed, since, after if every else None, done.waiting):
        for job in jobs:
            for job_id in db.run_read(_unsealed_of_batch, job):
                sealed = _seal_job(db, job_id, job["batch_id"])
                if sealed is None:
                    done.waiting += [job_id] if job_id not in done.waiting else []
                else:
                    done.receipts.append(sealed)
        after, since = jobs[-1]["id"], jobs[-1]["finished_at"] or since
        if len(jobs) < PAGE_JOBS:
            break
    last = db.run_read(lambda tx: tx.fetch_one("receipts.last"))
    if last:
        done.id, done.head = last["id"], last["head"]
    return done


def _horizon(db: Database) -> datetime:
    latest: datetime | None = db.run_read(lambda tx: tx.fetch_value("receipts.latest_end"))
    return latest - LATE if latest else BEGINNING


def _unsealed(tx: ReadTransaction, since: datetime, after: int | None, waiting: list[int]) -> list[dict[str, Any]]:
    """Return a page of jobs without a receipt, but for those that wait."""
    limit = PAGE_JOBS + len(waiting)
    if after is None:
        rows = tx.fetch_all("receipts.unsealed", since=since, limit=limit)
    else:
        rows = tx.fetch_all("receipts.unsealed_after", after=after, limit=limit)
    return [row for row in rows if row["id"] not in waiting][:PAGE_JOBS]


def _unsealed_of_batch(tx: ReadTransaction, job: dict[str, Any]) -> list[int]:
    """Return a job, after those of its batch before it that had to wait; none if it has a receipt by now."""
    rows = tx.fetch_all("receipts.unsealed_of_batch", batch_id=job["batch_id"], job_id=job["id"])
    return [row["id"] for row in rows]


def _bounds(tx: Transaction, job_id: int, batch_id: int) -> _Bounds | None:
    """Return what the receipt of a job covers; None while a job or a transaction works on its batch."""
    last = _last(tx)
    batch = tx.fetch_one("receipts.share_batch", batch_id=batch_id)
    if batch is None or tx.fetch_value("receipts.is_running", batch_id=batch_id):
        return None
    bounds = tx.fetch_one("receipts.bounds", batch_id=batch_id)
    before = tx.fetch_one("receipts.last_of_batch", batch_id=batch_id) or {"root": None, "result_id": 0, "event_id": 0}
    # Rows that were archived are gone: the bounds never go back.
    result_id, event_id = (int(max(bounds[name], before[name])) for name in ("result_id", "event_id"))
    span = Span(batch_id, job_id, before["result_id"], result_id, before["event_id"], event_id)
    return _Bounds(batch["sync_id"], bounds["now"], before["root"], span, last)


def _last(tx: ReadTransaction) -> _Last:
    row = tx.fetch_one("receipts.last")
    return _Last(**row) if row else _Last()


def _seal_job(db: Database, job_id: int, batch_id: int) -> SealedReceipt | None:
    """Write the receipt of a job; None while another job of the batch runs, or if another `seal` has made it."""
    for attempt in range(1, ATTEMPTS + 1):
        bounds = db.run_transaction(_bounds, job_id, batch_id)
        if bounds is None or db.run_read(lambda tx: tx.fetch_one("receipts.containers", job_id=job_id)):
            return None
        try:
            sealed = db.run_transaction(_insert, bounds)
            if sealed:
                return sealed
        except DuplicateKeyError:  # another `seal` took this place of the chain
            if attempt == ATTEMPTS:
                raise
    return None


def _insert(tx: Transaction, bounds: _Bounds) -> SealedReceipt | None:
    """Add a receipt at the end of the chain; None if that is no longer where it was when the bounds were read.

    A receipt of the batch that another `seal` made meanwhile has taken this place, and the key refuses the second one.
    A server that came back without its last commits has lost receipts: another one must not follow them.
    """
    span = bounds.span
    last = bounds.last
    if _last(tx) != last:
        return None
    containers = pack(container_lines(tx, span.job_id))
    hasher = Hasher()
    for line in read_lines(tx, span, containers):
        hasher.add(digest_of(line.body))
    row: dict[str, Any] = {
        "id": last.id + 1, "batch_id": span.batch_id, "job_id": span.job_id, "lines": hasher.lines,
        "previous": bounds.previous, "sealed_at": bounds.now, "result_id": span.result_id, "event_id": span.event_id,
        "version": span.version,
    }
    root = hasher.root(receipt_body(row | {"sync_id": bounds.sync_id}))
    head = next_head(last.head, root)
    tx.insert("receipts.insert", **row, root=root, head=head, marks=hasher.marks, containers=containers)
    return SealedReceipt(row["id"], bounds.sync_id, span.job_id, hasher.lines, root, head)
