"""SIGTERM and SIGINT: the first asks the loop to stop, the second ends the process at once (docs/CONTRACT.md, 8)."""

import os
import select
import signal

FORCED = 130
STOPPERS = (signal.SIGTERM, signal.SIGINT)


class Signals:
    """The handlers set a flag; the loop acts on it. `wait` is a sleep that a signal ends."""

    def __init__(self):
        self.stopping = False
        self._woken, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def install(self) -> "Signals":
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        for number in STOPPERS:
            signal.signal(number, self._handle)
        return self

    def wait(self, seconds: float) -> None:
        """Sleep, unless a signal came or comes."""
        if not self.stopping and select.select([self._woken], [], [], seconds)[0]:
            os.read(self._woken, 64)

    def _handle(self, number: int, frame) -> None:
        if self.stopping:
            os._exit(FORCED)
        self.stopping = True


def deafen() -> None:
    """Leave signals to the main thread: one that another thread took would not wake it from waiting for the database."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPERS)
