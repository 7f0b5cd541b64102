"""Health check and queue metrics for monitoring (docs/runbook.md)."""

import re

import pytest
import yaml
from constants import TREE
from gpupanel import job_queue
from gpupanel.ledger import notices
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


# ------------------------------------------------------------------------------------------------- alert rules

RULES = yaml.safe_load((TREE / "etc" / "prometheus" / "alerts.yml").read_text())["groups"][0]["rules"]
OF_PROMETHEUS = {"up"}  # which Prometheus makes of each scrape
FUNCTIONS = {"and", "on", "deriv", "instance"}
SELECTOR = re.compile(r"([a-z_0-9]*[a-z][a-z_0-9]*)(?:{([^}]*)})?")


def selectors(expression):
    """(metric, labels) of each selector in an expression."""
    text = re.sub(r"\[\w+\]|\b\d+\b", "", expression)
    return [(name, labels) for name, labels in SELECTOR.findall(text) if name not in FUNCTIONS]


def exported(browser):
    """The samples of a scrape without their values: names, with their labels."""
    return {line.rpartition(" ")[0] for line in browser.get(METRICS).text.splitlines() if not line.startswith("#")}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_rule_selects_samples_that_exist_and_says_what_to_do(configured, admin_db, rule):
    admin_db.execute("INSERT INTO import_worker (host, slot, pid, boot) VALUES ('h', 1, 1, 'x')")
    samples = exported(configured("notify", mail_to=("ann@example.org",), mail_from="media@example.org"))
    metrics = [(name, labels) for name, labels in selectors(rule["expr"]) if name not in OF_PROMETHEUS]
    wanted = {f"{name}{{{labels}}}" if labels else name for name, labels in metrics}
    assert wanted <= samples and (wanted or "up{" in rule["expr"])
    assert rule["annotations"]["summary"] and rule["annotations"]["action"]
    assert rule["labels"]["severity"] in ("critical", "warning")


def test_rules_cover_what_nobody_sees_who_does_not_look():
    assert {rule["alert"].removeprefix("ImportMedia") for rule in RULES} >= {
        "Down", "NoWorker", "JobStalled", "JobFailed", "QueueGrows", "MountAway", "PausedLong", "PeopleNotTold",
    }


def test_each_sample_of_a_scrape_is_in_the_runbook(configured, admin_db):
    admin_db.execute("INSERT INTO import_worker (host, slot, pid, boot) VALUES ('h', 1, 1, 'x')")
    samples = exported(configured("notify", mail_to=("ann@example.org",), mail_from="media@example.org"))
    runbook = (TREE / "docs" / "runbook.md").read_text()
    assert {name for sample in samples if f"| `{(name := sample.partition('{')[0])}" not in runbook} == set()


def test_metrics_tell_of_the_mount_a_pause_and_what_people_were_not_told(configured, panel_db, admin_db):
    [job] = enqueue(panel_db, 1)
    admin_db.execute(
        "INSERT INTO import_worker (host, slot, pid, boot, mount_ok) VALUES ('h', 1, 1, 'x', 0), ('h', 2, 1, 'y', 1)"
    )
    admin_db.execute("INSERT INTO queue_control VALUES (1, 1, 'ann', 'the library moves', NOW(6) - INTERVAL 1 HOUR)")
    batch_id = panel_db.run_read(job_queue.job, job)["batch_id"]
    panel_db.run_transaction(notices.add, notices.NoticeKind.FAILED, [(batch_id, None)])
    admin_db.execute("UPDATE ingest_notice SET created_at = NOW(6) - INTERVAL 1 HOUR")
    browser = configured("notify", mail_to=("ann@example.org",), mail_from="media@example.org")
    lines = dict(line.rsplit(" ", 1) for line in browser.get(METRICS).text.splitlines() if not line.startswith("#"))
    assert lines["import_media_workers_without_mount"] == "1.0" and lines["import_media_notices_unsent"] == "1.0"
    for name in ("import_media_queue_paused_seconds", "import_media_oldest_notice_seconds"):
        assert 3600 <= float(lines[name]) < 4200
    silent = configured().get(METRICS).text
    assert "import_media_notices_unsent" not in silent
