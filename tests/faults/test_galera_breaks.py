"""Killed, disconnected and emptied nodes during an import: no row is lost or duplicated."""

import shutil
import signal
from contextlib import contextmanager

import pytest
import worker_helpers
from gpupanel import config, doctor, job_queue
from gpupanel.db import Database
from gpupanel.errors import DatabaseConflictError, DatabaseUnavailableError
from gpupanel.worker import claims, stale_jobs

pytestmark = pytest.mark.long

PHOTOS = 40


@pytest.fixture
def server(cluster):
    """The first node, which tests and panel use; the second node breaks."""
    return cluster[1]


@pytest.fixture(autouse=True)
def whole_again(cluster):
    """Give each test three nodes, also after a test that failed in the middle."""
    yield
    cluster.network.plug(2)
    if not cluster[2].is_running:
        cluster[2].join()
    cluster.wait_until_whole()


@pytest.fixture
def photos(bundles):
    return list(bundles.assets("many", PHOTOS, derivatives=("icon",)))


@pytest.fixture
def bundle(bundles, panel_db, mount, photos):
    """A queued batch of forty photos in a gallery; returns (sync_id, job id)."""
    sync_id = bundles.bundle("many", photos, [bundles.container("gallery", "Many", photos)], sync_type="gallery")
    return sync_id, *worker_helpers.queue(panel_db, mount, sync_id)


@pytest.fixture
def in_the_middle(cluster, worker_on, start, on, photos):
    """Hold a worker at node 2 within a transaction, after half of the batch."""

    @contextmanager
    def wait():
        node_db = Database(cluster[2].admin("mysql"))
        with worker_helpers.held_back(node_db, worker_on(2), photos[PHOTOS // 2]) as until_it_waits:
            worker = start(on(2, chunk_items=1, heartbeat_seconds=0.5))
            until_it_waits()
            yield worker
        node_db.close()

    return wait


def completed(admin_db, job_id: int) -> bool:
    return worker_helpers.job(admin_db, job_id)["state"] == "completed"


def test_a_worker_whose_node_was_killed_goes_on_when_it_is_back(cluster, admin_db, bundle, in_the_middle, agreed):
    _, job_id = bundle
    with in_the_middle() as worker:
        cluster[2].kill()
    worker.wait_for_line("Retrying until it answers")
    cluster[2].join()
    cluster.wait_until_whole()
    worker_helpers.wait_until(lambda: completed(admin_db, job_id), "the end of the job")
    worker.send(signal.SIGTERM)
    assert worker.ends() == 0
    assert_imported_once(agreed(), attempts=1)


def assert_imported_once(held: dict, attempts: int) -> None:
    assert [(job["state"], job["attempts"]) for job in held["import_job"]] == [("completed", attempts)]
    assert [item["decision"] for item in held["ingest_batch_item"]] == ["created"] * PHOTOS
    assert len(held["asset"]) == len(held["asset_gallery_item"]) == PHOTOS
    event_types = [event["event_type"] for event in held["ingest_event"]]
    assert event_types.count("job_finished") == 1


def test_a_worker_on_another_node_completes_what_a_killed_node_left(
    cluster, admin_db, bundle, in_the_middle, worker_conf, agreed
):
    _, job_id = bundle
    with in_the_middle() as worker:
        cluster[2].kill()
    worker.wait_for_line("Retrying until it answers")
    worker_helpers.make_stale(admin_db, job_id)
    worker_helpers.drain(worker_conf)
    assert completed(admin_db, job_id)
    cluster[2].join()
    cluster.wait_until_whole()
    worker.wait_for_line("This worker writes nothing more for it")
    worker.send(signal.SIGTERM)
    assert worker.ends() == 0
    assert_imported_once(agreed(), attempts=2)


def test_a_node_that_is_cut_off_refuses_and_the_others_go_on(
    cluster, admin_db, panel_on, on, worker_conf, bundle, in_the_middle, agreed
):
    _, job_id = bundle
    with in_the_middle() as worker:
        cluster.network.pull(2)
        cluster[2].wait_for("wsrep_cluster_status", "non-Primary")
    for run in (panel_on(2).run_read, panel_on(2).run_single, panel_on(2).run_transaction):
        with pytest.raises(DatabaseUnavailableError, match="WSREP has not yet prepared") as refused:
            run(job_queue.job, job_id)
        assert "check wsrep_cluster_status" in refused.value.hint
    finding, *others = doctor.run_checks(config.load(on(2)))
    assert finding.check == "database" and "check wsrep_cluster_status" in finding.advice
    assert not [each for each in others if each.check in doctor.checks.OF_THE_DATABASE]
    cluster[1].wait_for("wsrep_cluster_size", 2)
    worker_helpers.make_stale(admin_db, job_id)
    worker_helpers.drain(worker_conf)
    assert completed(admin_db, job_id)
    cluster.network.plug(2)
    cluster.wait_until_whole()
    worker.wait_for_line("This worker writes nothing more for it")
    worker.send(signal.SIGTERM)
    assert worker.ends() == 0
    assert_imported_once(agreed(), attempts=2)
    assert panel_on(2).run_read(job_queue.job, job_id)["state"] == "completed"


def test_a_worker_whose_node_is_cut_off_while_it_commits_goes_on_when_it_is_back(
    cluster, admin_db, bundle, start, on, agreed
):
    _, job_id = bundle
    worker = start(on(2, chunk_items=1))
    worker_helpers.wait_until(lambda: worker_helpers.job(admin_db, job_id)["items_done"] >= 3, "its first items")
    cluster.network.pull(2)
    cluster[2].wait_for("wsrep_cluster_status", "non-Primary")
    done = worker_helpers.job(admin_db, job_id)
    assert done["state"] == "running" and done["items_done"] < PHOTOS
    cluster.network.plug(2)
    cluster.wait_until_whole()
    worker_helpers.wait_until(lambda: completed(admin_db, job_id), "the end of the job")
    worker.send(signal.SIGTERM)
    assert worker.ends() == 0
    assert_imported_once(agreed(), attempts=1)


def test_a_transaction_that_was_open_when_its_node_was_cut_off_commits_nothing(
    cluster, admin_db, worker_on, bundle, photos, agreed
):
    _, job_id = bundle
    lost = worker_on(2).run_transaction(claims.claim, claims.ClaimRequest("a" * 32, "two:1"))
    with pytest.raises((DatabaseUnavailableError, DatabaseConflictError)), worker_on(2).transaction() as tx:
        worker_helpers.write(tx, photos[0])
        claims.advance(tx, lost, 1)
        cluster.network.pull(2)
        cluster[1].wait_for("wsrep_cluster_size", 2)
        worker_helpers.make_stale(admin_db, job_id)
        assert worker_on(3).run_transaction(stale_jobs.requeue_stale, job_id, 900, 5, "other:3")
        assert worker_on(3).run_transaction(claims.claim, claims.ClaimRequest("b" * 32, "three:1"))
        cluster.network.plug(2)
        cluster.wait_until_whole()
    held = agreed()
    assert held["asset"] == []
    assert [(job["worker"], job["items_done"]) for job in held["import_job"]] == [("three:1", 0)]


def test_a_node_that_lost_its_data_is_given_all_of_it(cluster, admin_db, bundle, worker_conf, agreed):
    cluster[2].stop()
    shutil.rmtree(cluster[2].folder / "data")
    worker_helpers.drain(worker_conf)
    cluster[2].join()
    cluster.wait_until_whole()
    assert_imported_once(agreed(), attempts=1)
