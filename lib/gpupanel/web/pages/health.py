"""Health check for load balancers: one word, no authentication."""

from ...db import Database
from ...errors import PanelError

ANSWERS = {True: (200, b"ok\n"), False: (503, b"unavailable\n")}


def answer(db: Database) -> tuple[int, bytes]:
    """Return status and body; the only query reads the database's time."""
    return ANSWERS[_is_available(db)]


def _is_available(db: Database) -> bool:
    try:
        return bool(db.run_read(lambda tx: tx.fetch_value("job_queue.now")))
    except PanelError:
        return False
