"""The heartbeat: a thread that keeps the worker's slot and the claim of its running job alive.

It beats on a connection of its own, also while the worker is idle. A worker without a heartbeat for two thirds of the
stale threshold stops importing by itself, before another worker resets its job (docs/CONTRACT.md, "8. Queue").
"""

from collections.abc import Callable
from contextlib import suppress
from threading import Event, Lock, Thread
from time import monotonic
from typing import Any

from ..db import Database, Transaction
from ..errors import ClaimLostError, PanelError
from ..workers import BEAT_SECONDS
from . import claims
from .shutdown import block_signals
from .worker_slot import WorkerSlot

WriteBeat = Callable[[Transaction, Any], None]  # write(tx, claim) writes the heartbeat of a claim

STALE_FRACTION = 2 / 3
END_SECONDS = 2  # the end of a worker waits this long for the row of its slot


class Heartbeat:
    """Writes a heartbeat each `every` seconds, at most BEAT_SECONDS, for the slot and one claim.

    `raise_if_lost` reads the clock itself: a process that was stopped and continued may call it before the thread
    notices.
    """

    def __init__(self, db: Database, every: float, threshold: float, slot: WorkerSlot):
        self._db, self._every, self.slot = db, min(every, BEAT_SECONDS), slot
        self._longest = threshold * STALE_FRACTION
        self._claim: Any = None
        self._write_claim: WriteBeat = claims.heartbeat
        self._last = 0.0
        self._lost = False
        self._lock = Lock()
        self._ended, self._wake = Event(), Event()
        self._thread = Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> "Heartbeat":
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._ended.set()
        self._wake.set()
        self._thread.join(END_SECONDS)

    def start(self, claim: Any, since: float, write: WriteBeat = claims.heartbeat) -> None:
        """Start for this claim, made at monotonic time `since` or later; `write(tx, claim)` writes its heartbeat."""
        with self._lock:
            self._claim, self._write_claim, self._last, self._lost = claim, write, since, False

    def pause(self) -> None:
        """Pause until the next claim."""
        with self._lock:
            self._claim = None

    def beat_soon(self) -> None:
        """Let the next heartbeat not wait, since people wait for what it reports."""
        self._wake.set()

    def record_beat(self, since: float) -> None:
        """Record the heartbeat of a commit that began at `since`."""
        with self._lock:
            self._last = max(self._last, since)

    def raise_if_lost(self) -> None:
        """Raise ClaimLostError when the claim is lost or close to its stale threshold."""
        with self._lock:
            claim, silent, lost = self._claim, monotonic() - self._last, self._lost
        if claim is None or lost:
            raise ClaimLostError("The claim was lost: another worker may run the job.")
        if silent > self._longest:
            raise ClaimLostError(f"No heartbeat was written for {silent:.0f} s, so this worker gives up the claim.")

    def _run(self) -> None:
        block_signals()
        while True:
            with self._lock:
                claim, write = self._claim, self._write_claim
            self._beat(claim, write)
            self._wake.wait(self._every)
            self._wake.clear()
            if self._ended.is_set():
                break
        with suppress(PanelError):
            self._db.run_transaction(self.slot.end)
        self._db.close()

    def _beat(self, claim: Any, write: WriteBeat = claims.heartbeat) -> None:
        since = monotonic()
        try:
            self.slot.slot = self._db.run_transaction(self._write, claim, write)
        except ClaimLostError:
            with self._lock:
                self._lost = self._lost or self._claim == claim
        except Exception:
            return  # the next heartbeat tries again; `raise_if_lost` reads the age of the last one
        else:
            with self._lock:
                if claim is not None and self._claim == claim:
                    self._last = max(self._last, since)

    def _write(self, tx: Transaction, claim: Any, write: WriteBeat) -> int:
        """Write both heartbeats in one transaction."""
        if claim is not None:
            write(tx, claim)
        return self.slot.beat(tx)
