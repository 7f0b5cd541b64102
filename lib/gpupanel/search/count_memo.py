"""Counts of batches, kept in the process until something happens (docs/decisions/0175-counts-are-kept.md).

A list shows 50 rows and counts up to 10,000 index entries, which cost more than the rows. Each change of a batch
appends an event in its transaction, so that the same newest events mean the same counts.
"""

from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

from ..db import ReadTransaction

T = TypeVar("T")

MAX_ENTRIES = 64


class CountMemo(Generic[T]):
    """Keeps the latest counts, such as of some filters, with the state of the ledger in which they were made."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, tuple[Hashable, T]] = {}
        self._lock = Lock()

    def get(self, tx: ReadTransaction, key: Hashable, state: Hashable, count: Callable[[], T]) -> T:
        """Return what `count()` returned in the same state, or returns now."""
        key = tx.address, key
        kept = self._kept.get(key)
        if kept and kept[0] == state:
            return kept[1]
        counts = count()
        with self._lock:
            self._kept.pop(key, None)
            while len(self._kept) >= MAX_ENTRIES:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = state, counts
        return counts
