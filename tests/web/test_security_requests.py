"""Hostile requests: forged forms, metacharacters, injected headers."""

import subprocess
import sys
from http.client import HTTPConnection
from urllib.parse import urlencode, urlsplit

import pytest
from bs4 import BeautifulSoup
from constants import TABLES, TREE
from gpupanel.web import csrf, entrypoints, flash
from gpupanel.web.responses import HEADERS
from gpupanel.web.form_actions import FORM_ACTIONS
from gpupanel.web.signing_key import SigningKey
from page_helpers import BATCHES, JSON, TASKS, text
from raw_requests import ask, assert_sound, form

SYNC_ID = "00000000-0000-4000-8000-000000000001"
SQL = [
    "'", "\"", "`", "\\", "' OR '1'='1", "1; DROP TABLE asset; --", "1 UNION SELECT 1", "%", "_", "%s",
    "%(x)s", "\u02bc\0'",
]
SMUGGLED = "x\r\nSet-Cookie: a=b\r\n\r\n<script>"


@pytest.fixture
def rows(admin_db):
    """Return all rows of the database: `rows()`."""
    return lambda: {table: admin_db.execute(f"SELECT * FROM {table}") for table in TABLES}


# ---------------------------------------------------------------------------------------------- forged forms


@pytest.mark.parametrize("do", FORM_ACTIONS)
def test_no_action_is_done_without_the_token_of_its_form(admin, scan_bundle, rows, do):
    fields = {"do": do, "sync_id": scan_bundle(), "job_id": "1"}
    before = rows()
    for forged in ({}, {"csrf_token": ""}, {"csrf_token": "0" * 64}, {"token": "0" * 64}):
        assert admin.post(BATCHES, fields | forged, status="*").status_int == 403, forged
    assert rows() == before


@pytest.mark.parametrize("do", FORM_ACTIONS)
def test_no_action_is_done_by_an_address_alone(admin, scan_bundle, rows, do):
    fields = {"do": do, "sync_id": scan_bundle(), "job_id": "1"}
    token = admin.get(BATCHES, headers=JSON).json["csrf_token"]
    before = rows()
    admin.get(BATCHES, fields | {"csrf_token": token})
    admin.head(f"{BATCHES}?{urlencode(fields | {'csrf_token': token})}")
    admin.post(f"{BATCHES}?csrf_token={token}", fields, status=403)
    assert rows() == before


@pytest.mark.parametrize("origin", [
    "http://[", "http://elsewhere.example", "null", "http://localhost.elsewhere.example", "//localhost",
    "http://localhost/",
])
def test_an_origin_that_is_not_ours_is_refused_however_it_is_written(panel, settings, origin):
    token = csrf.make_token(SigningKey(settings.panel.secret_file), "admin")
    answer = ask(panel, **form(f"do=scan&csrf_token={token}".encode(), HTTP_ORIGIN=origin))
    assert answer.status == 403 and "came from another site" in answer.text


def test_no_answer_invites_another_origin(panel):
    for method in ("GET", "OPTIONS"):
        answer = ask(panel, HTTP_ORIGIN="http://elsewhere.example", REQUEST_METHOD=method)
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]


# ---------------------------------------------------------------------------------------------- metacharacters


@pytest.mark.parametrize("name, page", [
    ("tab", {}), ("action", {}), ("status", {}), ("before", {}), ("sync_id", {"action": "detail"}),
    ("start", {"action": "detail", "sync_id": SYNC_ID}),
])
def test_sql_in_a_parameter_is_a_bad_parameter(admin, scan_bundle, rows, name, page):
    scan_bundle()
    before = rows()
    for value in SQL:
        assert admin.get(BATCHES, page | {name: value}, status="*").status_int == 400, value
    assert rows() == before


@pytest.mark.parametrize("do, name", [
    ("preflight", "sync_id"), ("queue", "sync_id"), ("queue_selected", "sync_id"), ("cancel", "job_id"), ("scan", "do"),
])
def test_sql_in_a_field_of_a_form_is_a_bad_form(admin, scan_bundle, rows, do, name):
    fields = {"do": do, "csrf_token": admin.get(BATCHES, headers=JSON).json["csrf_token"]}
    scan_bundle()
    before = rows()
    for value in SQL:
        assert admin.post(BATCHES, fields | {name: value}, status="*").status_int == 400, value
    assert rows() == before


@pytest.mark.parametrize("value", SQL[:-1])
def test_sql_in_a_users_name_is_recorded_as_the_name(configured, panel_db, scan_bundle, value):
    sync_id = scan_bundle()
    browser = configured(environ={"REMOTE_USER": value}, operators=frozenset("*"))
    token = browser.get(BATCHES, headers=JSON).json["csrf_token"]
    browser.post(BATCHES, {"do": "queue", "sync_id": sync_id, "csrf_token": token}, status=303)
    assert text(browser.get(TASKS).html.find("table").find_all("tr")[1].find_all("td")[8]) == value


