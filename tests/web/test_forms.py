"""Forms: CSRF token, redirect to this panel, flash message."""

import os
import stat

import pytest
from gpupanel import config, job_queue, ledger
from gpupanel.web import csrf, flash
from gpupanel.web.wsgi import application
from gpupanel.web.signing_key import SigningKey
from page_helpers import BATCHES, JSON, TASKS, detail, failing, text
from webtest import TestApp


def test_a_form_without_its_token_does_nothing(admin, scan_bundle, panel_db):
    sync_id = scan_bundle()
    admin.post(BATCHES, {"do": "queue", "sync_id": sync_id}, status=403)
    assert panel_db.run_read(job_queue.list_queued) == []


@pytest.mark.parametrize("token", ["", "x", "0" * 64, "ä" * 64])
def test_a_wrong_token_does_nothing(send, scan_bundle, panel_db, token):
    answer = send(do="queue", sync_id=scan_bundle(), token=token, status=403)
    assert "Nothing was changed" in text(answer.html.main)
    assert panel_db.run_read(job_queue.list_queued) == []


def test_the_token_of_somebody_else_does_nothing(send, scan_bundle, settings, panel_db):
    other = csrf.make_token(SigningKey(settings.panel.secret_file), "viewer")
    send(do="queue", sync_id=scan_bundle(), token=other, status=403)
    assert panel_db.run_read(job_queue.list_queued) == []


@pytest.mark.parametrize("windows, status", [(1, 303), (2, 403), (-1, 403)])
def test_a_token_holds_for_two_windows_of_time(send, settings, windows, status):
    token = csrf.make_token(SigningKey(settings.panel.secret_file), "admin", windows)
    send(do="scan", token=token, status=status)


@pytest.mark.parametrize("headers, status", [
    ({"Sec-Fetch-Site": "cross-site"}, 403), ({"Sec-Fetch-Site": "same-site"}, 403), ({"Origin": "null"}, 403),
    ({"Origin": "https://elsewhere.example"}, 403), ({"Origin": "http://localhost:80"}, 303),
    ({"Origin": "https://panel.example", "Host": "panel.example:443"}, 303),
    ({"Origin": "https://panel.example", "Host": "PANEL.example"}, 303),
    ({"Origin": "http://panel.example:80", "Host": "panel.example"}, 303),
    ({"Origin": "http://panel.example", "Host": "panel.example:443"}, 403),
    ({"Origin": "https://panel.example:8443", "Host": "panel.example"}, 403),
    ({"Origin": "https://panel.example", "Host": "panel.example:80"}, 403),
    ({"Origin": "https://[::1]:443", "Host": "[::1]"}, 303),
    ({"Sec-Fetch-Site": "same-origin"}, 303), ({}, 303),
])
def test_a_form_that_another_site_sends_is_refused_whatever_its_token(send, headers, status):
    send(do="scan", headers=headers, status=status)


@pytest.mark.parametrize("query", ["", "?next=//elsewhere.example", "?status=failed&return=https://elsewhere.example"])
def test_the_redirect_leads_to_this_panel_only(send, query):
    answer = send(BATCHES + query, do="scan", back="//elsewhere.example", next="https://elsewhere.example")
    assert answer.headers["Location"].startswith(BATCHES)
    assert "elsewhere" not in answer.headers["Location"]


def test_a_folder_that_looks_like_a_host_is_not_one(panel):
    browser = TestApp(panel, extra_environ={"REMOTE_USER": "admin", "SCRIPT_NAME": "//elsewhere.example"})
    page = browser.get("/import-media.cgi")
    assert "/elsewhere.example/import-media.cgi" in page.text
    assert '"//elsewhere.example' not in page.text


def test_the_outcome_is_told_once(admin, send):
    send(do="scan")
    assert "Scan: 0 new bundles" in text(admin.get(TASKS).html.find(class_="notice"))
    assert admin.get(TASKS).html.find(class_="notice") is None


def test_the_outcome_waits_while_the_script_refreshes_the_page(admin, send):
    send(do="scan")
    assert admin.get(TASKS, headers={"X-Refresh": "1"}).html.find(class_="notice") is None
    assert admin.get(TASKS).html.find(class_="notice") is not None


