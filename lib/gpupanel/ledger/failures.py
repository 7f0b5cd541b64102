"""Why items and containers of a batch fail, grouped by reason."""

import re
from collections import Counter
from typing import Any, NamedTuple

from ..db import ReadTransaction

MAX_ROWS = 200  # failing items, and failing containers, that a page groups
MAX_REASONS = 3
OWN_FOLDER = re.compile(r"\b(?:[\w.-]+/)*[0-9a-f]{16,64}[\w.-]*/")


class FailureReason(NamedTuple):
    """A reason, the `number` of items or containers with it, and whether there may be more."""

    kind: str
    number: int
    reason: str
    may_be_more: bool


def failure_reasons(tx: ReadTransaction, batch_id: int) -> list[FailureReason]:
    """The most frequent reasons among the first failing items, then containers."""
    return [
        *_grouped("items", tx.fetch_all("failures.items", batch_id=batch_id, limit=MAX_ROWS + 1)),
        *_grouped("containers", tx.fetch_all("failures.containers", batch_id=batch_id, limit=MAX_ROWS + 1)),
    ]


def _grouped(kind: str, rows: list[dict[str, Any]]) -> list[FailureReason]:
    """Group by reason, without the folder of each item in it."""
    counts = Counter(OWN_FOLDER.sub("", row["reason"]) for row in rows[:MAX_ROWS])
    may_be_more = len(rows) > MAX_ROWS
    return [FailureReason(kind, number, reason, may_be_more) for reason, number in counts.most_common(MAX_REASONS)]
