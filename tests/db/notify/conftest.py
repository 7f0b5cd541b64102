"""A mail server, a web hook, and the command that sends notices to them."""

import io
import os
import signal
from contextlib import redirect_stderr, redirect_stdout

import pytest
import worker_helpers
from gpupanel import job_queue
from gpupanel.cli import main
from notice_helpers import KEY, PASSWORD, TOKEN, fail_jobs
from receivers import HookReceiver, MailServer, receiving


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
        panel_db.run_transaction(fail_jobs, jobs, reason)
        return [panel_db.run_read(job_queue.job, job_id)["sync_id"] for job_id in jobs]

    return fail
