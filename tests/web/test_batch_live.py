"""Refreshes of the batch page: 304, or a new page after each change."""

from datetime import datetime, timedelta
from types import MappingProxyType

import pytest
import worker_helpers
from gpupanel import job_queue, services
from gpupanel.db import Database
from gpupanel.web import csrf, status_bar, templating
from gpupanel.web.pages import batch
from gpupanel.web.request import Request
from gpupanel.worker import claims, job_release, stale_jobs
from page_helpers import JSON, TASKS, detail

pytestmark = pytest.mark.usefixtures("still")


@pytest.fixture
def sync_id(panel_db, mount, bundles):
    """A queued batch of two photos."""
    sync_id = bundles.bundle("one", bundles.assets("one", 2))
    worker_helpers.queue(panel_db, mount, sync_id)
    return sync_id


@pytest.fixture
def look(admin):
    """Refresh a page as its script does; returns the page, or None for 304."""
    tags = {}

    def look(url, headers=MappingProxyType({})):
        key = url, *headers
        response = admin.get(url, headers={"X-Refresh": "1", "If-None-Match": tags.get(key, "")} | headers)
        tags[key] = response.headers["ETag"]
        return None if response.status_int == 304 else response.body

    return look


# ------------------------------------------------------------------------------------------------ unchanged


@pytest.mark.parametrize("headers", [{}, JSON], ids=["page", "JSON"])
def test_a_page_in_which_nothing_changed_is_not_sent_again(look, sync_id, headers):
    assert look(detail(sync_id), headers)
    assert look(detail(sync_id), headers) is None


def test_the_tag_is_computed_without_reading_items_or_rendering(look, sync_id, monkeypatch):
    look(detail(sync_id))
    monkeypatch.setattr(batch, "view", lambda *args: pytest.fail("read"))
    monkeypatch.setattr(templating.Renderer, "page", lambda *args, **values: pytest.fail("rendered"))
    assert look(detail(sync_id)) is None


def test_a_change_of_another_batch_changes_the_page_through_its_status_bar(
    look, sync_id, panel_db, worker_db, mount, bundles,
):
    other = bundles.bundle("two", bundles.assets("two", 2))
    worker_helpers.queue(panel_db, mount, other, priority=1)
    look(detail(sync_id))
    look(detail(sync_id), JSON)
    claim = worker_helpers.take(worker_db, "a")
    assert claim.sync_id == other
    assert b"1 running" in look(detail(sync_id))
    assert b'"ahead":0' in look(detail(sync_id), JSON)
    worker_db.run_transaction(claims.advance, claim, 1)
    worker_db.run_transaction(claims.note, claim, "job_progress", "job_progress", items_done=1, items_total=2)
    assert look(detail(sync_id)) is None
    assert look(detail(sync_id), JSON) is None


# ------------------------------------------------------------------------------------------------ changed


def test_every_write_to_a_batch_changes_the_page(look, sync_id, panel_db, worker_db, mount):
    [job] = panel_db.run_read(job_queue.list_queued)
    steps = {
        "priority": lambda: panel_db.run_transaction(job_queue.set_priority, job["id"], 7, "admin"),
        "and back": lambda: panel_db.run_transaction(job_queue.set_priority, job["id"], 100, "admin"),
        "claim": lambda: held.append(worker_helpers.take(worker_db, "a")),
        "heartbeat": lambda: worker_db.run_transaction(claims.heartbeat, held[0]),
        "progress": lambda: worker_db.run_transaction(claims.advance, held[0], 1),
        "event": lambda: worker_db.run_transaction(claims.note, held[0], "job_progress", "job_progress", items_done=1),
        "release": lambda: worker_db.run_transaction(job_release.release, held[0], "stopped"),
        "cancel": lambda: panel_db.run_transaction(job_queue.cancel, job["id"], "admin"),
        "preflight": lambda: services.preflight_batch(panel_db, mount, sync_id, "admin"),
        "queue": lambda: services.queue_batch(panel_db, mount, sync_id, "admin"),
        "another claim": lambda: held.append(worker_helpers.take(worker_db, "b")),
        "reset": lambda: worker_db.run_transaction(stale_jobs.requeue_stale, held[1].job_id, -1, 5, "host:43"),
        "last claim": lambda: held.append(worker_helpers.take(worker_db, "c")),
        "end": lambda: worker_db.run_transaction(claims.fail, held[2], "the bundle is gone"),
    }
    held = []
    look(detail(sync_id))
    for name, step in steps.items():
        step()
        assert look(detail(sync_id)), name
        assert look(detail(sync_id)) is None, name


