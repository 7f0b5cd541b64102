"""gpupanel notify: a row for each event that people are told, sent at least once by mail and web hook."""

import hashlib
import hmac
import io
import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import redirect_stderr, redirect_stdout

import pytest
import worker_helpers
from constants import TREE
from gpupanel import holds, job_queue, ledger
from gpupanel.cli import main
from gpupanel.db import Database
from gpupanel.devtools.bundle_factory import defects
from gpupanel.errors import PreflightFailedError
from gpupanel.holds import Hold
from gpupanel.ledger import notices
from gpupanel.models import HoldKind
from gpupanel.notify import delivery
from gpupanel.worker import claims, stale_jobs
from gpupanel.worker.claims import ClaimRequest
from receivers import HookReceiver, MailServer, certificate, free_port, receiving

PASSWORD, KEY = "mail pa€ss", "hook-key-1234"
TOKEN = "/hooks/T0KEN-in-the-path"


@pytest.fixture
def mail_server():
    with receiving(MailServer()) as server:
        yield server


@pytest.fixture
def hook():
    with receiving(HookReceiver()) as receiver:
        yield receiver


@pytest.fixture
def configure(panel_conf):
    """Write [notify] into the panel's configuration."""
    plain = panel_conf.read_text()

    def write(**options):
        for name, text in (("mail.password", PASSWORD), ("hook.key", KEY)):
            (panel_conf.parent / name).write_text(f"{text}\n")
        lines = "\n".join(f"{name} = {value}" for name, value in options.items())
        panel_conf.write_text(f"{plain}\n[notify]\n{lines}\n")

    return write


@pytest.fixture
def by_mail(configure, mail_server):
    """Mails to two people, from the server's port."""

    def set_up(**options):
        configure(**{
            "mail_to": "ann@example.org, bob@example.org", "mail_from": "media@example.org",
            "smtp_port": mail_server.port,
        } | options)

    return set_up


@pytest.fixture
def by_hook(configure, hook):
    def set_up(**options):
        url = f"http://127.0.0.1:{hook.port}{TOKEN}"
        configure(**{"webhook_url": url, "webhook_secret_file": "hook.key"} | options)

    return set_up


@pytest.fixture
def notify(panel_conf, admin_db):
    """Run the command in this process: (exit status, standard output, standard error)."""

    def run(*arguments):
        out, err = io.StringIO(), io.StringIO()
        out.fileno = err.fileno = lambda: os.open(os.devnull, os.O_WRONLY)
        with redirect_stdout(out), redirect_stderr(err):
            status = main.main(["notify", "--config", str(panel_conf), *arguments])
        return status, out.getvalue(), err.getvalue()

    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def failed(panel_db):
    """Record failures of batches without bundles; return their sync_ids."""

    def fail(count=1, reason="the disk is on fire"):
        jobs = worker_helpers.enqueue(panel_db, count)
        panel_db.run_transaction(_fail, jobs, reason)
        return [panel_db.run_read(job_queue.job, job_id)["sync_id"] for job_id in jobs]

    return fail


def _fail(tx, jobs, reason):
    for job_id in jobs:
        batch_id = job_queue.job(tx, job_id)["batch_id"]
        payload = {"job_id": job_id, "phase": "job_fail", "reason": reason}
        ledger.append_event(tx, batch_id, "job_failed", payload, "h:1")
        tx.execute("job_queue.cancel", job_id=job_id, reason=reason)


def rows(db):
    return db.execute("SELECT kind, event_id, sent_at, mailed_at, posted_at, attempts, last_error FROM ingest_notice")


def unsent(db):
    return [row["kind"] for row in rows(db) if row["sent_at"] is None]


# ------------------------------------------------------------------------------------------ what is to be told


def test_a_failed_and_a_partial_import_write_a_notice_and_a_good_one_does_not(admin_db, bundles, bring):
    good = bundles.bundle("good", bundles.assets("good", 1))
    partial = bundles.bundle("coast", bundles.assets("coast", 2, broken={1: defects.broken_source}))
    failed = bundles.bundle("hills", bundles.assets("hills", 1, broken={0: defects.broken_source}))
    bring(good, partial, failed)
    told = admin_db.execute(
        "SELECT b.sync_id, n.kind, e.event_type FROM ingest_notice n JOIN ingest_batch b ON b.id = n.batch_id"
        " JOIN ingest_event e ON e.id = n.event_id AND e.batch_id = n.batch_id ORDER BY n.id"
    )
    assert {(row["sync_id"], row["kind"], row["event_type"]) for row in told} == {
        (partial, "partial", "job_finished"), (failed, "failed", "job_finished"),
    }


