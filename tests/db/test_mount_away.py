"""A file system that is away is told from items that are missing: nothing fails, and the job continues later."""

import shutil

import pytest
import worker_helpers
from gpupanel import services
from gpupanel.errors import MountUnavailableError


@pytest.fixture
def bundle(panel_db, mount, bundles):
    photos = list(bundles.assets("coast", 3, derivatives=("icon",)))
    sync_id = bundles.bundle("coast", photos)
    services.scan_mount(panel_db, mount, "operator")
    return sync_id, photos


@pytest.fixture
def unmount(mount, bundle, tmp_path):
    """Take the first folder of the items away, with `left` in its place; returns how to bring it back."""
    first = mount.assets_dir / bundle[1][0].path.split("/")[0]

    def unmount(left: str):
        first.rename(tmp_path / "elsewhere")
        if left == "an empty folder":
            first.mkdir()
        elif left == "a file in the folder":
            first.mkdir()
            (first / "README").write_text("not mounted")
        elif left == "what the file system has":
            (first / "lost+found").mkdir(parents=True)
        elif left == "other folders":
            (mount.assets_dir / "lost+found").mkdir()
            (mount.assets_dir / "notes.txt").write_text("x")

        def mount_again() -> None:
            shutil.rmtree(first, ignore_errors=True)
            (tmp_path / "elsewhere").rename(first)

        return mount_again

    return unmount


LEFT = ["an empty folder", "a file in the folder", "what the file system has", "other folders"]


@pytest.mark.parametrize("left", LEFT)
def test_a_preflight_is_refused_and_writes_nothing_while_the_folder_of_all_items_is_away(
    panel_db, mount, bundle, unmount, left
):
    sync_id, _ = bundle
    before = worker_helpers.batch(panel_db, sync_id), worker_helpers.events(panel_db, sync_id)
    mount_again = unmount(left)
    with pytest.raises(MountUnavailableError, match="The mount is away"):
        services.preflight_batch(panel_db, mount, sync_id, "operator")
    assert (worker_helpers.batch(panel_db, sync_id), worker_helpers.events(panel_db, sync_id)) == before
    mount_again()
    assert services.preflight_batch(panel_db, mount, sync_id, "operator").counts["will_create"] == 3


@pytest.mark.parametrize("left", LEFT)
def test_a_job_fails_no_item_and_continues_when_the_file_system_is_back(
    admin_db, panel_db, mount, bundle, unmount, worker_conf, left
):
    sync_id, _ = bundle
    job_id = services.queue_batch(panel_db, mount, sync_id, "operator")
    mount_again = unmount(left)
    worker_helpers.drain(worker_conf)
    job = worker_helpers.job(admin_db, job_id)
    assert job["state"] in ("queued", "held") and job["attempts"] == 0 and "The mount is away" in job["last_error"]
    assert worker_helpers.counts(panel_db, sync_id) == {"will_create": 3}
    mount_again()
    admin_db.execute("UPDATE import_job SET state = 'queued', hold = NULL, not_before = NULL")
    worker_helpers.drain(worker_conf)
    assert worker_helpers.counts(panel_db, sync_id) == {"created": 3}


def test_an_item_whose_own_folder_is_missing_fails_alone(panel_db, mount, bundle, worker_conf):
    sync_id, photos = bundle
    services.queue_batch(panel_db, mount, sync_id, "operator")
    shutil.rmtree(mount.assets_dir / photos[1].path)
    worker_helpers.drain(worker_conf)
    assert worker_helpers.counts(panel_db, sync_id) == {"created": 2, "failed": 1}
    assert "is not on the mount" in worker_helpers.items(panel_db, sync_id)[1]["last_error"]


def test_all_items_fail_where_another_folder_shows_that_the_mount_is_there(panel_db, mount, bundle, worker_conf):
    sync_id, photos = bundle
    services.queue_batch(panel_db, mount, sync_id, "operator")
    for photo in photos:
        shutil.rmtree(mount.assets_dir / photo.path)
    (mount.assets_dir / photos[0].path.split("/")[0] / "another").mkdir(exist_ok=True)
    worker_helpers.drain(worker_conf)
    assert worker_helpers.counts(panel_db, sync_id) == {"failed": 3}
