"""The worker's log on stderr: one line a message, for the person on call.

Under systemd a line starts with its level, since the journal adds the time; elsewhere it starts with the time in UTC.
"""

import logging
import os
import sys
from collections.abc import Mapping
from datetime import datetime, UTC
from traceback import extract_tb
from typing import TextIO

from ..errors import PanelError
from ..text import escape_unprintable

# The levels of syslog, which the journal reads.
JOURNAL_LEVELS = {logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6}


def make_logger(out: TextIO | None = None, environ: Mapping[str, str] = os.environ) -> logging.Logger:
    """Return a logger that writes to `out`, by default stderr."""
    handler = LineHandler(out or sys.stderr)
    handler.setFormatter(LineFormatter("JOURNAL_STREAM" in environ))
    logger = logging.Logger("import-worker", logging.INFO)
    logger.addHandler(handler)
    return logger


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


class LineHandler(logging.StreamHandler[TextIO]):
    """Writes the lines. A log that cannot be written must not stop an import."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Ignore errors of the stream."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


def join_sentences(*texts: str) -> str:
    """Join texts, skip empty ones, and end each with a full stop."""
    return " ".join(text if text.endswith(".") else f"{text}." for text in texts if text)


def describe_error(error: Exception) -> str:
    """Describe an error in a sentence; add the line of an unexpected one."""
    if isinstance(error, PanelError):
        return str(error)
    where = extract_tb(error.__traceback__)[-1]
    return f"unexpected {type(error).__name__} in {where.name}, line {where.lineno}: {error}."
