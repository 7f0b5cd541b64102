"""The panel in this process, as each of its users meets it."""

import dataclasses
import os
import subprocess
import sys

import pytest
from gpupanel import actions
from gpupanel.web import glance
from gpupanel.web.app import application
from gpupanel.web.visit import FORM_TYPE
from page_helpers import BATCHES, CGI_BIN, JSON
from webtest import TestApp


@pytest.fixture
def panel(settings, admin_db):
    return application(settings)


@pytest.fixture
def admin(panel):
    """An operator's browser."""
    return TestApp(panel, extra_environ={"REMOTE_USER": "admin"})


@pytest.fixture
def viewer(panel):
    return TestApp(panel, extra_environ={"REMOTE_USER": "viewer"})


@pytest.fixture
def nobody(panel):
    return TestApp(panel)


@pytest.fixture
def configured(settings, admin_db):
    """A browser, an operator's unless `environ` says otherwise, at a panel with other `options` of one section."""
    def configured(section="panel", environ={"REMOTE_USER": "admin"}, **options):
        changed = {section: dataclasses.replace(getattr(settings, section), **options)}
        return TestApp(application(dataclasses.replace(settings, **changed)), extra_environ=environ)

    return configured


@pytest.fixture
def scripted(panel):
    """An operator's program, which asks for JSON."""
    return TestApp(panel, extra_environ={"REMOTE_USER": "admin", "HTTP_ACCEPT": JSON["Accept"]})


@pytest.fixture
def send(admin):
    """Send a form of the panel with its token: `send(url, do=..., ...)`, by `browser` if given."""
    def send(url=BATCHES, browser=admin, token=None, **fields):
        if token is None:
            token = browser.get(BATCHES, headers=JSON).json["csrf_token"]
        status, headers = fields.pop("status", 303), fields.pop("headers", None)
        answer = browser.post(url, fields | {"csrf_token": token}, headers=headers, expect_errors=True)
        assert answer.status_int == status
        return answer

    return send


@pytest.fixture
def still(monkeypatch):
    """Time alone changes no page."""
    monkeypatch.setattr(glance, "STEP", 10**10)


@pytest.fixture
def found(bundles, mount, panel_db):
    """A bundle of two photos, on the mount and in the ledger; returns its sync_id."""
    def found(name="one", count=2, **options):
        sync_id = bundles.bundle(name, bundles.assets(name, count), **options)
        actions.scan_mount(panel_db, mount, "admin")
        return sync_id

    return found


@pytest.fixture
def run(run_raw):
    """Run a script for one request; returns (status, headers, body, what it logged)."""
    def run(script, query="", body=b"", **options):
        done = run_raw(script, query, body, **options)
        head, _, text = done.stdout.replace(b"\r\n", b"\n").partition(b"\n\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        return int(headers.pop("Status").split()[0]), headers, text, done.stderr.decode()

    return run


@pytest.fixture
def run_raw(panel_conf, admin_db):
    """The same, not taken apart; `flags` are Python's."""
    def run(script, query="", body=b"", conf=panel_conf, folder="/admin", flags=(), **environ):
        given = {
            "PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), "GPUPANEL_CONF": str(conf),
            "GATEWAY_INTERFACE": "CGI/1.1", "SERVER_PROTOCOL": "HTTP/1.1", "SERVER_NAME": "localhost",
            "SERVER_PORT": "80", "HTTP_HOST": "localhost:80", "REMOTE_ADDR": "203.0.113.9", "REMOTE_USER": "admin",
            "REQUEST_METHOD": "GET", "SCRIPT_NAME": f"{folder}/{script}", "QUERY_STRING": query,
            "CONTENT_LENGTH": str(len(body)), "CONTENT_TYPE": FORM_TYPE,
        }
        command = [sys.executable, *flags, CGI_BIN / script]
        return subprocess.run(command, input=body, env=given | environ, capture_output=True)

    return run
