"""Lines for the person on call: on stderr, with a time, or with a level prefix where the journal adds the time itself."""

import os
import sys
from datetime import datetime, timezone
from traceback import extract_tb

from ..errors import PanelError
from ..text import escape_unprintable

ERROR, WARNING, INFO = 3, 4, 6


class Log:
    """Writes one line a message; what comes from outside cannot break it into several."""

    def __init__(self, out=None, environ=os.environ):
        self._out = out or sys.stderr
        self._journal = "JOURNAL_STREAM" in environ

    def info(self, text: str) -> None:
        self._write(INFO, text)

    def warning(self, text: str) -> None:
        self._write(WARNING, text)

    def error(self, text: str) -> None:
        self._write(ERROR, text)

    def _write(self, level: int, text: str) -> None:
        when = f"<{level}>" if self._journal else f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M:%SZ} "
        try:
            self._out.write(f"{when}{escape_unprintable(text)}\n")
            self._out.flush()
        except OSError:
            pass  # a log that cannot be written is no reason to stop importing


def sentences(*texts: str) -> str:
    """The texts in a row, each ended by a full stop where it has none; what is empty is left out."""
    return " ".join(text if text.endswith(".") else f"{text}." for text in texts if text)


def described(error: Exception) -> str:
    """What went wrong, in a sentence; of a fault of ours, where."""
    if isinstance(error, PanelError):
        return str(error)
    where = extract_tb(error.__traceback__)[-1]
    return f"unexpected {type(error).__name__} in {where.name}, line {where.lineno}: {error}."
