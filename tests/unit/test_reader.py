"""Reading ahead: in order, bounded, at once, and never for ever."""

import threading
from types import SimpleNamespace

import pytest
from gpupanel.errors import MountTimeout, MountUnavailable, NotFound
from gpupanel.manifest import Item
from gpupanel.mount import Document
from gpupanel.work import reader
from gpupanel.work.reader import Entry, Readers, cut, elsewhere


def entries(count: int) -> list[Entry]:
    return [Entry(n, Item("photo", f"{n:064x}", path=f"photo/{n}"), None) for n in range(count)]


def mount(documents) -> SimpleNamespace:
    """A mount whose item folders give what `documents(path)` yields."""
    return SimpleNamespace(documents=documents)


def source(path: str, size: int = 2) -> Document:
    return Document("source.json", b"1" * size, is_source=True)


def always(entry: Entry) -> bool:
    return True


def test_documents_come_in_the_order_of_the_items():
    with Readers(mount(lambda path: [source(path)]), 4, lambda: None) as readers:
        read = list(readers.ahead(entries(50), always, 8))
    assert [entry.position for entry in read] == list(range(50))
    assert all(entry.papers for entry in read)


def test_documents_that_nobody_needs_are_not_read():
    opened = []
    with Readers(mount(lambda path: opened.append(path) or [source(path)]), 2, lambda: None) as readers:
        read = list(readers.ahead(entries(4), lambda entry: entry.position == 2, 8))
    assert opened == ["photo/2"]
    assert [bool(entry.papers) for entry in read] == [False, False, True, False]


def test_an_item_whose_documents_cannot_be_had_carries_the_reason():
    def missing(path):
        raise NotFound("source.json is not on the mount.")

    with Readers(mount(missing), 2, lambda: None) as readers:
        (entry,) = readers.read(entries(1))
    assert entry.problem == "source.json is not on the mount." and entry.papers is None


def test_a_mount_that_is_gone_is_no_problem_of_an_item():
    def gone(path):
        raise MountUnavailable("gone")

    with Readers(mount(gone), 2, lambda: None) as readers, pytest.raises(MountUnavailable):
        readers.read(entries(3))


def test_several_threads_read_at_once():
    together = threading.Barrier(4, timeout=30)

    def meet(path):
        together.wait()
        return [source(path)]

    with Readers(mount(meet), 4, lambda: None) as readers:
        assert len(readers.read(entries(8))) == 8


def test_no_more_than_the_window_is_read_ahead():
    opened = []
    with Readers(mount(lambda path: opened.append(path) or [source(path)]), 2, lambda: None) as readers:
        ahead = readers.ahead(entries(100), always, 10)
        next(ahead)
        assert len(opened) <= 10


def test_no_more_bytes_than_the_bound_are_held(monkeypatch):
    monkeypatch.setattr(reader, "BYTES_AHEAD", 1000)
    with Readers(mount(lambda path: [source(path, 600)]), 1, lambda: None) as readers:
        taken = 0
        for _ in readers.ahead(entries(50), always, 4):
            taken += 1
            assert readers._held <= 4 * 600
    assert taken == 50 and readers._held == 0


def test_a_mount_that_hangs_is_left_behind_after_a_while(monkeypatch):
    monkeypatch.setattr(reader, "TICK", 0.01)
    for_ever, attended = threading.Event(), []
    with pytest.raises(MountTimeout):
        elsewhere(for_ever.wait, lambda: attended.append(1), 0.05)
    assert attended
    for_ever.set()


def test_whoever_is_asked_to_stop_does_not_wait_for_a_mount_that_hangs(monkeypatch):
    monkeypatch.setattr(reader, "TICK", 0.01)
    for_ever = threading.Event()

    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        elsewhere(for_ever.wait, stop, 3600)
    for_ever.set()


def test_a_chunk_ends_at_its_number_of_items_or_at_its_bytes():
    with Readers(mount(lambda path: [source(path, 40)]), 1, lambda: None) as readers:
        read = readers.read(entries(7))
    assert [len(chunk) for chunk in cut(read, 3)] == [3, 3, 1]
    assert [len(chunk) for chunk in cut(read, 100, most_bytes=80)] == [2, 2, 2, 1]
