"""Status bar of each page, and what changes with anything that pages show: one statement (decision 0137)."""

from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from .. import attention, ledger, workers
from ..db import Database, ReadTransaction, query
from ..errors import PanelError
from ..models import COUNT_LIMIT
from ..rows import QueueControl

AGE_STEP_SECONDS = 15  # seconds between updates of a page that shows how a running job gets on
FAILED_HOURS = 24
COLUMNS = """q.queued, q.running, q.held, q.failed, q.oldest, q.now, p.alive, p.seen_at, p.paused_by, p.reason, p.since,
    t.marked, t.held AS held_unseen, v.events, v.beat, v.mounts_away"""
PARTS = ("job_queue.summary", "workers.presence", "attention.counts", "job_queue.version")


class QueueSummary(NamedTuple):
    """Summary of the queue, with counts up to 10,001, and of what needs attention, up to 100.

    `oldest` is how long the first queued job has waited, `failed` counts the last 24 hours, and `now` is the time for
    which pages show ages. `workers` is the number of workers that beat, `seen` how long ago one was seen. `version`
    changes with each event, heartbeat of a running job, and worker that comes or goes.
    """

    queued: int
    oldest: timedelta | None
    running: int
    failed: int
    now: datetime
    held: int = 0
    workers: int = 0
    seen: timedelta | None = None
    pause: QueueControl | None = None
    attention: int = 0
    version: tuple[Any, ...] = ()

    @property
    def moves(self) -> bool:
        """Whether pages of the queue change with time alone: a job runs, or waits for a worker that does not beat."""
        return bool(self.running or (self.queued and not self.workers))

    def etag_source(self, *, moves: bool) -> tuple[Any, ...]:
        """What the status bar shows, without ages: the page's script counts them up.

        With `moves` the rounded time is included, so that the page is sent again now and then.
        """
        return tuple(self._replace(oldest=None, seen=None, now=round_down(self.now) if moves else datetime.min))


@cache
def statement(*more: str) -> str:
    """Return the statement of the summary, with the columns of `more`, named queries of one row or none."""
    parts = " JOIN ".join(f"({query(name)}) {alias}" for name, alias in zip(PARTS, "qptv", strict=True))
    others = "".join(f" LEFT JOIN ({query(name)}) {name.partition('.')[2]} ON TRUE" for name in more)
    columns = "".join(f", {name.partition('.')[2]}.*" for name in more)
    return f"SELECT {COLUMNS}{columns} FROM {parts}{others}"


PARAMETERS: dict[str, Any] = {
    "hours": FAILED_HOURS, "bound": COUNT_LIMIT, "late": workers.LATE_SECONDS, "most": attention.BADGE_LIMIT,
}


def load_or_none(db: Database) -> QueueSummary | None:
    """Return the rounded summary, or None if the database fails."""
    try:
        return load_single(db)
    except PanelError:
        return None


def load_single(db: Database) -> QueueSummary:
    """Return the rounded summary by one statement, outside of a transaction."""
    return rounded(db.run_single(load))


def load_with_batch(db: Database, sync_id: str) -> tuple[QueueSummary, dict[str, Any]]:
    """Return the rounded summary and a batch's change token by one statement. Raises NotFoundError."""
    row = db.run_single(_row, "ledger.stamp", sync_id=sync_id)
    return rounded(_summary(row)), ledger.checked_token(row, sync_id)


def load(tx: ReadTransaction) -> QueueSummary:
    """Return the summary by the database's clock."""
    return _summary(_row(tx))


def _row(tx: ReadTransaction, *more: str, **params: Any) -> dict[str, Any]:
    perl_offset = tx.perl_offset(workers.LATE_SECONDS)
    [row] = tx.fetch_all_sql(statement(*more), perl_offset=perl_offset, **PARAMETERS, **params)
    found: dict[str, Any] = row
    return found


def _summary(row: dict[str, Any]) -> QueueSummary:
    now = row["now"]
    pause: QueueControl | None = None
    if row["since"]:
        pause = {"paused_by": row["paused_by"], "reason": row["reason"], "since": row["since"]}
    return QueueSummary(
        queued=int(row["queued"]), running=int(row["running"]), held=int(row["held"]), failed=int(row["failed"]),
        oldest=_age(now, row["oldest"]), now=now,
        workers=int(row["alive"]), seen=_age(now, row["seen_at"]), pause=pause,
        attention=min(attention.BADGE_LIMIT, row["marked"] + row["held_unseen"]),
        version=(row["events"], row["beat"], row["mounts_away"], row["oldest"]),
    )


def _age(now: datetime, moment: datetime | None) -> timedelta | None:
    return None if moment is None else max(timedelta(), now - moment)


def rounded(summary: QueueSummary) -> QueueSummary:
    """Return the summary with its ages as of a rounded time."""
    now = round_down(summary.now)
    oldest = None if summary.oldest is None else max(timedelta(), summary.oldest - (summary.now - now))
    return summary._replace(now=now, oldest=oldest)


def round_down(now: datetime) -> datetime:
    """Round a time down to a multiple of 15 seconds."""
    return now - (now - datetime.min) % timedelta(seconds=AGE_STEP_SECONDS)
