"""Measure a run in slices of equal length, and the trend over them (docs/decisions/0178)."""

import time
from collections import defaultdict
from collections.abc import Callable
from math import sqrt
from pathlib import Path
from statistics import fmean, linear_regression, quantiles
from typing import NamedTuple

from constants import NAME
from load.deployment import Deployment
from load.monitor import memory
from load.operators import ResponseLog

from .feed import OPEN

SAMPLE_SECONDS = 0.5
FLAT = 0.1
RATE = " a minute"  # ends the name of a measure of which more is better
MIB = 1024**2
DONE = "SELECT COALESCE(SUM(items_done), 0) AS assets, COALESCE(SUM(state = 'completed'), 0) AS jobs FROM import_job"
# Their rows are those that `archive` deletes.
ARCHIVED = (
    "ingest_result", "ingest_result_member", "ingest_result_tombstone", "ingest_event", "ingest_batch_item",
)
RULE = (
    "Times are those of responses to open pages; memory is a mean, and worker 1 is never killed. The trend is a line of"
    " least squares through the slices without the first, and the change is what this line rises by, as a share of the"
    f" mean. A change of at most {FLAT:.0%} is flat. A larger one is uncertain if the slope is within two standard"
    " errors of zero."
)


class Trend(NamedTuple):
    """`change` of the fitted line from the first to the last value, as a share of their mean."""

    change: float
    word: str


def trend(values: list[float]) -> Trend:
    """Fit a line through three values or more."""
    places = range(len(values))
    slope, start = linear_regression(places, values)
    rest = sum((value - start - slope * place) ** 2 for place, value in zip(places, values, strict=True))
    width = sum((place - fmean(places)) ** 2 for place in places)
    change = slope * places[-1] / fmean(values) if any(values) else 0.0
    if abs(change) <= FLAT:
        return Trend(change, "flat")
    if abs(slope) <= 2 * sqrt(rest / (len(values) - 2) / width):
        return Trend(change, "uncertain")
    return Trend(change, "rises" if slope > 0 else "falls")


class Slices:
    """`rows` maps each measure to its value in each slice."""

    def __init__(self, site: Deployment, pages: ResponseLog):
        self._site, self._pages = site, pages
        self._memory: dict[str, float] = defaultdict(float)
        self.rows: dict[str, list[float]] = defaultdict(list)

    def measure(self, seconds: float, count: int, check: Callable[[], None]) -> None:
        """Measure for so long; call `check` with each sample."""
        started = time.monotonic()
        for number in range(1, count + 1):
            self._slice(started + seconds * number / count, check)

    def _slice(self, end: float, check: Callable[[], None]) -> None:
        started, requests, before = time.monotonic(), len(self._pages.seconds), self._totals()
        samples = defaultdict(list)
        while (left := end - time.monotonic()) > 0:
            for name, value in self._sample():
                samples[name].append(value)
            check()
            time.sleep(min(left, SAMPLE_SECONDS))
        after = self._totals()
        minutes = (time.monotonic() - started) / 60
        grown = {name: after[name] - before[name] for name in after}
        times = quantiles(self._pages.seconds[requests:] or [0, 0], n=20, method="inclusive")
        self._add({
            f"assets imported{RATE}": grown["assets"] / minutes,
            f"jobs completed{RATE}": grown["jobs"] / minutes,
            "batches that wait or run": fmean(samples.pop("open")),
            "page, ms, half within": times[9] * 1000,
            "page, ms, 95 of 100 within": times[18] * 1000,
        } | {f"memory, MiB: {name}": fmean(values) for name, values in samples.items()} | {
            "files of archived tables, MiB": after["archived"] / MIB,
            "other database files, bytes an asset": grown["kept"] / max(1, grown["assets"]),
        })

    def _add(self, values: dict[str, float]) -> None:
        for name, value in values.items():
            self.rows[name].append(value)

    def _sample(self) -> list[tuple[str, float]]:
        pids = {"server": self._site.server.pid}
        for number, keeper in enumerate(self._site.keepers):
            pids[f"{keeper.role} {number or ''}".rstrip()] = keeper.process.pid
        for name, pid in pids.items():
            self._memory[name] = memory(pid) or self._memory[name]  # of a killed worker, that before its end
        return [("open", float(self._site.admin.execute(OPEN)[0]["batches"])), *self._memory.items()]

    def _totals(self) -> dict[str, int]:
        (done,) = self._site.admin.execute(DONE)
        data = self._site.server.folder / "data"
        tables = {path.stem: path.stat().st_size for path in [*Path(data, NAME).glob("*.ibd"), *data.glob("ibdata*")]}
        archived = sum(tables[name] for name in ARCHIVED)
        kept = sum(tables.values()) - archived
        return {name: int(value) for name, value in done.items()} | {"archived": archived, "kept": kept}

    # ----------------------------------------------------------------------------------------------- output

    def trends(self) -> dict[str, Trend]:
        """Return the trend of each measure, without the first slice."""
        return {name: trend(values[1:]) for name, values in self.rows.items()}

    def worse(self) -> list[str]:
        """Return the measures that do not hold: a rate that falls or stops, or another measure that rises."""
        rates = [name for name in self.rows if name.endswith(RATE)]
        return [f"{name}: none in a slice" for name in rates if not all(self.rows[name][1:])] + [
            f"{name}: {found.word} by {abs(found.change):.0%}" for name, found in self.trends().items()
            if found.word == ("falls" if name in rates else "rises")
        ]

    def lines(self) -> list[str]:
        """Return a Markdown table."""
        count = len(next(iter(self.rows.values())))
        head = ["measure", *map(str, range(1, count + 1)), "change", "trend"]
        lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
        for name, found in self.trends().items():
            values = [f"{value:,.0f}" if value >= 100 else f"{value:.1f}" for value in self.rows[name]]
            lines.append(f"| {' | '.join([name, *values, f'{found.change:+.0%}', found.word])} |")
        return [*lines, "", RULE]
