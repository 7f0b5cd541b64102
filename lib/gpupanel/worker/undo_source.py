"""The source of a job that undoes a batch: the entries of its plan in the ledger, read page by page."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from .. import ledger
from ..db import Database, ReadTransaction
from ..errors import NotFoundError
from ..manifest import Container, Item
from ..models import Decision
from ..undo import UndoTarget
from .claims import SAME_MANIFEST, Claim, ManifestAtEnd
from .outage_retry import run_idempotent
from .pipeline import Work
from .undo_writers import UndoContainerWriter, UndoItemWriter

PAGE_ROWS = 500
BEFORE_ALL = (-1, 0)  # before each (position, id)


class UndoEntries:
    """What an undo takes back: the items and containers of its plan, without those that were withdrawn."""

    action = "undo"

    def __init__(self, db: Database, batch_id: int, item_count: int, container_count: int) -> None:
        self.items: Collection[Item] = PlannedItems(db, batch_id, item_count)
        self.containers: Collection[Container] = PlannedContainers(db, batch_id, container_count)


class _Planned(ABC):
    """Entries of a plan by position, in pages of the query `name`, which may have more parameters."""

    name = ""
    params: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, db: Database, batch_id: int, count: int) -> None:
        self._db, self._batch_id, self._count = db, batch_id, count

    def __len__(self) -> int:
        return self._count

    def __contains__(self, entry: object) -> bool:
        return any(each == entry for each in self)

    def __iter__(self) -> Iterator[Any]:
        position, row_id = BEFORE_ALL
        while rows := run_idempotent(self._db, self._page, position, row_id):
            yield from (self._entry(row) for row in rows if row["decision"] != Decision.WITHDRAWN)
            position, row_id = rows[-1]["position"], rows[-1]["id"]

    def _page(self, tx: ReadTransaction, position: int, row_id: int) -> list[dict[str, Any]]:
        where = {"batch_id": self._batch_id, "position": position, "id": row_id, "limit": PAGE_ROWS}
        return tx.fetch_all(self.name, **where, **self.params)

    @abstractmethod
    def _entry(self, row: dict[str, Any]) -> Item | Container:
        """Return the entry of a row of the plan."""


class PlannedItems(_Planned):
    """The items of a plan."""

    name = "undo.items"
    params = MappingProxyType({"are_covers": [0, 1]})

    def _entry(self, row: dict[str, Any]) -> Item:
        return Item(row["asset_type"], row["asset_hash"], cover_hash=row["cover_hash"])


class PlannedContainers(_Planned):
    """The containers of a plan; their members are in the results."""

    name = "undo.containers_of"

    def _entry(self, row: dict[str, Any]) -> Container:
        return Container(row["type"], row["container_hash"], row["title"], cover_hash=row["cover_hash"])


class UndoSource:
    """Reads what one claimed job undoes; no file on the mount is looked at."""

    sha256: str | None = None

    def __init__(self, db: Database, claim: Claim) -> None:
        self._db, self._claim = db, claim

    def open(self) -> Work:
        """Return the plan that was approved, and what carries it out. Raises NotFoundError."""
        claim = self._claim
        undo = self._db.run_read(ledger.get_batch, claim.sync_id)
        target = self._db.run_read(lambda tx: tx.fetch_one("undo.batch", batch_id=claim.undo_of))
        if target is None:
            raise NotFoundError(f"The batch that {claim.sync_id} undoes is not recorded.")
        undone = UndoTarget(target["id"], target["sync_id"])
        return Work(
            UndoEntries(self._db, claim.batch_id, undo["item_count"], undo["container_count"]),
            UndoItemWriter(claim.batch_id, claim.job_id, undone), UndoContainerWriter(undone), containers_first=True,
        )

    def compare_at_end(self) -> ManifestAtEnd:
        """Return that nothing changed: the plan cannot change while its job is active."""
        return SAME_MANIFEST
