"""Pages of the three lists of Import Tasks, each with its own cursor."""

import pytest
from page_helpers import BATCHES, JSON, TASKS, cells, region, text
from worker_helpers import enqueue

ENDED = "UPDATE import_job SET state = %(state)s, finished_at = '2026-01-01' + INTERVAL id %% 3 HOUR WHERE id = %(id)s"


@pytest.fixture
def small(configured):
    """A panel with two jobs per page."""
    return configured(page_size=2)


@pytest.fixture
def jobs(panel_db, admin_db):
    """Seven queued jobs: the fourth comes first, the first comes last."""
    ids = enqueue(panel_db, 7)
    for job_id, priority in ((ids[3], -5), (ids[0], 500)):
        statement = "UPDATE import_job SET priority = %(priority)s WHERE id = %(id)s"
        admin_db.execute(statement, id=job_id, priority=priority)
    return ids


@pytest.fixture
def end(admin_db):
    def end(ids, states=("completed", "failed")):
        for number, job_id in enumerate(ids):
            admin_db.execute(ENDED, id=job_id, state=states[number % len(states)])

    return end


def walk(browser, of, way, query=""):
    """Return the ids of each page, forward or (`previous`) backward."""
    query, pages = query or f"?{of}_before=end" * (way == "previous"), []
    while query is not None:
        page = browser.get(TASKS + query, headers=JSON).json
        pages.append([job["id"] for job in page[of]])
        leads = page["pages"][of][way]
        query = leads and "?" + "&".join(f"{name}={value}" for name, value in leads.items())
    return pages


def in_pages(ids):
    return [ids[start:start + 2] for start in range(0, len(ids), 2)]


def expected(jobs):
    return [jobs[3], jobs[1], jobs[2], *jobs[4:], jobs[0]]


def test_queued_jobs_follow_in_line_to_the_end_and_back(small, jobs):
    line = expected(jobs)
    assert walk(small, "queued", "next") == in_pages(line)
    assert walk(small, "queued", "previous") == [page[::-1] for page in in_pages(line[::-1])]


def test_finished_jobs_follow_from_the_latest_to_the_earliest_and_back(small, jobs, end, admin_db):
    end(jobs)
    rows = admin_db.execute("SELECT id FROM import_job ORDER BY finished_at DESC, id DESC")
    ids = [row["id"] for row in rows]
    assert walk(small, "finished", "next") == in_pages(ids)
    assert walk(small, "finished", "previous") == [page[::-1] for page in in_pages(ids[::-1])]


def test_running_jobs_go_on_too(small, jobs, admin_db):
    admin_db.execute(
        "UPDATE import_job SET state = 'running', claim_token = id, heartbeat_at = NOW(6), claimed_at = NOW(6)"
    )
    assert walk(small, "running", "next") == in_pages(expected(jobs))


def test_places_in_line_count_from_the_front_on_every_page(small, jobs):
    page = small.get(f"{TASKS}?queued_before=end", headers=JSON).json
    assert [(job["place"], job["ahead"], job["why"]) for job in page["queued"]] == [
        (6, 5, "jobs_ahead"), (7, 6, "jobs_ahead"),
    ]


def test_a_place_stays_where_it_was_when_its_job_has_left_the_line(small, jobs, end):
    line = expected(jobs)
    after = small.get(TASKS, headers=JSON).json["pages"]["queued"]["next"]
    end(line[:2])
    page = small.get(TASKS, params=after, headers=JSON).json
    assert [job["id"] for job in page["queued"]] == line[2:4]
    assert page["queued"][0]["place"] == 1


def test_turning_one_list_leaves_the_others_and_the_outcome_where_they_are(small, jobs, end):
    end(jobs[4:], states=("failed",))
    for path in (f"{TASKS}?", f"{BATCHES}?tab=queue&"):
        page = small.get(f"{path}state=failed&queued_after=100.{jobs[1]}")
        page = page.click(linkid=None, href="finished_after", index=0)
        assert [row[2] for row in cells(region(page, "Queued jobs"))[1:]] == [str(jobs[2]), str(jobs[0])]
        assert [row[2] for row in cells(region(page, "Finished jobs"))[1:]] == ["failed"]
        page = page.click("all")
        assert len(cells(region(page, "Finished jobs"))) == 3
        assert f"queued_after=100.{jobs[1]}" in page.request.query_string


def test_an_action_returns_to_the_page_it_was_on(small, jobs):
    page = small.get(f"{TASKS}?queued_after=100.{jobs[2]}")
    answer = page.forms["selected"].submit("do", value="cancel_selected", status="*")
    assert answer.location.endswith(f"{TASKS}?queued_after=100.{jobs[2]}")
    assert "Select at least one batch." in text(answer.follow().html.main)
    form = next(form for form in page.forms.values() if form.html.find(id=f"cancel-{jobs[4]}"))
    answer = form.submit("do", value="cancel")
    assert answer.location.endswith(f"{TASKS}?queued_after=100.{jobs[2]}")
    assert [row[2] for row in cells(region(answer.follow(), "Queued jobs"))[1:]] == [str(jobs[5]), str(jobs[6])]


def test_beyond_the_last_job_the_page_says_so_and_leads_back(small, jobs):
    page = small.get(f"{TASKS}?queued_after=500.{jobs[0]}")
    assert "No more queued jobs beyond this point." in text(page.html.main)
    assert len(cells(region(page.click("First"), "Queued jobs"))) == 3


def test_that_a_worker_is_missing_is_told_on_every_page(small, jobs, admin_db):
    admin_db.execute("UPDATE import_job SET queued_at = NOW(6) - INTERVAL 200 SECOND WHERE id = %(id)s", id=jobs[3])
    for query in ("", "?queued_before=end"):
        assert small.get(TASKS + query, headers=JSON).json["no_worker"]


def test_each_page_has_its_own_tag_and_hears_of_the_jobs(small, jobs, admin_db, still):
    admin_db.execute(
        "UPDATE import_job SET state = 'running', claim_token = id, heartbeat_at = NOW(6), claimed_at = NOW(6)"
    )
    last = f"{TASKS}?running_before=end"
    first_tag, tag = (small.get(url).headers["ETag"] for url in (TASKS, last))
    assert first_tag != tag
    small.get(last, headers={"If-None-Match": tag}, status=304)
    admin_db.execute("UPDATE import_job SET items_done = items_done + 1 WHERE id = %(id)s", id=jobs[0])
    assert small.get(last, headers={"If-None-Match": tag}).status_int == 200


@pytest.mark.parametrize("query", [
    "queued_after=100", "queued_after=a.1", "queued_after=1.-1", "queued_after=--1.5", "queued_after=end",
    "finished_after=x",
    "queued_after=1.1&queued_before=1.1", "finished_before=1.5", "running_before=%C0",
    "queued_after=100.",
])
def test_what_is_no_place_is_refused(small, query):
    small.get(f"{TASKS}?{query}", status=400)


@pytest.mark.parametrize("query", ["finished_after=999", "queued_before=-9999999999.1"])
def test_a_place_that_nothing_is_at_is_a_place(small, jobs, query):
    small.get(f"{TASKS}?{query}", status=200)
