"""Waiting for a condition, never for a time."""

import threading
import time

SECONDS = 60


def wait_until(condition, what: str, every: float = 0.002):
    """The first true value of `condition()`; fails after a minute."""
    deadline, pause = time.monotonic() + SECONDS, threading.Event()
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} did not come about"
        pause.wait(every)
    return value