# ---------------------------------------------------------------------------------------------- headers and addresses


@pytest.mark.parametrize("where", [
    "QUERY_STRING", "SCRIPT_NAME", "PATH_INFO", "HTTP_HOST", "HTTP_COOKIE", "REMOTE_USER",
])
def test_nothing_in_a_request_becomes_a_header_of_the_answer(panel, where):
    for answer in (ask(panel, **{where: SMUGGLED}), ask(panel, **form(b"do=scan", **{where: SMUGGLED}))):
        assert_sound(answer)
        assert answer.headers.get("Set-Cookie", flash.COOKIE).startswith(flash.COOKIE)


def test_the_redirect_and_the_cookie_of_a_form_hold_nothing_that_was_smuggled(panel, settings):
    token = csrf.make_token(SigningKey(settings.panel.secret_file), "admin")
    address = {
        "SCRIPT_NAME": "/" + SMUGGLED, "PATH_INFO": "/import-media.cgi",
        "QUERY_STRING": "status=x%0D%0Aa:b&tab=%0d%0a&next=//elsewhere.example",
    }
    answer = ask(panel, **form(f"do=scan&csrf_token={token}".encode(), **address))
    assert_sound(answer)
    assert answer.status == 303
    assert answer.headers["Location"].startswith("/x%0D%0ASet-Cookie%3A%20a%3Db")
    assert "Path=/x%0D%0ASet-Cookie%3A" in answer.headers["Set-Cookie"]


@pytest.mark.parametrize("path", [
    "//elsewhere.example/x", "/\\elsewhere.example", "javascript:alert(1)", "///x?y", "http://x/",
])
def test_no_page_links_to_where_a_hostile_address_says(panel, path):
    for answer in (ask(panel, PATH_INFO=path), ask(panel, **form(b"", PATH_INFO=path))):
        targets = [link["href"] for link in BeautifulSoup(answer.text, "html.parser").find_all("a")]
        assert answer.status == 404 and targets
        assert all(target[0] == "#" or (target[0] == "/" and target[1] not in "/\\") for target in targets)


@pytest.mark.parametrize("host", ["elsewhere.example", "x\"><script>", "localhost:80@elsewhere.example"])
def test_what_the_host_header_says_is_nowhere_in_an_answer(panel, host):
    for path in (BATCHES, "/", "/admin/nothing"):
        answer = ask(panel, PATH_INFO=path, HTTP_HOST=host, HTTP_X_FORWARDED_HOST=host)
        assert host not in answer.text and host not in str(answer.headers)


@pytest.mark.parametrize("path", [
    BATCHES + "\xff", "/ad\xffmin/import-media.cgi", BATCHES + "\0", BATCHES + "/", BATCHES.upper(), "/" + BATCHES,
])
def test_an_address_that_only_resembles_a_page_is_none(panel, path):
    assert ask(panel, PATH_INFO=path).status == 404


@pytest.mark.parametrize("name", [
    "..", ".", "../lib", "..\\layout.html", "a\0.css", "x" * 5000, "%2e%2e", "panel.css/",
])
def test_no_name_of_a_static_file_leads_out_of_their_folder(panel, name):
    answer = ask(panel, PATH_INFO=f"/admin/static/{name}")
    assert answer.status == 404
    assert_sound(answer)


@pytest.mark.parametrize("user", ["admin", ""])
@pytest.mark.parametrize("asked", ["bytes=9999999-", f"bytes={'9' * 5000}-", "bytes=5-1"])
def test_a_range_that_a_file_has_not_is_416_for_everybody(panel, asked, user):
    answer = ask(panel, PATH_INFO="/admin/static/panel.css", HTTP_RANGE=asked, REMOTE_USER=user)
    assert answer.status == 416 and answer.headers["Content-Range"].startswith("bytes */")
    assert_sound(answer)


@pytest.mark.parametrize("environ", [
    {}, {"PATH_INFO": "/"}, {"PATH_INFO": "/admin/nothing"}, {"REQUEST_METHOD": "TRACE"}, {"REMOTE_USER": ""},
    {"QUERY_STRING": "tab=x"}, {"PATH_INFO": "/admin/static/panel.js"}, {"PATH_INFO": "/admin/static/none"},
    {"REMOTE_USER": "stranger"}, {"REQUEST_METHOD": "HEAD"}, form(b"do=scan"), form(b"x" * 300_000),
])
def test_every_answer_can_be_neither_framed_nor_sniffed(panel, environ):
    assert_sound(ask(panel, **environ))


