"""Notes on the batch page: failed preflight, old plan, changed manifest."""

import json

import pytest
import worker_helpers
from gpupanel import ledger, services
from gpupanel.web.template_filters import link_sync_ids
from gpupanel.web.request import UrlBuilder
from gpupanel.worker.job_manifest import JobManifest
from page_helpers import BATCHES, JSON, detail, region, text


@pytest.fixture
def rewrite(mount):
    """Change fields of a manifest on the mount; without fields, break it."""
    def rewrite(sync_id, **values):
        file = mount.sync_dir / f"{sync_id}.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | values) if values else "{")

    return rewrite


def heading(page):
    return text(page.html.find(id="items"))


def facts(page):
    return {text(fact.dt): text(fact.dd) for fact in page.html.find("dl", class_="facts").find_all("div")}


def test_a_batch_that_was_never_preflighted_counts_what_its_manifest_lists(admin, scan_bundle):
    page = admin.get(detail(scan_bundle(count=3)))
    assert (heading(page), facts(page)["Items"]) == ("Items 3", "3")
    assert "Nothing is planned yet" in text(page.html.main)


def test_a_bundle_without_a_readable_manifest_has_no_numbers(admin, mount, send):
    sync_id = "00000000-0000-4000-8000-000000000001"
    (mount.sync_dir / f"{sync_id}.json").write_text("{")
    (mount.sync_dir / f"{sync_id}.ready").touch()
    send(do="scan")
    page = admin.get(detail(sync_id))
    assert (heading(page), facts(page)["Items"], facts(page)["Bytes"]) == ("Items -", "-", "-")


def test_numbers_are_grouped_in_facts_and_heading_alike(admin, scan_bundle, admin_db):
    sync_id = scan_bundle()
    admin_db.execute("UPDATE ingest_batch SET item_count = 12345")
    page = admin.get(detail(sync_id))
    assert (heading(page), facts(page)["Items"]) == ("Items 12,345", "12,345")


def test_a_failed_preflight_is_not_called_a_plan_to_come(admin, scan_bundle, rewrite, panel_db, mount):
    sync_id = scan_bundle()
    rewrite(sync_id)
    services.preflight_batch(panel_db, mount, sync_id, "admin")
    page_text = text(admin.get(detail(sync_id)).html.main)
    assert "Nothing is planned yet" not in page_text and "failed before it planned the items" in page_text


def test_items_of_an_earlier_plan_are_called_so(admin, scan_bundle, rewrite, panel_db, mount):
    sync_id = scan_bundle()
    services.preflight_batch(panel_db, mount, sync_id, "admin")
    assert "earlier plan" not in text(admin.get(detail(sync_id)).html.main)
    rewrite(sync_id)
    services.preflight_batch(panel_db, mount, sync_id, "admin")
    page = admin.get(detail(sync_id))
    assert "These items belong to an earlier plan" in text(page.html.main) and region(page, "Items")


@pytest.mark.parametrize("phase, told", [("import", True), ("preflight", False)])
def test_a_manifest_that_changed_before_the_import_is_reported(admin, scan_bundle, panel_db, mount, phase, told):
    sync_id = scan_bundle()
    services.preflight_batch(panel_db, mount, sync_id, "admin")
    batch_id = panel_db.run_read(ledger.get_batch, sync_id)["id"]
    payload = {"after": "a" * 64, "before": "b" * 64, "phase": phase}
    panel_db.run_transaction(ledger.append_event, batch_id, "manifest_changed", payload, "worker:1")
    for _ in range(60):
        panel_db.run_transaction(ledger.append_event, batch_id, "job_progress", {}, "worker:1")
    assert ("changed after the preflight" in text(admin.get(detail(sync_id)).html.main)) == told
    services.preflight_batch(panel_db, mount, sync_id, "admin")
    assert "changed after the preflight" not in text(admin.get(detail(sync_id)).html.main)


@pytest.fixture
def imported(admin, bundles, panel_db, mount, worker_conf):
    """Queue a bundle, change it, and start the worker; returns what the batch page says."""
    def imported(change) -> str:
        photos = list(bundles.assets("one", 2))
        sync_id = bundles.bundle("one", photos)
        worker_helpers.queue(panel_db, mount, sync_id)
        change(sync_id, photos)
        worker_helpers.drain(worker_conf)
        return text(admin.get(detail(sync_id)).html.main)

    return imported


def test_a_changed_manifest_with_the_approved_entries_is_said_to_keep_its_plan(imported, rewrite):
    page_text = imported(lambda sync_id, photos: rewrite(sync_id, source_host="another"))
    assert "changed after the preflight" in page_text and "went on with the approved plan" in page_text
    assert "an earlier plan" not in page_text and "are the new ones" not in page_text


def test_plans_made_from_the_changed_manifest_are_called_so(imported, bundles):
    page_text = imported(lambda _, photos: bundles.bundle(
        "one", [photo._replace(title="Later", revision=2) for photo in photos], replace=True
    ))
    assert "changed after the preflight" in page_text and "The plans below are the new ones" in page_text
    assert "an earlier plan" not in page_text and "went on with the approved plan" not in page_text


def test_plans_that_a_broken_manifest_left_are_called_earlier_ones(imported, rewrite):
    page_text = imported(lambda sync_id, photos: rewrite(sync_id))
    assert "changed after the preflight" in page_text and "These items belong to an earlier plan" in page_text
    assert "are the new ones" not in page_text and "the approved plan" not in page_text


def test_a_manifest_that_changed_during_the_import_is_reported_until_the_next_preflight(
    admin, imported, rewrite, monkeypatch, panel_db, mount,
):
    compare, queued = JobManifest.compare_at_end, []

    def compare_later(self):
        rewrite(queued[0], source_host="another")
        return compare(self)

    monkeypatch.setattr(JobManifest, "compare_at_end", compare_later)
    page_text = imported(lambda sync_id, photos: queued.append(sync_id))
    assert "changed during the import" in page_text and "Run Preflight" in page_text
    assert "the approved plan" not in page_text
    services.preflight_batch(panel_db, mount, queued[0], "admin")
    assert "changed during the import" not in text(admin.get(detail(queued[0])).html.main)


def test_queueing_what_fails_its_preflight_answers_on_the_page(admin, send, scan_bundle, rewrite, panel_db):
    sync_id = scan_bundle()
    rewrite(sync_id, status="pending")
    page = send(detail(sync_id), do="queue", sync_id=sync_id).follow()
    notice = text(page.html.find(class_="notice"))
    assert notice.startswith("Not queued: the preflight failed.") and '"pending"' in notice
    assert panel_db.run_read(ledger.get_batch, sync_id)["status"] == "preflight_failed"


def test_queueing_what_fails_its_preflight_tells_a_program_why(send, scan_bundle, rewrite):
    sync_id = scan_bundle()
    rewrite(sync_id, status="pending")
    values = send(do="queue", sync_id=sync_id, headers=JSON, status=200).json
    assert (values["ok"], values["result"]["job_id"]) == (False, None)
    assert values["result"]["problems"] == ['status: found "pending", expected completed']


def test_a_bundle_that_became_another_action_is_planned_and_its_page_says_that_nobody_approved_it(
    admin, send, scan_bundle, rewrite, panel_db
):
    sync_id = scan_bundle()
    rewrite(sync_id, action="update")
    page = send(detail(sync_id), do="queue", sync_id=sync_id).follow()
    notice = text(page.html.find(class_="notice"))
    assert notice.startswith("Not queued: no person has seen what upstream made of the bundle.")
    assert "a create when it was recorded, by an update: " in notice and "check the new plan, then queue" in notice
    assert panel_db.run_read(ledger.get_batch, sync_id)["status"] == "preflight_passed"
    shown = text(admin.get(detail(sync_id)).html.main)
    assert "Upstream replaced this bundle before it was queued" in shown and "No person has approved them" in shown


@pytest.mark.parametrize("do", ["preflight", "queue", "retry"])
def test_a_bundle_that_is_gone_is_refused_with_its_status_and_what_to_do(send, scan_bundle, mount, admin_db, do):
    sync_id = scan_bundle()
    admin_db.execute("UPDATE ingest_batch SET status = 'partial'")
    (mount.sync_dir / f"{sync_id}.ready").unlink()
    refusal = f"{sync_id}.ready is not on the mount; the batch stays as it is: partial."
    page = send(detail(sync_id), do=do, sync_id=sync_id, status=409)
    assert text(page.html.find(class_="notice")).startswith(f"{refusal} Restore the bundle")
    error = send(do=do, sync_id=sync_id, headers=JSON, status=409).json["error"]
    assert error["message"] == refusal and error["hint"].startswith("Restore the bundle")
    values = send(do=f"{do}_selected", sync_id=sync_id, headers=JSON, status=200).json
    assert (values["ok"], values["result"]["batches"][0]["problem"]) == (False, refusal)
    assert admin_db.execute("SELECT status FROM ingest_batch") == [{"status": "partial"}]


def test_a_long_flash_message_shows_some_lines_and_unfolds_the_others(admin, send, mount):
    for number in range(12):
        (mount.sync_dir / f"stray{number:02}.ready").touch()
    send(do="scan")
    notice = admin.get(BATCHES).html.find(class_="notice")
    assert len(notice.find("ul").find_all("li")) == 8
    assert text(notice.find("summary")) == "4 more" and len(notice.find_all("li")) == 12


def test_a_sync_id_in_a_text_leads_to_its_batch_and_all_else_is_text():
    sync_id = "37e428d2-a4f6-4a31-bacf-0c835fb24084"
    shown = link_sync_ids(f"<b> {sync_id}: as planned", UrlBuilder("/admin"))
    assert shown == (
        f'&lt;b&gt; <a class="id" href="/admin/import-media.cgi?action=detail&amp;sync_id={sync_id}">{sync_id}</a>'
        ": as planned"
    )


def test_the_help_names_its_decisions_sources_and_labels(admin):
    page_text = text(admin.get(BATCHES).html.find(id="help"))
    for fact in ("About this section", ": Import Media", "Decision 639", "Decision 640", "Pre-flight", "Bulk queue",
                 "37e428d2-a4f6-4a31-bacf-0c835fb24084", "gpu-floor/MIGRATION-INTRO.md", "DECISION_LOG.md",
                  "every few items"):
        assert fact in page_text