@pytest.mark.parametrize("scheme, secure", [("http", False), ("https", True)])
def test_the_outcomes_cookie_is_kept_from_scripts_and_other_sites(settings, admin_db, scheme, secure):
    browser = TestApp(application(settings), extra_environ={"REMOTE_USER": "admin", "wsgi.url_scheme": scheme})
    token = browser.get(BATCHES, headers=JSON).json["csrf_token"]
    cookie = browser.post(BATCHES, {"do": "scan", "csrf_token": token}).headers["Set-Cookie"]
    assert "; HttpOnly; SameSite=Strict" in cookie and "Path=/admin/" in cookie
    assert ("; Secure" in cookie) == secure


@pytest.mark.parametrize("value", ["", "x", "x.y", "bm8=." + "0" * 64, "." + "0" * 64])
def test_an_outcome_that_the_panel_did_not_sign_is_not_shown(admin, value):
    assert admin.get(BATCHES, headers={"Cookie": f"{flash.COOKIE}={value}"}).html.find(class_="notice") is None


def test_an_outcome_is_shown_to_its_user_only(settings, panel):
    value = flash.dump(
        SigningKey(settings.panel.secret_file), "admin", {"ok": True, "summary": "mine", "lines": []}
    )
    for user, shown in (("admin", True), ("viewer", False)):
        browser = TestApp(panel, extra_environ={"REMOTE_USER": user, "HTTP_COOKIE": f"{flash.COOKIE}={value}"})
        page = browser.get(BATCHES)
        assert ("mine" in page.text) == shown


def test_a_long_outcome_fits_a_cookie_and_says_what_was_cut(tmp_path):
    secret = SigningKey(tmp_path / "secret")
    lines = [f"{os.urandom(16).hex()}: queued as job {number}" for number in range(1000)]
    value = flash.dump(secret, "admin", {"ok": True, "summary": "Queued.", "lines": lines})
    message = flash.load(secret, "admin", value)
    assert len(f"{flash.COOKIE}={value}; Path=/admin/; HttpOnly; SameSite=Strict; Secure") < 4096
    assert message["lines"] and message["lines"] == lines[: len(message["lines"])]
    assert len(message["lines"]) + message["cut"] == 1000


def test_the_secret_is_made_once_for_the_panel_alone(tmp_path):
    path = tmp_path / "secret"
    first = SigningKey(path).key
    assert (len(first), stat.S_IMODE(path.stat().st_mode)) == (32, 0o600)
    assert SigningKey(path).key == first
    assert list(tmp_path.iterdir()) == [path]


def test_without_a_secret_file_there_is_one_beside_the_configuration(panel_conf, admin_db):
    lines = [line for line in panel_conf.read_text().splitlines() if "secret_file" not in line]
    panel_conf.write_text("\n".join(lines))
    TestApp(application(config.load(panel_conf)), extra_environ={"REMOTE_USER": "admin"}).get(BATCHES)
    assert len(panel_conf.with_name("panel.secret").read_bytes()) == 32


def test_a_secret_that_cannot_be_had_is_a_problem_of_the_configuration(admin, settings):
    settings.panel.secret_file.mkdir()
    answer = failing(admin, BATCHES, 500)
    assert "[panel] secret_file" in text(answer.html.main)


def test_a_secret_that_is_too_short_is_not_used(admin, settings):
    settings.panel.secret_file.write_bytes(b"short")
    answer = failing(admin, BATCHES, 500)
    assert "no key for signing" in text(answer.html.main) and "expected at least 16" in answer.errors


@pytest.mark.parametrize("do", ["queue", "preflight"])
def test_who_acted_is_recorded(send, scan_bundle, panel_db, do):
    sync_id = scan_bundle()
    send(detail(sync_id), do=do, sync_id=sync_id)
    batch = panel_db.run_read(ledger.get_batch, sync_id)
    assert panel_db.run_read(ledger.list_events, batch["id"])[0]["actor"] == "admin"


def test_two_clicks_queue_once(send, scan_bundle, panel_db):
    sync_id = scan_bundle()
    send(do="queue", sync_id=sync_id)
    answer = send(do="queue", sync_id=sync_id, status=409)
    (job,) = panel_db.run_read(job_queue.list_queued)
    assert f"as job {job['id']}" in text(answer.html.main)
