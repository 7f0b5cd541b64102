"""A preflight that is too long for a request is made by a worker, once, and can be followed and canceled."""

import json
import secrets

import pytest
import worker_helpers
from gpupanel import bulk_service, bundle_inspection, job_queue, preflight_requests, services
from gpupanel.db import Database
from gpupanel.errors import ClaimLostError, InvalidStateError, PreflightRequested
from gpupanel.mount import Mount
from gpupanel.web import status_bar
from gpupanel.worker import preflights

SECONDS = 20  # any time limit, as that of a page


@pytest.fixture
def short(monkeypatch):
    """Requests that may look up five items and files only."""
    monkeypatch.setattr(services, "MAX_REQUEST_LOOKUPS", 5)


@pytest.fixture
def bundle(panel_db, mount, bundles, short):
    sync_id = bundles.bundle("coast", bundles.assets("coast", 6, derivatives=("icon",)))
    services.scan_mount(panel_db, mount, "operator")
    return sync_id


def batch_id(db, sync_id) -> int:
    return worker_helpers.batch(db, sync_id)["id"]


def request_of(db, sync_id) -> dict:
    return db.run_read(preflight_requests.of_batch, batch_id(db, sync_id))


def ask(db, sync_id, **options) -> None:
    db.run_transaction(preflight_requests.request, batch_id(db, sync_id), "operator", **options)


def take(db, token: str | None = None) -> preflights.PreflightClaim | None:
    return db.run_transaction(preflights.claim, token or secrets.token_hex(16), "host:1", [])


def test_the_limits_are_32_mib_and_2000_items_and_derivatives():
    assert not services.is_too_long(32 * 1024 * 1024, 1000, 1000)
    assert services.is_too_long(32 * 1024 * 1024 + 1, 0, 0) and services.is_too_long(0, 1000, 1001)


def test_a_long_preflight_becomes_a_request_that_a_worker_makes(panel_db, mount, bundle, worker_conf):
    with pytest.raises(PreflightRequested, match="A worker preflights batch"):
        services.preflight_batch(panel_db, mount, bundle, "operator", services.PreflightOptions(seconds=SECONDS))
    assert request_of(panel_db, bundle)["state"] == "queued"
    assert worker_helpers.batch(panel_db, bundle)["status"] == "discovered"
    assert f"preflight of batch {bundle}: passed" in worker_helpers.drain(worker_conf)
    assert worker_helpers.batch(panel_db, bundle)["status"] == "preflight_passed"
    assert worker_helpers.counts(panel_db, bundle) == {"will_create": 6}
    request = request_of(panel_db, bundle)
    assert (request["state"], request["last_error"], request["attempts"]) == ("completed", None, 1)
    (asked,) = worker_helpers.events(panel_db, bundle, "preflight_requested")
    assert json.loads(asked["payload"]) == {
        "phase": "preflight_request", "priority": 100, "requested_by": "operator", "then_queue": 0,
    }
    assert worker_helpers.events(panel_db, bundle, "preflight_finished")[0]["actor"] == "operator"


def test_without_a_time_limit_it_is_made_at_once(panel_db, mount, bundle):
    assert services.preflight_batch(panel_db, mount, bundle, "operator").ok


def test_a_large_manifest_is_not_even_read(panel_db, mount, bundle, monkeypatch):
    monkeypatch.setattr(services, "MAX_REQUEST_BYTES", 100)
    monkeypatch.setattr("gpupanel.mount.mount.ManifestFile.read", None)
    with pytest.raises(PreflightRequested):
        services.preflight_batch(panel_db, mount, bundle, "operator", services.PreflightOptions(seconds=SECONDS))


def test_a_remove_of_many_items_is_long_though_it_looks_up_no_file(panel_db, mount, bundles, short, worker_conf):
    sync_id = bundles.bundle("gone", bundles.assets("gone", 6), action="remove", files=False)
    bundles.bundle("there", bundles.assets("there", 1))
    services.scan_mount(panel_db, mount, "operator")
    with pytest.raises(PreflightRequested):
        services.preflight_batch(panel_db, mount, sync_id, "operator", services.PreflightOptions(seconds=SECONDS))
    worker_helpers.drain(worker_conf)
    assert worker_helpers.counts(panel_db, sync_id) == {"will_skip": 6}


