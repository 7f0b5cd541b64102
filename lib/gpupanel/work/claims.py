"""Who works on which job: claim, fence, release, finish, fail, reset (docs/CONTRACT.md, 8).

Everything here takes the transaction. Locks are taken in the order job, batch, and then those of the job that is next. A
claim is a token that only its worker knows; each later write shows it, and raises ClaimLost when the job has gone on
without us.
"""

import random
from functools import cache
from typing import Any, Iterable, NamedTuple, Sequence

from .. import ledger
from ..database import GivenUp, Reading, Transaction, query
from ..errors import ClaimLost
from ..model import BatchStatus, JobState
from .containers import Failure

# No job has the id 0.
NOBODY = [0]
LOST = "The claim was lost: its worker was presumed dead, and the job has gone on."


class Claim(NamedTuple):
    """A running job as it was when it was claimed; `worker` is `host:pid`."""

    job_id: int
    batch_id: int
    sync_id: str
    token: str
    worker: str
    priority: int
    attempts: int
    items_done: int
    items_total: int

    @property
    def name(self) -> str:
        return called(self.job_id, self.sync_id)


class Next(NamedTuple):
    """A claim to be made of the next job in line, less those put aside; or of the next one past the job `past`, before which
    nothing was queued a moment ago."""

    token: str
    worker: str
    aside: Sequence[int] = ()
    past: Claim | None = None


class Ended(NamedTuple):
    """How an import ended; `problem` says what went wrong, None when nothing did."""

    status: BatchStatus
    counts: dict[str, int]
    container_failures: int
    problem: str | None


def called(job_id: int, sync_id: str) -> str:
    """How log lines call a job."""
    return f"job {job_id}, batch {sync_id}"


# ---------------------------------------------------------------------------------------------- claim


def claim(tx: Transaction, following: Next, among: int = 1) -> Claim | None:
    """Take the next queued job; None when there is none that nobody else holds.

    `among` more than one it is any of so many that are next and of one priority, those of this node of a cluster first.
    """
    for choice in _choices(tx, following, among) if among > 1 else ():
        if taken := _taken(tx, following, _ask(tx, following, choice)):
            return taken
    return _taken(tx, following, _ask(tx, following))


def _ask(tx: Transaction, following: Next, choice: int | None = None) -> dict[str, Any]:
    statement, params = _claiming(following, choice)
    [row] = tx.all_of(statement, **params)
    return row


def _claiming(following: Next, choice: int | None = None) -> tuple[str, dict[str, Any]]:
    """The statement that makes a claim, and its parameters."""
    params = {
        "aside": following.aside or NOBODY, "token": following.token, "worker": following.worker,
        "quoted_worker": ledger.canonical(following.worker),
    }
    if choice:
        return _statement("chosen"), params | {"choice": choice}
    if past := following.past:
        return _statement("first_past"), params | {"past": past.job_id, "priority": past.priority}
    return _statement("first"), params


@cache
def _statement(find: str) -> str:
    return query("work.claim").format(find=query(f"work.{find}"))


def _taken(tx: Transaction, following: Next, row: dict[str, Any]) -> Claim | None:
    """What a claim has come to; of jobs that cannot be run it tries the next one."""
    while row["job_id"]:
        if row.pop("taken"):
            return Claim(token=following.token, worker=following.worker, **row)
        _refuse(tx, row, following.worker)
        row = _ask(tx, following)
    return None


def _choices(tx: Transaction, following: Next, among: int) -> list[int]:
    first = tx.all("work.in_line", aside=following.aside or NOBODY, limit=among)
    peers = [job for job in first if job["priority"] == first[0]["priority"]]
    elsewhere = [job["id"] for job in peers if job["elsewhere"]]
    return [job["id"] for job in peers if not job["elsewhere"]] + random.sample(elsewhere, len(elsewhere))


def _refuse(tx: Transaction, job: dict[str, Any], worker: str) -> None:
    """A queued job whose batch is not queued: nobody can tell what was meant, so a person has to look."""
    reason = "the batch of this job was not in status queued when a worker came to import it"
    tx.run("work.refuse", job_id=job["job_id"], reason=reason)
    payload = {"job_id": job["job_id"], "phase": "job_fail", "reason": reason}
    ledger.append(tx, job["batch_id"], "job_failed", payload, worker)