def test_a_failed_preflight_writes_a_notice(admin_db, bundles, panel_db, mount):
    bundles.bundle("there", bundles.assets("there", 1))
    sync_id = bundles.bundle("lost", bundles.assets("lost", 1), files=False)
    with pytest.raises(PreflightFailedError):
        worker_helpers.queue(panel_db, mount, sync_id)
    assert unsent(admin_db) == ["preflight_failed"]


def test_a_change_that_is_rolled_back_leaves_no_notice(admin_db, panel_db, failed):
    [job] = worker_helpers.enqueue(panel_db, 1)
    with pytest.raises(ZeroDivisionError), panel_db.transaction() as tx:
        _fail(tx, [job], "never happened")
        1 / 0  # noqa: B018
    assert rows(admin_db) == []


def test_a_stale_job_is_told_when_it_is_reset_and_when_it_fails_after_its_last_attempt(admin_db, worker_db):
    [job] = worker_helpers.enqueue(worker_db_as_panel := Database(admin_db.settings), 1)
    worker_db_as_panel.close()
    for attempt in (1, 2):
        assert worker_db.run_transaction(claims.claim, ClaimRequest(f"{attempt:032x}", "host:1"))
        admin_db.execute("UPDATE import_job SET heartbeat_at = NOW(6) - INTERVAL 1 HOUR")
        worker_db.run_transaction(stale_jobs.requeue_stale, job, 900, 2, "host:2")
    assert unsent(admin_db) == ["reset", "failed"]


@pytest.mark.parametrize("kind, is_told", [
    (HoldKind.PRIOR, False), (HoldKind.BUNDLE, True), (HoldKind.BACKOFF, True), (HoldKind.OPERATOR, True),
])
def test_a_hold_is_told_unless_the_end_of_another_job_ends_it(admin_db, panel_db, kind, is_told):
    [job] = worker_helpers.enqueue(panel_db, 1)
    panel_db.run_transaction(holds.hold, job, Hold(kind, "waits"), "host:1")
    assert unsent(admin_db) == ["held"] * is_told


def test_each_of_many_jobs_that_are_held_at_once_has_the_notice_of_its_own_event(admin_db, panel_db):
    jobs = worker_helpers.enqueue(panel_db, 3)
    batches = [(panel_db.run_read(job_queue.job, job)["batch_id"], job) for job in jobs]
    panel_db.run_transaction(holds.append_held, batches, Hold(HoldKind.BUNDLE, "gone"), "host:1", None)
    told = admin_db.execute(
        "SELECT JSON_VALUE(e.payload, '$.job_id') AS job FROM ingest_notice n"
        " JOIN ingest_event e ON e.id = n.event_id AND e.batch_id = n.batch_id ORDER BY n.id"
    )
    assert [int(row["job"]) for row in told] == jobs


# --------------------------------------------------------------------------------------------------- the mail


def test_one_mail_tells_all_since_the_last_one_with_reason_and_link(
    by_mail, mail_server, notify, admin_db, bundles, bring
):
    sync_id = bundles.bundle("coast", bundles.assets("coast", 2, broken={1: defects.broken_source}))
    bring(sync_id)
    by_mail(panel_url="https://panel.example.org/admin/")
    assert notify()[:2] == (0, f"mail server 127.0.0.1:{mail_server.port}: 1 notice sent\n")
    [mail] = mail_server.mails
    assert (mail.sender, mail.recipients) == ("media@example.org", ["ann@example.org", "bob@example.org"])
    message = mail.message
    assert message["To"] == "ann@example.org, bob@example.org" and message["Auto-Submitted"] == "auto-generated"
    assert message["Subject"].endswith(": 1 partial")
    assert f"batch {sync_id}" in mail.text and "1 of 2 items failed" in mail.text and "is not JSON" in mail.text
    assert f"https://panel.example.org/admin/import-media.cgi?action=detail&sync_id={sync_id}" in mail.text
    assert unsent(admin_db) == []
    assert notify()[:2] == (0, f"mail server 127.0.0.1:{mail_server.port}: nothing to send\n")
    assert len(mail_server.mails) == 1


