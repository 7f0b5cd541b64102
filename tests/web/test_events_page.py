"""The events of all batches: each can be reached, by filters and cursor, as page, JSON and CSV."""

import csv
import io
import json

import pytest
from gpupanel import ledger
from gpupanel.event_sentences import EVENT_TYPES
from gpupanel.search import events as event_search
from page_helpers import BATCHES, JSON, cells, detail, region, text

EVENTS = f"{BATCHES}?action=events"


@pytest.fixture
def logged(scan_bundle, panel_db, admin_db):
    """Two batches with 70 events each, by turns, of two people on two days."""
    one, two = scan_bundle("one"), scan_bundle("two")
    ids = [panel_db.run_read(ledger.get_batch, sync_id)["id"] for sync_id in (one, two)]
    for number in range(140):
        admin_db.execute(
            "INSERT INTO ingest_event (batch_id, event_type, payload, actor, created_at) VALUES (%(batch)s, %(kind)s,"
            " JSON_OBJECT('n', %(n)s), %(actor)s, TIMESTAMP('2026-04-01') + INTERVAL %(n)s * 20 MINUTE)",
            batch=ids[number % 2], n=number, kind="job_progress" if number % 7 else "job_held",
            actor=("mara", "lee")[number % 3 == 0],
        )
    admin_db.execute("DELETE FROM ingest_event WHERE event_type = 'scan'")
    return one, two


def walk(admin, url):
    """Return the ids of all pages."""
    seen, before = [], ""
    while before is not None:
        values = admin.get(url + (f"&before={before}" if before else ""), headers=JSON).json
        seen += [event["id"] for event in values["events"]]
        before = values["next_before"]
    return seen


@pytest.mark.parametrize(
    "query, where",
    [
        ("", "TRUE"),
        ("&event=job_held", "event_type = 'job_held'"),
        ("&actor=lee", "actor = 'lee'"),
        ("&day=2026-04-02", "DATE(created_at) = '2026-04-02'"),
        (
            "&actor=mara&event=job_held&day=2026-04-01",
            "actor = 'mara' AND event_type = 'job_held' AND created_at < '2026-04-02'",
        ),
    ],
)
@pytest.mark.parametrize("most", [5_000, 11])
def test_every_event_is_reached_once_and_by_each_filter(admin, logged, admin_db, monkeypatch, query, where, most):
    monkeypatch.setattr(event_search, "MAX_ROWS_SCANNED", most)
    expected = [row["id"] for row in admin_db.execute(f"SELECT id FROM ingest_event WHERE {where} ORDER BY id DESC")]
    assert expected and walk(admin, EVENTS + query) == expected


def test_the_events_of_a_batch_beyond_the_latest_fifty_are_reached_from_its_page(admin, logged):
    page = admin.get(detail(logged[0])).click("All events of this batch")
    older = page.click("Older")
    assert len(cells(region(page, "Events"))) + len(cells(region(older, "Events"))) == 70 + 2


def test_each_event_has_its_sentence_and_each_type_is_offered(admin, scan_bundle, panel_db):
    sync_id = scan_bundle("one")
    batch_id = panel_db.run_read(ledger.get_batch, sync_id)["id"]
    payload = {"job_id": 7, "phase": "job_fail", "reason": f"<b>{sync_id}</b>", "worker": "w:1"}
    panel_db.run_transaction(ledger.append_event, batch_id, "job_failed", payload, "w:1")
    page = admin.get(EVENTS)
    sentence = region(page, "Events").tbody.tr.find(class_="sentence")
    assert text(sentence) == f"Job 7 failed: <b> {sync_id} </b>." and sentence.a.text == sync_id
    assert [option["value"] for option in page.html.find(id="types").find_all("option")] == list(EVENT_TYPES)


def test_a_search_that_stopped_leads_on(admin, logged, monkeypatch):
    monkeypatch.setattr(event_search, "MAX_ROWS_SCANNED", 3)
    page = admin.get(f"{EVENTS}&event=job_held")
    assert "The search stopped after" in text(page.html.main)
    assert page.click("continue the search").request.params["event"] == "job_held"


def test_the_csv_file_has_all_events_and_no_formula(admin, logged, admin_db):
    admin_db.execute("UPDATE ingest_event SET actor = '=1+1' WHERE event_type = 'job_held'")
    answer = admin.get(f"{EVENTS}&format=csv")
    assert answer.body.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(answer.body.decode("utf-8-sig"))))
    assert len(rows) == 140 and {row["actor"] for row in rows} == {"'=1+1", "lee", "mara"}


@pytest.mark.parametrize("query", ["day=yesterday", "sync_id=x", "before=x", "format=pdf", "actor=" + "x" * 256])
def test_what_cannot_be_understood_is_refused(admin, query):
    admin.get(f"{EVENTS}&{query}", status=400)


def test_nothing_recorded_is_said(admin):
    assert text(admin.get(EVENTS).html.find(class_="empty")) == "No events are recorded."


@pytest.mark.parametrize("payload", [
    {"failure_samples": ["=1+1", "-1;=HYPERLINK(1)|@x", "a,=1\n+1"], "phase": "import"}, {"list": [1, -1]},
    {"=1": "\u2028=1"},
])
def test_a_payload_in_the_csv_file_is_the_same_json(admin, logged, admin_db, payload):
    stored = json.dumps(payload, ensure_ascii=False, indent=1)
    admin_db.execute("UPDATE ingest_event SET payload = %(text)s ORDER BY id DESC LIMIT 1", text=stored)
    body = admin.get(f"{EVENTS}&format=csv").body.decode("utf-8-sig")
    row = next(csv.DictReader(io.StringIO(body, newline="")))
    assert json.loads(row["payload"]) == payload
    for found in csv.reader(io.StringIO(body, newline=""), delimiter=";"):
        assert not any(cell.strip().startswith(tuple("=+-@")) for cell in found)
