"""A bundle that upstream replaced after its approval: nothing happens that nobody approved."""

import json

import pytest
import worker_helpers
from gpupanel import bulk_service, job_queue, services
from gpupanel.cli.main import main
from gpupanel.devtools.bundle_factory import defects
from gpupanel.errors import InvalidStateError
from gpupanel.models import BatchStatus
from gpupanel.worker import bundle_change
from gpupanel.worker import document_prefetch
from gpupanel.worker.chunk_writer import ChunkWriter

PLANS = "SELECT asset_hash, planned, decision FROM ingest_batch_item WHERE decision <> 'withdrawn' ORDER BY position"


@pytest.fixture
def library(bundles, bring):
    """Fifteen photos in the library."""
    photos = list(bundles.assets("old", 15, derivatives=("icon",)))
    bring(bundles.bundle("old", photos))
    return photos


@pytest.fixture
def queued(panel_db, mount, bundles):
    """A queued bundle that creates one photo; returns (sync_id, job id, photo)."""
    [photo] = bundles.assets("new", 1)
    sync_id = bundles.bundle("new", [photo])
    return sync_id, *worker_helpers.queue(panel_db, mount, sync_id), photo


def payloads(db, sync_id: str, event_type: str) -> list[dict]:
    return [json.loads(event["payload"]) for event in worker_helpers.events(db, sync_id, event_type)]


def live(db) -> int:
    return db.execute("SELECT COUNT(*) AS n FROM asset WHERE deleted_at IS NULL")[0]["n"]


def test_a_create_that_became_a_remove_removes_nothing_and_asks_an_operator(
    admin_db, panel_db, bundles, mount, worker_conf, library, queued
):
    sync_id, job_id, _ = queued
    bundles.bundle("new", library, action="remove", replace=True, files=False)
    log = worker_helpers.drain(worker_conf)
    reason = "the bundle changed after it was approved: 15 items would now be removed"
    assert reason in log and live(admin_db) == 15
    job, batch = worker_helpers.job(admin_db, job_id), worker_helpers.batch(panel_db, sync_id)
    assert (job["state"], job["last_error"]) == ("failed", reason)
    assert (batch["status"], batch["last_error"], batch["action"]) == ("preflight_passed", reason, "remove")
    assert batch["changed_at"] and batch["changed_sha256"] == batch["manifest_sha256"]
    assert batch["imported_at"] is None and batch["completed_at"] is None
    assert {row["decision"] for row in admin_db.execute(PLANS)} >= {"will_remove"}
    event_types = [event["event_type"] for event in worker_helpers.events(panel_db, sync_id)]
    assert event_types[-5:] == [
        "job_claimed", "manifest_changed", "preflight_started", "preflight_finished", "job_failed",
    ]


def test_the_new_plan_is_imported_once_an_operator_preflighted_and_queued_it(
    admin_db, panel_db, bundles, mount, worker_conf, bring, library, queued
):
    sync_id, _, _ = queued
    bundles.bundle("new", library[:3], action="remove", replace=True, files=False)
    worker_helpers.drain(worker_conf)
    assert services.preflight_batch(panel_db, mount, sync_id, "operator").ok
    bring(sync_id)
    batch = worker_helpers.batch(panel_db, sync_id)
    assert (batch["status"], batch["changed_at"], batch["changed_sha256"]) == ("completed", None, None)
    assert live(admin_db) == 12


@pytest.fixture
def replaced(bundles, worker_conf, library, queued):
    """A queued bundle that became a remove; the worker stored its new plan. Returns the sync_id."""
    bundles.bundle("new", library, action="remove", replace=True, files=False)
    worker_helpers.drain(worker_conf)
    return queued[0]


def test_no_queueing_approves_a_plan_that_no_person_preflighted(
    admin_db, panel_db, mount, worker_conf, replaced
):
    message = f"Upstream replaced the bundle of batch {replaced}, and no person has preflighted it since."
    for queue in (services.queue_batch, services.retry_batch):
        with pytest.raises(InvalidStateError) as refused:
            queue(panel_db, mount, replaced, "operator")
    with pytest.raises(InvalidStateError) as refused:
        panel_db.run_transaction(job_queue.enqueue, replaced, "operator")
    assert str(refused.value) == message
    assert refused.value.hint == "Run Preflight, check the new plan, then queue the batch."
    [result] = services.queue_batches(panel_db, mount, [replaced], "operator")
    assert (result.job_id, result.problem) == (None, message)
    terms = bulk_service.ActionTerms("operator", 60)
    [result], _ = bulk_service.run(panel_db, mount, bulk_service.QUEUE, [replaced], terms)
    assert (result.job_id, result.problem) == (None, message)
    worker_helpers.drain(worker_conf)
    assert live(admin_db) == 15


