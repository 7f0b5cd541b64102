"""Claim a job, and every later write of its worker under the fence.

Each function takes the transaction and locks in the order job, batch. A claim is a token that only its worker knows.
Every later write names the token and raises ClaimLostError when the job is no longer running under it
(docs/CONTRACT.md, "8. Queue").
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from .. import holds, ledger
from ..db import ReadTransaction, Transaction
from ..errors import ClaimLostError
from ..holds import Hold
from ..models import BatchStatus, HoldKind, JobState
from .containers import ContainerFailure

LOST = "The claim was lost: another worker presumed this one dead and reset the job."


@dataclass(frozen=True, slots=True)
class Claim:
    """A running job as it was when it was claimed; `worker` is `host:pid`."""

    job_id: int
    batch_id: int
    sync_id: str
    token: str
    worker: str
    attempts: int
    items_done: int
    items_total: int

    @property
    def name(self) -> str:
        return job_label(self.job_id, self.sync_id)


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """A request for the next queued job."""

    token: str
    worker: str


@dataclass(frozen=True, slots=True)
class ImportResult:
    """How an import ended; `problem` is None when nothing went wrong."""

    status: BatchStatus
    counts: dict[str, int]
    container_failures: int
    problem: str | None


def job_label(job_id: int, sync_id: str) -> str:
    """Return the label of a job in log lines."""
    return f"job {job_id} (batch {sync_id})"


# ---------------------------------------------------------------------------------------------- claim


def claim(tx: Transaction, request: ClaimRequest) -> Claim | None:
    """Claim the next job; None when each queued one is locked, or the queue is paused.

    A job whose batch is not queued cannot run: it fails, and the next job is claimed.
    """
    while job := tx.fetch_one("worker.next_job"):
        if tx.execute("worker.claim", job_id=job["job_id"], token=request.token, worker=request.worker):
            tx.execute("worker.recount", job_id=job["job_id"])
            return _claim_noted(tx, request.token)
        _refuse(tx, job, request.worker)
    return None


def _claim_noted(tx: Transaction, token: str) -> Claim:
    claimed = find_claim(tx, token)
    assert claimed is not None
    _note(
        tx, claimed, "job_claimed", "job_claim", attempt=claimed.attempts, items_done=claimed.items_done,
        items_total=claimed.items_total,
    )
    return claimed


def _refuse(tx: Transaction, job: dict[str, Any], worker: str) -> None:
    reason = "the batch of this job was not in status queued when a worker claimed it"
    tx.execute("worker.fail_invalid", job_id=job["job_id"], reason=reason)
    tx.fetch_one("ledger.lock_by_id", batch_id=job["batch_id"])
    payload = {"job_id": job["job_id"], "phase": "job_fail", "reason": reason}
    ledger.append_event(tx, job["batch_id"], "job_failed", payload, worker)
    holds.wake(tx, job["batch_id"], worker)


def find_claim(tx: ReadTransaction, token: str) -> Claim | None:
    """Return the running job that this token claimed, if any."""
    row = _claimed(tx, token)
    return Claim(**row) if row and row.pop("state") == JobState.RUNNING else None


def find_claim_locking(tx: Transaction, token: str) -> Claim | None:
    """Return the same after a lost reply to the claim.

    Waits for a COMMIT of the claim that is still under way.
    """
    tx.fetch_one("worker.lock_claimed", token=token)
    return find_claim(tx, token)


def state_of_claim(tx: ReadTransaction, token: str) -> JobState | None:
    """Return the state of the job that this token claimed.

    None after a newer claim.
    """
    row = _claimed(tx, token)
    return JobState(row["state"]) if row else None


def has_ended(tx: ReadTransaction, token: str) -> bool:
    """Return whether the job that this token claimed has ended under it."""
    return state_of_claim(tx, token) in (JobState.COMPLETED, JobState.FAILED)


def _claimed(tx: ReadTransaction, token: str) -> dict[str, Any] | None:
    return tx.fetch_one("worker.job_by_token", token=token)


# ---------------------------------------------------------------------------------------------- while it runs


def heartbeat(tx: Transaction, claim: Claim) -> None:
    """Write a heartbeat, and lock the job until the transaction ends.

    Raises: ClaimLostError.
    """
    _update_fenced(tx, claim, "worker.heartbeat")


def advance(tx: Transaction, claim: Claim, items: int) -> None:
    """Write the fence of a chunk that settles this many items.

    Raises: ClaimLostError.
    """
    _update_fenced(tx, claim, "worker.progress", items=items)


def reset_progress(tx: Transaction, claim: Claim, items_total: int) -> None:
    """Reset the job's progress, since its batch is planned again.

    Raises: ClaimLostError.
    """
    _update_fenced(tx, claim, "worker.restart", items_total=items_total)


def append_progress_event(tx: Transaction, claim: Claim, items_done: int, items_total: int) -> None:
    """Append a job_progress event."""
    _note(tx, claim, "job_progress", "job_progress", items_done=items_done, items_total=items_total)


# ---------------------------------------------------------------------------------------------- how it ends


def release(tx: Transaction, claim: Claim, reason: str, hold: Hold | None = None, *, counts: bool = False) -> str:
    """Release the job to the queue, or hold it; returns what was done, for the log.

    The attempt is given back unless it `counts`. Without a hold of its own, the job is held while its prior's job is
    active.

    Raises: ClaimLostError.
    """
    remembered = None if hold or counts else reason
    _update_fenced(tx, claim, "worker.release", reason=reason, given_back=int(not counts), hold_reason=remembered)
    hold = holds.decide(tx, claim.batch_id) or hold
    ledger.set_status(tx, claim.batch_id, BatchStatus.QUEUED)
    if hold is None:
        _note(tx, claim, "job_released", "job_release", attempt_counts=int(counts), reason=reason)
        return f"released, {reason}"
    holds.hold(tx, claim.job_id, hold, claim.worker)
    return f"held, {reason}"


def retry_or_fail(tx: Transaction, claim: Claim, reason: str, max_attempts: int) -> str:
    """Hold the job for a time that doubles, its attempt counted; fail it after the last one.

    Raises: ClaimLostError.
    """
    if claim.attempts >= max_attempts:
        return fail(tx, claim, f"gave up after {claim.attempts} attempts: {reason}")
    return release(tx, claim, reason, Hold(HoldKind.BACKOFF, reason), counts=True)


def release_interrupted(tx: Transaction, claim: Claim, reason: str, max_attempts: int) -> str:
    """Release the job after trouble with the server; hold it where its latest release had the same reason.

    So an outage costs no attempt, and a job that the server never lets through does not keep the others waiting.

    Raises: ClaimLostError.
    """
    (job,) = tx.fetch_all("holds.reasons", job_ids=[claim.job_id])
    if job["hold_reason"] == reason[:ledger.MAX_REASON_LENGTH]:
        return retry_or_fail(tx, claim, reason, max_attempts)
    return release(tx, claim, reason)


def finish(
    tx: Transaction, claim: Claim, outcome: ImportResult, manifest_sha256: str, failures: Iterable[ContainerFailure] = ()
) -> None:
    """End a complete import; the job fails only if the whole batch did.

    `manifest_sha256` is the digest of the imported bytes. The events of incomplete containers are appended here, so that
    a resumed job does not append them twice.

    Raises: ClaimLostError.
    """
    state = JobState.FAILED if outcome.status is BatchStatus.FAILED else JobState.COMPLETED
    _end(tx, claim, state, outcome.status, outcome.problem)
    for failure in failures:
        payload = asdict(failure) | {"job_id": claim.job_id, "phase": "import"}
        ledger.append_event(tx, claim.batch_id, "container_failed", payload, claim.worker)
    _note(
        tx, claim, "job_finished", "job_finish", counts=outcome.counts, items_total=sum(outcome.counts.values()),
        status=outcome.status, container_failures=outcome.container_failures, manifest_sha256=manifest_sha256,
    )


def fail(tx: Transaction, claim: Claim, reason: str) -> str:
    """Fail the job and its batch; returns what was done, for the log.

    Raises: ClaimLostError.
    """
    _end(tx, claim, JobState.FAILED, BatchStatus.FAILED, reason)
    _note(tx, claim, "job_failed", "job_fail", reason=reason)
    return f"failed, {reason}"


def _end(tx: Transaction, claim: Claim, state: JobState, status: BatchStatus, problem: str | None) -> None:
    _update_fenced(tx, claim, "worker.finish", state=state, status=status, reason=problem)
    holds.wake(tx, claim.batch_id, claim.worker)


def _update_fenced(tx: Transaction, claim: Claim, statement: str, **params: object) -> None:
    if not tx.execute(statement, job_id=claim.job_id, token=claim.token, **params):
        raise ClaimLostError(LOST)


def _note(tx: Transaction, claim: Claim, event_type: str, phase: str, **facts: object) -> None:
    payload = facts | {"job_id": claim.job_id, "phase": phase, "worker": claim.worker}
    ledger.append_event(tx, claim.batch_id, event_type, payload, claim.worker)


# ---------------------------------------------------------------------------------------------- stale jobs


def list_stale(tx: ReadTransaction, seconds: float) -> dict[int, str]:
    """Return the labels of stale running jobs by id, oldest first."""
    return {row["id"]: job_label(row["id"], row["sync_id"]) for row in tx.fetch_all("worker.stale", seconds=seconds)}


def requeue_stale(tx: Transaction, job_id: int, seconds: float, max_attempts: int, actor: str) -> str | None:
    """Requeue a stale job, or fail it after its last attempt.

    Returns what was done, for the log; None when the job is no longer stale or its row is locked.
    """
    job = tx.fetch_one("worker.lock_stale", job_id=job_id, seconds=seconds)
    if job is None:
        return None
    reason = f"worker {job['worker']} sent no heartbeat for over {seconds:g} s"
    if job["attempts"] >= max_attempts:
        return _fail_stale(tx, job, seconds, f"gave up after {job['attempts']} attempts: in the last one, {reason}", actor)
    if not tx.execute("worker.reset", job_id=job_id, seconds=seconds, reason=reason):
        return None
    hold = holds.decide(tx, job["batch_id"])
    ledger.set_status(tx, job["batch_id"], BatchStatus.QUEUED)
    _note_reset(tx, job, "job_reset", "job_reset", reason, actor)
    if hold:
        holds.hold(tx, job_id, hold, actor)
    return f"requeued, {reason}"


def _fail_stale(tx: Transaction, job: dict[str, Any], seconds: float, reason: str, actor: str) -> str | None:
    if not tx.execute("worker.fail_stale", job_id=job["job_id"], seconds=seconds, reason=reason):
        return None
    tx.execute("ledger.finished", batch_id=job["batch_id"], status=BatchStatus.FAILED, last_error=reason)
    _note_reset(tx, job, "job_failed", "job_fail", reason, actor)
    holds.wake(tx, job["batch_id"], actor)
    return f"failed, {reason}"


def _note_reset(tx: Transaction, job: dict[str, Any], event_type: str, phase: str, reason: str, actor: str) -> None:
    payload = {
        "attempts": job["attempts"], "job_id": job["job_id"], "phase": phase, "reason": reason, "worker": job["worker"],
    }
    ledger.append_event(tx, job["batch_id"], event_type, payload, actor)
