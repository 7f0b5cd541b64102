"""No page, log, process list or error message contains a secret."""

import subprocess
import sys

import pytest
from constants import TREE
from gpupanel.web.application import _log
from gpupanel.web.request import Request
from page_helpers import BATCHES, JSON, TASKS, detail, failing
from raw_requests import ask

UNKNOWN = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def secrets(settings, worker_conf, admin):
    """Every secret: both passwords, and the signing key in two forms."""
    admin.get(BATCHES)
    key = settings.panel.secret_file.read_bytes()
    passwords = [(worker_conf.parent / f"{user}.password").read_bytes() for user in ("gpu_panel", "gpu_worker")]
    return [*passwords, key, key.hex().encode()]


@pytest.mark.parametrize("url", [
    BATCHES, TASKS, f"{BATCHES}?action=doctor", detail(UNKNOWN), "/admin/nothing", f"{BATCHES}?tab=x",
])
@pytest.mark.parametrize("headers", [{}, JSON])
def test_no_answer_holds_a_secret(admin, scan_bundle, secrets, url, headers):
    scan_bundle()
    answer = admin.get(url, headers=headers, expect_errors=True)
    assert not [secret for secret in secrets if secret in answer.body + str(answer.headers).encode()]


def test_no_log_holds_a_secret(configured, secrets):
    for options in ({"unix_socket": "/nonexistent"}, {"user": "nobody"}, {"name": "no_such_database"}):
        log = failing(configured("database", **options), BATCHES, 503).errors.encode()
        assert log and not [secret for secret in secrets if secret in log]


def test_no_line_of_the_log_is_written_by_a_visitor(panel):
    log = []
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/x\n2026 forged \x1b[2J", "wsgi.errors": Log(log)}
    _log(Request(environ), RuntimeError("ours"))
    assert log == ["GET /x%0A2026%20forged%20%1B%5B2J: RuntimeError: ours\n"]


class Log:
    def __init__(self, lines):
        self.write = lines.append

    def flush(self):
        pass


@pytest.mark.parametrize("command", [["gpupanel", "serve", "--port", "0"], ["import-worker"]])
def test_no_list_of_processes_holds_a_secret(panel_conf, worker_conf, secrets, command):
    program, *arguments = command
    conf = worker_conf if program == "import-worker" else panel_conf
    process = subprocess.Popen(
        [sys.executable, TREE / "bin" / program, *arguments, "--config", conf],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={"PYTHONPATH": str(TREE / "lib")},
    )
    try:
        assert process.stdout.readline()  # the process has read its configuration and started
        for name in ("cmdline", "environ", "comm"):
            with open(f"/proc/{process.pid}/{name}", "rb") as file:
                shown = file.read()
            assert not [secret for secret in secrets if secret in shown]
    finally:
        process.terminate()
        process.communicate()


def test_the_server_of_the_demo_has_no_password_to_show(server):
    with open(f"/proc/{server.pid}/cmdline", "rb") as file:
        assert b"password" not in file.read()


@pytest.mark.parametrize("path", ["/admin/static/..", "/admin/nothing", BATCHES + "\xff"])
def test_what_the_web_framework_refuses_is_told_in_our_words(panel, path):
    for accept in ("text/html", "application/json"):
        answer = ask(panel, PATH_INFO=path, HTTP_ACCEPT=accept)
        assert answer.status == 404
        assert not [word for word in ("bottle", "traceback", "python", "line ") if word in answer.text.lower()]
