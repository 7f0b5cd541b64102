"""Files are as the manifest says, or their item fails with what was found and what was expected."""

import hashlib
import os
from pathlib import Path
from threading import Event, get_ident

import open_tracer
import pytest
from gpupanel import bundle_inspection, file_check
from gpupanel.config import MountSettings
from gpupanel.devtools.bundle_factory import BundleWriter
from gpupanel.errors import FileUnreadableError
from gpupanel.manifest import Derivative, Item
from gpupanel.mount import ItemFolder, Mount

CONTENT = b"picture" * 100
HASH = "a" * 64


def derivative(path: str, **facts) -> Derivative:
    facts = {"kind": "medium", "bytes": len(CONTENT), "sha256": hashlib.sha256(CONTENT).hexdigest()} | facts
    return Derivative(path=path, **facts)


def item(*derivatives: Derivative) -> Item:
    return Item("photo", HASH, path="photos/1", derivatives=derivatives)


def check(mount: Mount, item: Item, *how) -> list[str]:
    with mount.open_item(item.path) as folder:
        return file_check.find_problems(folder, item, *how)


@pytest.fixture
def mount(tmp_path: Path) -> Mount:
    assets = tmp_path / "assets"
    (assets / "sync").mkdir(parents=True)
    (assets / "sync" / "a.ready").touch()
    return Mount(MountSettings(assets / "sync", assets))


@pytest.fixture
def folder(mount) -> Path:
    folder = mount.assets_dir / "photos" / "1"
    (folder / "source").mkdir(parents=True)
    (folder / "source" / "source.json").write_text("{}")
    (folder / "hls").mkdir()
    for name in ("medium.bin", "hls/stream.m3u8"):
        (folder / name).write_bytes(CONTENT)
    return folder


SOUND = item(derivative("medium.bin"), derivative("hls/stream.m3u8", kind="hls"))


@pytest.mark.parametrize("how", ["size", "sha256"])
def test_sound_files_have_no_problem(mount, folder, how):
    assert check(mount, SOUND, how) == []
    assert file_check.check_item(mount, SOUND) == []


def truncate(file: Path) -> None:
    file.write_bytes(CONTENT[:-1])


def replace_by_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def replace_by_fifo(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def link_to(target: str):
    def link(file: Path) -> None:
        file.unlink()
        file.symlink_to(target)

    return link


SPOILED = {
    "truncated": (truncate, "found 699 bytes, expected 700"),
    "deleted": (Path.unlink, "found no file, expected 700 bytes"),
    "a folder": (replace_by_folder, "is a folder, expected a regular file"),
    "a FIFO": (replace_by_fifo, "is a FIFO, expected a regular file"),
    "a link out of the mount": (link_to("/etc/passwd"), "leads out of the folder of its item"),
    "a link to another item": (link_to("../../other"), "leads out of the folder of its item"),
    "a dangling link": (link_to("nothing"), "found no file, expected 700 bytes"),
}


@pytest.mark.parametrize("how", ["size", "sha256"])
@pytest.mark.parametrize("name, position", [("medium.bin", 0), ("hls/stream.m3u8", 1)])
@pytest.mark.parametrize("case", SPOILED)
def test_a_spoiled_file_is_named_with_found_and_expected(mount, folder, how, name, position, case):
    (mount.assets_dir / "other").write_bytes(CONTENT)
    (mount.assets_dir / "photos" / "other").write_bytes(CONTENT)
    spoil, words = SPOILED[case]
    if name.startswith("hls") and case == "a link to another item":
        spoil = link_to("../../../other")
    spoil(folder / name)
    (problem,) = check(mount, SOUND, how)
    kind = SOUND.derivatives[position].kind
    assert problem.startswith(f"derivatives[{position}].path: {kind} file photos/1/{name}: ") and words in problem


def test_a_folder_of_files_that_leads_out_of_the_item_is_refused(mount, folder, tmp_path):
    (folder / "hls" / "stream.m3u8").unlink()
    (folder / "hls").rmdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "stream.m3u8").write_bytes(CONTENT)
    (folder / "hls").symlink_to(tmp_path / "elsewhere")
    (problem,) = check(mount, SOUND, "size")
    assert "leads out of the folder of its item" in problem


