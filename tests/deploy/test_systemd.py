"""The units under a real systemd: start, work, stop, hang, crash, and restrictions."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from pwd import getpwnam
from types import SimpleNamespace

import pytest
import worker_helpers
from constants import TREE, password
from gpupanel.config import DatabaseSettings, MountSettings
from gpupanel.db import Database
from gpupanel.mount import Mount
from systemd_namespace import (
    NOTIFY, NOTIFY_TIMER, PANEL, SCAN, SECOND_WORKER, TIMER, WORKER, WORKER_UID, Machine, fields, why_not,
)
from webservers import WEB_USER
from worker_helpers import wait_until

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())

CONFIGURATION = """
[database]
unix_socket = /run/mysqld/{socket}
user = gpu_{who}
password_file = {who}.password
"""
OF_THE_WORKER = "[worker]\npoll_seconds = 0.05\nchunk_items = 1\n"
OF_THE_PANEL = "[panel]\noperators = admin\nsecret_file = panel.secret\ntrusted_proxies = 127.0.0.1\n"
OF_THE_PANEL += "socket = /run/gpu-admin-panel/panel.sock\n"
MAIL_PORT = 2525  # in the machine's own network
OF_THE_PANEL += f"[notify]\nmail_to = ann@example.org\nmail_from = media@example.org\nsmtp_port = {MAIL_PORT}\n"
RECEIVE = f"""
import json, sys
sys.path.insert(0, {str(TREE / "tests")!r})
from receivers import MailServer, receiving
server = MailServer(port={MAIL_PORT})
server.on_mail = lambda: print(json.dumps(server.mails[-1].text), flush=True)
with receiving(server):
    print("ready", flush=True)
    sys.stdin.read()
"""
ASK = """
import sys, urllib.request
request = urllib.request.Request("http://127.0.0.1:8080/admin/import-media.cgi", headers={"Accept": "application/json"})
request.add_header("X-Remote-User", "admin")
print(urllib.request.urlopen(request).read().decode())
"""
# The request of a CGI program to the panel's service, sent by any user.
FORWARD_AS_CGI = """
import sys
sys.path.insert(0, "/opt/gpu-admin-panel/lib")
from gpupanel.web import cgi_client
request = {b"REQUEST_METHOD": b"GET", b"SCRIPT_NAME": b"/admin/import-media.cgi", b"REMOTE_USER": b"admin"}
print(cgi_client.forward(b"/opt/gpu-admin-panel/etc/panel.conf", request))
"""


@pytest.fixture(scope="module")
def machine(world, tree, server, bundle_ids):
    """Everything where docs/install.md puts it, and no unit started yet."""
    folder = world / "machine"
    shutil.copytree(TREE / "etc" / "systemd", folder / "units")
    shutil.copy(folder / "units" / WORKER, folder / "units" / WORKER.replace(".service", "@.service"))
    server.socket.parent.chmod(0o711)
    _user(folder / "etc")
    _configuration(folder / "etc" / "gpu-admin-panel", "worker", server, OF_THE_WORKER, WORKER_UID)
    _configuration(folder / "panel", "panel", server, OF_THE_PANEL, getpwnam(WEB_USER).pw_uid)
    with Machine(folder, tree, world / "assets", server.socket.parent) as machine:
        yield machine


def _user(etc):
    """adduser --system --group gpu-worker"""
    etc.mkdir()
    (etc / "passwd").write_text(
        _others("/etc/passwd") + f"gpu-worker:x:{WORKER_UID}:{WORKER_UID}::/nonexistent:/usr/sbin/nologin\n"
    )
    (etc / "group").write_text(_others("/etc/group") + f"gpu-worker:x:{WORKER_UID}:\n")


def _others(file):
    """The lines of all others: the machine of the tests may have a gpu-worker of its own."""
    lines = Path(file).read_text().splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("gpu-worker:"))


def _configuration(folder, who, server, more, uid):
    folder.mkdir()
    (folder / f"{who}.conf").write_text(CONFIGURATION.format(socket=server.socket.name, who=who) + more)
    for name, text in (
        (f"{who}.password", password(f"gpu_{who}")),
        (f"{who}.secret", "a secret that signs the forms of tests"),
    ):
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)
        os.chown(folder / name, uid, uid)


@pytest.fixture
def worker(machine):
    yield WORKER
    machine.forget(WORKER)


@pytest.fixture
def second_worker(machine):
    yield SECOND_WORKER
    machine.forget(SECOND_WORKER)


@pytest.fixture
def admin_db(server, emptied):
    """The tests' own view of the database, empty at first."""
    emptied()
    db = Database(server.admin("admin_panel"))
    yield db
    db.close()


