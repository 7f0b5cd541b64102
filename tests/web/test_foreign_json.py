"""JSON of another program in the ledger: whatever it is, no page, command or worker ends by it."""

import json

import pytest
import worker_helpers
from gpupanel.cli import main
from page_helpers import BATCHES, JSON, TASKS, detail
from receivers import HookReceiver, receiving

ODD = ([], {}, "x", None, True, 1.5, -1, "9" * 5000, ["x"], {"a": 1})
FIELDS = (
    "job_id", "items_done", "items_total", "containers_done", "containers_total", "reason", "failure_samples", "phase",
    "before", "after", "counts", "ok", "status", "hold", "not_before", "total_bytes", "attempts", "reasons",
)
TEXTS = (
    "[]", "[1]", '"text"', "null", "7", "true", "{}", "", "{", "\\", "\x00", "[" * 5000, '{"job_id":',
    *(json.dumps(dict.fromkeys(FIELDS, odd)) for odd in ODD),
    json.dumps({"phase": "import", "job_id": "1\nX", "reason": "a\nb"}),
)
COMMANDS = ("show", "events", "list", "status", "plan")
COLUMNS = (
    ("ingest_batch", "manifest_summary"), ("ingest_batch", "plan"), ("ingest_batch_item", "changes"),
    ("ingest_batch_container", "changes"), ("ingest_result", "changes"),
)


@pytest.fixture
def unchecked(admin_db):
    """The administrator's connection, whose rows the server does not check for JSON: as a column of type TEXT."""
    admin_db.execute("SET SESSION check_constraint_checks = 0")
    return admin_db


@pytest.fixture
def running(bundles, panel_db, worker_db, mount, worker_conf):
    """A bundle with a gallery, imported once; its second job is running, and `other` waits in the queue."""
    photos = list(bundles.assets("coast", 2))
    sync_id = bundles.bundle("coast", photos, [bundles.container("gallery", "Coast", photos)])
    worker_helpers.queue(panel_db, mount, sync_id)
    worker_helpers.drain(worker_conf)
    (job_id,) = worker_helpers.queue(panel_db, mount, sync_id)
    claim = worker_helpers.take(worker_db, "a")
    assert claim.job_id == job_id
    return sync_id, job_id


@pytest.fixture
def read(admin, running, admin_db):
    """Read every page that shows a batch, its events, jobs or assets; each also as JSON."""
    sync_id, _ = running
    (asset,) = admin_db.execute("SELECT asset_type, asset_hash FROM asset ORDER BY id LIMIT 1")
    (gallery,) = admin_db.execute("SELECT gallery_hash FROM asset_gallery")
    urls = (
        detail(sync_id), BATCHES, TASKS, f"{BATCHES}?action=events", f"{BATCHES}?attention=new",
        f"{BATCHES}?action=asset&type={asset['asset_type']}&hash={asset['asset_hash']}",
        f"{BATCHES}?action=asset&type=gallery&hash={gallery['gallery_hash']}",
    )

    def read(text):
        for url in urls:
            for headers in ({}, JSON):
                assert admin.get(url, headers=headers, status="*").status_int == 200, (url, headers, text[:80])

    return read


@pytest.fixture
def execute(running, panel_conf, capsys):
    """Run every command that prints a batch, its events, jobs or assets, as text and as JSON."""
    sync_id, _ = running

    def execute(text, commands=COMMANDS):
        for name in commands:
            command = [name, sync_id] if name in ("show", "plan") else [name]
            for more in ([], ["--json"]):
                assert main.main([*command, "--config", str(panel_conf), *more]) in (0, 1), (command, text[:80])
                out, err = capsys.readouterr()
                assert out and "Traceback" not in err, (command, text[:80], err)

    return execute


def insert_events(db, sync_id, text, event_types):
    for event_type in event_types:
        db.execute(
            "INSERT INTO ingest_event (batch_id, event_type, payload, actor)"
            " SELECT id, %(type)s, %(text)s, 'perl' FROM ingest_batch WHERE sync_id = %(sync_id)s",
            type=event_type, text=text, sync_id=sync_id,
        )


