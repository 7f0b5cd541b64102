"""One run of a command at a time: a named lock of the server, for the database that is in use."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Concatenate, ParamSpec, TypeVar

from ..errors import InvalidStateError, PanelError
from .connection import Database
from .queries import query
from .transaction import Transaction

P = ParamSpec("P")
Result = TypeVar("Result")


class RunLock:
    """The lock of a run, which ends with the connection that took it."""

    def __init__(self, db: Database, name: str) -> None:
        self._db, self._name = db, name

    def run_transaction(
        self, work: Callable[Concatenate[Transaction, P], Result], *args: P.args, **kwargs: P.kwargs
    ) -> Result:
        """Run `work(tx, ...)` in a transaction of the connection that holds the lock.

        After a new connection another run may work, and a server that restarted may have lost its last commits: what
        follows from them must not be written. Raises InvalidStateError then.
        """
        return self._db.run_transaction(self._run, lambda tx: work(tx, *args, **kwargs))

    def _run(self, tx: Transaction, work: Callable[[Transaction], Result]) -> Result:
        if not tx.fetch_value("run_lock.is_ours", lock=self._name):
            raise InvalidStateError(
                "The connection to the database was lost in the middle; what was committed until then stays.",
                "Repeat this: a second run continues.",
            )
        return work(tx)


@contextmanager
def hold_run_lock(db: Database, name: str, refusal: InvalidStateError) -> Iterator[RunLock]:
    """Hold the lock during a run, then close the connection; raise `refusal` while another run holds it.

    The lock ends with the connection, however a process ends; the server may see that a moment later, so a run that
    ends by itself releases the lock first.
    """
    [row] = db.execute(query("run_lock.take"), lock=name)
    try:
        if row["is_ours"] != 1:
            raise refusal
        yield RunLock(db, name)
    finally:
        with suppress(PanelError):
            db.execute(query("run_lock.release"), lock=name)
        db.close()