def test_a_thousand_failures_are_one_mail_with_the_first_fifty_and_a_count(by_mail, mail_server, notify, admin_db):
    admin_db.execute("INSERT INTO ingest_batch (id, sync_id) SELECT seq, LPAD(seq, 36, '0') FROM seq_1_to_1000")
    admin_db.execute(
        "INSERT INTO ingest_event (id, batch_id, event_type, payload)"
        " SELECT id, id, 'job_failed', '{\"reason\": \"the disk is on fire\"}' FROM ingest_batch"
    )
    admin_db.execute("INSERT INTO ingest_notice (batch_id, event_id, kind) SELECT id, id, 'failed' FROM ingest_event")
    by_mail()
    assert notify()[0] == 0
    [mail] = mail_server.mails
    assert mail.message["Subject"].endswith(": 1,000 failed")
    assert mail.text.count("the disk is on fire") == 50
    assert "950 more batches are left out; the page Events lists all." in mail.text
    assert len(mail.raw) < 64 * 1024 and unsent(admin_db) == []


def test_a_batch_is_told_once_by_its_most_serious_notice(by_mail, mail_server, notify, failed, panel_db, admin_db):
    [sync_id] = failed()
    batch_id = panel_db.run_read(ledger.get_batch, sync_id)["id"]
    reset = {"job_id": 1, "phase": "job_reset", "reason": "the worker was killed"}
    panel_db.run_transaction(ledger.append_event, batch_id, "job_reset", reset, "host:1")
    by_mail()
    assert notify()[0] == 0
    [mail] = mail_server.mails
    assert mail.message["Subject"].endswith(": 1 failed") and mail.text.count(sync_id) == 1
    assert unsent(admin_db) == []


def test_no_text_of_a_bundle_reaches_a_header_or_begins_a_line(by_mail, mail_server, notify, failed, admin_db):
    evil = "x\r\nBcc: eve@example.org\r\n.\r\nMAIL FROM:<eve@example.org>\r\n\u202ebidi"
    failed(reason=evil)
    admin_db.execute(
        "INSERT INTO ingest_batch_item (batch_id, asset_type, asset_hash, decision, item_title)"
        " SELECT id, 'photo', REPEAT('a', 64), 'failed', %(title)s FROM ingest_batch", title=evil[:250],
    )
    by_mail()
    assert notify()[0] == 0
    [mail] = mail_server.mails
    assert mail.recipients == ["ann@example.org", "bob@example.org"] and mail.message["Bcc"] is None
    assert set(mail.message) == {
        "Subject", "From", "To", "Date", "Message-ID", "Auto-Submitted", "Content-Type", "Content-Transfer-Encoding",
        "MIME-Version",
    }
    assert not any(line.startswith(("Bcc", "MAIL", ".")) for line in mail.text.splitlines())
    assert "\\r\\nBcc: eve@example.org" in mail.text and "\u202e" not in mail.text


@pytest.mark.parametrize("option", [
    "mail_to = ann@example.org\n Bcc: eve@example.org", "mail_from = Ann <ann@example.org>", "mail_to = ann",
    "webhook_url = https://user:pass@example.org/", "webhook_url = http://example.org/", "smtp_tls = maybe",
    "webhook_url = https://example.org/a b", "panel_url = javascript:alert(1)",
])
def test_an_address_that_is_more_than_an_address_is_refused_and_a_hook_is_never_shown(panel_conf, notify, option):
    panel_conf.write_text(f"{panel_conf.read_text()}\n[notify]\n{option}\n")
    status, _, said = notify()
    assert status == 2 and f"[notify] {option.split(' =')[0]}: found" in said
    assert "pass@" not in said


def test_a_recipient_that_the_server_refuses_is_named_and_the_others_get_the_mail_once(
    by_mail, mail_server, notify, failed, admin_db
):
    failed()
    by_mail()
    mail_server.refuses = ("bob@example.org",)
    status, out, said = notify()
    assert status == 1 and "1 notice sent" in out
    assert "refused bob@example.org (answered 550 no mailbox bob@example.org)" in said
    assert [mail.recipients for mail in mail_server.mails] == [["ann@example.org"]]
    assert unsent(admin_db) == []


