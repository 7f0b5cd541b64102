"""Reading a mount that may hang, for a limited time (DESIGN section 10)."""

from collections.abc import Iterable, Iterator
from queue import Empty, Queue
from threading import Event, Thread
from time import monotonic
from typing import Any

from ..errors import MountTimeout


def bounded(iterable: Iterable[Any], seconds: float | None) -> Iterator[Any]:
    """The items of `iterable`, which reads the mount, for at most `seconds`; then MountTimeout. None sets no bound.

    A daemon thread reads ahead by a few items. When the time is over while it hangs in a system call, it is abandoned;
    otherwise it stops at its next item. What it raises is raised here.
    """
    if seconds is None:
        yield from iterable
        return
    deadline, handed, given_up = monotonic() + seconds, Queue(maxsize=16), Event()
    Thread(target=_hand_over, args=(iterable, handed, given_up), name="mount reader", daemon=True).start()
    try:
        while (outcome := _next(handed, deadline, seconds)) is not None:
            yield outcome[0]
    finally:
        given_up.set()
        _drain(handed)


def _hand_over(iterable: Iterable[Any], handed: Queue, given_up: Event) -> None:
    try:
        for item in iterable:
            handed.put(((item,), None))
            if given_up.is_set():
                return
        handed.put((None, None))
    except BaseException as error:
        handed.put((None, error))


def _next(handed: Queue, deadline: float, seconds: float) -> tuple[Any] | None:
    try:
        left = deadline - monotonic()
        if left <= 0:
            raise Empty
        item, error = handed.get(timeout=left)
    except Empty:
        raise MountTimeout(f"The mount did not answer within {seconds:g} seconds.") from None
    if error is not None:
        raise error
    return item


def _drain(handed: Queue) -> None:
    """Make room, so that a producer that waits to hand something over wakes up and sees that nobody wants it."""
    while not handed.empty():
        handed.get_nowait()
