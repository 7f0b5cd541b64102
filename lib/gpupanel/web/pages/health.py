"""Health checks for load balancers and monitoring: one word, no authentication."""

from ... import workers
from ...db import Database
from ...errors import PanelError

OK, UNAVAILABLE, NO_WORKER = (200, b"ok\n"), (503, b"unavailable\n"), (503, b"no worker\n")


def answer(db: Database) -> tuple[int, bytes]:
    """Return status and body; the only query reads the database's time."""
    try:
        return OK if db.run_read(lambda tx: tx.fetch_value("job_queue.now")) else UNAVAILABLE
    except PanelError:
        return UNAVAILABLE


def readiness(db: Database) -> tuple[int, bytes]:
    """Return status and body: 503 unless the database answers and a worker beats."""
    try:
        return OK if db.run_read(workers.presence).alive else NO_WORKER
    except PanelError:
        return UNAVAILABLE
