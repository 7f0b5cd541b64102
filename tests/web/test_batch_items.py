"""Items of a batch: filters and search, plan and results, and export."""

import csv
import io
import json

import pytest
from gpupanel import bundle_inspection, ledger, services
from gpupanel.models import COUNT_LIMIT, Decision, ItemPlan, REFUSED_BY_DATABASE
from gpupanel.web.pages import item_list
from gpupanel.web.pages import batch
from page_helpers import BATCHES, JSON, cells, detail, region, text
from rows_read import examined

MANY = 11_000


def notes(page):
    return [text(note) for note in region(page, "Items").find_all("tr", class_="note")]


def chips(page):
    return [text(chip) for chip in page.html.find(attrs={"aria-label": "Decisions"}).find_all("a")]


@pytest.fixture
def settle(admin_db):
    """Write a job's result for the item at a position."""
    def settle(position, decision, reason="done", **more):
        columns = {"decision": decision, "reason": reason} | more
        assignments = ", ".join(f"{column} = %({column})s" for column in columns)
        statement = f"UPDATE ingest_batch_item SET {assignments} WHERE position = %(position)s"
        admin_db.execute(statement, position=position, **columns)

    return settle


@pytest.fixture
def planned(scan_bundle, panel_db, mount):
    """A bundle of eight photos, preflighted."""
    sync_id = scan_bundle(count=8)
    services.preflight_batch(panel_db, mount, sync_id, "admin")
    return sync_id


@pytest.fixture
def job_id(admin_db, planned):
    """A finished job of that bundle."""
    admin_db.execute(
        "INSERT INTO import_job (id, batch_id, state, requested_by, finished_at)"
        " SELECT 7, id, 'completed', 'admin', NOW(6) FROM ingest_batch"
    )
    return 7


@pytest.fixture
def many(planned, admin_db, panel_db):
    """The same bundle with many thousand more items."""
    admin_db.execute(
        "INSERT INTO ingest_batch_item (batch_id, position, asset_type, asset_hash, decision, planned)"
        " SELECT id, seq, 'photo', SHA2(seq, 256), IF(seq % 5000, 'created', 'failed'), 'will_create'"
        f" FROM ingest_batch JOIN seq_10_to_{MANY}"
    )
    admin_db.execute("ANALYZE TABLE ingest_batch_item")
    return panel_db.run_read(ledger.get_batch, planned)["id"]


# ------------------------------------------------------------------------------------------------ filters and search


def test_what_failed_comes_first_in_the_counts_and_each_leads_to_its_items(admin, planned, settle):
    settle(2, "failed", last_error="broken")
    settle(5, "created")
    page = admin.get(detail(planned))
    assert chips(page) == ["all", "1 failed", "6 will_create", "1 created"]
    page = page.click(href="decision=failed", index=0)
    assert [row[3] for row in cells(region(page, "Items"))[1:]] == ["failed"]
    assert text(page.html.find(id="items")) == "Items 8"


def test_withdrawn_items_are_found_but_count_nowhere(admin, planned, settle):
    settle(2, "withdrawn", planned=None)
    page = admin.get(detail(planned))
    assert chips(page)[-1] == "1 withdrawn" and text(page.html.find(id="items")) == "Items 7"


def test_pages_of_one_decision_link_to_each_other(configured, planned, settle):
    for position in (0, 2, 4, 6, 7):
        settle(position, "failed")
    browser = configured(page_size=2)

    def positions(page):
        return [row["position"] for row in browser.get(page.request.url, headers=JSON).json["items"]]

    pages = [browser.get(detail(planned, decision="failed"))]
    pages += [pages[0].click("Next items")]
    pages += [pages[1].click("Next items")]
    assert [positions(page) for page in pages] == [[0, 2], [4, 6], [7]]
    assert positions(pages[2].click("Previous items")) == [4, 6]
    assert positions(pages[1].click("Previous items")) == [0, 2]


def test_an_item_is_found_by_the_start_of_its_hash(admin, planned, panel_db):
    wanted = admin.get(detail(planned), headers=JSON).json["items"][3]["asset_hash"]
    form = admin.get(detail(planned)).forms
    seek = next(form[key] for key in form if "q" in form[key].fields)
    for typed in (wanted, wanted[:16] + "...", f" {wanted[:12].upper()} "):
        seek["q"] = typed
        assert [row[1] for row in cells(region(seek.submit(), "Items"))[1:]] == [wanted[:16] + "..."]


