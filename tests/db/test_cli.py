"""Each command of bin/gpupanel against a real database and a real mount: its text, its JSON, its exit status."""

import getpass
import json
import os
import pty
import re
import subprocess
import sys

import installation
import preloaded_programs
import pytest
from constants import GPUPANEL, TREE
from gpupanel import ledger
from gpupanel.cli.output import format_age
from gpupanel.devtools.mariadb_server import MariaDBServer, THROWAWAY

UNKNOWN = "37e428d2-a4f6-4a31-bacf-0c835fb24084"


@pytest.fixture
def command(admin_db, panel_conf):
    def run(*args, stdin=""):
        return preloaded_programs.run([GPUPANEL, "--config", panel_conf, *args], input=stdin)

    return run


@pytest.fixture
def as_json(command):
    """(exit status, decoded standard output) of a command with --json."""

    def run(*args, **options):
        answer = command(*args, "--json", **options)
        return answer.returncode, json.loads(answer.stdout)

    return run


@pytest.fixture
def scanned(bundles, command):
    """A bundle of three photos that a scan has recorded."""
    sync_id = bundles.bundle("three", bundles.assets("three", 3))
    assert command("scan").returncode == 0
    return sync_id


def events(db, sync_id):
    """event_type -> actor, the newest of each type."""
    batch = db.run_read(ledger.get_batch, sync_id)
    return {event["event_type"]: event["actor"] for event in reversed(db.run_read(ledger.list_events, batch["id"]))}


# -------------------------------------------------------------------------------------------------------- scan


def test_scan_reports_new_known_and_skipped_bundles_with_the_reason(bundles, assets_dir, as_json, command):
    new = bundles.bundle("new", bundles.assets("new", 1))
    waiting = bundles.bundle("waiting", bundles.assets("waiting", 1), status="processing")
    (assets_dir / "sync" / "notes\x1b[2J.ready").touch()
    status, report = as_json("scan")
    assert status == 0
    assert report["discovered"] == [new]
    assert list(report["passed_over"]) == [waiting]
    assert "processing" in report["passed_over"][waiting]
    assert report["strays"] == ["notes\\x1b[2J.ready"]
    assert (report["sentinels"], report["known"], report["left"]) == (2, 0, [])
    again = command("scan").stdout
    assert "2 found: 0 new, 1 known, 1 skipped." in again
    assert f"{waiting}  status: found \"processing\", expected completed" in again
    assert "notes\\x1b[2J.ready" in again and "\x1b" not in again


def test_a_quiet_scan_prints_only_new_bundles(bundles, command):
    assert command("scan", "--quiet").stdout == ""
    sync_id = bundles.bundle("new", bundles.assets("new", 1))
    assert sync_id in command("scan", "--quiet").stdout
    assert command("scan", "--quiet").stdout == ""


def test_a_mount_that_is_gone_is_refused_and_nothing_is_changed(command, assets_dir, scanned, panel_db):
    (assets_dir / "sync").rename(assets_dir / "elsewhere")
    answer = command("scan")
    assert answer.returncode == 1
    assert "Check that the mount is present" in answer.stderr
    assert panel_db.run_read(ledger.get_batch, scanned)["status"] == "discovered"


# --------------------------------------------------------------------------------------------- preflight, queue


def test_preflight_counts_what_would_happen(scanned, as_json, command):
    status, [outcome] = as_json("preflight", scanned)
    assert status == 0
    assert outcome["sync_id"] == scanned and outcome["ok"] is True and outcome["item_count"] == 3
    assert outcome["counts"]["will_create"] == 3
    assert command("preflight", scanned).stdout == f"{scanned}  passed: 3 will_create\n"


def test_preflight_although_older_is_recorded_until_the_next_preflight(scanned, command, admin_db):
    for options, recorded in ((["--although-older"], 1), ([], 0)):
        assert command("preflight", *options, scanned).returncode == 0
        assert admin_db.execute("SELECT although_older FROM ingest_batch") == [{"although_older": recorded}]


