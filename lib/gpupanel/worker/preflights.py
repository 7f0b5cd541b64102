"""Claim and make the preflights that are too long for a request.

A claim is a token, as that of a job: each later write names it, and a canceled or reset request loses it
(docs/decisions/0114-holds-and-workers-in-rows.md).
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any

from .. import job_queue, ledger, preflight, undo_service, unseen_change
from ..bundle_inspection import BundleInspection, inspect_bundle
from ..db import ReadTransaction, Transaction
from ..errors import (
    ClaimLostError, CommitUnknownError, FileUnreadableError, MountUnavailableError, PanelError,
)
from ..mount import call_with_timeout
from .log import describe_error, join_sentences
from .outage_retry import UNAVAILABLE_ERRORS
from .shutdown import ShutdownRequested
from .worker_context import WorkerContext

INSPECT_SECONDS = 3600  # bounds the check of all files of a bundle
NO_BATCH = [0]  # no batch has the id 0: `IN ()` is no SQL
DEFER_SECONDS = 60  # after a request could not be made, this worker takes others first
LOOK_SECONDS = 1  # between two looks for a request that were in vain
LOST = "The preflight request was canceled or reset; nothing was written."


@dataclass(frozen=True, slots=True)
class PreflightClaim:
    """A running request as it was when it was claimed."""

    batch_id: int
    sync_id: str
    token: str
    worker: str
    attempts: int
    requested_by: str
    then_queue: int
    priority: int
    although_older: int
    undo_of: int | None

    @property
    def name(self) -> str:
        return f"preflight of batch {self.sync_id}"


# ------------------------------------------------------------------------------------------------ transactions


def claim(tx: Transaction, token: str, worker: str, deferred: list[int]) -> PreflightClaim | None:
    """Claim the oldest queued request; None when there is none."""
    row = tx.fetch_one("preflights.next", deferred=deferred or NO_BATCH)
    if row is None:
        return None
    tx.execute("preflights.claim", batch_id=row["batch_id"], token=token, worker=worker)
    return find_claim(tx, token)


def find_claim(tx: ReadTransaction, token: str) -> PreflightClaim | None:
    """Return the running request that this token claimed, if any."""
    row = tx.fetch_one("preflights.claimed", token=token)
    return PreflightClaim(**row) if row and row.pop("state") == "running" else None


def heartbeat(tx: Transaction, claim: PreflightClaim) -> None:
    """Write a heartbeat. Raises ClaimLostError."""
    _raise_if_lost(tx.execute("preflights.heartbeat", batch_id=claim.batch_id, token=claim.token))


def end(tx: Transaction, claim: PreflightClaim, state: str, reason: str | None = None, *, counts: bool = True) -> None:
    """End a claim: the request becomes `completed`, `failed`, or `queued` again.

    The attempt is given back unless it `counts`. Raises ClaimLostError.
    """
    _raise_if_lost(tx.execute(
        "preflights.end", batch_id=claim.batch_id, token=claim.token, state=state, reason=reason,
        given_back=int(not counts),
    ))
    tx.execute("preflights.touch", batch_id=claim.batch_id)
    if state == "failed":
        _note_abandoned(tx, claim.batch_id, reason, claim.attempts, claim.worker)


def _note_abandoned(tx: Transaction, batch_id: int, reason: str | None, attempts: int, actor: str) -> None:
    payload = {"attempts": attempts, "phase": "preflight_request", "reason": reason, "worker": actor}
    ledger.append_event(tx, batch_id, "preflight_abandoned", payload, actor)


def save(
    tx: Transaction, claim: PreflightClaim, bundle: BundleInspection | None
) -> preflight.PreflightResult:
    """Complete the request, store the plan, and queue the batch if that was asked for and the plan passed.

    A plan that does something else than what was recorded is not queued. All is one transaction, which locks the batch
    before the request. An undo has no bundle.
    Raises ClaimLostError, InvalidStateError.
    """
    job_queue.lock_chain(tx, claim.sync_id)
    recorded = ledger.lock_batch(tx, claim.sync_id)
    end(tx, claim, "completed")
    if bundle is None:
        then_queue = claim.priority if claim.then_queue else None
        return undo_service.save_requested(tx, claim.sync_id, claim.requested_by, then_queue)
    result = preflight.save_preflight(tx, bundle, claim.requested_by)
    if claim.then_queue:
        result = unseen_change.withhold(tx, recorded, bundle, result)
    if result.ok and claim.then_queue and not result.withheld:
        job_queue.enqueue(tx, claim.sync_id, claim.requested_by, priority=claim.priority, auto_preflighted=True)
    return result


def reset_stale(tx: Transaction, seconds: float, max_attempts: int, actor: str) -> int:
    """Queue stale requests again, and fail those after their last attempt; return their number."""
    number = 0
    for row in tx.fetch_all("preflights.stale", seconds=seconds):
        reason = f"worker {row['worker']} sent no heartbeat for over {seconds:g} s"
        matched = tx.execute(
            "preflights.reset", batch_id=row["batch_id"], seconds=seconds, max_attempts=max_attempts, reason=reason
        )
        if matched and row["attempts"] >= max_attempts:
            _note_abandoned(tx, row["batch_id"], reason, row["attempts"], actor)
        number += matched
    return number


def _raise_if_lost(matched: int) -> None:
    if not matched:
        raise ClaimLostError(LOST)


# -------------------------------------------------------------------------------------------------- the worker


class PreflightRunner:
    """Claims requests and makes their preflights, one at a time."""

    def __init__(self, context: WorkerContext):
        self._context, self._db, self._retrier = context, context.db, context.retrier
        self._next_look_at = 0.0
        self._deferred: dict[int, float] = {}  # batch id -> monotonic time of the next try

    def run_next(self) -> bool:
        """Claim a request and make its preflight; return whether there was one.

        After a look in vain, the next one is made a second later: it costs as much as the claim of a small job.
        """
        since = monotonic()
        if since < self._next_look_at:
            return False
        claim = self._claim()
        if claim is None:
            self._next_look_at = since + LOOK_SECONDS
            return False
        self._context.heartbeat.start(claim, since, heartbeat)
        try:
            self._run(claim)
        finally:
            self._context.heartbeat.pause()
        return True

    def _claim(self) -> PreflightClaim | None:
        token = secrets.token_hex(16)
        self._deferred = {batch: until for batch, until in self._deferred.items() if until > monotonic()}
        try:
            return self._retrier.retry(self._db.run_transaction, claim, token, self._context.name, list(self._deferred))
        except CommitUnknownError:
            return self._retrier.retry(self._db.run_read, find_claim, token)

    def _run(self, claim: PreflightClaim) -> None:
        try:
            result = self._make(claim)
        except ClaimLostError as lost:
            self._report(f"{claim.name}: {lost}")
        except ShutdownRequested:
            self._end(claim, "queued", "the worker was stopped", counts=False)
        except FileUnreadableError as error:
            self._retry_or_fail(claim, str(error))
        except MountUnavailableError as away:
            self._end(claim, "queued", str(away), counts=False)
        except UNAVAILABLE_ERRORS as error:
            self._end(claim, "queued", f"the database: {error}", counts=False)
        except PanelError as error:
            self._end(claim, "failed", join_sentences(str(error), error.hint))
        except Exception as error:  # an unexpected error of one preflight must not stop the queue
            self._retry_or_fail(claim, describe_error(error))
        else:
            passed = "passed" if result is None or result.ok else "failed"
            withheld = f", and was not queued: {result.withheld}" if result and result.withheld else ""
            self._report(f"{claim.name}: {passed}{withheld}")

    def _make(self, claim: PreflightClaim) -> preflight.PreflightResult | None:
        """Inspect the bundle and store its plan; None if only the reply to the COMMIT was lost."""
        bundle = None if claim.undo_of is not None else self._inspect(claim)
        self._checkpoint(claim)
        try:
            return self._db.run_transaction(save, claim, bundle)
        except CommitUnknownError:
            if self._retrier.retry(self._db.run_read, _has_completed, claim.token):
                return None
            return self._db.run_transaction(save, claim, bundle)

    def _inspect(self, claim: PreflightClaim) -> BundleInspection:
        look: Callable[[], Any] = partial(inspect_bundle, self._context.mount, claim.sync_id)
        bundle: BundleInspection = call_with_timeout(look, partial(self._checkpoint, claim), INSPECT_SECONDS)
        return bundle

    def _checkpoint(self, claim: PreflightClaim) -> None:
        """Report progress; raise ShutdownRequested after a signal, or ClaimLostError."""
        self._context.slot.report("preflighting")
        self._context.notifier.status(f"making the {claim.name}")
        self._context.keep_going()
        self._context.heartbeat.raise_if_lost()

    def _report(self, text: str) -> None:
        """Log how a preflight ended."""
        self._context.slot.report("idle")
        self._context.log.info(text)

    def _retry_or_fail(self, claim: PreflightClaim, reason: str) -> None:
        if claim.attempts >= self._context.settings.max_attempts:
            self._end(claim, "failed", f"gave up after {claim.attempts} attempts: {reason}")
        else:
            self._end(claim, "queued", reason)

    def _end(self, claim: PreflightClaim, state: str, reason: str, *, counts: bool = True) -> None:
        self._deferred[claim.batch_id] = monotonic() + DEFER_SECONDS
        try:
            self._retrier.retry_idempotent(self._db.run_transaction, end, claim, state, reason, counts=counts)
        except (ClaimLostError, ShutdownRequested) as error:
            reason = f"{reason} ({error})"
        self._report(f"{claim.name}: {state}, {reason}")


def _has_completed(tx: ReadTransaction, token: str) -> bool:
    row = tx.fetch_one("preflights.claimed", token=token)
    return bool(row) and row["state"] == "completed"
