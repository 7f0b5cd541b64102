"""Read the database again and again, for commands that wait or follow."""

import select
import sys
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from ..errors import DatabaseUnavailableError

T = TypeVar("T")


def poll(read: Callable[[], T], seconds: float, *, needs_reader: bool = True) -> Iterator[T]:
    """Yield what `read` returns, every `seconds`; a database that is away after the first read is waited for.

    With `needs_reader` the end of the program that reads standard output raises BrokenPipeError, also while nothing is
    written.
    """
    yield read()
    is_away = False
    while True:
        _sleep(seconds, needs_reader)
        try:
            value = read()
        except DatabaseUnavailableError as error:
            if not is_away:
                print(f"gpupanel: {error} Waiting for it.", file=sys.stderr, flush=True)
            is_away = True
            continue
        if is_away:
            print("gpupanel: the database answers again.", file=sys.stderr, flush=True)
            is_away = False
        yield value


def _sleep(seconds: float, needs_reader: bool) -> None:
    if not needs_reader:
        time.sleep(seconds)
        return
    poller = select.poll()
    poller.register(sys.stdout, 0)  # errors alone: a pipe whose other end is closed
    if poller.poll(seconds * 1000):
        raise BrokenPipeError
