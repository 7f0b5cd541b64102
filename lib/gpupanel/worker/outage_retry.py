"""Retries of database calls, after growing delays, until an outage of the database is over.

The backoff of a job is in `holds.py`. `db/connection.py` repeats one transaction after a deadlock, before these
retries.

See docs/CONTRACT.md, "8. Queue".
"""

import random
from collections.abc import Callable
from functools import partial
from logging import Logger
from time import monotonic
from typing import Concatenate, ParamSpec, TypeVar

from ..db import Database, Transaction
from ..errors import (
    CommitUnknownError, DatabaseAccessError, DatabaseConflictError, DatabaseUnavailableError, PanelError,
)
from .log import join_sentences
from .systemd import SystemdNotifier
from .shutdown import ShutdownRequested, ShutdownSignals

P = ParamSpec("P")
T = TypeVar("T")

MAX_BACKOFF_SECONDS = 30
UNAVAILABLE_ERRORS = (DatabaseUnavailableError, DatabaseAccessError, DatabaseConflictError)


class DatabaseRetrier:
    """Retries database calls with backoff until they succeed.

    Raises: ShutdownRequested, after a signal.
    """

    def __init__(self, signals: ShutdownSignals, log: Logger, notifier: SystemdNotifier):
        self._signals, self._log, self._notifier = signals, log, notifier

    def retry(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what the call returns.

        Raises: CommitUnknownError, when the reply to a COMMIT was lost.
        """
        return self._retry_until_done(partial(call, *args, **kwargs), retry_unknown=False)

    def retry_idempotent(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what the call returns, repeating it after a lost reply too.

        Only for calls whose result shows what the first one did.
        """
        return self._retry_until_done(partial(call, *args, **kwargs), retry_unknown=True)

    def delay_seconds(self, attempt: int) -> float:
        """Return the seconds to wait after an attempt; attempts are numbered from 1."""
        return random.uniform(0.5, 1) * min(MAX_BACKOFF_SECONDS, 0.25 * float(2 ** min(attempt, 10)))

    def _retry_until_done(self, call: Callable[[], T], *, retry_unknown: bool) -> T:
        since, attempt = monotonic(), 0
        while True:
            try:
                result = call()
            except UNAVAILABLE_ERRORS as error:
                if isinstance(error, CommitUnknownError) and not retry_unknown:
                    raise
                attempt += 1
                self._wait(error, attempt)
            else:
                if attempt:
                    self._log.info(f"the database call succeeded after {monotonic() - since:.0f} s")
                return result

    def _wait(self, error: PanelError, attempt: int) -> None:
        """Back off and log the first error; after a signal, try once more."""
        if attempt == 1:
            self._log.error(f"the database: {join_sentences(str(error), error.hint, 'Retrying until it answers.')}")
        if self._signals.stopping and attempt > 1:
            raise ShutdownRequested
        self._notifier.status("waiting for the database")
        self._signals.wait(self.delay_seconds(attempt))


def run_idempotent(
    db: Database, work: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Run an idempotent transaction, once more after a lost reply to its COMMIT."""
    try:
        return db.run_transaction(work, *args, **kwargs)
    except CommitUnknownError:
        return db.run_transaction(work, *args, **kwargs)
