"""A signed POST to a web hook."""

import hashlib
import hmac

from gpupanel.notify import transports
from notice_helpers import KEY, TOKEN, unsent
from receivers import HookReceiver, certificate, receiving


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
        status, _, errors = notify()
        assert status == 1 and "answered 307" in errors
        assert elsewhere.posts == [] and unsent(admin_db) == ["failed"]
    hook.status = 200
    assert notify("--now")[0] == 0 and unsent(admin_db) == []


def test_a_hook_under_tls_needs_a_valid_certificate(configure, notify, failed, tmp_path, admin_db):
    cert, context = certificate(tmp_path)
    failed()
    with receiving(HookReceiver(tls=context)) as receiver:
        address = f"https://localhost:{receiver.port}{TOKEN}"
        configure(webhook_url=address)
        status, _, errors = notify()
        assert status == 1 and "its certificate is not valid" in errors and receiver.posts == []
        configure(webhook_url=address, tls_ca=cert)
        assert notify("--now")[0] == 0
    [post] = receiver.posts
    assert "X-Import-Media-Signature" not in post.headers


def test_a_receiver_that_answers_byte_by_byte_ends_the_attempt_as_a_whole(
    by_hook, hook, notify, failed, admin_db, monkeypatch
):
    monkeypatch.setattr(transports, "DELIVERY_SECONDS", 0.5)
    failed()
    hook.drips = True
    by_hook()
    status, _, errors = notify()
    assert status == 1 and "did not take the message within 0.5 s" in errors
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
