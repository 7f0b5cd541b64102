"""The worker's log on stderr: one line a message, for the person on call.

A thread writes the lines, so that an output that nobody reads blocks neither an import nor the shutdown.

Under systemd a line starts with its level, since the journal adds the time; elsewhere it starts with the time in UTC.
"""

import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, UTC
from queue import Full, Queue
from signal import SIG_BLOCK, pthread_sigmask, valid_signals
from threading import Thread
from time import monotonic, sleep
from traceback import extract_tb
from typing import TextIO

from ..errors import PanelError
from ..text import escape_unprintable

STDERR = 2
MAX_LINES = 1000  # lines that wait for a reader of the output
GATHER_SECONDS = 0.02  # the thread gathers the lines of this time, since each waking of it takes longer than a line
FLUSH_SECONDS = 1  # a worker that ends waits this long for its last lines
# The levels of syslog, which the journal reads.
JOURNAL_LEVELS = {logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6}


def make_logger(out: TextIO | None = None, environ: Mapping[str, str] = os.environ) -> logging.Logger:
    """Return a logger that writes to `out`, by default to stderr in a thread."""
    handler = logging.StreamHandler(out) if out else LineHandler()
    handler.setFormatter(LineFormatter("JOURNAL_STREAM" in environ))
    logger = logging.Logger("import-worker", logging.INFO)
    logger.addHandler(handler)
    return logger


def flush(logger: logging.Logger) -> None:
    """Wait until the lines are written, FLUSH_SECONDS at most."""
    for handler in logger.handlers:
        handler.flush()


class LineFormatter(logging.Formatter):
    """Formats a record as one line; unprintable characters are escaped."""

    def __init__(self, journal: bool):
        super().__init__()
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        text = escape_unprintable(record.getMessage())
        if self._journal:
            return f"<{JOURNAL_LEVELS[record.levelno]}>{text}"
        return f"{datetime.fromtimestamp(record.created, UTC):%Y-%m-%d %H:%M:%SZ} {text}"


class LineHandler(logging.Handler):
    """Hands lines to a thread that writes them; drops and counts them while MAX_LINES wait."""

    def __init__(self, descriptor: int = STDERR):
        super().__init__()
        self._descriptor = descriptor
        self._lines: Queue[str] = Queue(MAX_LINES)
        self._dropped = 0
        self._thread: Thread | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the line of a record."""
        if self._thread is None:
            self._thread = Thread(target=self._write_lines, name="log", daemon=True)
            self._thread.start()
        if self._dropped and not self._put(self.format(_dropped_record(self._dropped))):
            self._dropped += 1
            return
        self._dropped = 0
        self._dropped += not self._put(self.format(record))

    def flush(self) -> None:
        """Wait for the thread, FLUSH_SECONDS at most."""
        deadline = monotonic() + FLUSH_SECONDS
        while self._lines.unfinished_tasks and monotonic() < deadline:
            sleep(0.01)

    def _put(self, line: str) -> bool:
        try:
            self._lines.put_nowait(line)
        except Full:
            return False
        return True

    def _write_lines(self) -> None:
        pthread_sigmask(SIG_BLOCK, valid_signals())
        while True:
            lines = [self._lines.get()]
            lines += [self._lines.get_nowait() for _ in range(self._lines.qsize())]
            text = "".join(f"{line}\n" for line in lines).encode()
            with suppress(OSError):  # a log that cannot be written must not stop an import
                while text:
                    text = text[os.write(self._descriptor, text):]
            for _ in lines:
                self._lines.task_done()
            sleep(GATHER_SECONDS)


def _dropped_record(count: int) -> logging.LogRecord:
    text = f"log: {count} lines were dropped, since nothing read the output"
    return logging.LogRecord("import-worker", logging.WARNING, "", 0, text, None, None)


def open_standard_streams() -> None:
    """Open /dev/null where the process was started with closed standard streams.

    Otherwise the next file or connection would take the descriptor of stderr, and the log would be written into it.
    """
    for descriptor in (0, 1, STDERR):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def join_sentences(*texts: str) -> str:
    """Join texts, skip empty ones, and end each with a full stop."""
    return " ".join(text if text.endswith(".") else f"{text}." for text in texts if text)


def describe_error(error: Exception) -> str:
    """Describe an error in a sentence; add the line of an unexpected one."""
    if isinstance(error, PanelError):
        return str(error)
    where = extract_tb(error.__traceback__)[-1]
    return f"unexpected {type(error).__name__} in {where.name}, line {where.lineno}: {error}."
