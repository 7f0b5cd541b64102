"""Collect the notices that are due, send them as one message a channel, and mark them.

A notice is marked after its message was accepted: a crash in between sends it again. One process sends at a time.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

from .. import workers
from ..config import Url
from ..db import Database, ReadTransaction, Transaction, hold_run_lock
from ..errors import DeliveryError, InvalidStateError
from ..ledger import notices
from ..ledger.notices import CONDITIONS, NoticeKind
from ..models import JobState
from ..rows import UnsentNotice
from . import message
from .transports import Channel, deliver
from .message import Message

MAX_NOTICES = 10_000  # of one message
UNCLAIMED_SECONDS = 300  # a restart of a worker, or of its machine, needs no notice
AGAIN_AFTER = timedelta(days=1)  # a condition that lasts is sent once a day
EVER = datetime(1000, 1, 1)


class Verdict(Enum):
    """What happens to a notice of a condition: send it, end it unsent, or keep it for a later message."""

    SEND = "send"
    OVER = "over"
    LATER = "later"


@dataclass(slots=True)
class Report:
    """What one channel did: `sent` and `waiting` notices, `next_try` of those that wait, and what went wrong."""

    channel: str
    sent: int = 0
    waiting: int = 0
    next_try: datetime | None = None
    problem: str = ""
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends: the host's name, the panel's address, and after how many seconds a job is stalled."""

    host: str
    panel: Url | None
    stale_seconds: float


def send_due(db: Database, channels: list[Channel], sender: Sender, *, now: bool = False) -> list[Report]:
    """Send what is due by each channel; with `now` also what waits for its next attempt.

    Raises InvalidStateError while another process sends.
    """
    refusal = InvalidStateError("Another process sends notices now.", "Nothing is lost; try again in a minute.")
    with hold_run_lock(Database(db.settings), "notify", refusal):
        db.run_transaction(_add_conditions, sender.stale_seconds)
        columns = [channel.column for channel in channels]
        return [_send(db, channel, columns, sender, now) for channel in channels]


def _add_conditions(tx: Transaction, stale_seconds: float) -> None:
    """Add notices of conditions, which have no event: stalled jobs, and a queue that no worker reads."""
    notices.add_stalled(tx, stale_seconds)
    presence = workers.presence(tx)
    if presence.pause:
        return
    since = presence.now - AGAIN_AFTER
    if presence.age is None or presence.age.total_seconds() >= UNCLAIMED_SECONDS:
        seen_at = presence.seen_at or EVER
        notices.add_unclaimed(tx, NoticeKind.NO_WORKER, max(since, seen_at), seconds=UNCLAIMED_SECONDS)
    elif _is_mount_away(tx):
        notices.add_unclaimed(tx, NoticeKind.NO_MOUNT, since, seconds=UNCLAIMED_SECONDS)


def _is_mount_away(tx: ReadTransaction) -> bool:
    """Whether each worker that beats has said that its mount cannot be read."""
    alive = workers.alive(tx)
    return bool(alive) and all(worker["mount_ok"] == 0 for worker in alive)


def _send(db: Database, channel: Channel, columns: list[str], sender: Sender, now: bool) -> Report:
    report = Report(channel.name)
    found, over = db.run_read(_collect, channel.column, sender.stale_seconds)
    if over:
        db.run_transaction(notices.mark_over, over)
    if not found:
        return report
    due_at = [row["not_before"] for row in found]
    if not now and all(moment is not None and moment > found[0]["now"] for moment in due_at):
        report.waiting, report.next_try = len(found), min(moment for moment in due_at if moment)
        return report
    ids = [row["id"] for row in found]
    try:
        warning = deliver(channel, db.run_read(_write_message, found, sender))
    except DeliveryError as error:
        db.run_transaction(notices.mark_failed, ids, str(error))
        report.waiting, report.problem = len(ids), str(error)
        return report
    db.run_transaction(
        notices.mark_sent, ids, channel.column, mails="mailed_at" in columns, posts="posted_at" in columns
    )
    report.sent = len(ids)
    report.warnings += [warning] if warning else []
    return report


def _collect(tx: ReadTransaction, column: str, stale_seconds: float) -> tuple[list[UnsentNotice], list[int]]:
    """The notices to send, and the ids of those whose condition is over."""
    found = notices.unsent(tx, column, limit=MAX_NOTICES)
    verdicts = _judge(tx, [row for row in found if row["kind"] in CONDITIONS], stale_seconds)
    over = sorted(notice_id for notice_id, verdict in verdicts.items() if verdict is Verdict.OVER)
    return [row for row in found if verdicts.get(row["id"], Verdict.SEND) is Verdict.SEND], over


def _judge(tx: ReadTransaction, conditions: list[UnsentNotice], stale_seconds: float) -> dict[int, Verdict]:
    """Decide about each notice of a condition.

    A job that is not held now, and has not ended, may be held again for the same reason without another event.
    """
    if not conditions:
        return {}
    has_worker, has_mount = bool(workers.presence(tx).alive), not _is_mount_away(tx)
    jobs = notices.active_jobs(tx, [row["id"] for row in conditions], seconds=stale_seconds)
    verdicts = {}
    for row in conditions:
        state, is_stale = jobs[row["id"]]
        is_over = {
            NoticeKind.NO_WORKER: has_worker, NoticeKind.NO_MOUNT: has_mount, NoticeKind.STALLED: not is_stale,
            NoticeKind.HELD: state is None,
        }[NoticeKind(row["kind"])]
        is_quiet = row["kind"] == NoticeKind.HELD and state not in (None, JobState.HELD)
        verdicts[row["id"]] = Verdict.OVER if is_over else Verdict.LATER if is_quiet else Verdict.SEND
    return verdicts


def _write_message(tx: ReadTransaction, found: list[UnsentNotice], sender: Sender) -> Message:
    counts, first = message.first_entries((row["id"], row["batch_id"], NoticeKind(row["kind"])) for row in found)
    rows = {row["id"]: row for row in notices.details(tx, first)}
    ids = [row["id"] for row in found]
    notices_to_send = message.NoticesToSend(
        ids, counts, [rows[notice_id] for notice_id in first], len(found) == MAX_NOTICES
    )
    return message.compose(sender.host, notices_to_send, sender.panel)