def test_a_bulk_preview_foresees_that_a_replaced_bundle_is_not_queued(panel_db, mount, replaced):
    batch_id = worker_helpers.batch(panel_db, replaced)["id"]
    [foreseen] = panel_db.run_read(bulk_service.preview, bulk_service.QUEUE, [batch_id])
    assert foreseen.will is None and foreseen.refusal == bulk_service.REPLACED
    [other] = panel_db.run_read(bulk_service.preview, bulk_service.PREFLIGHT, [batch_id])
    assert other.will == bulk_service.PREFLIGHTED
    services.preflight_batch(panel_db, mount, replaced, "operator")
    [after] = panel_db.run_read(bulk_service.preview, bulk_service.QUEUE, [batch_id])
    assert after.will == bulk_service.QUEUED and services.queue_batch(panel_db, mount, replaced, "operator")


def test_a_successor_that_is_canceled_leaves_a_plan_that_no_person_approved(
    admin_db, panel_db, mount, bundles, worker_conf, library, queued
):
    sync_id = queued[0]
    bundles.bundle("new", library, action="remove", replace=True, files=False)
    ended = []
    end_job = bundle_change.end_job

    def pausing(tx, *args):
        plan = end_job(tx, *args)
        job_queue.hold(tx, plan.successor_id, "operator")
        ended.append(plan.successor_id)
        return plan

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundle_change, "end_job", pausing)
        worker_helpers.drain(worker_helpers.with_options(worker_conf, on_change="replan"))
    panel_db.run_transaction(job_queue.cancel, ended[-1], "operator")
    with pytest.raises(InvalidStateError, match="no person has preflighted it since"):
        services.queue_batch(panel_db, mount, sync_id, "operator")


def test_the_list_of_a_shell_marks_a_replaced_bundle(panel_conf, replaced, capsys):
    assert main(["--config", str(panel_conf), "list"]) == 0
    assert "preflight_passed, replaced by upstream" in capsys.readouterr().out


def test_other_bytes_of_the_approved_entries_are_imported_as_approved(
    admin_db, panel_db, bundles, mount, worker_conf, queued
):
    sync_id, _, photo = queued
    planned = worker_helpers.batch(panel_db, sync_id)["manifest_sha256"]
    bundles.bundle("new", [photo], replace=True, spoil=lambda raw: raw + b"\n")
    log = worker_helpers.drain(worker_conf)
    batch = worker_helpers.batch(panel_db, sync_id)
    assert (batch["status"], batch["changed_at"]) == ("completed", None)
    assert batch["manifest_sha256"] != planned and batch["imported_sha256"] == batch["manifest_sha256"]
    [event] = payloads(panel_db, sync_id, "manifest_changed")
    assert event == {"after": batch["manifest_sha256"], "before": planned, "phase": "import"}
    assert "the manifest changed since the preflight: found" in log
    assert len(worker_helpers.events(panel_db, sync_id, "preflight_started")) == 1, "the approved plan stays"


@pytest.mark.parametrize("table", ["ingest_batch_item SET item_digest", "ingest_batch_container SET container_digest"])
def test_a_plan_without_digests_approves_no_other_bytes(admin_db, panel_db, bundles, mount, worker_conf, table):
    [photo] = bundles.assets("new", 1)
    gallery = [bundles.container("gallery", "New", [photo])]
    sync_id = bundles.bundle("new", [photo], gallery)
    worker_helpers.queue(panel_db, mount, sync_id)
    admin_db.execute(f"UPDATE {table} = NULL")
    bundles.bundle("new", [photo], gallery, replace=True, spoil=lambda raw: raw + b"\n")
    worker_helpers.drain(worker_conf)
    assert worker_helpers.batch(panel_db, sync_id)["status"] == "preflight_passed" and live(admin_db) == 0


@pytest.mark.parametrize("change", ["title", "member", "withdrawn", "container"])
def test_each_entry_and_its_values_are_bound(admin_db, panel_db, bundles, mount, worker_conf, change):
    photos = list(bundles.assets("new", 2))
    sync_id = bundles.bundle("new", photos, [bundles.container("gallery", "New", photos)])
    worker_helpers.queue(panel_db, mount, sync_id)
    items, gallery = {
        "title": ([photos[0]._replace(title="Another"), photos[1]], bundles.container("gallery", "New", photos)),
        "member": (photos, bundles.container("gallery", "New", photos[::-1])),
        "withdrawn": (photos[:1], bundles.container("gallery", "New", photos)),
        "container": (photos, bundles.container("collection", "New", photos)),
    }[change]
    bundles.bundle("new", items, [gallery], replace=True)
    worker_helpers.drain(worker_conf)
    batch = worker_helpers.batch(panel_db, sync_id)
    assert batch["status"] == "preflight_passed"
    assert batch["last_error"].startswith("the bundle changed after it was approved: ")
    assert live(admin_db) == 0