def test_preflight_names_what_is_wrong_and_exits_1(bundles, command, as_json):
    bundles.bundle("there", bundles.assets("there", 1))
    sync_id = bundles.bundle("lost", bundles.assets("lost", 2), files=False)
    command("scan")
    answer = command("preflight", sync_id)
    assert answer.returncode == 1
    assert f"{sync_id}  failed\n  all 2 items would fail: " in answer.stdout
    assert answer.stdout.endswith("\n  Ask upstream to fix and resend the bundle.\n")
    status, [unknown] = as_json("preflight", UNKNOWN)
    assert status == 1
    assert unknown["problems"] == [f"Batch {UNKNOWN} is not recorded."]
    assert "Scan the mount first" in unknown["hint"]


def test_queue_reports_each_batch_and_exits_1_if_one_was_refused(scanned, as_json, command):
    status, [outcome] = as_json("queue", scanned, "--priority", "-7")
    assert status == 0
    assert outcome["sync_id"] == scanned and outcome["problem"] is None
    answer = command("queue", scanned, UNKNOWN)
    assert answer.returncode == 1
    assert f"{scanned}  not queued\n  Batch {scanned} is queued already, as job {outcome['job_id']}." in answer.stdout
    assert f"{UNKNOWN}  not queued\n  Batch {UNKNOWN} is not recorded." in answer.stdout
    _, output = as_json("status")
    assert [job["priority"] for job in output["waiting"]] == [-7]


def test_retry_queues_what_failed_and_refuses_where_nothing_did(scanned, as_json, command, admin_db):
    answer = command("retry", scanned)
    assert answer.returncode == 1
    assert f"{scanned}  not queued\n  Batch {scanned} is discovered: it has not been imported yet." in answer.stdout
    command("preflight", scanned)
    admin_db.execute("UPDATE ingest_batch SET status = 'partial'")
    admin_db.execute("UPDATE ingest_batch_item SET decision = IF(position = 1, 'failed', 'created')")
    status, [outcome] = as_json("retry", scanned, "--priority", "3")
    assert (status, outcome["sync_id"], outcome["problem"]) == (0, scanned, None)
    [job] = as_json("status")[1]["waiting"]
    assert (job["id"], job["items_total"], job["priority"]) == (outcome["job_id"], 1, 3)


@pytest.mark.parametrize(
    "asking, verdict", [("preflight", "not preflighted"), ("queue", "not queued"), ("retry", "not queued")]
)
def test_a_bundle_that_is_gone_is_refused_with_what_to_do(
    scanned, as_json, command, admin_db, assets_dir, asking, verdict
):
    admin_db.execute("UPDATE ingest_batch SET status = 'partial'")
    (assets_dir / "sync" / f"{scanned}.json").unlink()
    refusal = f"{scanned}.json is not on the mount; the batch stays as it is: partial."
    answer = command(asking, scanned)
    assert answer.returncode == 1
    assert answer.stdout.startswith(f"{scanned}  {verdict}\n  {refusal}\n  Restore the bundle")
    status, [outcome] = as_json(asking, scanned)
    assert status == 1
    assert refusal in (outcome["problem"] if "problem" in outcome else outcome["problems"][0])
    assert outcome["hint"].startswith("Restore the bundle")
    assert admin_db.execute("SELECT status FROM ingest_batch") == [{"status": "partial"}]


def test_bundles_can_be_named_on_standard_input(bundles, command, as_json):
    wanted = [bundles.bundle(name, bundles.assets(name, 1)) for name in ("one", "two")]
    command("scan")
    status, outcomes = as_json("queue", "-", stdin="\n".join(wanted + wanted[:1]) + "\n")
    assert status == 0
    assert [outcome["sync_id"] for outcome in outcomes] == wanted
    bad = command("preflight", "-", stdin="no-such-id\n")
    assert bad.returncode == 2
    assert "Not a sync_id: no-such-id" in bad.stderr


@pytest.mark.parametrize("asking", ["show", "preflight", "queue"])
def test_an_invalid_sync_id_is_a_usage_error_that_describes_a_valid_one(command, asking):
    answer = command(asking, "zz")
    assert answer.returncode == 2
    assert answer.stderr.startswith(
        "gpupanel: Not a sync_id: zz\nA sync_id is the name of a bundle, a UUID in lower case"
    )


