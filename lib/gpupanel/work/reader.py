"""Reading ahead: threads fetch the documents of the next items while the earlier ones are written (docs/CONTRACT.md, 9)."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from itertools import count
from threading import Condition
from typing import NamedTuple

from ..errors import MountUnavailable, PanelError
from ..manifest import InvalidItem, Item
from ..model import Decision
from ..mount import Document, Mount
from ..mount.patience import Readers as Threads
from ..mount.patience import outcome
from .documents import Papers, collect

BYTES_AHEAD = 16 * 1024 * 1024
# Seconds that the mount may take for one look.
PATIENCE = 120


class Entry(NamedTuple):
    """An item on its way into the library. `papers` are its documents where they were needed; `problem` says why they
    cannot be had; `id` is that of its row in the ledger."""

    position: int
    item: Item | InvalidItem
    planned: Decision | None
    papers: Papers | None = None
    problem: str | None = None
    id: int | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.item.asset_type, self.item.asset_hash

    @property
    def size(self) -> int:
        return self.papers.size if self.papers else 0


class Room:
    """How many bytes of documents may be in memory. Who comes first in line always has room, so that somebody goes on.

    Each entry has its turn, counted from 0; it is first in line when all before it were handed over.
    """

    def __init__(self, most: int):
        self._most, self._first, self._closed = most, 0, False
        self._bytes: dict[int, int] = {}
        self.held = 0
        self._changed = Condition()

    def wait(self, turn: int) -> None:
        """Until there is room for one more document. Raises MountUnavailable when nobody wants it any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or turn == self._first or self.held < self._most)
            if self._closed:
                raise MountUnavailable("The reading of the mount was given up.")

    def add(self, turn: int, size: int) -> None:
        with self._changed:
            self._bytes[turn] = self._bytes.get(turn, 0) + size
            self.held += size

    def hand_over(self, turn: int) -> None:
        """The entry is not ours any more, and the next one is first in line."""
        with self._changed:
            self.held -= self._bytes.pop(turn, 0)
            self._first = turn + 1
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Readers:
    """Reads documents in up to `threads` threads; `attend` is called while it waits for them.

    In memory are at most BYTES_AHEAD bytes, and what is in hand when they are reached: a document a thread, and all of
    the item that is first in line.
    """

    def __init__(self, mount: Mount, threads: int, attend: Callable[[], None]):
        self._mount, self._attend = mount, attend
        self._threads, self._room = Threads(threads), Room(BYTES_AHEAD)
        self._turns = count()

    def __enter__(self) -> "Readers":
        return self

    def __exit__(self, *exc) -> None:
        self._threads.__exit__(*exc)
        self._room.close()

    def ahead(self, entries: Iterable[Entry], needed: Callable[[Entry], bool], window: int) -> Iterator[Entry]:
        """The entries in their order, with their documents where `needed`; at most `window` of them are in memory at a
        time. Raises MountUnavailable."""
        waiting: deque[tuple[Entry, int, Future | None]] = deque()
        for entry in entries:
            waiting.append((entry, *(self._begin(entry) if needed(entry) else (0, None))))
            if len(waiting) >= window:
                yield self._take(*waiting.popleft())
        while waiting:
            yield self._take(*waiting.popleft())

    def _begin(self, entry: Entry) -> tuple[int, Future]:
        turn = next(self._turns)
        return turn, self._threads.begin(self._fetch, turn, entry)

    def _take(self, entry: Entry, turn: int, future: Future | None) -> Entry:
        if future is None:
            return entry
        try:
            return outcome(self._threads.urge(future), self._attend, PATIENCE)
        finally:
            self._room.hand_over(turn)

    def _fetch(self, turn: int, entry: Entry) -> Entry:
        try:
            return entry._replace(papers=collect(self._one_by_one(turn, entry.item.path)))
        except MountUnavailable:
            raise
        except PanelError as error:
            return entry._replace(problem=str(error))

    def _one_by_one(self, turn: int, path: str) -> Iterator[Document]:
        """The documents of an item, each read when there is room for it."""
        documents = iter(self._mount.documents(path))
        self._room.wait(turn)
        for document in documents:
            self._room.add(turn, len(document.content))
            yield document
            self._room.wait(turn)


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
