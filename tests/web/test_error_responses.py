"""Error responses, as page and as JSON, without internal details."""

import threading

import pytest
from gpupanel import job_queue, services
from gpupanel.errors import InvalidInputError
from gpupanel.mount import Mount
from gpupanel.web import form_actions
from gpupanel.web.pages import batches
from gpupanel.web.request import FORM_TYPE, Request
from page_helpers import BATCHES, JSON, TASKS, detail, failing, text

UNKNOWN = "00000000-0000-4000-8000-000000000000"
BAD_REQUESTS = [
    detail("not-a-uuid"), detail(UNKNOWN.replace("0", "A")), f"{BATCHES}?action=detail", f"{BATCHES}?action=erase",
    f"{BATCHES}?tab=nonsense", f"{BATCHES}?status=fine", f"{BATCHES}?before=-1", f"{BATCHES}?before=ten",
    f"{BATCHES}?before=99999999999999999999", f"{BATCHES}?before=%D9%A3", f"{BATCHES}?status=%FF",
    detail(UNKNOWN, start="x"),
]


@pytest.mark.parametrize("url", BAD_REQUESTS)
def test_a_bad_parameter_is_400_and_says_which(admin, url):
    assert admin.get(url, status=400).html.find(role="alert")
    assert admin.get(url, headers=JSON, status=400).json["error"]["status"] == 400


def test_an_unknown_batch_is_404_with_a_way_back(admin):
    page = admin.get(detail(UNKNOWN), status=404)
    assert UNKNOWN in text(page.html.find(role="alert"))
    assert page.click("list of batches").status_int == 200


def test_a_page_of_an_error_has_its_status_as_heading_and_the_status_bar(admin):
    page = admin.get(detail(UNKNOWN), status=404)
    assert text(page.html.main.h2) == "404 Not Found"
    assert page.html.find(id="glance") and page.html.find("a", id="attention")


@pytest.mark.parametrize("url", ["/admin/nothing", "/nothing", f"{BATCHES}/more", "/admin/static/../layout.html"])
def test_an_unknown_page_is_404_with_a_way_back(admin, url):
    page = admin.get(url, status=404)
    assert "bottle" not in page.text.lower()
    assert page.html.find("a", string="list of batches")


@pytest.mark.parametrize("url, allowed", [
    (BATCHES, "GET, HEAD, POST"), (TASKS, "GET, HEAD, POST"), ("/admin/", "GET, HEAD"),
])
@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
def test_another_method_is_405_and_names_those_there_are(admin, method, url, allowed):
    answer = admin.request(url, method=method, status=405)
    assert answer.headers["Allow"] == allowed


def test_head_is_get_without_the_body(admin):
    answer = admin.head(BATCHES)
    assert (answer.status_int, answer.body) == (200, b"")


@pytest.mark.parametrize("fields", [
    {}, {"do": "erase"}, {"do": "queue"}, {"do": "queue", "sync_id": "x"}, {"do": "preflight", "sync_id": ""},
    {"do": "cancel"}, {"do": "cancel", "job_id": "first"}, {"do": "cancel", "job_id": "-1"},
    {"do": "queue_selected", "sync_id": "x"},
])
def test_a_bad_form_is_400(send, fields):
    assert send(status=400, **fields).html.find(role="alert")


@pytest.mark.parametrize("fields", [
    {"do": "queue", "sync_id": UNKNOWN}, {"do": "preflight", "sync_id": UNKNOWN}, {"do": "cancel", "job_id": "999"},
])
def test_what_is_not_there_cannot_be_acted_on(send, fields):
    send(status=404, **fields)


@pytest.mark.parametrize("kind, body, status", [
    ("application/json", b"{}", 400), ("text/plain", b"do=scan", 400), (FORM_TYPE, b"do=%FF", 400),
    (FORM_TYPE, b"do=\xff", 400), (FORM_TYPE, b"a&" * 4000, 400), (FORM_TYPE, b"a" * 300_000, 413),
])
def test_a_body_that_is_no_form_of_ours_is_refused(admin, kind, body, status):
    admin.post(BATCHES, body, content_type=kind, status=status)


@pytest.mark.parametrize("length", ["-1", "x", "1e3", "\u00b2"])
def test_a_length_that_is_none_is_refused(length):
    environ = {"REQUEST_METHOD": "POST", "PATH_INFO": "/", "CONTENT_TYPE": FORM_TYPE, "CONTENT_LENGTH": length}
    with pytest.raises(InvalidInputError):
        assert Request(environ).form


def test_canceling_what_runs_is_409_and_says_how_to_stop_it(send, scan_bundle, panel_db, mount, admin_db):
    job_id = services.queue_batch(panel_db, mount, scan_bundle(), "admin")
    admin_db.execute("UPDATE import_job SET state = 'running', worker = 'host:42', heartbeat_at = NOW(6)")
    answer = send(TASKS, do="cancel", job_id=job_id, status=409)
    assert job_queue.STOP in text(answer.html.find(role="alert"))
    assert answer.click("Back to the previous page").request.path == TASKS


def test_a_preflight_that_fails_is_no_error_but_an_outcome(send, scan_bundle, admin, bundles):
    sync_id = scan_bundle(status="processing")
    send(detail(sync_id), do="preflight", sync_id=sync_id)
    assert text(admin.get(detail(sync_id)).html.find(class_="notice")).startswith("Preflight failed")


@pytest.fixture
def without_database(configured):
    """A panel whose database does not exist."""
    return configured("database", unix_socket="/nonexistent/socket", password="hunter2")


