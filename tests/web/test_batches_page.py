"""The list of batches (docs/CONTRACT.md, "10. Pages")."""

import pytest
from gpupanel import job_queue
from gpupanel.devtools.bundle_factory import defects
from page_helpers import BATCHES, JSON, cells, region, text


@pytest.fixture
def many(admin_db):
    """120 batches with ids 1 to 120; those with odd ids are failed."""
    for number in range(1, 121):
        admin_db.execute(
            "INSERT INTO ingest_batch (id, sync_id, sync_type, action, status)"
            " VALUES (%(id)s, %(sync_id)s, 'asset', 'create', %(status)s)",
            id=number, sync_id=f"00000000-0000-4000-8000-{number:012x}",
            status="failed" if number % 2 else "discovered",
        )


def tick(page, *sync_ids):
    """Return the list's form with these batches selected."""
    form = page.forms[2]
    for box in form.fields["sync_id"]:
        box.checked = box._value in sync_ids
    return form


def test_an_empty_list_teaches_what_to_do(admin):
    page = admin.get(BATCHES)
    assert text(page.html.find("h2", string=None, class_=None).find_previous("h1")) == "Import Media"
    assert "Press Scan" in text(page.html.find(class_="empty"))
    assert [button["value"] for button in page.html.find_all("button")] == ["scan"]


def test_a_row_has_the_facts_of_its_batch(admin, scan_bundle):
    sync_id = scan_bundle()
    head, row = cells(region(admin.get(BATCHES), "Batches"))
    assert head[1:] == [
        "sync_id", "status", "type", "action", "items", "bytes", "source host", "discovered", "completed",
        "latest job",
    ]
    assert row[1:6] + row[9:] == [sync_id, "discovered", "asset", "create", "2", "-", "-"]


def test_the_id_leads_to_the_batch(admin, scan_bundle):
    sync_id = scan_bundle()
    assert f"Batch {sync_id}" in text(admin.get(BATCHES).click(sync_id).html.main)


def test_the_latest_job_shows_its_progress(admin, send, scan_bundle):
    sync_id = scan_bundle()
    for do in ("queue", "cancel", "queue"):
        job_id = admin.get(BATCHES, headers=JSON).json["batches"][0]["job"]
        send(do=do, sync_id=sync_id, **({"job_id": job_id["id"]} if do == "cancel" else {}))
    job = admin.get(BATCHES, headers=JSON).json["batches"][0]["job"]
    assert cells(region(admin.get(BATCHES), "Batches"))[1][-1] == f"{job['id']} queued 0/2"


def test_a_scan_from_the_page_reports_new_and_skipped_bundles(admin, bundles):
    good = bundles.bundle("good", bundles.assets("good", 2))
    bad = bundles.bundle("bad", bundles.assets("bad", 2), status="processing")
    page = admin.get(BATCHES).forms["scan"].submit("do", value="scan").follow()
    notice = text(page.html.find(class_="notice")).replace(" :", ":")
    assert "1 new bundle, 0 already known, 1 skipped" in notice
    assert f"{bad}: skipped" in notice and good not in notice
    row = next(row for row in region(page, "Batches").find_all("tr") if bad in text(row))
    assert text(row.find("td", class_="verdict")).startswith("discovered skipped: status: found")


def test_the_ticked_batches_are_queued_and_each_outcome_is_told(admin, scan_bundle, bundles, panel_db):
    good, left = scan_bundle("good"), scan_bundle("left")
    bundles.bundle("lost", bundles.assets("lost", 2, broken={0: defects.no_folder, 1: defects.no_folder}))
    lost = bundles.sync_id("lost")
    page = admin.get(BATCHES).forms["scan"].submit("do", value="scan").follow()
    preview = tick(page, good, lost).submit("preview", value="queue")
    assert panel_db.run_read(job_queue.list_queued) == []
    page = preview.forms[0].submit("do", value="queue_selected").follow()
    notice = text(page.html.find(class_="notice")).replace(" :", ":")
    assert notice.startswith("Queued: 1 of 2 batches.")
    assert f"{good}: queued as job" in notice and f"{lost}: not queued: The preflight" in notice
    assert [job["sync_id"] for job in panel_db.run_read(job_queue.list_queued)] == [good]
    assert left not in notice


def test_pages_follow_each_other_without_gap_or_repeat(admin, many):
    sync_ids, page = [], admin.get(BATCHES)
    while True:
        sync_ids += [row[1] for row in cells(region(page, "Batches"))[1:]]
        if page.html.find("a", string="Older") is None:
            break
        page = page.click("Older")
    assert [int(sync_id[-3:], 16) for sync_id in sync_ids] == list(range(120, 0, -1))


def test_a_status_filters_and_stays_in_the_links(admin, many):
    page = admin.get(BATCHES).click(href="status=failed$")
    assert text(page.html.main.h2) == "Batches 60"
    older = page.click("Older")
    assert {row[2] for row in cells(region(older, "Batches"))[1:]} == {"failed"}
    assert len(cells(region(older, "Batches"))) == 11


def test_an_action_returns_to_the_same_filter_and_place(admin, many, bundles):
    bundles.bundle("new", bundles.assets("new", 1))
    page = admin.get(f"{BATCHES}?status=failed&before=100")
    answer = page.forms["scan"].submit("do", value="scan")
    assert answer.location.endswith(f"{BATCHES}?status=failed&before=100")


def test_a_filter_that_finds_nothing_leads_back(admin, many):
    page = admin.get(f"{BATCHES}?status=queued")
    assert len(cells(region(page.click("Show all batches"), "Batches"))) == 51


def test_the_heading_counts_all_and_not_only_the_page(admin, many):
    assert text(admin.get(BATCHES).html.main.h2) == "Batches 120"
