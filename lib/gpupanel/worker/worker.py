"""The worker's loop: reset stale jobs, sweep holds, claim, import, wait.

A job never ends the loop: a failed import is released, retried or failed, and the next job is claimed
(docs/CONTRACT.md, "8. Queue").
"""

import os
import random
import socket
from collections.abc import Callable
from logging import Logger
from time import monotonic

from .. import job_queue, perl_time
from ..config import Settings
from ..db import Database, DatabaseInternalError, Transaction
from ..errors import (
    BundleIncompleteError, ClaimLostError, CommitUnknownError, FileUnreadableError, MountUnavailableError,
    PanelError,
)
from ..holds import Hold
from ..models import HoldKind, JobState
from ..mount import Mount, call_with_timeout
from ..rows import QueueControl
from ..resources import version
from . import claims, preflights
from .claims import Claim, ClaimRequest, ImportResult
from .document_prefetch import MOUNT_TIMEOUT_SECONDS
from .heartbeat import Heartbeat
from .hold_sweep import HoldSweeper
from .importer import Importer, ImportOptions
from .log import describe_error, join_sentences
from .outage_retry import DatabaseRetrier, UNAVAILABLE_ERRORS
from .preflights import PreflightRunner
from .shutdown import ShutdownRequested, ShutdownSignals
from .systemd import SystemdNotifier
from .worker_slot import Process, WorkerSlot

RESET_SECONDS = 60
SWEEP_SECONDS = 60
# `drain` waits this long for queued jobs whose rows are locked, such as by its own claim whose reply was lost.
LOCKED_SECONDS = 60
# A check of the mount costs as much as the claim of a small job, so it is not made for each job.
MOUNT_CHECK_SECONDS = 1
# `drain` gives up after this many database errors in a row.
DRAIN_FAULTS = 5


