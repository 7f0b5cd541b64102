"""The mount is read safely, and a mount that is gone is never taken for a bundle that is (docs/CONTRACT.md, 4)."""

import errno
import os
import shutil
import socket
from contextlib import closing
from pathlib import Path
from threading import Event

import open_tracer
import pytest
from gpupanel import mount
from gpupanel.config import MountSettings
from gpupanel.errors import (
    BundleIncompleteError, FileUnreadableError, ManifestError, MountTimeoutError, MountUnavailableError,
    NotFoundError, PanelError, UnsafePathError,
)
from gpupanel.mount import Document, ItemFolder, Mount, Sentinel, iterate_with_timeout

SYNC_ID = "00000000-0000-4000-8000-000000000001"


@pytest.fixture
def assets(tmp_path: Path) -> Path:
    (tmp_path / "assets/sync").mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    return tmp_path / "assets"


@pytest.fixture
def subject(assets: Path) -> Mount:
    return Mount(MountSettings(assets / "sync", assets, manifest_limit=100))


@pytest.fixture
def item(assets: Path) -> Path:
    data = assets / "photos/1/source/data"
    data.mkdir(parents=True)
    (data.parent / "source.json").write_text("{}")
    (assets / "sync/another").touch()
    return data.parent.parent


def documents(subject: Mount, path: str) -> list[Document]:
    with subject.open_item(path) as folder:
        return list(subject.read_documents(folder))


def hand_over(assets: Path, content: str = "{}") -> Path:
    (assets / f"sync/{SYNC_ID}.ready").touch()
    manifest = assets / f"sync/{SYNC_ID}.json"
    manifest.write_text(content)
    return manifest


def test_sentinels_are_listed_and_odd_names_do_not_vanish(subject, assets):
    for name in (f"{SYNC_ID}.ready", f"{SYNC_ID.upper()[:-1]}A.ready", "x.ready", ".ready", f"{SYNC_ID}.json", "ready"):
        (assets / "sync" / name).touch()
    (assets / "sync" / os.fsdecode(b"\xff.ready")).touch()
    assert sorted(subject.list_sentinels(), key=lambda each: each.name) == [
        Sentinel(".ready", None), Sentinel(f"{SYNC_ID}.ready", SYNC_ID), Sentinel(f"{SYNC_ID[:-1]}A.ready", None),
        Sentinel("\\udcff.ready", None), Sentinel("x.ready", None),
    ]


def test_an_empty_sync_dir_has_no_sentinels(subject):
    assert list(subject.list_sentinels()) == []


def test_a_sync_dir_that_is_gone_or_no_folder_is_an_unavailable_mount(subject, assets):
    (assets / "sync").rmdir()
    with pytest.raises(MountUnavailableError):
        list(subject.list_sentinels())
    (assets / "sync").touch()
    with pytest.raises(MountUnavailableError):
        list(subject.list_sentinels())


def test_a_manifest_is_read_as_it_stands(subject, assets):
    hand_over(assets, '{"a": 1}\n')
    assert subject.read_manifest(SYNC_ID) == b'{"a": 1}\n'


@pytest.mark.parametrize("missing", ["ready", "json"])
def test_an_incomplete_bundle_says_which_file_is_missing(subject, assets, missing):
    hand_over(assets)
    (assets / f"sync/{SYNC_ID}.{missing}").unlink()
    with pytest.raises(BundleIncompleteError, match=f"{SYNC_ID}.{missing} is not on the mount"):
        subject.read_manifest(SYNC_ID)


def test_a_manifest_that_may_not_be_read_is_as_good_as_missing(subject, assets, deny):
    allow = deny(hand_over(assets))
    with pytest.raises(
        BundleIncompleteError, match=f"^{SYNC_ID}.json may not be read by this account: Permission denied.$"
    ):
        subject.read_manifest(SYNC_ID)
    allow()
    assert subject.read_manifest(SYNC_ID)


def test_a_sentinel_that_may_not_be_looked_up_is_as_good_as_missing(subject, assets, deny):
    hand_over(assets)
    (assets / "sync").chmod(0o400)
    with pytest.raises(BundleIncompleteError, match=f"^{SYNC_ID}.ready may not be read by this account"):
        subject.read_manifest(SYNC_ID)


