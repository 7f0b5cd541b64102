"""How a running job gets on: how fast, for how long still, and whether its worker is stalled or dead.

What is known comes from the job's row and from its events: `job_claimed` says how far it was when it was claimed, and
`job_progress` (at most one each 10 s, docs/CONTRACT.md, 7) how far it was since.
"""

import json
from datetime import datetime, timedelta
from math import sqrt
from typing import Any, NamedTuple

RUNNING, STALLED, DEAD = "running", "stalled", "dead"
EVENT_GAP = timedelta(seconds=10)  # what is settled within it after an event writes no event of its own
LITTLE = timedelta(seconds=10)  # a pace that is known from less than this is not told
STALL = 1 / 3  # of the time after which a silent worker is dead: so long without an item, and it is stalled


class Mark(NamedTuple):
    """How many items were done at a moment."""

    at: datetime
    items: int


class Pace(NamedTuple):
    """`condition` is RUNNING, STALLED (its worker lives, no item was settled for a while) or DEAD (its worker was silent for
    longer than the threshold). `quiet` is how long ago the last item was settled, or the job claimed. `per_second` and
    `left`, the least and the most time it may still take, are None while too little is known."""

    condition: str
    quiet: timedelta
    per_second: float | None
    left: tuple[timedelta, timedelta] | None


def of(job: dict[str, Any], events: list[dict[str, Any]], stale: timedelta) -> Pace:
    """The pace of a running job (a row of `queue.running`) by its events, the oldest first."""
    marks = _marks(job, events)
    quiet = _quiet(job, marks)
    condition = _condition(job, quiet, stale)
    rates = _rates(job, marks) if condition == RUNNING else []
    return Pace(condition, quiet, rates[0] if rates else None, _left(job, rates, len(marks)))


def _marks(job: dict, events: list[dict]) -> list[Mark]:
    """The marks of this claim, the oldest first; those from before its batch was planned anew are left out."""
    told = [(event["created_at"], json.loads(event["payload"])) for event in events]
    mine = [Mark(at, payload["items_done"]) for at, payload in told
            if at >= _begun(job) and payload.get("job_id") == job["id"] and "items_done" in payload]
    latest, kept = job["items_done"], []
    for mark in reversed(mine):
        if mark.items > latest:
            break
        latest = mark.items
        kept.append(mark)
    return kept[::-1]


def _begun(job: dict) -> datetime:
    """Another worker may not have said when it claimed the job."""
    return job["claimed_at"] or job["queued_at"]


def _quiet(job: dict, marks: list[Mark]) -> timedelta:
    if not marks:
        return job["now"] - _begun(job)
    last = marks[-1]
    unmarked = EVENT_GAP if job["items_done"] > last.items else timedelta()
    return max(timedelta(), job["now"] - last.at - unmarked)


def _condition(job: dict, quiet: timedelta, stale: timedelta) -> str:
    if job["heartbeat_at"] is None or job["now"] - job["heartbeat_at"] > stale:
        return DEAD
    return STALLED if quiet > stale * STALL else RUNNING


def _rates(job: dict, marks: list[Mark]) -> list[float]:
    """Items a second: lately, and since the first mark. None while nothing was settled, or for too short a time."""
    first, later = marks[:1], marks[1:2]
    rates = [_rate(mark, job) for mark in later + first if job["now"] - mark.at >= LITTLE]
    return [rate for rate in rates if rate > 0]


def _rate(mark: Mark, job: dict) -> float:
    return (job["items_done"] - mark.items) / (job["now"] - mark.at).total_seconds()


def _left(job: dict, rates: list[float], marks: int) -> tuple[timedelta, timedelta] | None:
    """The more marks, the narrower."""
    if not rates:
        return None
    doubt, items = 1 + 1 / sqrt(marks), max(0, job["items_total"] - job["items_done"])
    return timedelta(seconds=items / max(rates) / doubt), timedelta(seconds=items / min(rates) * doubt)
