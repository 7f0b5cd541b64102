"""The page of a queued batch says its place and why no worker claims it; the page of a held one what ends the hold."""

import pytest
import rows_read
import worker_helpers
from gpupanel import holds, job_queue
from gpupanel.holds import Hold
from gpupanel.models import HoldKind
from page_helpers import JSON, TASKS, detail, text


@pytest.fixture
def queued(admin_db, scan_bundle, send):
    """Queue a batch behind this many jobs; return its sync_id."""

    def queued(before):
        sync_id = scan_bundle()
        worker_helpers.enqueue(admin_db, before)
        send(detail(sync_id), do="queue", sync_id=sync_id)
        return sync_id

    return queued


@pytest.fixture
def worker_at_work(admin_db):
    admin_db.execute("INSERT INTO import_worker (host, slot, pid, boot) VALUES ('media', 1, 4711, 'x')")


def place(browser, sync_id) -> str:
    return text(browser.get(detail(sync_id)).html.find(id="place"))


@pytest.mark.parametrize("before, words", [(0, "next in line"), (1, "1 before it"), (3, "3 before it")])
def test_a_queued_batch_says_its_place(admin, queued, worker_at_work, before, words):
    sync_id = queued(before)
    shown = admin.get(detail(sync_id), headers=JSON).json
    assert shown["ahead"] == before
    expected = f"Job {shown['active_job']['id']} is queued: {words}. A worker claims jobs by priority, then by age."
    assert place(admin, sync_id) == expected


def test_the_count_of_jobs_before_it_stops_at_a_thousand(admin, queued, panel_db):
    sync_id = queued(3_000)
    assert "1,000+ before it" in place(admin, sync_id)
    shown = admin.get(detail(sync_id), headers=JSON).json
    assert shown["ahead"] == 1_001
    job = shown["active_job"]
    _, read = rows_read.examined(
        panel_db, lambda tx: job_queue.queue_position(tx, job["id"], job["priority"], limit=1_002)
    )
    assert read <= 2 * 1_001 + 20


def test_the_place_follows_the_jobs_before_it_and_costs_no_page_while_they_stay(admin, queued, send):
    sync_id = queued(2)
    admin.get(detail(sync_id))  # shows the result of queueing
    page = admin.get(detail(sync_id))
    assert admin.get(detail(sync_id), headers={"If-None-Match": page.headers["ETag"]}).status_int == 304
    first = admin.get(TASKS, headers=JSON).json["queued"][0]
    send(TASKS, do="priority", job_id=first["id"], priority=200)
    changed = admin.get(detail(sync_id), headers={"If-None-Match": page.headers["ETag"]})
    assert changed.status_int == 200 and "1 before it" in text(changed.html.find(id="place"))


def test_without_a_worker_it_says_what_to_start(admin, viewer, queued):
    sync_id = queued(0)
    words = "next in line. No worker is at work, so no job is claimed. On the worker's host, systemctl status"
    assert words in place(admin, sync_id) and words in place(viewer, sync_id)
    assert "systemctl start gpu-admin-panel-import-worker" in place(admin, sync_id)


def test_while_the_queue_is_paused_it_says_who_resumes_it_and_how(admin, viewer, queued, send, worker_at_work):
    sync_id = queued(0)
    send(TASKS, do="pause", reason="the library moves")
    assert "Resume the queue on Import Tasks, or run gpupanel resume" in place(admin, sync_id)
    assert "An operator resumes the queue on Import Tasks, or with gpupanel resume" in place(viewer, sync_id)


@pytest.mark.parametrize("kind, words, has_release", [
    (HoldKind.PRIOR, "It is queued again when that job ends.", False),
    (HoldKind.BUNDLE, "A worker checks again after", True),
    (HoldKind.BACKOFF, "A worker checks again after", True),
    (HoldKind.OPERATOR, "It waits until you release it, here or with gpupanel release", True),
])
def test_a_held_batch_says_what_ends_its_hold_and_has_the_button_for_it(
    admin, viewer, queued, panel_db, kind, words, has_release
):
    sync_id = queued(0)
    job = admin.get(detail(sync_id), headers=JSON).json["active_job"]["id"]
    panel_db.run_transaction(holds.hold, job, Hold(kind, "the reason"), "ada")
    page = admin.get(detail(sync_id))
    assert page.html.find(id="place") is None
    assert text(page.html.find(id="hold")).startswith(f"Job {job} is held ({kind}): the reason. {words}")
    assert bool(page.html.find("button", value="release")) == has_release
    assert viewer.get(detail(sync_id)).html.find("button", value="release") is None


def test_a_release_on_the_page_of_the_batch_queues_its_job_again(admin, queued, panel_db, send):
    sync_id = queued(0)
    job = admin.get(detail(sync_id), headers=JSON).json["active_job"]["id"]
    panel_db.run_transaction(job_queue.hold, job, "ada")
    page = send(detail(sync_id), do="release", job_id=job).follow()
    assert text(page.html.find(class_="notice")) == f"Job {job} is queued again."
    assert "next in line" in place(admin, sync_id)