def test_the_reason_counts_the_entries_that_differ_and_not_all_of_the_bundle(
    panel_db, bundles, mount, worker_conf
):
    photos = list(bundles.assets("new", 4))
    sync_id = bundles.bundle("new", photos, [bundles.container("gallery", "New", photos)])
    worker_helpers.queue(panel_db, mount, sync_id)
    changed = [photos[0]._replace(title="Another"), *photos[1:]]
    bundles.bundle("new", changed, [bundles.container("gallery", "New", photos)], replace=True)
    worker_helpers.drain(worker_conf)
    prefix = "the bundle changed after it was approved: "
    assert worker_helpers.batch(panel_db, sync_id)["last_error"] == (
        f"{prefix}1 of 4 items differs from the approved plan; 4 items would now be created"
    )
    services.preflight_batch(panel_db, mount, sync_id, "operator")
    services.queue_batch(panel_db, mount, sync_id, "operator")
    [other] = bundles.assets("other", 1)
    bundles.bundle("new", [*changed[:3], other], [bundles.container("gallery", "New", photos[:3])], replace=True)
    worker_helpers.drain(worker_conf)
    reason = worker_helpers.batch(panel_db, sync_id)["last_error"]
    assert reason.startswith(
        f"{prefix}1 of 4 items is not in the approved plan; 1 of 4 approved items is gone; 1 of 1 container differs"
    )


def test_with_replan_the_worker_queues_the_new_plan_for_the_same_person(
    admin_db, panel_db, bundles, mount, worker_conf, library, queued
):
    sync_id, job_id, _ = queued
    bundles.bundle("new", library[:4], action="remove", replace=True, files=False)
    worker_helpers.drain(worker_helpers.with_options(worker_conf, on_change="replan"))
    ended = worker_helpers.job(admin_db, job_id)
    [successor] = admin_db.execute("SELECT * FROM import_job WHERE replaces_job_id = %(id)s", id=job_id)
    assert ended["state"] == "failed" and "4 items would now be removed" in ended["last_error"]
    assert (successor["state"], successor["requested_by"], successor["items_done"]) == ("completed", "operator", 4)
    assert live(admin_db) == 11
    queued_events = payloads(panel_db, sync_id, "job_queued")
    assert [event.get("replaces_job_id") for event in queued_events] == [None, job_id]
    batch = worker_helpers.batch(panel_db, sync_id)
    assert (batch["status"], batch["changed_at"]) == ("completed", None)


def test_a_bundle_that_was_replaced_while_it_was_imported_says_so(
    admin_db, panel_db, bundles, mount, worker_conf, monkeypatch
):
    photos = list(bundles.assets("new", 4, derivatives=("icon",)))
    sync_id = bundles.bundle("new", photos)
    worker_helpers.queue(panel_db, mount, sync_id)
    imported = worker_helpers.batch(panel_db, sync_id)["manifest_sha256"]
    replace_at(bundles, monkeypatch, 2, lambda: bundles.bundle(
        "new", [photo._replace(title="Later", revision=2) for photo in photos], replace=True
    ))
    log = worker_helpers.drain(worker_helpers.with_options(worker_conf, chunk_items=1, readers=1))
    batch = worker_helpers.batch(panel_db, sync_id)
    assert (batch["status"], batch["imported_sha256"], batch["manifest_sha256"]) == ("completed", imported, imported)
    assert batch["changed_at"] and batch["changed_sha256"] not in (None, imported)
    assert {row["title"] for row in admin_db.execute("SELECT title FROM asset")}.isdisjoint({"Later"})
    [event] = payloads(panel_db, sync_id, "manifest_changed")
    assert event == {"after": batch["changed_sha256"], "before": imported, "phase": "import_end"}
    [finished] = payloads(panel_db, sync_id, "job_finished")
    assert (finished["manifest_sha256"], finished["manifest_at_end"]) == (imported, "changed")
    assert "the manifest changed during the import" in log


def replace_at(bundles, monkeypatch, chunk: int, replace) -> None:
    """Replace a bundle just before the chunk of this number is written."""
    write, numbers = ChunkWriter.write, iter(range(1, 1000))

    def writing(self, tx, entries):
        if next(numbers) == chunk:
            replace()
        return write(self, tx, entries)

    monkeypatch.setattr(ChunkWriter, "write", writing)


