"""Chaos: SIGKILL, SIGTERM and SIGSTOP for workers and panel."""

import random
import signal
import threading
from collections import Counter

from .deployment import Deployment, Supervisor

PAUSE = (1.0, 5.0)  # seconds from one to the next
STOPPED = (1.0, 20.0)  # seconds; others presume a worker dead after twelve
WEIGHTS = {
    ("worker", "kill -9"): 4, ("worker", "SIGTERM"): 3, ("worker", "SIGSTOP"): 3, ("panel", "kill -9"): 1,
    ("panel", "SIGTERM"): 1,
}


class Chaos:
    """Context that disturbs one process after the other; `befell` counts the faults."""

    def __init__(self, site: Deployment, weights=WEIGHTS, pause=PAUSE, spared: Supervisor | None = None):
        self._site, self._chance = site, random.Random(1)
        self._weights, self._pause, self._spared = weights, pause, spared
        self.befell: Counter[str] = Counter()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run)]

    def __enter__(self) -> "Chaos":
        self._threads[0].start()
        return self

    def __exit__(self, *exc) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        kinds, weights = zip(*self._weights.items(), strict=True)
        while not self._over.wait(self._chance.uniform(*self._pause)):
            role, what = self._chance.choices(kinds, weights)[0]
            exposed = [each for each in self._site.keepers if each.role == role and each is not self._spared]
            keeper = self._chance.choice(exposed)
            self.befell[f"{what} of a {role}"] += 1
            self._strike(keeper, what)

    def _strike(self, keeper: Supervisor, what: str) -> None:
        if what == "SIGSTOP":
            self._threads.append(
                threading.Thread(target=self._stop, args=(keeper.process, self._chance.uniform(*STOPPED)))
            )
            self._threads[-1].start()
        else:
            keeper.send(signal.SIGKILL if what == "kill -9" else signal.SIGTERM)

    def _stop(self, process, seconds: float) -> None:
        process.send_signal(signal.SIGSTOP)
        self._over.wait(seconds)
        process.send_signal(signal.SIGCONT)
