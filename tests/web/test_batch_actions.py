"""The batch page leads with its failure and one primary action; a selection names what cannot be done."""

import pytest
import worker_helpers
from gpupanel import ledger, services
from page_helpers import BATCHES, JSON, cells, detail, region, text


@pytest.fixture
def partial(panel_db, mount, bundles, worker_conf):
    """A partial batch: the second of four photos had no source."""
    return worker_helpers.partial_batch(panel_db, mount, bundles, worker_conf, 4)


def primary(page):
    return [text(button) for button in page.html.main.find_all("button", class_="primary")]


@pytest.mark.parametrize("status, label", [
    ("discovered", ["Preflight"]), ("preflight_failed", ["Preflight"]), ("preflight_passed", ["Queue"]),
    ("completed", []), ("queued", []), ("importing", []),
])
def test_a_batch_has_one_primary_action_by_its_state(admin, scan_bundle, admin_db, status, label):
    sync_id = scan_bundle()
    admin_db.execute("UPDATE ingest_batch SET status = %(status)s", status=status)
    if status in ("queued", "importing"):
        state = "queued" if status == "queued" else "running"
        admin_db.execute(
            f"INSERT INTO import_job (batch_id, requested_by, state) SELECT id, 'x', '{state}' FROM ingest_batch"
        )
    assert primary(admin.get(detail(sync_id))) == label


@pytest.mark.parametrize("status", ["queued", "importing"])
def test_a_batch_whose_job_is_missing_says_so_and_its_preflight_resets_it(admin, scan_bundle, admin_db, status):
    sync_id = scan_bundle()
    admin_db.execute("UPDATE ingest_batch SET status = %(status)s", status=status)
    page = admin.get(detail(sync_id))
    assert primary(page) == ["Preflight"]
    assert f"The batch is {status}, but has no active job. Preflight it, then queue it again." in text(page.html.main)
    page.forms[0].submit("do", value="preflight")
    assert primary(admin.get(detail(sync_id))) == ["Queue"]


def test_a_replaced_bundle_is_preflighted_first(admin, scan_bundle, admin_db):
    sync_id = scan_bundle()
    admin_db.execute("UPDATE ingest_batch SET status = 'completed', changed_at = NOW(6)")
    assert primary(admin.get(detail(sync_id))) == ["Preflight"]


def test_a_failed_batch_leads_with_its_reason_and_retry(admin, partial, admin_db):
    admin_db.execute("UPDATE ingest_batch SET status = 'failed', last_error = '1 of 4 items failed'")
    page = admin.get(detail(partial))
    notice = page.html.find(attrs={"aria-label": "Last error"})
    assert "bad" in notice["class"] and "1 item: Fix the bundle: ask upstream" in text(notice)
    number, _, reason = text(notice.find("li")).partition(": ")
    assert number == "1 item" and reason.endswith("/source/source.json is not on the mount.")
    last_error = f"1 of 4 items failed; the first: {reason}"
    admin_db.execute("UPDATE ingest_batch SET last_error = %(last_error)s", last_error=last_error)
    notice = admin.get(detail(partial)).html.find(attrs={"aria-label": "Last error"})
    assert notice.find("li") is None  # said once
    assert page.text.index("source/source.json is not on the mount") < page.text.index("<dt>Type</dt>")


def test_a_retry_is_the_primary_action_unless_upstream_acts_first(admin, partial, admin_db):
    assert admin.get(detail(partial), headers=JSON).json["remedies"] == {"bundle": 1}
    assert primary(admin.get(detail(partial))) == []
    admin_db.execute("UPDATE ingest_batch SET changed_at = NOW(6)")
    assert primary(admin.get(detail(partial))) == ["Retry failed items"]
    admin_db.execute("UPDATE ingest_batch SET changed_at = NULL")
    admin_db.execute("UPDATE ingest_batch_item SET planned = 'will_create' WHERE decision = 'failed'")
    assert primary(admin.get(detail(partial))) == ["Retry failed items"]
    assert primary(admin.get(detail(partial, decision="created"))) == ["Retry failed items"]


def test_a_skipped_bundle_is_for_upstream(admin, scan_bundle, admin_db):
    sync_id = scan_bundle()
    admin_db.execute("UPDATE ingest_batch SET last_error = 'status: found processing'")
    page = admin.get(detail(sync_id))
    assert primary(page) == [] and "Press Preflight" not in text(page.html.main)
    assert "ask upstream" in text(page.html.find(attrs={"aria-label": "Last error"}))


def test_a_ribbon_has_a_segment_for_each_decision_as_wide_as_its_share(admin, partial):
    page = admin.get(detail(partial))
    ribbon = page.html.find(class_="ribbon")
    assert ribbon["aria-label"] == "Items: 1 failed, 3 created"
    segments = [(part["class"][1], float(part["x"]), float(part["width"])) for part in ribbon.find_all("rect")]
    assert segments == [("is-failed", 0, 250), ("is-created", 250, 750)]
    links = page.html.find(class_="legend").find_all("a")
    assert [text(link) for link in links] == ["1 failed", "3 created"]
    assert len(cells(region(admin.get(links[0]["href"]), "Items"))) == 2


