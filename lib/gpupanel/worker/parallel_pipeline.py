"""The import of a large bundle: two threads write its chunks, each on a database connection of its own.

While the server executes the statements of one thread, the interpreter prepares those of the other. The main thread
reads ahead, calls the hooks, and settles whatever a thread could not (docs/decisions/0190-two-writing-threads.md).
"""

from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from math import inf
from queue import Empty, SimpleQueue
from threading import Thread
from typing import NamedTuple, Protocol

from ..library_reader import AssetKey
from ..mount import Mount
from ..mount.threads import wait_for
from .document_prefetch import PREFETCH_BYTES, ImportItem
from .entry_writers import ItemWriter
from .pipeline import ImportTarget, Limits, Pipeline, Work
from .shutdown import block_signals

WRITING_THREADS = 2


class WrittenChunk(NamedTuple):
    """What a thread did with a chunk: `done` items were settled.

    `still_open` has the others, of which the documents of `unread` are needed. After `has_reconnected` the server may
    have lost commits.
    """

    done: int
    still_open: list[ImportItem]
    unread: frozenset[AssetKey] = frozenset()
    has_reconnected: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether nothing is left to do about the chunk."""
        return not self.still_open and not self.has_reconnected


class ParallelTarget(ImportTarget, Protocol):
    """A target whose chunks may be written by several threads at the same time."""

    def write_in_thread(self, writer: ItemWriter, chunk: list[ImportItem]) -> WrittenChunk:
        """Write a chunk on the connection of this thread."""

    def close_thread(self) -> None:
        """Close the connection of this thread."""

    def count_done(self, items: int) -> None:
        """Add settled items to the progress."""

    def recount(self) -> None:
        """Count the progress anew; no thread writes meanwhile."""


class ParallelPipeline(Pipeline):
    """Imports one batch like Pipeline, but for two chunks of items at a time; the containers follow all items."""

    def __init__(self, target: ParallelTarget, mount: Mount, work: Work, limits: Limits):
        super().__init__(target, mount, work, limits)
        self._parallel = target

    def _import_items(self) -> None:
        with WritingThreads(self._parallel, self._work.items) as threads:
            self._write_items(lambda chunk: self._submit(threads, chunk))
            self._collect(threads, 0)

    def _submit(self, threads: "WritingThreads", chunk: list[ImportItem]) -> None:
        """Queue a chunk when at most one waits for a thread, and memory has room for its documents."""
        size = sum(entry.size for entry in chunk)
        self._collect(threads, WRITING_THREADS, max(0, PREFETCH_BYTES - size))
        self._target.checkpoint()
        threads.submit(chunk, size)

    def _collect(self, threads: "WritingThreads", most: int, most_bytes: int = PREFETCH_BYTES) -> None:
        """Wait until few enough chunks are being written; if one is left open, wait for all, then settle it here."""
        troubled = []
        while len(threads) > most or (threads and threads.size > most_bytes):
            written = threads.take()
            self._parallel.count_done(written.done)
            if not written.is_plain:
                troubled.append(written)
                most = 0
        if any(written.has_reconnected for written in troubled):
            self._parallel.recount()
        for written in troubled:
            self._settle_again(written)

    def _settle_again(self, written: WrittenChunk) -> None:
        unread = written.unread
        if unread:
            self._read_and_write(written.still_open, lambda entry: entry.key in unread, self._settle)
        else:
            self._settle(written.still_open)


class WritingThreads:
    """Daemon threads that write chunks in the order in which they were submitted.

    The end of the `with` block drops the chunks that no thread has begun, and waits for the others.
    """

    def __init__(self, target: ParallelTarget, writer: ItemWriter):
        self._target, self._writer = target, writer
        self._inbox: SimpleQueue[tuple[list[ImportItem], Future[WrittenChunk]] | None] = SimpleQueue()
        self._pending: deque[tuple[int, Future[WrittenChunk]]] = deque()
        self._threads: list[Thread] = []
        self.size = 0  # bytes of the documents of pending chunks

    def __enter__(self) -> "WritingThreads":
        return self

    def __exit__(self, *exc: object) -> None:
        with suppress(Empty):
            while True:
                self._inbox.get_nowait()
        for _ in self._threads:
            self._inbox.put(None)
        for thread in self._threads:
            thread.join()

    def __len__(self) -> int:
        return len(self._pending)

    def submit(self, chunk: list[ImportItem], size: int) -> None:
        """Queue a chunk; the first ones start the threads."""
        future: Future[WrittenChunk] = Future()
        self._pending.append((size, future))
        self.size += size
        self._inbox.put((chunk, future))
        if len(self._threads) < WRITING_THREADS:
            thread = Thread(target=self._run, name=f"writer {len(self._threads) + 1}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def take(self) -> WrittenChunk:
        """Wait for the oldest chunk; `checkpoint` may end the waiting. Raises what its thread raised."""
        size, future = self._pending.popleft()
        self.size -= size
        written: WrittenChunk = wait_for(future, self._target.checkpoint, inf)
        return written

    def _run(self) -> None:
        block_signals()
        try:
            while task := self._inbox.get():
                chunk, future = task
                try:
                    future.set_result(self._target.write_in_thread(self._writer, chunk))
                except BaseException as error:
                    future.set_exception(error)
                    break  # the import ends with this error, so no other chunk is begun
                del task, chunk, future  # a thread that waits keeps no documents
        finally:
            self._target.close_thread()
