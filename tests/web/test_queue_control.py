"""Holds, pause and workers on the pages: who waits for what, who paused the queue, which worker was seen."""

import json

import pytest
import worker_helpers
from gpupanel import job_queue
from page_helpers import BATCHES, JSON, TASKS, cells, detail, region, text

READY = "/admin/ready"


@pytest.fixture
def job(panel_db):
    """A queued job; its id."""
    (job_id,) = worker_helpers.enqueue(panel_db, 1)
    return job_id


@pytest.fixture
def worker(admin_db):
    """Make a worker whose last heartbeat is this many seconds old."""

    def make(seconds: int) -> None:
        admin_db.execute("DELETE FROM import_worker")
        admin_db.execute(
            "INSERT INTO import_worker (host, slot, pid, boot, version, seen_at)"
            " VALUES ('media', 1, 4711, 'x', '1.2', NOW(6) - INTERVAL %(seconds)s SECOND)", seconds=seconds,
        )

    return make


def test_a_queued_job_is_held_and_released_from_its_row(admin, send, job):
    send(TASKS, do="hold", job_id=job, reason="wait")
    page = admin.get(TASKS)
    assert cells(region(page, "Held jobs"))[1][2:4] == ["operator", "held by admin: wait"]
    notice = text(send(TASKS, do="release", job_id=job).follow().html.find(class_="notice"))
    assert notice == f"Job {job} is queued again."


def test_each_sync_id_of_import_tasks_and_events_can_be_copied(admin, panel_db, job):
    sync_id = panel_db.run_read(job_queue.job, job)["sync_id"]
    assert region(admin.get(TASKS), "Queued jobs").tbody.find("a", class_="id")["data-copy"] == sync_id
    panel_db.run_transaction(job_queue.hold, job, "ada")
    for page, label in ((TASKS, "Held jobs"), (f"{BATCHES}?action=events", "Events")):
        links = region(admin.get(page), label).tbody.find_all("a", class_="id")
        assert {link["data-copy"] for link in links} == {sync_id}, label


def test_a_viewer_sees_held_jobs_and_no_form(viewer, panel_db, job):
    panel_db.run_transaction(job_queue.hold, job, "ada")
    page = viewer.get(TASKS)
    assert not page.html.main.find("form")
    assert cells(region(page, "Held jobs"))[1][3] == "held by ada"


@pytest.mark.parametrize("do", ["hold", "release", "pause", "resume"])
def test_nothing_is_done_without_the_forms_token(send, panel_db, job, do):
    send(TASKS, token="wrong", do=do, job_id=job, reason="x", status=403)
    assert worker_helpers.job(panel_db, job)["state"] == "queued" and panel_db.run_read(job_queue.control) is None


def test_a_held_batch_says_why(admin, panel_db, job):
    panel_db.run_transaction(job_queue.hold, job, "ada", "<b>wait</b>")
    sync_id = panel_db.run_read(job_queue.job, job)["sync_id"]
    page = admin.get(detail(sync_id))
    assert f"Job {job} is held (operator): held by ada: <b>wait</b>." in text(page.html.main)
    assert f"Cancel job {job}" in text(page.html.main)


def test_the_banner_of_a_pause_is_on_each_page_and_in_the_json(admin, send, scan_bundle, scripted):
    sync_id = scan_bundle()
    send(TASKS, do="pause", reason="the library moves")
    for url in (BATCHES, TASKS, detail(sync_id), f"{BATCHES}?action=doctor"):
        assert "The queue is paused by admin since" in text(admin.get(url).html.find(id="paused")), url
    assert scripted.get(TASKS).json["paused"]["reason"] == "the library moves"
    send(TASKS, do="resume")
    assert admin.get(BATCHES).html.find(id="paused") is None
    assert scripted.get(TASKS).json["paused"] is None


def test_a_second_pause_is_refused_and_names_the_first(admin, send, panel_db):
    panel_db.run_transaction(job_queue.pause, "ada", "the <b>library</b> moves")
    first = panel_db.run_read(job_queue.control)
    page = send(TASKS, do="pause", reason="lunch", status=409)
    assert "ada paused the queue already, at " in text(page.html.main)
    assert "UTC: the <b>library</b> moves." in text(page.html.main)
    assert panel_db.run_read(job_queue.control) == first


@pytest.mark.parametrize("url", [BATCHES, TASKS])
def test_the_status_bar_says_how_many_workers_beat_and_when_one_was_seen(admin, worker, url):
    worker(3)
    assert "1 worker, seen 3 s ago" in text(admin.get(url).html.find(id="glance"))
    worker(125)
    assert "no worker, last seen 2 min 5 s ago" in text(admin.get(url).html.find(id="glance"))


@pytest.mark.parametrize("seconds, state", [(44, "idle"), (46, "late")])
def test_the_workers_section_shows_a_late_worker(admin, worker, seconds, state):
    worker(seconds)
    (row,) = cells(region(admin.get(TASKS), "Latest workers"))[1:]
    assert row[:4] == ["media", "1", "4711", state]


def test_a_page_that_is_open_learns_of_a_pause_and_a_late_worker(scripted, send, worker, still):
    worker(3)
    etags = []
    for step in (lambda: None, lambda: send(TASKS, do="pause", reason="x"), lambda: worker(50)):
        step()
        etags.append(scripted.get(TASKS).headers["ETag"])
    assert len(set(etags)) == 3


def test_ready_is_503_without_a_worker_that_beats(nobody, worker):
    assert nobody.get(READY, status=503).body == b"no worker\n"
    worker(44)
    assert nobody.get(READY).body == b"ok\n"
    worker(46)
    nobody.get(READY, status=503)


def test_ready_is_503_without_the_database(configured):
    browser = configured("database", environ={}, unix_socket="/nowhere/mysqld.sock")
    assert browser.get(READY, status=503).body == b"unavailable\n"


def test_metrics_count_workers_holds_and_a_pause(viewer, panel_db, job, worker):
    worker(50)
    panel_db.run_transaction(job_queue.hold, job, "ada")
    panel_db.run_transaction(job_queue.pause, "ada", "x")
    lines = viewer.get("/admin/metrics").text.splitlines()
    assert {
        'import_media_jobs{state="held"} 1.0', 'import_media_workers{state="alive"} 0.0',
        'import_media_workers{state="late"} 1.0', "import_media_queue_paused 1.0",
    } <= set(lines)
    (age,) = [line.split()[1] for line in lines if line.startswith("import_media_worker_seen_seconds ")]
    assert 50 <= float(age) < 50 + worker_helpers.SECONDS


def test_the_actions_answer_in_json(send, job):
    answer = send(TASKS, headers=JSON, status=200, do="hold", job_id=job)
    assert json.loads(answer.body)["result"] == {"job_id": job}
