"""One item whose files are missing, different or unreadable fails alone; its siblings are imported."""

import json
import threading

import pytest
import worker_helpers
from gpupanel import file_check, ledger, services
from gpupanel.errors import FileUnreadableError
from gpupanel.mount import Mount
from gpupanel.mount.safe_open import ItemFolder, OpenDirectory


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    monkeypatch.setattr(file_check, "PAUSE_SECONDS", 0)


@pytest.fixture
def unreadable(monkeypatch):
    """Documents of these items answer with an I/O error."""
    paths: set[str] = set()
    read = OpenDirectory.read

    def broken(self, name, *limits):
        if any(self.relative_path(name).startswith(f"{path}/") for path in paths):
            raise FileUnreadableError(f"{name} cannot be read: Input/output error.")
        return read(self, name, *limits)

    monkeypatch.setattr(OpenDirectory, "read", broken)
    return paths


def test_missing_and_short_files_fail_their_items_at_the_preflight_and_the_count_is_reported(panel_db, mount, bundles):
    photos = list(bundles.assets("coast", 3, derivatives=("medium",)))
    sync_id = bundles.bundle("coast", photos, verification={"passed": True, "total_files": 99999})
    short = next((mount.assets_dir / photos[0].path).glob("medium.*"))
    short.write_bytes(b"x")
    next((mount.assets_dir / photos[1].path).glob("medium.*")).unlink()
    services.scan_mount(panel_db, mount, "operator")
    assert services.preflight_batch(panel_db, mount, sync_id, "operator").ok
    first, second, third = worker_helpers.items(panel_db, sync_id)
    assert (first["decision"], second["decision"], third["decision"]) == ("will_fail", "will_fail", "will_create")
    file = f"{photos[0].path}/{short.name}"
    assert first["last_error"].startswith(f"items[0].derivatives[0].path: medium file {file}: found 1 bytes, expected ")
    assert f"{second['last_error'].split(': ')[1]}: found no file, expected " in second["last_error"]
    (finished,) = worker_helpers.events(panel_db, sync_id, "preflight_finished")
    payload = json.loads(finished["payload"])
    assert (payload["files_expected"], payload["files_listed"]) == (99999, 3)


def test_items_that_lack_the_same_file_share_one_reason_whatever_their_folders(panel_db, mount, bundles):
    folders = [f"2026/april {number}" for number in range(4)]
    photos = list(bundles.assets("coast", 4, derivatives=("medium",)))
    moved = [
        photo._replace(broken=lambda item, files, folder=folder: (item | {"path": folder}, files))
        for photo, folder in zip(photos, folders, strict=True)
    ]
    sync_id = bundles.bundle("coast", moved)
    (mount.assets_dir / "2026").mkdir()
    for photo, folder in zip(photos, folders, strict=True):
        (mount.assets_dir / photo.path).rename(mount.assets_dir / folder)
    for folder in folders[:2]:
        (mount.assets_dir / folder / "medium.webp").unlink()
    (mount.assets_dir / folders[2] / "medium.webp").write_bytes(b"x")
    services.scan_mount(panel_db, mount, "operator")
    services.preflight_batch(panel_db, mount, sync_id, "operator")
    shared, alone = panel_db.run_read(ledger.failure_reasons, worker_helpers.batch(panel_db, sync_id)["id"])
    assert shared.number == 2
    assert shared.reason == "derivatives[0].path: medium file medium.webp: found no file"
    assert alone.number == 1
    assert alone.reason.startswith("items[2].derivatives[0].path: medium file 2026/april 2/medium.webp: found 1 bytes")


@pytest.mark.parametrize("verify, spoil, words", [
    ("size", lambda file: file.write_bytes(b"x"), "found 1 bytes, expected "),
    ("size", lambda file: file.unlink(), "found no file, expected "),
    ("sha256", lambda file: file.write_bytes(b"\0" + file.read_bytes()[1:]), "found SHA-256 "),
])
def test_a_file_that_changed_after_the_preflight_fails_its_item_at_the_import(
    admin_db, panel_db, mount, bundles, worker_conf, verify, spoil, words
):
    photos = list(bundles.assets("coast", 2, derivatives=("medium",)))
    sync_id = bundles.bundle("coast", photos)
    worker_helpers.queue(panel_db, mount, sync_id)
    spoil(next((mount.assets_dir / photos[0].path).glob("medium.*")))
    worker_helpers.drain(worker_helpers.with_options(worker_conf, verify=verify))
    assert worker_helpers.counts(panel_db, sync_id) == {"created": 1, "failed": 1}
    assert words in worker_helpers.items(panel_db, sync_id)[0]["last_error"]
    rows = admin_db.execute("SELECT checked_at, checked_how FROM asset_derivative")
    assert [row["checked_how"] for row in rows] == [verify] and rows[0]["checked_at"]


