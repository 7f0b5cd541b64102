"""Prefetch the documents of the next items, and check their files, while others are written.

Memory is bounded by a budget of bytes, in which the next item in order always has room (docs/CONTRACT.md, "9. Import").
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from itertools import count
from threading import Condition, Event
from time import monotonic
from typing import NamedTuple

from .. import file_check
from ..errors import FileUnreadableError, MountTimeoutError, MountUnavailableError, NotFoundError, PanelError
from ..manifest import Derivative, InvalidItem, Item
from ..models import SIZE, Decision
from ..mount import Document, ItemFolder, Mount
from ..mount.threads import DaemonThreadPool as Threads
from ..mount.threads import wait_for
from .item_documents import ItemDocuments, collect_documents

PREFETCH_BYTES = 16 * 1024 * 1024
# Items that are awaited together where memory allows it, since each waking of the writing thread takes time.
AWAITED_ITEMS = 8
# Seconds that the mount may take for one read.
MOUNT_TIMEOUT_SECONDS = 120


class NoAssetError(PanelError):
    """An invalid item was to be read or written."""

    message = "The item is invalid."


class ImportItem(NamedTuple):
    """An item that is imported; `id` is that of its row in the ledger.

    `documents` are its documents, when they were read; `problem` says why they could not be, or what is wrong with its
    files. `is_io_error`: a file could not be read again and again; `is_missing`: its folder or source is missing.
    `approved` has the changes of the plan as JSON, `target_digest` the asset that it saw, `item_digest` what it
    binds. `checked_how` says how the files of its derivatives were compared.
    """

    position: int
    item: Item | InvalidItem
    planned: Decision | None
    documents: ItemDocuments | None = None
    problem: str | None = None
    id: int | None = None
    approved: str | None = None
    target_digest: str | None = None
    item_digest: str | None = None
    is_io_error: bool = False
    is_missing: bool = False
    checked_how: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.item.asset_type, self.item.asset_hash

    @property
    def asset(self) -> Item:
        """The item, if it is valid.

        Raises: NoAssetError.
        """
        if isinstance(self.item, InvalidItem):
            raise NoAssetError(f"The item {self.item.asset_hash} is invalid: {'; '.join(self.item.problems)}")
        return self.item

    @property
    def size(self) -> int:
        return self.documents.size if self.documents else 0

    @property
    def was_read(self) -> bool:
        """Whether its files were read, or could not be."""
        return self.documents is not None or self.problem is not None

    def compared(self, derivative: Derivative) -> str | None:
        """What was compared of a derivative's file, None if it was not checked."""
        return file_check.checked_how(derivative, self.checked_how) if self.checked_how else None


