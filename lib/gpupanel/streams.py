"""The standard streams of our programs: UTF-8 whatever the locale, and no traceback when one is closed."""

import io
import os
import sys
from contextlib import suppress


def prepare_streams() -> bool:
    """Make the streams usable; return whether standard output was open.

    A closed stream is replaced by /dev/null, since its number would go to the next file or socket that is opened.
    """
    was_open = sys.stdout is not None
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - open until the process ends
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8", errors="surrogateescape")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    return was_open


def wait_for_output() -> None:
    """Let a write wait for its reader, also where another program has made the pipe non-blocking."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            os.set_blocking(stream.fileno(), True)


def discard_output() -> None:
    """Drop the buffered output, which Python would write again at exit."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def discard_unwritable_output() -> None:
    """Drop the buffered output if it cannot be written."""
    try:
        sys.stdout.flush()
    except OSError:
        discard_output()