def test_queueing_a_long_bundle_preflights_and_queues_it_with_its_priority(panel_db, mount, bundle, worker_conf):
    with pytest.raises(PreflightRequested, match="and queues it if it passes"):
        services.queue_batch(panel_db, mount, bundle, "operator", services.QueueOptions(7, SECONDS))
    worker_helpers.drain(worker_conf)
    assert worker_helpers.batch(panel_db, bundle)["status"] == "completed"
    (job,) = panel_db.run_read(job_queue.list_of_batch, batch_id(panel_db, bundle))
    assert (job["priority"], job["requested_by"], job["items_done"]) == (7, "operator", 6)


def test_in_bulk_a_long_preflight_is_a_result_and_no_problem(panel_db, mount, bundle):
    terms = bulk_service.ActionTerms("operator", SECONDS)
    ((result,), left) = bulk_service.run(panel_db, mount, "preflight", [bundle], terms)
    assert (result.problem, left) == (None, []) and "A worker preflights batch" in result.did


def test_a_failed_plan_is_stored_and_not_queued(panel_db, mount, bundles, short, worker_conf):
    sync_id = bundles.bundle("lost", bundles.assets("lost", 6), files=False)
    bundles.bundle("there", bundles.assets("there", 1))
    services.scan_mount(panel_db, mount, "operator")
    with pytest.raises(PreflightRequested):
        services.queue_batch(panel_db, mount, sync_id, "operator", services.QueueOptions(seconds=SECONDS))
    assert f"preflight of batch {sync_id}: failed" in worker_helpers.drain(worker_conf)
    assert worker_helpers.batch(panel_db, sync_id)["status"] == "preflight_failed"
    assert request_of(panel_db, sync_id)["state"] == "completed"


def test_while_a_request_is_open_nothing_else_preflights_or_queues_the_batch(panel_db, worker_db, mount, bundle):
    assert services.preflight_batch(panel_db, mount, bundle, "operator").ok
    ask(panel_db, bundle)
    for claimed in (False, True):
        if claimed:
            assert take(worker_db)
        for act in (services.preflight_batch, services.queue_batch):
            with pytest.raises(InvalidStateError, match=r"A preflight of batch .* was requested by operator"):
                act(panel_db, mount, bundle, "other")
        with pytest.raises(InvalidStateError, match="was requested by operator"):
            ask(panel_db, bundle)


def test_a_batch_with_an_active_job_takes_no_request(panel_db, mount, bundle):
    services.queue_batch(panel_db, mount, bundle, "operator")
    with pytest.raises(InvalidStateError, match="is queued already, as job"):
        ask(panel_db, bundle)


def test_two_workers_claim_two_requests_the_oldest_first(panel_db, worker_db, mount, bundles, bundle):
    other = bundles.bundle("other", bundles.assets("other", 1))
    services.scan_mount(panel_db, mount, "operator")
    ask(panel_db, other)
    ask(panel_db, bundle)
    with worker_db.transaction() as tx:
        first = preflights.claim(tx, "a" * 32, "host:1", [])
        rival = Database(worker_db.settings)
        second = take(rival)
        rival.close()
    assert (first.sync_id, second.sync_id) == (other, bundle) and take(worker_db) is None


def test_a_canceled_request_is_not_made_and_a_running_one_writes_nothing(panel_db, worker_db, mount, bundle):
    ask(panel_db, bundle)
    panel_db.run_transaction(preflight_requests.cancel, bundle, "jane")
    assert take(worker_db) is None
    request = request_of(panel_db, bundle)
    assert (request["state"], request["last_error"]) == ("failed", "canceled by jane")
    with pytest.raises(InvalidStateError, match="no open preflight request"):
        panel_db.run_transaction(preflight_requests.cancel, bundle, "jane")
    ask(panel_db, bundle)
    claim = take(worker_db)
    panel_db.run_transaction(preflight_requests.cancel, bundle, "jane")
    with pytest.raises(ClaimLostError):
        worker_db.run_transaction(preflights.save, claim, bundle_inspection.inspect_bundle(mount, bundle))
    assert worker_helpers.batch(panel_db, bundle)["status"] == "discovered"
    with pytest.raises(ClaimLostError):
        worker_db.run_transaction(preflights.heartbeat, claim)


