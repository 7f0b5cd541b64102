"""Daemon-thread pool and timeouts for a mount that may hang.

All reads of the mount run in daemon threads. The interpreter waits for the threads of an executor when it exits, and
a thread that hangs in a system call never ends.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from functools import partial
from itertools import islice, repeat, takewhile
from math import inf
from queue import Empty, SimpleQueue
from signal import SIG_BLOCK, pthread_sigmask, valid_signals
from threading import Thread
from time import monotonic
from typing import Any

from ..errors import MountTimeoutError

POLL_SECONDS = 0.5  # seconds between two calls of `checkpoint` while waiting
SCALE_UP_AFTER_SECONDS = 0.025  # seconds of uninterrupted waiting after which the number of threads is doubled
PREFETCH = 16  # items that `bounded` reads ahead
GROUP_SIZE = 50  # results that are yielded together, at most
GROUP_SECONDS = 0.2  # seconds that a result waits for others of its group
MAX_IDLE = 32  # threads that wait for the next pool
_SENTINEL = object()
# The set is made once, since it takes longer than the start of a thread.
ALL_SIGNALS = valid_signals()


class IdleThreads:
    """Daemon threads that serve the next pool after theirs has ended.

    To start a thread takes longer than to read a small file. A thread that hangs never becomes idle again.
    """

    def __init__(self) -> None:
        self._idle: deque[SimpleQueue[Callable[[], None]]] = deque()

    def run(self, work: Callable[[], None]) -> None:
        """Run `work()` in an idle thread, or in a new one."""
        try:
            inbox = self._idle.pop()
        except IndexError:
            inbox = SimpleQueue()
            Thread(target=self._serve, args=(inbox,), name="mount reader", daemon=True).start()
        inbox.put(work)

    def forget(self) -> None:
        """Forget the threads of the parent, which a forked process does not have."""
        self._idle.clear()

    def _serve(self, inbox: SimpleQueue[Callable[[], None]]) -> None:
        # The main thread handles signals; one that is delivered here would not interrupt its waiting.
        pthread_sigmask(SIG_BLOCK, ALL_SIGNALS)
        while True:
            inbox.get()()
            if len(self._idle) >= MAX_IDLE:
                return
            self._idle.append(inbox)


IDLE_THREADS = IdleThreads()
os.register_at_fork(after_in_child=IDLE_THREADS.forget)


class DaemonThreadPool:
    """A pool of daemon threads that grows while callers wait for results.

    One thread reads files from the page cache fastest, since Python runs one thread at a time; many threads are faster
    if each read waits for the network. When the `with` block ends, queued reads are dropped and hanging ones abandoned.
    """

    def __init__(self, threads: int) -> None:
        self._threads, self._started, self._left = threads, 0, False
        self._wanted: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._waited, self._there = 0.0, 0

    def __enter__(self) -> "DaemonThreadPool":
        return self

    def __exit__(self, *exc: object) -> None:
        self._left = True
        for _ in range(self._started):
            self._wanted.put(None)

    def submit(self, read: Callable[..., Any], *args: Any) -> Future[Any]:
        """Submit `read(*args)` to the pool."""
        future: Future[Any] = Future()
        self._wanted.put(partial(_fulfil, future, read, args))
        if not self._started:
            self._start(1)
        return future

    def result_scaling_up(self, future: Future[Any], ahead: Future[Any] | None = None) -> Future[Any]:
        """Wait for the future, adding threads; it may still be running.

        With `ahead`, a future that was submitted a little later, the caller is woken once for all up to it.
        The number of threads doubles after each SCALE_UP_AFTER_SECONDS of waiting. The waiting time restarts at zero
        after as many consecutive futures were done at once as there are threads, since those often finish together.
        """
        self._there = self._there + 1 if future.done() else 0
        if self._there >= self._started:
            self._waited = 0.0
        while not future.done() and self._started < self._threads:
            since = monotonic()
            awaited = future if ahead is None or ahead.done() else ahead
            try:
                awaited.exception(SCALE_UP_AFTER_SECONDS - self._waited)
                self._waited = min(SCALE_UP_AFTER_SECONDS, self._waited + monotonic() - since)
            except TimeoutError:
                self._waited = 0.0
                self._start(self._started)
        return future

    def map(
        self, read: Callable[[Any], Any], things: Iterable[Any], window: int,
        wait: Callable[[Future[Any]], Any] = Future.result,
    ) -> Iterator[Any]:
        """Map `read` over the things in their order; raise what it raised.

        At most `window` reads are submitted and not yet yielded; `wait(future)` waits for one result.
        """
        begun: deque[Future[Any]] = deque()
        for thing in things:
            begun.append(self.submit(read, thing))
            if len(begun) >= window:
                yield wait(self.result_scaling_up(begun.popleft()))
        while begun:
            yield wait(self.result_scaling_up(begun.popleft()))

    def scale_up(self) -> bool:
        """Double the number of threads; return False if there are as many as allowed."""
        before = self._started
        self._start(max(1, before))
        return self._started > before

    def _start(self, more: int) -> None:
        for _ in range(min(more, self._threads - self._started)):
            self._started += 1
            IDLE_THREADS.run(self._serve)

    def _serve(self) -> None:
        while (task := self._wanted.get()) is not None and not self._left:
            task()


def iterate_with_timeout(iterable: Iterable[Any], seconds: float | None) -> Iterator[Any]:
    """Iterate over an iterable that reads the mount, with a time limit.

    A daemon thread reads a few items ahead. At the timeout it is abandoned if it hangs in a system call; otherwise it
    stops at its next item. Its exceptions are raised here. Signals are handled while waiting.

    Raises MountTimeoutError.
    """
    iterator = iter(iterable)
    deadline = inf if seconds is None else monotonic() + seconds
    with DaemonThreadPool(1) as reader:
        wait = partial(_outcome, deadline, seconds)
        items = reader.map(lambda _: next(iterator, _SENTINEL), repeat(None), PREFETCH, wait)
        yield from takewhile(lambda item: item is not _SENTINEL, items)


def iterate_unordered(
    read: Callable[[Any], Any], things: Iterable[Any], threads: int, seconds: float | None
) -> Iterator[list[tuple[Any, Future[Any]]]]:
    """Yield (thing, future) in groups as the reads are done; one that takes long holds up no other.

    Raises MountTimeoutError.
    """
    deadline = inf if seconds is None else monotonic() + seconds
    left, done = iter(things), SimpleQueue[tuple[Any, Future[Any]]]()
    with DaemonThreadPool(threads) as pool:

        def begin(thing: Any) -> int:
            pool.submit(read, thing).add_done_callback(lambda future: done.put((thing, future)))
            return 1

        running = sum(map(begin, islice(left, 2 * threads)))
        while running:
            group = [_first_done(pool, done, deadline, seconds)]
            until = min(deadline, monotonic() + GROUP_SECONDS)
            while True:
                running += sum(map(begin, islice(left, 1))) - 1
                if not running or len(group) == GROUP_SIZE or (another := _next_done(done, until)) is None:
                    break
                group.append(another)
            yield group


def _first_done(
    pool: DaemonThreadPool, done: SimpleQueue[tuple[Any, Future[Any]]], deadline: float, seconds: float | None
) -> tuple[Any, Future[Any]]:
    """Wait for a result, adding threads."""
    wait = SCALE_UP_AFTER_SECONDS
    while (now := monotonic()) < deadline:
        if found := _next_done(done, min(deadline, now + wait)):
            return found
        wait = SCALE_UP_AFTER_SECONDS if pool.scale_up() else POLL_SECONDS
    raise MountTimeoutError(f"The mount did not answer within {seconds:g} seconds.")


def _next_done(done: SimpleQueue[tuple[Any, Future[Any]]], until: float) -> tuple[Any, Future[Any]] | None:
    try:
        return done.get(timeout=max(0.0, until - monotonic()))
    except Empty:
        return None


def map_in_threads(look: Callable[[Any], Any], things: Iterable[Any], threads: int) -> Iterator[Any]:
    """Map `look` over the things, in order, in up to `threads` threads."""
    with DaemonThreadPool(threads) as readers:
        yield from readers.map(look, things, 2 * threads)


def call_with_timeout(look: Callable[[], Any], checkpoint: Callable[[], None], seconds: float) -> Any:
    """Call `look()` in a daemon thread; return or raise what it does.

    `checkpoint` is called every POLL_SECONDS meanwhile and may raise to stop waiting.

    Raises MountTimeoutError after `seconds`.
    """
    future: Future[Any] = Future()
    IDLE_THREADS.run(partial(_fulfil, future, look, ()))
    return wait_for(future, checkpoint, seconds)


def wait_for(future: Future[Any], checkpoint: Callable[[], None], seconds: float) -> Any:
    """Wait for the result of a submitted read, as `call_with_timeout` does."""
    return _outcome(monotonic() + seconds, seconds, future, checkpoint)


def _outcome(
    deadline: float, seconds: float | None, future: Future[Any], checkpoint: Callable[[], None] = lambda: None
) -> Any:
    while (left := deadline - monotonic()) > 0:
        try:
            return future.result(min(left, POLL_SECONDS))
        except TimeoutError:
            if future.done():  # it ended just now, or `look` itself raised TimeoutError
                return future.result()
            checkpoint()
    raise MountTimeoutError(f"The mount did not answer within {seconds:g} seconds.")


def _fulfil(future: Future[Any], read: Callable[..., Any], args: tuple[Any, ...]) -> None:
    try:
        future.set_result(read(*args))
    except BaseException as error:
        future.set_exception(error)


def seconds_left(deadline: float | None) -> float | None:
    """Return the seconds until a time of `monotonic`, at least 0; None without a deadline."""
    return None if deadline is None else max(0.0, deadline - monotonic())
