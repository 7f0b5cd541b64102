"""Jobs that cannot be done just now: this worker passes over them for a while, so that the others have their turn."""

from time import monotonic
from typing import NamedTuple

FIRST_SECONDS = 2
# After a fault that may lie in the job: what passes by itself has time to, before its attempts are used up.
FAULT_SECONDS = 60
LONGEST_SECONDS = 15 * 60


class Wait(NamedTuple):
    """Until when a job waits, by the monotonic clock, and how long it was made to."""

    until: float
    seconds: float


class Aside:
    """Job id -> how long it waits: twice as long each time, up to a quarter of an hour."""

    def __init__(self):
        self._waits: dict[int, Wait] = {}

    def put(self, job_id: int, least: float = FIRST_SECONDS) -> float:
        """Set a job aside; returns for how many seconds."""
        before = self._waits.get(job_id)
        seconds = min(LONGEST_SECONDS, max(before.seconds * 2, least)) if before else least
        self._waits[job_id] = Wait(monotonic() + seconds, seconds)
        return seconds

    def forget(self, job_id: int) -> None:
        self._waits.pop(job_id, None)

    def now(self) -> list[int]:
        """The jobs that still wait. One that nobody has asked about for long is forgotten: it may have been canceled."""
        now = monotonic()
        self._waits = {job: wait for job, wait in self._waits.items() if now < wait.until + LONGEST_SECONDS}
        return [job for job, wait in self._waits.items() if now < wait.until]