@pytest.fixture
def queued(admin_db, world, bundle_ids, server):
    """The two sound bundles, queued by an operator; returns their sync_ids."""
    panel = Database(DatabaseSettings(unix_socket=str(server.socket), user="gpu_panel", password=password("gpu_panel")))
    worker_helpers.queue(panel, Mount(MountSettings(world / "assets" / "sync", world / "assets")), *bundle_ids[:2])
    panel.close()
    return bundle_ids[:2]


@pytest.fixture
def next_mail(machine):
    """Receive mails in the machine's network; return a function that waits for the text of the next one."""
    command = ["nsenter", f"--target={machine.pid}", "--net", "--", sys.executable, "-c", RECEIVE]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as receiver:
        assert receiver.stdout.readline() == "ready\n"
        yield lambda: json.loads(receiver.stdout.readline())
        receiver.stdin.close()


def jobs(db):
    return [(row["state"], row["attempts"]) for row in db.execute("SELECT state, attempts FROM import_job ORDER BY id")]


def restarted(machine, unit, before):
    """Once another process than `before` is up."""
    wait_until(lambda: machine.show(unit, "ActiveState") == "active" and machine.main_pid(unit) not in (0, before))


def test_the_worker_imports_with_every_restriction_in_force(machine, worker, queued, admin_db):
    machine.systemctl("start", worker)
    wait_until(lambda: jobs(admin_db) == [("completed", 1), ("completed", 1)])
    assert admin_db.execute("SELECT COUNT(*) AS n FROM asset_ai_run")[0]["n"] > 0
    assert {worker_helpers.batch(admin_db, sync_id)["status"] for sync_id in queued} == {"completed"}


def test_systemctl_status_says_what_the_worker_does(machine, worker, admin_db):
    machine.systemctl("start", worker)
    wait_until(lambda: machine.show(worker, "StatusText") == "waiting for jobs")


def slots(db):
    """The slots of the workers that beat."""
    return [row["slot"] for row in db.execute("SELECT slot FROM import_worker WHERE ended_at IS NULL ORDER BY slot")]


def test_the_number_of_a_unit_is_the_slot_of_its_worker(machine, worker, second_worker, admin_db):
    machine.systemctl("start", second_worker)
    wait_until(lambda: slots(admin_db) == [2])
    machine.systemctl("start", worker)
    wait_until(lambda: len(slots(admin_db)) == 2)