def test_a_folder_of_bundles_that_may_not_even_be_listed_is_an_unavailable_mount(subject, assets, deny):
    hand_over(assets)
    deny(assets / "sync")
    with pytest.raises(MountUnavailableError):
        subject.read_manifest(SYNC_ID)


def test_a_vanished_mount_is_never_a_missing_bundle(subject, assets):
    with pytest.raises(MountUnavailableError):
        subject.read_manifest(SYNC_ID)
    (assets / "sync").rmdir()
    with pytest.raises(MountUnavailableError):
        subject.read_manifest(SYNC_ID)


def test_a_manifest_up_to_the_limit_is_read_and_one_over_it_is_refused(subject, assets):
    hand_over(assets, "x" * 100)
    assert len(subject.read_manifest(SYNC_ID)) == 100
    hand_over(assets, "x" * 101)
    with pytest.raises(ManifestError) as caught:
        subject.read_manifest(SYNC_ID)
    assert caught.value.problems == ["manifest: found 101 bytes, expected at most 100"]


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "", SYNC_ID + "\n", SYNC_ID.replace("0", "A")])
def test_only_a_lowercase_uuid_names_a_bundle(subject, name):
    with pytest.raises(UnsafePathError, match="is not a lowercase UUID"):
        subject.read_manifest(name)


def test_a_manifest_that_leads_out_of_sync_dir_is_refused(subject, assets):
    manifest = hand_over(assets)
    manifest.unlink()
    manifest.symlink_to(assets.parent / "secret")
    with pytest.raises(UnsafePathError, match="leads out of the mount"):
        subject.read_manifest(SYNC_ID)


def test_a_complete_item_has_nothing_to_complain_about(subject, item):
    assert subject.check_item("photos/1") is None


def test_a_missing_folder_and_a_missing_source_are_told_apart(subject, item):
    (item / "source/source.json").unlink()
    assert subject.check_item("photos/1") == "photos/1/source/source.json is not on the mount."
    assert subject.check_item("photos/2") == "The folder photos/2 is not on the mount."
    assert subject.check_item("photos/1/source/source.json/x") == (
        "The folder photos/1/source/source.json/x is not on the mount."
    )


def test_an_item_that_leads_out_is_a_fact_about_the_item(subject, assets):
    (assets / "out").symlink_to(assets.parent)
    (assets.parent / "source").mkdir()
    (assets.parent / "source/source.json").touch()
    assert subject.check_item("out").startswith("out leads out of the mount, to ")


def test_checking_an_item_on_a_vanished_mount_is_no_fact_about_the_item(subject, assets):
    (assets / "sync").rmdir()
    with pytest.raises(MountUnavailableError):
        subject.check_item("photos/1")
    assets.rmdir()
    with pytest.raises(MountUnavailableError):
        subject.check_item("photos/1")


def test_documents_come_source_first_then_by_name(subject, item):
    for name in ("photo.meaning.json", "Zebra.json", "a.json", "note.txt", "x.JSON", ".hidden.json"):
        (item / "source/data" / name).write_text(name)
    assert documents(subject, "photos/1") == [
        Document("source.json", b"{}", is_source=True), Document("Zebra.json", b"Zebra.json"),
        Document("a.json", b"a.json"), Document("photo.meaning.json", b"photo.meaning.json"),
    ]


def test_an_item_without_a_data_folder_has_its_source_alone(subject, item):
    (item / "source/data").rmdir()
    assert [each.name for each in documents(subject, "photos/1")] == ["source.json"]


def test_documents_of_an_item_without_source_are_not_found(subject, item):
    (item / "source/source.json").unlink()
    with pytest.raises(NotFoundError, match=r"photos/1/source/source\.json is not on the mount"):
        documents(subject, "photos/1")


def _replace(path, make):
    path.rename(path.parent / "replaced")
    make(path)


