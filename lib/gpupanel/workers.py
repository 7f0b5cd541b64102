"""The workers that beat in `import_worker`, for pages, commands and checks.

Only workers write these rows (docs/decisions/0114-holds-and-workers-in-rows.md).
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from . import perl_time
from .db import ReadTransaction
from .errors import InvalidStateError
from .rows import LockedJob, QueueControl, WorkerRow

BEAT_SECONDS = 15  # between two heartbeats of a worker, also of an idle one
LATE_SECONDS = 3 * BEAT_SECONDS
FOREIGN_DAYS = 7  # after the last claim of another program's worker, batches can be undone


class Presence(NamedTuple):
    """The number of workers that beat, when one was seen last, and who paused the queue, if it is paused.

    A worker without a slot, such as the Perl worker, counts while the heartbeat of its running job is young.
    """

    alive: int
    seen_at: datetime | None
    now: datetime
    pause: QueueControl | None

    @property
    def age(self) -> timedelta | None:
        """The time since a worker was seen."""
        return None if self.seen_at is None else max(timedelta(), self.now - self.seen_at)


def latest(tx: ReadTransaction, *, limit: int = 50) -> list[WorkerRow]:
    """The workers that were seen last, also late and ended ones."""
    rows: list[WorkerRow] = tx.fetch_all("workers.latest", late=LATE_SECONDS, limit=limit)
    for row in rows:
        row["age"] = max(0.0, float(row["age"]))
    return rows


def alive(tx: ReadTransaction, *, limit: int = 50) -> list[WorkerRow]:
    """The workers that beat."""
    return [row for row in latest(tx, limit=limit) if is_alive(row)]


def state_of(row: WorkerRow) -> str:
    """What a worker does, or that it has ended or is late."""
    if row["ended_at"]:
        return "ended"
    return "late" if row["is_late"] else row["state"]


def is_alive(row: WorkerRow) -> bool:
    """Whether a worker runs and is not late."""
    return not row["is_late"] and row["ended_at"] is None


def is_job_late(job: LockedJob, now: datetime) -> bool:
    """Whether a running job had no heartbeat, or else no claim, within LATE_SECONDS."""
    seen = job["heartbeat_at"] or job["claimed_at"]
    return seen is None or now - seen > timedelta(seconds=LATE_SECONDS)


def presence(tx: ReadTransaction) -> Presence:
    """Whether workers beat, and whether they may claim."""
    row = tx.fetch_one("workers.presence", late=LATE_SECONDS, perl_offset=tx.perl_offset(LATE_SECONDS))
    pause: QueueControl | None = None
    if row["since"]:
        pause = {"paused_by": row["paused_by"], "reason": row["reason"], "since": row["since"]}
    return Presence(int(row["alive"]), row["seen_at"], row["now"], pause)


def raise_if_foreign_claims(tx: ReadTransaction) -> None:
    """Raise InvalidStateError while a worker of another program takes jobs, as the Perl worker does.

    Such a worker would claim the job of an undo, find no bundle, and fail it.
    """
    job = tx.fetch_one("workers.foreign_claim", days=FOREIGN_DAYS, perl_offset=tx.perl_offset(FOREIGN_DAYS * 86400))
    if job:
        perl_time.convert_to_utc(tx.perl_zone, [job])
        raise InvalidStateError(
            f"Another program's worker, {job['worker'] or 'without a name'}, claimed job {job['id']}"
            f"{_when(job['claimed_at'])}. It could claim the job of an undo, which it does not know.",
            f"Stop that worker; {FOREIGN_DAYS} days after its last claim, batches can be undone.",
        )


def _when(moment: datetime | None) -> str:
    return f" at {moment:%Y-%m-%d %H:%M:%S} UTC" if moment else ""
