"""Items imported an hour over the last day; templates/tasks_chart.html draws them."""

from datetime import datetime, timedelta
from typing import Any

from ... import queue
from ...database import Reading

HOURS = 24
HOUR = timedelta(hours=1)
MOST_JOBS = 5_000


def read(tx: Reading) -> dict[str, Any]:
    """`hours` (the last 24, each from its `hour` on, the latest still under way), `total`, the items of all of them, and
    `since`: what ended earlier is not counted, since more than MOST_JOBS ended after it; None when all are."""
    now = tx.value("queue.now")
    first = now.replace(minute=0, second=0, microsecond=0) - (HOURS - 1) * HOUR
    groups = tx.all("queue.hours", since=first, limit=MOST_JOBS)
    cut = sum(group["jobs"] for group in groups) >= MOST_JOBS
    items = _spread(groups, first, now)
    return {
        "hours": [{"hour": first + place * HOUR, "items": number} for place, number in enumerate(items)],
        "total": sum(items),
        "since": min(group["reach"] for group in groups) if cut else None,
    }


def _spread(groups: list[dict], first: datetime, now: datetime) -> list[int]:
    """Items by hour: those of jobs that ran through several hours are shared out evenly over the time that they took."""
    shares = [0.0] * HOURS
    for group in groups:
        begin, end = group["first"], max(group["last"], group["first"])
        for place in range(HOURS):
            shares[place] += int(group["items"]) * _overlap(begin, end, first + place * HOUR)
    return [round(share) for share in shares]


def _overlap(begin: datetime, end: datetime, hour: datetime) -> float:
    """Which part of a span lies in an hour; a moment lies in the hour that holds it."""
    if begin == end:
        return float(hour <= begin < hour + HOUR)
    inside = min(end, hour + HOUR) - max(begin, hour)
    return max(timedelta(), inside) / (end - begin)
