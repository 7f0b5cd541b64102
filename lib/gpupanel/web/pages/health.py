"""Health check for load balancers: one word, no authentication."""

from ...database import Database
from ...errors import PanelError

ANSWERS = {True: (200, b"ok\n"), False: (503, b"unavailable\n")}


def answer(db: Database) -> tuple[int, bytes]:
    """Return status and body; the only query reads the database's time."""
    return ANSWERS[_is_available(db)]


def _is_available(db: Database) -> bool:
    try:
        return bool(db.read(lambda tx: tx.value("queue.now")))
    except PanelError:
        return False