@pytest.mark.parametrize(("name", "make"), [
    ("", lambda path: None), ("source", lambda path: None), ("source/source.json", lambda path: None),
    ("", Path.touch), ("source", Path.touch), ("source/source.json", Path.mkdir), ("source/source.json", os.mkfifo),
    ("", lambda path: path.symlink_to("/etc")), ("", lambda path: path.symlink_to(path.name)),
    ("", lambda path: path.symlink_to("gone")), ("source", lambda path: path.symlink_to("gone")),
    ("source/source.json", lambda path: path.symlink_to("/etc/passwd")),
])
def test_the_import_names_what_is_missing_as_the_preflight_does(subject, item, name, make):
    _replace(item / name, make)
    planned = subject.check_item("photos/1")
    assert planned
    with pytest.raises((NotFoundError, UnsafePathError)) as failed:
        documents(subject, "photos/1")
    assert str(failed.value) == planned


def test_a_document_over_the_limit_is_refused_by_name(subject, item, monkeypatch):
    monkeypatch.setattr(mount.mount, "DOCUMENT_LIMIT", 5)
    (item / "source/data/big.json").write_text("123456")
    with pytest.raises(PanelError, match=r"photos/1/source/data/big\.json has 6 bytes, more than the 5"):
        documents(subject, "photos/1")


def test_a_document_whose_name_is_not_utf8_is_refused(subject, item):
    (item / "source/data" / os.fsdecode(b"\xff.json")).touch()
    with pytest.raises(UnsafePathError, match=r"data/\\udcff.json has a name that is not UTF-8"):
        documents(subject, "photos/1")


def test_a_data_folder_that_leads_out_is_refused(subject, item, assets):
    (item / "source/data").rmdir()
    (item / "source/data").symlink_to(assets.parent)
    with pytest.raises(UnsafePathError, match="photos/1/source/data leads out of the mount"):
        documents(subject, "photos/1")


def test_a_file_is_opened_for_reading_only(subject, item):
    with subject.open("photos/1/source/source.json") as file:
        assert file.read() == b"{}"
        assert not file.writable()


def test_a_symlink_that_stays_inside_is_followed(subject, item, assets):
    (assets / "alias").symlink_to("photos/1/source/source.json")
    with subject.open("alias") as file:
        assert file.read() == b"{}"


def test_a_root_that_is_itself_a_symlink_is_no_way_out(item, assets):
    (assets.parent / "current").symlink_to("assets")
    root = assets.parent / "current"
    with Mount(MountSettings(root / "sync", root)).open("photos/1/source/source.json") as file:
        assert file.read() == b"{}"


def test_a_root_whose_name_only_begins_alike_is_outside(subject, assets):
    (assets.parent / "assets-other").write_text("x")
    (assets / "link").symlink_to(assets.parent / "assets-other")
    with pytest.raises(UnsafePathError, match="leads out of the mount"):
        subject.open("link")


@pytest.mark.parametrize("path", ["/etc/passwd", "..", "../secret", "sync/../../secret", "/\ud800"])
def test_a_path_that_leads_out_is_refused_before_it_is_opened(subject, path, monkeypatch):
    monkeypatch.setattr(os, "open", lambda *_: pytest.fail("opened"))
    with pytest.raises(UnsafePathError, match="leads out of the mount"):
        subject.open(path)


@pytest.mark.parametrize("path", ["a\0b", "\ud800"])
def test_what_cannot_be_a_path_is_refused(subject, path):
    with pytest.raises(UnsafePathError, match="cannot be the path of a file"):
        subject.open(path)


def test_what_cannot_be_seen_in_a_path_is_spelled_out(subject, item):
    assert subject.check_item("a\u202eb\n") == "The folder a\\u202eb\\n is not on the mount."


def test_a_name_that_is_too_long_is_refused(subject):
    with pytest.raises(UnsafePathError, match="longer than the file system allows"):
        subject.open("x" * 300)


def test_a_fifo_is_refused_without_waiting_for_its_writer(subject, assets):
    os.mkfifo(assets / "pipe")
    with pytest.raises(UnsafePathError, match="pipe is a FIFO, expected a regular file"):
        subject.open("pipe")


def test_a_folder_is_refused(subject):
    with pytest.raises(UnsafePathError, match="sync is a folder, expected a regular file"):
        subject.open("sync")


