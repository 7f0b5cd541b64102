"""Run one load test and report its figures."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import bundles, invariants, operators
from .chaos import Chaos
from .deployment import Deployment, Size, open_deployment
from .monitor import Monitor, longest_wait_of_all

MEMORY = {"worker": 400, "panel": 500}  # MiB; a panel may plan several big bundles at once


class Figures:
    """Prints measurements, and collects the problems."""

    def __init__(self, say: Callable[[str], Any]):
        self.say, self.problems = say, []

    def timed(self, what: str, work: Callable, *args) -> Any:
        started = time.monotonic()
        value = work(*args)
        self.say(f"{what}: {time.monotonic() - started:.0f} s")
        return value

    def require(self, holds: bool, problem: str) -> None:
        if not holds:
            self.problems.append(problem)


def run(folder: Path, size: Size, say: Callable[[str], Any] = print) -> list[str]:
    """Run the load; return its problems."""
    figures = Figures(say)
    with open_deployment(folder, size) as site:
        ordinary, big = figures.timed(f"{size.sentinels:,} sentinels written", bundles.write_bundles, site)
        scanned = figures.timed(f"{size.sentinels:,} sentinels scanned", site.shell, "scan")
        figures.require(scanned.returncode in (0, 1), scanned.stderr)
        site.start()
        answers = operators.ResponseLog()
        with Monitor(site) as watch:
            _queue(site, ordinary, big, answers, figures)
            _upheave(site, ordinary, answers, figures)
            figures.problems += figures.timed("until the last job had ended", invariants.settle, site)
        _tell(site, watch, answers, figures)
        figures.problems += invariants.lost(site, [*ordinary, big]) + invariants.broken_invariants(site)
    return figures.problems


def _queue(site: Deployment, ordinary: list[str], big: str, answers: operators.ResponseLog, figures: Figures) -> None:
    """All at once by the page, and the big one, which takes longer than a request may, by the shell: it comes first."""
    first = operators.Operator(site, "first", answers)
    matched = figures.timed(f"{len(ordinary):,} bundles queued by one operator", operators.queue_all, site, first)
    figures.require(matched == len(ordinary) + 1, f"{matched} batches matched, {len(ordinary) + 1} are there")
    # Refused where the page had time enough for it.
    figures.timed(f"{site.size.items:,} items queued by the shell", site.shell, "queue", big, "--priority", "1")


def _upheave(site: Deployment, ordinary: list[str], answers: operators.ResponseLog, figures: Figures) -> None:
    with Chaos(site) as upheaval, operators.OperatorTraffic(site, ordinary, answers):
        threading.Event().wait(site.size.minutes * 60)
    figures.say(
        f"{sum(upheaval.befell.values())} blows: " + ", ".join(f"{n} {what}" for what, n in upheaval.befell.items())
    )


def _tell(site: Deployment, watch: Monitor, answers: operators.ResponseLog, figures: Figures) -> None:
    """Print the measurements, and check them against the limits."""
    jobs = site.admin.execute("SELECT state, COUNT(*) AS n, SUM(attempts) AS attempts FROM import_job GROUP BY state")
    figures.say("jobs: " + ", ".join(f"{row['n']} {row['state']} in {row['attempts']} attempts" for row in jobs))
    statuses = ", ".join(f"{n} x {status}" for status, n in sorted(answers.statuses.items(), key=str))
    figures.say(
        f"responses: {statuses}; half within {answers.middle():.2f} s,"
        f" the slowest {answers.slowest[0]:.1f} s: {answers.slowest[1]}"
    )
    figures.say("most memory: " + ", ".join(f"{role} {mib} MiB" for role, mib in sorted(watch.memory.items())))
    figures.say(
        f"longest lock wait: {watch.longest[0]:.1f} s behind a running process,"
        f" {watch.behind_stopped[0]:.1f} s behind a stopped one;"
        f" the server counts {longest_wait_of_all(site.admin):.1f} s"
    )
    figures.problems += answers.wrong[:10]
    figures.require(watch.longest[0] <= site.size.lock_seconds, f"a row was waited for too long: {watch.longest}")
    for role, most in MEMORY.items():
        figures.require(watch.memory[role] <= most, f"a {role} took {watch.memory[role]} MiB, more than {most}")
    for keeper in site.keepers:
        figures.require(not keeper.unexpected, f"a {keeper.role} ended with {keeper.unexpected}")