def test_a_batch_of_one_decision_has_no_ribbon(admin, partial, admin_db):
    admin_db.execute("UPDATE ingest_batch_item SET decision = 'created'")
    page = admin.get(detail(partial))
    assert page.html.find(class_="ribbon") is None and page.html.find(class_="legend") is None


def test_the_button_that_marks_as_seen_stands_in_the_notice_of_the_trouble(admin, partial, admin_db):
    def places():
        page = admin.get(detail(partial)).html
        return [button.find_parent(attrs={"role": "note"})["aria-label"] for button in page.find_all(id="seen")]

    assert places() == ["Last error"]
    admin_db.execute(
        "UPDATE ingest_batch SET status = 'preflight_passed', changed_at = NOW(6), last_error = 'the bundle changed'"
    )
    admin_db.execute("UPDATE ingest_batch_item SET decision = 'will_create', last_error = NULL")
    assert places() == ["Changed upstream"]
    page = admin.get(detail(partial)).html
    assert page.find(attrs={"aria-label": "Last error"}) is None
    assert "Last error: the bundle changed" in text(page.find(attrs={"aria-label": "Changed upstream"}))
    assert "is-unapproved" in page.find(class_="lead")["class"]


def test_failing_items_come_first_on_the_first_page(admin, partial):
    rows = cells(region(admin.get(detail(partial)), "Items"))[1:]
    assert [row[3] for row in rows] == ["failed", "created", "created", "created"]
    assert [item["position"] for item in admin.get(detail(partial), headers=JSON).json["items"]] == [0, 1, 2, 3]


def test_a_long_payload_opens_to_its_full_text_without_a_script(admin, scan_bundle, panel_db):
    sync_id = scan_bundle()
    batch_id = panel_db.run_read(ledger.get_batch, sync_id)["id"]
    panel_db.run_transaction(ledger.append_event, batch_id, "scan", {"long": "x" * 300, "other": 1}, "admin")
    payload = region(admin.get(detail(sync_id)), "Recent events").find("details")
    assert (
        text(payload.summary).endswith("...") and "x" * 300 in text(payload.pre) and '"other": 1' in text(payload.pre)
    )


def test_a_priority_can_be_given_when_queueing(admin, scan_bundle, send, admin_db):
    sync_id = scan_bundle()
    field = admin.get(detail(sync_id)).html.find("input", attrs={"name": "priority"})
    assert field["value"] == "100"
    send(detail(sync_id), do="queue", sync_id=sync_id, priority="-7")
    assert admin_db.execute("SELECT priority FROM import_job") == [{"priority": -7}]


@pytest.mark.parametrize("priority", ["high", "99999999999", "2147483648"])
def test_a_priority_out_of_range_queues_nothing(scan_bundle, send, admin_db, priority):
    sync_id = scan_bundle()
    send(detail(sync_id), do="queue", sync_id=sync_id, priority=priority, status=400)
    assert admin_db.execute("SELECT id FROM import_job") == []


@pytest.mark.parametrize("field", [{"preview": "queue"}, {"do": "retry_selected"}])
def test_without_a_tick_the_list_asks_for_one(send, scan_bundle, field):
    scan_bundle()
    answer = send(f"{BATCHES}?status=discovered", **field).follow()
    assert text(answer.html.find(class_="notice")) == "Select at least one batch."
    assert answer.request.params["status"] == "discovered"


def test_without_a_tick_a_program_is_refused(scripted, scan_bundle):
    scan_bundle()
    token = scripted.get(BATCHES).json["csrf_token"]
    answer = scripted.post(BATCHES, {"preview": "queue", "csrf_token": token}, status=400)
    assert answer.json["error"]["message"] == "Select at least one batch."


def test_a_skipped_bundle_is_not_importable_and_the_preview_says_why(send, scan_bundle, bundles, mount, panel_db):
    sync_id = bundles.bundle("early", bundles.assets("early", 1), action="shred")
    services.scan_mount(panel_db, mount, "admin")
    reason = panel_db.run_read(ledger.get_batch, sync_id)["last_error"]
    page = send(preview="queue", sync_id=sync_id, status=200)
    (row,) = cells(region(page, "Preview"))[1:]
    assert row == ["1", "discovered", f"refused : not importable: {reason.rstrip('.')}"]
    assert page.html.find("button", {"name": "do"}) is None
    notice = send(do="queue_selected", sync_id=sync_id).follow().html.find(class_="notice")
    assert "it is not importable" in text(notice)
    assert panel_db.run_read(ledger.get_batch, sync_id)["status"] == "discovered"
