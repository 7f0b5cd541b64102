"""Commands that wait, watch and follow: what they print, how they end, and what a signal or a closed pipe does."""

import json
import os
import pty
import signal
import subprocess
import sys
import threading

import pytest
import worker_helpers
from constants import TREE
from gpupanel import job_queue, ledger, services
from gpupanel.db import Database
from gpupanel.devtools.bundle_factory import defects
from gpupanel.search import events
from worker_helpers import wait_until


@pytest.fixture
def start(panel_conf, admin_db):
    """Start a command as a process, which ends with the test."""
    started = []

    def start(*arguments, **options):
        command = [sys.executable, str(TREE / "bin" / "gpupanel"), *map(str, arguments), "--config", str(panel_conf)]
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | options
        started.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, **options))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def finish(process):
    """(exit status, standard output, standard error) of a process."""
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@pytest.fixture
def lines_of():
    """Collect the lines of a process as they come."""

    def lines_of(process):
        lines = []
        threading.Thread(target=lambda: lines.extend(process.stdout), daemon=True).start()
        return lines

    return lines_of


@pytest.fixture
def queued(bundles, panel_db, mount):
    """Two queued bundles, of three photos and of two, one of which has a defect."""
    good = bundles.bundle("good", bundles.assets("good", 3))
    bad = bundles.bundle("bad", bundles.assets("bad", 2, broken={1: defects.broken_source}))
    worker_helpers.queue(panel_db, mount, good, bad)
    return good, bad


# -------------------------------------------------------------------------------------------------------- wait


def test_wait_ends_with_the_jobs_and_its_status_says_how_they_ended(start, queued, worker_conf):
    good, bad = queued
    process, alone = start("wait", good, bad, "--json"), start("wait", good)
    worker_helpers.drain(worker_conf)
    status, out, err = finish(process)
    assert (status, err) == (1, "")
    first, second = json.loads(out)
    assert (first["sync_id"], first["status"], first["is_done"], first["reason"]) == (good, "completed", True, None)
    assert (second["sync_id"], second["status"], second["items_done"]) == (bad, "partial", 2)
    assert "1 of 2 items failed" in second["reason"]
    status, out, _ = finish(alone)
    assert "gpupanel retry" not in out
    assert status == 0 and out.splitlines()[0].split() == ["SYNC_ID", "STATUS", "DONE", "JOB", "BECAUSE"]
    assert f"{good}  completed  3/3" in out


def test_wait_gives_up_in_time_with_a_status_of_its_own(start, queued, panel_db):
    [job, _] = panel_db.run_read(job_queue.list_queued)
    panel_db.run_transaction(job_queue.hold, job["id"], "ann", "after the press release")
    status, out, _ = finish(start("wait", *queued, "--timeout", "0"))
    assert status == 3
    assert "queued" in out and "held by ann: after the press release" in out
    assert "no worker is alive" in out  # of the other job
    panel_db.run_transaction(job_queue.pause, "ann", "the library moves")
    status, out, _ = finish(start("wait", *queued, "--timeout", "0"))
    assert status == 3 and "the queue is paused by ann: the library moves" in out


def test_wait_names_a_late_worker_also_while_another_one_is_alive(start, queued, worker_db, admin_db):
    first, second = (worker_helpers.take(worker_db, letter) for letter in "ab")
    admin_db.execute(
        "UPDATE import_job SET heartbeat_at = NOW(6) - INTERVAL 135 SECOND WHERE id = %(id)s", id=first.job_id
    )
    status, out, _ = finish(start("wait", *queued, "--timeout", "0", "--json"))
    rows = {row["job_id"]: row["reason"] for row in json.loads(out)}
    assert status == 3 and rows[second.job_id] is None
    assert rows[first.job_id].startswith(f"its worker {worker_helpers.HOST} is late: no heartbeat for 2 min 1")
    admin_db.execute("UPDATE import_job SET heartbeat_at = NULL, claimed_at = NULL WHERE id = %(id)s", id=first.job_id)
    _, out, _ = finish(start("wait", *queued, "--timeout", "0"))
    assert "is late: no heartbeat; another worker takes the job over" in out


def test_wait_names_the_next_step_once_for_batches_that_failed(start, queued, worker_conf):
    worker_helpers.drain(worker_conf)
    status, out, _ = finish(start("wait", *queued))
    assert status == 1 and out.count("gpupanel retry SYNC_ID") == 1


