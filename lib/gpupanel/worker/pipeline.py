"""The import of one batch: its items in chunks, then its containers in groups.

The worker and the dry run share this code and differ in their `ImportTarget`: the worker commits each chunk under its
claim, the dry run writes all of them in one transaction that is rolled back (docs/CONTRACT.md, "9. Import").
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cached_property, partial
from typing import NamedTuple, Protocol

from ..db import chunked
from ..library_reader import AssetKey
from ..manifest import Container, InvalidItem, Item, Manifest
from ..models import SIZE, BatchStatus, Decision
from ..mount import Mount, call_with_timeout
from ..bundle_inspection import first_folder
from ..rows import PlannedItem
from . import containers
from .chunk_writer import ChunkWriter, DocumentsRequired, ImportRun
from .claims import ImportResult
from .container_writer import ContainerWriter
from .containers import PendingContainer
from .document_prefetch import (
    AllUnreadableError, DocumentPrefetcher, ImportItem, MOUNT_TIMEOUT_SECONDS, chunk_by_size,
)
from .entry_writers import ContainerGroupWriter, ItemWriter
from .item_decision import LEAVES, needs_documents


class ImportTarget(Protocol):
    """The transactions in which a pipeline writes."""

    def checkpoint(self) -> None:
        """Run between transactions; may raise to stop the import."""

    def planned_items(self, keys: list[AssetKey]) -> dict[AssetKey, PlannedItem]:
        """Return the ledger's rows of these items."""

    def is_open(self, row: PlannedItem) -> bool:
        """Return whether the item of this row is still to be imported."""

    def settle(self, writer: ItemWriter, chunk: list[ImportItem]) -> list[ImportItem]:
        """Write a chunk, or item by item when the database refuses it; return what is still open."""

    def open_containers(self, entries: list[tuple[int, Container]]) -> list[PendingContainer]:
        """Return those of these containers that are still to be imported."""

    def settle_containers(
        self, writer: ContainerGroupWriter, group: list[PendingContainer]
    ) -> list[PendingContainer]:
        """Write a group of containers, or one step of a large one; return what is still open.

        They are written one by one when the database refuses the group.
        """


class Limits(NamedTuple):
    """Items in one transaction, threads that read documents, and how files are checked.

    `fails_unreadable`: a chunk of which nothing can be read fails, as in the last attempt; else it stops the import.
    """

    chunk_items: int
    readers: int
    verify: str = SIZE
    fails_unreadable: bool = False


class Entries(Protocol):
    """What a batch imports: a manifest, or the plan of an undo. Both collections can be iterated over again."""

    @property
    def action(self) -> str: ...

    @property
    def items(self) -> Collection[Item | InvalidItem]: ...

    @property
    def containers(self) -> Collection[Container]: ...


class Work(NamedTuple):
    """The entries of a batch, and what writes them; an undo writes the containers first."""

    entries: Entries
    items: ItemWriter
    containers: ContainerGroupWriter
    containers_first: bool = False


def work_of_bundle(run: ImportRun, manifest: Manifest) -> Work:
    """The work of a bundle."""
    return Work(manifest, ChunkWriter(run, manifest), ContainerWriter(run, manifest.action))


