"""Match rows that only their order identifies: the jobs of a batch, its events of one type.

If one side has more of them, those are found that the other side lacks. The numbers of jobs that follow from it are
kept, so that other rows can refer to the same job.
"""

from collections.abc import Callable
from itertools import zip_longest

from .row_reader import Row

LEFT, RIGHT = 0, 1
SIDES = ("left", "right")
# Larger groups are matched by their numbers.
MAX_COMPARISONS = 40_000
MAX_NAMES = 200_000

AlignedRows = list[tuple[Row | None, Row | None]]


def align_rows(left: list[Row], right: list[Row], cost: Callable[[Row, Row], float]) -> AlignedRows:
    """Pair the rows in order, so that the paired rows differ as little as possible."""
    if len(left) == len(right) or not left or not right or len(left) * len(right) > MAX_COMPARISONS:
        return list(zip_longest(left, right))
    if len(left) < len(right):
        return _align(left, right, cost)
    turned = _align(right, left, lambda short, long: cost(long, short))
    return [(long, short) for short, long in turned]


def _align(short: list[Row], long: list[Row], cost: Callable[[Row, Row], float]) -> AlignedRows:
    """Pair each row of `short` with one of `long`; the first of equally good rows stay unpaired."""
    costs = [[cost(row, other) for other in long] for row in short]
    # best[i][j]: the least cost of the rows after i of `short` and after j of `long`.
    spare = len(long) - len(short)
    best = [[float("inf")] * (len(long) + 1) for _ in range(len(short) + 1)]
    best[len(short)] = [0.0] * (len(long) + 1)
    for i in reversed(range(len(short))):
        for j in reversed(range(i, i + spare + 1)):
            best[i][j] = min(costs[i][j] + best[i + 1][j + 1], best[i][j + 1] if j < i + spare else float("inf"))
    aligned: AlignedRows = []
    i = 0
    for j, row in enumerate(long):
        is_spare = i == len(short) or (j < i + spare and best[i][j + 1] <= best[i][j])
        aligned.append((None if is_spare else short[i], row))
        i += not is_spare
    return aligned


def match_twins(left: list[Row], right: list[Row], cost: Callable[[Row, Row], float]) -> list[tuple[Row, Row]]:
    """Pair rows of the same key, the most alike first; the surplus of a side stays unpaired."""
    if len(left) == len(right) == 1 or len(left) * len(right) > MAX_COMPARISONS:
        return list(zip(left, right, strict=False))
    costs = sorted((cost(a, b), i, j) for i, a in enumerate(left) for j, b in enumerate(right))
    pairs: dict[int, int] = {}
    for _, i, j in costs:
        if i not in pairs and j not in pairs.values():
            pairs[i] = j
    return [(left[i], right[j]) for i, j in pairs.items()]


class JobNames:
    """The numbers of jobs in batches of which one side has more jobs than the other."""

    def __init__(self) -> None:
        self._names: dict[tuple[int, str, int], str] = {}

    def record(self, sync_id: str, aligned: AlignedRows) -> None:
        """Keep the names of the jobs of a batch: the number on the right, or that of an additional job."""
        if all(left and right for left, right in aligned) or len(self._names) >= MAX_NAMES:
            return
        for pair in aligned:
            for side, row in enumerate(pair):
                other = pair[RIGHT - side]
                if row:
                    self._names[side, sync_id, row["#"]] = (
                        str((row if side == RIGHT else other)["#"]) if other else f"{SIDES[side]}-{row['#']}"
                    )

    def name(self, side: int, sync_id: str, number: int) -> str:
        """Return the name of a job, the same on both sides."""
        return self._names.get((side, sync_id, number), str(number))
