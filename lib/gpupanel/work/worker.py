"""The worker's loop: reset stale jobs, claim, import, wait.

A job never ends the loop: a failed import is released, retried or failed, and the next job is claimed
(docs/CONTRACT.md, "8. Queue").
"""

import os
import random
import secrets
import socket
from collections.abc import Callable
from logging import Logger
from time import monotonic

from ..config import Settings
from ..database import Database, DatabaseTrouble, Transaction
from ..errors import BundleIncomplete, ClaimLost, FileUnreadable, MountUnavailable, OutcomeUnknown, PanelError
from ..model import BatchStatus, JobState
from ..mount import Mount, elsewhere
from ..text import short_hash
from . import claims
from .aside import FAULT_SECONDS, FIRST_SECONDS, Aside
from .asking import OUT_OF_REACH, Asking, Stopping
from .claims import Claim, Ended, Next
from .heartbeat import Heartbeat
from .importer import Importer
from .log import described, sentences
from .notify import Notifier
from .reader import PATIENCE
from .signals import Signals

RESET_SECONDS = 60
# A check of the mount costs as much as the claim of a small job, so it is not made for each job.
MOUNT_CHECK_SECONDS = 1
# `drain` gives up after this many database errors in a row.
DRAIN_FAULTS = 5


class Worker:
    """One worker: `run` ends on a signal, `drain` with the queue."""

    def __init__(self, settings: Settings, signals: Signals, log: Logger, notifier: Notifier):
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
        self._aside = Aside()
        self._claimed_since = 0.0
        self._reset_at = 0.0
        self._mount_checked_at = float("-inf")
        self._in_the_way = ""
        self._troubled = False
        self._faults = 0

    def run(self) -> None:
        """Import queued jobs until a signal comes."""
        self._log.info(f"worker {self._name}: started")
        with self._heartbeat:
            self._notifier.ready()
            while not self._signals.stopping:
                if not self._turn():
                    self._notifier.status(self._in_the_way or "waiting for jobs")
                    self._signals.wait(self._pause())
        self._notifier.stopping()
        self._db.close()
        self._log.info(f"worker {self._name}: stopped")

    def drain(self) -> bool:
        """Import what can be imported now; return whether every job ended well."""
        with self._heartbeat:
            while not self._signals.stopping and (self._turn() or 0 < self._faults <= DRAIN_FAULTS):
                self._signals.wait(self._pause() if self._faults else 0)
        self._db.close()
        return not self._troubled and not self._in_the_way

    # --------------------------------------------------------------------------------------------- one turn

    def _turn(self) -> bool:
        """Reset, claim and import once; return whether a job was imported.

        A database error would fail the next job too, so the loop then waits, longer each time.
        """
        faults = self._faults
        try:
            self._reset_stale()
            imported = self._mount_is_there() and self._claim_and_import()
        except Stopping:
            return False
        except Exception as error:  # no error of one claim may end the daemon
            self._stumble(error)
            return False
        if self._faults > faults:
            return False
        self._faults = 0
        return imported

    def _stumble(self, error: Exception) -> None:
        self._faults += 1
        self._troubled = True
        self._log.error(f"worker {self._name}: {sentences(described(error), 'No job was running. Retrying.')}")
        self._db.close()

    def _pause(self) -> float:
        if self._faults:
            return self._asking.backoff(self._faults)
        return self._worker.poll_seconds * random.uniform(0.75, 1.25)

    def _claim_and_import(self) -> bool:
        claim = self._claim()
        if claim is None:
            return False
        self._heartbeat.watch(claim, self._claimed_since)
        try:
            self._import(claim)
        finally:
            self._heartbeat.rest()
        return True

    def _reset_stale(self) -> None:
        if monotonic() < self._reset_at:
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
            return "stale, perhaps requeued: the reply to the COMMIT was lost, and the next check will show it"

    def _mount_is_there(self) -> bool:
        """Return whether the mount was available at the last check.

        Without it, nothing is claimed.
        """
        if not self._in_the_way and monotonic() < self._mount_checked_at + MOUNT_CHECK_SECONDS:
            return True
        self._mount_checked_at = monotonic()
        try:
            elsewhere(self._mount.require, self._keep_going, PATIENCE)
            problem = ""
        except MountUnavailable as error:
            problem = str(error)
        self._tell(f"cannot claim jobs: {problem}" if problem else "")
        return not problem

    def _tell(self, problem: str) -> None:
        """Log a problem of the mount once, and its end once."""
        if problem != self._in_the_way:
            (self._log.warning if problem else self._log.info)(problem or "the mount is available again")
        self._in_the_way = problem

    def _claim(self) -> Claim | None:
        """Claim the next job.

        After a lost reply to the COMMIT, the token shows whether the claim took effect.
        """
        while True:
            token = secrets.token_hex(16)
            try:
                return self._asking.patiently(self._db.transact, self._claim_next, token)
            except OutcomeUnknown:
                if claim := self._asking.until_known(self._db.transact, claims.held_after_all, token):
                    return claim

    def _claim_next(self, tx: Transaction, token: str) -> Claim | None:
        self._claimed_since = monotonic()
        return claims.claim(tx, Next(token, self._name, self._aside.now()))

    # ------------------------------------------------------------------------------------------- one import

    def _import(self, claim: Claim) -> None:
        """Import one job, and end or release it whatever happens."""
        started = monotonic()
        self._log.info(f"{claim.name}: attempt {claim.attempts}, {claim.items_done} of {claim.items_total} items done")
        importer = Importer(
            self._db, self._mount, claim, self._heartbeat, JobHooks(self, claim),
            chunk_items=self._worker.chunk_items, readers=self._worker.readers,
        )
        try:
            outcome = importer.run()
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
        except Exception as error:  # an unexpected error of one job must not stop the queue
            self._try_again(claim, described(error))
        else:
            self._report(claim, outcome, importer.progress, monotonic() - started)

    def checkpoint(self, claim: Claim, progress: str) -> None:
        """Report progress; raise Stopping after a signal, or ClaimLost."""
        self._notifier.status(f"importing {claim.name}: {progress}")
        self._keep_going()
        self._heartbeat.check()

    def warn(self, claim: Claim, text: str) -> None:
        """Log a warning about a job."""
        self._log.warning(f"{claim.name}: {text}")

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

    def _put_aside(self, claim: Claim, reason: str, *, unavailable: bool = False) -> None:
        """Release the job with its attempt, and defer it."""
        self._pass_over(claim, FIRST_SECONDS, reason)
        self._troubled |= self._let_go(claim, claims.release, reason, unavailable=unavailable)

    def _try_again(self, claim: Claim, reason: str, *, unavailable: bool = False) -> None:
        """Release the job with its attempt counted, and defer it for longer.

        The error may be the job's own.
        """
        self._pass_over(claim, FAULT_SECONDS, reason)
        self._troubled |= self._let_go(
            claim, claims.give_back, reason, self._worker.max_attempts, unavailable=unavailable
        )

    def _pass_over(self, claim: Claim, least: float, reason: str) -> None:
        seconds = self._aside.put(claim.job_id, least)
        self._mount_checked_at = float("-inf")  # the reason may be the mount
        self.warn(claim, sentences(reason, f"Retrying in {seconds:.0f} s."))

    def _let_go(self, claim: Claim, write: Callable[..., str], *args: object, **kwargs: object) -> bool:
        """Write how the claim ended; return whether it was written.

        Retries until the database answers.
        """
        try:
            done = self._asking.until_known(self._db.transact, write, claim, *args, **kwargs)
        except ClaimLost as lost:
            self._lost(claim, lost)
        except Exception as error:
            why = "" if isinstance(error, Stopping) else f" ({described(error).rstrip('.')})"
            self.warn(claim, f"still running{why}; a worker resets it in {self._worker.stale_minutes:g} minutes")
        else:
            self.warn(claim, done)
            return True
        return False

    def _lost(self, claim: Claim, lost: ClaimLost) -> None:
        """Handle a lost claim.

        If only the reply to our own COMMIT was lost, the job has already ended.
        """
        state = self._asking.patiently(self._db.read, claims.became, claim.token)
        if state in (None, JobState.RUNNING):
            self._troubled = True
            self.warn(claim, sentences(str(lost), "This worker writes nothing more for it."))
            return
        self._troubled |= state is JobState.FAILED
        self._log.info(f"{claim.name}: {state} already")


class JobHooks:
    """The importer's hooks for one job of a worker."""

    def __init__(self, worker: Worker, claim: Claim):
        self._worker, self._claim = worker, claim

    def checkpoint(self, progress: str) -> None:
        self._worker.checkpoint(self._claim, progress)

    def manifest_changed(self, before: str, after: str, is_valid: bool) -> None:
        found = f"found {short_hash(after)}, expected {short_hash(before)}"
        again = "; planned again" if is_valid else ""
        self._worker.warn(self._claim, f"the manifest changed since the preflight: {found}{again}")


def idle_seconds(threshold: float) -> int:
    """Return after how long idle the server ends a worker's transaction.

    Well before the worker is presumed dead.
    """
    return max(1, int(min(30, threshold / 3)))
