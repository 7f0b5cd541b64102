"""The panel's local service: same responses, and only for its user."""

import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlencode

import pytest
from constants import TREE
from gpupanel import config
from gpupanel.errors import PanelError
from gpupanel.web import cgi_client, cgi_server, csrf, flash
from gpupanel.web.application import PanelApplication
from gpupanel.web.cgi_server import LocalProxyServer
from page_helpers import BATCHES, assert_alike

NOBODY = 65534
QUESTIONS = {
    "the list": ("import-media.cgi", "", {}),
    "a filter": ("import-media.cgi", "status=discovered", {}),
    "JSON": ("import-media.cgi", "", {"HTTP_ACCEPT": "application/json"}),
    "a viewer": ("import-media.cgi", "", {"REMOTE_USER": "viewer"}),
    "a stranger": ("import-media.cgi", "", {"REMOTE_USER": "stranger"}),
    "nobody": ("import-media.cgi", "", {"REMOTE_USER": ""}),
    "someone else's name in a header": (
        "import-media.cgi", "", {"HTTP_REMOTE_USER": "admin", "HTTP_X_REMOTE_USER": "admin", "REMOTE_USER": "viewer"}
    ),
    "a name that is not ASCII": ("import-media.cgi", "", {"REMOTE_USER": "Zo\xeb"}),
    "a batch that is not there": ("import-media.cgi", "action=detail&sync_id=37e428d2-a4f6-4a31-bacf-0c835fb24084", {}),
    "no such tab": ("import-media.cgi", "tab=nonsense", {}),
    "below a page": ("import-media.cgi", "", {"PATH_INFO": "/m\xf6re"}),
    "the head alone": ("import-media.cgi", "", {"REQUEST_METHOD": "HEAD"}),
    "over https": ("import-media.cgi", "", {"HTTPS": "on", "HTTP_COOKIE": f"{flash.COOKIE}=forged.x"}),
    "the tasks": ("import-tasks.cgi", "", {}),
    "health": ("import-tasks.cgi", "", {"SCRIPT_NAME": "/admin/health", "REMOTE_USER": ""}),
}


@pytest.fixture
def sockets():
    """A folder with a short path, which every user may enter."""
    with tempfile.TemporaryDirectory(prefix="gpupanel-") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.fixture
def conf(panel_conf, sockets):
    _set(panel_conf, f"socket = {sockets / 'panel.sock'}")
    return panel_conf


@pytest.fixture
def panel(conf, admin_db):
    """A panel that records its requests in `asked`."""
    panel = PanelApplication(config.load(conf))
    own, panel.asked = panel.handle, []

    def noted(environ):
        panel.asked.append(environ["REQUEST_METHOD"])
        return own(environ)

    panel.handle = noted
    return panel


@contextmanager
def running(panel):
    started = LocalProxyServer(panel, panel.settings.panel.socket)
    started.start()
    try:
        yield started
    finally:
        started.stop(10)


@pytest.mark.parametrize("name", QUESTIONS)
def test_both_ways_give_the_same_bytes(run_raw, panel, scan_bundle, name):
    scan_bundle()
    script, query, environ = QUESTIONS[name]

    def run() -> tuple:
        done = run_raw(script, query, **environ)
        return done.returncode, done.stdout, done.stderr

    def run_with_service() -> tuple:
        panel.asked.clear()
        with running(panel):
            asked = run()
        assert len(panel.asked) == 1
        return asked

    assert_alike(run, run_with_service)
    panel.asked.clear()
    run()
    assert not panel.asked


def test_what_the_panel_logs_goes_to_the_web_server_either_way(run, panel, monkeypatch):
    def broken(environ):
        environ["wsgi.errors"].write("a detail for the log\n")
        return own(environ)

    own, panel.handle = panel.handle, broken
    with running(panel):
        assert run("import-media.cgi")[::3] == (200, "a detail for the log\n")


@pytest.mark.parametrize("method, body", [("POST", b"do=scan"), ("GET", b"x"), ("BREW", b"")])
def test_only_what_changes_nothing_is_asked_for(run, panel, method, body):
    with running(panel):
        status, _, _, _ = run("import-media.cgi", "", body, REQUEST_METHOD=method)
    assert (status, panel.asked) == ({"POST": 403, "GET": 200, "BREW": 405}[method], [])


def test_a_file_of_any_size_is_not_asked_for(run, panel, scan_bundle):
    with running(panel):
        status, _, body, _ = run("import-media.cgi", f"action=items&sync_id={scan_bundle()}")
    assert (status, json.loads(body), panel.asked) == (200, [], [])