def test_a_payload_of_any_form_ends_no_page_and_no_command(unchecked, running, read, execute):
    """The types that pages decode for more than their sentence; tests/unit/test_event_sentences.py has all."""
    for text in TEXTS:
        insert_events(unchecked, running[0], text, ("job_progress", "job_claimed", "manifest_changed"))
        read(text)
    execute("all")


def test_a_summary_a_plan_and_changes_of_any_form_end_no_page_and_no_command(unchecked, running, read, execute):
    for text in TEXTS:
        for table, column in COLUMNS:
            unchecked.execute(f"UPDATE {table} SET {column} = %(text)s", text=text)
        read(text)
        execute(text, ("show", "list", "plan"))


def test_notices_of_events_of_any_payload_are_sent(unchecked, running, panel_conf, capsys):
    sync_id, _ = running
    with receiving(HookReceiver()) as hook:
        with panel_conf.open("a") as conf:
            conf.write(f"\n[notify]\nwebhook_url = http://127.0.0.1:{hook.port}/x\n")
        for text in TEXTS:
            unchecked.execute(
                "INSERT INTO ingest_event (batch_id, event_type, payload, actor)"
                " SELECT id, 'job_failed', %(text)s, 'perl' FROM ingest_batch WHERE sync_id = %(sync_id)s",
                text=text, sync_id=sync_id,
            )
            unchecked.execute(
                "INSERT INTO ingest_notice (batch_id, event_id, kind)"
                " SELECT batch_id, MAX(id), 'failed' FROM ingest_event WHERE actor = 'perl' GROUP BY batch_id",
            )
            assert main.main(["notify", "--config", str(panel_conf), "--now"]) == 0, text
            capsys.readouterr()
        bodies = [json.loads(request.body) for request in hook.posts]
    assert len(bodies) == len(TEXTS)
    for body in bodies:
        (entry,) = body["entries"]
        assert entry["job_id"] is None or isinstance(entry["job_id"], int)
        assert "\n" not in entry["reason"] and "\nX" not in body["text"]


def test_a_progress_that_perl_wrote_as_text_counts(unchecked, running, admin):
    """Perl's encoder writes a number that was used as a text as one."""
    sync_id, job_id = running
    payload = {"job_id": str(job_id), "items_done": "1", "containers_done": "1", "containers_total": "3"}
    unchecked.execute(
        "INSERT INTO ingest_event (batch_id, event_type, payload, actor)"
        " SELECT id, 'job_progress', %(text)s, 'perl' FROM ingest_batch WHERE sync_id = %(sync_id)s",
        text=json.dumps(payload), sync_id=sync_id,
    )
    assert "1/3 containers" in admin.get(detail(sync_id)).html.get_text(" ", strip=True)


def test_a_worker_imports_batches_with_a_summary_and_plan_of_any_form(unchecked, bundles, panel_db, mount, worker_conf):
    """A row of a batch is checked for JSON whenever it is written; the payload of an event is written once."""
    summaries = {bundles.bundle(f"b{n}", bundles.assets(f"b{n}", 1)): text for n, text in enumerate(TEXTS)}
    worker_helpers.queue(panel_db, mount, *summaries)
    for sync_id, text in summaries.items():
        insert_events(unchecked, sync_id, text, ("job_claimed", "job_queued"))
        if unchecked.execute("SELECT JSON_VALID(%(text)s) AS is_valid", text=text)[0]["is_valid"]:
            unchecked.execute(
                "UPDATE ingest_batch b JOIN ingest_batch_item i ON i.batch_id = b.id"
                " SET b.manifest_summary = %(text)s, b.plan = %(text)s, i.changes = %(text)s WHERE b.sync_id = %(id)s",
                text=text, id=sync_id,
            )
    log = worker_helpers.drain(worker_conf)
    found = {text[:80]: worker_helpers.batch(panel_db, sync_id)["status"] for sync_id, text in summaries.items()}
    assert set(found.values()) == {"completed"}, (found, log)
