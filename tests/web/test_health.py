"""Health check and queue metrics for monitoring (docs/runbook.md)."""

import pytest
from worker_helpers import enqueue

HEALTH, METRICS = "/admin/health", "/admin/metrics"
LOCAL = {"REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "127.0.0.1:8080"}


def test_health_is_one_word_for_anybody(nobody):
    answer = nobody.get(HEALTH)
    assert (answer.body, answer.content_type) == (b"ok\n", "text/plain")
    assert answer.headers["Cache-Control"] == "no-store"
    assert nobody.head(HEALTH).status_int == 200


def test_health_is_503_without_the_database_and_says_no_more(configured):
    browser = configured("database", environ={}, unix_socket="/nowhere/mysqld.sock")
    answer = browser.get(HEALTH, status=503)
    assert answer.body == b"unavailable\n"


def test_health_takes_no_form(nobody):
    assert nobody.post(HEALTH, status=401)


@pytest.mark.parametrize("script_name", [HEALTH, "/elsewhere/health"])
def test_health_is_found_when_the_web_server_takes_it_for_a_program(nobody, script_name):
    answer = nobody.get("/", extra_environ={"SCRIPT_NAME": script_name, "PATH_INFO": ""})
    assert answer.body == b"ok\n"


def test_metrics_count_the_queue(viewer, panel_db, admin_db):
    first, second, *_ = enqueue(panel_db, 4)
    admin_db.execute(
        "UPDATE import_job SET state = 'running', heartbeat_at = NOW(6) - INTERVAL 1 DAY WHERE id = %(id)s", id=first
    )
    admin_db.execute("UPDATE import_job SET state = 'failed', finished_at = NOW(6) WHERE id = %(id)s", id=second)
    lines = viewer.get(METRICS).text.splitlines()
    assert {
        'import_media_jobs{state="queued"} 2.0', 'import_media_jobs{state="running"} 1.0',
        'import_media_jobs_ended_24h{state="failed"} 1.0', 'import_media_jobs_ended_24h{state="completed"} 0.0',
        "import_media_jobs_silent 1.0",
    } <= set(lines)
    (oldest,) = [line for line in lines if line.startswith("import_media_oldest_queued_seconds ")]
    assert 0 < float(oldest.split()[1]) < 600


def test_a_scrape_of_this_machine_needs_no_name(nobody):
    assert "import_media_jobs" in nobody.get(METRICS, extra_environ=LOCAL).text


@pytest.mark.parametrize("environ", [
    {}, {"REMOTE_ADDR": "192.0.2.7"}, LOCAL | {"HTTP_X_FORWARDED_FOR": "192.0.2.7"},
    LOCAL | {"HTTP_HOST": "panel.example"},
])
def test_others_sign_in_for_the_metrics(nobody, environ):
    nobody.get(METRICS, extra_environ={"REMOTE_ADDR": "192.0.2.8"} | environ, status=401)


def test_who_may_not_look_may_not_scrape(nobody):
    nobody.get(METRICS, extra_environ=LOCAL | {"REMOTE_USER": "stranger"}, status=403)
