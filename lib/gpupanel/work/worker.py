"""The loop: put stale jobs back, claim, import, wait; and what to do when something is in the way (docs/CONTRACT.md, 8)."""

import os
import random
import secrets
import socket
from collections.abc import Callable
from time import monotonic

from ..config import Settings
from ..database import Database, DatabaseTrouble
from ..errors import BundleIncomplete, ClaimLost, FileUnreadable, MountUnavailable, OutcomeUnknown, PanelError
from ..model import BatchStatus, JobState
from ..mount import Mount, elsewhere
from ..text import short_hash
from . import claims
from .aside import FAULT_SECONDS, FIRST_SECONDS, Aside
from .asking import OUT_OF_REACH, Asking, Stopping
from .claims import Claim, Ended, Next
from .crowd import Crowd
from .heartbeat import Heartbeat
from .importer import Importer
from .log import Log, described, sentences
from .lookahead import Lookahead
from .notify import Notifier
from .reader import PATIENCE
from .signals import Signals

RESET_SECONDS = 60
# How often in a row `drain` lets the database fail before it gives up.
DRAIN_FAULTS = 5


class Worker:
    """One worker. `run` returns when it is asked to stop; `drain` when the queue has nothing more for it."""

    def __init__(self, settings: Settings, signals: Signals, log: Log, notifier: Notifier):
        self._worker = settings.worker
        self._signals, self._log, self._notifier = signals, log, notifier
        self._threshold = self._worker.stale_minutes * 60
        idle = idle_seconds(self._threshold)
        self._asking = Asking(signals, log, notifier)
        self._db = Database(settings.database, idle_seconds=idle)
        self._mount = Mount(settings.mount)
        beats = Database(settings.database, idle_seconds=idle, read_timeout=max(1.0, self._threshold / 3))
        self._heartbeat = Heartbeat(beats, self._worker.heartbeat_seconds, self._threshold)
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._aside, self._crowd, self._lookahead = Aside(), Crowd(), Lookahead()
        self._claimed_since = 0.0
        self._following: list[Next | None] = []  # what each try to end the job in hand was to claim, too
        self._reset_at = 0.0
        self._in_the_way = ""
        self._troubled = False
        self._faults = 0

    def run(self) -> None:
        """Import whatever is queued until a signal comes."""
        self._log.info(f"worker {self._name} started")
        with self._heartbeat:
            self._notifier.ready()
            while not self._signals.stopping:
                if not self._turn():
                    self._notifier.status(self._in_the_way or "waiting for jobs")
                    self._signals.wait(self._pause())
        self._notifier.stopping()
        self._db.close()
        self._log.info(f"worker {self._name} stopped")

    def drain(self) -> bool:
        """Import until nothing is queued that can be imported now; True when every job ended well."""
        with self._heartbeat:
            while not self._signals.stopping and (self._turn() or 0 < self._faults <= DRAIN_FAULTS):
                self._signals.wait(self._pause() if self._faults else 0)
        self._db.close()
        return not self._troubled and not self._in_the_way

    # --------------------------------------------------------------------------------------------- one turn

    def _turn(self) -> bool:
        """Reset, claim and import once; False when there was nothing to do, or no way to do it.

        What the database fails at, it would fail at with the next job, too: so all claims wait then, longer each time.
        """
        faults = self._faults
        try:
            self._reset_stale()
            found = self._mount_is_there() and self._claim_and_import()
        except Stopping:
            return False
        except Exception as error:  # whatever one claim brings about must not end the daemon
            self._stumble(error)
            return False
        if self._faults > faults:
            return False
        self._faults = 0
        return found

    def _stumble(self, error: Exception) -> None:
        self._faults += 1
        self._troubled = True
        self._log.error(sentences(described(error), "No job is in hand; trying again in a while."))
        self._db.close()

    def _pause(self) -> float:
        if self._faults:
            return self._asking.backoff(self._faults)
        return self._worker.poll_seconds * random.uniform(0.75, 1.25)

    def _claim_and_import(self) -> bool:
        """One job, and those that are claimed together with the end of the one before."""
        claim = first = self._claim()
        while claim:
            self._heartbeat.watch(claim, self._claimed_since)
            self._following = []
            try:
                claim = self._import(claim)
            finally:
                self._heartbeat.rest()
        return first is not None

    @property
    def _reset_is_due(self) -> bool:
        return monotonic() >= self._reset_at

    def _reset_stale(self) -> None:
        if not self._reset_is_due:
            return
        self._reset_at = monotonic() + min(RESET_SECONDS, self._threshold / 2)
        for job_id, name in self._asking.patiently(self._db.read, claims.stale, self._threshold).items():
            if done := self._reset(job_id):
                self._log.warning(f"{name}: {done}")

    def _reset(self, job_id: int) -> str | None:
        try:
            return self._asking.patiently(
                self._db.transact, claims.reset, job_id, self._threshold, self._worker.max_attempts, self._name
            )
        except OutcomeUnknown:
            return "was silent, and may be back in the queue: the reply was lost, and the next look will tell"

    def _mount_is_there(self) -> bool:
        """A mount that is missing or empty says nothing about any bundle, so nothing is claimed meanwhile."""
        try:
            elsewhere(self._mount.require, self._keep_going, PATIENCE)
            problem = ""
        except MountUnavailable as error:
            problem = str(error)
        self._tell(f"no job is claimed: {problem}" if problem else "")
        return not problem

    def _tell(self, problem: str) -> None:
        """What is in the way is said once, and once when it is gone."""
        if problem != self._in_the_way:
            (self._log.warning if problem else self._log.info)(problem or "the mount is back; going on")
        self._in_the_way = problem

    def _claim(self) -> Claim | None:
        """The next job. When the reply to the COMMIT of a claim was lost, its token tells whether it took effect."""
        while True:
            following = self._next()
            try:
                claim = self._asking.patiently(self._db.transact, self._crowd.claim, following)
                self._crowd.went_through()
                return claim
            except OutcomeUnknown:
                if claimed := self._asking.until_known(self._db.transact, claims.held_after_all, following.token):
                    return claimed

    def _next(self, claim: Claim | None = None) -> Next:
        """What to claim, now that the job in hand ends, if there is one."""
        self._claimed_since = monotonic()
        return Next(secrets.token_hex(16), self._name, self._aside.now(), self._lookahead.past(claim))

    def _next_at_the_end(self, claim: Claim) -> Next | None:
        """What to claim together with the end of the job in hand, unless something else comes first, or a first try was in
        vain: that claim may be what it failed for."""
        if any(self._following):
            self._crowd.was_in_vain()
        first = not (self._following or self._signals.stopping or self._crowd.wary or self._reset_is_due)
        self._following.append(self._next(claim) if first else None)
        return self._following[-1]

    def _claimed_after_all(self) -> Claim | None:
        """What came of the first try, when no reply told."""
        if not any(self._following):
            return None
        return self._asking.until_known(self._db.transact, claims.held_after_all, self._following[0].token)

    # ------------------------------------------------------------------------------------------- one import

    def _import(self, claim: Claim) -> Claim | None:
        """Import one job, whatever comes in the way; returns the claim of the next one, if it was made as this one ended."""
        started = monotonic()
        self._log.info(f"{claim.name}: attempt {claim.attempts}, {claim.items_done} of {claim.items_total} items done")
        importer = self._importer(claim)
        try:
            outcome, following = importer.run()
        except ClaimLost as lost:
            self._lost(claim, lost)
        except Stopping:
            self._let_go(claim, claims.release, "the worker was stopped")
        except FileUnreadable as error:
            self._try_again(claim, str(error), unavailable=True)
        except (MountUnavailable, BundleIncomplete) as gone:
            self._put_aside(claim, str(gone), unavailable=True)
        except DatabaseTrouble as error:
            self._faults += 1
            self._try_again(claim, f"the database: {sentences(str(error), error.hint)}")
        except OUT_OF_REACH as error:
            self._faults += 1
            self._put_aside(claim, f"the database: {sentences(str(error), error.hint)}")
        except PanelError as error:
            self._troubled |= self._let_go(claim, claims.fail, str(error))
        except Exception as error:  # a fault of ours must not keep the queue from going on
            self._try_again(claim, described(error))
        else:
            self._report(claim, outcome, importer.progress, monotonic() - started)
            if len(self._following) == 1:
                return following
        return self._claimed_after_all()

    def _importer(self, claim: Claim) -> Importer:
        def attend() -> None:
            self._notifier.status(f"importing {claim.name}: {importer.progress}")
            self._keep_going()
            self._heartbeat.check()

        def changed(before: str, after: str, sound: bool) -> None:
            found = f"found {short_hash(after)}, expected {short_hash(before)}"
            anew = "; planned anew" if sound else ""
            self._log.warning(f"{claim.name}: the manifest changed since it was planned: {found}{anew}")

        importer = Importer(
            self._db, self._mount, claim, self._heartbeat, attend, lambda: self._next_at_the_end(claim), changed,
            chunk_items=self._worker.chunk_items, readers=self._worker.readers,
        )
        return importer

    def _keep_going(self) -> None:
        self._notifier.alive()
        if self._signals.stopping:
            raise Stopping

    def _report(self, claim: Claim, outcome: Ended, progress: str, seconds: float) -> None:
        self._aside.forget(claim.job_id)
        line = f"{claim.name}: {outcome.status}, {progress} in {seconds:.1f} s"
        if outcome.problem:
            self._log.warning(f"{line}; {outcome.problem}; see the batch page")
        else:
            self._log.info(line)
        self._troubled = self._troubled or outcome.status is BatchStatus.FAILED

    def _put_aside(self, claim: Claim, reason: str, **kwargs) -> None:
        """Back to the queue with its attempt, and let other jobs have their turn first."""
        self._pass_over(claim, FIRST_SECONDS, reason)
        self._troubled |= self._let_go(claim, claims.release, reason, **kwargs)

    def _try_again(self, claim: Claim, reason: str, **kwargs) -> None:
        """The same for what may lie in this job alone: the attempt counts, and the next one is given more time."""
        self._pass_over(claim, FAULT_SECONDS, reason)
        self._troubled |= self._let_go(claim, claims.give_back, reason, self._worker.max_attempts, **kwargs)

    def _pass_over(self, claim: Claim, least: float, reason: str) -> None:
        seconds = self._aside.put(claim.job_id, least)
        self._log.warning(f"{claim.name}: {sentences(reason, f'This worker does not look at it for {seconds:.0f} s.')}")

    def _let_go(self, claim: Claim, write: Callable, *args, **kwargs) -> bool:
        """Write how it went on with the job, however long the database takes to come back; False when that was not ours
        to say any more."""
        try:
            done = self._asking.until_known(self._db.transact, write, claim, *args, **kwargs)
        except ClaimLost as lost:
            self._lost(claim, lost)
        except Exception as error:
            why = "" if isinstance(error, Stopping) else f": {described(error)}"
            minutes = self._worker.stale_minutes
            self._log.warning(f"{claim.name}: left as it is{why}; it is reset {minutes:g} minutes from now")
        else:
            self._log.warning(f"{claim.name}: {done}")
            return True
        return False

    def _lost(self, claim: Claim, lost: ClaimLost) -> None:
        """It has gone on without us, unless it was us, and only the reply was lost."""
        state = self._asking.patiently(self._db.read, claims.became, claim.token)
        if state in (None, JobState.RUNNING):
            self._troubled = True
            end = "Nothing more is written for it; going on with the next job."
            self._log.warning(f"{claim.name}: {sentences(str(lost), end)}")
            return
        self._troubled |= state is JobState.FAILED
        self._log.info(f"{claim.name}: is {state}; nothing is left to do for it")


def idle_seconds(threshold: float) -> int:
    """How long a transaction may sit idle before the server ends it: well before others presume its worker dead."""
    return max(1, int(min(30, threshold / 3)))
