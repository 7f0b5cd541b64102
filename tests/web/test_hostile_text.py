"""Manifests, payloads, errors and parameters are escaped on all pages."""

import json

import pytest
from page_helpers import BATCHES, JSON, TASKS, detail
from webtest import TestApp

HOSTILE = '<script>alert("1")</script>\'"><img src=x onerror=alert(1)>{{ 7*7 }}{% raw %}\u202eevil\u2028</td>'
SYNC_ID = "11111111-2222-4333-8444-555555555555"


@pytest.fixture
def poisoned(admin_db):
    """A batch with markup in each of its texts."""
    add = admin_db.execute
    summary = dict.fromkeys(("created_at", "completed_at", "verification.passed", "prior_sync_id"), HOSTILE)
    add(
        "INSERT INTO ingest_batch (id, sync_id, sync_type, action, status, source_host, last_error, manifest_summary)"
        " VALUES (1, %(id)s, 'asset', 'create', 'failed', %(text)s, %(text)s, %(summary)s)",
        id=SYNC_ID, text=HOSTILE, summary=json.dumps(summary),
    )
    for number, state in ((1, "failed"), (2, "running"), (3, "queued")):
        batch = number if number < 2 else number + 10
        if batch > 1:
            add("INSERT INTO ingest_batch (id, sync_id) VALUES (%(id)s, UUID())", id=batch)
        add(
            "INSERT INTO import_job (batch_id, state, requested_by, worker, last_error, claimed_at, finished_at,"
            " heartbeat_at) VALUES (%(batch)s, %(state)s, %(text)s, %(text)s, %(text)s, NOW(), NOW(), NOW())",
            batch=batch, state=state, text=HOSTILE,
        )
    add(
        "INSERT INTO ingest_batch_item (batch_id, position, asset_type, asset_hash, decision, reason, last_error,"
        " changes) VALUES (1, 0, 'photo', 'abc', 'failed', %(why)s, %(text)s, %(changes)s)",
        why="because " + HOSTILE, text=HOSTILE, changes=json.dumps({HOSTILE: [HOSTILE, [HOSTILE]]}),
    )
    add(
        "INSERT INTO ingest_event (batch_id, event_type, payload, actor) VALUES (1, 'scan', %(payload)s, %(text)s)",
        payload=json.dumps({"x": HOSTILE}), text=HOSTILE,
    )


@pytest.mark.parametrize("url", [BATCHES, TASKS, detail(SYNC_ID)])
def test_hostile_rows_show_as_text(admin, poisoned, url):
    page = admin.get(url)
    assert "&lt;script&gt;" in page.text and "<script>" not in page.text and "<img" not in page.text
    assert "{{ 7*7 }}" in page.text
    assert page.html.find(string=lambda text: text and HOSTILE[:60] in text)


@pytest.mark.parametrize("url", [BATCHES, TASKS, detail(SYNC_ID)])
def test_hostile_rows_come_whole_in_json(admin, poisoned, url):
    assert HOSTILE in json.dumps(admin.get(url, headers=JSON).json, ensure_ascii=False).replace('\\"', '"')


@pytest.mark.parametrize("name", ["sync_id", "status", "before", "tab", "action", "start"])
@pytest.mark.parametrize("value", [
    HOSTILE, "' OR 1=1 --", "1; DROP TABLE asset", "%s%n", "../../etc/passwd", "x\r\nSet-Cookie: a=b", "\0",
])
def test_hostile_parameters_are_told_as_text_and_reach_nothing(admin, name, value):
    answer = admin.get(BATCHES, {"action": "detail", "sync_id": SYNC_ID} | {name: value}, status=[400, 404])
    assert "<script>" not in answer.text and "Set-Cookie" not in answer.headers


def test_a_hostile_user_name_shows_as_text(settings, panel):
    page = TestApp(panel, extra_environ={"REMOTE_USER": "<script>alert(1)</script>"}).get(BATCHES, status=403)
    assert "<script>alert" not in page.text and "&lt;script&gt;alert" in page.text


def test_a_hostile_outcome_shows_as_text(send, admin, bundles, settings):
    (settings.mount.sync_dir / "<script>alert(1)<.ready").touch()
    send(do="scan")
    page = admin.get(BATCHES)
    assert "<script>alert" not in page.text and "&lt;script&gt;alert(1)&lt;.ready" in page.text