@pytest.mark.parametrize("unit", [WORKER, PANEL])
def test_a_service_runs_as_its_own_user_without_any_privilege(machine, unit):
    machine.systemctl("start", unit)
    status = fields(machine.main_pid(unit))
    uid = WORKER_UID if unit == WORKER else getpwnam(WEB_USER).pw_uid
    machine.forget(unit)
    assert set(status["Uid"].split()) == {str(uid)} and status["Groups"] in ("", str(uid))
    assert {status[name].strip("0") for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {""}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


@pytest.mark.parametrize("unit", [WORKER, PANEL])
@pytest.mark.parametrize("path", ["mnt/s3-sync/assets/sync", "opt/gpu-admin-panel/etc", "etc", "usr", "var/lib"])
def test_not_even_root_could_write_there_from_inside_a_service(machine, unit, path):
    machine.systemctl("start", unit)
    try:
        with pytest.raises(OSError, match="Read-only file system"):
            Path(f"/proc/{machine.main_pid(unit)}/root/{path}/written").touch()
    finally:
        machine.forget(unit)


def test_the_panel_cannot_look_at_the_workers_configuration(machine):
    machine.systemctl("start", PANEL)
    root = Path(f"/proc/{machine.main_pid(PANEL)}/root")
    assert (root / "opt/gpu-admin-panel/etc/panel.password").read_text() == password("gpu_panel")
    assert not any((root / "etc/gpu-admin-panel").iterdir())
    machine.forget(PANEL)


def test_stopping_finishes_the_transaction_in_hand_and_gives_the_job_back(machine, worker, queued, admin_db, server):
    [asset] = admin_db.execute(
        "SELECT asset_type, asset_hash FROM ingest_batch_item i JOIN import_job j USING (batch_id)"
        " WHERE j.id = (SELECT MIN(id) FROM import_job) AND i.position = 1"
    )
    rival = Database(
        DatabaseSettings(unix_socket=str(server.socket), user="gpu_worker", password=password("gpu_worker"))
    )
    with worker_helpers.held_back(admin_db, rival, SimpleNamespace(**asset)) as wait_for_import:
        machine.systemctl("start", worker)
        wait_for_import()
        machine.systemctl("stop", "--no-block", worker)
        wait_until(lambda: machine.show(worker, "ActiveState") == "deactivating")
    wait_until(lambda: machine.show(worker, "ActiveState") == "inactive")
    assert (machine.show(worker, "Result"), machine.show(worker, "ExecMainStatus")) == ("success", "0")
    assert jobs(admin_db) == [("queued", 0), ("queued", 0)]


def test_a_worker_that_hangs_is_killed_by_the_watchdog_and_started_anew(machine, worker, admin_db):
    machine.configure(worker, WatchdogSec="1s", RestartSec="10ms")
    machine.systemctl("start", worker)
    hung = machine.main_pid(worker)
    os.kill(hung, signal.SIGSTOP)
    restarted(machine, worker, hung)
    assert machine.show(worker, "NRestarts") == "1"


def test_a_worker_that_works_or_waits_is_left_alone_by_the_watchdog(machine, worker, admin_db):
    machine.configure(worker, WatchdogSec="1s")
    machine.systemctl("start", worker)
    moments = set()
    wait_until(lambda: moments.add(machine.show(worker, "WatchdogTimestampMonotonic")) or len(moments) > 4)
    assert machine.show(worker, "NRestarts") == "0"


def test_a_worker_that_is_killed_is_started_anew(machine, worker, admin_db):
    machine.configure(worker, RestartSec="10ms")
    machine.systemctl("start", worker)
    killed = machine.main_pid(worker)
    os.kill(killed, signal.SIGKILL)
    restarted(machine, worker, killed)


def test_a_worker_whose_configuration_is_broken_is_not_started_again_and_again(machine, worker):
    program = "/opt/gpu-admin-panel/bin/import-worker --config /etc/passwd"
    machine.configure(worker, RestartSec="10ms", ExecStart=f"\nExecStart={program}")
    machine.systemctl("start", worker, check=False)
    wait_until(lambda: machine.show(worker, "ActiveState") == "failed")
    assert (machine.show(worker, "NRestarts"), machine.show(worker, "ExecMainStatus")) == ("0", "2")


def test_the_panel_answers_on_loopback(machine, admin_db):
    machine.systemctl("start", PANEL)
    python = "/opt/gpu-admin-panel/venv/bin/python"
    answer = wait_until(lambda: machine.run(python, "-c", ASK, check=False))
    assert json.loads(answer)["user"] == {"name": "admin", "operator": True}
    machine.systemctl("stop", PANEL)
    assert machine.show(PANEL, "Result") == "success"


def test_the_panel_answers_cgi_programs_of_its_own_user_and_no_other(machine, admin_db):
    machine.systemctl("start", PANEL)
    ask = ["/opt/gpu-admin-panel/venv/bin/python", "-c", FORWARD_AS_CGI]
    as_web_user = ["runuser", "-u", WEB_USER, "--", *ask]
    wait_until(lambda: "Status: 200 OK" in machine.run(*as_web_user))
    assert machine.run(*ask).strip() == "None"  # which is root's
    machine.systemctl("stop", PANEL)
    assert machine.run(*as_web_user).strip() == "None"


def test_a_scan_by_the_timer_records_what_is_new_and_queues_nothing(machine, admin_db, bundle_ids):
    machine.systemctl("start", TIMER)
    assert machine.show(TIMER, "Triggers") == SCAN and machine.show(TIMER, "NextElapseUSecRealtime")
    machine.systemctl("stop", TIMER)
    machine.systemctl("start", SCAN)
    counts = admin_db.execute("SELECT actor, COUNT(*) AS events FROM ingest_event GROUP BY actor")
    assert counts == [{"actor": "timer", "events": len(bundle_ids)}]
    assert jobs(admin_db) == []


def test_the_timer_of_notify_sends_what_failed_with_every_restriction_in_force(machine, admin_db, next_mail):
    machine.systemctl("start", NOTIFY_TIMER)
    assert machine.show(NOTIFY_TIMER, "Triggers") == NOTIFY
    machine.systemctl("stop", NOTIFY_TIMER)
    admin_db.execute("INSERT INTO ingest_batch (id, sync_id, last_error) VALUES (1, UUID(), 'the disk is on fire')")
    admin_db.execute("INSERT INTO ingest_notice (batch_id, kind) VALUES (1, 'failed')")
    machine.systemctl("start", NOTIFY)
    assert machine.show(NOTIFY, "Result") == "success"
    assert "the disk is on fire" in next_mail()
    assert admin_db.execute("SELECT id FROM ingest_notice WHERE sent_at IS NULL") == []


def test_a_worker_that_systemd_gives_up_is_told(machine, worker, next_mail):
    program = "/opt/gpu-admin-panel/bin/import-worker --config /etc/passwd"
    machine.configure(worker, ExecStart=f"\nExecStart={program}")
    machine.systemctl("start", worker, check=False)
    text = next_mail()
    assert text.startswith(f"The unit {WORKER} on ") and "failed: exit-code, exited, 2." in text


def test_no_process_shows_a_password_to_the_list_of_processes(machine, worker, admin_db):
    machine.systemctl("start", WORKER, PANEL)
    shown = [Path(f"/proc/{pid}/{file}").read_bytes() for pid in machine.processes() for file in ("cmdline", "environ")]
    machine.forget(PANEL)
    assert any(b"import-worker" in text for text in shown) and any(b"gpupanel" in text for text in shown)
    assert not any(b"secret'" in text for text in shown)


@pytest.mark.parametrize(("unit", "conf"), [
    (SCAN, "/opt/gpu-admin-panel/etc/panel.conf"), (WORKER, "/etc/gpu-admin-panel/worker.conf"),
])
def test_doctor_is_silent_on_an_installation_by_the_manual(machine, second_worker, admin_db, unit, conf):
    machine.systemctl("start", second_worker)
    wait_until(lambda: slots(admin_db))
    file = machine.folder / f"doctor-{unit}.json"
    command = f"/opt/gpu-admin-panel/bin/gpupanel doctor --json --config {conf}"
    machine.configure(
        unit, Type="oneshot", Restart="no", ExecStart=f"\nExecStart={command}", StandardOutput=f"file:{file}"
    )
    machine.systemctl("start", unit)
    machine.forget(unit)
    findings = json.loads(file.read_text())
    assert len(findings) > 20
    assert [finding for finding in findings if finding["level"] != "ok"] == []