def test_a_mail_that_every_recipient_is_refused_for_stays_to_be_sent(by_mail, mail_server, notify, failed, admin_db):
    failed()
    by_mail()
    mail_server.refuses = ("ann@example.org", "bob@example.org")
    status, _, said = notify()
    assert status == 1 and "refused every recipient" in said
    assert unsent(admin_db) == ["failed"] and mail_server.mails == []


def test_while_the_server_is_away_each_attempt_waits_longer_and_nothing_is_lost(
    by_mail, mail_server, notify, failed, admin_db
):
    failed()
    by_mail(smtp_port=free_port())
    status, _, said = notify()
    assert status == 1 and "Connection refused" in said
    status, out, _ = notify()
    assert status == 0 and "1 notice waiting after a failed attempt" in out and "--now tries at once" in out
    assert notify("--now")[0] == 1
    wait = "SELECT TIMESTAMPDIFF(SECOND, NOW(6), not_before) AS seconds, attempts, last_error FROM ingest_notice"
    [row] = admin_db.execute(wait)
    assert row["attempts"] == 2 and 60 < row["seconds"] <= 120 and "Connection refused" in row["last_error"]
    by_mail()
    assert notify("--now")[0] == 0
    assert len(mail_server.mails) == 1 and unsent(admin_db) == []


def test_a_new_failure_is_tried_at_once_and_takes_with_it_what_waits(by_mail, mail_server, notify, failed, admin_db):
    failed()
    by_mail(smtp_port=free_port())
    assert notify()[0] == 1
    failed()
    by_mail()
    assert notify()[0] == 0
    [mail] = mail_server.mails
    assert mail.message["Subject"].endswith(": 2 failed") and unsent(admin_db) == []


@pytest.mark.parametrize("command", ["greeting", "EHLO", "RCPT", "DATA", "accepted"])
def test_a_server_that_never_answers_ends_the_attempt(
    by_mail, mail_server, notify, failed, admin_db, monkeypatch, command
):
    monkeypatch.setattr(delivery, "STEP_SECONDS", 0.3)
    failed()
    by_mail()
    mail_server.silent_at = command
    status, _, said = notify()
    assert status == 1 and ("no reply within" in said or "timed out" in said)
    assert unsent(admin_db) == ["failed"]


def test_a_server_that_says_no_goodbye_has_accepted_the_mail(
    by_mail, mail_server, notify, failed, admin_db, monkeypatch
):
    monkeypatch.setattr(delivery, "QUIT_SECONDS", 0.1)
    failed()
    by_mail()
    mail_server.silent_at = "QUIT"
    assert notify()[0] == 0
    assert unsent(admin_db) == []


# ---------------------------------------------------------------------------------------------------- secrets


@pytest.mark.parametrize("mode, password", [("starttls", PASSWORD), ("tls", PASSWORD), ("tls", "plain ascii")])
def test_the_password_is_sent_under_tls_to_a_server_whose_certificate_is_valid(
    configure, notify, failed, tmp_path, mode, password
):
    cert, context = certificate(tmp_path)
    failed()
    with receiving(MailServer(tls=context, is_implicit=mode == "tls", needs_login=True)) as server:
        configure(
            mail_to="ann@example.org", mail_from="media@example.org", smtp_host="localhost", smtp_port=server.port,
            smtp_tls=mode, smtp_user="media", smtp_password_file="mail.password", tls_ca=cert,
        )
        (tmp_path / "mail.password").write_text(f"{password}\n")
        status, out, said = notify()
    [mail] = server.mails
    assert (status, said) == (0, "")
    assert mail.encrypted and mail.login == f"\0media\0{password}" and password not in out


