"""Absence is no instruction (docs/CONTRACT.md, 2.8): a bundle that is gone, or may not be read, is refused, and
nothing is written of it."""

import json

import pytest
import worker_helpers
from gpupanel import bulk_service, services
from gpupanel.config import MountSettings
from gpupanel.devtools.bundle_factory import defects
from gpupanel.errors import InvalidStateError, PreflightFailedError
from gpupanel.models import BatchStatus
from gpupanel.mount import Mount

LEDGER = ("ingest_batch", "ingest_batch_item", "ingest_event", "import_job")
ACTIONS = {"preflight": services.preflight_batch, "queue": services.queue_batch, "retry": services.retry_batch}
# A batch whose preflight has passed is queued without a look at the mount, and its job waits there for the bundle.
QUEUED_AFTER_A_LOOK = [status for status in bulk_service.FREE if status != BatchStatus.PREFLIGHT_PASSED]
LOOKED_AT = [
    *(("preflight", status) for status in BatchStatus), *(("queue", status) for status in QUEUED_AFTER_A_LOOK),
    *(("retry", status) for status in services.RETRYABLE_STATUSES),
]


def alone(do, db, mount, sync_id):
    ACTIONS[do](db, mount, sync_id, "operator")


def in_bulk(do, db, mount, sync_id):
    """Run the action as a bulk action, which reports a refusal as a result."""
    ((outcome,), _) = bulk_service.run(db, mount, do, [sync_id], bulk_service.ActionTerms("operator", 20))
    raise InvalidStateError(outcome.problem, outcome.hint)


def written(db):
    return {table: db.execute(f"SELECT * FROM {table} ORDER BY id") for table in LEDGER}

# A discovered batch with an error is one that the scan skipped.
RESET = (
    "UPDATE ingest_batch SET status = %(status)s, last_error = IF(%(status)s = 'discovered', NULL, last_error)"
)


@pytest.fixture
def imported(panel_db, mount, bundles, worker_conf):
    """A bundle of two photos, of which the first is imported."""
    return worker_helpers.partial_batch(panel_db, mount, bundles, worker_conf, 2)


@pytest.fixture
def lose(mount, tmp_path):
    """Move files of a bundle away; return a function that restores them."""
    def lose(sync_id, *suffixes):
        files = [mount.sync_dir / f"{sync_id}.{suffix}" for suffix in suffixes]
        for file in files:
            file.rename(tmp_path / file.name)
        return lambda: [(tmp_path / file.name).rename(file) for file in files]

    return lose


@pytest.mark.parametrize("do, status", LOOKED_AT)
@pytest.mark.parametrize("way", [alone, in_bulk])
def test_a_bundle_that_is_gone_is_refused_and_nothing_is_written_whatever_the_status(
    admin_db, panel_db, mount, imported, lose, way, do, status
):
    admin_db.execute(RESET, status=str(status))
    lose(imported, "json")
    before = written(admin_db)
    with pytest.raises(InvalidStateError) as refused:
        way(do, panel_db, mount, imported)
    assert str(refused.value) == f"{imported}.json is not on the mount; the batch stays as it is: {status}."
    assert refused.value.hint.startswith("Restore the bundle")
    assert refused.value.hint.endswith(
        "its job then continues by itself." if status.has_active_job else "then repeat this."
    )
    assert written(admin_db) == before


@pytest.mark.parametrize("do, status", LOOKED_AT)
@pytest.mark.parametrize("way", [alone, in_bulk])
def test_a_bundle_that_may_not_be_read_is_refused_and_nothing_is_written_whatever_the_status(
    admin_db, panel_db, mount, imported, deny, way, do, status
):
    admin_db.execute(RESET, status=str(status))
    deny(mount.sync_dir / f"{imported}.json")
    before = written(admin_db)
    with pytest.raises(InvalidStateError) as refused:
        way(do, panel_db, mount, imported)
    denied = f"{imported}.json may not be read by this account: Permission denied"
    assert str(refused.value) == f"{denied}; the batch stays as it is: {status}."
    assert "make it readable" in refused.value.hint
    assert written(admin_db) == before


@pytest.mark.parametrize("do", ["preflight", "queue", "retry"])
@pytest.mark.parametrize("lost, named", [(["json"], "json"), (["ready"], "ready"), (["json", "ready"], "ready")])
def test_the_file_that_is_missing_is_named(panel_db, mount, bundles, imported, lose, do, lost, named):
    bundles.bundle("another", bundles.assets("another", 1))
    lose(imported, *lost)
    with pytest.raises(
        InvalidStateError, match=f"^{imported}.{named} is not on the mount; the batch stays as it is: partial.$"
    ):
        alone(do, panel_db, mount, imported)


@pytest.mark.parametrize("do", ["preflight", "queue"])
def test_a_manifest_that_never_came_is_no_failed_preflight(admin_db, panel_db, mount, bundles, do):
    sync_id = bundles.sentinel("late")
    services.scan_mount(panel_db, mount, "operator")
    before = written(admin_db)
    with pytest.raises(InvalidStateError, match=f"{sync_id}.json is not on the mount; .* stays as it is: discovered"):
        alone(do, panel_db, mount, sync_id)
    assert written(admin_db) == before
    bundles.bundle("late", bundles.assets("late", 1))
    assert services.scan_mount(panel_db, mount, "operator").discovered == [sync_id]


