"""The batch page has the Perl panel's labels, columns and formats.

See docs/CONTRACT.md, "10. Pages" and "12. The Perl panel".
"""

import json

import pytest
from gpupanel import job_queue, ledger, services
from page_helpers import BATCHES, JSON, cells, detail, region, text

SYNC_ID = "6df12fb8-3d5b-42ca-bcec-3999624acc82"
SHA256 = "6aeaaef68c502920540c647d688cced68bbe2f9f1ee7d5de57ae4c04535b6f16"
LATER, EARLIER = "2026-04-30 00:32:19", "2026-04-30 00:29:20"
HASHES = ["3016f8bdfa702d3d", "23078a2b9d404c71", "90e59a6160fd46dd", "580f9fa0b0bc440f"]
SUMMARY = {
    "created_at": "2026-04-12T20:44:14Z", "completed_at": "2026-04-12T20:47:14Z", "verification.passed": True,
    "verification.total_files": 528, "prior_sync_id": None,
}
EVENTS = [
    ("scan", '{"source": "filesystem", "manifest_sha256": "' + SHA256 + '", "sync_type": "asset", "action": "update", '
     '"item_count": "4", "total_bytes": "181162647", "source_host": "flux-1"}', EARLIER),
    ("preflight_started", '{"action":"update","container_count":1,"item_count":4,'
     '"item_type_counts":{"cover":2,"photo":2},"manifest_sha256":"' + SHA256 + '",'
     '"phase":"preflight","prior_sync_id":null,"sync_id":"' + SYNC_ID + '",'
     '"sync_type":"asset","total_bytes":181162647}', LATER),
    ("preflight_finished", '{"counts":{"will_create":4,"will_fail":0,"will_link":0,"will_skip":0,"will_update":0},'
     '"failure_samples":[],"item_count":4,"item_type_counts":{"cover":2,"photo":2},"ok":1,"phase":"preflight"}', LATER),
    ("job_queued", '{"auto_preflighted":1,"items_total":"4","job_id":3,"phase":"job_queue","requested_by":"admin"}',
     LATER),
    ("job_canceled", '{"cancelled_by":"admin","job_id":"3","phase":"job_cancel"}', LATER),
]


@pytest.fixture
def recorded(admin_db):
    """The batch of the Perl panel's reference page, row by row."""
    add = admin_db.execute
    add(
        "INSERT INTO ingest_batch (id, sync_id, sync_type, action, item_count, total_bytes, source_host, status,"
        " manifest_sha256, manifest_summary, container_count, discovered_at, started_at) VALUES (7, %(sync_id)s,"
        " 'asset', 'update', 4, 181162647, 'flux-1', 'preflight_passed', %(sha256)s, %(summary)s, 1, %(first)s,"
        " %(last)s)",
        sync_id=SYNC_ID, sha256=SHA256, summary=json.dumps(SUMMARY), first=EARLIER, last=LATER,
    )
    add(
        "INSERT INTO import_job (id, batch_id, state, requested_by, queued_at, items_total, finished_at, last_error)"
        " VALUES (3, 7, 'canceled', 'admin', %(at)s, 4, %(at)s, 'canceled by operator')", at=LATER,
    )
    for position, start in enumerate(HASHES):
        add(
            "INSERT INTO ingest_batch_item (batch_id, position, asset_type, asset_hash, decision, planned, updated_at)"
            " VALUES (7, %(position)s, %(kind)s, %(hash)s, 'will_create', 'will_create', %(at)s)",
            position=position, kind=["photo", "cover"][position % 2], hash=start.ljust(64, "0"), at=LATER,
        )
    for event_type, payload, at in EVENTS:
        add(
            "INSERT INTO ingest_event (batch_id, event_type, payload, actor, created_at)"
            " VALUES (7, %(event_type)s, %(payload)s, 'admin', %(at)s)", event_type=event_type, payload=payload, at=at,
        )
    return SYNC_ID


@pytest.fixture
def page(admin, recorded):
    return admin.get(detail(recorded))


def test_the_page_has_the_known_order(page):
    marks = ["No site selected", "<h1>Import Media</h1>", 'class="subtitle"', "About this section", "Batch <span"]
    marks += ["<dt>Type</dt>", "Manifest summary", "Job history <", "Items <", "Recent events"]
    places = [page.text.index(mark) for mark in marks]
    assert places == sorted(places)


