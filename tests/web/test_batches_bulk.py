"""Bulk actions: preview, snapshot, results, bounded work per request."""

import pytest
from gpupanel import bulk_service, job_queue, ledger
from gpupanel.errors import MountTimeoutError
from gpupanel.folds import forecast
from gpupanel.web import request
from page_helpers import BATCHES, JSON, cells, region, text


@pytest.fixture
def preview(admin, send):
    """Return the preview of an action on these batches or on all matches."""
    def preview(what, *sync_ids, url=BATCHES, **fields):
        named = [("preview", what), *(("sync_id", sync_id) for sync_id in sync_ids), *fields.items()]
        token = admin.get(BATCHES, headers=JSON).json["csrf_token"]
        return admin.post(url, [*named, ("csrf_token", token)])

    return preview


@pytest.fixture
def status(panel_db):
    return lambda sync_id: panel_db.run_read(ledger.get_batch, sync_id)["status"]


def press(page):
    """Press the button that starts or continues the action."""
    return page.forms[0].submit("do")


def test_a_preview_says_what_would_be_queued_preflighted_or_refused_and_does_nothing(
    preview, scan_bundle, send, status
):
    passed, fresh, waiting = scan_bundle("passed"), scan_bundle("fresh"), scan_bundle("waiting")
    send(do="preflight", sync_id=passed)
    send(do="queue", sync_id=waiting)
    page = preview("queue", passed, fresh, waiting)
    assert sorted(cells(region(page, "Preview"))[1:]) == [
        ["1", "discovered", "preflighted, and queued if that passes"], ["1", "preflight_passed", "queued"],
        ["1", "queued", "refused : it is queued already"],
    ]
    assert [status(each) for each in (passed, fresh, waiting)] == ["preflight_passed", "discovered", "queued"]
    assert page.html.find("button", {"name": "do"}).string == "Queue 2 batches"


# ------------------------------------------------------------------------------------------------------ forecast


def test_the_preview_of_a_queue_shows_the_library_afterwards_in_the_order_of_import(preview, bundles, scan_bundle):
    first = scan_bundle("first")
    retitled = [asset._replace(title="Later") for asset in bundles.assets("first", 2)]
    later = bundles.bundle("later", retitled, action="update")
    scan_bundle("another")
    page = preview("queue", later, first)
    assert cells(region(page, "The library afterwards"))[1:] == [["photo", "2 created"]]
    assert [row[1] for row in cells(region(page, "Order of import"))[1:]] == [first, later]
    overwritten = cells(region(page, "Overwritten values"))[1:]
    assert [row[2] for row in overwritten] == ["title", "title"]
    assert all(row[3].endswith("by #1") and row[4] == "Later by #2" for row in overwritten)
    assert [row[0].split()[0] for row in cells(region(page, "Changes"))[1:]] == ["Later", "Later"]


def test_the_preview_of_another_action_has_no_forecast(preview, scan_bundle):
    assert preview("preflight", scan_bundle()).html.find(id="forecast") is None


def test_a_preview_says_what_the_time_was_too_short_for(preview, scan_bundle, monkeypatch):
    batches = [scan_bundle(name) for name in ("one", "two", "three")]
    seconds = iter(range(0, 10_000, 2))
    monkeypatch.setattr(forecast, "monotonic", lambda: next(seconds))
    page = preview("queue", *batches)
    assert "batches were not read" in text(page.html.find(class_="mixed"))


def test_a_preview_names_a_mount_that_is_away(preview, scan_bundle, assets_dir):
    sync_id = scan_bundle()
    (assets_dir / "sync").rename(assets_dir / "away")
    page = preview("queue", sync_id)
    assert text(page.html.find(class_="mixed")).startswith("No forecast: ")
    assert page.html.find("button", {"name": "do"}).string == "Queue 1 batch"


@pytest.mark.parametrize("what, before, after", [
    ("queue", "discovered", "queued"), ("preflight", "discovered", "preflight_passed"), ("retry", "failed", "queued"),
    ("cancel", "queued", "preflight_passed"),
])
def test_each_kind_of_bulk_does_what_its_preview_says(
    preview, scan_bundle, send, status, admin_db, what, before, after
):
    batches = [scan_bundle("one"), scan_bundle("two")]
    for sync_id in batches:
        send(do="queue", sync_id=sync_id) if before == "queued" else None
    admin_db.execute("UPDATE ingest_batch SET status = %(before)s", before=before)
    answer = press(preview(what, *batches)).follow()
    assert [status(sync_id) for sync_id in batches] == [after, after]
    assert ": 2 of 2 batches." in text(answer.html.find(class_="notice"))


