"""SIGKILL at any moment: commits stay, and the next worker completes the job."""

import signal

import pytest
import worker_helpers
from constants import empty

ITEMS = 2000


@pytest.fixture
def bundle(bundles, panel_db, mount):
    """A queued batch of 2,000 photos and a gallery that holds them; returns (sync_id, job id)."""
    photos = list(bundles.assets("many", ITEMS, derivatives=("icon",), documents=("photo.analysis.json",)))
    sync_id = bundles.bundle("many", photos, [bundles.container("gallery", "Many", photos)], sync_type="gallery")
    return sync_id, *worker_helpers.queue(panel_db, mount, sync_id)


def test_a_killed_import_ends_in_the_same_library_as_an_undisturbed_one(
    admin_db, panel_db, mount, worker_conf, start, bundle
):
    sync_id, job_id = bundle
    conf = worker_helpers.with_options(worker_conf, chunk_items=100)
    for mark in (1, 300, 600):
        worker = start(conf)
        worker_helpers.wait_until(lambda mark=mark: worker_helpers.job(admin_db, job_id)["items_done"] >= mark)
        worker.send(signal.SIGKILL)
        assert worker.ends() == -signal.SIGKILL
        done = worker_helpers.job(admin_db, job_id)
        assert done["state"] == "running" and mark <= done["items_done"] < ITEMS
        assert worker_helpers.counts(panel_db, sync_id)["created"] == done["items_done"]
        worker_helpers.make_stale(admin_db, job_id)
    worker_helpers.drain(conf)
    job = worker_helpers.job(admin_db, job_id)
    assert (job["state"], job["items_done"], job["attempts"]) == ("completed", ITEMS, 4)
    disturbed = worker_helpers.meaning(admin_db)

    empty(admin_db)
    (job_id,) = worker_helpers.queue(panel_db, mount, sync_id)
    worker_helpers.drain(conf)
    assert worker_helpers.job(admin_db, job_id)["attempts"] == 1
    assert worker_helpers.meaning(admin_db) == disturbed
