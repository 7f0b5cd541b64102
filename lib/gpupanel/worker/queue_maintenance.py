"""What each worker does for all: requeue what dead workers left, and end the holds that are due."""

import random
from time import monotonic

from ..errors import CommitUnknownError
from . import preflights, stale_jobs
from .hold_sweep import HoldSweeper
from .worker_context import WorkerContext

RESET_SECONDS = 60
SWEEP_SECONDS = 60


class QueueMaintenance:
    """Resets stale jobs and sweeps the holds, each about once a minute."""

    def __init__(self, context: WorkerContext, sweeper: HoldSweeper):
        self._context, self._sweeper = context, sweeper
        self._reset_at = self._sweep_at = 0.0
        self._blocked_reason = ""  # of the last sweep

    def run(self, blocked_reason: str) -> None:
        """Do what is due; sweep the holds at once when `blocked_reason` changed, since jobs may wait for the mount."""
        if monotonic() >= self._reset_at:
            self._reset_stale()
        if monotonic() >= self._sweep_at or blocked_reason != self._blocked_reason:
            self._sweep_holds()
            self._blocked_reason = blocked_reason

    def _sweep_holds(self) -> None:
        """Sweep the holds; a further page follows the next claim."""
        swept = self._context.retrier.retry_idempotent(self._sweeper.sweep)
        self._sweep_at = monotonic() + (0 if swept.has_more else SWEEP_SECONDS * random.uniform(0.75, 1.25))
        if swept.released:
            self._context.log.info(f"worker {self._context.name}: {swept.released} held jobs are queued again")

    def _reset_stale(self) -> None:
        context = self._context
        db, retrier, seconds = context.db, context.retrier, context.stale_seconds
        self._reset_at = monotonic() + min(RESET_SECONDS, seconds / 2)
        retrier.retry_idempotent(
            db.run_transaction, preflights.reset_stale, seconds, context.settings.max_attempts, context.name
        )
        retrier.retry_idempotent(db.run_transaction, stale_jobs.see_jobs_without_times)
        for job_id, label in retrier.retry(db.run_read, stale_jobs.list_stale, seconds).items():
            if done := self._requeue(job_id):
                context.log.warning(f"{label}: {done}")

    def _requeue(self, job_id: int) -> str | None:
        context = self._context
        try:
            return context.retrier.retry(
                context.db.run_transaction, stale_jobs.requeue_stale, job_id, context.stale_seconds,
                context.settings.max_attempts, context.name,
            )
        except CommitUnknownError:
            return "stale, perhaps requeued: the reply to the COMMIT was lost, and the next check will show it"
