"""Import Tasks: queued, running and finished jobs."""

import pytest
from gpupanel import services
from page_helpers import BATCHES, JSON, TASKS, cells, region, text

WORKERS, CHART = "Workers", ["Items settled per hour 0 in 24 h"]


@pytest.fixture
def queued(scan_bundle, panel_db, mount):
    """Three queued jobs; returns their ids in the order of the queue."""
    return [services.queue_batch(panel_db, mount, scan_bundle(name), "admin") for name in ("one", "two", "three")]


@pytest.fixture
def running(queued, admin_db):
    """The first of the three jobs, running."""
    admin_db.execute(
        "UPDATE import_job SET state = 'running', worker = 'host:42', attempts = 1, items_done = 1, claim_token = 'x',"
        " claimed_at = NOW(6) - INTERVAL 90 SECOND, heartbeat_at = NOW(6) - INTERVAL 1 DAY WHERE id = %(id)s",
        id=queued[0],
    )
    return queued[0]


def form_of(page, button):
    """Return the form with this button."""
    return next(form for form in page.forms.values() if form.html.find(id=button))


def headings(page):
    return [text(heading) for heading in page.html.main.find_all("h2")]


def test_an_idle_queue_says_so_and_is_not_polled(admin):
    page = admin.get(TASKS)
    assert headings(page) == [WORKERS, "Running 0", "Queued 0", *CHART, "Finished 0"]
    assert text(page.html.find(id="pulse")) == "0 running, 0 queued."
    assert not page.html.find(id="live").has_attr("data-live")


def test_queued_jobs_stand_in_line(admin, queued):
    rows = cells(region(admin.get(TASKS), "Queued jobs"))
    assert rows[0][:4] == ["Select", "place", "job", "batch"]
    assert [(row[1], row[2]) for row in rows[1:]] == [(str(place), str(job)) for place, job in enumerate(queued, 1)]


def test_a_running_job_shows_progress_worker_and_heartbeat(admin, running):
    page = admin.get(TASKS)
    bar = page.html.find("progress")
    assert (bar["value"], bar["max"]) == ("1", "2")
    (row,) = cells(region(page, "Running jobs"))[1:]
    assert (row[0], row[3], row[6], row[7]) == (str(running), "1/2", "1 d ago of 15 min", "host:42")


def test_the_headings_carry_the_counts_and_the_page_keeps_itself_fresh(admin, running):
    page = admin.get(TASKS)
    assert headings(page) == [WORKERS, "Running 1", "Queued 2", *CHART, "Finished 0"]
    assert page.html.find(id="live").has_attr("data-live")
    assert page.html.find(id="pulse")["aria-live"] == "polite"


def test_a_queued_job_is_canceled_from_its_row(admin, queued):
    page = admin.get(TASKS)
    answer = form_of(page, f"cancel-{queued[1]}").submit("do", value="cancel")
    assert answer.location.endswith(TASKS)
    page = answer.follow()
    assert text(page.html.find(class_="notice")).startswith(f"Canceled job {queued[1]}.")
    assert headings(page) == [WORKERS, "Running 0", "Queued 2", *CHART, "Finished 1"]
    assert cells(region(page, "Finished jobs"))[1][2:4] == ["canceled", "preflight_passed"]


def test_a_running_job_has_no_cancel_button_but_says_how_to_stop_it(admin, running):
    page = admin.get(TASKS)
    assert region(page, "Running jobs").find("button") is None
    assert "systemctl stop gpu-admin-panel-import-worker" in text(page.html.main)


def test_pages_of_a_panel_whose_worker_is_no_unit_name_no_systemctl(configured, running, queued, admin_db):
    """As the demo, in which systemd starts nothing."""
    browser = configured(worker_unit="")
    sync_ids = [row["sync_id"] for row in admin_db.execute("SELECT sync_id FROM ingest_batch")]
    for age in ("0 SECOND", "10 MINUTE", "1 DAY"):
        admin_db.execute(f"UPDATE import_job SET heartbeat_at = NOW(6) - INTERVAL {age} WHERE state = 'running'")
        pages = [browser.get(TASKS), browser.get(BATCHES)]
        pages += [browser.get(BATCHES, {"action": "detail", "sync_id": sync_id}) for sync_id in sync_ids]
        assert "Ctrl-C in the worker's terminal" in text(pages[0].html)
        assert [page.request.url for page in pages if "systemctl" in page.text or "journalctl" in page.text] == []


def test_finished_jobs_tell_state_duration_and_error(admin, running, admin_db):
    admin_db.execute(
        "UPDATE import_job SET state = 'failed', last_error = 'the mount is gone',"
        " finished_at = claimed_at + INTERVAL 65 SECOND WHERE id = %(id)s", id=running,
    )
    (row,) = cells(region(admin.get(TASKS), "Finished jobs"))[1:]
    assert (row[2], row[6], row[8]) == ("failed", "1 min 5 s", "the mount is gone")


def test_the_tab_of_the_batches_shows_the_same(admin, queued):
    here, there = (admin.get(url, headers=JSON).json for url in (TASKS, f"{BATCHES}?tab=queue"))
    for values in (here, there):
        for job in values["queued"]:
            job.pop("waited")
    assert here == there
