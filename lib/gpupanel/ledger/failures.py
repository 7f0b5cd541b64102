"""Why items and containers of a batch fail, grouped by reason."""

import re
from typing import Any, NamedTuple

from ..db import ReadTransaction

MAX_ROWS = 200  # failing items, and failing containers, that a page groups
MAX_REASONS = 3
# What is an item's own in a reason, and the words that items with the same trouble share.
SHARED_WORDS = (
    (re.compile(r"\bitems\[[0-9]+\]\."), ""),
    (re.compile(r"\b(?:[\w.-]+/)*[0-9a-f]{16,64}[\w.-]*/"), ""),
    (re.compile(r"\bfound no file, expected [0-9]+ bytes"), "found no file"),
    (re.compile(r"\bfound [0-9]+ bytes, expected [0-9]+"), "found another size than expected"),
    (re.compile(r"\bfound SHA-256 [0-9a-f.]+, expected [0-9a-f]+\.{3}"), "found another SHA-256 than expected"),
)


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
    """Group by reason, without what is each item's own in it; the reason of one item alone stays whole."""
    groups: dict[str, list[str]] = {}
    for row in rows[:MAX_ROWS]:
        groups.setdefault(_shared_part(row["reason"], row["path"]), []).append(row["reason"])
    most = sorted(groups.items(), key=lambda group: -len(group[1]))[:MAX_REASONS]
    may_be_more = len(rows) > MAX_ROWS
    return [
        FailureReason(kind, len(reasons), shared if len(reasons) > 1 else reasons[0], may_be_more)
        for shared, reasons in most
    ]


def _shared_part(reason: str, path: str | None) -> str:
    """Return a reason without what is its item's own: position, folder, sizes and digests."""
    shared = reason.replace(f"{path}/", "") if path else reason
    for own, words in SHARED_WORDS:
        shared = own.sub(words, shared)
    return shared
