"""Asking a database that may be away: again and again, with pauses that grow (docs/CONTRACT.md, 8)."""

import random
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import Any

from ..errors import DatabaseConflict, DatabaseDenied, DatabaseUnavailable, OutcomeUnknown, PanelError
from .log import Log, sentences
from .notify import Notifier
from .signals import Signals

LONGEST_BACKOFF = 30
OUT_OF_REACH = (DatabaseUnavailable, DatabaseDenied, DatabaseConflict)


class Stopping(Exception):
    """The worker was asked to stop; what is committed stays, and the rest is left to the next claim."""


class Asking:
    """Asks until the database answers. Both raise Stopping rather than wait on when a signal came."""

    def __init__(self, signals: Signals, log: Log, notifier: Notifier):
        self._signals, self._log, self._notifier = signals, log, notifier

    def patiently(self, ask: Callable, *args, **kwargs) -> Any:
        """What `ask(*args, **kwargs)` returns. Raises OutcomeUnknown when the reply to a COMMIT was lost."""
        return self._until_answered(partial(ask, *args, **kwargs), (OutcomeUnknown,))

    def until_known(self, ask: Callable, *args, **kwargs) -> Any:
        """The same for a question that may be asked again after a lost reply, since its answer tells what happened."""
        return self._until_answered(partial(ask, *args, **kwargs), ())

    def backoff(self, attempt: int) -> float:
        """Seconds to wait after the attempt of this number, counted from 1."""
        return random.uniform(0.5, 1) * min(LONGEST_BACKOFF, 0.25 * 2 ** min(attempt, 10))

    def _until_answered(self, ask: Callable[[], Any], passed_on: tuple) -> Any:
        since, attempt = monotonic(), 0
        while True:
            try:
                answer = ask()
            except passed_on:
                raise
            except OUT_OF_REACH as error:
                attempt += 1
                self._wait(error, attempt)
            else:
                if attempt:
                    self._log.info(f"the database is back after {monotonic() - since:.0f} s; going on")
                return answer

    def _wait(self, error: PanelError, attempt: int) -> None:
        """Back off, saying what is wrong the first time. A stop that is asked for is given one more try, the first."""
        if attempt == 1:
            self._log.error(f"the database: {sentences(str(error), error.hint, 'Trying again until it answers.')}")
        if self._signals.stopping and attempt > 1:
            raise Stopping
        self._notifier.status("waiting for the database")
        self._signals.wait(self.backoff(attempt))
