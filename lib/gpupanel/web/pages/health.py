"""Health checks for load balancers and monitoring: one word, no authentication."""

from ... import workers
from ...db import Database
from ...errors import PanelError

ANSWERS = {True: (200, b"ok\n"), False: (503, b"unavailable\n")}
NO_WORKER = (503, b"no worker\n")


def answer(db: Database) -> tuple[int, bytes]:
    """Return status and body; the only query reads the database's time."""
    return ANSWERS[_is_available(db)]


def readiness(db: Database) -> tuple[int, bytes]:
    """Return status and body: 503 unless the database answers and a worker beats."""
    try:
        return ANSWERS[True] if db.run_read(workers.presence).alive else NO_WORKER
    except PanelError:
        return ANSWERS[False]


def _is_available(db: Database) -> bool:
    try:
        return bool(db.run_read(lambda tx: tx.fetch_value("job_queue.now")))
    except PanelError:
        return False
