"""A transaction that notes what it writes to the library, so that it can be told after it was undone."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from ..database import Transaction
from ..errors import PanelError


class Written(NamedTuple):
    """One row as a statement wrote it; `values` are the statement's parameters."""

    statement: str
    values: dict[str, Any]


class Recorder(Transaction):
    """Every write to the library goes through `run`, `insert` or `run_many`; what a savepoint undoes is forgotten."""

    def __init__(self, tx: Transaction):
        super().__init__(tx._connection)
        self._written: list[Written] = []

    def run(self, name: str, **params) -> int:
        found = super().run(name, **params)
        self._written.append(Written(name, params))
        return found

    def insert(self, name: str, **params) -> int:
        made = super().insert(name, **params)
        self._written.append(Written(name, params))
        return made

    def run_many(self, name: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        returned = super().run_many(name, rows)
        self._written += [Written(name, row) for row in rows]
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

    def take(self) -> list[Written]:
        """What was written since this was asked last."""
        written, self._written = self._written, []
        return written