def test_a_hash_that_nothing_has_says_so(admin, planned):
    assert "No item of this batch has a hash" in text(admin.get(detail(planned, q="0" * 64)).html.main)


def test_a_search_with_more_matches_than_fit_says_so(configured, planned, admin_db):
    admin_db.execute("UPDATE ingest_batch_item SET asset_hash = CONCAT('abc', SUBSTR(asset_hash, 4))")
    values = configured(page_size=5).get(detail(planned, q="abc"), headers=JSON).json
    assert (len(values["items"]), values["more_matches"]) == (5, True)


@pytest.mark.parametrize("query", [
    {"q": "xyz"}, {"q": "%"}, {"q": "a" * 65}, {"decision": "maybe"}, {"q": "ab", "decision": "failed"},
    {"mark": "nothing"}, {"mark": "empties", "decision": "failed"},
])
def test_a_filter_that_cannot_be_is_refused(admin, planned, query):
    admin.get(detail(planned, **query), status=400)


def reads(db, work, *args, **kwargs):
    return examined(db, work, *args, **kwargs)[1]


@pytest.mark.parametrize("options", [
    {}, {"start": MANY - 100}, {"group": Decision.FAILED}, {"group": Decision.CREATED, "start": MANY - 100},
    {"group": "empties"}, {"group": "differs", "start": MANY - 100},
])
def test_a_page_among_many_items_reads_what_it_shows(many, admin_db, options):
    assert reads(admin_db, ledger.list_items, many, limit=51, **options) <= 60
    if "start" in options:
        assert reads(admin_db, ledger.previous_page_start, many, limit=50, **options) <= 120


def test_a_search_among_many_items_reads_what_it_shows(many, admin_db):
    assert reads(admin_db, ledger.list_items_by_hash, many, "ab", limit=51) <= 60


def test_counting_many_items_stops_at_the_bound(many, admin, planned, admin_db):
    assert reads(admin_db, ledger.bounded_decision_counts, many, limit=101) <= 500
    assert chips(admin.get(detail(planned))) == ["all", "2 failed", "8 will_create", "10,000+ created"]


