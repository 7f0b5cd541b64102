"""Retries of database calls, with backoff, until they succeed.

See docs/CONTRACT.md, "8. Queue".
"""

import random
from collections.abc import Callable
from functools import partial
from logging import Logger
from time import monotonic
from typing import ParamSpec, TypeVar

from ..errors import DatabaseConflict, DatabaseDenied, DatabaseUnavailable, OutcomeUnknown, PanelError
from .log import sentences
from .notify import Notifier
from .signals import Signals

P = ParamSpec("P")
T = TypeVar("T")

# Seconds.
LONGEST_BACKOFF = 30
OUT_OF_REACH = (DatabaseUnavailable, DatabaseDenied, DatabaseConflict)


class Stopping(Exception):
    """A signal asked the worker to stop; the next claim continues the job."""


class Asking:
    """Retries database calls with backoff until they succeed.

    Raises: Stopping, after a signal.
    """

    def __init__(self, signals: Signals, log: Logger, notifier: Notifier):
        self._signals, self._log, self._notifier = signals, log, notifier

    def patiently(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what the call returns.

        Raises: OutcomeUnknown, when the reply to a COMMIT was lost.
        """
        return self._until_answered(partial(call, *args, **kwargs), retry_unknown=False)

    def until_known(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what the call returns, repeating it after a lost reply too.

        Only for calls whose result shows what the first one did.
        """
        return self._until_answered(partial(call, *args, **kwargs), retry_unknown=True)

    def backoff(self, attempt: int) -> float:
        """Return how many seconds to wait after an attempt; the first one is 1."""
        return random.uniform(0.5, 1) * min(LONGEST_BACKOFF, 0.25 * float(2 ** min(attempt, 10)))

    def _until_answered(self, call: Callable[[], T], *, retry_unknown: bool) -> T:
        since, attempt = monotonic(), 0
        while True:
            try:
                result = call()
            except OUT_OF_REACH as error:
                if isinstance(error, OutcomeUnknown) and not retry_unknown:
                    raise
                attempt += 1
                self._wait(error, attempt)
            else:
                if attempt:
                    self._log.info(f"the database is available again after {monotonic() - since:.0f} s")
                return result

    def _wait(self, error: PanelError, attempt: int) -> None:
        """Back off and log the first error; after a signal, try once more."""
        if attempt == 1:
            self._log.error(f"the database: {sentences(str(error), error.hint, 'Retrying until it answers.')}")
        if self._signals.stopping and attempt > 1:
            raise Stopping
        self._notifier.status("waiting for the database")
        self._signals.wait(self.backoff(attempt))
