"""How a worker that goes from job to job finds the next one without walking the whole line each time (docs/DECISIONS.md).

A job that is taken leaves the index of the line, but its entry stays until the server clears it away, half a second later or
more. Whoever looks from the front walks over all those that the last half second left behind.
"""

from time import monotonic

from .claims import Claim

SECONDS = 0.1


class Lookahead:
    """Which job one worker may look past, by when it saw the whole line last."""

    def __init__(self):
        self._seen = 0.0

    def past(self, claim: Claim | None) -> Claim | None:
        """The job in hand, as the one to look past, while it is known that nothing is queued before it; None asks for a look at
        the whole line, which is taken to come now and holds good for SECONDS."""
        now = monotonic()
        if claim and now - self._seen < SECONDS:
            return claim
        self._seen = now
        return None
