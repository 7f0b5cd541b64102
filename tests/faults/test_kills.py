"""kill -9 at any moment: what was committed stays, what was not is gone, and the next worker completes the rest."""

import signal

import pytest
import workers
from ground import empty

ITEMS = 5000


@pytest.fixture
def bundle(bundles, panel_db, mount):
    """A queued batch of 5,000 photos and a gallery that holds them; returns (sync_id, job id)."""
    photos = list(bundles.assets("many", ITEMS, derivatives=("icon",), documents=("photo.analysis.json",)))
    sync_id = bundles.bundle("many", photos, [bundles.container("gallery", "Many", photos)], sync_type="gallery")
    return sync_id, *workers.queue(panel_db, mount, sync_id)


def test_a_killed_import_ends_in_the_same_library_as_an_undisturbed_one(
    admin_db, panel_db, mount, worker_conf, start, bundle
):
    sync_id, job_id = bundle
    conf = workers.with_options(worker_conf, chunk_items=100)
    for mark in (1, 1500, 3500):
        worker = start(conf)
        workers.wait_until(lambda: workers.job(admin_db, job_id)["items_done"] >= mark)
        worker.send(signal.SIGKILL)
        assert worker.ends() == -signal.SIGKILL
        done = workers.job(admin_db, job_id)
        assert done["state"] == "running" and mark <= done["items_done"] < ITEMS
        assert workers.counts(panel_db, sync_id)["created"] == done["items_done"]
        workers.make_stale(admin_db, job_id)
    workers.drain(conf)
    job = workers.job(admin_db, job_id)
    assert (job["state"], job["items_done"], job["attempts"]) == ("completed", ITEMS, 4)
    disturbed = workers.meaning(admin_db)

    empty(admin_db)
    (job_id,) = workers.queue(panel_db, mount, sync_id)
    workers.drain(conf)
    assert workers.job(admin_db, job_id)["attempts"] == 1
    assert workers.meaning(admin_db) == disturbed