def test_a_command_records_the_login_name_or_the_given_name_as_actor(scanned, command, panel_db):
    command("preflight", scanned)
    command("queue", scanned, "--as", "Grace Hopper")
    actors = events(panel_db, scanned)
    assert actors["preflight_finished"] == getpass.getuser()
    assert actors["job_queued"] == "Grace Hopper"


def test_cancel_takes_a_queued_job_back_and_refuses_any_other(scanned, as_json, command, panel_db):
    _, [queued] = as_json("queue", scanned)
    assert as_json("cancel", queued["job_id"]) == (0, {"job_id": queued["job_id"], "sync_id": scanned})
    assert panel_db.run_read(ledger.get_batch, scanned)["status"] == "preflight_passed"
    again = command("cancel", queued["job_id"])
    assert again.returncode == 1
    assert f"Job {queued['job_id']} is canceled already." in again.stderr
    unknown = command("cancel", 2**40)
    assert unknown.returncode == 1
    assert "bin/gpupanel status lists the running and queued jobs" in unknown.stderr


def test_cancelling_a_running_job_is_refused_with_how_to_stop_it(scanned, as_json, command, admin_db):
    _, [queued] = as_json("queue", scanned)
    admin_db.execute("UPDATE import_job SET state = 'running', worker = 'host:1', heartbeat_at = NOW(6)")
    answer = command("cancel", queued["job_id"])
    assert answer.returncode == 1
    assert "Only stopping its worker ends it" in answer.stderr


# --------------------------------------------------------------------------------------------------------- plan


def test_plan_shows_the_library_after_several_batches_and_writes_nothing(bundles, command, as_json, admin_db):
    photos = list(bundles.assets("two", 2))
    first = bundles.bundle("first", photos, [bundles.container("gallery", "Album", photos)])
    later = bundles.bundle("later", [photos[0]._replace(title="Later\x1b[2J")], action="update", prior_sync_id=first)
    command("scan")
    before = admin_db.execute("SELECT * FROM ingest_event ORDER BY id")
    answer = command("plan", later, first)
    assert answer.returncode == 0, answer.stderr
    lines = [" ".join(line.split()) for line in answer.stdout.splitlines()]
    assert lines[:4] == [
        "2 batches, in the order of their import:", "# SYNC_ID ACTION ITEMS ASSETS",
        f"1 {first} create 2 2 created", f"2 {later} update 1 1 updated",
    ]
    assert "photo 2 created" in lines and "gallery 1 created" in lines
    assert re.search(r" title #1 sets .+; #2 sets Later", " ".join(lines))
    assert max(map(len, answer.stdout.splitlines())) <= 100
    assert "\x1b" not in answer.stdout
    status, output = as_json("plan", first, later)
    assert status == 0 and output["complete"] and output["library"]["photo"] == {"created": 2}
    assert admin_db.execute("SELECT * FROM ingest_event ORDER BY id") == before


def test_plan_names_what_would_not_be_imported_and_exits_with_1(bundles, command, scanned):
    bad = bundles.bundle("bad", bundles.assets("bad", 1), files=False)
    command("scan")
    answer = command("plan", scanned, bad)
    assert answer.returncode == 1
    assert f"Not imported: {bad}: its only item would fail" in answer.stdout


# ---------------------------------------------------------------------------------------------------- reconcile


def test_reconcile_lists_what_differs_queues_what_mends_it_and_exits_with_0_when_nothing_does(
    scanned, command, as_json, admin_db, bring
):
    status, output = as_json("reconcile")
    assert status == 1 and [each["what"] for each in output["differences"]] == ["missing"] * 3
    assert output["never_imported"] == 1 and output["counts"] == {"missing": {"photo": 3}} and not output["queued"]
    bring(scanned)
    assert as_json("reconcile")[0] == 0
    admin_db.execute("UPDATE asset SET deleted_at = NOW(6) ORDER BY id LIMIT 1")
    answer = command("reconcile", "--queue")
    assert answer.returncode == 1 and "removed here, live upstream" in answer.stdout
    assert f"mended by {scanned} (completed)" in answer.stdout and f"{scanned}  queued as job " in answer.stdout
    status, output = as_json("reconcile", "--limit", 0)
    assert status == 1 and output["differences"] == [] and output["active_jobs"] == 1
    bring()
    answer = command("reconcile")
    assert answer.returncode == 0 and answer.stdout.endswith("The library is as upstream says.\n")


