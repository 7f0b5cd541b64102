"""Claims one job at a time, imports it, and ends or releases it whatever happens."""

from collections.abc import Callable
from enum import Enum
from time import monotonic

from .. import job_queue, perl_time
from ..db import DatabaseInternalError, Transaction
from ..errors import (
    BundleIncompleteError, ClaimLostError, CommitUnknownError, FileUnreadableError, MountUnavailableError,
    PanelError,
)
from ..holds import Hold
from ..models import HoldKind, JobState
from . import claims, job_release
from .claim_gate import ClaimGate
from .claims import Claim, ClaimRequest, ImportResult
from .hold_sweep import HoldSweeper
from .importer import Importer, ImportOptions
from .log import describe_error, join_sentences
from .outage_retry import UNAVAILABLE_ERRORS
from .shutdown import ShutdownRequested
from .worker_context import WorkerContext


class Turn(Enum):
    """What one turn of the loop did; after a database fault the next job would fail too."""

    NOTHING = "nothing"
    WORKED = "worked"
    DATABASE_FAULT = "database fault"


class JobRunner:
    """Runs the jobs of one worker; `had_failures` once a job or an attempt failed."""

    def __init__(self, context: WorkerContext, gate: ClaimGate, sweeper: HoldSweeper):
        self._context, self._gate, self._sweeper = context, gate, sweeper
        self._settings, self._db, self._retrier, self._log = context.settings, context.db, context.retrier, context.log
        self._claimed_since = 0.0
        self.had_failures = False

    def run_next(self) -> Turn:
        """Claim the next job and import it."""
        claim = self._claim()
        if claim is None:
            self._gate.report_pause(self._retrier.retry(self._db.run_read, job_queue.control))
            return Turn.NOTHING
        self._gate.report_pause(None)
        self._context.heartbeat.start(claim, self._claimed_since)
        self._context.slot.report("importing", claim.job_id)
        try:
            return self._import(claim)
        finally:
            self._context.heartbeat.pause()
            self._context.slot.report("idle")

    def _claim(self) -> Claim | None:
        """Claim the next job.

        After a lost reply to the COMMIT, the token shows whether the claim took effect.
        """
        while True:
            token = perl_time.new_token(self._context.name)
            try:
                return self._retrier.retry(self._db.run_transaction, self._claim_next, token)
            except CommitUnknownError:
                claim = self._retrier.retry_idempotent(
                    self._db.run_transaction, claims.find_claim_locking, token, self._context.name
                )
                if claim:
                    return claim

    def _claim_next(self, tx: Transaction, token: str) -> Claim | None:
        self._claimed_since = monotonic()
        return claims.claim(tx, ClaimRequest(token, self._context.name, self._settings.chunk_items))

    def _import(self, claim: Claim) -> Turn:
        """Import one job, and end or release it whatever happens."""
        started = monotonic()
        self._log.info(f"{claim.name}: attempt {claim.attempts}, {claim.items_done} of {claim.items_total} items done")
        importer = Importer(
            self._db, self._context.mount, claim, self._context.heartbeat, JobHooks(self._context, claim),
            self._options(claim),
        )
        try:
            outcome = importer.run()
        except ClaimLostError as lost:
            self._handle_claim_lost(claim, lost)
        except ShutdownRequested:
            self._end_claim(claim, job_release.release, "the worker was stopped")
        except FileUnreadableError as error:
            self._fail_attempt(claim, str(error))
        except (MountUnavailableError, BundleIncompleteError) as gone:
            self._hold_for_bundle(claim, str(gone))
        except DatabaseInternalError as error:
            self._fail_attempt(claim, _database_reason(error))
            return Turn.DATABASE_FAULT
        except UNAVAILABLE_ERRORS as error:
            self.had_failures |= self._end_claim(
                claim, job_release.release_interrupted, _database_reason(error), self._settings.max_attempts
            )
            return Turn.DATABASE_FAULT
        except PanelError as error:
            self.had_failures |= self._end_claim(claim, claims.fail, str(error))
        except Exception as error:  # an unexpected error of one job must not stop the queue
            self._fail_attempt(claim, describe_error(error))
        else:
            self._report(claim, outcome, importer.progress, monotonic() - started)
        return Turn.WORKED

    def _options(self, claim: Claim) -> ImportOptions:
        settings = self._settings
        return ImportOptions(
            settings.chunk_items, settings.readers, settings.on_change, settings.verify,
            fails_unreadable=claim.attempts >= settings.max_attempts,
        )

    def _warn(self, claim: Claim, text: str) -> None:
        self._log.warning(f"{claim.name}: {text}")

    def _report(self, claim: Claim, outcome: ImportResult, progress: str, seconds: float) -> None:
        line = f"{claim.name}: {outcome.status}, {progress} in {seconds:.1f} s"
        if outcome.problem:
            self._log.warning(f"{line}; {outcome.problem}; see the batch page")
        else:
            self._log.info(line)
        self.had_failures |= outcome.has_failed

    def _hold_for_bundle(self, claim: Claim, reason: str) -> None:
        """Hold the job until its bundle can be read, and those behind it whose bundles are gone too."""
        self._gate.recheck_mount()
        self.had_failures |= self._end_claim(claim, job_release.release, reason, Hold(HoldKind.BUNDLE, reason))
        if vanished := self._retrier.retry_idempotent(self._sweeper.hold_vanished):
            self._log.warning(
                f"worker {self._context.name}: {vanished} more jobs are held, their bundles are not on the mount"
            )

    def _fail_attempt(self, claim: Claim, reason: str) -> None:
        """Hold the job for a while, its attempt counted: the error may be the job's own."""
        self._gate.recheck_mount()
        self.had_failures |= self._end_claim(claim, job_release.retry_or_fail, reason, self._settings.max_attempts)

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
            self._warn(claim, f"still running{why}; a worker resets it in {self._settings.stale_minutes:g} minutes")
        else:
            self._warn(claim, done)
            return True
        return False

    def _handle_claim_lost(self, claim: Claim, lost: ClaimLostError) -> None:
        """Handle a lost claim.

        If only the reply to our own COMMIT was lost, the job has already ended.
        """
        state = self._retrier.retry(self._db.run_read, claims.state_of_claim, claim)
        if state in (None, JobState.RUNNING):
            self.had_failures = True
            self._warn(claim, join_sentences(str(lost), "This worker writes nothing more for it."))
            return
        self.had_failures |= state is JobState.FAILED
        self._log.info(f"{claim.name}: {state} already")


class JobHooks:
    """The importer's hooks for one job of a worker."""

    def __init__(self, context: WorkerContext, claim: Claim):
        self._context, self._claim = context, claim

    def checkpoint(self, progress: str) -> None:
        """Report progress; raise ShutdownRequested after a signal, or ClaimLostError."""
        self._context.notifier.status(f"importing {self._claim.name}: {progress}")
        self._context.keep_going()
        self._context.heartbeat.raise_if_lost()

    def warn(self, text: str) -> None:
        """Log a warning about the job."""
        self._context.log.warning(f"{self._claim.name}: {text}")


def _database_reason(error: PanelError) -> str:
    return f"the database: {join_sentences(str(error), error.hint)}"