def test_a_form_is_done_once_while_a_service_runs(run, panel, admin_db, bundles):
    sync_id = bundles.bundle("one", bundles.assets("one", 1))
    body = urlencode({"do": "scan", "csrf_token": csrf.make_token(panel.secret, "admin")}).encode()
    with running(panel):
        assert run("import-media.cgi", "", body, REQUEST_METHOD="POST")[0] == 303
        assert sync_id.encode() in run("import-media.cgi")[2]
    assert [row["event_type"] for row in admin_db.execute("SELECT event_type FROM ingest_event")] == ["scan"]
    assert panel.asked == ["GET"]


@pytest.mark.parametrize("frame", [
    b"REQUEST_METHOD=POST\0REMOTE_USER=admin", b"REMOTE_USER=admin", b"",
    b"REQUEST_METHOD=GET\0GPUPANEL_CONF=/etc/passwd",
])
def test_what_is_no_request_of_our_program_is_not_taken(panel, frame):
    with running(panel), socket.socket(socket.AF_UNIX) as line:
        line.connect(str(panel.settings.panel.socket))
        line.sendall(len(frame).to_bytes(4, "big") + frame)
        assert (line.recv(1), panel.asked) == (b"", [])


def test_http_is_not_spoken_there(panel):
    with running(panel), socket.socket(socket.AF_UNIX) as line:
        line.connect(str(panel.settings.panel.socket))
        line.sendall(b"GET /admin/import-media.cgi HTTP/1.1\r\nHost: localhost\r\nX-Remote-User: admin\r\n\r\n")
        with suppress(ConnectionResetError):
            assert line.recv(1) == b""
    assert not panel.asked


def test_the_port_of_the_panel_does_not_take_a_programs_request(conf, admin_db):
    """The TCP port speaks HTTP, and only trusted proxies name a user."""
    command = [sys.executable, TREE / "bin" / "gpupanel", "serve", "--port", "0", "--config", conf]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        port = int(process.stdout.readline().split(":")[3].partition("/")[0])
        frame = _frame(conf)
        http = b"GET %s HTTP/1.1\r\nHost: x\r\nREMOTE_USER: admin\r\n\r\n" % BATCHES.encode()
        answers = [_tcp(port, frame), _tcp(port, http)]
        process.terminate()
    assert [answer[:12] for answer in answers] == [b"HTTP/1.0 400", b"HTTP/1.1 401"]
    assert not config.load(conf).panel.socket.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_another_user_is_not_answered_even_if_the_files_let_him(panel, conf):
    path = panel.settings.panel.socket
    code = (
        "import socket, sys; line = socket.socket(socket.AF_UNIX); line.connect(sys.argv[1]);"
        "line.sendall(bytes.fromhex(sys.argv[2])); print(line.recv(1))"
    )
    command = ["/usr/bin/python3", "-c", code, path, _frame(conf).hex()]
    with running(panel):
        assert path.stat().st_mode & 0o777 == 0o600
        refused = subprocess.run(command, user=NOBODY, capture_output=True, text=True)
        assert "PermissionError" in refused.stderr
        path.chmod(0o666)
        assert subprocess.run(command, capture_output=True, text=True).stdout == "b'+'\n"
        let_in = subprocess.run(command, user=NOBODY, capture_output=True, text=True)
    assert "b'+'" not in let_in.stdout and "PermissionError" not in let_in.stderr
    assert len(panel.asked) == 1  # by this process's own user


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_another_users_service_is_neither_believed_nor_told_anything(run_raw, conf, sockets):
    os.chown(sockets, NOBODY, -1)
    code = (
        "import socket, sys; listener = socket.socket(socket.AF_UNIX); listener.bind(sys.argv[1]); listener.listen();"
        "print(flush=True); line, _ = listener.accept(); print(line.recv(99))"
    )
    command = ["/usr/bin/python3", "-c", code, sockets / "panel.sock"]

    def ask() -> bytes:
        with subprocess.Popen(command, user=NOBODY, stdout=subprocess.PIPE, text=True) as impostor:
            impostor.stdout.readline()
            asked = run_raw("import-media.cgi")
            assert impostor.stdout.read() == "b''\n"
        (sockets / "panel.sock").unlink()
        return asked.stdout

    assert_alike(lambda: run_raw("import-media.cgi").stdout, ask)


@pytest.mark.parametrize("said", [b"", b"+", b"+\0\0\0\0", b"+\0\0\0\0\0\0\x01\0Status: 200 OK", b"no"])
def test_a_service_that_dies_at_any_moment_is_made_up_for(run_raw, conf, sockets, said):
    def ask() -> bytes:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(sockets / "panel.sock"))
            listener.listen()

            def serve():
                line, _ = listener.accept()
                with line:
                    cgi_client.read_part(line)
                    line.sendall(said)

            thread = threading.Thread(target=serve)
            thread.start()
            asked = run_raw("import-media.cgi")
            thread.join()
        (sockets / "panel.sock").unlink()
        return asked.stdout

    assert_alike(lambda: run_raw("import-media.cgi").stdout, ask)


