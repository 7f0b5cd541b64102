"""How a worker gives up its claim before the job has ended: release, hold, or a last attempt that failed.

docs/CONTRACT.md, "8. Queue".
"""

from .. import holds, ledger
from ..db import Transaction
from ..holds import Hold
from ..models import BatchStatus, HoldKind
from .claims import Claim, fail, note, update_fenced


def release(tx: Transaction, claim: Claim, reason: str, hold: Hold | None = None, *, counts: bool = False) -> str:
    """Release the job to the queue, or hold it; returns what was done, for the log.

    The attempt is given back unless it `counts`. While its prior's job is active, the job is held for that, whatever
    `hold` is.

    Raises: ClaimLostError.
    """
    remembered = None if hold or counts else reason
    update_fenced(tx, claim, "claims.release", reason=reason, given_back=int(not counts), hold_reason=remembered)
    hold = holds.decide(tx, claim.batch_id) or hold
    ledger.set_status(tx, claim.batch_id, BatchStatus.QUEUED)
    if hold is None:
        note(tx, claim, "job_released", "job_release", attempt_counts=int(counts), reason=reason)
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

    The first such release costs no attempt. The next one for the same reason is a backoff that counts, so that a job
    that the server never lets through does not keep the others waiting.

    Raises: ClaimLostError.
    """
    (job,) = tx.fetch_all("holds.reasons", job_ids=[claim.job_id])
    if job["hold_reason"] == reason[:ledger.MAX_REASON_LENGTH]:
        return retry_or_fail(tx, claim, reason, max_attempts)
    return release(tx, claim, reason)