def test_a_file_that_is_hashed_for_the_first_time_is_recorded_though_nothing_of_it_changed(
    admin_db, panel_db, mount, bundles, worker_conf
):
    (photo,) = bundles.assets("coast", 1, derivatives=("medium",))
    worker_helpers.queue(panel_db, mount, bundles.bundle("coast", [photo]))
    again = bundles.bundle("again", [photo], action="update", files=False)
    worker_helpers.drain(worker_conf)
    checks = []
    for verify in ("size", "sha256", "size"):
        admin_db.execute("UPDATE asset SET title = 'edited'")
        worker_helpers.queue(panel_db, mount, again)
        worker_helpers.drain(worker_helpers.with_options(worker_conf, verify=verify))
        assert worker_helpers.counts(panel_db, again) == {"updated": 1}
        checks += admin_db.execute("SELECT checked_how, checked_at FROM asset_derivative")
    assert [check["checked_how"] for check in checks] == ["size", "sha256", "sha256"]
    assert checks[0]["checked_at"] < checks[1]["checked_at"] == checks[2]["checked_at"]


def test_one_document_that_cannot_be_read_fails_its_item_alone(panel_db, mount, bundles, worker_conf, unreadable):
    photos = list(bundles.assets("coast", 25, derivatives=("icon",)))
    sync_id = bundles.bundle("coast", photos)
    worker_helpers.queue(panel_db, mount, sync_id)
    unreadable.add(photos[3].path)
    worker_helpers.drain(worker_helpers.with_options(worker_conf, chunk_items=10))
    assert worker_helpers.counts(panel_db, sync_id) == {"created": 24, "failed": 1}
    assert "Input/output error" in worker_helpers.items(panel_db, sync_id)[3]["last_error"]
    unreadable.clear()
    services.retry_batch(panel_db, mount, sync_id, "operator")
    worker_helpers.drain(worker_conf)
    assert worker_helpers.counts(panel_db, sync_id) == {"created": 25}


def test_an_item_whose_folder_cannot_be_read_is_planned_to_fail_alone(panel_db, mount, bundles, monkeypatch):
    photos = list(bundles.assets("coast", 3, derivatives=("icon",)))
    sync_id = bundles.bundle("coast", photos)
    services.scan_mount(panel_db, mount, "operator")
    opened = Mount.open_item

    def broken(self, path):
        if path == photos[1].path:
            raise FileUnreadableError(f"{path} cannot be read: Input/output error.")
        return opened(self, path)

    monkeypatch.setattr(Mount, "open_item", broken)
    assert services.preflight_batch(panel_db, mount, sync_id, "operator").ok
    items = worker_helpers.items(panel_db, sync_id)
    assert [item["decision"] for item in items] == ["will_create", "will_fail", "will_create"]
    assert "Input/output error" in items[1]["last_error"]


def test_a_chunk_of_which_nothing_can_be_read_goes_back_and_fails_item_by_item_in_the_last_attempt(
    admin_db, panel_db, mount, bundles, worker_conf, unreadable
):
    photos = list(bundles.assets("coast", 4, derivatives=("icon",)))
    sync_id = bundles.bundle("coast", photos)
    (job_id,) = worker_helpers.queue(panel_db, mount, sync_id)
    unreadable.update(photo.path for photo in photos[2:])
    conf = worker_helpers.with_options(worker_conf, chunk_items=2, max_attempts=2)
    worker_helpers.drain(conf)
    assert worker_helpers.job(admin_db, job_id)["attempts"] == 1
    assert worker_helpers.counts(panel_db, sync_id) == {"created": 2, "will_create": 2}
    admin_db.execute("UPDATE import_job SET state = 'queued', hold = NULL, not_before = NULL")
    worker_helpers.drain(conf)
    assert worker_helpers.counts(panel_db, sync_id) == {"created": 2, "failed": 2}
    assert worker_helpers.batch(panel_db, sync_id)["status"] == "partial"


def test_a_file_that_takes_longer_than_the_mount_may_is_waited_for_while_it_is_read(
    panel_db, mount, bundles, worker_conf, monkeypatch
):
    from gpupanel.mount import threads
    from gpupanel.worker import document_prefetch

    monkeypatch.setattr(file_check, "BLOCK", 64)
    monkeypatch.setattr(document_prefetch, "MOUNT_TIMEOUT_SECONDS", 0.3)
    monkeypatch.setattr(threads, "POLL_SECONDS", 0.05)
    read, pause = ItemFolder.read, threading.Event()

    def slowly(self, descriptor, name, most):
        pause.wait(0.02)
        return read(self, descriptor, name, most)

    photos = list(bundles.assets("coast", 1, derivatives=("medium",)))
    sync_id = bundles.bundle("coast", photos)
    worker_helpers.queue(panel_db, mount, sync_id)
    file = next((mount.assets_dir / photos[0].path).glob("medium.*"))
    assert file.stat().st_size > 64 * 0.3 / 0.02
    monkeypatch.setattr(ItemFolder, "read", slowly)
    worker_helpers.drain(worker_helpers.with_options(worker_conf, verify="sha256"))
    assert worker_helpers.counts(panel_db, sync_id) == {"created": 1}


def test_a_remove_looks_up_no_file(panel_db, mount, bundles, worker_conf):
    photos = list(bundles.assets("coast", 2, derivatives=("icon",)))
    brought = bundles.bundle("coast", photos)
    worker_helpers.queue(panel_db, mount, brought)
    worker_helpers.drain(worker_conf)
    removed = bundles.bundle("gone", photos, action="remove", files=False)
    for file in mount.assets_dir.glob("photo*/**/icon.*"):
        file.unlink()
    worker_helpers.queue(panel_db, mount, removed)
    worker_helpers.drain(worker_conf)
    assert panel_db.run_read(ledger.decision_counts, worker_helpers.batch(panel_db, removed)["id"]) == {"removed": 2}
