"""Import Tasks: throughput, time left, liveness, reason to wait."""

import json
from types import MappingProxyType

import pytest
from page_helpers import BATCHES, JSON, TASKS, cells, region, text
from worker_helpers import enqueue


@pytest.fixture
def tasks(admin):
    """Return the page's JSON."""
    return lambda query="": admin.get(TASKS + query, headers=JSON).json


@pytest.fixture
def jobs(panel_db):
    """Queue jobs of different batches: `jobs(3)`."""
    return lambda count: enqueue(panel_db, count)


@pytest.fixture
def change(admin_db):
    """Set columns of a job to SQL expressions."""
    def change(job_id, **columns):
        values = ", ".join(f"{name} = {value}" for name, value in columns.items())
        admin_db.execute(f"UPDATE import_job SET {values} WHERE id = %(id)s", id=job_id)

    return change


@pytest.fixture
def run(admin_db, change):
    """Make a job run for `seconds`, with samples {seconds ago: items}."""
    def run(job_id, done=0, seconds=60, beat=1, marks=MappingProxyType({}), total=1000):
        change(job_id, state="'running'", worker="'host:42'", attempts=1, items_done=done, items_total=total,
               claim_token=f"'{job_id}'", claimed_at=ago(seconds), heartbeat_at=ago(beat))
        for at, items in sorted({seconds: 0, **marks}.items(), reverse=True):
            kind = "job_claimed" if at == seconds else "job_progress"
            admin_db.execute(
                "INSERT INTO ingest_event (batch_id, event_type, payload, created_at)"
                f" SELECT batch_id, %(kind)s, %(payload)s, {'claimed_at' if at == seconds else ago(at)}"
                " FROM import_job WHERE id = %(id)s",
                kind=kind, id=job_id, payload=json.dumps({"job_id": job_id, "items_done": items}),
            )

    return run


def ago(seconds):
    return f"NOW(6) - INTERVAL {seconds} SECOND"


# ------------------------------------------------------------------------------------------------ running


def test_a_running_job_shows_items_per_second_and_a_range_of_time_left(tasks, jobs, run):
    run(*jobs(1), done=500, seconds=100, marks={50: 250, 10: 450})
    (job,) = tasks()["running"]
    assert job["condition"] == "running"
    assert job["per_second"] == pytest.approx(5, rel=0.1)
    low, high = job["left"]
    assert low < 100 < high < 300


def test_the_range_is_wide_while_little_is_known_and_narrows(tasks, jobs, run):
    fresh, old = jobs(2)
    run(fresh, done=100, seconds=20)
    run(old, done=500, seconds=100, marks={at: 500 - 5 * at for at in range(10, 100, 10)})
    young, grown = ((high - low) / high for low, high in (job["left"] for job in tasks()["running"]))
    assert young > grown


def test_a_job_that_has_just_begun_does_not_guess(admin, tasks, jobs, run):
    run(*jobs(1), done=100, seconds=2)
    (job,) = tasks()["running"]
    assert (job["per_second"], job["left"]) == (None, None)
    assert "estimating" in text(region(admin.get(TASKS), "Running jobs"))


def test_a_resumed_job_is_measured_from_where_it_was_resumed(tasks, jobs, run, admin_db):
    run(*jobs(1), done=600, seconds=100)
    admin_db.execute("UPDATE ingest_event SET payload = JSON_SET(payload, '$.items_done', 500)")
    assert tasks()["running"][0]["per_second"] == pytest.approx(1, rel=0.1)


def test_a_fresh_heartbeat_without_progress_is_stalled_and_not_dead(admin, tasks, jobs, run):
    run(*jobs(1), done=400, seconds=1000, beat=2, marks={400: 400})
    (job,) = tasks()["running"]
    assert job["condition"] == "stalled"
    assert job["left"] is None
    page_text = text(region(admin.get(TASKS), "Running jobs"))
    assert "No item was finished for 6 min" in page_text
    assert "worker is alive" in page_text


def test_a_stalled_job_with_an_old_heartbeat_has_no_worker_called_alive(admin, tasks, jobs, run):
    run(*jobs(1), done=400, seconds=1000, beat=390, marks={400: 400})
    assert tasks()["running"][0]["condition"] == "stalled"
    page_text = text(region(admin.get(TASKS), "Running jobs"))
    assert "The last heartbeat was 6 min" in page_text and "returns the job to the queue" in page_text
    assert "alive" not in page_text


def test_a_late_heartbeat_is_late_whatever_the_items_say(admin, tasks, jobs, run):
    run(*jobs(1), done=400, seconds=100, beat=46)
    assert tasks()["running"][0]["condition"] == "running"
    table = region(admin.get(TASKS), "Running jobs")
    (row,) = cells(table)[1:]
    assert (row[2], row[4:6]) == ("late attempt 1", ["-", "-"])
    assert "the worker may have been killed" in text(table) and table.find("span", class_="why").text.endswith(" s ago")