def test_the_heading_names_the_batch_and_the_line_below_its_state(page):
    headings = [text(heading) for heading in page.html.main.find_all(["h2", "h3"])]
    assert headings == [f"Batch {SYNC_ID}", "Manifest summary", "Job history 1", "Items 4", "Recent events"]
    assert text(page.html.find(class_="state")) == "Status: preflight_passed; action: update"


def test_the_facts_have_their_labels_order_and_formats(page):
    facts = page.html.find("dl", class_="facts")
    assert [(text(fact.dt), text(fact.dd)) for fact in facts.find_all("div")] == [
        ("Type", "asset"), ("Action", "update"), ("Status", "preflight_passed"), ("Items", "4"), ("Bytes", "172.8 MB"),
        ("Source host", "flux-1"), ("Manifest sha256", "6aeaaef68c502920..."), ("Started", LATER), ("Completed", "-"),
    ]


def test_the_manifest_summary_has_its_five_lines(page):
    assert [text(line) for line in page.html.find(class_="summary").find_all("li")] == [
        "created_at: 2026-04-12T20:44:14Z", "completed_at: 2026-04-12T20:47:14Z", "verification.passed: true",
        "verification.total_files: 528", "prior_sync_id: none",
    ]


def test_the_job_history_has_its_columns(page):
    assert cells(region(page, "Job history")) == [
        ["id", "state", "requested_by", "queued", "claimed", "worker", "progress", "finished", "last_error"],
        ["3", "canceled", "admin", LATER, "-", "-", "0/4", LATER, "canceled by operator"],
    ]


def test_the_items_have_their_columns(page):
    assert cells(region(page, "Items")) == [
        ["asset_type", "asset_hash", "cover_hash", "decision", "target ids", "last_error", "updated_at"],
        ["photo", "3016f8bdfa702d3d...", "-", "will_create", "-", "-", LATER],
        ["cover", "23078a2b9d404c71...", "-", "will_create", "-", "-", LATER],
        ["photo", "90e59a6160fd46dd...", "-", "will_create", "-", "-", LATER],
        ["cover", "580f9fa0b0bc440f...", "-", "will_create", "-", "-", LATER],
    ]


def test_the_events_are_the_newest_first_and_their_payloads_cut(page):
    assert cells(region(page, "Recent events")) == [["event_type", "payload", "created_at"]] + [
        [event_type, payload if len(payload) <= 200 else payload[:200] + "...", at]
        for event_type, payload, at in reversed(EVENTS)
    ]


def test_each_event_has_its_sentence_above_the_payload(page):
    rows = region(page, "Recent events").tbody.find_all("tr")
    assert [text(row.find(class_="payload").find(True)) for row in rows] == [
        "admin canceled job 3.",
        "admin queued job 3 after a preflight, and so approved the plan of 4 items.",
        "The preflight passed: 4 will_create.",
        "The preflight began: 4 items, 1 container, 172.8 MB; action update.",
        "The scan recorded this bundle from flux-1: action update, 4 items, 172.8 MB.",
    ]


def test_the_help_has_its_sections_and_the_mount_of_the_configuration(page, settings):
    panel = page.html.find(id="help")
    assert [text(heading) for heading in panel.find_all(["h2", "h3"])] == [
        "Purpose", "Flow", "Example", "Consequences", "Worker contract", "Sentinel protocol", "Source-of-truth mapping",
        "Idempotency + integrity", "Read-only mount + ledger boundary",
    ]
    assert text(panel.find("details").summary) == "Deeper dive"
    assert f"<code>{settings.mount.sync_dir}/</code>" in page.text


@pytest.mark.parametrize("row, targets", [
    ({"asset_id": 12, "cover_id": 3}, "asset 12, cover 3"), ({"asset_id": 12, "cover_id": None}, "asset 12"),
])
def test_an_item_names_the_rows_that_it_means(admin, recorded, admin_db, row, targets):
    admin_db.execute("UPDATE ingest_batch_item SET asset_id = %(asset_id)s, cover_id = %(cover_id)s", **row)
    assert {row[4] for row in cells(region(admin.get(detail(recorded)), "Items"))[1:]} == {targets}


