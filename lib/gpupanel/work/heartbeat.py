"""The heartbeat: a thread with a connection of its own says, for the job in hand, that its worker lives (docs/CONTRACT.md, 8)."""

from threading import Event, Lock, Thread
from time import monotonic

from ..database import Database
from ..errors import ClaimLost
from . import claims
from .claims import Claim
from .signals import deafen

PATIENCE = 2 / 3


class Heartbeat:
    """Beats each `every` seconds for the claim in hand; `threshold` seconds of silence make others presume us dead.

    `check` is what the importer asks. It looks at the clock itself, because a process that was stopped and continued
    may come to the question before its thread has noticed anything.
    """

    def __init__(self, db: Database, every: float, threshold: float):
        self._db, self._every = db, every
        self._longest = threshold * PATIENCE
        self._claim: Claim | None = None
        self._last = 0.0
        self._lost = False
        self._lock = Lock()
        self._ended = Event()
        self._thread = Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> "Heartbeat":
        self._thread.start()
        return self

    def __exit__(self, *exc) -> None:
        self._ended.set()

    def watch(self, claim: Claim, since: float) -> None:
        """Beat for this claim, which was made at `since` or after, by the monotonic clock."""
        with self._lock:
            self._claim, self._last, self._lost = claim, since, False

    def rest(self) -> None:
        """There is nothing to beat for."""
        with self._lock:
            self._claim = None

    def noted(self, since: float) -> None:
        """A commit that began at `since` has beaten too."""
        with self._lock:
            self._last = max(self._last, since)

    def check(self) -> None:
        """Raises ClaimLost when the claim is gone, or when we could not beat for so long that it may be any moment."""
        with self._lock:
            claim, silent, lost = self._claim, monotonic() - self._last, self._lost
        if claim is None or lost:
            raise ClaimLost("The claim was lost: another worker may have the job.")
        if silent > self._longest:
            raise ClaimLost(f"No heartbeat came through for {silent:.0f} s, so the claim is given up.")

    def _run(self) -> None:
        deafen()
        while not self._ended.wait(self._every):
            with self._lock:
                claim = self._claim
            if claim is not None:
                self._beat(claim)
        self._db.close()

    def _beat(self, claim: Claim) -> None:
        since = monotonic()
        try:
            self._db.transact(claims.beat, claim)
        except ClaimLost:
            with self._lock:
                self._lost = self._lost or self._claim == claim
        except Exception:
            return  # the next beat tries again, whatever it was; `check` counts the silence
        else:
            with self._lock:
                if self._claim == claim:
                    self._last = max(self._last, since)