def test_a_job_with_a_late_heartbeat_is_no_sign_of_a_worker(tasks, jobs, run, change):
    running, waiting = jobs(2)
    run(running, seconds=600, beat=100)
    change(waiting, queued_at=ago(500))
    assert tasks()["no_worker"]


def test_an_old_heartbeat_is_dead_and_the_page_says_what_comes_next(admin, tasks, jobs, run):
    run(*jobs(1), done=400, seconds=2000, beat=901)
    assert tasks()["running"][0]["condition"] == "dead"
    assert "returns the job to the queue" in text(region(admin.get(TASKS), "Running jobs"))


def test_the_threshold_is_the_configured_one(configured, jobs, run):
    run(*jobs(1), done=400, seconds=200, beat=61, marks={70: 400})
    page = configured(stale_minutes=1).get(TASKS, headers=JSON).json
    assert page["running"][0]["condition"] == "dead"


# ------------------------------------------------------------------------------------------------ queued


def test_each_queued_job_says_what_it_waits_for(tasks, jobs, run):
    first, *_ = jobs(3)
    run(first, done=1)
    assert [(job["place"], job["ahead"], job["why"]) for job in tasks()["queued"]] == [
        (1, 0, "jobs_ahead"), (2, 1, "jobs_ahead"),
    ]


def test_a_job_that_was_queued_just_now_is_next(tasks, jobs):
    jobs(1)
    page = tasks()
    assert (page["queued"][0]["why"], page["no_worker"]) == ("next", False)


def test_when_nothing_was_taken_for_a_minute_the_page_says_that_no_worker_is_there(admin, tasks, jobs, change):
    ended, waiting = jobs(2)
    change(ended, state="'completed'", finished_at=ago(300))
    change(waiting, queued_at=ago(200))
    page = tasks()
    assert (page["no_worker"], page["queued"][0]["why"]) == (True, "no_worker")
    page_text = text(admin.get(TASKS).html.main)
    assert "No worker has claimed a job since" in page_text
    assert "systemctl status gpu-admin-panel-import-worker" in page_text


def test_a_dead_worker_takes_nothing_either(tasks, jobs, run, change):
    dead, waiting = jobs(2)
    run(dead, seconds=4000, beat=3000)
    change(waiting, queued_at=ago(2000))
    assert tasks()["no_worker"]


def test_without_any_sign_of_a_worker_it_says_never(admin, jobs, change):
    change(*jobs(1), queued_at=ago(200))
    assert "No worker has ever claimed a job" in text(admin.get(TASKS).html.main)


def test_a_released_job_shows_the_reason_and_its_progress_and_whether_a_worker_is_there(
    admin, tasks, jobs, change, admin_db
):
    change(
        *jobs(1), queued_at=ago(900), claimed_at=ago(300), items_done=3, items_total=9,
        last_error="'the mount is gone'",
    )
    page = tasks()
    assert (page["no_worker"], page["queued"][0]["why"]) == (True, "no_worker")
    assert "A worker claims it again" not in admin.get(TASKS).html.main.text
    admin_db.execute("INSERT INTO import_worker (host, slot, pid, boot) VALUES ('here', 1, 7, 'x')")
    page = tasks()
    assert (page["no_worker"], page["queued"][0]["why"]) == (False, "put_back")
    page_text = text(region(admin.get(TASKS), "Queued jobs"))
    assert "3/9" in page_text
    assert "Released: the mount is gone. A worker claims it again" in page_text


# ------------------------------------------------------------------------------------------------ forms


def test_a_new_priority_changes_the_place_and_is_recorded(admin, send, jobs, admin_db):
    *_, last = jobs(3)
    answer = send(TASKS, do="priority", job_id=last, priority="-5")
    notice = text(answer.follow().html.find(class_="notice"))
    assert notice == f"Job {last} now has priority -5 and place 1 in the queue."
    (event,) = admin_db.execute("SELECT payload, actor FROM ingest_event WHERE event_type = 'job_priority'")
    assert event == {
        "payload": f'{{"before":100,"job_id":{last},"phase":"job_priority","priority":-5}}', "actor": "admin",
    }


def test_the_same_priority_again_changes_and_records_nothing(send, jobs, admin_db):
    send(TASKS, do="priority", job_id=jobs(1)[0], priority="100")
    assert not admin_db.execute("SELECT 1 FROM ingest_event WHERE event_type = 'job_priority'")


@pytest.mark.parametrize("priority", ["", "high", "1.5", "--1", "2147483648", "-2147483649"])
def test_what_is_no_priority_is_refused(send, jobs, priority):
    send(TASKS, do="priority", job_id=jobs(1)[0], priority=priority, status=400)


def test_a_running_jobs_priority_is_refused(send, jobs, run):
    (job_id,) = jobs(1)
    run(job_id)
    response = send(TASKS, do="priority", job_id=job_id, priority="1", status=409)
    assert "only a queued job's priority" in text(response.html)