def test_an_item_says_why_and_what_changes_without_disturbing_the_columns(admin, recorded, admin_db):
    admin_db.execute(
        "UPDATE ingest_batch_item SET reason = 'asset 12 differs in title', changes = %(changes)s WHERE position = 0",
        changes='{"title": ["Old", "New"]}',
    )
    table = region(admin.get(detail(recorded)), "Items")
    note = table.find("tr", class_="note")
    assert text(note).startswith("1 change")
    assert text(table.find("td", class_="verdict")) == "will_create asset 12 differs in title"
    assert [text(cell) for cell in note.find("tbody").find_all(["th", "td"])] == ["title", "Old", "New"]
    assert len(cells(table)) == 5


def test_an_item_that_differs_from_its_plan_says_so(admin, recorded, admin_db):
    admin_db.execute("UPDATE ingest_batch_item SET decision = 'created' WHERE position = 0")
    admin_db.execute("UPDATE ingest_batch_item SET decision = 'failed' WHERE position = 1")
    table = region(admin.get(detail(recorded)), "Items")
    [note] = table.find_all("tr", class_="note")
    assert text(note).startswith("not as planned (will_create)")
    assert "created planned will_create" in [text(cell) for cell in table.find_all("td", class_="verdict")]


def test_a_withdrawn_item_is_shown_and_not_counted(admin, recorded, admin_db):
    admin_db.execute("UPDATE ingest_batch_item SET decision = 'withdrawn', planned = NULL WHERE position = 3")
    page = admin.get(detail(recorded))
    assert text(page.html.find(id="items")) == "Items 3"
    assert [row[3] for row in cells(region(page, "Items"))[1:]].count("withdrawn") == 1


def test_the_last_error_of_a_batch_is_shown_whole(admin, recorded, admin_db):
    admin_db.execute("UPDATE ingest_batch SET status = 'failed', last_error = %(error)s", error="no space " * 100)
    assert ("no space " * 100).strip() in text(admin.get(detail(recorded)).html.find(class_="problem"))


def test_zero_dates_that_a_perl_program_wrote_are_shown_as_no_time(admin, recorded, admin_db):
    admin_db.execute("SET sql_mode = ''")
    admin_db.execute("UPDATE ingest_batch SET started_at = '0000-00-00', completed_at = '0000-00-00'")
    admin_db.execute("UPDATE import_job SET claimed_at = '0000-00-00', finished_at = '0000-00-00'")
    admin_db.execute("UPDATE ingest_batch_item SET updated_at = '0000-00-00' LIMIT 1")
    admin_db.close()
    page = admin.get(detail(recorded))
    assert "0000-00-00" not in page.text and "Started -" in text(page.html)
    assert admin.get(BATCHES).status_int == admin.get("/admin/import-tasks.cgi").status_int == 200


def test_items_are_paged_by_position_and_none_is_lost_or_repeated(admin, recorded, admin_db):
    add = (
        "INSERT INTO ingest_batch_item (batch_id, position, asset_type, asset_hash, decision)"
        " VALUES (7, %(position)s, 'photo', %(hash)s, %(decision)s)"
    )
    for position in range(4, 120):
        admin_db.execute(add, position=position, hash=f"{position:064x}", decision="will_create")
    for position in (49, 50, 51):
        admin_db.execute(add, position=position, hash=f"{position + 1000:064x}", decision="withdrawn")
    hashes, start = [], 0
    while start is not None:
        values = admin.get(detail(recorded, start=start), headers=JSON).json
        hashes += [item["asset_hash"] for item in values["items"]]
        start = values["next_start"]
    assert len(hashes) == len(set(hashes)) == 123


def test_pages_of_items_link_to_each_other(admin, recorded, admin_db, panel_conf):
    for position in range(4, 60):
        admin_db.execute(
            "INSERT INTO ingest_batch_item (batch_id, position, asset_type, asset_hash, decision)"
            " VALUES (7, %(position)s, 'photo', %(hash)s, 'will_create')", position=position, hash=f"{position:064x}",
        )
    second = admin.get(detail(recorded)).click("Next items")
    assert len(cells(region(second, "Items"))) == 11
    assert len(cells(region(second.click("Previous items"), "Items"))) == 51


