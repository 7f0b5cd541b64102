"""Fixtures: the panel, browsers of each role, CGI processes."""

import dataclasses
import os
import subprocess
import sys

import preloaded_programs
import pytest
from gpupanel import services
from gpupanel.web import status_bar
from gpupanel.web.wsgi import application
from gpupanel.web.request import FORM_TYPE
from page_helpers import BATCHES, CGI_BIN, JSON
from webtest import TestApp


@pytest.fixture
def panel(settings, admin_db):
    """The panel as a WSGI application."""
    return application(settings)


@pytest.fixture
def admin(panel):
    """Browser of an operator."""
    return TestApp(panel, extra_environ={"REMOTE_USER": "admin"})


@pytest.fixture
def viewer(panel):
    """Browser of a viewer."""
    return TestApp(panel, extra_environ={"REMOTE_USER": "viewer"})


@pytest.fixture
def nobody(panel):
    """Browser without a user."""
    return TestApp(panel)


@pytest.fixture
def configured(settings, admin_db):
    """Return a browser for a panel with other `options` in one section."""
    def configured(section="panel", environ=None, **options):
        environ = {"REMOTE_USER": "admin"} if environ is None else environ
        changed = {section: dataclasses.replace(getattr(settings, section), **options)}
        return TestApp(application(dataclasses.replace(settings, **changed)), extra_environ=environ)

    return configured


@pytest.fixture
def scripted(panel):
    """Client of an operator's program, which requests JSON."""
    return TestApp(panel, extra_environ={"REMOTE_USER": "admin", "HTTP_ACCEPT": JSON["Accept"]})


@pytest.fixture
def send(admin):
    """Submit a form with its token: `send(url, do=...)`; status 303."""
    def send(url=BATCHES, browser=admin, token=None, **fields):
        if token is None:
            token = browser.get(BATCHES, headers=JSON).json["csrf_token"]
        status, headers = fields.pop("status", 303), fields.pop("headers", None)
        response = browser.post(url, fields | {"csrf_token": token}, headers=headers, expect_errors=True)
        assert response.status_int == status
        return response

    return send


@pytest.fixture
def still(monkeypatch):
    """Stop the clock by which pages show ages."""
    monkeypatch.setattr(status_bar, "AGE_STEP_SECONDS", 10**10)


@pytest.fixture
def scan_bundle(bundles, mount, panel_db):
    """Make a bundle of two photos, scan it, and return its sync_id."""
    def scan_bundle(name="one", count=2, **options):
        sync_id = bundles.bundle(name, bundles.assets(name, count), **options)
        services.scan_mount(panel_db, mount, "admin")
        return sync_id

    return scan_bundle


@pytest.fixture
def run(run_raw):
    """Run a CGI script for one request; returns (status, headers, body, log)."""
    def run(script, query="", body=b"", **options):
        process = run_raw(script, query, body, **options)
        head, _, text = process.stdout.replace(b"\r\n", b"\n").partition(b"\n\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        return int(headers.pop("Status").split()[0]), headers, text, process.stderr.decode()

    return run


@pytest.fixture
def run_raw(panel_conf, admin_db):
    """Run a CGI script and return the process; `flags` are Python's."""
    def run(script, query="", body=b"", conf=panel_conf, folder="/admin", flags=(), **environ):
        given = {
            "PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), "GPUPANEL_CONF": str(conf),
            "GATEWAY_INTERFACE": "CGI/1.1", "SERVER_PROTOCOL": "HTTP/1.1", "SERVER_NAME": "localhost",
            "SERVER_PORT": "80", "HTTP_HOST": "localhost:80", "REMOTE_ADDR": "203.0.113.9", "REMOTE_USER": "admin",
            "REQUEST_METHOD": "GET", "SCRIPT_NAME": f"{folder}/{script}", "QUERY_STRING": query,
            "CONTENT_LENGTH": str(len(body)), "CONTENT_TYPE": FORM_TYPE,
        }
        if flags:
            command = [sys.executable, *flags, CGI_BIN / script]
            return subprocess.run(command, input=body, env=given | environ, capture_output=True)
        return preloaded_programs.run([CGI_BIN / script], input=body, env=given | environ, text=False)

    return run
