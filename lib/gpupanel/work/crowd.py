"""Claims that keep out of each other's way on the nodes of a cluster (docs/DECISIONS.md).

On one server SKIP LOCKED does that. It cannot see what is locked on another node: there, claims of the same job meet at
COMMIT, and all but one have to be made again.
"""

from ..database import Transaction
from . import claims
from .claims import Claim, Next

# How many of the first jobs in line a claim chooses from while it is crowded, and for how many claims that is assumed.
AMONG, WARY = 16, 50


class Crowd:
    """Makes the claims of one worker: of the first job in line, or of any of the first few after claims have collided."""

    def __init__(self):
        self._tries = self._wary = 0
        self._chosen = False

    @property
    def wary(self) -> bool:
        """Whether a claim was in vain lately, so that the job in hand was perhaps not the first in line."""
        return self._wary > 0 or self._chosen

    def claim(self, tx: Transaction, following: Next) -> Claim | None:
        """One try. A second one, before `went_through` was told of the first, means that the first was in vain."""
        if self._tries:
            self.was_in_vain()
        self._tries += 1
        self._chosen = self._wary > 0
        return claims.claim(tx, following, AMONG if self._chosen else 1)

    def was_in_vain(self) -> None:
        """A claim had to be made again, as it is when another one was faster on another node."""
        self._wary = WARY

    def went_through(self) -> None:
        self._wary = max(0, self._wary - 1)
        self._tries = 0