def held(tx: Reading, token: str) -> Claim | None:
    """The running job that this token claimed; None when there is none (any more)."""
    row = _claimed(tx, token)
    return Claim(**row) if row and row.pop("state") == JobState.RUNNING else None


def held_after_all(tx: Transaction, token: str) -> Claim | None:
    """The same when the reply to the claim was lost: waits for it to take effect, or to have come to nothing."""
    tx.one("work.lock_claimed", token=token)
    return held(tx, token)


def became(tx: Reading, token: str) -> JobState | None:
    """The state of the job that this token claimed; None once it was claimed anew."""
    row = _claimed(tx, token)
    return JobState(row["state"]) if row else None


def ended(tx: Reading, token: str) -> bool:
    """Whether the job that this token claimed has ended under it."""
    return became(tx, token) in (JobState.COMPLETED, JobState.FAILED)


def _claimed(tx: Reading, token: str) -> dict[str, Any] | None:
    return tx.one("work.claimed", token=token)


# ---------------------------------------------------------------------------------------------- while it runs


def beat(tx: Transaction, claim: Claim) -> None:
    """Say that the worker lives, and hold the job until the transaction ends. Raises ClaimLost."""
    _fenced(tx, claim, "work.beat")


def progress(tx: Transaction, claim: Claim, items: int) -> None:
    """The fence of a chunk: `items` more are settled in this transaction. Raises ClaimLost."""
    _fenced(tx, claim, "work.progress", items=items)


def restart(tx: Transaction, claim: Claim, items_total: int) -> None:
    """All items are still to be done, since the batch is planned anew. Raises ClaimLost."""
    _fenced(tx, claim, "work.restart", items_total=items_total)


def note_progress(tx: Transaction, claim: Claim, items_done: int, items_total: int) -> None:
    _note(tx, claim, "job_progress", "job_progress", items_done=items_done, items_total=items_total)


# ---------------------------------------------------------------------------------------------- how it ends


def release(tx: Transaction, claim: Claim, reason: str, *, unavailable: bool = False, counts: bool = False) -> str:
    """Give the job back to the queue, and its attempt with it unless that `counts`; returns what was done.

    `unavailable` when the mount or the bundle is gone. Raises ClaimLost.
    """
    _fenced(tx, claim, "work.release", reason=reason, given_back=int(not counts))
    ledger.set_status(tx, claim.batch_id, BatchStatus.QUEUED)
    if unavailable:
        _note(tx, claim, "mount_unavailable", "import", reason=reason)
    _note(tx, claim, "job_released", "job_release", attempt_counts=int(counts), reason=reason)
    return f"put back to the queue: {reason}"


def give_back(tx: Transaction, claim: Claim, reason: str, max_attempts: int, *, unavailable: bool = False) -> str:
    """The same for trouble that may come again with this job: the attempt counts, and the last one fails the job."""
    if claim.attempts >= max_attempts:
        return fail(tx, claim, f"gave up after {claim.attempts} attempts: {reason}")
    return release(tx, claim, reason, unavailable=unavailable, counts=True)


def finish(
    tx: Transaction, claim: Claim, outcome: Ended, manifest_sha256: str, failures: Iterable[Failure] = (),
    following: Next | None = None,
) -> Claim | None:
    """The import went through to its end; the job failed only if the whole batch did. Raises ClaimLost.

    `manifest_sha256` is that of the bytes that were imported; `failures` are the containers that are not whole. They
    are told here, and not when they are met, so that a job that is resumed does not tell them twice. Returns the claim
    of the job that is next, if one is `following` and there is one.
    """
    state = JobState.FAILED if outcome.status is BatchStatus.FAILED else JobState.COMPLETED
    _tell_failures(tx, claim, list(failures))
    facts = {
        "counts": outcome.counts, "items_total": sum(outcome.counts.values()), "status": outcome.status,
        "container_failures": outcome.container_failures, "manifest_sha256": manifest_sha256,
    }
    return _end(tx, claim, state, outcome.status, outcome.problem, "job_finished", "job_finish", facts, following)


