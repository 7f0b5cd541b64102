"""Notices for people: rows of ingest_notice, each written in the transaction of its event.

`gpupanel notify` sends the rows and marks them. Event ids commit out of order, so a cursor over events would lose some
(docs/decisions/0132-notices.md).
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from ..db import ReadTransaction, Transaction, chunked, fill
from ..models import BatchStatus, HoldKind
from ..rows import NoticeDetails, UnsentNotice


class NoticeKind(StrEnum):
    """What happened, the most serious first; a message names each batch once, by its most serious notice."""

    FAILED = "failed"
    PARTIAL = "partial"
    PREFLIGHT_FAILED = "preflight_failed"
    CHANGED = "changed"  # upstream replaced the bundle
    NO_WORKER = "no_worker"  # jobs are queued, and no worker is alive
    NO_MOUNT = "no_mount"  # jobs are queued, and no worker can read its mount
    STALLED = "stalled"  # the worker of a running job sent no heartbeat
    HELD = "held"
    RESET = "reset"  # a stalled job went back to the queue


# Conditions, which may be over before a message is written: then none is sent.
CONDITIONS = (NoticeKind.NO_WORKER, NoticeKind.NO_MOUNT, NoticeKind.STALLED, NoticeKind.HELD)
# column of a channel -> the query that writes it
MARKS = {"mailed_at": "notices.mark_mailed", "posted_at": "notices.mark_posted"}
NOTICED_STATUSES = (BatchStatus.FAILED, BatchStatus.PARTIAL)
NOTICED_HOLDS = (HoldKind.BUNDLE, HoldKind.BACKOFF, HoldKind.OPERATOR)  # a prior's job ends by itself


def kind_of(event_type: str, payload: Mapping[str, Any] | str) -> NoticeKind | None:
    """Return the notice of an event; None for an event without one."""
    if isinstance(payload, str):
        return None
    match event_type:
        case "job_failed":
            return NoticeKind.FAILED
        case "job_finished" if payload["status"] in NOTICED_STATUSES:
            return NoticeKind(payload["status"])
        case "preflight_finished" if not payload["ok"]:
            return NoticeKind.PREFLIGHT_FAILED
        case "preflight_abandoned":
            return NoticeKind.PREFLIGHT_FAILED
        case "manifest_changed" if payload["phase"] == "import_end":
            return NoticeKind.CHANGED
        case "job_held" if payload["hold"] in NOTICED_HOLDS:
            return NoticeKind.HELD
        case "job_reset":
            return NoticeKind.RESET
    return None


def add(tx: Transaction, kind: NoticeKind, events: Iterable[tuple[int, int | None]]) -> None:
    """Add a notice for each (batch id, event id); a condition has no event."""
    tx.insert_many(
        "notices.add", [{"kind": kind, "batch_id": batch_id, "event_id": event_id} for batch_id, event_id in events]
    )


def add_stalled(tx: Transaction, seconds: float) -> None:
    """Add a notice for each claim whose worker sent no heartbeat for so long, once a claim."""
    stalled = tx.fetch_all("notices.stalled", seconds=seconds, perl_offset=tx.perl_offset(seconds))
    add(tx, NoticeKind.STALLED, [(row["batch_id"], None) for row in stalled])


def add_unclaimed(tx: Transaction, kind: NoticeKind, since: Any, *, seconds: float) -> None:
    """Add a notice for the oldest queued job if it waits for so long, and none of the kind was added `since`."""
    horizon = {"seconds": seconds, "perl_offset": tx.perl_offset(seconds)}
    if waiting := tx.fetch_one("notices.unclaimed", kind=kind, since=since, **horizon):
        add(tx, kind, [(waiting["batch_id"], None)])


def unsent(tx: ReadTransaction, column: str, *, limit: int) -> list[UnsentNotice]:
    """The oldest notices that the channel of `column` (mailed_at, posted_at) has not sent."""
    return tx.fetch_all_sql(fill("notices.unsent", column=column), limit=limit)


def details(tx: ReadTransaction, ids: list[int]) -> list[NoticeDetails]:
    """Batch, event and active job of some notices; times are in UTC."""
    return tx.fetch_all("notices.details", ids=ids, perl_offset=tx.perl_offset(0))


def active_jobs(tx: ReadTransaction, ids: list[int], *, seconds: float) -> dict[int, tuple[str | None, bool]]:
    """notice id -> the state of its batch's active job, None without one, and whether that job is stalled."""
    horizon = {"seconds": seconds, "perl_offset": tx.perl_offset(seconds)}
    rows = (row for chunk in chunked(ids) for row in tx.fetch_all("notices.active_jobs", ids=chunk, **horizon))
    return {row["id"]: (row["state"], bool(row["is_stale"])) for row in rows}


def mark_sent(tx: Transaction, ids: list[int], column: str, *, mails: bool, posts: bool) -> None:
    """Mark what a channel sent; a notice is done when every channel that is set up has sent it."""
    for chunk in chunked(ids):
        tx.execute(MARKS[column], ids=chunk)
        tx.execute("notices.mark_sent", ids=chunk, mails=int(mails), posts=int(posts))


def mark_over(tx: Transaction, ids: list[int]) -> None:
    """Mark notices of conditions that ended before they were sent."""
    for chunk in chunked(ids):
        tx.execute("notices.mark_over", ids=chunk)


def mark_failed(tx: Transaction, ids: list[int], problem: str) -> None:
    """Count a failed attempt; the next one is due after 1 minute, doubling to 1 hour."""
    for chunk in chunked(ids):
        tx.execute("notices.mark_failed", ids=chunk, problem=problem)


def backlog(tx: ReadTransaction, *, limit: int) -> tuple[int, float]:
    """The number of unsent notices, counted up to `limit`, and the age of the oldest in seconds."""
    row = tx.fetch_one("notices.backlog", limit=limit)
    return int(row["notices"]), float(row["age"] or 0)
