"""What writers of items and of containers share: what is recorded, and entries one by one.

A bundle and an undo have writers of their own (docs/decisions/0150-undo-is-a-batch.md).
"""

from abc import ABC, abstractmethod
from itertools import groupby

from .. import ledger
from ..db import DataError, Transaction
from ..ledger import results
from ..models import REFUSED_BY_DATABASE, Decision
from .containers import PendingContainer, SettledContainer
from .document_prefetch import ImportItem
from .item_decision import ItemDecision
from .item_results import SettledItem, Written, settled_item


class ItemWriter(ABC):
    """Writes the chunks of one batch; a dry run has no job."""

    def __init__(self, batch_id: int, job_id: int | None):
        self._batch_id, self._job_id = batch_id, job_id

    @abstractmethod
    def write(self, tx: Transaction, entries: list[ImportItem]) -> list[SettledItem]:
        """Write the library rows of a chunk; return what is to be recorded of each item.

        Raises: DataError or DatabaseConflictError.
        """

    def record(self, tx: Transaction, settled: list[SettledItem]) -> None:
        """Write results and ledger rows; a dry run has neither."""
        self.append_results(tx, settled)
        self.record_in_ledger(tx, settled)

    def append_results(self, tx: Transaction, settled: list[SettledItem]) -> None:
        """Write the results, which lock no other row."""
        if self._job_id is not None:
            results.insert_of_items(tx, self._batch_id, self._job_id, [each.result for each in settled])

    def record_in_ledger(self, tx: Transaction, settled: list[SettledItem]) -> None:
        """Write the ledger rows, whose foreign key locks the job: shared, unless the fence has locked it before."""
        if self._job_id is not None:
            ledger.record_results(tx, self._batch_id, self._job_id, [each.plan for each in settled])

    def write_individually(self, tx: Transaction, entries: list[ImportItem]) -> list[SettledItem]:
        """Write and record each item under a savepoint; only those that the database refuses fail."""
        settled = []
        for entry in entries:
            try:
                with tx.savepoint():
                    done = self.write(tx, [entry])
                    self.record(tx, done)
            except DataError as error:
                refused = ItemDecision(entry, Decision.WILL_FAIL, f"{REFUSED_BY_DATABASE}: {error}")
                done = [settled_item(refused, Written())]
                self.record(tx, done)
            settled += done
        return settled


class ContainerGroupWriter(ABC):
    """Writes the containers of one batch."""

    def write(self, tx: Transaction, entries: list[PendingContainer]) -> list[SettledContainer]:
        """Write a group of containers, or one step of a large container.

        Raises: DataError or DatabaseConflictError.
        """
        by_key = sorted(entries, key=lambda entry: entry.key)
        settled = [
            each for kind, same in groupby(by_key, lambda entry: entry.container.type)
            for each in self._write_type(tx, kind, list(same))
        ]
        return sorted(settled, key=lambda each: each.entry.position)

    @abstractmethod
    def _write_type(self, tx: Transaction, kind: str, entries: list[PendingContainer]) -> list[SettledContainer]:
        """Write containers of one type, sorted by key. Raises DataError or DatabaseConflictError."""

    def write_individually(self, tx: Transaction, entries: list[PendingContainer]) -> list[SettledContainer]:
        """Write each container under a savepoint; only those that the database refuses fail."""
        settled = []
        for entry in sorted(entries, key=lambda entry: entry.key):
            try:
                with tx.savepoint():
                    settled += self.write(tx, [entry])
            except DataError as error:
                reason = f"{REFUSED_BY_DATABASE}: {error}"
                settled.append(SettledContainer(entry, Decision.FAILED, reason, last_error=reason, is_refused=True))
        return sorted(settled, key=lambda each: each.entry.position)