def _tell_failures(tx: Transaction, claim: Claim, failures: list[Failure]) -> None:
    if failures:
        beat(tx, claim)
        tx.one("ledger.lock_by_id", batch_id=claim.batch_id)
    for failure in failures:
        payload = failure._asdict() | {"job_id": claim.job_id, "phase": "import"}
        ledger.append(tx, claim.batch_id, "container_failed", payload, claim.worker)


def fail(tx: Transaction, claim: Claim, reason: str) -> str:
    """The import cannot be done; returns what was done. Raises ClaimLost."""
    _end(tx, claim, JobState.FAILED, BatchStatus.FAILED, reason, "job_failed", "job_fail", {"reason": reason})
    return f"failed: {reason}"


def _end(
    tx: Transaction, claim: Claim, state: JobState, status: BatchStatus, problem: str | None, event_type: str, phase: str,
    facts: dict[str, Any], following: Next | None = None,
) -> Claim | None:
    end = query("work.finish"), {
        "job_id": claim.job_id, "token": claim.token, "state": state, "batch_id": claim.batch_id, "reason": problem,
        "event_type": event_type, "payload": ledger.canonical(_payload(claim, phase, facts)), "worker": claim.worker,
        "status": status,
    }
    try:
        row = tx.together(end, *([_claiming(following)] if following else ()))
    except GivenUp as lost:
        raise ClaimLost(LOST) from lost
    return _taken(tx, following, row) if following else None


def _fenced(tx: Transaction, claim: Claim, statement: str, **params) -> None:
    if not tx.run(statement, job_id=claim.job_id, token=claim.token, **params):
        raise ClaimLost(LOST)


def _note(tx: Transaction, claim: Claim, event_type: str, phase: str, **facts) -> None:
    ledger.append(tx, claim.batch_id, event_type, _payload(claim, phase, facts), claim.worker)


def _payload(claim: Claim, phase: str, facts: dict[str, Any]) -> dict[str, Any]:
    return facts | {"job_id": claim.job_id, "phase": phase, "worker": claim.worker}


# ---------------------------------------------------------------------------------------------- stale jobs


def stale(tx: Reading, seconds: float) -> dict[int, str]:
    """The running jobs whose worker has been silent for over `seconds`, the longest first: id -> how log lines call it."""
    return {row["id"]: called(row["id"], row["sync_id"]) for row in tx.all("work.stale", seconds=seconds)}


def reset(tx: Transaction, job_id: int, seconds: float, max_attempts: int, by: str) -> str | None:
    """Put one stale job back, or fail it once its attempts are used up; returns what was done, or None.

    Nothing is done when it is not stale any more, or when somebody holds its row.
    """
    job = tx.one("work.lock_stale", job_id=job_id, seconds=seconds)
    if job is None:
        return None
    reason = f"worker {job['worker']} was silent for over {seconds:g} s"
    if job["attempts"] >= max_attempts:
        return _give_up(tx, job, seconds, f"gave up after {job['attempts']} attempts: the last {reason}", by)
    if not tx.run("work.reset", job_id=job_id, seconds=seconds, reason=reason):
        return None
    ledger.set_status(tx, job["batch_id"], BatchStatus.QUEUED)
    _note_reset(tx, job, "job_reset", "job_reset", reason, by)
    return f"put back to the queue: {reason}"


def _give_up(tx: Transaction, job: dict[str, Any], seconds: float, reason: str, by: str) -> str | None:
    if not tx.run("work.give_up", job_id=job["job_id"], seconds=seconds, reason=reason):
        return None
    tx.run("ledger.finished", batch_id=job["batch_id"], status=BatchStatus.FAILED, last_error=reason)
    _note_reset(tx, job, "job_failed", "job_fail", reason, by)
    return f"failed: {reason}"


def _note_reset(tx: Transaction, job: dict[str, Any], event_type: str, phase: str, reason: str, by: str) -> None:
    payload = {
        "attempts": job["attempts"], "job_id": job["job_id"], "phase": phase, "reason": reason, "worker": job["worker"],
    }
    ledger.append(tx, job["batch_id"], event_type, payload, by)