def test_reconcile_names_manifests_that_it_cannot_read_and_exits_with_1(scanned, command, bring, bundles):
    bring(scanned)
    bad = bundles.bundle("bad", [], spoil=lambda text: b"{")
    answer = command("reconcile")
    assert answer.returncode == 1 and f"not read: {bad}: " in answer.stdout


# ------------------------------------------------------------------------------------------------- status, show


def test_status_counts_batches_and_jobs_and_lists_those_that_run(scanned, as_json, command, admin_db):
    command("queue", scanned)
    admin_db.execute(
        "UPDATE import_job SET state = 'running', worker = 'host:1', claim_token = REPEAT('a', 32),"
        " claimed_at = NOW(6)"
    )
    status, output = as_json("status")
    assert status == 0
    assert output["batches"]["queued"] == 1 and sum(output["batches"].values()) == 1
    assert output["jobs"] == {"queued": 0, "running": 1, "completed": 0, "failed": 0, "canceled": 0, "held": 0}
    [job] = output["running"]
    assert (job["sync_id"], job["worker"], job["items_total"]) == (scanned, "host:1", 3)
    assert job["queued_at"].endswith("Z")
    assert "claim_token" not in job
    lines = [line.split() for line in command("status").stdout.splitlines()]
    assert ["JOB", "SYNC_ID", "DONE", "PRIORITY", "REQUESTED", "BY", "WORKER", "LAST", "HEARTBEAT"] in lines
    assert [str(job["id"]), scanned, "0/3", "100", getpass.getuser(), "host:1", "-"] in lines


def test_status_shows_the_age_of_the_last_heartbeat(scanned, as_json, command, admin_db):
    command("queue", scanned)
    admin_db.execute(
        "UPDATE import_job SET state = 'running', worker = 'host:1', claim_token = REPEAT('a', 32),"
        " heartbeat_at = NOW(6) - INTERVAL 90030 SECOND"
    )
    assert "host:1, late  1 d 1 h ago\n" in command("status").stdout
    [job] = as_json("status")[1]["running"]
    assert 90030 <= job["heartbeat_age"] < 93600 and job["is_late"] is True
    admin_db.execute("UPDATE import_job SET heartbeat_at = NULL")
    assert "host:1, late  -\n" in command("status").stdout
    assert as_json("status")[1]["running"][0]["heartbeat_age"] is None


def test_status_shows_why_a_worker_released_a_job(scanned, as_json, command, admin_db):
    command("queue", scanned)
    assert "the mount is gone" not in command("status").stdout
    admin_db.execute("UPDATE import_job SET worker = 'host:1', last_error = 'the mount is gone'")
    assert "host:1  the mount is gone\n" in command("status").stdout
    assert as_json("status")[1]["waiting"][0]["last_error"] == "the mount is gone"


@pytest.mark.parametrize("seconds, told", [
    (-3, "0 s ago"), (0, "0 s ago"), (59.9, "59 s ago"), (60, "1 min ago"), (125, "2 min 5 s ago"),
    (7500, "2 h 5 min ago"), (86400, "1 d ago"), (86460, "1 d ago"),
])
def test_an_age_has_its_two_largest_units(seconds, told):
    assert format_age(seconds) == told


def test_show_prints_facts_plan_jobs_items_and_events(scanned, as_json, command):
    command("queue", scanned)
    status, output = as_json("show", scanned, "--items", "2")
    assert status == 0
    assert output["batch"]["sync_id"] == scanned and output["batch"]["plan"]["will_create"] == 3
    assert output["decisions"] == {"will_create": 3}
    assert [job["state"] for job in output["jobs"]] == ["queued"]
    assert len(output["items"]) == 2
    assert [event["event_type"] for event in output["events"]] == [
        "job_queued", "preflight_finished", "preflight_started", "scan",
    ]
    text = command("show", scanned, "--items", "2").stdout
    for headings in ("TYPE ASSET HASH TITLE DECISION REASON", "TIME (UTC) EVENT ACTOR WHAT HAPPENED"):
        assert headings.split() in [line.split() for line in text.splitlines()]
    assert "status           queued" in text and "plan             3 will_create" in text
    assert "and 1 more" in text
    assert command("show", UNKNOWN).returncode == 1