def test_a_retry_of_a_batch_of_which_nothing_was_done_is_refused_as_well(admin_db, panel_db, mount, bundles, lose):
    sync_id = bundles.bundle("coast", bundles.assets("coast", 1, broken={0: defects.no_source}))
    services.scan_mount(panel_db, mount, "operator")
    assert not services.preflight_batch(panel_db, mount, sync_id, "operator").ok
    lose(sync_id, "json")
    before = written(admin_db)
    with pytest.raises(InvalidStateError, match="stays as it is: preflight_failed"):
        services.retry_batch(panel_db, mount, sync_id, "operator")
    assert written(admin_db) == before


@pytest.mark.parametrize("do, after", [("preflight", "preflight_passed"), ("queue", "queued"), ("retry", "queued")])
def test_once_it_is_back_all_goes_on(panel_db, mount, imported, lose, do, after):
    worker_helpers.mend(panel_db, mount, imported)
    bring_back = lose(imported, "json")
    with pytest.raises(InvalidStateError):
        alone(do, panel_db, mount, imported)
    bring_back()
    alone(do, panel_db, mount, imported)
    assert worker_helpers.batch(panel_db, imported)["status"] == after


@pytest.mark.parametrize("do, after", [("preflight", "preflight_passed"), ("queue", "queued"), ("retry", "queued")])
def test_once_it_may_be_read_all_goes_on(panel_db, mount, imported, deny, do, after):
    worker_helpers.mend(panel_db, mount, imported)
    allow = deny(mount.sync_dir / f"{imported}.json")
    with pytest.raises(InvalidStateError):
        alone(do, panel_db, mount, imported)
    allow()
    alone(do, panel_db, mount, imported)
    assert worker_helpers.batch(panel_db, imported)["status"] == after


def test_a_batch_that_has_passed_its_preflight_is_queued_unseen_and_its_job_waits_for_the_bundle(
    panel_db, mount, bundles, lose, worker_conf
):
    sync_id = bundles.bundle("coast", bundles.assets("coast", 1))
    services.scan_mount(panel_db, mount, "operator")
    assert services.preflight_batch(panel_db, mount, sync_id, "operator").ok
    lose(sync_id, "json")
    job_id = services.queue_batch(panel_db, mount, sync_id, "operator")
    worker_helpers.drain(worker_conf)
    job = worker_helpers.job(panel_db, job_id)
    assert (job["state"], worker_helpers.batch(panel_db, sync_id)["status"]) == ("held", "queued")
    assert f"{sync_id}.json is not on the mount" in job["last_error"]


def test_in_bulk_a_bundle_that_is_gone_holds_up_none_of_the_others(admin_db, panel_db, mount, bundles, imported, lose):
    there = bundles.bundle("there", bundles.assets("there", 1))
    services.scan_mount(panel_db, mount, "operator")
    lose(imported, "json")
    gone, queued = services.queue_batches(panel_db, mount, [imported, there], "operator")
    assert (gone.sync_id, gone.job_id, queued.sync_id) == (imported, None, there) and queued.job_id
    assert "stays as it is: partial" in gone.problem and gone.hint.startswith("Restore the bundle")
    (gone, _), left = bulk_service.run(
        panel_db, mount, bulk_service.PREFLIGHT, [imported, there], bulk_service.ActionTerms("operator", 20)
    )
    assert "stays as it is: partial" in gone.problem and gone.did is None and left == []


def lead_out(manifest):
    manifest.unlink()
    manifest.symlink_to("/etc/passwd")


def unverify(manifest):
    document = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(document | {"verification": {"passed": False, "total_files": 1}}))


@pytest.mark.parametrize(
    "spoil, problem",
    [
        (lambda manifest: manifest.write_text("{"), "JSON"),
        (lambda manifest: manifest.write_text(" " * 5000), "expected at most 4999"),
        (lead_out, "leads out of the mount"), (unverify, "verification"),
    ],
    ids=["broken", "too big", "leading out", "not consumable"],
)
@pytest.mark.parametrize("do", ["preflight", "queue"])
def test_a_bundle_that_is_there_and_faulty_still_fails_its_preflight(panel_db, mount, imported, spoil, problem, do):
    spoil(mount.sync_dir / f"{imported}.json")
    small = Mount(MountSettings(mount.sync_dir, mount.assets_dir, manifest_limit=4999))
    if do == "preflight":
        assert problem in services.preflight_batch(panel_db, small, imported, "operator").problems[0]
    else:
        with pytest.raises(PreflightFailedError, match=problem):
            services.queue_batch(panel_db, small, imported, "operator")
    batch = worker_helpers.batch(panel_db, imported)
    assert batch["status"] == "preflight_failed" and problem in batch["last_error"]
    assert worker_helpers.events(panel_db, imported)[-1]["event_type"] == "preflight_finished"