@pytest.mark.parametrize("what, state, refusal", [
    ("retry", "completed", "none of its items failed"),
    ("cancel", "importing", "only a queued or held job can be canceled"),
    ("cancel", "discovered", "it has no queued job"), ("preflight", "importing", "it is being imported"),
])
def test_a_refusal_is_in_the_preview_and_in_the_result(
    preview, scan_bundle, send, status, admin_db, what, state, refusal,
):
    sync_id = scan_bundle()
    admin_db.execute("UPDATE ingest_batch SET status = %(state)s", state=state)
    if state == "importing":
        admin_db.execute(
            "INSERT INTO import_job (batch_id, requested_by, state) SELECT id, 'x', 'running' FROM ingest_batch"
        )
    page = preview(what, sync_id)
    assert refusal in text(region(page, "Preview"))
    assert page.html.find("button", {"name": "do"}) is None
    send(do=f"{what}_selected", sync_id=sync_id)
    assert status(sync_id) == state


def test_preview_and_results_name_each_batch(admin, preview, scan_bundle, slow):
    batches = [scan_bundle(name) for name in ("one", "two", "three")]
    titles = {batch["sync_id"]: batch["first_title"] for batch in admin.get(BATCHES, headers=JSON).json["batches"]}

    def named(table):
        rows = table.tbody.find_all("tr")
        return {row.find(class_="id")["data-copy"]: text(row.find(class_="title")) for row in rows}

    page = preview("queue", *batches)
    assert named(region(page, "Selected batches")) == titles and all(titles.values())
    assert named(region(page, "Order of import")) == titles
    assert named(region(press(page), "Results")).items() <= titles.items()


def test_a_result_names_its_batch_once(scan_bundle, send, admin_db):
    scan_bundle("good")
    bad = scan_bundle("bad", files=False)
    line = send(do="queue_selected", sync_id=bad).follow().html.find(class_="notice").li
    assert text(line).startswith(f"{bad} : not queued: The preflight failed: ") and text(line).count(bad) == 1


def test_refusals_with_a_hint_come_before_those_without(scan_bundle, send, admin_db):
    fine, bad = scan_bundle("fine"), scan_bundle("bad", files=False)
    admin_db.execute("UPDATE ingest_batch SET status = IF(sync_id = %(bad)s, 'failed', 'completed')", bad=bad)
    notice = send(do="retry_selected", sync_id=[fine, bad]).follow().html.find(class_="notice")
    assert [text(element).split()[0] for element in notice.find_all("li")] == [bad, fine]


def test_a_refused_batch_does_not_stop_the_others(preview, scan_bundle, panel_db):
    good = scan_bundle("good")
    bad = scan_bundle("bad", files=False)
    notice = text(press(preview("queue", bad, good)).follow().html.find(class_="notice")).replace(" :", ":")
    assert f"{good}: queued as job" in notice and f"{bad}: not queued: The preflight" in notice
    assert [job["sync_id"] for job in panel_db.run_read(job_queue.list_queued)] == [good]


def test_refusals_come_first_in_notice_and_outcomes(preview, scan_bundle, slow):
    sound = [scan_bundle(name) for name in ("one", "two")]
    bad = scan_bundle("bad", files=False)
    notice = press(preview("queue", *sound[:1], bad)).follow().html.find(class_="notice")
    assert text(notice.p).endswith("1 of 2 batches. 1 refused (listed first).")
    assert bad in text(notice.find_all("li")[0]) and sound[0] in text(notice.find_all("li")[1])
    page = press(preview("queue", sound[1], bad, scan_bundle("left")))
    assert text(page.html.h2) == "1 batch queued, 1 not , 1 left"
    assert [row[0] for row in cells(region(page, "Not queued"))[1:]] == [bad]
    assert [row[0] for row in cells(region(page, "Results"))[1:]] == [sound[1]]


