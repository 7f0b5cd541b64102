"""One mail tells all notices since the last one; a server that refuses or is away loses none."""

import pytest
from gpupanel import ledger
from gpupanel.devtools.bundle_factory import defects
from gpupanel.notify import transports
from notice_helpers import unsent
from receivers import free_port


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
    status, _, errors = notify()
    assert status == 2 and f"[notify] {option.split(' =')[0]}: found" in errors
    assert "pass@" not in errors


def test_a_recipient_that_the_server_refuses_is_named_and_the_others_get_the_mail_once(
    by_mail, mail_server, notify, failed, admin_db
):
    failed()
    by_mail()
    mail_server.refuses = ("bob@example.org",)
    status, out, errors = notify()
    assert status == 1 and "1 notice sent" in out
    assert "refused bob@example.org (answered 550 no mailbox bob@example.org)" in errors
    assert [mail.recipients for mail in mail_server.mails] == [["ann@example.org"]]
    assert unsent(admin_db) == []


def test_a_mail_that_every_recipient_is_refused_for_stays_to_be_sent(by_mail, mail_server, notify, failed, admin_db):
    failed()
    by_mail()
    mail_server.refuses = ("ann@example.org", "bob@example.org")
    status, _, errors = notify()
    assert status == 1 and "refused every recipient" in errors
    assert unsent(admin_db) == ["failed"] and mail_server.mails == []


def test_while_the_server_is_away_each_attempt_waits_longer_and_nothing_is_lost(
    by_mail, mail_server, notify, failed, admin_db
):
    failed()
    by_mail(smtp_port=free_port())
    status, _, errors = notify()
    assert status == 1 and "Connection refused" in errors
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
    monkeypatch.setattr(transports, "STEP_SECONDS", 0.3)
    failed()
    by_mail()
    mail_server.silent_at = command
    status, _, errors = notify()
    assert status == 1 and ("no reply within" in errors or "timed out" in errors)
    assert unsent(admin_db) == ["failed"]


def test_a_server_that_says_no_goodbye_has_accepted_the_mail(
    by_mail, mail_server, notify, failed, admin_db, monkeypatch
):
    monkeypatch.setattr(transports, "QUIT_SECONDS", 0.1)
    failed()
    by_mail()
    mail_server.silent_at = "QUIT"
    assert notify()[0] == 0
    assert unsent(admin_db) == []
