"""No form reads a file outside the mount; bundles harm no other bundle."""

import json
import os
import socket

import pytest
from gpupanel import ledger
from gpupanel.errors import UnsafePathError
from page_helpers import BATCHES, JSON, TASKS, detail

SECRET = "the password of somebody"


@pytest.fixture
def outside(tmp_path):
    """A secret folder beside the mount, with an item's files and a manifest."""
    folder = tmp_path / "outside"
    (folder / "source" / "data").mkdir(parents=True)
    for name in ("source/source.json", "source/data/photo.manifest.json", "secret.json"):
        (folder / name).write_text(json.dumps({"status": SECRET, "source_host": SECRET, "kept": SECRET}))
    return folder


@pytest.fixture
def tell(send, admin):
    """Run every action on this bundle, and return the responses' text."""
    def tell(sync_id):
        answers = send(do="scan", headers=JSON, status=200).text
        for do in ("preflight", "queue", "queue_selected"):
            answers += send(do=do, sync_id=sync_id, headers=JSON, status=[200, 409]).text
        for url in (BATCHES, TASKS, detail(sync_id)):
            answers += admin.get(url).text + admin.get(url, headers=JSON).text
        return answers

    return tell


@pytest.fixture
def send(admin):
    def send(status, headers, **fields):
        token = admin.get(BATCHES, headers=JSON).json["csrf_token"]
        return admin.post(BATCHES, fields | {"csrf_token": token}, headers=headers, status=status)

    return send


def replace(path, make):
    """Replace a file or folder by what `make` creates."""
    path.rename(path.with_name(path.name + ".was"))
    make(path)


def listener(path):
    os.chdir(path.parent)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)


@pytest.fixture(params=["to a file outside", "to a device", "to itself", "a FIFO", "a socket", "a folder"])
def trap(request, outside, monkeypatch):
    """A path that is not a regular file on the mount."""
    monkeypatch.chdir(outside)  # restored at the end, wherever `listener` changed to
    return {
        "to a file outside": lambda path: path.symlink_to(outside / "secret.json"),
        "to a device": lambda path: path.symlink_to("/dev/zero"), "to itself": lambda path: path.symlink_to(path.name),
        "a FIFO": os.mkfifo, "a socket": listener, "a folder": os.mkdir,
    }[request.param]


def test_a_manifest_that_is_no_file_of_the_mount_is_not_read(tell, bundles, mount, panel_db, trap):
    sync_id = bundles.bundle("one", bundles.assets("one", 1))
    replace(mount.sync_dir / f"{sync_id}.json", trap)
    assert SECRET not in tell(sync_id)
    batch = panel_db.run_read(ledger.get_batch, sync_id)
    assert (batch["status"], batch["manifest_sha256"]) == ("preflight_failed", None)


def test_a_document_that_is_no_file_of_the_mount_fails_its_item(tell, scan_bundle, mount, panel_db, trap):
    sync_id = scan_bundle()
    manifest = json.loads((mount.sync_dir / f"{sync_id}.json").read_text())
    replace(mount.assets_dir / manifest["items"][0]["path"] / "source" / "source.json", trap)
    assert SECRET not in tell(sync_id)
    assert (
        panel_db.run_read(ledger.decision_counts, panel_db.run_read(ledger.get_batch, sync_id)["id"])["will_fail"] == 1
    )


def test_a_folder_that_leads_outside_fails_its_item(tell, scan_bundle, mount, panel_db, outside):
    sync_id = scan_bundle()
    manifest = json.loads((mount.sync_dir / f"{sync_id}.json").read_text())
    replace(mount.assets_dir / manifest["items"][0]["path"], lambda path: path.symlink_to(outside))
    assert SECRET not in tell(sync_id)
    assert (
        panel_db.run_read(ledger.decision_counts, panel_db.run_read(ledger.get_batch, sync_id)["id"])["will_fail"] == 1
    )


@pytest.mark.parametrize("path", [
    "../outside", "x/../../outside", "/etc", "..", "~root", "x\\..\\y", "a\0b", "%2e%2e/outside",
])
def test_a_path_in_a_manifest_leads_nowhere_else(tell, scan_bundle, mount, panel_db, outside, path):
    sync_id = scan_bundle()
    manifest = json.loads((mount.sync_dir / f"{sync_id}.json").read_text())
    manifest["items"][0]["path"] = path
    (mount.sync_dir / f"{sync_id}.json").write_text(json.dumps(manifest))
    assert SECRET not in tell(sync_id)
    assert (
        panel_db.run_read(ledger.decision_counts, panel_db.run_read(ledger.get_batch, sync_id)["id"])["will_fail"] == 1
    )


@pytest.mark.parametrize("do", ["preflight", "queue", "queue_selected"])
@pytest.mark.parametrize("sync_id", ["../outside/secret", "/etc/passwd", "..%2fsecret", "x\0", "." * 36])
def test_no_form_names_a_file(send, outside, do, sync_id):
    assert SECRET not in send(400, {}, do=do, sync_id=sync_id).text


def test_a_device_is_refused_before_it_is_opened(mount, monkeypatch):
    """Opening a device can have effects: a tape rewinds, a watchdog starts."""
    (mount.assets_dir / "tape").symlink_to("/dev/zero")
    opened, really = [], os.open
    monkeypatch.setattr(os, "open", lambda path, flags: opened.append(flags & os.O_PATH) or really(path, flags))
    with pytest.raises(UnsafePathError):
        mount.open("tape")
    assert opened and all(opened)


def nested(levels):
    """A manifest whose problems have paths of the greatest depth."""
    document = {f"\U000e0001{number}": "\ud800" for number in range(250)}
    for _ in range(levels):
        document = {"\U000e0001" * 60: document}
    return json.dumps(document)


@pytest.mark.parametrize("hostile", [
    nested(60), nested(0), "[" * 100_000, '{"items":[' + "[]," * 100_000 + "0]}", '{"a":' + "9" * 100_000 + "}",
    '{"items":[{"derivatives":[' + "{}," * 50_000 + "0]}]}", "[" + "NaN," * 100_000 + "0]",
])
def test_a_hostile_manifest_keeps_no_other_bundle_from_being_found(tell, bundles, mount, panel_db, hostile):
    bad = "00000000-0000-4000-8000-000000000001"
    (mount.sync_dir / f"{bad}.json").write_text(hostile)
    (mount.sync_dir / f"{bad}.ready").touch()
    good = bundles.bundle("one", bundles.assets("one", 1))
    tell(bad)
    assert panel_db.run_read(ledger.get_batch, good)["status"] == "discovered"
    assert panel_db.run_read(ledger.get_batch, bad)["status"] == "preflight_failed"
