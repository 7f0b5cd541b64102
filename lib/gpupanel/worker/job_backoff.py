"""Per-job backoff of one worker.

After a failed attempt the worker skips the job for 2 s, doubling up to 15 min.
"""

from time import monotonic
from typing import NamedTuple

FIRST_SECONDS = 2
# After an error that may be the job's own: a passing error has time to pass before the attempts are used up.
FAULT_SECONDS = 60
MAX_SECONDS = 15 * 60


class Deferral(NamedTuple):
    """A deferral: its length in seconds, and its end by the monotonic clock."""

    until: float
    seconds: float


class JobBackoff:
    """The deferred jobs of one worker."""

    def __init__(self) -> None:
        self._waits: dict[int, Deferral] = {}

    def defer(self, job_id: int, least: float = FIRST_SECONDS) -> float:
        """Defer a job for twice as long as last time; return the seconds."""
        last = self._waits.get(job_id)
        seconds = min(MAX_SECONDS, max(last.seconds * 2, least)) if last else least
        self._waits[job_id] = Deferral(monotonic() + seconds, seconds)
        return seconds

    def clear(self, job_id: int) -> None:
        """Clear the deferral of a job."""
        self._waits.pop(job_id, None)

    def deferred_ids(self) -> list[int]:
        """Return the ids of the deferred jobs.

        Old deferrals are dropped, since their jobs may have been canceled.
        """
        now = monotonic()
        self._waits = {job: wait for job, wait in self._waits.items() if now < wait.until + MAX_SECONDS}
        return [job for job, wait in self._waits.items() if now < wait.until]
