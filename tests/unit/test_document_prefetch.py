"""Prefetch of documents: in order, in bounded memory, in parallel, without hanging."""

import threading
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from gpupanel.errors import MountUnavailableError, NotFoundError
from gpupanel.manifest import Item
from gpupanel.mount import Document, threads
from gpupanel.worker import document_prefetch
from gpupanel.worker.document_prefetch import DocumentPrefetcher, ImportItem, chunk_by_size


def entries(count: int) -> list[ImportItem]:
    return [ImportItem(n, Item("photo", f"{n:064x}", path=f"photo/{n}"), None) for n in range(count)]


def mount(documents) -> SimpleNamespace:
    """A mount whose item folders give what `documents(path)` yields."""
    return SimpleNamespace(open_item=nullcontext, read_documents=documents)


def source(path: str, size: int = 2) -> Document:
    return Document("source.json", b"1" * size, is_source=True)


def always(entry: ImportItem) -> bool:
    return True


def read(readers: DocumentPrefetcher, wanted: list[ImportItem]) -> list[ImportItem]:
    return list(readers.prefetch(wanted, always, 100))


def test_documents_come_in_the_order_of_the_items():
    with DocumentPrefetcher(mount(lambda path: [source(path)]), 4, lambda: None) as readers:
        found = list(readers.prefetch(entries(50), always, 8))
    assert [entry.position for entry in found] == list(range(50))
    assert all(entry.documents for entry in found)


def test_documents_that_nobody_needs_are_not_read():
    opened = []
    with DocumentPrefetcher(mount(lambda path: opened.append(path) or [source(path)]), 2, lambda: None) as readers:
        read = list(readers.prefetch(entries(4), lambda entry: entry.position == 2, 8))
    assert opened == ["photo/2"]
    assert [bool(entry.documents) for entry in read] == [False, False, True, False]


def test_an_item_whose_documents_cannot_be_had_carries_the_reason():
    def missing(path):
        raise NotFoundError("source.json is not on the mount.")

    with DocumentPrefetcher(mount(missing), 2, lambda: None) as readers:
        (entry,) = read(readers, entries(1))
    assert entry.problem == "source.json is not on the mount." and entry.documents is None


def test_a_mount_that_is_gone_is_no_problem_of_an_item():
    def gone(path):
        raise MountUnavailableError("gone")

    with DocumentPrefetcher(mount(gone), 2, lambda: None) as readers, pytest.raises(MountUnavailableError):
        read(readers, entries(3))


def test_several_threads_read_at_once():
    together = threading.Barrier(4, timeout=30)

    def meet(path):
        together.wait()
        return [source(path)]

    with DocumentPrefetcher(mount(meet), 4, lambda: None) as readers:
        assert len(read(readers, entries(8))) == 8


def test_no_more_than_the_window_is_read_ahead():
    opened = []
    with DocumentPrefetcher(mount(lambda path: opened.append(path) or [source(path)]), 2, lambda: None) as readers:
        ahead = readers.prefetch(entries(100), always, 10)
        next(ahead)
        assert len(opened) <= 10


@pytest.fixture
def ample(monkeypatch):
    """A memory budget of 1000 bytes."""
    monkeypatch.setattr(document_prefetch, "PREFETCH_BYTES", 1000)


def test_no_more_bytes_are_held_than_the_bound_and_one_document_a_thread(ample):
    threads, size, most = 4, 300, []

    def documents(path):
        for _ in range(5):
            most.append(readers._room.held)
            yield source(path, size)

    with DocumentPrefetcher(mount(documents), threads, lambda: None) as readers:
        taken = [entry.position for entry in readers.prefetch(entries(60), always, 40)]
        assert readers._room.held == 0
    assert taken == list(range(60))
    assert max(most) < 1000 + threads * size + 5 * size


def test_while_the_first_in_line_is_slow_the_others_fill_the_room_and_no_more(ample, monkeypatch):
    monkeypatch.setattr(threads, "POLL_SECONDS", 0.01)
    slow, opened = threading.Event(), []

    def documents(path):
        opened.append(path)
        if path == "photo/0":
            slow.wait(60)
        yield source(path, 500)

    def checkpoint():
        if readers._room.held >= 1000:
            slow.set()

    with DocumentPrefetcher(mount(documents), 3, checkpoint) as readers:
        ahead = readers.prefetch(entries(30), always, 30)
        assert next(ahead).position == 0
        assert len(opened) <= 4
        assert [entry.position for entry in ahead] == list(range(1, 30))


def test_whoever_waits_for_room_gives_up_when_nobody_wants_the_documents(ample):
    (first, second), begun = entries(2), threading.Event()

    def documents(path):
        if path == "photo/1":
            begun.set()
        return [source(path, 1200)]

    with DocumentPrefetcher(mount(documents), 1, lambda: None) as readers:
        _, read_already = readers._begin(first)
        assert read_already.result(timeout=60).documents
        _, waiting = readers._begin(second)
        assert begun.wait(60)
        assert not waiting.done()
    assert isinstance(waiting.exception(timeout=60), MountUnavailableError)


def test_a_chunk_ends_at_its_number_of_items_or_at_its_bytes():
    with DocumentPrefetcher(mount(lambda path: [source(path, 40)]), 1, lambda: None) as readers:
        seven = read(readers, entries(7))
    assert [len(chunk) for chunk in chunk_by_size(seven, 3)] == [3, 3, 1]
    assert [len(chunk) for chunk in chunk_by_size(seven, 100, most_bytes=80)] == [2, 2, 2, 1]