def test_a_result_counts_its_reasons_without_what_is_each_batchs_own(preview, scan_bundle, slow):
    scan_bundle("sound")
    bad = [scan_bundle(name, files=False) for name in ("one", "two", "three")]
    page = press(preview("preflight", *bad))
    where = "items[...].path: The folder ... is not on the mount."
    assert cells(region(page, "Reasons"))[1:] == [["2", f"The preflight failed: each item would fail: {where}"]]
    assert all(row[1].endswith("and 1 more.") for row in cells(region(page, "Not preflighted"))[1:])


@pytest.mark.parametrize("busy, heading", [
    (0, "Cancel 2 batches?"), (1, "Cancel 1 of 2 batches?"), (2, "None of 2 batches can be canceled"),
])
def test_the_heading_of_a_preview_promises_what_can_be_done(preview, scan_bundle, send, busy, heading):
    batches = [scan_bundle(name) for name in ("one", "two")]
    for sync_id in batches[busy:]:
        send(do="queue", sync_id=sync_id)
    assert text(preview("cancel", *batches).html.h2) == heading


def test_all_that_match_are_frozen_when_they_are_asked_for(preview, scan_bundle, status, admin_db):
    inside, outside = scan_bundle("inside"), scan_bundle("outside")
    admin_db.execute("UPDATE ingest_batch SET source_host = IF(sync_id = %(inside)s, 'here', 'there')", inside=inside)
    page = preview("queue", url=f"{BATCHES}?status=discovered&host=here", all="1")
    assert text(page.html.h2) == "Queue 1 batch?"
    later = scan_bundle("later")
    admin_db.execute("UPDATE ingest_batch SET source_host = 'here'")
    press(page)
    assert [status(each) for each in (inside, outside, later)] == ["queued", "discovered", "discovered"]


def test_the_same_selection_sent_twice_queues_nothing_twice(preview, scan_bundle, panel_db):
    batches = [scan_bundle("one"), scan_bundle("two")]
    page = preview("queue", *batches)
    press(page)
    again = text(press(page).follow().html.find(class_="notice"))
    assert "0 of 2" in again and again.count("queued already, as job") == 2
    assert len(panel_db.run_read(job_queue.list_queued)) == 2


def test_filters_and_place_are_kept(preview, scan_bundle):
    sync_id = scan_bundle()
    url = f"{BATCHES}?status=discovered&type=asset&from=2026-01-01&sort=oldest&after=0"
    page = preview("queue", sync_id, url=url)
    assert page.html.find("a", string="Back to the list")["href"] == url
    assert press(page).location.endswith(url)


def test_a_program_sees_the_same_preview_and_goes_on_with_what_is_left(scripted, scan_bundle, status, slow):
    batches = [scan_bundle(name) for name in ("one", "two", "three")]
    token = scripted.get(BATCHES).json["csrf_token"]
    page = scripted.post(BATCHES, {"preview": "queue", "all": "1", "csrf_token": token}).json
    assert (page["page"], page["total"], page["whole"], page["do"]) == ("selection", 3, True, "queue_selected")
    assert page["groups"] == [{"status": "discovered", "will": bulk_service.BOTH, "refusal": None, "batches": 3}]
    step = scripted.post(BATCHES, {"do": page["do"], "selection": page["selection"], "csrf_token": token}).json
    assert step["result"]["left"] == 1 and step["ok"] is False
    assert list(step["result"]["batches"][0]) == ["sync_id", "job_id", "problem", "hint", "did"]
    form = {"do": page["do"], "selection": step["result"]["selection"], "csrf_token": token}
    last = scripted.post(BATCHES, form).json
    assert (last["result"]["left"], last["result"]["selection"], last["ok"]) == (0, None, True)
    assert {status(sync_id) for sync_id in batches} == {"queued"}


@pytest.fixture
def slow(monkeypatch):
    """Let each batch take five seconds; none starts after ten seconds."""
    seconds = iter(range(0, 10_000, 5))
    monkeypatch.setattr(bulk_service, "monotonic", lambda: next(seconds))


