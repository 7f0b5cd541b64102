"""Run contenders in turns, so that other load affects all of them equally."""

from collections.abc import Callable
from statistics import median
from typing import NamedTuple

Contender = Callable[[], float]


class Comparison(NamedTuple):
    """Measurements: contender -> a figure in `unit` for each round.

    Ratios are to the contender `standard`, round by round. `target` is what ours should reach, in words; `notes` has
    other measurements, such as peak memory.
    """

    work: str
    unit: str
    standard: str
    rounds: dict[str, list[float]]
    target: str = ""
    notes: tuple[str, ...] = ()

    def ratios(self, name: str) -> list[float]:
        """Return the ratio to the standard for each round."""
        return [mine / its for mine, its in zip(self.rounds[name], self.rounds[self.standard], strict=True)]


def run_in_turns(contenders: dict[str, Contender], rounds: int, *, warm: bool = True) -> dict[str, list[float]]:
    """Run each contender once a round, in another order each time, after a warm-up round."""
    figures: dict[str, list[float]] = {name: [] for name in contenders}
    names = list(contenders)
    for name in names if warm else ():
        contenders[name]()
    for turn in range(rounds):
        for name in names[turn % len(names):] + names[:turn % len(names)]:
            figures[name].append(contenders[name]())
    return figures


def spread(values: list[float]) -> tuple[float, float, float]:
    """Return (median, minimum, maximum)."""
    return median(values), min(values), max(values)
