"""Reading ahead: threads fetch the documents of the next items while the earlier ones are written (DESIGN section 9)."""

from collections import deque
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from threading import Lock, Thread
from time import monotonic
from typing import Any, Callable, Iterable, Iterator, NamedTuple

from ..errors import MountTimeout, MountUnavailable, PanelError
from ..manifest import BadItem, Item
from ..model import Decision
from ..mount import Mount
from .documents import Papers, collect
from .signals import deafen

BYTES_AHEAD = 16 * 1024 * 1024
# Seconds that the mount may take for one look.
PATIENCE = 120
TICK = 0.5


class Entry(NamedTuple):
    """An item on its way into the library. `papers` are its documents where they were needed; `problem` says why they
    cannot be had."""

    position: int
    item: Item | BadItem
    planned: Decision | None
    papers: Papers | None = None
    problem: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.item.asset_type, self.item.asset_hash

    @property
    def size(self) -> int:
        return self.papers.size if self.papers else 0


class Readers:
    """Up to `threads` threads that read documents. They are daemons, and started when there is something to read, so
    that one that hangs with its mount keeps neither the job nor the process."""

    def __init__(self, mount: Mount, threads: int, attend: Callable[[], None]):
        self._mount, self._threads, self._attend = mount, threads, attend
        self._wanted: SimpleQueue = SimpleQueue()
        self._started = 0
        self._held, self._lock = 0, Lock()

    def __enter__(self) -> "Readers":
        return self

    def __exit__(self, *exc) -> None:
        for _ in range(self._started):
            self._wanted.put(None)

    def ahead(self, entries: Iterable[Entry], needed: Callable[[Entry], bool], window: int) -> Iterator[Entry]:
        """The entries in their order, with their documents where `needed`; at most `window` entries and about
        BYTES_AHEAD bytes are in memory at a time. Raises MountUnavailable."""
        waiting: deque[tuple[Entry, Future | None]] = deque()
        for entry in entries:
            waiting.append((entry, self._submit(entry) if needed(entry) else None))
            while waiting and (len(waiting) >= window or self._held > BYTES_AHEAD):
                yield self._take(*waiting.popleft())
        while waiting:
            yield self._take(*waiting.popleft())

    def read(self, entries: list[Entry]) -> list[Entry]:
        """The same for a few entries at once."""
        return list(self.ahead(entries, lambda entry: True, len(entries) + 1))

    def _submit(self, entry: Entry) -> Future:
        future: Future = Future()
        self._wanted.put((entry, future))
        if self._started < self._threads:
            self._started += 1
            Thread(target=self._serve, name=f"reader {self._started}", daemon=True).start()
        return future

    def _serve(self) -> None:
        deafen()
        while (wanted := self._wanted.get()) is not None:
            entry, future = wanted
            _fulfil(future, partial(self._fetch, entry))

    def _fetch(self, entry: Entry) -> Entry:
        try:
            papers = collect(self._mount.documents(entry.item.path))
        except MountUnavailable:
            raise
        except PanelError as error:
            return entry._replace(problem=str(error))
        with self._lock:
            self._held += papers.size
        return entry._replace(papers=papers)

    def _take(self, entry: Entry, future: Future | None) -> Entry:
        if future is None:
            return entry
        outcome = await_mount(future, self._attend, PATIENCE)
        with self._lock:
            self._held -= outcome.size
        return outcome


def elsewhere(look: Callable[[], Any], attend: Callable[[], None], patience: float) -> Any:
    """What `look()` returns or raises, run in a daemon thread since the mount may hang. Raises MountTimeout."""
    future: Future = Future()
    Thread(target=_look, args=(future, look), name="mount reader", daemon=True).start()
    return await_mount(future, attend, patience)


def await_mount(future: Future, attend: Callable[[], None], patience: float) -> Any:
    """Wait for a thread that reads the mount, but neither past a signal nor for more than `patience` seconds."""
    deadline = monotonic() + patience
    while True:
        try:
            return future.result(timeout=TICK)
        except TimeoutError:
            attend()
            if monotonic() > deadline:
                raise MountTimeout(f"The mount did not answer within {patience:g} seconds.") from None


def _look(future: Future, look: Callable[[], Any]) -> None:
    deafen()
    _fulfil(future, look)


def _fulfil(future: Future, work: Callable[[], Any]) -> None:
    try:
        future.set_result(work())
    except BaseException as error:
        future.set_exception(error)


def cut(entries: Iterable[Entry], most: int, most_bytes: int = BYTES_AHEAD) -> Iterator[list[Entry]]:
    """Chunks of at most `most` entries, ended early by the one that brings `most_bytes` bytes of documents."""
    chunk, size = [], 0
    for entry in entries:
        chunk.append(entry)
        size += entry.size
        if len(chunk) >= most or size >= most_bytes:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