class MemoryBudget:
    """The budget of document bytes in memory.

    Items have turns, counted from 0. The first one that is not consumed may exceed the budget, so that it cannot block
    forever.
    """

    def __init__(self, most: int):
        self._most, self._first, self._closed = most, 0, False
        self._bytes: dict[int, int] = {}
        self.held = 0
        self._changed = Condition()

    @property
    def is_wide(self) -> bool:
        """Whether more than half of the budget is free."""
        return 2 * self.held < self._most

    def wait(self, turn: int) -> None:
        """Wait for room for a document; raise MountUnavailableError after `close`."""
        if self.held < self._most and not self._closed:
            return  # needs no lock: another thread may add its document at the same time in any case
        with self._changed:
            self._changed.wait_for(lambda: self._closed or turn == self._first or self.held < self._most)
            if self._closed:
                raise MountUnavailableError("The worker stopped reading documents from the mount.")

    def add(self, turn: int, size: int) -> None:
        """Count the bytes of a document that was read."""
        with self._changed:
            self._bytes[turn] = self._bytes.get(turn, 0) + size
            self.held += size

    def forget(self, turn: int) -> None:
        """Free the bytes of an item that is read again."""
        if turn not in self._bytes:
            return  # needs no lock: only the thread that reads the item adds its bytes
        with self._changed:
            self.held -= self._bytes.pop(turn, 0)
            self._changed.notify_all()

    def hand_over(self, turn: int) -> None:
        """Free the bytes of a consumed item; the next one becomes the first."""
        with self._changed:
            self.held -= self._bytes.pop(turn, 0)
            self._first = turn + 1
            self._changed.notify_all()

    def close(self) -> None:
        """End all waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class AllUnreadableError(FileUnreadableError):
    """No item of a chunk could be read, so that the mount is in doubt rather than the items."""


class DocumentPrefetcher:
    """Reads documents and checks files in threads; calls `checkpoint` while it waits for them.

    `needs_check` says of which items the files are checked, `verify` how. Memory holds at most PREFETCH_BYTES bytes,
    one more document for each thread, and all documents of the first item.
    """

    def __init__(
        self, mount: Mount, threads: int, checkpoint: Callable[[], None], *,
        verify: str = SIZE, needs_check: Callable[[ImportItem], bool] = lambda entry: True,
    ):
        self._mount, self._attend, self._verify, self._needs_check = mount, checkpoint, verify, needs_check
        self._threads, self._room = Threads(threads), MemoryBudget(PREFETCH_BYTES)
        self._turns, self._ended = count(), Event()
        # turn -> monotonic time of the latest block or document that was read
        self._read_at: dict[int, float] = {}

    def __enter__(self) -> "DocumentPrefetcher":
        return self

    def __exit__(self, *exc: object) -> None:
        self._ended.set()
        self._threads.__exit__(*exc)
        self._room.close()

    def prefetch(
        self, entries: Iterable[ImportItem], needed: Callable[[ImportItem], bool], window: int
    ) -> Iterator[ImportItem]:
        """Yield the items in order, with their documents where `needed`.

        Raises: MountUnavailableError.
        """
        waiting: deque[tuple[ImportItem, int, Future[ImportItem] | None]] = deque()
        for entry in entries:
            waiting.append((entry, *(self._begin(entry) if needed(entry) else (0, None))))
            if len(waiting) >= window:
                yield self._take(waiting)
        while waiting:
            yield self._take(waiting)

    def _begin(self, entry: ImportItem) -> tuple[int, Future[ImportItem]]:
        turn = next(self._turns)
        return turn, self._threads.submit(self._fetch, turn, entry)

    def _take(self, waiting: deque[tuple[ImportItem, int, Future[ImportItem] | None]]) -> ImportItem:
        entry, turn, future = waiting.popleft()
        if future is None:
            return entry
        ahead = waiting[min(AWAITED_ITEMS, len(waiting)) - 1][2] if waiting and self._room.is_wide else None
        try:
            return self._wait(turn, self._threads.result_scaling_up(future, ahead))
        finally:
            self._room.hand_over(turn)
            self._read_at.pop(turn, None)

    def _wait(self, turn: int, future: Future[ImportItem]) -> ImportItem:
        """Wait for an item as long as its files are being read."""
        if future.done():
            return future.result()
        while True:
            try:
                read: ImportItem = wait_for(future, self._attend, MOUNT_TIMEOUT_SECONDS)
                return read
            except MountTimeoutError:
                if monotonic() - self._read_at.get(turn, 0.0) >= MOUNT_TIMEOUT_SECONDS:
                    raise

    def _fetch(self, turn: int, entry: ImportItem) -> ImportItem:
        try:
            return file_check.read_again(lambda: self._read(turn, entry), self._ended.wait)
        except FileUnreadableError as error:
            return entry._replace(problem=str(error), is_io_error=True)
        except MountUnavailableError:
            raise
        except PanelError as error:
            return entry._replace(problem=str(error), is_missing=isinstance(error, NotFoundError))

    def _read(self, turn: int, entry: ImportItem) -> ImportItem:
        """Read the documents of an item, then check its files. Raises PanelError."""
        self._room.forget(turn)
        item = entry.asset
        with self._mount.open_item(item.path or "") as folder:
            documents = collect_documents(self._one_by_one(turn, folder))
            if not self._needs_check(entry):
                return entry._replace(documents=documents)
            problems = file_check.find_problems(folder, item, self._verify, lambda: self._note_read(turn))
        if problems:
            return entry._replace(problem="; ".join(problems))
        return ImportItem(
            entry.position, entry.item, entry.planned, documents, entry.problem, entry.id, entry.approved,
            entry.target_digest, entry.item_digest, entry.is_io_error, entry.is_missing, self._verify,
        )

    def _note_read(self, turn: int) -> None:
        """Note that an item is being read; raise MountUnavailableError after the end of the import."""
        self._read_at[turn] = monotonic()
        if self._ended.is_set():
            raise MountUnavailableError("The worker stopped reading files from the mount.")

    def _one_by_one(self, turn: int, folder: ItemFolder) -> Iterator[Document]:
        """Yield the documents of an item, each after a wait for room."""
        documents = iter(self._mount.read_documents(folder))
        self._room.wait(turn)
        for document in documents:
            self._note_read(turn)
            self._room.add(turn, len(document.content))
            yield document
            self._room.wait(turn)


def chunk_by_size(
    entries: Iterable[ImportItem], most: int, most_bytes: int = PREFETCH_BYTES
) -> Iterator[list[ImportItem]]:
    """Yield chunks, ended by a number of items or of document bytes."""
    chunk: list[ImportItem] = []
    size = 0
    for entry in entries:
        chunk.append(entry)
        size += entry.size
        if len(chunk) >= most or size >= most_bytes:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
