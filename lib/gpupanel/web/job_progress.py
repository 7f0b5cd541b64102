"""Throughput, estimated time left and liveness of a running job.

The estimate uses the job's row and its events: `job_claimed` records the progress at the claim, `job_progress` (at most
one per 10 s; docs/CONTRACT.md, "7. Events") the progress since.
"""

from datetime import datetime, timedelta
from math import sqrt
from typing import NamedTuple

from ..rows import EventRow, ListedJob
from ..text import json_object, whole_number

RUNNING, STALLED, DEAD = "running", "stalled", "dead"
EVENT_GAP = timedelta(seconds=10)  # items finished this soon after an event get no event of their own
MIN_SAMPLE = timedelta(seconds=10)  # shorter measurements give no rate
# A job without a finished item for this fraction of the stale threshold is stalled.
STALLED_FRACTION = 1 / 3


class ProgressSample(NamedTuple):
    """Number of finished items at a time."""

    at: datetime
    items: int


class JobProgress(NamedTuple):
    """Progress of a running job.

    `condition` is RUNNING, STALLED (the worker lives, but finished no item for a while) or DEAD (the heartbeat is older
    than the threshold). `quiet` is the time since the last finished item, or since the claim. `per_second`, and `left`
    (the least and the most time left), are None until enough is measured.
    """

    condition: str
    quiet: timedelta
    per_second: float | None
    left: tuple[timedelta, timedelta] | None


def estimate(job: ListedJob, events: list[EventRow], stale: timedelta) -> JobProgress:
    """Estimate a running job's progress from its events, oldest first."""
    samples = _samples(job, events)
    quiet = _idle_for(job, samples)
    condition = _liveness(job, quiet, stale)
    rates = _rates(job, samples) if condition == RUNNING else []
    return JobProgress(condition, quiet, rates[0] if rates else None, _eta_range(job, rates, len(samples)))


def _samples(job: ListedJob, events: list[EventRow]) -> list[ProgressSample]:
    """Return the samples of this claim since the job last started over."""
    payloads = [(event["created_at"], json_object(event["payload"]) or {}) for event in events]
    recorded = [
        ProgressSample(at, items) for at, payload in payloads
        if at >= _claimed_at(job) and whole_number(payload.get("job_id")) == job["id"]
        and (items := whole_number(payload.get("items_done"))) is not None
    ]
    latest, kept = job["items_done"], []
    for sample in reversed(recorded):
        if sample.items > latest:
            break
        latest = sample.items
        kept.append(sample)
    return kept[::-1]


def _claimed_at(job: ListedJob) -> datetime:
    """Return the time of the claim, or of queueing if it is unknown."""
    return job["claimed_at"] or job["queued_at"]


def _idle_for(job: ListedJob, samples: list[ProgressSample]) -> timedelta:
    if not samples:
        return job["now"] - _claimed_at(job)
    last = samples[-1]
    unrecorded = EVENT_GAP if job["items_done"] > last.items else timedelta()
    return max(timedelta(), job["now"] - last.at - unrecorded)


def _liveness(job: ListedJob, quiet: timedelta, stale: timedelta) -> str:
    seen = job["heartbeat_at"] or job["claimed_at"]
    if seen is None or job["now"] - seen > stale:
        return DEAD
    return STALLED if quiet > stale * STALLED_FRACTION else RUNNING


def _rates(job: ListedJob, samples: list[ProgressSample]) -> list[float]:
    """Return the measurable rates: since the second sample and the first."""
    first, later = samples[:1], samples[1:2]
    rates = [_rate(sample, job) for sample in later + first if job["now"] - sample.at >= MIN_SAMPLE]
    return [rate for rate in rates if rate > 0]


def _rate(sample: ProgressSample, job: ListedJob) -> float:
    return (job["items_done"] - sample.items) / (job["now"] - sample.at).total_seconds()


def _eta_range(job: ListedJob, rates: list[float], samples: int) -> tuple[timedelta, timedelta] | None:
    """Return the range of time left; more samples make it narrower."""
    if not rates:
        return None
    margin, items = 1 + 1 / sqrt(samples), max(0, job["items_total"] - job["items_done"])
    return timedelta(seconds=items / max(rates) / margin), timedelta(seconds=items / min(rates) * margin)


def settled_containers(event: EventRow, job_id: int) -> dict[str, int] | None:
    """Return `done` and `total` of the containers in a progress event of this job; None if it names none."""
    payload = event["payload"]
    payload = (json_object(payload) or {}) if isinstance(payload, str) else payload
    done, total = whole_number(payload.get("containers_done")), whole_number(payload.get("containers_total"))
    if whole_number(payload.get("job_id")) != job_id or done is None or not total:
        return None
    return {"done": done, "total": total}