def test_a_socket_is_refused(subject, assets, monkeypatch):
    monkeypatch.chdir(assets)
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind("sock")
        with pytest.raises(UnsafePathError, match="sock is a socket"):
            subject.open("sock")


def test_a_device_behind_a_symlink_is_refused(subject, assets):
    (assets / "null").symlink_to("/dev/null")
    with pytest.raises(UnsafePathError, match="null leads out of the mount, to /dev/null"):
        subject.open("null")


def test_a_device_inside_the_root_is_refused():
    with pytest.raises(UnsafePathError, match="null is a character device, expected a regular file"):
        Mount(MountSettings(Path("/dev"), Path("/dev"))).open("null")


def test_symlinks_in_a_circle_are_refused(subject, assets):
    (assets / "circle").symlink_to("circle")
    with pytest.raises(UnsafePathError, match="runs in circles"):
        subject.open("circle")


def test_a_dangling_symlink_is_not_found(subject, assets):
    (assets / "nowhere").symlink_to("missing")
    with pytest.raises(NotFoundError):
        subject.open("nowhere")


@pytest.mark.parametrize("name", ["EIO", "ESTALE", "ENOTCONN", "ETIMEDOUT"])
def test_a_mount_that_fails_is_unavailable(subject, name, monkeypatch):
    def fail(*_):
        raise OSError(getattr(errno, name), os.strerror(getattr(errno, name)))

    monkeypatch.setattr(os, "open", fail)
    with pytest.raises(MountUnavailableError, match=os.strerror(getattr(errno, name))):
        subject.check_item("photos/1")


def test_one_file_without_permission_is_a_problem_of_its_item_alone(subject, item, deny):
    deny(item / "source/source.json")
    denied = "photos/1/source/source.json may not be read by this account: Permission denied."
    assert subject.check_item("photos/1") == denied
    with pytest.raises(UnsafePathError, match=denied):
        documents(subject, "photos/1")


def test_nothing_stays_open_after_refusals(subject, assets, item):
    os.mkfifo(assets / "pipe")
    before = os.listdir("/proc/self/fd")
    for path in ("pipe", "sync", "missing"):
        assert subject.check_item(path) or True
        with pytest.raises(PanelError):
            subject.open(path)
    documents(subject, "photos/1")
    assert os.listdir("/proc/self/fd") == before


def everything_but(folder: Path, kept: str) -> None:
    for each in folder.iterdir():
        if each.name != kept:
            shutil.rmtree(each) if each.is_dir() else each.unlink()


@pytest.mark.parametrize("gone", ["assets", "sync"])
def test_what_is_not_found_while_a_folder_of_the_mount_is_empty_is_no_fact_about_an_item(subject, assets, item, gone):
    everything_but(assets if gone == "assets" else assets / "sync", "sync")
    with pytest.raises(MountUnavailableError, match="is empty, or not mounted"):
        subject.check_item("photos/2")
    with pytest.raises(MountUnavailableError):
        documents(subject, "photos/2")


@pytest.mark.parametrize("gone", ["assets", "sync"])
def test_the_mount_is_there_when_both_of_its_folders_have_something_in_them(subject, assets, item, gone):
    subject.check_available()
    everything_but(assets if gone == "assets" else assets / "sync", "sync")
    with pytest.raises(MountUnavailableError, match=f"{gone} is empty, or not mounted"):
        subject.check_available()


def test_a_file_that_cannot_be_read_is_told_from_a_mount_that_is_gone(subject, assets, item, monkeypatch):
    def broken(*args):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(mount.safe_open, "_require_below", broken)
    with pytest.raises(FileUnreadableError, match="photos/1 cannot be read: Input/output error"):
        documents(subject, "photos/1")
    monkeypatch.setattr(mount.safe_open, "_present", lambda root: False)
    with pytest.raises(MountUnavailableError) as gone:
        documents(subject, "photos/1")
    assert not isinstance(gone.value, FileUnreadableError)


@pytest.mark.parametrize("seconds", [None, 60])
def test_bounded_hands_over_everything_in_order(seconds):
    assert list(iterate_with_timeout(range(100), seconds)) == list(range(100))


