"""The options of gpupanel notify."""

import json

from notice_helpers import unsent


def test_a_panel_that_tells_nobody_says_so(notify, failed):
    failed()
    status, _, errors = notify()
    assert status == 2 and "nobody is told of failures: found neither mail_to nor webhook_url" in errors


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
