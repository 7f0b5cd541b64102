"""No page reads more rows than it shows, counts or may search.

This holds in a ledger of any size. `make million` runs the same tests on 1,000,000 batches, 5,000,000 items and
10,000,000 events: LEDGER names the configuration of a panel whose ledger bench/load.py has filled.
"""

import dataclasses
import os
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlencode

import pytest
from constants import NAME, TABLES, bench_load, empty
from gpupanel import config, db, doctor, job_queue, search
from gpupanel.db import Database
from gpupanel.errors import PanelError
from gpupanel.search.filters import BatchFilter
from gpupanel.models import BIGINT_MAX, COUNT_LIMIT
from gpupanel.web import auth, bulk_actions, routes, status_bar
from gpupanel.web.signing_key import SigningKey
from gpupanel.web.pages import batch, health, metrics, throughput_chart
from gpupanel.web.request import FORM_TYPE, Request
from query_recorder import Watched

LEDGER = os.environ.get("LEDGER")
BATCHES, LARGE = 20_000, 12_000
SINCE = "2026-01-01"
PAGE = 20

EACH = 14  # reads per row shown: index entries and rows of its tables
COUNTED = 4  # reads per counted entry: from the index, into a list or group, and from there
FLOOR = 80  # reads of a statement without a result: one per part
MOST_COUNTED = max(COUNT_LIMIT + 1, throughput_chart.MOST_JOBS)


