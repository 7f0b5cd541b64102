"""Panel and workers on nodes of one cluster: the second commit is refused and retried."""

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from itertools import count

import pytest
import worker_helpers
from gpupanel import job_queue, services
from gpupanel.errors import ClaimLostError, DatabaseConflictError, InvalidStateError
from gpupanel.manifest import Container
from gpupanel.models import BatchStatus
from gpupanel.order import BundleOrder, Order
from gpupanel.worker import claims, containers, stale_jobs
from gpupanel.worker.chunk_writer import ImportRun
from gpupanel.worker.claims import ImportResult
from gpupanel.worker.container_writer import ContainerWriter

WELL = ImportResult(BatchStatus.COMPLETED, {}, {}, None)
JOBS, ROUNDS, BUNDLES = 60, 6, 10


@pytest.fixture
def server(cluster):
    """The first node is where the tests look, and where the panel is."""
    return cluster[1]


def reset(worker, admin_db, job_id: int) -> None:
    worker_helpers.make_stale(admin_db, job_id)
    assert worker.run_transaction(stale_jobs.requeue_stale, job_id, 900, 5, "other:2")


def test_of_two_claims_of_one_job_on_two_nodes_one_is_refused_and_takes_the_next(admin_db, worker_on):
    first, second = worker_helpers.enqueue(admin_db, 2)
    with pytest.raises(DatabaseConflictError), worker_on(2).transaction() as tx:
        assert claims.claim(tx, claims.ClaimRequest("a" * 32, "two:1")).job_id == first
        assert worker_on(3).run_transaction(claims.claim, claims.ClaimRequest("b" * 32, "three:1")).job_id == first
    assert worker_on(2).run_transaction(claims.claim, claims.ClaimRequest("c" * 32, "two:1")).job_id == second


def test_claims_on_three_nodes_take_each_job_once(cluster, admin_db, worker_on):
    jobs = worker_helpers.enqueue(admin_db, JOBS)
    together(partial(end_all, worker_on(number), number) for number in cluster)
    ended = admin_db.execute("SELECT id, state, attempts FROM import_job ORDER BY id")
    assert [(row["id"], row["state"], row["attempts"]) for row in ended] == [(job, "completed", 1) for job in jobs]
    counts = admin_db.execute(
        "SELECT event_type, COUNT(*) AS n, COUNT(DISTINCT batch_id) AS batches FROM ingest_event GROUP BY 1"
    )
    assert {(row["event_type"], row["n"], row["batches"]) for row in counts} == {
        ("job_claimed", JOBS, JOBS), ("job_finished", JOBS, JOBS),
    }


def end_all(db, number: int) -> None:
    """Claim and end jobs until there are none; after each row that others hold too long, go on as a worker does."""
    count = 0
    while claim := persist(db, claims.claim, claims.ClaimRequest(f"{number:016d}{count:016d}", f"host:{number}")):
        persist(db, claims.finish, claim, WELL, claims.SAME_MANIFEST)
        count += 1
    db.close()


def persist(db, *work):
    while True:
        with contextlib.suppress(DatabaseConflictError):
            return db.run_transaction(*work)


@pytest.fixture
def photo(bundles, panel_db, mount):
    """A queued batch of one photo, and that photo; returns (sync_id, job id, asset)."""
    [asset] = bundles.assets("coast", 1)
    sync_id = bundles.bundle("coast", [asset])
    return sync_id, *worker_helpers.queue(panel_db, mount, sync_id), asset


def test_a_worker_presumed_dead_commits_no_library_row_on_its_node(admin_db, worker_on, photo, agreed):
    _, job_id, asset = photo
    lost = worker_on(2).run_transaction(claims.claim, claims.ClaimRequest("a" * 32, "two:1"))
    with pytest.raises(DatabaseConflictError), worker_on(2).transaction() as tx:
        worker_helpers.write(tx, asset)
        claims.advance(tx, lost, 1)
        reset(worker_on(3), admin_db, job_id)
        current = worker_on(3).run_transaction(claims.claim, claims.ClaimRequest("b" * 32, "three:1"))
    with pytest.raises(ClaimLostError):
        worker_on(2).run_transaction(claims.advance, lost, 1)
    worker_on(3).run_transaction(claims.finish, current, WELL, claims.SAME_MANIFEST)
    assert agreed()["asset"] == []


def test_of_a_claim_and_a_cancel_on_two_nodes_one_counts(admin_db, worker_on, panel_db, photo, agreed):
    _, job_id, _ = photo
    with pytest.raises(DatabaseConflictError), worker_on(2).transaction() as tx:
        assert claims.claim(tx, claims.ClaimRequest("a" * 32, "two:1"))
        panel_db.run_transaction(job_queue.cancel, job_id, "operator")
    assert worker_on(2).run_transaction(claims.claim, claims.ClaimRequest("b" * 32, "two:1")) is None
    assert agreed()["import_job"][0]["state"] == "canceled"


