"""The scripts in cgi-bin/ as a web server runs them."""

import os
import runpy
import socket
import subprocess
import sys
from urllib.parse import urlencode

import pytest
from gpupanel.web import csrf, entrypoints, flash
from gpupanel.web.application import PanelApplication
from gpupanel.web.signing_key import SigningKey
from page_helpers import BATCHES, CGI_BIN, TASKS, assert_alike, detail
from webtest import TestApp, TestRequest

SCRIPTS = {"import-media.cgi": BATCHES, "import-tasks.cgi": TASKS}


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_script_can_be_run_as_it_stands(script):
    assert os.access(CGI_BIN / script, os.X_OK)
    assert (CGI_BIN / script).read_text().startswith("#!/usr/bin/env -S python3 -ISXutf8\n")


@pytest.mark.parametrize("script, query", [
    ("import-media.cgi", ""), ("import-media.cgi", "tab=queue"), ("import-media.cgi", "status=discovered"),
    ("import-media.cgi", "action=detail&sync_id=none"), ("import-media.cgi", "tab=nonsense"), ("import-tasks.cgi", ""),
])
@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_a_script_answers_as_the_application_does(run, admin, scan_bundle, script, query, accept):
    scan_bundle()

    def serve() -> tuple:
        url = SCRIPTS[script] + (f"?{query}" if query else "")
        served = admin.get(url, headers={"Accept": accept}, expect_errors=True)
        return served.status_int, lowered(served.headers), served.text, ""

    def run_script() -> tuple:
        status, headers, body, log = run(script, query, HTTP_ACCEPT=accept)
        return status, lowered(headers), body.decode(), log

    assert_alike(serve, run_script)


def lowered(headers):
    return {name.lower(): value for name, value in headers.items()}


def test_a_batch_looks_the_same_from_a_script(run, admin, scan_bundle):
    sync_id = scan_bundle()

    def run_script() -> tuple:
        status, _, body, _ = run("import-media.cgi", f"action=detail&sync_id={sync_id}")
        return status, body.decode()

    assert_alike(lambda: (200, admin.get(detail(sync_id)).text), run_script)


def test_links_lead_to_the_scripts_beside_it_whatever_the_folder(run, scan_bundle):
    scan_bundle()
    _, _, body, _ = run("import-tasks.cgi", folder="/cgi-bin/media panel")
    for address in ("import-media.cgi", "import-tasks.cgi", "static/panel.css"):
        assert f'"/cgi-bin/media%20panel/{address}' in body.decode()


def test_a_form_sent_to_a_script_is_answered_by_a_redirect(run, settings, bundles):
    bundles.bundle("one", bundles.assets("one", 1))
    token = csrf.make_token(SigningKey(settings.panel.secret_file), "admin")
    body = urlencode({"do": "scan", "csrf_token": token}).encode()
    status, headers, _, log = run("import-media.cgi", "status=failed", body, REQUEST_METHOD="POST")
    assert (status, headers["Location"], log) == (303, f"{BATCHES}?status=failed", "")
    assert headers["Set-Cookie"].startswith(flash.COOKIE)


def test_a_script_without_a_user_is_401(run):
    assert run("import-media.cgi", REMOTE_USER="")[0] == 401


def test_nobody_without_sign_in_lets_a_script_wait_for_a_body(settings, admin_db):
    """The script has stopped to receive when it has answered; nothing waits for what the client may still send."""
    ours, theirs = socket.socketpair()
    request = {
        "REQUEST_METHOD": "POST", "SCRIPT_NAME": "/admin/import-media.cgi", "CONTENT_LENGTH": "99", "REMOTE_USER": "",
        "SERVER_NAME": "localhost", "SERVER_PORT": "80", "REMOTE_ADDR": "203.0.113.9", "QUERY_STRING": "",
    }
    variables = {name.encode(): value.encode() for name, value in request.items()}
    with ours, theirs, theirs.makefile("rb") as body, theirs.makefile("wb") as out:
        ours.sendall(b"do=scan")
        entrypoints.respond(PanelApplication(settings), entrypoints.environ(variables, body, sys.stderr), out)
        out.flush()
        assert ours.recv(99).startswith(b"Status: 401 ")
        with pytest.raises(BrokenPipeError):
            ours.send(b"&")


def test_below_a_script_there_is_nothing(run):
    assert run("import-media.cgi", PATH_INFO="/more")[0] == 404


@pytest.mark.parametrize("text, problem", [
    ("[panel]\nauth = maybe\n[nonsense]\n", "expected remote_user or none"), (None, "cannot be read"),
    ("[database]\npassword hunter2\n", "line 2"),
])
def test_a_broken_configuration_is_a_plain_500_and_its_problems_are_logged(run, tmp_path, text, problem):
    conf = tmp_path / "broken.conf"
    if text is not None:
        conf.write_text(text)
    status, headers, body, log = run("import-media.cgi", conf=conf)
    assert (status, headers["Content-Type"]) == (500, "text/plain; charset=utf-8")
    assert problem in log and problem not in body.decode() and str(conf) not in body.decode()
    assert "hunter2" not in log + body.decode() and "Traceback" not in log


def test_reading_a_page_loads_no_decoder_of_manifests():
    code = "import sys, gpupanel.web.wsgi; print({'msgspec', 'gpupanel.manifest'} & set(sys.modules))"
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environ)
    assert done.stdout.strip() == "set()", done.stderr


def test_the_wsgi_file_holds_the_same_application(panel_conf, admin, scan_bundle, monkeypatch):
    scan_bundle()
    monkeypatch.setenv("GPUPANEL_CONF", str(panel_conf))
    monkeypatch.setattr(sys, "path", list(sys.path))
    application = runpy.run_path(str(CGI_BIN / "panel.wsgi"))["application"]
    assert TestApp(application, extra_environ={"REMOTE_USER": "admin"}).get(BATCHES).text == admin.get(BATCHES).text


@pytest.mark.parametrize("script, path, folder", [
    ("", BATCHES, "/admin"), ("/admin", "/import-media.cgi", "/admin"), (BATCHES, "", "/admin"),
    ("/tools/admin", "/import-media.cgi", "/tools/admin"), ("/tools", BATCHES, "/tools/admin"),
])
def test_pages_and_links_are_right_however_the_server_divides_the_address(panel, scan_bundle, script, path, folder):
    scan_bundle()
    request = TestRequest.blank(path, base_url="http://localhost" + script, environ={"REMOTE_USER": "admin"})
    answer = request.get_response(panel)
    assert answer.status_int == 200
    assert f'href="{folder}/import-tasks.cgi"' in answer.text
