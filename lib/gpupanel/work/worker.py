"""The loop: put stale jobs back, claim, import, wait; and what to do when something is in the way (DESIGN section 8)."""

import os
import random
import secrets
import socket
from time import monotonic
from traceback import extract_tb
from typing import Any, Callable

from ..config import Settings
from ..database import Database
from ..errors import (
    BundleIncomplete, ClaimLost, DatabaseConflict, DatabaseDenied, DatabaseUnavailable, MountUnavailable, OutcomeUnknown,
    PanelError,
)
from ..model import BatchStatus
from ..mount import Mount
from . import claims
from .aside import Aside
from .claims import Claim, Ended
from .heartbeat import Heartbeat
from .importer import Importer
from .log import Log
from .notify import Notifier
from .reader import PATIENCE, elsewhere
from .signals import Signals

LONGEST_BACKOFF = 30
RESET_SECONDS = 60
OUT_OF_REACH = (DatabaseUnavailable, DatabaseDenied, DatabaseConflict)


class Stopping(Exception):
    """The worker was asked to stop; what is committed stays, and the rest is left to the next claim."""


class Worker:
    """One worker. `run` returns when it is asked to stop; `drain` when the queue has nothing more for it."""

    def __init__(self, settings: Settings, signals: Signals, log: Log, notifier: Notifier):
        self._worker = settings.worker
        self._signals, self._log, self._notifier = signals, log, notifier
        self._threshold = self._worker.stale_minutes * 60
        idle = idle_seconds(self._threshold)
        self._db = Database(settings.database, idle_seconds=idle)
        self._mount = Mount(settings.mount)
        beats = Database(settings.database, idle_seconds=idle, read_timeout=max(1.0, self._threshold / 3))
        self._heartbeat = Heartbeat(beats, self._worker.heartbeat_seconds, self._threshold)
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._aside = Aside()
        self._reset_at = 0.0
        self._in_the_way = ""
        self._troubled = False

    def run(self) -> None:
        """Import whatever is queued until a signal comes."""
        self._log.info(f"worker {self._name} started")
        with self._heartbeat:
            self._notifier.ready()
            while not self._signals.stopping:
                if not self._turn():
                    self._notifier.status(self._in_the_way or "waiting for jobs")
                    self._signals.wait(self._worker.poll_seconds * random.uniform(0.75, 1.25))
        self._notifier.stopping()
        self._db.close()
        self._log.info(f"worker {self._name} stopped")

    def drain(self) -> bool:
        """Import until nothing is queued that can be imported now; True when every job ended well."""
        with self._heartbeat:
            while not self._signals.stopping and self._turn():
                pass
        self._db.close()
        return not self._troubled and not self._in_the_way

    # --------------------------------------------------------------------------------------------- one turn

    def _turn(self) -> bool:
        """Reset, claim and import once; False when there was nothing to do, or no way to do it."""
        try:
            self._reset_stale()
            return self._mount_is_there() and self._claim_and_import()
        except Stopping:
            return False

    def _claim_and_import(self) -> bool:
        since = monotonic()
        claim = self._claim()
        if claim is None:
            return False
        self._heartbeat.watch(claim, since)
        try:
            self._import(claim)
        finally:
            self._heartbeat.rest()
        return True

    def _reset_stale(self) -> None:
        if monotonic() < self._reset_at:
            return
        for job_id in self._patiently(self._db.read, claims.stale, self._threshold):
            done = self._patiently(
                self._db.transact, claims.reset, job_id, self._threshold, self._worker.max_attempts, self._name
            )
            if done:
                self._log.warning(f"job {job_id} {done}")
        self._reset_at = monotonic() + min(RESET_SECONDS, self._threshold / 2)

    def _mount_is_there(self) -> bool:
        """A mount that is missing or empty says nothing about any bundle, so nothing is claimed meanwhile."""
        try:
            found = elsewhere(lambda: next(self._mount.sentinels(), None), self._keep_going, PATIENCE)
            problem = "" if found else f"{self._mount.sync_dir} is empty, or not mounted."
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
        token = secrets.token_hex(16)
        try:
            return self._patiently(self._db.transact, claims.claim, token, self._name, self._aside.now())
        except OutcomeUnknown:
            return self._patiently(self._db.read, claims.held, token)

    # ------------------------------------------------------------------------------------------- one import

    def _import(self, claim: Claim) -> None:
        started = monotonic()
        self._log.info(f"{claim.name}: attempt {claim.attempts}, {claim.items_done} of {claim.items_total} items done")
        try:
            outcome = self._importer(claim).run()
        except ClaimLost as lost:
            self._trouble(f"{claim.name}: {lost} Nothing more is written for it; going on with the next job.")
        except Stopping:
            self._give_back(claim, "the worker was stopped")
        except (MountUnavailable, BundleIncomplete) as gone:
            self._put_aside(claim, str(gone), unavailable=True)
        except OUT_OF_REACH as error:
            self._put_aside(claim, f"the database: {error}")
        except PanelError as error:
            self._fail(claim, str(error))
        except Exception as error:  # a fault of ours must not keep the queue from going on
            where = extract_tb(error.__traceback__)[-1]
            self._fail(claim, f"unexpected {type(error).__name__} in {where.name}, line {where.lineno}: {error}")
        else:
            self._report(claim, outcome, monotonic() - started)

    def _importer(self, claim: Claim) -> Importer:
        def attend() -> None:
            self._notifier.status(f"importing {claim.name}: {importer.items_done} of {importer.items_total} items")
            self._keep_going()
            self._heartbeat.check()

        importer = Importer(
            self._db, self._mount, claim, self._heartbeat, attend,
            chunk_items=self._worker.chunk_items, readers=self._worker.readers,
        )
        return importer

    def _keep_going(self) -> None:
        self._notifier.alive()
        if self._signals.stopping:
            raise Stopping

    def _report(self, claim: Claim, outcome: Ended, seconds: float) -> None:
        self._aside.forget(claim.job_id)
        items = sum(outcome.counts.values())
        line = f"{claim.name}: {outcome.status}, {items} items in {seconds:.1f} s"
        if outcome.problem:
            self._log.warning(f"{line}; {outcome.problem}: see the batch page")
        else:
            self._log.info(line)
        self._troubled = self._troubled or outcome.status is BatchStatus.FAILED

    def _give_back(self, claim: Claim, reason: str, **kwargs) -> None:
        if self._settled(claim, claims.release, reason, **kwargs):
            self._log.info(f"{claim.name}: back in the queue, since {reason}")

    def _put_aside(self, claim: Claim, reason: str, **kwargs) -> None:
        """Back to the queue, and let other jobs have their turn first."""
        seconds = self._aside.put(claim.job_id)
        self._trouble(f"{claim.name}: {reason} It goes back to the queue, to be looked at again in {seconds:.0f} s.")
        self._settled(claim, claims.release, reason, **kwargs)

    def _fail(self, claim: Claim, reason: str) -> None:
        self._trouble(f"{claim.name}: failed: {reason}")
        self._settled(claim, claims.fail, reason)

    def _trouble(self, line: str) -> None:
        self._troubled = True
        self._log.warning(line)

    def _settled(self, claim: Claim, write: Callable, *args, **kwargs) -> bool:
        """Let go of a job, however long the database takes to come back; False when it is not ours any more."""
        while True:
            try:
                self._patiently(self._db.transact, write, claim, *args, **kwargs)
                return True
            except OutcomeUnknown:
                continue  # asked again, the claim itself tells whether it took effect
            except ClaimLost:
                return False
            except Stopping:
                self._log.warning(f"{claim.name}: left as it is; it is reset {self._worker.stale_minutes:g} minutes from now")
                return False

    # ------------------------------------------------------------------------------------------ the database

    def _patiently(self, ask: Callable, *args, **kwargs) -> Any:
        """`ask(*args, **kwargs)` until the database answers. Raises OutcomeUnknown, and Stopping rather than wait on."""
        since, attempt = monotonic(), 0
        while True:
            try:
                answer = ask(*args, **kwargs)
            except OutcomeUnknown:
                raise
            except OUT_OF_REACH as error:
                attempt += 1
                self._wait_for_database(error, attempt)
            else:
                if attempt:
                    self._log.info(f"the database is back after {monotonic() - since:.0f} s; going on")
                return answer

    def _wait_for_database(self, error: PanelError, attempt: int) -> None:
        """Back off, saying what is wrong the first time. A stop that is asked for is given one more try, the first."""
        if attempt == 1:
            self._log.error(f"the database: {error} {error.hint} Trying again until it answers.")
        if self._signals.stopping and attempt > 1:
            raise Stopping
        self._notifier.status("waiting for the database")
        self._signals.wait(random.uniform(0.5, 1) * min(LONGEST_BACKOFF, 0.25 * 2**attempt))


def idle_seconds(threshold: float) -> int:
    """How long a transaction may sit idle before the server ends it: well before others presume its worker dead."""
    return max(1, int(min(30, threshold / 3)))
