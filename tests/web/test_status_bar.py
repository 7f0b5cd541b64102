"""The status bar of each page."""

from datetime import datetime

import pytest
from gpupanel.web import status_bar
from page_helpers import BATCHES, JSON, TASKS, detail, text
from worker_helpers import enqueue


@pytest.fixture
def line(admin):
    return lambda url=BATCHES: text(admin.get(url).html.find(id="glance")).replace(" ,", ",")


def test_an_idle_queue(line):
    assert line() == "no worker 0 running 0 queued 0 failed in 24 h"


def test_queued_running_and_recently_failed_jobs(line, panel_db, admin_db):
    oldest, running, failed, forgotten = enqueue(panel_db, 4)
    for job_id, change in {
        oldest: "queued_at = NOW(6) - INTERVAL 7530 SECOND", running: "state = 'running'",
        failed: "state = 'failed', finished_at = NOW(6) - INTERVAL 23 HOUR",
        forgotten: "state = 'failed', finished_at = NOW(6) - INTERVAL 25 HOUR",
    }.items():
        admin_db.execute(f"UPDATE import_job SET {change} WHERE id = %(id)s", id=job_id)
    assert line() == "no worker 1 running 1 queued, oldest 2 h 5 min 1 failed in 24 h"


def test_a_job_that_was_queued_since_the_pages_clock_was_set_has_not_waited_yet(line, panel_db, still):
    enqueue(panel_db, 1)
    assert line() == "no worker 0 running 1 queued, oldest 0 s 0 failed in 24 h"


@pytest.mark.parametrize("now, told", [
    ("10:00:00", "10:00:00"), ("10:00:14.999999", "10:00:00"), ("23:59:59", "23:59:45"),
])
def test_pages_tell_ages_for_the_last_quarter_of_a_minute(now, told):
    assert status_bar.round_down(datetime.fromisoformat(f"2026-05-01T{now}")) == datetime.fromisoformat(
        f"2026-05-01T{told}"
    )


def test_it_is_on_each_page(line, scan_bundle):
    sync_id = scan_bundle()
    assert line() == line(TASKS) == line(f"{BATCHES}?tab=queue") == line(detail(sync_id))


def test_an_answer_without_it_does_not_ask_for_it(admin, monkeypatch):
    monkeypatch.setattr(status_bar, "load_or_none", lambda db: pytest.fail("asked"))
    admin.get(BATCHES, headers=JSON)
    admin.get(f"{BATCHES}?status=nothing", headers=JSON, status=400)