@pytest.mark.parametrize("status, offered", [
    ("discovered", {"preflight", "queue"}), ("preflight_passed", {"preflight", "queue"}),
    ("preflight_failed", {"preflight", "queue", "seen"}), ("completed", {"preflight", "queue"}),
    ("partial", {"preflight", "queue", "seen"}), ("failed", {"preflight", "queue", "seen"}), ("queued", {"cancel"}),
    ("importing", set()),
])
def test_a_batch_offers_what_its_status_allows(admin, recorded, admin_db, status, offered):
    admin_db.execute("UPDATE ingest_batch SET status = %(status)s", status=status)
    state = {"queued": "queued", "importing": "running"}.get(status, "canceled")
    admin_db.execute("UPDATE import_job SET state = %(state)s", state=state)
    page = admin.get(detail(recorded))
    assert {button["value"] for button in page.html.find_all("button", {"name": "do"})} == offered
    assert ("A running job cannot be canceled." in text(page.html.main)) == (status == "importing")


def test_a_batch_goes_from_the_scan_to_the_queue_and_back(admin, scan_bundle, panel_db):
    page = admin.get(detail(scan_bundle()))
    page = page.forms[0].submit("do", value="preflight").follow()
    assert "Preflight passed: 2 will_create." in text(page.html.find(class_="notice"))
    page = page.forms[1].submit("do", value="queue").follow()
    assert text(page.html.find(class_="notice")).startswith("Queued as job ")
    page = page.forms[0].submit("do", value="cancel").follow()
    assert text(page.html.find(class_="state")) == "Status: preflight_passed; action: create"
    assert [row[0] for row in cells(region(page, "Recent events"))[1:]] == [
        "job_canceled", "job_queued", "preflight_finished", "preflight_started", "scan",
    ]


def test_a_running_job_keeps_the_page_fresh_and_a_finished_one_does_not(admin, scan_bundle, panel_db, mount, admin_db):
    sync_id = scan_bundle()
    services.queue_batch(panel_db, mount, sync_id, "admin")
    assert admin.get(detail(sync_id)).html.find(id="live").has_attr("data-live")
    panel_db.run_transaction(job_queue.cancel, panel_db.run_read(job_queue.list_queued)[0]["id"], "admin")
    assert not admin.get(detail(sync_id)).html.find(id="live").has_attr("data-live")


def test_looking_at_a_page_changes_nothing(admin, recorded, panel_db):
    before = panel_db.run_read(ledger.get_batch, recorded)
    admin.get(detail(recorded))
    assert panel_db.run_read(ledger.get_batch, recorded) == before


def test_a_box_beside_preflight_plans_a_batch_although_older(admin, send, scan_bundle, admin_db):
    sync_id = scan_bundle()
    assert admin.get(detail(sync_id)).html.find("input", attrs={"name": "although_older"}) is None
    for fields, recorded in (({}, 0), ({"although_older": "1"}, 1), ({}, 0)):
        send(detail(sync_id), do="preflight", sync_id=sync_id, **fields)
        assert admin_db.execute("SELECT although_older FROM ingest_batch") == [{"although_older": recorded}]
        box = admin.get(detail(sync_id)).html.find("input", attrs={"name": "although_older"})
        assert (box["type"], box.has_attr("checked")) == ("checkbox", bool(recorded))
    send(detail(sync_id), do="preflight", sync_id=sync_id, although_older="maybe", status=400)


def test_a_batch_shows_when_it_was_imported_last_whatever_its_status(admin, scan_bundle, admin_db):
    sync_id = scan_bundle()
    assert "Last imported" not in text(admin.get(detail(sync_id)).html)
    admin_db.execute("UPDATE ingest_batch SET imported_at = '2026-04-12 20:47:14'")
    assert "Last imported 2026-04-12 20:47:14" in text(admin.get(detail(sync_id)).html)


def test_a_plan_that_no_person_preflighted_has_no_queue_button(admin, send, scan_bundle, admin_db):
    sync_id = scan_bundle()
    send(do="preflight", sync_id=sync_id)
    page = admin.get(detail(sync_id))
    assert page.html.find("button", {"value": "queue"})
    admin_db.execute("UPDATE ingest_batch SET changed_at = NOW(6), changed_sha256 = manifest_sha256")
    page = admin.get(detail(sync_id))
    assert page.html.find("button", {"value": "preflight"}) and not page.html.find("button", {"value": "queue"})
    assert admin.get(detail(sync_id), headers=JSON).json["batch"]["queueable"] is False
    [_, row] = cells(admin.get(BATCHES).html.find("table"))
    assert any("preflight_passed replaced by upstream" in cell for cell in row)
    send(do="queue", sync_id=sync_id, status=409)
    send(do="preflight", sync_id=sync_id)
    assert admin.get(detail(sync_id)).html.find("button", {"value": "queue"})
