"""Log lines of the worker: sentences, journal levels, one line a message."""

import contextlib
import io
import logging
import os

import pytest
from gpupanel.config import DatabaseSettings
from gpupanel.db import Database
from gpupanel.worker import log
from gpupanel.worker.outage_retry import DatabaseRetrier
from gpupanel.worker.log import join_sentences, make_logger
from gpupanel.worker.shutdown import ShutdownRequested, ShutdownSignals
from gpupanel.worker.systemd import SystemdNotifier


@pytest.mark.parametrize("texts, line", [
    (("No mount.", "It waits."), "No mount. It waits."),
    (("expected completed", "It waits."), "expected completed. It waits."),
    (("the server is away (2)", "", "It waits"), "the server is away (2). It waits."),
])
def test_sentences_of_a_log_line_do_not_run_together(texts, line):
    assert join_sentences(*texts) == line


def test_an_unavailable_database_is_logged_in_sentences():
    out, signals = io.StringIO(), ShutdownSignals()
    signals.stopping = True
    with pytest.raises(ShutdownRequested):
        DatabaseRetrier(signals, make_logger(out, {}), SystemdNotifier({})).retry(
            Database(DatabaseSettings(unix_socket="/nowhere", user="gpu_worker")).run_read, len
        )
    assert "No such file or directory. Check that MariaDB runs" in out.getvalue()
    assert out.getvalue().endswith("try again. Retrying until it answers.\n")


@pytest.mark.parametrize("environ, line", [({"JOURNAL_STREAM": "8:1"}, "<4>two\\nwords\n"), ({}, "Z two\\nwords\n")])
def test_a_log_line_carries_a_level_for_the_journal_and_a_time_elsewhere(environ, line):
    out = io.StringIO()
    make_logger(out, environ).warning("two\nwords")
    assert out.getvalue().endswith(line) and out.getvalue().count("\n") == 1


def test_lines_that_nobody_reads_are_dropped_and_counted(monkeypatch):
    monkeypatch.setattr(log, "MAX_LINES", 3)
    monkeypatch.setattr(log, "FLUSH_SECONDS", 0.01)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, b"x" * 4096)
    os.set_blocking(writer, True)
    handler = log.LineHandler(writer)
    handler.setFormatter(log.LineFormatter(journal=False))
    logger = logging.Logger("test", logging.INFO)
    logger.addHandler(handler)
    logger.info("line 0")
    while handler._lines.qsize():  # the thread took it, and hangs in its write
        pass
    for number in range(1, 10):
        logger.info(f"line {number}")
    log.flush(logger)
    text = b""
    while b"line 3\n" not in text:
        text += os.read(reader, 65536)
    monkeypatch.setattr(log, "FLUSH_SECONDS", 10)
    log.flush(logger)
    logger.info("the end")
    while b"the end\n" not in text:
        text += os.read(reader, 65536)
    lines = [line.split(b"Z ")[-1].decode() for line in text.lstrip(b"x").splitlines()]
    assert lines == [
        "line 0", "line 1", "line 2", "line 3", "log: 6 lines were dropped, since nothing read the output", "the end",
    ]