def test_a_manifest_that_is_away_at_the_end_is_told_as_unknown_and_holds_nothing(
    panel_db, assets_dir, bundles, mount, worker_conf, monkeypatch
):
    sync_id = bundles.bundle("new", bundles.assets("new", 2))
    worker_helpers.queue(panel_db, mount, sync_id)
    replace_at(bundles, monkeypatch, 1, (assets_dir / "sync" / f"{sync_id}.json").unlink)
    worker_helpers.drain(worker_helpers.with_options(worker_conf, chunk_items=1))
    batch = worker_helpers.batch(panel_db, sync_id)
    assert (batch["status"], batch["changed_at"]) == ("completed", None)
    [finished] = payloads(panel_db, sync_id, "job_finished")
    assert finished["manifest_at_end"] == "unknown"


def test_a_small_job_compares_the_manifest_after_it_has_read_its_items(
    panel_db, assets_dir, bundles, mount, worker_conf, monkeypatch
):
    sync_id = bundles.bundle("new", bundles.assets("new", 1))
    worker_helpers.queue(panel_db, mount, sync_id)
    collect = document_prefetch.collect_documents

    def read_and_unlink(documents):
        (assets_dir / "sync" / f"{sync_id}.json").unlink()
        return collect(documents)

    monkeypatch.setattr(document_prefetch, "collect_documents", read_and_unlink)
    worker_helpers.drain(worker_conf)
    assert worker_helpers.batch(panel_db, sync_id)["status"] == "completed"
    [finished] = payloads(panel_db, sync_id, "job_finished")
    assert finished["manifest_at_end"] == "unknown"


def test_a_job_that_found_another_bundle_half_way_keeps_what_it_imported(
    admin_db, panel_db, worker_db, bundles, mount, worker_conf, monkeypatch
):
    photos = list(bundles.assets("new", 4, derivatives=("icon",)))
    sync_id = bundles.bundle("new", photos)
    [job_id] = worker_helpers.queue(panel_db, mount, sync_id)
    planned = worker_helpers.batch(panel_db, sync_id)["manifest_sha256"]
    conf = worker_helpers.with_options(worker_conf, chunk_items=1, readers=1)
    with monkeypatch.context() as patch:
        replace_at(bundles, patch, 3, stop)
        with pytest.raises(Stopped):
            worker_helpers.drain(conf)
    worker_helpers.make_stale(admin_db, job_id)
    bundles.bundle("new", [photo._replace(title="Later", revision=2) for photo in photos], replace=True)
    worker_helpers.drain(conf)
    batch = worker_helpers.batch(panel_db, sync_id)
    assert batch["status"] == "preflight_passed" and live(admin_db) == 2
    assert (batch["imported_job_id"], batch["imported_sha256"]) == (job_id, planned)
    assert batch["imported_at"]


class Stopped(BaseException):
    """Ends a worker as a kill would."""


def stop() -> None:
    raise Stopped


# ------------------------------------------------------------------------------------- last imported


def imported(db, sync_id: str) -> tuple:
    batch = worker_helpers.batch(db, sync_id)
    return batch["imported_at"], batch["imported_job_id"], batch["imported_sha256"]


def test_what_was_imported_last_stays_through_preflights_cancels_and_failed_retries(
    admin_db, panel_db, bundles, mount, worker_conf, assets_dir
):
    sync_id = bundles.bundle("new", bundles.assets("new", 2, broken={1: defects.no_source}))
    [job_id] = worker_helpers.queue(panel_db, mount, sync_id)
    worker_helpers.drain(worker_conf)
    before = imported(panel_db, sync_id)
    assert before[0] and before[1:] == (job_id, worker_helpers.batch(panel_db, sync_id)["manifest_sha256"])
    worker_helpers.mend(panel_db, mount, sync_id)
    retry = services.retry_batch(panel_db, mount, sync_id, "operator")
    folder = mount.assets_dir / worker_helpers.items(panel_db, sync_id)[1]["path"]
    (folder / "source" / "source.json").write_text("{broken")
    worker_helpers.drain(worker_conf)
    assert worker_helpers.job(admin_db, retry)["state"] in ("completed", "failed")
    assert imported(panel_db, sync_id) == before, "a job whose items all failed has imported nothing"
    services.preflight_batch(panel_db, mount, sync_id, "operator")
    assert imported(panel_db, sync_id) == before
    panel_db.run_transaction(job_queue.cancel, services.queue_batch(panel_db, mount, sync_id, "operator"), "operator")
    assert worker_helpers.batch(panel_db, sync_id)["status"] == BatchStatus.PREFLIGHT_PASSED
    assert imported(panel_db, sync_id) == before
