"""One run of a command at a time: a named lock of the server, for the database that is in use."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ..errors import InvalidStateError, PanelError
from .connection import Database

# A server takes names of up to 64 characters.
NAME = "LEFT(CONCAT(%(name)s, '.', DATABASE()), 64)"


@contextmanager
def hold_run_lock(db: Database, name: str, refusal: InvalidStateError) -> Iterator[None]:
    """Hold the lock during a run, then close the connection; raise `refusal` while another run holds it.

    The lock ends with the connection, however a process ends; the server may see that a moment later, so a run that
    ends by itself releases the lock first.
    """
    [row] = db.execute(f"SELECT GET_LOCK({NAME}, 0) AS is_ours", name=name)
    try:
        if row["is_ours"] != 1:
            raise refusal
        yield
    finally:
        with suppress(PanelError):
            db.execute(f"SELECT RELEASE_LOCK({NAME}) AS was_ours", name=name)
        db.close()
