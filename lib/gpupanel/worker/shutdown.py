"""Shutdown signals: a handler sets a flag that the program checks."""

import os
import select
import signal
from collections.abc import Sequence
from types import FrameType

EXIT_FORCED = 130
FORCING_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# All that would end the process in the middle of a job: people, log rotation and resource limits send them.
STOP_SIGNALS = (
    *FORCING_SIGNALS, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGXCPU,
)


class ShutdownRequested(Exception):
    """A signal asked the worker to stop; the next claim continues the job."""


class ShutdownSignals:
    """The shutdown signals of a process; the first one sets `stopping`.

    A second SIGTERM or SIGINT ends the process at once unless `force` is False; the others often come twice, or beside
    SIGTERM. SIGHUP stays ignored where `nohup` ignores it. As a context manager it restores the handlers.
    """

    def __init__(self, numbers: Sequence[int] = STOP_SIGNALS, *, force: bool = True):
        self.stopping = False
        self._is_forcing = False
        self._numbers, self._force = numbers, force
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def install(self) -> "ShutdownSignals":
        """Install the handlers."""
        self._wakeup = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._handlers = {
            number: signal.signal(number, self._handle) for number in self._numbers if not _is_ignored(number)
        }
        return self

    def __enter__(self) -> "ShutdownSignals":
        return self.install()

    def __exit__(self, *exc: object) -> None:
        signal.set_wakeup_fd(self._wakeup)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        os.close(self._reader)
        os.close(self._writer)

    def fileno(self) -> int:
        """Return a descriptor that is readable after a signal, for `select`."""
        return self._reader

    def wait(self, seconds: float) -> None:
        """Sleep until a signal comes."""
        if not self.stopping and select.select([self], [], [], seconds)[0]:
            os.read(self._reader, 64)

    def check(self) -> None:
        """Raise KeyboardInterrupt after a signal."""
        if self.stopping:
            raise KeyboardInterrupt

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if number in FORCING_SIGNALS:
            if self._is_forcing and self._force:
                os._exit(EXIT_FORCED)
            self._is_forcing = True
        self.stopping = True


def _is_ignored(number: int) -> bool:
    return number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN


def block_signals() -> None:
    """Block the signals here, so that they interrupt the main thread."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
