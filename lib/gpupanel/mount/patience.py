"""Reading a mount that may hang: for a limited time, and so that nobody has to wait for what hangs (docs/CONTRACT.md, 10).

Whatever touches the mount does it in daemon threads. An executor's threads would be waited for when the process ends, and
those that hang never come back.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from functools import partial
from itertools import repeat, takewhile
from math import inf
from queue import SimpleQueue
from signal import SIG_BLOCK, pthread_sigmask, valid_signals
from threading import Thread
from time import monotonic
from typing import Any

from ..errors import MountTimeout

TICK = 0.5
# Seconds without a break that one waits for what few threads read, before there are twice as many.
LONG = 0.025
AHEAD = 16
END = object()


class Readers:
    """Up to `threads` threads that read the mount: one at first, and more when it is waited for.

    Python runs one thread at a time, so that files which come from memory are read best by one; those that come from far away
    by many. What has not begun when the `with` ends is not begun any more; what hangs is left behind.
    """

    def __init__(self, threads: int):
        self._threads, self._started, self._left = threads, 0, False
        self._wanted: SimpleQueue = SimpleQueue()
        self._waited, self._there = 0.0, 0

    def __enter__(self) -> "Readers":
        return self

    def __exit__(self, *exc) -> None:
        self._left = True
        for _ in range(self._started):
            self._wanted.put(None)

    def begin(self, read: Callable, *args) -> Future:
        """Have one of the threads do `read(*args)`."""
        future: Future = Future()
        self._wanted.put(partial(_fulfil, future, read, args))
        if not self._started:
            self._start(1)
        return future

    def urge(self, future: Future) -> Future:
        """Return what was begun: when it is there, or when all threads have been started and may be at work on it.

        There are twice as many for each LONG that was waited without a break. A break is that as many in a row were there
        already as there are threads, since those often answer all at once.
        """
        self._there = self._there + 1 if future.done() else 0
        if self._there >= self._started:
            self._waited = 0.0
        while not future.done() and self._started < self._threads:
            since = monotonic()
            try:
                future.exception(LONG - self._waited)
                self._waited = min(LONG, self._waited + monotonic() - since)
            except TimeoutError:
                self._waited = 0.0
                self._start(self._started)
        return future

    def each(self, read: Callable[[Any], Any], things: Iterable[Any], window: int, wait=Future.result) -> Iterator[Any]:
        """What `read` returns for each of the things, in their order, and raises what it raised.

        At most `window` are begun and not handed over; `wait(future)` waits for one of them.
        """
        begun: deque[Future] = deque()
        for thing in things:
            begun.append(self.begin(read, thing))
            if len(begun) >= window:
                yield wait(self.urge(begun.popleft()))
        while begun:
            yield wait(self.urge(begun.popleft()))

    def _start(self, more: int) -> None:
        for _ in range(min(more, self._threads - self._started)):
            self._started += 1
            Thread(target=self._serve, name="mount reader", daemon=True).start()

    def _serve(self) -> None:
        # Signals are the main thread's: one that came here would not wake it from whatever it waits for.
        pthread_sigmask(SIG_BLOCK, valid_signals())
        while (task := self._wanted.get()) is not None and not self._left:
            task()


def bounded(iterable: Iterable[Any], seconds: float | None) -> Iterator[Any]:
    """The items of `iterable`, which reads the mount, for at most `seconds`; then MountTimeout. None sets no bound.

    A thread reads ahead by a few items. When the time is over while it hangs in a system call, it is left behind;
    otherwise it stops at its next item. What it raises is raised here. A signal is heard at any time, bound or not.
    """
    iterator = iter(iterable)
    deadline = inf if seconds is None else monotonic() + seconds
    with Readers(1) as reader:
        items = reader.each(lambda _: next(iterator, END), repeat(None), AHEAD, partial(_outcome, deadline, seconds))
        yield from takewhile(lambda item: item is not END, items)


def at_once(look: Callable[[Any], Any], things: Iterable[Any], threads: int) -> Iterator[Any]:
    """What `look` returns for each of the things, in their order, from up to `threads` threads; raises what one raised."""
    with Readers(threads) as readers:
        yield from readers.each(look, things, 2 * threads)


def elsewhere(look: Callable[[], Any], attend: Callable[[], None], seconds: float) -> Any:
    """What `look()` returns or raises. `attend` is called now and then meanwhile, and may raise to end the wait.

    Raises MountTimeout after `seconds`.
    """
    with Readers(1) as reader:
        return outcome(reader.begin(look), attend, seconds)


def outcome(future: Future, attend: Callable[[], None], seconds: float) -> Any:
    """The same for what one of several readers has begun."""
    return _outcome(monotonic() + seconds, seconds, future, attend)


def _outcome(deadline: float, seconds: float | None, future: Future, attend: Callable[[], None] = lambda: None) -> Any:
    while (left := deadline - monotonic()) > 0:
        try:
            return future.result(min(left, TICK))
        except TimeoutError:
            if future.done():  # either it was just in time, or the error is its own
                return future.result()
            attend()
    raise MountTimeout(f"The mount did not answer within {seconds:g} seconds.")


def _fulfil(future: Future, read: Callable, args: tuple) -> None:
    try:
        future.set_result(read(*args))
    except BaseException as error:
        future.set_exception(error)