def test_batches_left_over_when_time_runs_out_are_done_by_the_next_request(preview, scan_bundle, panel_db, slow):
    batches = [scan_bundle(name) for name in ("one", "two", "three", "four")]
    page = press(preview("queue", *batches))
    assert text(page.html.h2) == "2 batches queued, 2 left"
    assert "2 left" in text(page.html.main)
    assert len(panel_db.run_read(job_queue.list_queued)) == 2
    assert "Queued: 4 of 4 batches." in text(press(page).follow().html.find(class_="notice"))
    assert sorted(job["sync_id"] for job in panel_db.run_read(job_queue.list_queued)) == sorted(batches)


def test_a_batch_that_needs_more_than_the_time_left_is_the_first_of_the_next_request(
    scan_bundle, panel_db, mount, monkeypatch,
):
    batches = [scan_bundle("one"), scan_bundle("two")]

    def hanging(db, mount, sync_id, terms):
        if sync_id == batches[1]:
            raise MountTimeoutError()
        return bulk_service.BatchResult(sync_id, did="done")

    monkeypatch.setitem(bulk_service.HANDLERS, bulk_service.PREFLIGHT, hanging)
    terms = bulk_service.ActionTerms("admin", 20)
    done, left = bulk_service.run(panel_db, mount, bulk_service.PREFLIGHT, batches, terms)
    assert [each.sync_id for each in done] == batches[:1] and left == batches[1:]
    (failed,), left = bulk_service.run(panel_db, mount, bulk_service.PREFLIGHT, left, terms)
    assert "did not answer in time" in failed.problem and left == []


@pytest.mark.parametrize("change", [lambda field: field[:-1] + "x", lambda field: "", lambda field: "." + field])
def test_a_selection_that_the_panel_did_not_make_is_refused(preview, scan_bundle, send, panel_db, change):
    field = preview("queue", scan_bundle()).html.find("input", {"name": "selection"})["value"]
    send(do="queue_selected", selection=change(field), status=400)
    assert panel_db.run_read(job_queue.list_queued) == []


def test_ten_thousand_batches_fit_a_form_and_are_done_part_by_part(preview, admin_db, slow):
    admin_db.execute(
        "INSERT INTO ingest_batch (id, sync_id)"
        " SELECT seq * 97, CONCAT('00000000-0000-4000-8000-', LPAD(HEX(seq), 12, '0'))"
        " FROM seq_1_to_10001"
    )
    page = preview("queue", all="1")
    assert text(page.html.h2) == "Queue 10,000 batches?"
    assert "More batches match than one selection can hold" in text(page.html.main)
    assert len(page.html.find("input", {"name": "selection"})["value"]) < request.BODY_LIMIT / 4
    page = press(page)
    assert text(page.html.h2) == "0 batches queued, 2 not , 9,998 left"
    assert "2 of 10,000 processed" in text(page.html.main)
    assert len(cells(region(page, "Not queued"))) == 3
    assert "4 of 10,000 processed" in text(press(page).html.main)


# --------------------------------------------------------------------------------- one click, preview, priority


def test_one_click_queues_what_is_ticked(send, scan_bundle, panel_db):
    batches = [scan_bundle("one"), scan_bundle("two")]
    notice = text(send(do="queue_selected", sync_id=batches, priority="7").follow().html.find(class_="notice"))
    assert notice.startswith("Queued: 2 of 2 batches.")
    assert {job["priority"] for job in panel_db.run_read(job_queue.list_queued)} == {7}


@pytest.mark.parametrize("do", ["queue_selected", "preflight_selected", "retry_selected", "cancel_selected"])
def test_all_that_match_are_previewed_first(send, scan_bundle, panel_db, status, do):
    sync_id = scan_bundle()
    page = send(do=do, all="1", status=200)
    assert page.html.find(id="preview") and status(sync_id) == "discovered"


def test_a_preview_keeps_the_priority(preview, scan_bundle, panel_db):
    page = preview("queue", scan_bundle(), priority="-3")
    assert page.html.find("input", {"name": "priority"})["value"] == "-3"
    press(page)
    assert [job["priority"] for job in panel_db.run_read(job_queue.list_queued)] == [-3]


@pytest.mark.parametrize("priority", ["x", "1.5", "99999999999", "--1"])
def test_a_priority_that_is_none_queues_nothing(send, scan_bundle, panel_db, priority):
    send(do="queue_selected", sync_id=scan_bundle(), priority=priority, status=400)
    assert panel_db.run_read(job_queue.list_queued) == []