@pytest.mark.parametrize("fields", [{"do": "priority", "priority": "1"}, {"do": "cancel"}])
def test_nothing_is_done_without_the_forms_token(send, jobs, fields, tasks):
    (job_id,) = jobs(1)
    send(TASKS, token="wrong", job_id=job_id, status=403, **fields)
    assert tasks()["queued"][0]["priority"] == 100


def test_a_viewer_sees_priorities_and_no_form(viewer, jobs):
    jobs(1)
    page = viewer.get(TASKS)
    assert not page.html.main.find("form")
    assert "100" in cells(region(page, "Queued jobs"))[1]


def test_selected_jobs_are_canceled_each_with_its_outcome(admin, jobs, run):
    first, second, _ = jobs(3)
    form = admin.get(TASKS).forms["selected"]
    for box in form.fields["sync_id"][:2]:
        box.checked = True
    run(second)
    notice = text(form.submit("do", value="cancel_selected").follow().html.find(class_="notice"))
    assert notice.startswith("Canceled: 1 of 2 batches.")
    assert f"job {first} canceled" in notice
    assert "is running" in notice


# ------------------------------------------------------------------------------------------------ finished


def test_finished_jobs_are_filtered_by_outcome(admin, jobs, change):
    good, bad = jobs(2)
    change(good, state="'completed'", finished_at="NOW(6)")
    change(bad, state="'failed'", finished_at="NOW(6)")
    for url in (f"{TASKS}?state=failed", f"{BATCHES}?tab=queue&state=failed"):
        assert [row[0] for row in cells(region(admin.get(url), "Finished jobs"))[1:]] == [str(bad)]
    admin.get(f"{TASKS}?state=running", status=400)


def test_a_duration_is_told_to_a_tenth_of_a_second(admin, jobs, change):
    change(*jobs(1), state="'completed'", claimed_at="'2026-01-01 10:00:00.0'", finished_at="'2026-01-01 10:00:04.26'")
    assert cells(region(admin.get(TASKS), "Finished jobs"))[1][6] == "4.3 s"


# ------------------------------------------------------------------------------------------------ the chart


def test_the_chart_shares_a_jobs_items_over_the_hours_in_which_it_ran(admin, tasks, jobs, change):
    change(*jobs(1), state="'completed'", items_done=90, finished_at=hour(-1), claimed_at=hour(-4))
    chart = tasks()["chart"]
    assert [each["items"] for each in chart["hours"]][-5:] == [30, 30, 30, 0, 0]
    assert chart["total"] == sum(each["items"] for each in chart["hours"]) == 90
    page = admin.get(TASKS)
    assert len([bar for bar in page.html.find_all("rect") if float(bar["height"]) and "hit" not in bar["class"]]) == 3
    assert [row[1] for row in cells(region(page, "Items settled per hour"))[1:]].count("30") == 3


def hour(back):
    return f"TIMESTAMP(DATE(NOW()), MAKETIME(HOUR(NOW()), 0, 0)) + INTERVAL {back} HOUR"


def test_without_an_import_the_chart_says_so(admin):
    page = admin.get(TASKS)
    assert "No finished job settled an item in the last 24 hours." in text(page.html.main)
    assert not page.html.main.find("svg")


# ------------------------------------------------------------------------------------------------ refresh


def test_a_page_in_which_nothing_changed_is_not_sent_again(admin, jobs, still):
    jobs(1)
    tag = admin.get(TASKS).headers["ETag"]
    again = admin.get(TASKS, headers={"If-None-Match": tag}, status=304)
    assert (again.body, again.headers["ETag"]) == (b"", tag)


def test_whatever_happens_changes_the_page(admin, send, jobs, run, change, still):
    first, second, third = jobs(3)

    def tag() -> str:
        return admin.get(TASKS, headers={"X-Refresh": "1"}).headers["ETag"]

    seen = {tag()}
    run(first, done=1)
    seen.add(tag())
    change(first, heartbeat_at="NOW(6)")
    seen.add(tag())
    change(first, items_done=2)
    seen.add(tag())
    send(TASKS, do="priority", job_id=second, priority="1")
    seen.add(tag())
    send(TASKS, do="cancel", job_id=third)
    seen.add(tag())
    assert len(seen) == 6


def test_another_reader_address_or_form_of_the_answer_has_another_tag(admin, viewer, still):
    pages = [admin.get(TASKS), viewer.get(TASKS), admin.get(TASKS, headers=JSON), admin.get(f"{TASKS}?state=failed")]
    assert len({page.headers["ETag"] for page in pages}) == 4


def test_it_is_looked_at_often_as_long_as_a_worker_seems_to_be_there(admin, jobs, change):
    waiting = jobs(1)
    assert admin.get(TASKS).html.find(id="live")["data-live"] == "3"
    change(*waiting, queued_at=ago(200))
    assert admin.get(TASKS).html.find(id="live")["data-live"] == "10"
