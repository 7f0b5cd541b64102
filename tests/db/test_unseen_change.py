"""A bundle that upstream replaced before it was queued: nobody approves what nobody has seen (decision 0117)."""

import pytest
import worker_helpers
from gpupanel import services
from gpupanel.errors import InvalidStateError, PreflightRequested, UnseenChangeError

HINT = "Run Preflight, check the new plan, then queue the batch."


@pytest.fixture
def library(bundles, bring):
    """Five photos in the library."""
    photos = list(bundles.assets("old", 5, derivatives=("icon",)))
    bring(bundles.bundle("old", photos))
    return photos


@pytest.fixture
def scanned(panel_db, mount, bundles, library):
    """A recorded bundle that creates one photo."""
    sync_id = bundles.bundle("new", bundles.assets("new", 1))
    services.scan_mount(panel_db, mount, "operator")
    return sync_id


def live(db) -> int:
    return db.execute("SELECT COUNT(*) AS n FROM asset WHERE deleted_at IS NULL")[0]["n"]


def job_states(db, sync_id: str) -> list[str]:
    batch_id = worker_helpers.batch(db, sync_id)["id"]
    return [row["state"] for row in db.execute("SELECT state FROM import_job WHERE batch_id = %(b)s", b=batch_id)]


def become_a_remove(bundles, library, name: str = "new") -> None:
    bundles.bundle(name, library, action="remove", replace=True, files=False)


def test_a_recorded_create_that_became_a_remove_is_planned_and_not_queued(
    admin_db, panel_db, mount, bundles, library, scanned, worker_conf
):
    become_a_remove(bundles, library)
    with pytest.raises(UnseenChangeError) as refused:
        services.queue_batch(panel_db, mount, scanned, "operator")
    reason = "upstream replaced the bundle, a create when it was recorded, by a remove: 5 items would now be removed"
    assert (str(refused.value), refused.value.hint) == (f"Batch {scanned} was not queued: {reason}.", HINT)
    batch = worker_helpers.batch(panel_db, scanned)
    assert (batch["status"], batch["last_error"], batch["attention"]) == ("preflight_passed", reason, 1)
    assert batch["changed_at"] and batch["changed_sha256"] == batch["manifest_sha256"]
    assert {item["decision"] for item in worker_helpers.items(panel_db, scanned)} == {"will_remove"}
    with pytest.raises(InvalidStateError, match="Upstream replaced the bundle"):
        services.queue_batch(panel_db, mount, scanned, "operator")
    worker_helpers.drain(worker_conf)
    assert live(admin_db) == 5 and job_states(panel_db, scanned) == []


def test_it_is_queued_once_a_person_preflighted_it(admin_db, panel_db, mount, bundles, library, scanned, bring):
    become_a_remove(bundles, library)
    with pytest.raises(UnseenChangeError):
        services.queue_batch(panel_db, mount, scanned, "operator")
    assert services.preflight_batch(panel_db, mount, scanned, "operator").ok
    bring(scanned)
    assert live(admin_db) == 0 and worker_helpers.batch(panel_db, scanned)["last_error"] is None


def test_a_retry_removes_nothing_that_nobody_has_seen(admin_db, panel_db, mount, bundles, library, worker_conf):
    sync_id = worker_helpers.partial_batch(panel_db, mount, bundles, worker_conf, 4)
    become_a_remove(bundles, library, "coast")
    with pytest.raises(UnseenChangeError, match="5 items would now be removed"):
        services.retry_batch(panel_db, mount, sync_id, "operator")
    worker_helpers.drain(worker_conf)
    assert live(admin_db) == 8


def test_a_completed_batch_that_is_queued_again_in_bulk_reports_what_it_became(
    admin_db, panel_db, mount, bundles, library, scanned, bring, worker_conf
):
    bring(scanned)
    become_a_remove(bundles, library)
    (result,) = services.queue_batches(panel_db, mount, [scanned], "operator")
    assert result.job_id is None and "by a remove" in result.problem and result.hint == HINT
    worker_helpers.drain(worker_conf)
    assert live(admin_db) == 6


def test_a_remove_that_lists_other_assets_than_recorded_is_not_queued(
    admin_db, panel_db, mount, bundles, library, worker_conf
):
    sync_id = bundles.bundle("removal", library[:1], action="remove", files=False)
    services.scan_mount(panel_db, mount, "operator")
    become_a_remove(bundles, library, "removal")
    with pytest.raises(UnseenChangeError, match="the bundle, a remove, after it was recorded: 5 items would now"):
        services.queue_batch(panel_db, mount, sync_id, "operator")
    worker_helpers.drain(worker_conf)
    assert live(admin_db) == 5


def test_a_worker_that_makes_the_preflight_does_not_queue_it_either(
    admin_db, panel_db, mount, bundles, library, scanned, worker_conf, monkeypatch
):
    monkeypatch.setattr(services, "MAX_REQUEST_LOOKUPS", 0)
    with pytest.raises(PreflightRequested):
        services.queue_batch(panel_db, mount, scanned, "operator", services.QueueOptions(seconds=60))
    become_a_remove(bundles, library)
    log = worker_helpers.drain(worker_conf)
    assert "passed, and was not queued: upstream replaced the bundle" in log
    batch = worker_helpers.batch(panel_db, scanned)
    assert (batch["status"], live(admin_db)) == ("preflight_passed", 5) and "by a remove" in batch["last_error"]


@pytest.mark.parametrize("action", ["create", "update"])
def test_a_bundle_that_upstream_mended_is_planned_and_queued_in_one_step(
    panel_db, mount, bundles, library, bring, action
):
    photos = list(bundles.assets("mended", 2))
    sync_id = bundles.bundle("mended", photos[:1], action=action)
    services.scan_mount(panel_db, mount, "operator")
    bundles.bundle("mended", photos, action=action, replace=True)
    bring(sync_id)
    assert worker_helpers.counts(panel_db, sync_id) == {"created": 2}
