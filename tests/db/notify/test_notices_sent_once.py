"""Each notice is sent at least once: a process that is killed, a late commit, two processes."""

import subprocess
import sys
import threading

import worker_helpers
from constants import TREE
from gpupanel import ledger
from gpupanel.db import Database
from gpupanel.ledger import notices
from notice_helpers import unsent


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
    status, _, errors = notify()
    assert status == 1 and "Another process sends notices now" in errors
    go_on.set()
    assert process.wait(60) == 0
    assert len(hook.posts) == 1