@pytest.mark.parametrize("seconds", [None, 60])
def test_what_the_reader_raises_is_raised_to_the_caller(seconds):
    def reader():
        yield 1
        raise MountUnavailableError("gone")

    items = iterate_with_timeout(reader(), seconds)
    assert next(items) == 1
    with pytest.raises(MountUnavailableError, match="gone"):
        next(items)


def test_a_reader_that_hangs_is_abandoned_when_the_time_is_over():
    release, ended = Event(), Event()

    def reader():
        yield 1
        release.wait()
        ended.set()

    items = iterate_with_timeout(reader(), 0.05)
    assert next(items) == 1
    with pytest.raises(MountTimeoutError, match=r"The mount did not answer within 0\.05 seconds"):
        next(items)
    assert not ended.is_set()
    release.set()
    assert ended.wait(60)


def test_a_reader_stops_when_the_caller_has_had_enough():
    stopped = Event()

    def reader():
        try:
            while True:
                yield 1
        finally:
            stopped.set()

    items = iterate_with_timeout(reader(), 60)
    next(items)
    items.close()
    assert stopped.wait(60)


def test_the_time_is_over_even_for_a_reader_that_always_has_more():
    def reader():
        while True:
            yield 1

    with pytest.raises(MountTimeoutError):
        for _ in iterate_with_timeout(reader(), 0.05):
            pass


def test_each_document_is_looked_up_once_and_each_folder_once(subject, item):
    for name in ("a.json", "b.json", "c.json"):
        (item / "source/data" / name).write_text("{}")
    with open_tracer.noted() as paths:
        assert len(documents(subject, "photos/1")) == 4
    assert paths == [str(item), "source", "source.json", "data", "a.json", "b.json", "c.json"]


def test_a_link_that_takes_the_place_of_a_document_after_the_listing_is_not_followed(subject, item, assets):
    with ItemFolder(assets, "photos/1") as opened, opened.open_directory("source") as folder:
        (item / "source/source.json").unlink()
        (item / "source/source.json").symlink_to(assets.parent / "secret")
        with pytest.raises(UnsafePathError):
            folder.read("source.json", 100, ValueError)


def test_a_fifo_that_takes_the_place_of_a_document_after_the_listing_is_not_waited_for(subject, item, assets):
    with ItemFolder(assets, "photos/1") as opened, opened.open_directory("source") as folder:
        (item / "source/source.json").unlink()
        os.mkfifo(item / "source/source.json")
        with pytest.raises(UnsafePathError, match="is a FIFO"):
            folder.read("source.json", 100, ValueError)


def test_a_source_folder_behind_a_link_that_stays_on_the_mount_is_read(subject, item, assets):
    (item / "source").rename(assets / "elsewhere")
    (item / "source").symlink_to(assets / "elsewhere")
    assert [each.content for each in documents(subject, "photos/1")] == [b"{}"]


def test_a_source_folder_that_leads_out_is_refused(subject, item, assets):
    (item / "source").rename(assets.parent / "elsewhere")
    (item / "source").symlink_to(assets.parent / "elsewhere")
    with pytest.raises(UnsafePathError, match="photos/1/source leads out of the mount"):
        documents(subject, "photos/1")


def test_documents_and_folders_behind_links_that_stay_inside_are_read(subject, item, assets):
    (assets / "elsewhere").mkdir()
    (assets / "elsewhere/a.json").write_text("1")
    (item / "source/data").rmdir()
    (item / "source/data").symlink_to(assets / "elsewhere")
    (assets / "elsewhere/b.json").symlink_to("a.json")
    assert [each.content for each in documents(subject, "photos/1")] == [b"{}", b"1", b"1"]


def test_a_document_that_grows_while_it_is_read_is_read_to_its_end(item, monkeypatch):
    path = item / "source/source.json"
    path.write_bytes(b"x" * 100)
    monkeypatch.setattr(mount.safe_open, "BLOCK", 7)
    for told in (0, 10, 100):
        with open(path, "rb") as file:
            assert mount.safe_open._read(file.fileno(), told, 1000) == b"x" * 100
    with open(path, "rb") as file:
        assert len(mount.safe_open._read(file.fileno(), 10, 50)) == 51
