"""A lost reply to COMMIT is settled by reading before any retry."""

import pytest
import worker_helpers
from campaign.fault_proxy import IMPORTS, FaultProxy
from campaign.faults import cut_after, cut_before
from gpupanel.worker import claims, importer

# Claim, three chunks, gallery and collection, finish.
COMMITS = 6
WRITES = ("INSERT ", "UPDATE ")


class Losing(FaultProxy):
    """A proxy that loses the reply to COMMIT number `lose` of the imports, after or before the server executed it.

    A COMMIT counts if its transaction wrote something.
    """

    def __init__(self, path, server, lose: int, reached: bool):
        super().__init__(path, server, lose, cut_after if reached else cut_before)
        self._wrote = False

    def number(self, link, statement: str) -> int:
        if link.role(statement) != IMPORTS:
            return 0
        is_counted = self._wrote and statement == "COMMIT"
        self._wrote = statement.startswith(WRITES) or (self._wrote and statement not in ("COMMIT", "ROLLBACK"))
        return super().number(link, statement) if is_counted else 0


@pytest.fixture
def bundle(bundles, panel_db, mount):
    """A queued batch of five photos in a gallery and a collection: (sync_id, job id)."""
    photos = list(bundles.assets("coast", 5, derivatives=("icon",)))
    held = [bundles.container(kind, "Coast", photos) for kind in ("gallery", "collection")]
    sync_id = bundles.bundle("coast", photos, held)
    return sync_id, *worker_helpers.queue(panel_db, mount, sync_id)


BOTH = pytest.mark.parametrize("reached", [True, False], ids=["after it took effect", "before it took effect"])


@pytest.fixture
def through(server, tmp_path, worker_conf):
    """`through(2, reached)`: a configuration whose database loses the reply to COMMIT number 2, and its proxy."""

    def through(lose: int, reached: bool):
        proxy = tmp_path / "proxy.sock"
        conf = worker_helpers.with_options(worker_conf, socket=proxy, chunk_items=2, heartbeat_seconds=60)
        return conf, Losing(proxy, server, lose, reached)

    return through


@BOTH
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("lose", range(1, COMMITS + 1))
def test_the_job_ends_once_and_as_if_nothing_had_happened(
    admin_db, panel_db, bundle, through, monkeypatch, lose, threads, reached
):
    monkeypatch.setattr(importer, "PARALLEL_ITEMS", 0 if threads == 2 else 1000)
    sync_id, job_id = bundle
    conf, proxy = through(lose, reached)
    with proxy:
        worker_helpers.wait_until(lambda: completed_by(conf, admin_db, job_id), "the end of the job")
    assert proxy.struck.is_set() and len(proxy.statements) >= COMMITS
    assert worker_helpers.batch(panel_db, sync_id)["status"] == "completed"
    assert worker_helpers.counts(panel_db, sync_id) == {"created": 5}
    event_types = [event["event_type"] for event in worker_helpers.events(panel_db, sync_id)]
    assert event_types.count("job_finished") == 1
    assert event_types.count("job_claimed") - event_types.count("job_released") == 1
    job = worker_helpers.job(admin_db, job_id)
    assert (job["items_done"], job["attempts"]) == (5, 1)
    library = worker_helpers.rows(admin_db)
    assert [
        len(library[table]) for table in ("asset", "asset_source", "asset_gallery_item", "asset_collection_item")
    ] == [5] * 4


def completed_by(conf, admin_db, job_id: int) -> bool:
    """Return whether another worker completes the job."""
    worker_helpers.drain(conf)
    return worker_helpers.job(admin_db, job_id)["state"] == "completed"


@BOTH
def test_once_leaves_nothing_in_the_queue_when_the_reply_to_its_claim_was_lost(admin_db, bundle, through, reached):
    conf, proxy = through(1, reached)
    with proxy:
        worker_helpers.drain(conf)
    job = worker_helpers.job(admin_db, bundle[1])
    assert (job["state"], job["attempts"]) == ("completed", 1)


@BOTH
def test_a_release_whose_reply_was_lost_gives_the_job_back_once(
    admin_db, panel_db, assets_dir, bundle, through, reached
):
    sync_id, job_id = bundle
    manifest = assets_dir / "sync" / f"{sync_id}.json"
    manifest.rename(assets_dir / "away.json")
    conf, proxy = through(2, reached)
    with proxy:
        worker_helpers.drain(conf)
    job = worker_helpers.job(admin_db, job_id)
    assert (job["state"], job["hold"], job["attempts"]) == ("held", "bundle", 0)
    event_types = [event["event_type"] for event in worker_helpers.events(panel_db, sync_id)]
    assert event_types[-2:] == ["job_claimed", "job_held"]


@BOTH
def test_a_reset_whose_reply_was_lost_does_not_end_the_worker_and_happens_once(
    admin_db, panel_db, worker_db, bundle, through, reached
):
    sync_id, job_id = bundle
    worker_db.run_transaction(claims.claim, claims.ClaimRequest("a" * 32, "dead:1"))
    worker_helpers.make_stale(admin_db, job_id)
    conf, door = through(1, reached)
    with door:
        log = worker_helpers.drain(conf)
        worker_helpers.drain(conf)
    assert f"job {job_id} (batch {sync_id}): stale, perhaps requeued" in log
    job = worker_helpers.job(admin_db, job_id)
    assert (job["state"], job["attempts"]) == ("completed", 2)
    event_types = [event["event_type"] for event in worker_helpers.events(panel_db, sync_id)]
    assert event_types.count("job_reset") == 1