@pytest.mark.parametrize("prepare, because", [
    (lambda db, job: None, None), (lambda db, job: db.run_transaction(job_queue.cancel, job, "ann"), "was canceled"),
])
def test_wait_for_a_batch_that_nobody_queued_ends_at_once(start, queued, panel_db, bundles, mount, prepare, because):
    [job, _] = panel_db.run_read(job_queue.list_queued)
    sync_id = job["sync_id"]
    prepare(panel_db, job["id"])
    if because is None:
        sync_id, because = bundles.bundle("new", bundles.assets("new", 1)), "it was not queued"
        services.scan_mount(panel_db, mount, "ann")
    status, out, _ = finish(start("wait", sync_id))
    assert status == 1 and because in out


def test_wait_refuses_a_bundle_that_is_not_recorded(start):
    status, _, err = finish(start("wait", "37e428d2-a4f6-4a31-bacf-0c835fb24084"))
    assert status == 1 and "is not recorded" in err


def test_wait_draws_its_progress_by_items_on_a_terminal(start, queued, admin_db):
    admin_db.execute("UPDATE import_job SET items_done = 2 WHERE items_total = 3")
    ours, theirs = pty.openpty()
    start("wait", *queued, stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        assert b"items 2/5 [" in terminal.read(1000)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_command_that_waits_with_one_line(start, queued, number):
    ours, theirs = pty.openpty()
    process = start("wait", *queued, stderr=theirs)
    os.close(theirs)
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        assert terminal.read(1000)  # its progress
        process.send_signal(number)
        assert process.wait(60) == 130
        last_lines = terminal.read(1000).decode()
    assert last_lines.endswith("Stopped.\r\n") and "Traceback" not in last_lines
    assert process.stdout.read() == ""


@pytest.mark.parametrize("arguments", [["events", "--follow"], ["status", "--watch"]])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_command_that_follows_with_one_line(start, queued, lines_of, arguments, number):
    process = start(*arguments)
    lines = lines_of(process)
    wait_until(lambda: lines)
    process.send_signal(number)
    assert process.wait(60) == 130
    assert process.stderr.read() == "\nStopped.\n"


# ------------------------------------------------------------------------------------------------------ status


def test_status_is_printed_again_and_again_for_a_program_as_a_line_of_json(start, queued, lines_of, worker_conf):
    lines = lines_of(start("status", "--watch", "--json"))
    wait_until(lambda: lines)
    assert json.loads(lines[0])["jobs"]["queued"] == 2
    worker_helpers.drain(worker_conf)
    wait_until(lambda: json.loads(lines[-1])["jobs"]["completed"] == 2)


def test_status_clears_a_terminal_before_it_prints_again(start, queued):
    ours, theirs = pty.openpty()
    start("status", "--watch", stdout=theirs)
    os.close(theirs)
    screen = b""
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        while screen.count(b"\033[H\033[J") < 2:
            screen += terminal.read(1000)
    assert b"every 2 s; Ctrl-C ends this" in screen


@pytest.mark.parametrize("arguments", [["events", "--follow"], ["status", "--watch"]])
def test_the_end_of_the_reader_ends_a_command_that_follows(start, queued, arguments):
    process = start(*arguments)
    assert process.stdout.readline()
    process.stdout.close()
    process.stdout = None
    assert process.wait(60) == 1
    assert process.stderr.read() == ""


# ------------------------------------------------------------------------------------------------------ events


def test_events_are_listed_by_batch_type_person_and_day(start, queued, admin_db):
    good, _ = queued
    status, out, _ = finish(start("events", "--batch", good, "--event", "job_queued", "--actor", "operator", "--json"))
    assert status == 0
    [event] = json.loads(out)["events"]
    assert (event["event_type"], event["sync_id"], event["actor"]) == ("job_queued", good, "operator")
    day = admin_db.execute("SELECT DATE(NOW()) AS day")[0]["day"]
    assert len(json.loads(finish(start("events", "--day", day, "--json"))[1])["events"]) == 8
    assert json.loads(finish(start("events", "--day", "2020-01-01", "--json"))[1])["events"] == []
    assert finish(start("events", "--actor", "nobody"))[1] == "No event matches.\n"


def test_events_are_read_page_by_page(start, queued):
    status, out, _ = finish(start("events", "--limit", "5"))
    lines = out.splitlines()
    assert status == 0 and lines[0].split()[:2] == ["ID", "TIME"]
    cursor = lines[-1].removeprefix("Next page: --before ")
    following = finish(start("events", "--limit", "5", "--before", cursor))[1].splitlines()
    ids = [int(line.split()[0]) for line in lines[1:-1] + following[1:]]
    assert ids == sorted(ids, reverse=True) and len(ids) == len(set(ids)) == 8


def test_events_are_printed_as_they_come_and_each_once(start, queued, lines_of, panel_db):
    lines = lines_of(start("events", "--follow", "--json", "--limit", "3"))
    wait_until(lambda: len(lines) == 3)
    shown = [json.loads(line) for line in lines]
    assert [event["id"] for event in shown] == sorted(event["id"] for event in shown)
    [job, _] = panel_db.run_read(job_queue.list_queued)
    panel_db.run_transaction(job_queue.set_priority, job["id"], 7, "ann\x1b[2J")
    wait_until(lambda: len(lines) == 4)
    panel_db.run_transaction(job_queue.cancel, job["id"], "ann")
    wait_until(lambda: len(lines) == 5)
    assert [json.loads(line)["event_type"] for line in lines[3:]] == ["job_priority", "job_canceled"]


def test_an_event_that_is_committed_after_later_ones_is_followed_too(panel_db, admin_db):
    worker_helpers.enqueue(panel_db, 2)
    first, second = (row["id"] for row in admin_db.execute("SELECT id FROM ingest_batch ORDER BY id"))
    follower = events.Follower(events.EventFilter())
    assert panel_db.run_read(follower.read, first=10) == []
    slow = Database(panel_db.settings)
    with slow.transaction() as tx:
        ledger.append_event(tx, first, "early", {}, "ann")
        panel_db.run_transaction(ledger.append_event, second, "late", {}, "bob")
        assert [row["event_type"] for row in panel_db.run_read(follower.read, first=10)] == ["late"]
    slow.close()
    assert [row["event_type"] for row in panel_db.run_read(follower.read, first=10)] == ["early"]
    assert panel_db.run_read(follower.read, first=10) == []


def test_a_follower_misses_none_of_more_events_than_it_reads_at_a_time(panel_db, admin_db, monkeypatch):
    monkeypatch.setattr(events, "FOLLOWED_AT_ONCE", 10)
    monkeypatch.setattr(events, "LATE_IDS", 4)
    worker_helpers.enqueue(panel_db, 1)
    follower = events.Follower(events.EventFilter())
    panel_db.run_read(follower.read, first=1)
    [row] = admin_db.execute("SELECT id FROM ingest_batch")
    for number in range(35):
        panel_db.run_transaction(ledger.append_event, row["id"], f"event_{number}", {}, "ann")
    read = []
    while rows := panel_db.run_read(follower.read, first=1):
        read += [each["event_type"] for each in rows]
    assert read == [f"event_{number}" for number in range(35)]


# -------------------------------------------------------------------------------------------- names in the shell


def test_show_and_list_name_what_a_batch_holds(start, bundles, bring):
    photos = [photo._replace(title=f"Beach {number}") for number, photo in enumerate(bundles.assets("coast", 2))]
    sync_id = bundles.bundle("coast", photos, [bundles.container("gallery", "Coastline", photos)])
    bring(sync_id)
    shown = finish(start("show", sync_id))[1]
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert "TYPE TITLE CONTAINER HASH MEMBERS MISSING DECISION REASON" in lines
    assert any(line.startswith("gallery Coastline") and " 2/2 - created" in line for line in lines)
    assert any("Beach 1 created" in line for line in lines)
    assert json.loads(finish(start("show", sync_id, "--json"))[1])["containers"][0]["title"] == "Coastline"
    listed = finish(start("list"))[1].splitlines()
    assert listed[1].split()[-1] == "TITLE" and listed[2].endswith("Coastline")


def test_an_asset_is_shown_as_it_was(start, bundles, bring, admin_db):
    [photo] = [each._replace(title="Before") for each in bundles.assets("coast", 1)]
    first = bundles.bundle("first", [photo])
    bring(first)
    [now] = admin_db.execute("SELECT NOW(6) AS now")
    bring(bundles.bundle("second", [photo._replace(title="After")], action="update", prior_sync_id=first))
    text = finish(start("asset", photo.asset_hash, "--at", now["now"].isoformat()))[1]
    past = text[text.index("Fields at"):text.index("History")]
    assert "title" in past and "Before" in past and "After" not in past
    assert finish(start("asset", photo.asset_hash, "--at", "yesterday"))[0] == 2