def test_a_panel_without_a_usable_configuration_can_be_neither_framed_nor_sniffed(tmp_path, monkeypatch):
    monkeypatch.setenv("GPUPANEL_CONF", str(tmp_path / "none"))
    answer = ask(entrypoints.application(tmp_path))
    assert answer.status == 500 and answer.headers.items() >= HEADERS.items()


# ---------------------------------------------------------------------------------------------- sizes


@pytest.mark.parametrize("environ, status", [
    ({"CONTENT_LENGTH": "9" * 5000}, 413), ({"CONTENT_LENGTH": "262145"}, 413),
    ({"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""}, 413),
    ({"REQUEST_METHOD": "GET", "QUERY_STRING": "a&" * 3000}, 400),
])
def test_what_is_too_large_is_refused_before_it_is_looked_into(panel, environ, status):
    answer = ask(panel, **form(b"a=" + b"b" * 300_000) | environ)
    assert answer.status == status
    assert_sound(answer)


@pytest.mark.parametrize("name", ["tab", "sync_id", "status", "before"])
def test_a_long_parameter_is_refused_and_not_told_whole(admin, name):
    answer = admin.get(f"{BATCHES}?action=detail", {name: "x" * 50_000}, status=400)
    assert len(answer.text) < 20_000


def test_a_form_whose_address_cannot_be_read_is_still_answered_by_a_page(panel):
    answer = ask(panel, **form(b"do=scan", QUERY_STRING="%FF"))
    assert (answer.status, answer.headers["Content-Type"], answer.log) == (403, "text/html; charset=utf-8", "")


class GoneAway:
    """The body of a client that went away, as mod_wsgi has it."""

    def read(self, size):
        raise OSError("Apache/mod_wsgi request data read error: the connection was closed")


@pytest.mark.parametrize("broken", [{"CONTENT_LENGTH": "9999"}, {"wsgi.input": GoneAway()}], ids=["short", "gone"])
def test_a_form_that_did_not_arrive_whole_does_nothing(panel, admin, scan_bundle, rows, broken):
    """What came of it would queue the first of the batches that were selected."""
    sync_id = scan_bundle()
    token = admin.get(BATCHES, headers=JSON).json["csrf_token"]
    body = urlencode({"csrf_token": token, "do": "queue", "sync_id": sync_id}).encode()
    before = rows()
    answer = ask(panel, **form(body) | broken)
    assert answer.status == 400 and "did not arrive whole" in answer.text
    assert_sound(answer)
    assert rows() == before
    assert ask(panel, **form(body)).status == 303 and rows() != before


def test_an_outcome_of_very_many_lines_stays_short_also_when_it_is_unpacked(tmp_path):
    secret = SigningKey(tmp_path / "secret")
    value = flash.dump(secret, "admin", {"ok": True, "summary": "Queued.", "lines": ["x" * 400] * 100_000})
    message = flash.load(secret, "admin", value)
    assert (len(message["lines"]), message["cut"]) == (flash.MAX_LINES, 100_000 - flash.MAX_LINES)


# ---------------------------------------------------------------------------------------------- names


@pytest.mark.parametrize("name", [
    "admin\xff", " admin", "admin ", "\xc2\xa0admin", "admin\0", "admin\n", "\xe2\x80\xaeadmin", "\u202eadmin",
])
def test_a_name_is_never_mended_into_an_operators(panel, name):
    assert ask(panel, REMOTE_USER=name).status == 401


@pytest.mark.parametrize("host", [
    "127.0.0.1.elsewhere.example", "localhost.elsewhere.example:80", "0x7f.1", "a@localhost",
])
def test_a_name_that_is_pointed_at_this_machine_is_not_let_in_without_signing_in(configured, host):
    panel = configured(environ={}, auth="none").app
    assert ask(panel, REMOTE_ADDR="127.0.0.1", HTTP_HOST=host).status == 401


@pytest.mark.parametrize("header", ["X_FORWARDED_FOR", "X_FORWARDED_HOST", "FORWARDED", "VIA", "X_REAL_IP"])
def test_what_a_proxy_passed_on_is_not_from_this_machine(configured, header):
    panel = configured(environ={}, auth="none").app
    assert ask(panel, REMOTE_ADDR="127.0.0.1").status == 200
    assert ask(panel, REMOTE_ADDR="127.0.0.1", **{f"HTTP_{header}": ""}).status == 401


def test_the_panels_own_server_asks_for_no_more_of_a_body_than_any_form_has(panel_conf):
    command = [sys.executable, TREE / "bin" / "gpupanel", "serve", "--port", "0", "--config", panel_conf]
    environ = {"PYTHONPATH": str(TREE / "lib")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) as process:
        try:
            connection = HTTPConnection(urlsplit(process.stdout.readline().split()[-1]).netloc)
            connection.putrequest("POST", BATCHES)
            connection.putheader("Content-Length", str(2**30))
            connection.endheaders()
            assert connection.getresponse().status == 413
        finally:
            process.terminate()
