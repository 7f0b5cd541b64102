"""A transaction that records its writes, for the output of a dry run."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from ..db import Transaction
from ..errors import PanelError


class RecordedWrite(NamedTuple):
    """One row that a statement wrote; `values` are the statement's parameters."""

    statement: str
    values: dict[str, Any]


class RecordingTransaction(Transaction):
    """Records written rows, less those that a savepoint rolls back."""

    def __init__(self, tx: Transaction):
        super().__init__(tx._connection, tx.perl_zone)
        self._written: list[RecordedWrite] = []

    def execute(self, name: str, **params: Any) -> int:
        rows = super().execute(name, **params)
        self._written.append(RecordedWrite(name, params))
        return rows

    def insert(self, name: str, **params: Any) -> int:
        new_id = super().insert(name, **params)
        self._written.append(RecordedWrite(name, params))
        return new_id

    def insert_many(self, name: str, rows: list[dict[str, Any]], **fragments: str) -> list[dict[str, Any]]:
        returned = super().insert_many(name, rows, **fragments)
        self._written += [RecordedWrite(name, row) for row in rows]
        return returned

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        before = len(self._written)
        try:
            with super().savepoint():
                yield
        except PanelError:
            del self._written[before:]
            raise

    def take_writes(self) -> list[RecordedWrite]:
        """Return and clear the recorded writes."""
        written, self._written = self._written, []
        return written