def test_a_service_that_does_not_take_the_request_is_not_waited_for(run, conf, sockets):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(sockets / "panel.sock"))
        listener.listen()
        assert run("import-media.cgi")[0] == 200


def test_a_configuration_that_was_changed_counts_at_once(run, panel, conf):
    with running(panel):
        assert run("import-media.cgi")[0] == 200
        conf.write_text(conf.read_text().replace("operators = admin", "operators = somebody"))
        assert run("import-media.cgi")[0] == 403
    assert len(panel.asked) == 1


def test_a_password_that_was_changed_counts_at_once(run, panel, conf):
    """A service with the old password may be about to fail."""
    with running(panel):
        panel.settings.database.password_file.write_text("another")
        assert run("import-media.cgi")[0] == 503
    assert not panel.asked


def test_a_secret_that_was_changed_counts_at_once(run, panel, admin_db):
    """A CGI program accepts a form that the service rendered."""
    with running(panel):
        run("import-media.cgi")
        panel.secret.path.write_bytes(os.urandom(32))
        token = json.loads(run("import-media.cgi", HTTP_ACCEPT="application/json")[2])["csrf_token"]
        body = urlencode({"do": "scan", "csrf_token": token}).encode()
        assert run("import-media.cgi", "", body, REQUEST_METHOD="POST")[0] != 403
    assert panel.asked == ["GET", "GET"]


def test_a_program_with_another_configuration_answers_by_itself(run, panel, conf, tmp_path):
    other = tmp_path / "other.conf"
    other.write_text(conf.read_text().replace("operators = admin", "operators = somebody"))
    with running(panel):
        assert run("import-media.cgi", conf=other)[0] == 403
    assert not panel.asked


def test_what_a_killed_service_left_is_cleared_and_nothing_else_is(panel, sockets, run):
    path = sockets / "panel.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert run("import-media.cgi")[0] == 200
    with running(panel):
        assert run("import-media.cgi")[0] == 200 and panel.asked == ["GET"]
        with pytest.raises(PanelError):
            LocalProxyServer(panel, path).start()
        assert run("import-media.cgi")[0] == 200 and len(panel.asked) == 2
    path.write_text("somebody's")
    with pytest.raises(PanelError):
        LocalProxyServer(panel, path).start()
    assert path.read_text() == "somebody's"


class Pauses(threading.Event):
    """An event that counts in `seen` how often a thread waits for it."""

    def __init__(self):
        super().__init__()
        self.seen = threading.Semaphore(0)

    def wait(self, timeout=None) -> bool:
        self.seen.release()
        return super().wait(timeout)


def test_descriptors_that_run_out_for_a_while_end_nothing(panel, conf, monkeypatch):
    monkeypatch.setattr(cgi_server, "PAUSE", 0.05)
    answering, limits = LocalProxyServer(panel, panel.settings.panel.socket), resource.getrlimit(resource.RLIMIT_NOFILE)
    answering._ended = Pauses()
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
        answering.start()
        assert all([answering._ended.seen.acquire(timeout=30) for _ in range(2 * cgi_server.THREADS)])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(30)
        line.connect(str(panel.settings.panel.socket))
        line.sendall(_frame(conf))
        assert line.recv(1) == cgi_client.TAKEN
        assert cgi_client.read_part(line) == b"" and cgi_client.read_part(line).startswith(b"Status: 200")
    answering.stop(10)


def test_an_answer_in_hand_is_given_before_the_service_ends(run, panel):
    reached, go_on, own = threading.Event(), threading.Event(), panel.handle

    def slow(environ):
        reached.set()
        go_on.wait(30)
        return own(environ)

    panel.handle = slow
    answers = []
    with running(panel) as answering:
        asking = threading.Thread(target=lambda: answers.append(run("import-media.cgi")[0]))
        asking.start()
        assert reached.wait(30)
        stopping = threading.Thread(target=answering.stop, args=(30,))
        stopping.start()
        go_on.set()
        asking.join()
        stopping.join()
        panel.settings.panel.socket.touch()  # which `running` removes at its end
    assert (answers, panel.asked) == ([200], ["GET"])


def _set(conf, line: str) -> None:
    """Add an option to the section [panel]."""
    conf.write_text(conf.read_text().replace("[panel]", f"[panel]\n{line}"))


def _frame(conf) -> bytes:
    text = b"\0".join([
        b"REQUEST_METHOD=GET", b"SCRIPT_NAME=" + BATCHES.encode(), b"REMOTE_USER=admin",
        b"GPUPANEL_CONF=" + os.fsencode(conf),
        b"GPUPANEL_CODE=" + cgi_client.HERE,
    ])
    return len(text).to_bytes(4, "big") + text


def _tcp(port: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port)) as line:
        line.sendall(data + b"\r\n\r\n")
        return line.recv(200)
