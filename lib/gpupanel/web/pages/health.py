"""Whether the panel can answer, for a load balancer: one word, no sign-in, and no fact beyond that word."""

from ...database import Database
from ...errors import PanelError

ANSWERS = {True: (200, b"ok\n"), False: (503, b"unavailable\n")}


def answer(db: Database) -> tuple[int, bytes]:
    """Status and body; the database is asked for no more than its time."""
    return ANSWERS[_answers(db)]


def _answers(db: Database) -> bool:
    try:
        return bool(db.read(lambda tx: tx.value("queue.now")))
    except PanelError:
        return False