@pytest.mark.parametrize("url", [BATCHES, TASKS, detail(UNKNOWN), f"{BATCHES}?tab=queue"])
def test_without_a_database_every_page_is_503_and_tells_no_secret(without_database, url):
    for answer in (failing(without_database, url, 503), failing(without_database, url, 503, headers=JSON)):
        assert "The database cannot be reached." in answer.text
        for secret in ("hunter2", "gpu_panel", "/nonexistent", "Traceback", "pymysql"):
            assert secret not in answer.text
        assert "DatabaseUnavailableError" in answer.errors and "hunter2" not in answer.errors


def test_a_denied_account_is_503_and_not_named(configured):
    answer = failing(configured("database", password="hunter2"), BATCHES, 503)
    assert "The database refused the account." in answer.text and "gpu_panel" not in answer.text


def test_a_mount_that_is_gone_is_503_and_nothing_is_changed(send, settings, mount, panel_db):
    settings.mount.sync_dir.rmdir()
    answer = send(do="scan", status=503)
    assert "nothing was changed" in text(answer.html.find(role="alert"))


@pytest.fixture
def hangs(monkeypatch):
    """Let manifests hang while they are opened; a request waits for the mount only a second."""
    answered = threading.Event()

    def hangs() -> None:
        monkeypatch.setattr(Mount, "open_manifest", lambda *_: answered.wait())
        monkeypatch.setattr(form_actions, "MOUNT_SECONDS", 1)

    yield hangs
    answered.set()


def test_a_mount_that_hangs_is_504_and_not_a_request_that_hangs(send, scan_bundle, hangs):
    sync_id = scan_bundle()
    hangs()
    answer = send(detail(sync_id), do="preflight", sync_id=sync_id, status=504)
    assert "bin/gpupanel" in text(answer.html.find(role="alert"))


def test_bundles_that_the_time_did_not_suffice_for_are_named_as_left(send, bundles, admin, hangs):
    bundles.bundle("one", bundles.assets("one", 1))
    hangs()
    answer = send(do="scan")
    assert "Time ran out before 1 bundle could be read" in text(answer.follow().html.find(class_="notice"))


def test_an_unexpected_error_is_500_without_its_traceback(configured, monkeypatch):
    def broken(*_):
        raise RuntimeError("a detail for the log")

    monkeypatch.setattr(batches, "view", broken)
    browser = configured()
    for headers in ({}, JSON):
        answer = failing(browser, BATCHES, 500, headers=headers)
        assert "Traceback" not in answer.text and "a detail" not in answer.text
        assert "Traceback" in answer.errors and "a detail for the log" in answer.errors


def test_a_template_of_the_host_that_is_broken_still_gets_an_answer(configured, tmp_path):
    (tmp_path / "layout.html").write_text("{{ nothing_of_that_name }}")
    answer = failing(configured(templates=tmp_path), BATCHES, 500)
    assert answer.content_type == "text/plain" and "nothing_of_that_name" not in answer.text


def test_the_layout_of_a_host_panel_wraps_every_page(configured, tmp_path):
    override = '{% extends "panel/layout.html" %}{% block site %}<p>Site: north</p>{% endblock %}'
    (tmp_path / "layout.html").write_text(override)
    browser = configured(templates=tmp_path)
    for url, status in ((BATCHES, 200), (TASKS, 200), (detail(UNKNOWN), 404)):
        page = browser.get(url, status=status)
        assert "Site: north" in page.text and "No site selected" not in page.text


@pytest.mark.parametrize("url, status", [(BATCHES, 200), (TASKS, 200), (detail(UNKNOWN), 404), ("/admin/nothing", 404)])
def test_every_answer_forbids_what_a_page_does_not_need(admin, url, status):
    headers = admin.get(url, status=status).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("url", [BATCHES, TASKS, detail(UNKNOWN)])
def test_no_page_has_inline_code(admin, url):
    page = admin.get(url, expect_errors=True).html
    assert page.find_all(style=True) == page.find_all("style") == []
    assert all(script["src"] and not script.string for script in page.find_all("script"))
    assert not [name for element in page.find_all(True) for name in element.attrs if name.startswith("on")]


@pytest.mark.parametrize("name, kind", [
    ("panel.css", "text/css"), ("panel.js", "javascript"), ("icon.svg", "image/svg+xml"),
])
def test_static_files_are_served_and_kept(nobody, name, kind):
    answer = nobody.get(f"/admin/static/{name}")
    assert kind in answer.content_type and "max-age" in answer.headers["Cache-Control"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("name", ["..%2flayout.html", "%2e%2e/templates/layout.html", "/etc/passwd", "none.css"])
def test_nothing_but_static_files_is_served_as_such(admin, name):
    admin.get(f"/admin/static/{name}", status=404)


def test_the_root_redirects_to_the_batches(admin):
    for url in ("/", "/admin", "/admin/"):
        assert admin.get(url, status=303).headers["Location"] == BATCHES


@pytest.mark.parametrize("accept, kind", [
    ("application/json", "application/json"), ("*/*", "text/html"), ("", "text/html"),
    ("text/html, application/json", "text/html"), ("application/json, text/html;q=0.9", "application/json"),
    ("application/json;q=0, text/html;q=0", "text/html"), ("text/html;q=x, application/json;q=0.1", "application/json"),
])
def test_programs_get_json_only_when_they_prefer_it(admin, accept, kind):
    assert admin.get(BATCHES, headers={"Accept": accept}).content_type == kind


def test_a_number_beyond_the_range_of_the_database_is_refused(admin):
    admin.get(f"{BATCHES}?before={2**63 - 1}")
    admin.get(f"{BATCHES}?before={2**63}", status=400)
