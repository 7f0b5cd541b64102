"""Deny access to files, even to root."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import CDLL, create_string_buffer, get_errno
from pathlib import Path

from gpupanel.mount.threads import IDLE_THREADS

VERSION = 0x20080522  # of the kernel's capability sets, of which each has two words
OVERRIDE = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
LIBC = CDLL(None, use_errno=True)


@contextmanager
def modes_hold() -> Iterator[None]:
    """Drop root's right to read every file, for this thread and the threads that it starts.

    Idle threads keep the rights with which they were started, and are forgotten.
    """
    held = create_string_buffer(struct.calcsize("6I"))
    _ask("capget", held)
    effective, *others = struct.unpack("6I", held)
    _ask("capset", struct.pack("6I", effective & ~OVERRIDE, *others))
    IDLE_THREADS.forget()
    try:
        yield
    finally:
        _ask("capset", held)
        IDLE_THREADS.forget()


def _ask(name: str, sets) -> None:
    if getattr(LIBC, name)(struct.pack("Ii", VERSION, 0), sets):
        raise OSError(get_errno(), name)


def deny(path: Path):
    """Deny access to a file or folder; return a function that restores it."""
    mode = path.stat().st_mode
    path.chmod(0)
    return lambda: path.chmod(mode)