def test_show_prints_why_a_job_is_held_and_until_when(scanned, as_json, command, admin_db):
    _, [queued] = as_json("queue", scanned)
    assert "Held" not in command("show", scanned).stdout
    assert command("hold", queued["job_id"], "--reason", "after the press release").returncode == 0
    admin_db.execute("UPDATE import_job SET not_before = '2031-02-03 04:05:06'")
    output = command("show", scanned).stdout
    held = output[output.index("Held"):].splitlines()
    row = next(line for line in held if line.split()[:1] == [str(queued["job_id"])])
    assert "operator" in row and "after the press release" in row and "2031-02-03 04:05:06" in row


# ----------------------------------------------------------------------------------------------- init-db, doctor


def test_init_db_says_what_it_made_and_then_that_nothing_was_missing(tmp_path):
    with MariaDBServer(installation.prepared(tmp_path / "mariadb"), *THROWAWAY) as server:
        conf = tmp_path / "admin.conf"
        conf.write_text(f"[database]\nunix_socket = {server.socket}\nuser = {getpass.getuser()}\nname = made_here\n")
        init = [sys.executable, str(TREE / "bin" / "gpupanel"), "init-db", "--config", str(conf)]
        first = subprocess.run(init, capture_output=True, text=True)
        again = subprocess.run([*init, "--json"], capture_output=True, text=True)
    assert first.returncode == 0
    assert "table ingest_batch" in first.stdout and "ALTER USER gpu_panel@localhost" in first.stdout
    assert json.loads(again.stdout) == {"database": "made_here", "made": [], "accounts": ["gpu_panel", "gpu_worker"]}


def test_init_db_with_an_account_that_may_not_create_is_refused(command):
    answer = command("init-db")
    assert answer.returncode == 1
    assert "denied" in answer.stderr
    assert "Use an account that may create databases, tables and users." in answer.stderr


# ------------------------------------------------------------------------------------------------------ manners


def test_progress_is_drawn_on_a_terminal_only(scanned, panel_conf):
    ours, theirs = pty.openpty()
    command = [sys.executable, str(TREE / "bin" / "gpupanel"), "--config", str(panel_conf), "preflight", scanned]
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        assert subprocess.run(command, stderr=theirs, stdout=subprocess.DEVNULL).returncode == 0
        os.close(theirs)
        assert b"preflight 1/1" in terminal.read(1000)


def test_a_closed_pipe_is_no_error(scanned, panel_conf):
    command = [sys.executable, str(TREE / "bin" / "gpupanel"), "--config", str(panel_conf), "show", scanned]
    left, right = os.pipe()
    os.close(left)
    answer = subprocess.run(command, stdout=right, stderr=subprocess.PIPE, text=True)
    os.close(right)
    assert answer.stderr == ""


def test_a_closed_standard_output_is_refused_in_one_line_before_anything_is_done(scanned, panel_conf, panel_db):
    program = f"{sys.executable} {TREE}/bin/gpupanel --config {panel_conf}"
    answer = subprocess.run(["sh", "-c", f"{program} queue {scanned} >&-"], stderr=subprocess.PIPE, text=True)
    assert answer.returncode == 1
    assert answer.stderr == "gpupanel: standard output is closed. Redirect it to a file or to /dev/null.\n"
    assert panel_db.run_read(ledger.get_batch, scanned)["status"] == "discovered"


@pytest.mark.parametrize("arguments, redirection, status", [
    ("list", "2>&-", 0), ("preflight -", "<&-", 2), ("list", ">/dev/full", 1), ("--help", "| true", 0),
])
def test_other_closed_or_full_streams_give_no_traceback(scanned, panel_conf, arguments, redirection, status):
    program = f"{sys.executable} {TREE}/bin/gpupanel --config {panel_conf} {arguments} {redirection}"
    answer = subprocess.run(["bash", "-c", program], capture_output=True, text=True)
    assert answer.returncode == status
    assert "Traceback" not in answer.stderr and "Exception ignored" not in answer.stderr


