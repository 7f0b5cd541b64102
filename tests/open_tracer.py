"""Record the files that this process opens, by an audit hook."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_noted: list[str] | None = None
_hooked = False


def _note(event: str, arguments: tuple) -> None:
    if event == "open" and _noted is not None and isinstance(arguments[0], str | bytes):
        _noted.append(os.fsdecode(arguments[0]))


@contextmanager
def noted() -> Iterator[list[str]]:
    """Yield the list of paths opened inside; hooks cannot be removed, so all calls share one."""
    global _noted, _hooked
    if not _hooked:
        sys.addaudithook(_note)
        _hooked = True
    _noted = paths = []
    try:
        yield paths
    finally:
        _noted = None