@pytest.mark.parametrize("mode", ["starttls", "tls"])
def test_a_server_without_a_valid_certificate_gets_neither_mail_nor_password(
    configure, notify, failed, tmp_path, mode, admin_db
):
    _, context = certificate(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    trusted, _ = certificate(other)
    failed()
    with receiving(MailServer(tls=context, is_implicit=mode == "tls", needs_login=True)) as server:
        configure(
            mail_to="ann@example.org", mail_from="media@example.org", smtp_host="localhost", smtp_port=server.port,
            smtp_tls=mode, smtp_user="media", smtp_password_file="mail.password", tls_ca=trusted,
        )
        status, _, said = notify()
    assert status == 1 and "its certificate is not valid" in said
    assert server.mails == [] and not any(line.startswith("AUTH") for line in server.spoken)
    assert unsent(admin_db) == ["failed"]


def test_a_server_from_which_somebody_has_removed_starttls_gets_no_password(configure, notify, failed):
    failed()
    with receiving(MailServer(needs_login=True)) as server:
        configure(
            mail_to="ann@example.org", mail_from="media@example.org", smtp_port=server.port, smtp_tls="starttls",
            smtp_user="media", smtp_password_file="mail.password",
        )
        status, _, said = notify()
    assert status == 1 and "STARTTLS" in said
    assert server.mails == [] and not any(line.startswith("AUTH") for line in server.spoken)


def test_a_password_without_tls_to_another_machine_is_refused(configure, notify):
    configure(
        mail_to="ann@example.org", mail_from="media@example.org", smtp_host="mail.example.org", smtp_tls="off",
        smtp_user="media", smtp_password_file="mail.password",
    )
    status, _, said = notify()
    assert status == 2 and "the password would be readable" in said


def test_no_output_no_error_and_no_row_shows_a_secret(configure, notify, failed, hook, admin_db):
    failed()
    configure(
        mail_to="ann@example.org", mail_from="media@example.org", smtp_port=free_port(), smtp_user="media",
        smtp_password_file="mail.password", webhook_url=f"http://127.0.0.1:{hook.port}{TOKEN}",
        webhook_secret_file="hook.key",
    )
    hook.status = 500
    shown = [*notify(), *notify("--now", "--json"), *notify("--test")]
    text = "\n".join([*map(str, shown), json.dumps(rows(admin_db), default=str)])
    assert "answered 500" in text and "Connection refused" in text
    assert not any(secret in text for secret in (PASSWORD, KEY, "T0KEN"))


def test_a_secret_that_cannot_be_read_is_named_and_nothing_is_sent(configure, notify, hook, failed):
    failed()
    configure(webhook_url=f"http://127.0.0.1:{hook.port}/", webhook_secret_file="missing.key")
    status, _, said = notify()
    assert status == 2 and "missing.key cannot be read: No such file" in said
    assert hook.posts == []


# --------------------------------------------------------------------------------------------------- the hook


def test_a_post_is_signed_and_says_what_the_mail_says(by_hook, hook, notify, failed, admin_db):
    [sync_id] = failed()
    by_hook()
    assert notify()[:2] == (0, f"web hook http://127.0.0.1:{hook.port}: 1 notice sent\n")
    [post] = hook.posts
    expected = hmac.new(KEY.encode(), post.body, hashlib.sha256).hexdigest()
    assert post.path == TOKEN and post.headers["X-Import-Media-Signature"] == f"sha256={expected}"
    assert post.headers["Content-Type"] == "application/json"
    message = post.json
    assert message["counts"] == {"failed": 1} and message["more"] == 0
    [entry] = message["entries"]
    assert (entry["kind"], entry["sync_id"], entry["reason"]) == ("failed", sync_id, "the disk is on fire")
    assert sync_id in message["text"] and message["id"] == post.headers["X-Import-Media-Id"]
    assert unsent(admin_db) == []


def test_a_redirect_is_not_followed_and_the_notice_stays(by_hook, hook, notify, failed, admin_db):
    failed()
    with receiving(HookReceiver()) as elsewhere:
        hook.status, hook.location = 307, f"http://127.0.0.1:{elsewhere.port}/"
        by_hook()
        status, _, said = notify()
        assert status == 1 and "answered 307" in said
        assert elsewhere.posts == [] and unsent(admin_db) == ["failed"]
    hook.status = 200
    assert notify("--now")[0] == 0 and unsent(admin_db) == []


def test_a_hook_under_tls_needs_a_valid_certificate(configure, notify, failed, tmp_path, admin_db):
    cert, context = certificate(tmp_path)
    failed()
    with receiving(HookReceiver(tls=context)) as receiver:
        address = f"https://localhost:{receiver.port}{TOKEN}"
        configure(webhook_url=address)
        status, _, said = notify()
        assert status == 1 and "its certificate is not valid" in said and receiver.posts == []
        configure(webhook_url=address, tls_ca=cert)
        assert notify("--now")[0] == 0
    [post] = receiver.posts
    assert "X-Import-Media-Signature" not in post.headers


def test_a_receiver_that_answers_byte_by_byte_ends_the_attempt_as_a_whole(
    by_hook, hook, notify, failed, admin_db, monkeypatch
):
    monkeypatch.setattr(delivery, "DELIVERY_SECONDS", 0.5)
    failed()
    hook.drips = True
    by_hook()
    status, _, said = notify()
    assert status == 1 and "did not take the message within 0.5 s" in said
    assert unsent(admin_db) == ["failed"]


def test_a_channel_that_works_is_not_repeated_while_the_other_one_is_away(
    configure, mail_server, hook, notify, failed, admin_db
):
    failed()
    both = {"mail_to": "ann@example.org", "mail_from": "media@example.org", "smtp_port": mail_server.port}
    configure(**both, webhook_url=f"http://127.0.0.1:{hook.port}/")
    hook.status = 503
    assert notify()[0] == 1
    assert notify("--now")[0] == 1
    assert (len(mail_server.mails), len(hook.posts)) == (1, 2)
    assert unsent(admin_db) == ["failed"]
    hook.status = 200
    assert notify("--now")[0] == 0
    assert (len(mail_server.mails), len(hook.posts)) == (1, 3)
    assert unsent(admin_db) == []


# ---------------------------------------------------------------------------------------------- at least once


def test_a_process_that_is_killed_between_sending_and_marking_sends_the_same_message_again(
    by_hook, hook, notify, failed, admin_db, panel_conf
):
    failed()
    by_hook()
    with admin_db.transaction() as tx:
        tx._execute("SELECT id FROM ingest_notice FOR UPDATE", None)
        process = subprocess.Popen([sys.executable, str(TREE / "bin" / "gpupanel"), "notify", "--config", panel_conf])
        watcher = Database(admin_db.settings)
        worker_helpers.wait_until(lambda: hook.posts)
        worker_helpers.wait_for_lock_wait(watcher)
        process.kill()
        process.wait()
    worker_helpers.wait_until(lambda: worker_helpers.nobody_holds_a_row(watcher), every=0.15)
    watcher.close()
    assert unsent(admin_db) == ["failed"]
    assert notify()[0] == 0
    first, second = hook.posts
    assert first.json["id"] == second.json["id"]
    assert unsent(admin_db) == []


def test_a_notice_that_is_committed_after_later_ones_were_sent_is_sent_too(
    by_mail, mail_server, notify, failed, panel_db, admin_db
):
    by_mail()
    [early] = failed(1, "early")
    admin_db.execute("UPDATE ingest_notice SET sent_at = NOW(6)")
    batch_id = panel_db.run_read(ledger.get_batch, early)["id"]
    slow = Database(panel_db.settings)
    with slow.transaction() as tx:
        notices.add(tx, notices.NoticeKind.PARTIAL, [(batch_id, None)])  # takes the lower id, and is not committed yet
        failed(1, "late")
        assert notify()[0] == 0
    slow.close()
    assert unsent(admin_db) == ["partial"]
    assert notify()[0] == 0
    assert [mail.message["Subject"].rpartition(": ")[2] for mail in mail_server.mails] == ["1 failed", "1 partial"]


def test_two_calls_at_once_send_one_message(by_hook, hook, notify, failed, panel_conf):
    failed()
    by_hook()
    entered, go_on = threading.Event(), threading.Event()
    hook.on_post = lambda: (entered.set(), go_on.wait(60))
    process = subprocess.Popen([sys.executable, str(TREE / "bin" / "gpupanel"), "notify", "--config", panel_conf])
    assert entered.wait(60)
    status, _, said = notify()
    assert status == 1 and "Another process sends notices now" in said
    go_on.set()
    assert process.wait(60) == 0
    assert len(hook.posts) == 1


# ------------------------------------------------------------------------------------------------- conditions


def test_a_hold_that_ended_with_its_job_before_the_message_is_not_told(
    by_mail, mail_server, notify, panel_db, admin_db
):
    [job] = worker_helpers.enqueue(panel_db, 1)
    panel_db.run_transaction(job_queue.hold, job, "ann", "after the press release")
    panel_db.run_transaction(job_queue.cancel, job, "ann")
    by_mail()
    assert notify()[1].endswith("nothing to send\n")
    assert mail_server.mails == [] and unsent(admin_db) == []


def test_a_hold_is_told_as_long_as_it_lasts_and_kept_while_its_job_runs(
    by_mail, mail_server, notify, panel_db, admin_db
):
    [job] = worker_helpers.enqueue(panel_db, 1)
    panel_db.run_transaction(job_queue.hold, job, "ann", "after the press release")
    by_mail()
    admin_db.execute("UPDATE import_job SET state = 'queued', hold = NULL")
    notify()
    assert mail_server.mails == [] and unsent(admin_db) == ["held"]
    admin_db.execute("UPDATE import_job SET state = 'held', hold = 'operator'")
    assert notify()[0] == 0
    [mail] = mail_server.mails
    assert mail.message["Subject"].endswith(": 1 held")
    assert f"held, job {job}: batch" in mail.text and "held by ann: after the press release" in mail.text


def test_a_job_whose_worker_fell_silent_is_told_once_a_claim(
    by_mail, mail_server, notify, panel_db, worker_db, admin_db
):
    worker_helpers.enqueue(panel_db, 1)
    worker_db.run_transaction(claims.claim, ClaimRequest("0" * 32, "host:1"))
    by_mail()
    notify()
    assert mail_server.mails == []
    admin_db.execute("UPDATE import_job SET claimed_at = NOW(6) - INTERVAL 1 HOUR, heartbeat_at = claimed_at")
    notify()
    notify()
    [mail] = mail_server.mails
    assert mail.message["Subject"].endswith(": 1 stalled") and "worker host:1 sent no heartbeat since" in mail.text


def test_a_queue_without_a_worker_is_told_once_until_one_was_seen(by_mail, mail_server, notify, panel_db, admin_db):
    by_mail()
    worker_helpers.enqueue(panel_db, 2)
    notify()
    assert mail_server.mails == []  # the jobs were queued just now
    admin_db.execute("UPDATE import_job SET queued_at = NOW(6) - INTERVAL 6 MINUTE")
    panel_db.run_transaction(job_queue.pause, "ann", "the library moves")
    notify()
    assert mail_server.mails == []  # a person knows
    panel_db.run_transaction(job_queue.resume, "ann")
    notify()
    notify()
    [mail] = mail_server.mails
    assert mail.message["Subject"].endswith(": 1 waiting without a worker") and "no worker is alive" in mail.text


@pytest.mark.parametrize("mount_ok, subject", [(1, None), (None, None), (0, "1 waiting for the mount")])
def test_a_queue_whose_workers_have_no_mount_is_told(
    by_mail, mail_server, notify, panel_db, admin_db, mount_ok, subject
):
    by_mail()
    worker_helpers.enqueue(panel_db, 1)
    admin_db.execute("UPDATE import_job SET queued_at = NOW(6) - INTERVAL 6 MINUTE")
    admin_db.execute(
        "INSERT INTO import_worker (host, slot, pid, boot, mount_ok) VALUES ('h', 1, 1, 'x', %(mount)s)", mount=mount_ok
    )
    notify()
    notify()
    assert [mail.message["Subject"].rpartition(": ")[2] for mail in mail_server.mails] == [subject] * bool(subject)


# ------------------------------------------------------------------------------------------------ the command


def test_a_panel_that_tells_nobody_says_so(notify, failed):
    failed()
    status, _, said = notify()
    assert status == 2 and "nobody is told of failures: found neither mail_to nor webhook_url" in said


def test_a_unit_that_failed_is_told_without_a_database(by_mail, mail_server, notify, panel_conf, monkeypatch):
    by_mail()
    panel_conf.write_text(panel_conf.read_text().replace("unix_socket = ", "unix_socket = /nowhere"))
    monkeypatch.setenv("MONITOR_SERVICE_RESULT", "exit-code")
    monkeypatch.setenv("MONITOR_EXIT_STATUS", "2")
    assert notify("--failed-unit", "gpu-admin-panel-import-worker@2.service")[0] == 0
    [mail] = mail_server.mails
    assert "The unit gpu-admin-panel-import-worker@2.service" in mail.text and "failed: exit-code, 2." in mail.text


def test_a_test_message_reaches_each_channel_and_no_notice_is_marked(
    configure, mail_server, hook, notify, failed, admin_db
):
    failed()
    configure(
        mail_to="ann@example.org", mail_from="media@example.org", smtp_port=mail_server.port,
        webhook_url=f"http://127.0.0.1:{hook.port}/",
    )
    status, out, _ = notify("--test", "--json")
    assert status == 0 and [report["sent"] for report in json.loads(out)] == [1, 1]
    assert "Nothing failed" in mail_server.mails[0].text and "test message" in hook.posts[0].json["text"]
    assert unsent(admin_db) == ["failed"]
