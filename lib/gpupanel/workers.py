"""The workers that beat in `import_worker`, for pages, commands and checks.

Only workers write these rows (docs/decisions/0114-holds-and-workers-in-rows.md).
"""

from .db import ReadTransaction
from .rows import WorkerRow

BEAT_SECONDS = 15  # between two heartbeats of a worker, also of an idle one
LATE_SECONDS = 3 * BEAT_SECONDS
RUNNING_STATES = ("importing", "preflighting")


def latest(tx: ReadTransaction, *, limit: int = 50) -> list[WorkerRow]:
    """The workers that were seen last, also late and ended ones."""
    return tx.fetch_all("workers.latest", late=LATE_SECONDS, limit=limit)


def alive(tx: ReadTransaction, *, limit: int = 50) -> list[WorkerRow]:
    """The workers that beat."""
    return [row for row in latest(tx, limit=limit) if is_alive(row)]


def is_alive(row: WorkerRow) -> bool:
    """Whether a worker runs and is not late."""
    return not row["is_late"] and row["ended_at"] is None


def count_alive(tx: ReadTransaction) -> int:
    """The number of workers that beat, of any kind.

    A worker without a row, such as the Perl worker, counts while the heartbeat of its running job is young.
    """
    return int(tx.fetch_value("workers.alive", late=LATE_SECONDS))