@pytest.fixture(scope="module")
def ledger(server, tmp_path_factory):
    """Settings of a panel on the ledger LEDGER, or on 20,000 batches."""
    if LEDGER:
        return config.load(Path(LEDGER))
    load = bench_load()
    db = Database(server.admin(NAME))
    empty(db)
    db.execute("SET foreign_key_checks = 0, unique_checks = 0")
    load.fill(db, BATCHES, tables=("ingest_batch", "import_job"), since=SINCE)
    load.fill(db, BATCHES // 10, tables=("ingest_batch_item", "ingest_event"), since=SINCE)
    load.fill_large(db, BATCHES + 1, LARGE)
    load.freshen(db)
    for table in TABLES[:4]:
        db.execute(f"ANALYZE TABLE {table}")
    db.close()
    return config.load(load.configure(tmp_path_factory.mktemp("ledger"), server))


@pytest.fixture(scope="module")
def settings(ledger):
    return dataclasses.replace(ledger, panel=dataclasses.replace(ledger.panel, page_size=PAGE))


@pytest.fixture(scope="module")
def watched(settings):
    db = Watched(settings.database)
    yield db
    db.close()


@pytest.fixture(scope="module")
def facts(watched):
    """Values for URLs: a large and a small batch, existing ids and hashes."""
    one = lambda sql: watched.execute(sql)[0]  # noqa: E731
    large = one("SELECT id, sync_id FROM ingest_batch ORDER BY item_count DESC, id DESC LIMIT 1")
    small = one("SELECT b.sync_id, i.id, i.asset_hash FROM ingest_batch b"
                " JOIN ingest_batch_item i ON i.batch_id = b.id WHERE b.id = 7")
    first = one("SELECT priority, id FROM import_job WHERE state = 'queued' ORDER BY priority, id LIMIT 1 OFFSET 1")
    ended = one("SELECT id FROM import_job WHERE state = 'failed' ORDER BY id LIMIT 1 OFFSET 1")
    middle = one("SELECT id FROM ingest_batch WHERE id >= (SELECT MAX(id) DIV 2 FROM ingest_batch) LIMIT 1")
    last = one(f"SELECT MAX(position) AS n FROM ingest_batch_item WHERE batch_id = {large['id']}")
    return {
        "LARGE": large["sync_id"], "SMALL": small["sync_id"], "HASH": small["asset_hash"], "ITEM": small["id"],
        "JOB": f"{first['priority']}.{first['id']}", "ENDED": ended["id"], "MIDDLE": middle["id"],
        "NEAR": last["n"] - PAGE // 2,
    }


def look(watched, work, looked_through=0):
    """Run `work()` and check each statement's reads against its result."""
    watched.seen.clear()
    with suppress(PanelError):  # such as an item without a thumbnail
        work()
    assert watched.seen
    for seen in watched.seen:
        assert not seen.scans, (seen.statement, seen.plan)
        assert seen.counted <= MOST_COUNTED * max(1, seen.statement.count("COUNT(*)")), seen.statement
        allowed = FLOOR + EACH * len(seen.rows) + COUNTED * seen.counted + (seen.looks_through or looked_through)
        assert seen.read <= allowed, f"{seen.read} read, {allowed} allowed: {seen.statement}"


@pytest.fixture
def show(watched, settings, facts):
    """Open the page at a URL and check the reads of its statements."""
    def show(query, path="/import-media.cgi", looked_through=0):
        request = Request({"REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": urlencode(
            {name: facts.get(value, value) for name, value in query.items()})})
        page = routes.match(request)
        module = page.load()
        look(watched, lambda: module.view(watched, request, settings), looked_through)
        if page.has_version:
            look(watched, lambda: module.etag_source(watched, request, settings))
        return page.name

    return show


def test_what_reads_more_than_it_shows_is_seen(watched):
    with pytest.raises(AssertionError, match="container_count"):
        look(
            watched,
            lambda: watched.run_read(
                lambda tx: tx.fetch_all_sql("SELECT id FROM ingest_batch WHERE container_count = 1")
            ),
        )
    with pytest.raises(AssertionError, match=r"read, .* allowed"):
        look(watched, lambda: watched.run_read(lambda tx: tx.fetch_all("search.ids", sync_ids=["x"]) + tx.fetch_all_sql(
            "SELECT id FROM ingest_batch FORCE INDEX (by_status)"
            " WHERE status = 'completed' AND total_bytes < 0 LIMIT 1")))


# ------------------------------------------------------------------------------------------------ batches

ALONE = [
    {}, {"status": "completed"}, {"status": "failed"}, {"status": "importing"}, {"status": "discovered"},
    {"action": "remove"},
    {"type": "video_simple"}, {"type": "collection"}, {"host": "cloud-3.example.net"}, {"host": "nowhere"},
    {"from": "2026-01-03"}, {"to": "2026-01-02"}, {"status": "completed", "from": "2026-01-02", "to": "2026-01-03"},
    {"q": "HASH"}, {"q": "0" * 12},
]
SEVERAL = [
    {"q": "abcd"}, {"q": "a"}, {"status": "completed", "action": "create"}, {"status": "failed", "type": "gallery"},
    {"status": "completed", "type": "video_simple", "action": "remove", "host": "cloud-3.example.net"},
    {"status": "completed", "type": "collection"}, {"q": "a", "host": "cloud-3.example.net"},
    {"q": "HASH", "status": "failed"},
    {"status": "completed", "action": "remove", "from": "2026-01-02", "to": "2026-01-03"},
    {"q": "some words"}, {"q": "some words", "status": "completed"},
]
PLACES = [
    {}, {"sort": "oldest"}, {"after": "0"}, {"before": str(BIGINT_MAX)}, {"before": "MIDDLE"},
    {"after": "MIDDLE", "sort": "oldest"},
]


def words(query):
    return urlencode(query) or "nothing"


@pytest.mark.parametrize("place", PLACES, ids=words)
@pytest.mark.parametrize("filters", ALONE, ids=words)
def test_the_list_reads_what_it_shows_and_counts(show, filters, place):
    assert show(filters | place) == "batches"


@pytest.mark.parametrize("place", PLACES, ids=words)
@pytest.mark.parametrize("filters", SEVERAL, ids=words)
def test_the_list_under_several_filters_looks_through_a_bounded_number(show, filters, place):
    show(filters | place, looked_through=3 * search.MAX_ROWS_SCANNED)


@pytest.mark.parametrize("place", PLACES, ids=words)
@pytest.mark.parametrize("attention", ["new", "seen"])
def test_what_needs_attention_is_read_from_its_index(show, attention, place):
    assert show({"attention": attention} | place, looked_through=search.MAX_ROWS_SCANNED) == "batches"


@pytest.mark.parametrize("place", PLACES, ids=words)
@pytest.mark.parametrize("sort", [name for name in search.SORTS if name not in ("newest", "oldest")])
def test_the_list_by_size_and_end_reads_what_it_shows(show, sort, place):
    assert show({"sort": sort} | place) == "batches"


@pytest.mark.parametrize("filters", [{"status": "failed"}, {"status": "completed", "action": "create"}], ids=words)
@pytest.mark.parametrize("sort", ["bytes", "completed"])
def test_the_list_by_size_and_end_under_filters_looks_through_a_bounded_number(show, sort, filters):
    show({"sort": sort} | filters, looked_through=3 * search.MAX_ROWS_SCANNED)


# ------------------------------------------------------------------------------------------------ one batch

ITEMS = [
    {}, {"start": "NEAR"}, {"q": "a"}, {"q": "f" * 20}, {"mark": "empties"}, {"mark": "differs"},
    {"mark": "empties", "start": "NEAR"},
    {"mark": "differs", "start": "NEAR"},
    *({"decision": name} for name in ("updated", "failed", "will_update", "withdrawn")),
    {"decision": "updated", "start": "NEAR"}, {"decision": "failed", "start": "NEAR"},
]


STATUS_BAR = [
    status_bar.statement(), status_bar.statement("ledger.stamp"), db.query("workers.presence"),
    db.query("job_queue.summary"),
]


@pytest.mark.parametrize("items", ITEMS, ids=words)
def test_a_batch_of_very_many_items_reads_what_it_shows_and_counts(show, items):
    assert show({"action": "detail", "sync_id": "LARGE"} | items) == "batch"


def test_a_small_batch_reads_little_beside_the_status_line(show, watched):
    show({"action": "detail", "sync_id": "SMALL"})
    assert sum(seen.read for seen in watched.seen if seen.statement not in STATUS_BAR) < 300


@pytest.mark.parametrize("headers", [{}, {"HTTP_ACCEPT": "application/json"}], ids=["page", "JSON"])
@pytest.mark.parametrize("which", ["LARGE", "SMALL"])
def test_that_nothing_changed_is_found_in_a_few_rows_however_large_the_batch(watched, settings, facts, which, headers):
    query = urlencode({"action": "detail", "sync_id": facts[which]})
    watched.seen.clear()
    batch.etag_source(
        watched, Request({"REQUEST_METHOD": "GET", "PATH_INFO": "", "QUERY_STRING": query} | headers), settings
    )
    [both] = watched.seen
    watched.seen.clear()
    watched.run_single(status_bar.load)
    [bar] = watched.seen
    assert both.read <= bar.read + 10, "the batch's part reads a few rows"


@pytest.mark.parametrize("items", [{}, {"decision": "failed"}, {"mark": "empties"}], ids=words)
def test_an_export_reads_each_item_once(show, items):
    assert show({"action": "items", "sync_id": "LARGE", "format": "csv"} | items) == "items"


def test_a_picture_is_looked_up_by_its_keys(show):
    assert show({"action": "picture", "sync_id": "SMALL", "item": "ITEM"}) == "picture"


# ------------------------------------------------------------------------------------------------ tasks

TURNS = [
    {}, {"queued_after": "JOB"}, {"queued_before": "JOB"}, {"queued_before": "end"}, {"running_before": "end"},
    {"running_after": "100.0"},
    {"finished_after": "ENDED"}, {"finished_before": "ENDED"}, {"finished_before": "end"},
]


@pytest.mark.parametrize("state", [{}, {"state": "completed"}, {"state": "failed"}, {"state": "canceled"}], ids=words)
@pytest.mark.parametrize("place", TURNS, ids=words)
def test_the_tasks_read_what_they_show_and_count(show, place, state):
    assert show(place | state, path="/import-tasks.cgi") == "tasks"


# ------------------------------------------------------------------------------------------------ assets and events

@pytest.mark.parametrize("past", [{}, {"at": "2026-01-02 00:00:00"}], ids=words)
def test_an_asset_is_looked_up_by_its_key(show, past):
    assert show({"action": "asset", "type": "photo", "hash": "HASH"} | past) == "asset"


@pytest.mark.parametrize("filters", [
    {}, {"sync_id": "LARGE"}, {"event": "job_queued"}, {"actor": "admin"}, {"day": "2026-01-02"}, {"before": "1000"},
], ids=words)
def test_the_events_read_what_they_show_or_look_through(show, filters):
    assert show({"action": "events"} | filters, looked_through=3 * search.MAX_ROWS_SCANNED) == "events"


# ------------------------------------------------------------------------------------------------ other statements

def test_the_status_line_health_and_metrics_count_and_no_more(watched, settings):
    look(watched, lambda: watched.run_read(status_bar.load))
    look(watched, lambda: watched.run_read(metrics._read, timedelta(minutes=15), tells_people=True))
    look(watched, lambda: health.answer(watched))
    assert watched.seen[0].read < FLOOR


@pytest.mark.parametrize("what", ["queue", "retry"])
@pytest.mark.parametrize("filters", [
    {}, {"status": "failed"}, {"q": "HASH"}, {"status": "completed", "action": "create"},
], ids=words)
def test_a_preview_of_all_that_match_reads_what_it_freezes(watched, settings, facts, tmp_path, what, filters):
    request = Request({
        "REQUEST_METHOD": "POST", "PATH_INFO": "/import-media.cgi", "CONTENT_TYPE": FORM_TYPE,
        "QUERY_STRING": urlencode({name: facts.get(value, value) for name, value in filters.items()}),
    })
    request.form, request.user = {"preview": [what], "all": ["1"]}, auth.User("admin", True)
    several = 3 * search.MAX_ROWS_SCANNED if len(filters) > 1 else 0
    key = SigningKey(tmp_path / "secret")
    look(watched, lambda: bulk_actions.preview(watched, settings.mount, key, request), several)


def test_doctor_looks_at_the_jobs_that_wait_or_run(settings, monkeypatch):
    made = []
    monkeypatch.setattr(
        doctor.checks, "Database", lambda *args, **options: made.append(Watched(*args, **options)) or made[-1]
    )
    counts = Database(settings.database).run_read(job_queue.count_up_to, limit=10**9)
    doctor.run_checks(settings, seconds=6)
    active = counts["queued"] + counts["running"]
    assert made[0].seen and all(seen.read <= FLOOR + EACH * active for seen in made[0].seen)


def test_every_page_is_looked_at_here():
    assert {page.name for page in routes.PAGES} == {
        "batches", "batch", "items", "picture", "doctor", "tasks", "asset", "events",
    }


def test_the_filters_of_the_list_are_those_looked_at_here():
    assert set(BatchFilter._fields) == {
        "status", "sync_type", "action", "host", "sync_id", "asset_hash", "since", "until", "words", "attention",
    }