def test_a_stale_request_is_queued_again_and_fails_after_its_last_attempt(admin_db, panel_db, worker_db, bundle):
    ask(panel_db, bundle)
    for attempt, state in ((1, "queued"), (2, "failed")):
        claim = take(worker_db)
        assert claim.attempts == attempt
        assert worker_db.run_transaction(preflights.reset_stale, 60, 2, "host:1") == 0
        admin_db.execute("UPDATE preflight_request SET heartbeat_at = NOW(6) - INTERVAL 2 MINUTE")
        assert worker_db.run_transaction(preflights.reset_stale, 60, 2, "host:1") == 1
        assert request_of(panel_db, bundle)["state"] == state
    assert "sent no heartbeat for over 60 s" in request_of(panel_db, bundle)["last_error"]
    ask(panel_db, bundle)
    assert take(worker_db).attempts == 1


def test_a_mount_that_is_away_gives_the_attempt_back_and_the_others_have_their_turn(
    panel_db, mount, bundles, bundle, worker_conf, tmp_path
):
    photo = next(iter(bundles.assets("coast", 1)))
    first = mount.assets_dir / photo.path.split("/")[0]
    other = bundles.bundle("other", bundles.assets("other", 6), action="remove", files=False)
    services.scan_mount(panel_db, mount, "operator")
    ask(panel_db, bundle)
    ask(panel_db, other)
    first.rename(tmp_path / "elsewhere")
    (mount.assets_dir / "lost+found").mkdir()
    worker_helpers.drain(worker_conf)
    request = request_of(panel_db, bundle)
    assert (request["state"], request["attempts"]) == ("queued", 0) and "The mount is away" in request["last_error"]
    assert request_of(panel_db, other)["state"] == "completed"


def test_a_bundle_that_is_gone_fails_its_request_and_the_batch_stays(panel_db, mount, bundle, worker_conf):
    ask(panel_db, bundle)
    (mount.sync_dir / f"{bundle}.json").unlink()
    (mount.sync_dir / "another.ready").touch()
    worker_helpers.drain(worker_conf)
    request = request_of(panel_db, bundle)
    assert request["state"] == "failed" and "is not on the mount; the batch stays as it is" in request["last_error"]
    assert worker_helpers.batch(panel_db, bundle)["status"] == "discovered"


def test_a_fault_of_the_worker_counts_as_an_attempt(panel_db, bundle, worker_conf, monkeypatch):
    ask(panel_db, bundle)

    def faulty(self, sync_id):
        raise KeyError("a fault")

    monkeypatch.setattr(Mount, "open_manifest", faulty)
    worker_helpers.drain(worker_conf)
    request = request_of(panel_db, bundle)
    assert (request["state"], request["attempts"]) == ("queued", 1) and "KeyError" in request["last_error"]


def test_the_claim_reads_its_index_in_order(panel_db, worker_db, bundle):
    ask(panel_db, bundle)
    (plan,) = worker_db.execute(
        "EXPLAIN SELECT batch_id FROM preflight_request FORCE INDEX (claim)"
        " WHERE state = 'queued' AND batch_id NOT IN (0)"
        " ORDER BY requested_at, batch_id LIMIT 1 FOR UPDATE SKIP LOCKED"
    )
    assert plan["key"] == "claim" and "filesort" not in (plan["Extra"] or "")


def test_the_page_tells_of_the_request_and_its_state(panel_db, bundle):
    _, before = status_bar.load_with_batch(panel_db, bundle)
    ask(panel_db, bundle)
    assert status_bar.load_with_batch(panel_db, bundle)[1] != before