class Worker:
    """One worker: `run` ends on a signal, `drain` with the queue."""

    def __init__(self, settings: Settings, signals: ShutdownSignals, log: Logger, notifier: SystemdNotifier):
        self._worker = settings.worker
        self._signals, self._log, self._notifier = signals, log, notifier
        self._threshold = self._worker.stale_minutes * 60
        idle = idle_seconds(self._threshold)
        self._retrier = DatabaseRetrier(signals, log, notifier)
        self._db = Database(settings.database, idle_seconds=idle)
        self._mount = Mount(settings.mount)
        beats = Database(settings.database, idle_seconds=idle, read_timeout=max(1.0, self._threshold / 3))
        host = socket.gethostname()
        self._slot = WorkerSlot(Process(host, os.getpid(), version(), _wanted_slot()))
        self._heartbeat = Heartbeat(beats, self._worker.heartbeat_seconds, self._threshold, self._slot)
        self._name = f"{host}:{os.getpid()}"
        self._sweeper = HoldSweeper(self._db, self._mount, self._name, self._keep_going)
        self._preflights = PreflightRunner(
            self._db, self._mount, self._heartbeat, self._retrier, self,
            worker=self._name, max_attempts=self._worker.max_attempts,
        )
        self._claimed_since = 0.0
        self._reset_at = self._sweep_at = 0.0
        self._paused_reason = ""
        self._mount_checked_at = float("-inf")
        self._blocked_reason = ""
        self._had_failures = False
        self._faults = 0

    def run(self) -> None:
        """Import queued jobs until a signal comes."""
        self._log.info(f"worker {self._name}: started")
        with self._heartbeat:
            self._notifier.ready()
            while not self._signals.stopping:
                if not self._run_once():
                    self._notifier.status(self._blocked_reason or self._paused_reason or "waiting for jobs")
                    self._signals.wait(self._pause())
        self._notifier.stopping()
        self._db.close()
        self._log.info(f"worker {self._name}: stopped")

    def drain(self) -> bool:
        """Import what can be imported now; return whether every job ended well."""
        waited_since = monotonic()
        with self._heartbeat:
            while not self._signals.stopping:
                if self._run_once():
                    waited_since = monotonic()
                elif not 0 < self._faults <= DRAIN_FAULTS and not self._waits_for_locked_jobs(waited_since):
                    break
                self._signals.wait(self._pause() if self._faults else 0)
            self._report_drained()
        self._db.close()
        return not self._had_failures and not self._blocked_reason

    def _waits_for_locked_jobs(self, since: float) -> bool:
        """Return whether jobs are still queued, though none could be claimed; give up after LOCKED_SECONDS."""
        if self._faults or self._blocked_reason or self._paused_reason or monotonic() > since + LOCKED_SECONDS:
            return False
        is_locked = bool(self._count(JobState.QUEUED))
        if is_locked:
            self._signals.wait(self._pause())
        return is_locked

    def _report_drained(self) -> None:
        """Say what keeps the jobs that are left from being claimed."""
        if self._faults or self._signals.stopping:
            return
        held, queued = self._count(JobState.HELD), self._count(JobState.QUEUED)
        if queued and self._paused_reason:
            self._log.info(f"worker {self._name}: {queued} jobs are left, {self._paused_reason}")
        if held:
            jobs = "job is" if held == 1 else "jobs are"
            self._log.info(f"worker {self._name}: {held} {jobs} held; gpupanel status says why")

    def _count(self, state: JobState) -> int:
        return self._retrier.retry(self._db.run_read, job_queue.count_up_to)[state]

    # --------------------------------------------------------------------------------------------- one turn

    def _run_once(self) -> bool:
        """Reset, sweep, claim and import once; return whether a job was imported.

        A database error would fail the next job too, so the loop then waits, longer each time.
        """
        faults = self._faults
        try:
            self._reset_stale()
            self._sweep_holds()
            imported = self._mount_is_there() and self._preflights.run_next()
            imported = imported or (self._may_claim() and self._claim_and_import())
        except ShutdownRequested:
            return False
        except Exception as error:  # no error of one claim may end the daemon
            self._handle_unexpected_error(error)
            return False
        if self._faults > faults:
            return False
        self._faults = 0
        return imported

    def _handle_unexpected_error(self, error: Exception) -> None:
        self._faults += 1
        self._had_failures = True
        text = join_sentences(describe_error(error), "No job was running. Retrying.")
        self._log.error(f"worker {self._name}: {text}")
        self._db.close()

    def _pause(self) -> float:
        if self._faults:
            return self._retrier.backoff_seconds(self._faults)
        return self._worker.poll_seconds * random.uniform(0.75, 1.25)

    def _claim_and_import(self) -> bool:
        claim = self._claim()
        if claim is None:
            self._report_pause(self._retrier.retry(self._db.run_read, job_queue.control))
            return False
        self._report_pause(None)
        self._heartbeat.start(claim, self._claimed_since)
        self._slot.report("importing", claim.job_id)
        try:
            self._import(claim)
        finally:
            self._heartbeat.pause()
            self._slot.report("idle")
        return True

    def _may_claim(self) -> bool:
        """Return whether the window is open and the mount available."""
        if not self._worker.window.is_open():
            self._log_pause_once(f"outside of the window {self._worker.window.text}")
            return False
        return self._mount_is_there()

    def _report_pause(self, control: QueueControl | None) -> None:
        """Report that the queue is paused, or is not."""
        why = control and join_sentences(f"the queue is paused by {control['paused_by']}", control["reason"])
        self._log_pause_once(why or "")

    def _log_pause_once(self, reason: str) -> None:
        has_changed = reason != self._paused_reason
        self._paused_reason = reason
        self._slot.report("paused" if reason else "idle")
        if has_changed:
            self._log.info(f"worker {self._name}: {reason or 'claims jobs again'}")
            self._heartbeat.beat_soon()

    def _sweep_holds(self) -> None:
        """Sweep the holds each minute; a further page follows the next claim."""
        if monotonic() < self._sweep_at:
            return
        swept = self._retrier.retry_idempotent(self._sweeper.sweep)
        self._sweep_at = monotonic() + (0 if swept.has_more else SWEEP_SECONDS * random.uniform(0.75, 1.25))
        if swept.released:
            self._log.info(f"worker {self._name}: {swept.released} held jobs are queued again")

    def _reset_stale(self) -> None:
        if monotonic() < self._reset_at:
            return
        self._reset_at = monotonic() + min(RESET_SECONDS, self._threshold / 2)
        self._retrier.retry_idempotent(
            self._db.run_transaction, preflights.reset_stale, self._threshold, self._worker.max_attempts,
            self._name,
        )
        self._retrier.retry_idempotent(self._db.run_transaction, claims.see_jobs_without_times)
        for job_id, name in self._retrier.retry(self._db.run_read, claims.list_stale, self._threshold).items():
            if done := self._reset(job_id):
                self._log.warning(f"{name}: {done}")

    def _reset(self, job_id: int) -> str | None:
        try:
            return self._retrier.retry(
                self._db.run_transaction, claims.requeue_stale, job_id, self._threshold, self._worker.max_attempts,
                self._name,
            )
        except CommitUnknownError:
            return "stale, perhaps requeued: the reply to the COMMIT was lost, and the next check will show it"

    def _mount_is_there(self) -> bool:
        """Return whether the mount was available at the last check.

        Without it, nothing is claimed.
        """
        if not self._blocked_reason and monotonic() < self._mount_checked_at + MOUNT_CHECK_SECONDS:
            return True
        self._mount_checked_at = monotonic()
        try:
            call_with_timeout(self._mount.check_available, self._keep_going, MOUNT_TIMEOUT_SECONDS)
            problem = ""
        except MountUnavailableError as error:
            problem = str(error)
        self._slot.report_mount(not problem)
        self._slot.report("blocked" if problem else "idle")
        self._log_blocked_once(f"cannot claim jobs: {problem}" if problem else "")
        return not problem

    def _log_blocked_once(self, problem: str) -> None:
        """Log a problem of the mount once, and its end once."""
        if problem != self._blocked_reason:
            (self._log.warning if problem else self._log.info)(problem or "the mount is available again")
            self._sweep_at = 0.0  # jobs may wait for the mount
        self._blocked_reason = problem

    def _claim(self) -> Claim | None:
        """Claim the next job.

        After a lost reply to the COMMIT, the token shows whether the claim took effect.
        """
        while True:
            token = perl_time.new_token(self._name)
            try:
                return self._retrier.retry(self._db.run_transaction, self._claim_next, token)
            except CommitUnknownError:
                claim = self._retrier.retry_idempotent(
                    self._db.run_transaction, claims.find_claim_locking, token, self._name
                )
                if claim:
                    return claim

    def _claim_next(self, tx: Transaction, token: str) -> Claim | None:
        self._claimed_since = monotonic()
        return claims.claim(tx, ClaimRequest(token, self._name, self._worker.chunk_items))

    # ------------------------------------------------------------------------------------------- one import

    def _import(self, claim: Claim) -> None:
        """Import one job, and end or release it whatever happens."""
        started = monotonic()
        self._log.info(f"{claim.name}: attempt {claim.attempts}, {claim.items_done} of {claim.items_total} items done")
        importer = Importer(
            self._db, self._mount, claim, self._heartbeat, JobHooks(self, claim), self._options(claim),
        )
        try:
            outcome = importer.run()
        except ClaimLostError as lost:
            self._handle_claim_lost(claim, lost)
        except ShutdownRequested:
            self._end_claim(claim, claims.release, "the worker was stopped")
        except FileUnreadableError as error:
            self._fail_attempt(claim, str(error))
        except (MountUnavailableError, BundleIncompleteError) as gone:
            self._hold_for_bundle(claim, str(gone))
        except DatabaseInternalError as error:
            self._faults += 1
            self._fail_attempt(claim, _database_reason(error))
        except UNAVAILABLE_ERRORS as error:
            self._faults += 1
            self._had_failures |= self._end_claim(
                claim, claims.release_interrupted, _database_reason(error), self._worker.max_attempts
            )
        except PanelError as error:
            self._had_failures |= self._end_claim(claim, claims.fail, str(error))
        except Exception as error:  # an unexpected error of one job must not stop the queue
            self._fail_attempt(claim, describe_error(error))
        else:
            self._report(claim, outcome, importer.progress, monotonic() - started)

    def _options(self, claim: Claim) -> ImportOptions:
        worker = self._worker
        last = claim.attempts >= worker.max_attempts
        return ImportOptions(worker.chunk_items, worker.readers, worker.on_change, worker.verify, fails_unreadable=last)

    def checkpoint(self, claim: Claim, progress: str) -> None:
        """Report progress; raise ShutdownRequested after a signal, or ClaimLostError."""
        self._notifier.status(f"importing {claim.name}: {progress}")
        self._keep_going()
        self._heartbeat.raise_if_lost()

    def preflighting(self, text: str) -> None:
        """Report a preflight that runs; raise ShutdownRequested after a signal."""
        self._slot.report("preflighting")
        self._notifier.status(f"making the {text}")
        self._keep_going()

    def report(self, text: str) -> None:
        """Log how a preflight ended."""
        self._slot.report("idle")
        self._log.info(text)

    def warn(self, claim: Claim, text: str) -> None:
        """Log a warning about a job."""
        self._log.warning(f"{claim.name}: {text}")

    def _keep_going(self) -> None:
        self._notifier.ping_watchdog()
        if self._signals.stopping:
            raise ShutdownRequested

    def _report(self, claim: Claim, outcome: ImportResult, progress: str, seconds: float) -> None:
        line = f"{claim.name}: {outcome.status}, {progress} in {seconds:.1f} s"
        if outcome.problem:
            self._log.warning(f"{line}; {outcome.problem}; see the batch page")
        else:
            self._log.info(line)
        self._had_failures |= outcome.has_failed

    def _hold_for_bundle(self, claim: Claim, reason: str) -> None:
        """Hold the job until its bundle can be read, and those behind it whose bundles are gone too."""
        self._mount_checked_at = float("-inf")  # the reason may be the mount
        self._had_failures |= self._end_claim(claim, claims.release, reason, Hold(HoldKind.BUNDLE, reason))
        if vanished := self._retrier.retry_idempotent(self._sweeper.hold_vanished):
            self._log.warning(f"worker {self._name}: {vanished} more jobs are held, their bundles are not on the mount")

    def _fail_attempt(self, claim: Claim, reason: str) -> None:
        """Hold the job for a while, its attempt counted: the error may be the job's own."""
        self._mount_checked_at = float("-inf")
        self._had_failures |= self._end_claim(claim, claims.retry_or_fail, reason, self._worker.max_attempts)

    def _end_claim(self, claim: Claim, write: Callable[..., str], *args: object, **kwargs: object) -> bool:
        """Write how the claim ended; return whether it was written.

        Retries until the database answers.
        """
        try:
            done = self._retrier.retry_idempotent(lambda: self._db.run_transaction(write, claim, *args, **kwargs))
        except ClaimLostError as lost:
            self._handle_claim_lost(claim, lost)
        except Exception as error:
            why = "" if isinstance(error, ShutdownRequested) else f" ({describe_error(error).rstrip('.')})"
            self.warn(claim, f"still running{why}; a worker resets it in {self._worker.stale_minutes:g} minutes")
        else:
            self.warn(claim, done)
            return True
        return False

    def _handle_claim_lost(self, claim: Claim, lost: ClaimLostError) -> None:
        """Handle a lost claim.

        If only the reply to our own COMMIT was lost, the job has already ended.
        """
        state = self._retrier.retry(self._db.run_read, claims.state_of_claim, claim)
        if state in (None, JobState.RUNNING):
            self._had_failures = True
            self.warn(claim, join_sentences(str(lost), "This worker writes nothing more for it."))
            return
        self._had_failures |= state is JobState.FAILED
        self._log.info(f"{claim.name}: {state} already")


class JobHooks:
    """The importer's hooks for one job of a worker."""

    def __init__(self, worker: Worker, claim: Claim):
        self._worker, self._claim = worker, claim

    def checkpoint(self, progress: str) -> None:
        self._worker.checkpoint(self._claim, progress)

    def warn(self, text: str) -> None:
        self._worker.warn(self._claim, text)


def _database_reason(error: PanelError) -> str:
    return f"the database: {join_sentences(str(error), error.hint)}"


def _wanted_slot() -> int | None:
    """Return the instance number of the unit, if it has one."""
    text = os.environ.get("IMPORT_WORKER_SLOT", "")
    return int(text) if text.isascii() and text.isdigit() and 0 < int(text) < 2**16 else None


def idle_seconds(threshold: float) -> int:
    """Return after how long idle the server ends a worker's transaction.

    Well before the worker is presumed dead.
    """
    return max(1, int(min(30, threshold / 3)))
