"""Items that jobs settled per hour in 24 hours, failed ones too; templates/tasks_chart.html."""

from datetime import datetime, timedelta
from typing import Any

from ...db import ReadTransaction

HOURS = 24
HOUR = timedelta(hours=1)
MOST_JOBS = 5_000


def load_chart(tx: ReadTransaction) -> dict[str, Any]:
    """Return the chart: items of each hour, the last one still incomplete.

    `since` is None, or the earliest end of a counted job if more than MOST_JOBS jobs ended in that time.
    """
    now = tx.fetch_value("job_queue.now")
    first = now.replace(minute=0, second=0, microsecond=0) - (HOURS - 1) * HOUR
    groups = tx.fetch_all("job_queue.hours", since=first, limit=MOST_JOBS, perl_offset=tx.perl_offset(0))
    cut = sum(group["jobs"] for group in groups) >= MOST_JOBS
    items = _spread(groups, first, now)
    return {
        "hours": [{"hour": first + index * HOUR, "items": number} for index, number in enumerate(items)],
        "total": sum(items),
        "since": min(group["reach"] for group in groups) if cut else None,
    }


def _spread(groups: list[dict[str, Any]], first: datetime, now: datetime) -> list[int]:
    """Return the items of each hour, spreading a job's over its run time."""
    shares = [0.0] * HOURS
    for group in groups:
        begin, end = group["first"], max(group["last"], group["first"])
        for index in range(HOURS):
            shares[index] += int(group["items"]) * _overlap(begin, end, first + index * HOUR)
    return [round(share) for share in shares]


def _overlap(begin: datetime, end: datetime, hour: datetime) -> float:
    """Return the share of a span that lies in an hour."""
    if begin == end:
        return float(hour <= begin < hour + HOUR)
    inside = min(end, hour + HOUR) - max(begin, hour)
    return max(timedelta(), inside) / (end - begin)