def test_a_link_inside_the_folder_is_followed(mount, folder):
    (folder / "medium.bin").rename(folder / "large.bin")
    (folder / "medium.bin").symlink_to("large.bin")
    assert check(mount, SOUND, "size") == check(mount, SOUND, "sha256") == []


def test_a_flipped_bit_is_found_by_its_digest_alone(mount, folder):
    (folder / "medium.bin").write_bytes(b"P" + CONTENT[1:])
    assert check(mount, SOUND, "size") == []
    (problem,) = check(mount, SOUND, "sha256")
    assert problem.startswith("derivatives[0].path: medium file photos/1/medium.bin: found SHA-256 ")
    assert ", expected " in problem


def test_what_the_manifest_does_not_say_is_not_compared(mount, folder):
    unknown = item(derivative("medium.bin", bytes=None, sha256=None))
    assert check(mount, unknown, "sha256") == []
    assert file_check.checked_how(unknown.derivatives[0], "sha256") == "size"
    assert file_check.checked_how(SOUND.derivatives[0], "sha256") == "sha256"


def test_derivatives_that_are_never_persisted_are_not_looked_up(mount, folder):
    assert check(mount, item(derivative("none.bin", kind="blurred")), "size") == []


def test_at_most_ten_problems_are_named(mount, folder):
    lost = item(*(derivative(f"{number}.bin") for number in range(30)))
    assert len(check(mount, lost, "size")) == 10


def test_a_file_that_this_account_may_not_read_is_a_problem_of_its_item(mount, folder, deny):
    deny(folder / "medium.bin")
    assert check(mount, SOUND, "size") == []
    (problem,) = check(mount, SOUND, "sha256")
    assert "this account may not read" in problem


def test_a_large_file_is_hashed_in_blocks_with_checkpoints_between(mount, folder, monkeypatch):
    monkeypatch.setattr(file_check, "BLOCK", 100)
    calls: list[int] = []
    assert check(mount, item(derivative("medium.bin")), "sha256", lambda: calls.append(1)) == []
    assert len(calls) == 7


def test_an_unreadable_file_is_read_three_times_and_then_is_a_problem(mount, folder, monkeypatch):
    monkeypatch.setattr(file_check, "PAUSE_SECONDS", 0)
    reads = []

    def broken(self, name):
        reads.append(name)
        raise FileUnreadableError(f"{name} cannot be read: Input/output error.")

    monkeypatch.setattr(ItemFolder, "size", broken)
    (problem,) = file_check.check_item(mount, SOUND)
    assert reads == ["medium.bin"] * 3 and problem == "path: medium.bin cannot be read: Input/output error"


def test_a_read_that_succeeds_the_second_time_is_no_problem():
    answers = iter([FileUnreadableError("once"), []])

    def read():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert file_check.read_again(read, lambda seconds: None) == []


def test_a_check_of_an_item_opens_its_folder_and_source_once_and_no_file(mount, folder):
    with open_tracer.noted() as paths:
        assert file_check.check_item(mount, SOUND) == []
    below = [path for path in paths if not path.startswith("/proc/")]
    assert below == [f"{mount.assets_dir}/photos/1", "source/source.json", "hls/stream.m3u8"]


def test_a_bundle_of_forty_items_is_checked_by_several_threads(mount, monkeypatch):
    writer = BundleWriter(mount.sync_dir, mount.assets_dir, pictures=1)
    sync_id = writer.bundle("forty", writer.assets("forty", 40, derivatives=("icon",), documents=()))
    checkers, are_many, check_item = set(), Event(), file_check.check_item

    def check(mount, item):
        checkers.add(get_ident())
        if len(checkers) == 4:
            are_many.set()
        assert are_many.wait(60), "the next thread waits for this item"
        return check_item(mount, item)

    monkeypatch.setattr(file_check, "check_item", check)
    found = bundle_inspection.check_files(mount, bundle_inspection.read_bundle(mount, sync_id))
    assert found.missing == {} and found.files_listed == 40
