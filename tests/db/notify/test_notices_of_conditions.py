"""Notices of what lasts: they are sent while it does."""

import pytest
import worker_helpers
from gpupanel import job_queue
from gpupanel.worker import claims
from gpupanel.worker.claims import ClaimRequest
from notice_helpers import unsent


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
