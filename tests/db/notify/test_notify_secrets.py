"""Passwords and keys reach only a server that proves who it is, and no output."""

import json

import pytest
from notice_helpers import KEY, PASSWORD, TOKEN, rows, unsent
from receivers import MailServer, certificate, free_port, receiving


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
        status, out, errors = notify()
    [mail] = server.mails
    assert (status, errors) == (0, "")
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
        status, _, errors = notify()
    assert status == 1 and "its certificate is not valid" in errors
    assert server.mails == [] and not any(line.startswith("AUTH") for line in server.spoken)
    assert unsent(admin_db) == ["failed"]


def test_a_server_from_which_somebody_has_removed_starttls_gets_no_password(configure, notify, failed):
    failed()
    with receiving(MailServer(needs_login=True)) as server:
        configure(
            mail_to="ann@example.org", mail_from="media@example.org", smtp_port=server.port, smtp_tls="starttls",
            smtp_user="media", smtp_password_file="mail.password",
        )
        status, _, errors = notify()
    assert status == 1 and "STARTTLS" in errors
    assert server.mails == [] and not any(line.startswith("AUTH") for line in server.spoken)


def test_a_password_without_tls_to_another_machine_is_refused(configure, notify):
    configure(
        mail_to="ann@example.org", mail_from="media@example.org", smtp_host="mail.example.org", smtp_tls="off",
        smtp_user="media", smtp_password_file="mail.password",
    )
    status, _, errors = notify()
    assert status == 2 and "the password would be readable" in errors


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
    status, _, errors = notify()
    assert status == 2 and "missing.key cannot be read: No such file" in errors
    assert hook.posts == []