def test_a_page_on_another_node_shows_what_was_done_a_moment_before(panel_db, panel_on, photo):
    _, job_id, _ = photo
    for priority in range(50):
        panel_db.run_transaction(job_queue.set_priority, job_id, priority, "operator")
        assert panel_on(3).run_read(job_queue.job, job_id)["priority"] == priority


def test_a_batch_that_is_queued_on_two_nodes_is_queued_once(panel_db, panel_on, bundles, mount, agreed):
    sync_id = bundles.bundle("coast", bundles.assets("coast", 1))
    worker_helpers.queue(panel_db, mount)
    services.preflight_batch(panel_db, mount, sync_id, "operator")
    tries = []

    def enqueue(tx):
        job_queue.enqueue(tx, sync_id, "operator")
        tries.append(1)
        if len(tries) == 1:
            panel_on(3).run_transaction(job_queue.enqueue, sync_id, "other")

    with pytest.raises(InvalidStateError, match="queued already"):
        panel_db.run_transaction(enqueue)
    assert [job["requested_by"] for job in agreed()["import_job"]] == ["other"]


def test_a_gallery_that_gains_a_member_on_one_node_and_loses_its_last_on_another_stays(
    panel_db, worker_on, bundles, mount, worker_conf, agreed
):
    photos = list(bundles.assets("coast", 2))
    sync_id = bundles.bundle("coast", photos)
    worker_helpers.queue(panel_db, mount, sync_id)
    worker_helpers.drain(worker_conf)
    first, second = (Container("gallery", "a" * 64, "Coast", items=(photo.asset_hash,)) for photo in photos)
    batch = worker_helpers.batch(panel_db, sync_id)
    moments = count()
    for _ in range(ROUNDS):
        worker_on(1).run_transaction(partial(write, batch, next(moments), "create", first))
        worker_on(1).run_transaction(partial(write, batch, next(moments), "remove", second))
        take, bring = (partial(write, batch, next(moments)) for _ in range(2))
        at_once((worker_on(2), partial(bring, "create", second)), (worker_on(3), partial(take, "remove", first)))
        held = agreed()
        assert [gallery["deleted_at"] for gallery in held["asset_gallery"]] == [None]
        assert [member["deleted_at"] for member in held["asset_gallery_item"]].count(None) == 1


def write(batch: dict, moment: int, action: str, gallery: Container, tx) -> None:
    """Import a gallery as a bundle that was completed `moment` seconds after the batch."""
    order = Order(batch["source_at"] + timedelta(seconds=moment), batch["sync_id"])
    entries = containers.open_containers(tx, batch["id"], None, [(0, gallery)])
    ContainerWriter(ImportRun(BundleOrder(order, batch["id"])), action).write(tx, entries)


def at_once(*transactions) -> None:
    """Run each (database, work) in a thread of its own; at the first try all of them commit at the same moment."""
    barrier = threading.Barrier(len(transactions), timeout=worker_helpers.SECONDS)

    def run(db, work) -> None:
        tries = []

        def until_all_have_come_so_far(tx) -> None:
            work(tx)
            tries.append(tx)
            if len(tries) == 1:
                barrier.wait()

        db.run_transaction(until_all_have_come_so_far)
        db.close()

    together(partial(run, *each) for each in transactions)


def together(works) -> None:
    """Do all of it side by side."""
    with ThreadPoolExecutor() as pool:
        for doing in [pool.submit(work) for work in works]:
            doing.result()


def test_bundles_that_share_assets_are_imported_once_each_by_workers_on_all_nodes(
    cluster, admin_db, panel_db, bundles, mount, on, agreed
):
    shared = list(bundles.assets("shared", 2, ("photo", "cover"), derivatives=("icon",)))
    sync_ids = [
        bundles.bundle(f"bundle {n}", [*bundles.assets(f"bundle {n}", 3, derivatives=("icon",)), *shared],
                       [bundles.container("gallery", "All", shared)])
        for n in range(BUNDLES)
    ]
    worker_helpers.queue(panel_db, mount, *sync_ids)
    together(partial(worker_helpers.drain, on(number)) for number in cluster)
    held = agreed()
    assert [(job["state"], job["attempts"]) for job in held["import_job"]] == [("completed", 1)] * BUNDLES
    claimed = [event["batch_id"] for event in held["ingest_event"] if event["event_type"] == "job_claimed"]
    assert len(claimed) == len(set(claimed)) == BUNDLES
    assert len(held["asset"]) == 3 * BUNDLES + len(shared) and len(held["asset_gallery_item"]) == len(shared)
    decided = [item["decision"] for item in held["ingest_batch_item"]]
    assert decided.count("created") == 3 * BUNDLES + len(shared)