def test_the_whole_page_reads_no_more_than_it_counts_and_shows(many, planned, admin_db):
    # Each counted entry is read twice: from the index, and from the group.
    parameters = batch.PageParameters(planned, item_list.ItemFilter(), MANY // 2, 0)
    assert reads(admin_db, batch._read, parameters, 50) <= 2 * COUNT_LIMIT + 500


# --------------------------------------------------------------------------------------- plan and results


def test_what_was_done_stands_beside_what_was_planned(admin, planned, settle):
    settle(0, "created", reason="as it should")
    settle(1, "updated", reason="it came meanwhile")
    page = admin.get(detail(planned))
    verdicts = [text(cell) for cell in region(page, "Items").find_all("td", class_="verdict")]
    assert verdicts[:2] == ["created planned will_create: as it should", "updated"]
    [said] = notes(page)
    assert said.startswith("not as planned (will_create)") and said.endswith("it came meanwhile")


def test_another_preflight_keeps_what_an_earlier_job_did(admin, planned, settle, job_id, panel_db, mount):
    settle(0, "created", reason="it was new", job_id=job_id)
    for _ in range(2):
        services.preflight_batch(panel_db, mount, planned, "admin")
    item = admin.get(detail(planned), headers=JSON).json["items"][0]
    assert (item["decision"], item["job_id"]) == ("will_create", None)
    assert (item["earlier"], item["earlier_reason"], item["earlier_job_id"]) == ("created", "it was new", job_id)
    assert "Earlier result, job 7: created (it was new)" in notes(admin.get(detail(planned)))[0]


def test_an_item_that_is_withdrawn_keeps_what_an_earlier_job_did(planned, settle, job_id, panel_db, mount):
    settle(0, "created", job_id=job_id)
    examined = bundle_inspection.inspect_bundle(mount, planned)
    batch_id = panel_db.run_read(ledger.get_batch, planned)["id"]
    listed = type("Manifest", (), {"items": examined.manifest.items[1:]})
    assert panel_db.run_transaction(ledger.withdraw_missing, batch_id, listed) == 1
    item = panel_db.run_read(ledger.list_items, batch_id)[0]
    assert (item["decision"], item["earlier"], item["earlier_job_id"]) == ("withdrawn", "created", job_id)


UPDATE = {"title": ["Old", None], "width": [1, 2], "bytes": [None, 3]}


@pytest.fixture
def plan(panel_db, planned):
    """Plan an item of the bundle again: `plan(0, "will_update", changes)`."""
    batch_id = panel_db.run_read(ledger.get_batch, planned)["id"]

    def plan(position, decision, changes=None, done=None, job_id=None):
        item = panel_db.run_read(ledger.list_items, batch_id, start=position)[0]
        made = ItemPlan(
            position, item["asset_type"], item["asset_hash"], None, Decision(decision), "it differs", changes
        )
        panel_db.run_transaction(ledger.plan_items, batch_id, [made])
        if done:
            panel_db.run_transaction(ledger.record_results, batch_id, job_id, [made._replace(decision=Decision(done))])

    return plan


def test_an_update_that_empties_a_field_is_called_out(admin, planned, plan):
    plan(0, "will_update", UPDATE)
    page = admin.get(detail(planned))
    assert "clears title" in notes(page)[0]
    assert "1 item clears a field" in text(page.html.main)
    assert admin.get(detail(planned), headers=JSON).json["items"][0]["empties"] == ["title"]


def test_what_empties_a_field_is_counted_and_found_wherever_it_is(configured, planned, plan):
    for position in (3, 6):
        plan(position, "will_update", UPDATE)
    small = configured(page_size=1)
    page = small.get(detail(planned))
    assert "2 items clear a field" in text(page.html.main)
    positions = []
    page = page.click("show them")
    while page:
        (item,) = small.get(page.request.url, headers=JSON).json["items"]
        positions.append(item["position"])
        page = page.click("Next items") if page.html.find("a", rel="next") else None
    assert positions == [3, 6]
    assert len(export(small, planned, format="json", mark="empties").json) == 2


def test_a_difference_that_nothing_writes_empties_nothing(admin, planned, plan):
    plan(0, "will_skip", UPDATE)
    shown = admin.get(detail(planned), headers=JSON).json
    assert (shown["items"][0]["empties"], shown["marks"]["empties"]) == ([], 0)


def test_what_was_done_otherwise_than_planned_is_counted_and_found(admin, planned, plan, job_id):
    plan(2, "will_create", done="updated", job_id=job_id)
    plan(4, "will_create", done="created", job_id=job_id)
    page = admin.get(detail(planned))
    assert "1 item was not imported as planned" in text(page.html.main)
    assert [item["position"] for item in admin.get(detail(planned, mark="differs"), headers=JSON).json["items"]] == [2]
    plan(2, "will_update")
    assert admin.get(detail(planned), headers=JSON).json["marks"] == {"empties": 0, "differs": 0}


OTHER = {"library": "not JSON", "bundle": REFUSED_BY_DATABASE, "retry": "not JSON"}  # errors of another remedy


@pytest.mark.parametrize("decision, error, remedy, said", [
    ("failed", f"{REFUSED_BY_DATABASE}: Data too long", "library", "Fix the library"),
    ("failed", "photo.manifest.json is not JSON: nothing there", "bundle", "Fix the bundle"),
    ("failed", "photo/x/source/source.json is not on the mount.", "retry", "Retry:"),
    ("will_fail", "items[0].path: photo/x is not on the mount", "bundle", "Fix the bundle"),
])
def test_an_item_that_fails_says_what_would_help(admin, planned, settle, decision, error, remedy, said):
    planned_as = "will_fail" if decision == "will_fail" else "will_create"
    settle(0, decision, reason=error, last_error=error, planned=planned_as)
    assert admin.get(detail(planned), headers=JSON).json["items"][0]["remedy"] == remedy
    settle(1, decision, last_error=OTHER[remedy], planned="will_create")
    assert said in notes(admin.get(detail(planned)))[0]


def test_a_remedy_that_all_failing_items_share_is_said_once(admin, planned, settle):
    for position in (0, 1):
        settle(position, "failed", last_error="photo.manifest.json is not JSON", planned="will_fail")
    page = admin.get(detail(planned))
    assert text(page.html.main).count("Fix the bundle") == 1
    assert not any("Fix the bundle" in note for note in notes(page))
    settle(1, "failed", last_error=f"{REFUSED_BY_DATABASE}: Data too long", planned="will_fail")
    assert ["Fix the" in note for note in notes(admin.get(detail(planned)))].count(True) == 2


def test_a_new_item_says_so_once(admin, planned, settle):
    settle(0, "will_create", reason="this photo is new to the library", planned="will_create")
    row = region(admin.get(detail(planned)), "Items").find("td", class_="verdict")
    assert text(row) == "will_create"


def test_what_the_mount_lacks_is_told_in_the_words_that_are_looked_for(mount, planned):
    assert item_list.MISSING_FILE in mount.check_item("photo/none")


@pytest.mark.parametrize("status, offered", [("partial", True), ("failed", True), ("preflight_passed", False)])
def test_what_failed_can_be_retried_with_one_button(admin, viewer, planned, settle, admin_db, status, offered):
    settle(0, "failed")
    admin_db.execute("UPDATE ingest_batch SET status = %(status)s", status=status)
    assert bool(admin.get(detail(planned)).html.find(id="retry")) == offered
    assert not viewer.get(detail(planned)).html.find(id="retry")


# ------------------------------------------------------------------------------------------------ export


def export(browser, sync_id, **query):
    return browser.get(BATCHES, {"action": "items", "sync_id": sync_id} | query)


def test_items_are_exported_as_json_in_full(admin, planned, settle):
    settle(1, "failed", changes='{"title": ["a", "b"]}')
    answer = export(admin, planned, format="json")
    assert answer.json == admin.get(detail(planned), headers=JSON).json["items"]
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{planned}-items.json"'


def test_items_are_exported_as_csv_in_full(admin, planned, settle):
    settle(1, "failed", changes='{"title": ["ä", "b"]}')
    answer = export(admin, planned, format="csv", decision="failed")
    (row,) = csv.DictReader(io.StringIO(answer.body.decode("utf-8-sig")))
    assert (row["position"], row["decision"], json.loads(row["changes"])) == ("1", "failed", {"title": ["ä", "b"]})
    assert answer.content_type == "text/csv"


@pytest.mark.parametrize("start", "=+-@\t\r\n")
def test_no_cell_of_a_csv_is_a_formula(admin, planned, settle, start):
    settle(0, "failed", last_error=f"{start}1+1")
    body = export(admin, planned, format="csv", decision="failed").body.decode("utf-8-sig")
    (row,) = csv.DictReader(io.StringIO(body, newline=""))
    assert row["last_error"] == f"'{start}1+1"


@pytest.mark.parametrize("text", [
    "photos/a;=HYPERLINK(1);b", "a;-1+1", "a; =1+1", 'a;"=1+1";b', "a;'\"@SUM(1)", "a,=1", "a\t=1\tb", "a\n=1",
    "a\r\n+1", "a|=1",
    "\uff1d1+1", "a;\uff0b1", " =1+1", '"=1+1"', '";=1+1', '"";"=1', "a;;=1",
])
def test_no_reader_in_any_locale_finds_a_formula(admin, planned, settle, text):
    """A list's separator is a semicolon in Germany; the quotes of a comma-separated file then hold nothing together."""
    settle(0, "failed", last_error=text, changes=json.dumps({"title": [text, text], text: [text, text]}))
    answer = export(admin, planned, format="csv", decision="failed")
    assert answer.body.startswith(b"\xef\xbb\xbf")
    body = answer.body.decode("utf-8-sig")
    for delimiter in ",;\t|":
        cells = [cell for row in csv.reader(io.StringIO(body, newline=""), delimiter=delimiter) for cell in row]
        for line in (line for cell in cells for line in cell.splitlines()):
            visible = "".join(char for char in line if char.isprintable()).strip()
            shown = visible.lstrip("\"'") if visible.startswith('"') else visible
            assert not shown.startswith(tuple("=+-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b")), delimiter
    [row] = csv.DictReader(io.StringIO(body, newline=""))
    assert json.loads(row["changes"]) == {"title": [text, text], text: [text, text]}


def test_an_export_of_many_items_has_all_of_them_once(admin, many, planned):
    exported = export(admin, planned, format="json").json
    assert len({item["asset_hash"] for item in exported}) == len(exported) == MANY - 1


@pytest.mark.parametrize("query", [{"format": "xls"}, {"q": "ab"}, {"decision": "maybe"}])
def test_an_export_that_cannot_be_is_refused(admin, planned, query):
    admin.get(BATCHES, {"action": "items", "sync_id": planned} | query, status=400)


def test_an_export_is_for_those_who_are_signed_in(nobody, planned):
    nobody.get(BATCHES, {"action": "items", "sync_id": planned}, status=401)