def test_a_user_id_without_a_login_name_is_asked_for_a_name(scanned, panel_conf):
    """With an empty /etc/passwd, as in a container that runs under any user id."""
    arguments = ["gpupanel", "--config", str(panel_conf)]
    start = "import pwd, runpy, sys; pwd.getpwuid = {}.__getitem__; sys.argv = "
    environ = {
        name: value for name, value in os.environ.items() if name not in ("LOGNAME", "USER", "LNAME", "USERNAME")
    }

    def preflight(*options):
        program = str(TREE / "bin" / "gpupanel")
        run = f"{start}{[*arguments, *options, 'preflight', scanned]}; runpy.run_path({program!r}, run_name='__main__')"
        return subprocess.run([sys.executable, "-c", run], capture_output=True, text=True, env=environ)

    refused = preflight()
    assert refused.returncode == 2
    assert (
        refused.stderr
        == f"gpupanel: The user id {os.getuid()} has no login name to record.\nName the actor with --as NAME.\n"
    )
    assert preflight("--as", "admin").returncode == 0


# --------------------------------------------------------------------------------------------------------- seen


def test_batches_are_marked_as_seen_and_the_others_say_why_not(scanned, command, as_json, admin_db, panel_db):
    admin_db.execute("UPDATE ingest_batch SET status = 'partial'")
    assert command("list", "--attention", "new", "--ids").stdout == f"{scanned}\n"
    answer = command("--as", "ada", "seen", "-", stdin=scanned)
    assert (answer.returncode, answer.stdout) == (0, f"{scanned}  marked as seen: partial\n")
    assert events(panel_db, scanned)["attention_seen"] == "ada"
    assert command("list", "--attention", "new", "--ids").stdout == ""
    status, [again, missing] = as_json("seen", scanned, UNKNOWN)
    assert status == 1 and again["problem"] == f"Batch {scanned} was seen by ada already."
    assert (missing["sync_id"], missing["reasons"]) == (UNKNOWN, []) and UNKNOWN in missing["problem"]
    assert command("seen", scanned).stdout.startswith(f"{scanned}  not marked\n  Batch {scanned} was seen by ada")


# ------------------------------------------------------------------------------------------------ holds and pause


def test_a_job_is_held_reprioritised_and_released(scanned, command, as_json):
    command("queue", scanned)
    [job] = as_json("status")[1]["waiting"]
    assert command("hold", job["id"], "--reason", "wait").returncode == 0
    assert command("priority", job["id"], -3).returncode == 0
    [held] = as_json("status")[1]["held"]
    assert (held["id"], held["hold"], held["priority"]) == (job["id"], "operator", -3)
    assert held["hold_reason"].endswith(": wait")
    assert "operator" in command("status").stdout and "Held" in command("status").stdout
    assert as_json("release", job["id"])[1] == {"job_id": job["id"], "state": "queued", "hold_reason": None}
    again = command("release", job["id"])
    assert (again.returncode, "is queued, not held" in again.stderr) == (1, True)


def test_the_queue_is_paused_with_a_reason_and_resumed(command, as_json):
    assert command("pause").returncode == 2
    assert command("--as", "ada", "pause", "--reason", "the library moves").returncode == 0
    assert as_json("status")[1]["paused"]["reason"] == "the library moves"
    assert command("status").stdout.startswith("The queue is paused by ada since ")
    again = command("--as", "ben", "pause", "--reason", "lunch")
    assert again.returncode == 1 and "ada paused the queue already, at " in again.stderr
    assert "UTC: the library moves." in again.stderr
    assert as_json("status")[1]["paused"]["paused_by"] == "ada"
    assert command("resume").stdout == "The queue is resumed.\n"
    assert as_json("resume") == (0, {"paused": False, "was_paused": False})
    assert as_json("status")[1]["paused"] is None


def test_status_tells_which_workers_live(command, as_json, admin_db):
    assert as_json("status")[1]["workers_alive"] == 0
    assert command("status").stdout.startswith("No worker is alive\n")
    admin_db.execute(
        "INSERT INTO import_worker (host, slot, pid, boot, seen_at)"
        " VALUES ('a', 1, 7, 'x', NOW(6)), ('a', 2, 8, 'y', NOW(6) - INTERVAL 46 SECOND)"
    )
    output = as_json("status")[1]
    assert output["workers_alive"] == 1
    assert {worker["pid"]: worker["state"] for worker in output["workers"]} == {7: "idle", 8: "late"}