def test_one_stamp_never_stands_for_two_pages(settings, panel_db, mount, bundles, worker_conf, monkeypatch):
    """Refresh after each commit of an import; few of them write an event."""
    conf = worker_helpers.with_options(worker_conf, chunk_items=1, heartbeat_seconds=300)
    seen, transact, reader = {}, Database.run_transaction, Database(panel_db.settings)

    def look():
        _, stamp = status_bar.load_with_batch(reader, sync_id)
        request = Request({"REQUEST_METHOD": "GET", "PATH_INFO": "", "QUERY_STRING": f"sync_id={sync_id}"})
        shown = batch.view(reader, request, settings)
        assert seen.setdefault(repr(stamp), shown) == shown

    def watched(db, *args, **kwargs):
        done = transact(db, *args, **kwargs)
        look()
        return done

    sync_id = bundles.bundle("coast", bundles.assets("coast", 4, broken={1: worker_helpers.defects.no_source}))
    services.scan_mount(panel_db, mount, "admin")
    monkeypatch.setattr(Database, "run_transaction", watched)
    job_id = services.queue_batch(panel_db, mount, sync_id, "admin")
    panel_db.run_transaction(job_queue.set_priority, job_id, 7, "admin")
    panel_db.run_transaction(job_queue.cancel, job_id, "admin")
    services.queue_batch(panel_db, mount, sync_id, "admin")
    worker_helpers.drain(conf)
    worker_helpers.mend(panel_db, mount, sync_id)
    services.retry_batch(panel_db, mount, sync_id, "admin")
    worker_helpers.drain(conf)
    reader.close()
    assert worker_helpers.counts(panel_db, sync_id) == {"created": 4}
    assert len(seen) >= 14


def test_a_change_during_rendering_appears_in_the_next_refresh(look, sync_id, worker_db, monkeypatch):
    show = batch.view

    def slow(*args):
        shown = show(*args)
        worker_helpers.take(worker_db, "a")
        return shown

    with monkeypatch.context() as patch:
        patch.setattr(batch, "view", slow)
        assert b"Status: queued" in look(detail(sync_id))
    assert b"Status: importing" in look(detail(sync_id))


def test_time_alone_sends_no_page_since_the_script_counts_the_ages(look, sync_id, monkeypatch):
    assert b"data-ago=" in look(detail(sync_id))
    for now in (datetime(2040, 1, 1), datetime(2041, 1, 1)):
        monkeypatch.setattr(status_bar, "round_down", lambda _, now=now: now)
        assert look(detail(sync_id)) is None


def test_a_running_job_shows_the_age_of_its_heartbeat(look, sync_id, worker_db, admin_db, monkeypatch):
    worker_helpers.take(worker_db, "a")
    [beat] = admin_db.execute("SELECT heartbeat_at FROM import_job")
    ages = {-timedelta(seconds=14): b"just now", timedelta(minutes=8): b"8 min ago", timedelta(days=1): b"1 d ago"}
    for age, shown in ages.items():
        now = beat["heartbeat_at"] + age
        monkeypatch.setattr(status_bar, "round_down", lambda _, now=now: now)
        assert b"0/2, last heartbeat " + shown + b"." in look(detail(sync_id))
        assert look(detail(sync_id)) is None


# -------------------------------------------------------------------------------- reader, address, flash message


def test_another_reader_address_or_form_of_the_answer_has_another_tag(admin, viewer, sync_id):
    places = ({"decision": "will_create"}, {"mark": "differs"}, {"start": 1}, {"q": "a"})
    pages = [admin.get(detail(sync_id)), viewer.get(detail(sync_id)), admin.get(detail(sync_id), headers=JSON)]
    pages += [admin.get(detail(sync_id, **place)) for place in places]
    assert len({page.headers["ETag"] for page in pages}) == 7


@pytest.mark.parametrize("page", ["batch", "tasks"])
def test_other_rights_and_another_token_are_another_tag(configured, sync_id, settings, monkeypatch, page):
    url = TASKS if page == "tasks" else detail(sync_id)

    def tag(**options) -> str:
        return configured(**options).get(url).headers["ETag"]

    seen = [tag(), tag(operators=frozenset(), viewers=frozenset({"admin"}))]
    settings.panel.secret_file.write_bytes(b"another secret, of 32 characters")
    seen.append(tag())
    monkeypatch.setattr(csrf, "time", lambda: 10**10)
    seen.append(tag())
    assert len(set(seen)) == 4 and tag() == seen[-1]


def test_a_page_with_a_flash_message_has_no_tag(admin, send, sync_id):
    tag = admin.get(detail(sync_id)).headers["ETag"]
    send(detail(sync_id), do="scan")
    page = admin.get(detail(sync_id), headers={"If-None-Match": tag})
    assert "ETag" not in page.headers and page.html.find(class_="notice")
    send(detail(sync_id), do="scan")
    assert admin.get(detail(sync_id), headers=JSON).headers["ETag"], "JSON tells no notice"
    admin.get(detail(sync_id))
    admin.get(detail(sync_id), headers={"If-None-Match": tag}, status=304)


def test_an_unknown_batch_is_not_found(admin):
    admin.get(detail("00000000-0000-4000-8000-000000000000"), headers={"If-None-Match": "*"}, status=404)
    admin.get(detail("nothing"), headers={"If-None-Match": "*"}, status=400)
