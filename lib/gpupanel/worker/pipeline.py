"""The import of one manifest: its items in chunks, then its containers.

The worker and the dry run share this code and differ in their `ImportTarget`: the worker commits each chunk under its
claim, the dry run writes all of them in one transaction that is rolled back (docs/CONTRACT.md, "9. Import").
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, Protocol

from ..library_reader import AssetKey
from ..db import DataError, chunked
from ..manifest import Container, Manifest
from ..models import BatchStatus, Decision
from ..mount import Mount
from . import containers
from .chunk_writer import ChunkWriter, DocumentsRequired, ImportRun
from .claims import ImportResult
from .containers import ContainerFailure, Step
from .document_prefetch import DocumentPrefetcher, ImportItem, chunk_by_size
from .item_decision import needs_documents

NOT_PLANNED = {"id": None, "planned": None, "decision": None, "job_id": None, "changes": None, "target_digest": None}


class ImportTarget(Protocol):
    """The transactions in which a pipeline writes."""

    def checkpoint(self) -> None:
        """Run between transactions; may raise to stop the import."""

    def planned_items(self, keys: list[AssetKey]) -> dict[AssetKey, dict[str, Any]]:
        """Return the ledger's rows of these items."""

    def is_open(self, row: dict[str, Any]) -> bool:
        """Return whether the item of this row is still to be imported."""

    def settle(self, writer: ChunkWriter, chunk: list[ImportItem]) -> list[ImportItem]:
        """Write a chunk, or item by item when the database refuses it; return what is still open."""

    def take(self, step: Step) -> list[str]:
        """Take one step of a container; return the hashes of missing members."""


class Limits(NamedTuple):
    """Items in one transaction, and threads that read documents."""

    chunk_items: int
    readers: int


class Pipeline:
    """Imports the items and containers of one manifest into a target."""

    def __init__(self, target: ImportTarget, mount: Mount, run: ImportRun, manifest: Manifest, limits: Limits):
        self._target, self._mount, self._batch_id, self._manifest = target, mount, run.batch_id, manifest
        self._limits = limits
        self._writer = ChunkWriter(run, manifest)

    def run(self) -> list[ContainerFailure]:
        """Import everything still open; return the incomplete containers."""
        action = self._manifest.action
        self._read_and_write(self._open_items(), lambda entry: needs_documents(action, entry))
        failures = (self._container(container) for container in self._manifest.containers)
        return [failure for failure in failures if failure]

    def _open_items(self) -> Iterator[ImportItem]:
        for entries in chunked(ImportItem(position, item, None) for position, item in enumerate(self._manifest.items)):
            rows = self._target.planned_items([entry.key for entry in entries])
            for entry in entries:
                row = rows.get(entry.key, NOT_PLANNED)
                if self._target.is_open(row):
                    planned = Decision(row["planned"]) if row["planned"] else None
                    yield entry._replace(
                        id=row["id"], planned=planned, approved=row["changes"], target_digest=row["target_digest"]
                    )

    def _read_and_write(self, entries: Iterable[ImportItem], needed: Callable[[ImportItem], bool]) -> None:
        chunk_items = self._limits.chunk_items
        with DocumentPrefetcher(self._mount, self._limits.readers, self._target.checkpoint) as readers:
            for chunk in chunk_by_size(readers.prefetch(entries, needed, 2 * chunk_items), chunk_items):
                self._settle(chunk)

    def _settle(self, chunk: list[ImportItem]) -> None:
        """Settle a chunk, again with documents when these are needed."""
        while chunk:
            self._target.checkpoint()
            try:
                chunk = self._target.settle(self._writer, chunk)
            except DocumentsRequired as unread:
                unread_keys = {entry.key for entry in unread.entries}
                return self._read_and_write(chunk, lambda entry: entry.key in unread_keys)

    def _container(self, container: Container) -> ContainerFailure | None:
        missing: list[str] = []
        try:
            for step in containers.container_steps(self._manifest.action, self._batch_id, container):
                self._target.checkpoint()
                missing += self._target.take(step)
        except DataError as error:
            return containers.rejected(container, error)
        return containers.missing_members(container, missing) if missing else None


def result_of_counts(counts: dict[str, int], container_failures: int) -> ImportResult:
    """Return how a batch ends, by the decisions of its items."""
    total, failed = sum(counts.values()), counts.get(Decision.FAILED, 0)
    if not failed and not container_failures:
        return ImportResult(BatchStatus.COMPLETED, counts, 0, None)
    problems = [f"{failed} of {total} items failed"] if failed else []
    problems += [f"incomplete containers: {container_failures}"] if container_failures else []
    status = BatchStatus.FAILED if failed and failed == total else BatchStatus.PARTIAL
    return ImportResult(status, counts, container_failures, "; ".join(problems))
