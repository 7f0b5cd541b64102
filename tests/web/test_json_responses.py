"""JSON responses have the shapes of docs/PANEL-JSON.md."""

import re
from pathlib import Path

import pytest
from gpupanel import services
from gpupanel.web.pages import item_list
from gpupanel.web import serializers
from page_helpers import BATCHES, TASKS, detail

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "PANEL-JSON.md"
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
HEAD = ["page", "user", "csrf_token"]


@pytest.fixture
def post(scripted):
    def post(status=200, **fields):
        token = scripted.get(BATCHES).json["csrf_token"]
        return scripted.post(BATCHES, fields | {"csrf_token": token}, status=status).json

    return post


def test_the_list_of_batches(scripted, scan_bundle):
    sync_id = scan_bundle()
    values = scripted.get(BATCHES).json
    assert list(values) == [
        *HEAD,
        "count", "count_is_exact", "counts", "batches", "held", "next_before", "next", "previous", "stopped_at",
        "further",
        "hosts", "status", "statuses", "before", "after", "sort", "filters", "types", "actions", "is_prefix",
        "attention",
    ]
    (batch,) = values["batches"]
    assert list(batch) == [*serializers.BATCH, *serializers.NAME, "queueable", "job", "needs_attention", "undone"]
    assert (batch["sync_id"], batch["job"], values["page"], values["count"]) == (sync_id, None, "batches", 1)
    assert MOMENT.fullmatch(batch["discovered_at"])


def test_a_batch(scripted, scan_bundle, panel_db, mount):
    sync_id = scan_bundle()
    services.queue_batch(panel_db, mount, sync_id, "admin")
    values = scripted.get(detail(sync_id)).json
    assert list(values) == [
        *HEAD,
        "batch", "attention", "archived", "undo_of", "undos", "undoable", "named", "undone",
        "preflight_request",
        "active_job", "ahead", "container_progress", "jobs", "more_jobs", "item_count", "decisions",
        "marks", "retryable", "primary", "failures", "failing", "remedies", "containers",
        "next_container", "container", "items", "start", "previous_start",
        "next_start", "more_matches", "events", "decision", "mark", "q", "withdrawn",
        "outdated", "manifest_changed",
    ]
    assert list(values["batch"]) == [*serializers.PLANNED_BATCH, "queueable"]
    assert list(values["items"][0]) == [*item_list.ITEM_KEYS]
    assert list(values["jobs"][0]) == [*serializers.JOB] and values["active_job"] == values["jobs"][0]
    assert list(values["events"][0]) == [*serializers.EVENT]
    assert values["decisions"] == {"will_create": 2}


def test_the_tasks(scripted, scan_bundle, panel_db, mount):
    services.queue_batch(panel_db, mount, scan_bundle(), "admin")
    values = scripted.get(TASKS).json
    assert list(values) == [
        *HEAD,
        "titles", "counts", "finished_count", "moving", "look_again", "running", "no_worker", "no_worker_since",
        "queued",
        "held", "paused", "workers", "finished",
        "pages", "chart", "state", "states",
    ]
    (job,) = values["queued"]
    assert list(job) == [*serializers.BUNDLE, *serializers.JOB, "place", "ahead", "waited", "why"]
    assert values["counts"] == {"queued": 1, "running": 0, "completed": 0, "failed": 0, "canceled": 0, "held": 0}


def test_no_answer_holds_the_token_of_a_claim(scripted, scan_bundle, panel_db, mount, admin_db):
    sync_id = scan_bundle()
    services.queue_batch(panel_db, mount, sync_id, "admin")
    for state in ("queued", "running", "failed"):
        fenced = "UPDATE import_job SET state = %(state)s, claim_token = 'fence', finished_at = NOW(6)"
        admin_db.execute(fenced, state=state)
        for url in (BATCHES, TASKS, detail(sync_id)):
            assert "fence" not in scripted.get(url).text


@pytest.mark.parametrize("do, keys", [
    ("scan", ["sentinels", "known", "discovered", "passed_over", "changed_upstream", "strays", "left"]),
    ("preflight", ["sync_id", "ok", "item_count", "counts", "problems"]),
    ("queue", ["sync_id", "job_id", "problems"]),
    ("queue_selected", ["batches", "left", "selection"]),
])
def test_what_a_form_did(post, scan_bundle, do, keys):
    values = post(do=do, sync_id=scan_bundle())
    assert list(values) == ["action", "ok", "summary", "lines", "result"]
    assert (values["action"], values["ok"], list(values["result"])) == (do, True, keys)


def test_a_canceled_job(post, scan_bundle):
    sync_id = scan_bundle()
    job_id = post(do="queue", sync_id=sync_id)["result"]["job_id"]
    assert post(do="cancel", job_id=job_id)["result"] == {"job_id": job_id, "sync_id": sync_id}


def test_a_refusal(post, scan_bundle):
    sync_id = scan_bundle()
    post(do="queue", sync_id=sync_id)
    values = post(do="preflight", sync_id=sync_id, status=409)
    assert list(values) == ["page", "error"]
    assert list(values["error"]) == ["status", "title", "message", "hint"]
    assert (values["error"]["status"], values["error"]["title"]) == (409, "Conflict")


@pytest.mark.parametrize("keys", [serializers.PLANNED_BATCH, item_list.ITEM_KEYS, serializers.JOB, serializers.EVENT])
def test_every_key_is_documented(keys):
    documented = set(re.findall(r"`(\w+)`", DOCUMENT.read_text()))
    assert set(keys) <= documented