class Pipeline:
    """Imports the items and containers of one batch into a target."""

    def __init__(self, target: ImportTarget, mount: Mount, work: Work, limits: Limits):
        self._target, self._mount, self._work, self._limits = target, mount, work, limits
        self._entries = work.entries

    def run(self) -> None:
        """Import everything still open."""
        steps = [self._import_items, self._import_containers]
        for step in steps[::-1] if self._work.containers_first else steps:
            step()

    # ---------------------------------------------------------------------------------------------- items

    def _import_items(self) -> None:
        self._write_items(self._settle)

    def _write_items(self, settle: Callable[[list[ImportItem]], None]) -> None:
        action = self._entries.action
        self._read_and_write(self._open_items(), lambda entry: needs_documents(action, entry), settle, _is_written)

    def _open_items(self) -> Iterator[ImportItem]:
        for entries in chunked(enumerate(self._entries.items)):
            rows = self._target.planned_items([(item.asset_type, item.asset_hash) for _, item in entries])
            for position, item in entries:
                row = rows.get((item.asset_type, item.asset_hash))
                if row is None:
                    yield ImportItem(position, item, None)
                elif self._target.is_open(row):
                    planned = Decision(row["planned"]) if row["planned"] else None
                    yield ImportItem(
                        position, item, planned, id=row["id"], approved=row["changes"],
                        target_digest=row["target_digest"], item_digest=row["item_digest"],
                    )

    def _read_and_write(
        self, entries: Iterable[ImportItem], needed: Callable[[ImportItem], bool],
        settle: Callable[[list[ImportItem]], None], needs_check: Callable[[ImportItem], bool] = lambda entry: True,
    ) -> None:
        """Read the documents of the items that need them, and settle the items in chunks."""
        chunk_items = self._limits.chunk_items
        with DocumentPrefetcher(
            self._mount, self._limits.readers, self._target.checkpoint,
            verify=self._limits.verify, needs_check=needs_check,
        ) as readers:
            for chunk in chunk_by_size(readers.prefetch(entries, needed, 2 * chunk_items), chunk_items):
                self._suspect_mount(chunk)
                settle(chunk)

    def _suspect_mount(self, chunk: list[ImportItem]) -> None:
        """Tell a mount that is away or fails from items whose files are missing or unreadable.

        Raises: MountUnavailableError, AllUnreadableError.
        """
        if any(entry.is_missing for entry in chunk):
            look = partial(self._mount.check_available, self._first_folders)
            call_with_timeout(look, self._target.checkpoint, MOUNT_TIMEOUT_SECONDS)
        read = [entry for entry in chunk if entry.was_read]
        if read and all(entry.is_io_error for entry in read) and not self._limits.fails_unreadable:
            number = f"none of {len(read)} items" if len(read) > 1 else "the item"
            raise AllUnreadableError(f"{number} could be read: {read[0].problem}")

    @cached_property
    def _first_folders(self) -> set[str]:
        return {first_folder(item) for item in self._entries.items if isinstance(item, Item)}

    def _settle(self, chunk: list[ImportItem]) -> None:
        """Settle a chunk, again with documents when these are needed."""
        while chunk:
            self._target.checkpoint()
            try:
                chunk = self._target.settle(self._work.items, chunk)
            except DocumentsRequired as required:
                unread = {entry.key for entry in required.entries}
                break
        if chunk:
            self._read_and_write(chunk, lambda entry: entry.key in unread, self._settle)

    # ----------------------------------------------------------------------------------------- containers

    def _import_containers(self) -> None:
        for group in containers.group(self._open_containers()):
            self._import_group(group)

    def _open_containers(self) -> Iterator[PendingContainer]:
        for entries in chunked(enumerate(self._entries.containers)):
            yield from self._target.open_containers(entries)

    def _import_group(self, group: list[PendingContainer]) -> None:
        while group:
            self._target.checkpoint()
            group = self._target.settle_containers(self._work.containers, group)


def _is_written(entry: ImportItem) -> bool:
    """Whether an item is planned to be written; the preflight alone checks the files of the others."""
    return entry.planned not in LEAVES


def result_of_counts(items: dict[str, int], container_counts: dict[str, int]) -> ImportResult:
    """Return how a batch ends, by the decisions of its items and containers."""
    total, failed = sum(items.values()), items.get(Decision.FAILED, 0)
    incomplete = container_counts.get(Decision.FAILED, 0)
    if not failed and not incomplete:
        return ImportResult(BatchStatus.COMPLETED, items, container_counts, None)
    problems = [f"{failed} of {total} items failed"] if failed else []
    problems += [f"incomplete containers: {incomplete}"] if incomplete else []
    has_no_success = failed == total if total else incomplete == sum(container_counts.values())
    status = BatchStatus.FAILED if has_no_success else BatchStatus.PARTIAL
    return ImportResult(status, items, container_counts, "; ".join(problems))
