"""Claim a job, and every later write of its worker under the fence.

Each function takes the transaction and locks in the order job, batch. A claim is a token that only its worker knows.
Every later write names the token and the worker, and raises ClaimLostError when the job is no longer running under
both: the Perl worker leaves the token in the jobs that it claims (docs/CONTRACT.md, "8. Queue").
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from .. import holds, ledger
from ..db import ReadTransaction, Transaction
from ..errors import ClaimLostError, JobNotDoneError
from ..ledger import results, search_words
from ..library_reader import AssetKey
from ..models import BatchStatus, Decision, EventType, JobState
from ..rows import PlannedItem

LOST = "The claim was lost: another worker presumed this one dead and reset the job."


@dataclass(frozen=True, slots=True)
class Claim:
    """A running job as it was when it was claimed; `worker` is `host:pid`.

    `manifest_sha256`, `source_at`, `although_older` and `undo_of` are those of the batch as it was approved. `plan` has
    the rows of all of its items where the claim read them: of a small bundle that no worker began before.
    """

    job_id: int
    batch_id: int
    sync_id: str
    token: str
    worker: str
    attempts: int
    items_done: int
    items_total: int
    manifest_sha256: str | None = None
    source_at: datetime | None = None
    although_older: int = 0
    undo_of: int | None = None
    plan: dict[AssetKey, PlannedItem] | None = field(default=None, compare=False, repr=False)

    @property
    def name(self) -> str:
        return job_label(self.job_id, self.sync_id)


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """A request for the next queued job; the plan of a job of up to `small_items` items comes with its claim."""

    token: str
    worker: str
    small_items: int = 0


class ManifestState(StrEnum):
    """What the end of a job found in the place of the manifest that it imported."""

    SAME = "same"
    CHANGED = "changed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ManifestAtEnd:
    """The manifest at the end of a job; `sha256` is None where it cannot be read."""

    state: ManifestState
    sha256: str | None = None


SAME_MANIFEST = ManifestAtEnd(ManifestState.SAME)


@dataclass(frozen=True, slots=True)
class ImportResult:
    """How an import ended; `problem` is None when nothing went wrong.

    `open_entries` counts items and containers that are not settled: the job cannot end then.
    """

    status: BatchStatus
    counts: dict[str, int]
    container_counts: dict[str, int]
    problem: str | None
    open_entries: int = 0

    @property
    def container_failures(self) -> int:
        return self.container_counts.get(Decision.FAILED, 0)

    @property
    def has_failed(self) -> bool:
        """Whether the job failed, and nothing else was queued in its place."""
        return self.status in (BatchStatus.FAILED, BatchStatus.PREFLIGHT_PASSED, BatchStatus.PREFLIGHT_FAILED)


@dataclass(frozen=True, slots=True)
class JobEnd:
    """The last states of a job and its batch; the job of a complete import has settled all of its items.

    `writes_entry`: the transaction records an entry after the end.
    """

    state: JobState
    status: BatchStatus
    reason: str | None
    is_complete: bool = False
    manifest: ManifestAtEnd = ManifestAtEnd(ManifestState.UNKNOWN)
    writes_entry: bool = False


def job_label(job_id: int, sync_id: str) -> str:
    """Return the label of a job in log lines."""
    return f"job {job_id} (batch {sync_id})"


# ---------------------------------------------------------------------------------------------- claim


def claim(tx: Transaction, request: ClaimRequest) -> Claim | None:
    """Claim the next job; None when each queued one is locked, or the queue is paused.

    A job whose batch is not queued cannot run: it fails, and the next job is claimed.
    """
    while job := tx.fetch_one("claims.lock_next_queued"):
        if tx.execute("claims.claim", job_id=job["job_id"], token=request.token, worker=request.worker):
            return _record_claim(tx, request, job)
        _refuse(tx, job, request.worker)
    return None


def _record_claim(tx: Transaction, request: ClaimRequest, job: dict[str, Any]) -> Claim:
    """Return the claim, after its event; the progress of a job that continues is counted from the ledger."""
    job["attempts"] += 1
    claimed = Claim(**job, token=request.token, worker=request.worker)
    if claimed.items_done or claimed.attempts > 1 or not claimed.items_total:
        items_done, items_total = recount(tx, claimed)
        claimed = replace(claimed, items_done=items_done, items_total=items_total)
    elif claimed.undo_of is None and claimed.items_total <= request.small_items:
        plan = ledger.plan_of_small_batch(tx, claimed.batch_id, limit=request.small_items + 1)
        claimed = replace(claimed, plan=plan)
    note(
        tx, claimed, "job_claimed", "job_claim", attempt=claimed.attempts, items_done=claimed.items_done,
        items_total=claimed.items_total,
    )
    return claimed


def _refuse(tx: Transaction, job: dict[str, Any], worker: str) -> None:
    reason = "the batch of this job was not in status queued when a worker claimed it"
    tx.execute("claims.fail_invalid", job_id=job["job_id"], reason=reason)
    tx.fetch_one("ledger.lock_by_id", batch_id=job["batch_id"])
    payload = {"job_id": job["job_id"], "phase": "job_fail", "reason": reason}
    ledger.append_event(tx, job["batch_id"], "job_failed", payload, worker)
    holds.wake(tx, job["batch_id"], worker)


def find_claim(tx: ReadTransaction, token: str, worker: str) -> Claim | None:
    """Return the running job that this worker claimed with this token, if any."""
    row = _claimed(tx, token, worker)
    return Claim(**row) if row and row.pop("state") == JobState.RUNNING else None


def find_claim_locking(tx: Transaction, token: str, worker: str) -> Claim | None:
    """Return the same after a lost reply to the claim.

    Waits for a COMMIT of the claim that is still under way.
    """
    tx.fetch_one("claims.lock_claimed", token=token)
    return find_claim(tx, token, worker)


def state_of_claim(tx: ReadTransaction, claim: Claim) -> JobState | None:
    """Return the state of a claimed job; None after a newer claim, also of another program."""
    row = _claimed(tx, claim.token, claim.worker)
    return JobState(row["state"]) if row else None


def has_ended(tx: ReadTransaction, claim: Claim) -> bool:
    """Return whether a claimed job has ended under its claim."""
    return state_of_claim(tx, claim) in (JobState.COMPLETED, JobState.FAILED)


def _claimed(tx: ReadTransaction, token: str, worker: str) -> dict[str, Any] | None:
    row: dict[str, Any] | None = tx.fetch_one("claims.job_by_token", token=token, worker=worker)
    return row


# ---------------------------------------------------------------------------------------------- while it runs


def update_fenced(tx: Transaction, claim: Claim, statement: str, **params: object) -> None:
    """Execute a statement whose WHERE is the fence.

    Raises: ClaimLostError.
    """
    if not tx.execute(statement, job_id=claim.job_id, token=claim.token, worker=claim.worker, **params):
        raise ClaimLostError(LOST)


def heartbeat(tx: Transaction, claim: Claim) -> None:
    """Write a heartbeat, and lock the job until the transaction ends.

    Raises: ClaimLostError.
    """
    update_fenced(tx, claim, "claims.heartbeat")


def advance(tx: Transaction, claim: Claim, items: int) -> None:
    """Write the fence of a chunk that settles this many items.

    Raises: ClaimLostError.
    """
    update_fenced(tx, claim, "claims.progress", items=items)


def recount(tx: Transaction, claim: Claim) -> tuple[int, int]:
    """Count the job's progress from the ledger; return (items_done, items_total).

    Another program, or a server that lost its last commits, may have left other figures.

    Raises: ClaimLostError.
    """
    update_fenced(tx, claim, "claims.recount", batch_id=claim.batch_id)
    return progress(tx, claim)


def progress(tx: ReadTransaction, claim: Claim) -> tuple[int, int]:
    """Return (items_done, items_total) as the job has them."""
    row = tx.fetch_one("claims.figures", job_id=claim.job_id)
    return row["items_done"], row["items_total"]


# ---------------------------------------------------------------------------------------------- how it ends


def finish(tx: Transaction, claim: Claim, result: ImportResult, manifest: ManifestAtEnd) -> None:
    """End a complete import; the job fails only if the whole batch did.

    Raises: JobNotDoneError, when an entry is open: then nothing may be written.
    Raises: ClaimLostError.
    """
    samples = results.failure_samples(tx, claim.batch_id) if result.problem else []
    write_end(tx, claim, result, manifest, samples)
    note_end(tx, claim, result, manifest, samples)


def write_end(
    tx: Transaction, claim: Claim, result: ImportResult, manifest: ManifestAtEnd, samples: list[str], *,
    writes_entry: bool = False,
) -> None:
    """Write the end of a complete import to job and batch; `samples` are the first reasons of failures.

    `writes_entry`: this transaction records entries after it.

    Raises: JobNotDoneError, ClaimLostError.
    """
    if result.open_entries:
        raise JobNotDoneError(result.open_entries)
    state = JobState.FAILED if result.status is BatchStatus.FAILED else JobState.COMPLETED
    problem = with_first_reason(result.problem, samples)
    end(tx, claim, JobEnd(state, result.status, problem, True, manifest, writes_entry))


def note_end(
    tx: Transaction, claim: Claim, result: ImportResult, manifest: ManifestAtEnd, samples: list[str]
) -> None:
    """Append the events of an import that ended, and wake the jobs that wait for it."""
    if manifest.state is ManifestState.CHANGED:
        changed = {"after": manifest.sha256, "before": claim.manifest_sha256, "phase": "import_end"}
        ledger.append_event(tx, claim.batch_id, "manifest_changed", changed, claim.worker)
    note(tx, claim, "job_finished", "job_finish", **_finished(tx, claim, result, manifest, samples))
    holds.wake(tx, claim.batch_id, claim.worker)


def with_first_reason(problem: str | None, samples: list[str]) -> str | None:
    """Return how many entries failed, and why the first one did: a list of jobs shows nothing else."""
    if problem is None or not samples:
        return problem
    return f"{problem}; the first: {samples[0]}"[:ledger.MAX_REASON_LENGTH]


def _finished(
    tx: Transaction, claim: Claim, result: ImportResult, manifest: ManifestAtEnd, samples: list[str]
) -> dict[str, object]:
    """Return the payload of job_finished."""
    search_words.save(tx, claim.batch_id, search_words.WordSet([result.problem, *samples]))
    facts: dict[str, object] = {
        "container_failures": result.container_failures, "containers_done": sum(result.container_counts.values()),
        "counts": result.counts, "failure_samples": samples,
        "items_total": sum(result.counts.values()), "manifest_sha256": claim.manifest_sha256, "status": result.status,
    }
    return facts if manifest.state is ManifestState.SAME else facts | {"manifest_at_end": manifest.state}


def fail(tx: Transaction, claim: Claim, reason: str) -> str:
    """Fail the job and its batch; returns what was done, for the log.

    Raises: ClaimLostError.
    """
    end(tx, claim, JobEnd(JobState.FAILED, BatchStatus.FAILED, reason))
    note(tx, claim, "job_failed", "job_fail", reason=reason)
    search_words.save(tx, claim.batch_id, search_words.WordSet([reason]))
    holds.wake(tx, claim.batch_id, claim.worker)
    return f"failed, {reason}"


def end(tx: Transaction, claim: Claim, job_end: JobEnd) -> None:
    """End the job, and write to its batch what was imported of it.

    Raises: ClaimLostError.
    """
    manifest = job_end.manifest
    update_fenced(
        tx, claim, "claims.finish", state=job_end.state, status=job_end.status, reason=job_end.reason,
        is_complete=int(job_end.is_complete), at_end=manifest.state, changed_sha256=_changed_sha256(manifest),
        writes_entry=int(job_end.writes_entry),
    )


def _changed_sha256(manifest: ManifestAtEnd) -> str | None:
    return manifest.sha256 if manifest.state is ManifestState.CHANGED else None


def note(tx: Transaction, claim: Claim, event_type: EventType, phase: str, **facts: object) -> None:
    """Append an event about the job."""
    payload = facts | {"job_id": claim.job_id, "phase": phase, "worker": claim.worker}
    ledger.append_event(tx, claim.batch_id, event_type, payload, claim.worker)
