"""The source of a job that undoes a batch: the entries of its plan in the ledger, read page by page."""

from collections.abc import Callable, Collection, Iterator
from functools import partial
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

Rows = list[dict[str, Any]]


class UndoEntries:
    """What an undo takes back: the items and containers of its plan, without those that were withdrawn."""

    action = "undo"

    def __init__(self, db: Database, batch_id: int, item_count: int, container_count: int) -> None:
        items, containers = (
            partial(_pages, db, "undo.items", {"batch_id": batch_id, "are_covers": [0, 1]}),
            partial(_pages, db, "undo.containers_of", {"batch_id": batch_id}),
        )
        self.items = PlannedEntries(items, _item, item_count)
        self.containers = PlannedEntries(containers, _container, container_count)


class PlannedEntries(Collection[Any]):
    """Entries of a plan by position, which `pages` yields anew for each iteration."""

    def __init__(self, pages: Callable[[], Iterator[Rows]], entry: Callable[[dict[str, Any]], Any], count: int) -> None:
        self._pages, self._entry, self._count = pages, entry, count

    def __len__(self) -> int:
        return self._count

    def __contains__(self, entry: object) -> bool:
        return any(each == entry for each in self)

    def __iter__(self) -> Iterator[Any]:
        for rows in self._pages():
            yield from (self._entry(row) for row in rows if row["decision"] != Decision.WITHDRAWN)


def _pages(db: Database, name: str, params: dict[str, Any]) -> Iterator[Rows]:
    position, row_id = BEFORE_ALL
    while rows := run_idempotent(db, _page, name, params | {"position": position, "id": row_id}):
        yield rows
        position, row_id = rows[-1]["position"], rows[-1]["id"]


def _page(tx: ReadTransaction, name: str, params: dict[str, Any]) -> Rows:
    return tx.fetch_all(name, limit=PAGE_ROWS, **params)


def _item(row: dict[str, Any]) -> Item:
    return Item(row["asset_type"], row["asset_hash"], cover_hash=row["cover_hash"])


def _container(row: dict[str, Any]) -> Container:
    """A container of a plan; its members are in the results."""
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
