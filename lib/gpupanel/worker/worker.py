"""The worker's loop: maintain the queue, make a preflight, claim and import a job, wait.

A job never ends the loop: a failed import is released, retried or failed, and the next job is claimed
(docs/CONTRACT.md, "8. Queue").
"""

import random
from logging import Logger
from time import monotonic

from .. import job_queue
from ..config import Settings
from ..models import JobState
from .claim_gate import ClaimGate
from .hold_sweep import HoldSweeper
from .job_runner import JobRunner, Turn
from .log import describe_error, join_sentences
from .preflights import PreflightRunner
from .queue_maintenance import QueueMaintenance
from .shutdown import ShutdownRequested, ShutdownSignals
from .systemd import SystemdNotifier
from .worker_context import WorkerContext

# `drain` waits this long for queued jobs whose rows are locked, such as by its own claim whose reply was lost.
LOCKED_SECONDS = 60
# `drain` gives up after this many database errors in a row.
DRAIN_FAULTS = 5


class Worker:
    """One worker: `run` ends on a signal, `drain` with the queue."""

    def __init__(self, settings: Settings, signals: ShutdownSignals, log: Logger, notifier: SystemdNotifier):
        self._signals, self._log, self._notifier = signals, log, notifier
        self._context = context = WorkerContext(settings, signals, log, notifier)
        sweeper = HoldSweeper(context.db, context.mount, context.name, context.keep_going)
        self._gate = ClaimGate(context)
        self._maintenance = QueueMaintenance(context, sweeper)
        self._preflights = PreflightRunner(context)
        self._jobs = JobRunner(context, self._gate, sweeper)
        self._had_failures = False
        self._faults = 0  # turns in a row that a database error ended

    def run(self) -> None:
        """Import queued jobs until a signal comes."""
        self._log.info(f"worker {self._context.name}: started")
        with self._context.heartbeat:
            self._notifier.ready()
            while not self._signals.stopping:
                if not self._run_once():
                    self._notifier.status(self._gate.reason or "waiting for jobs")
                    self._signals.wait(self._pause_seconds())
        self._notifier.stopping()
        self._context.db.close()
        self._log.info(f"worker {self._context.name}: stopped")

    def drain(self) -> bool:
        """Import what can be imported now; return whether every job ended well."""
        waited_since = monotonic()
        with self._context.heartbeat:
            while not self._signals.stopping:
                if self._run_once():
                    waited_since = monotonic()
                elif not 0 < self._faults <= DRAIN_FAULTS and not self._waits_for_locked_jobs(waited_since):
                    break
                self._signals.wait(self._pause_seconds() if self._faults else 0)
            self._report_drained()
        self._context.db.close()
        return not self._had_failures and not self._jobs.had_failures and not self._gate.blocked_reason

    def _waits_for_locked_jobs(self, since: float) -> bool:
        """Return whether jobs are still queued, though none could be claimed; give up after LOCKED_SECONDS."""
        if self._faults or self._gate.reason or monotonic() > since + LOCKED_SECONDS:
            return False
        is_locked = bool(self._count(JobState.QUEUED))
        if is_locked:
            self._signals.wait(self._pause_seconds())
        return is_locked

    def _report_drained(self) -> None:
        """Say what keeps the jobs that are left from being claimed."""
        if self._faults or self._signals.stopping:
            return
        held, queued = self._count(JobState.HELD), self._count(JobState.QUEUED)
        if queued and self._gate.paused_reason:
            self._log.info(f"worker {self._context.name}: {queued} jobs are left, {self._gate.paused_reason}")
        if held:
            jobs = "job is" if held == 1 else "jobs are"
            self._log.info(f"worker {self._context.name}: {held} {jobs} held; gpupanel status says why")

    def _count(self, state: JobState) -> int:
        return self._context.retrier.retry(self._context.db.run_read, job_queue.count_up_to)[state]

    def _run_once(self) -> bool:
        """Run one turn; return whether it made a preflight or imported a job.

        A database error would fail the next job too, so the loop then waits, longer each time.
        """
        try:
            turn = self._turn()
        except ShutdownRequested:
            return False
        except Exception as error:  # no error of one claim may end the daemon
            self._had_failures = True
            text = join_sentences(describe_error(error), "No job was running. Retrying.")
            self._log.error(f"worker {self._context.name}: {text}")
            self._context.db.close()
            turn = Turn.DATABASE_FAULT
        self._faults = self._faults + 1 if turn is Turn.DATABASE_FAULT else 0
        return turn is Turn.WORKED

    def _turn(self) -> Turn:
        self._maintenance.run(self._gate.blocked_reason)
        if self._gate.is_mount_available() and self._preflights.run_next():
            return Turn.WORKED
        return self._jobs.run_next() if self._gate.may_claim() else Turn.NOTHING

    def _pause_seconds(self) -> float:
        if self._faults:
            return self._context.retrier.delay_seconds(self._faults)
        return self._context.settings.poll_seconds * random.uniform(0.75, 1.25)
