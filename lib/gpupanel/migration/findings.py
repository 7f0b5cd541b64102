"""What a comparison has found: how much agrees, and the differences, grouped by kind; bounded, however many there are."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from . import difference_kinds

if TYPE_CHECKING:
    from .accepted import AcceptedDifference

SAMPLES = 200
GROUPS = 2000
BUNDLES = 5000
LONGEST = 2000


class Difference(NamedTuple):
    """One difference; `row` is the natural key for people, `path` a place within a JSON value, and `left` and `right`
    are texts."""

    kind: str
    area: str
    table: str
    column: str
    path: str
    row: str
    bundle: str
    left: str
    right: str


@dataclass
class DifferenceGroup:
    """Differences of one kind at one place; only the first `samples` are kept."""

    kind: str
    area: str
    table: str
    column: str
    path: str
    count: int = 0
    samples: list[Difference] = field(default_factory=list)

    @property
    def place(self) -> str:
        """`ingest_event.payload: counts.will_skip`, as far as it applies."""
        return f"{self.table}{'.' if self.column else ''}{self.column}{': ' if self.path else ''}{self.path}"

    @property
    def title(self) -> str:
        return f"{self.place} {difference_kinds.KINDS[self.kind].title}"

    @property
    def cause(self) -> str:
        return difference_kinds.likely_cause(self.table, self.column, self.kind)

    @property
    def weight(self) -> str:
        return difference_kinds.weight_of(self.area, self.kind)


@dataclass
class TableCounts:
    """How the rows of one table compare; `implied` are missing only since their parent is."""

    area: str
    table: str
    noun: str
    equal: int = 0
    different: int = 0
    left_only: int = 0
    right_only: int = 0
    accepted: int = 0
    implied: int = 0

    @property
    def rows(self) -> int:
        return self.equal + self.different + self.left_only + self.right_only + self.accepted + self.implied


class Findings:
    """Collects what is found; `each` is told of every difference that is not accepted, also of those beyond the samples."""

    def __init__(self, accepted: Iterable["AcceptedDifference"] = (), each: Callable[[Difference], None] = lambda difference: None):
        self.accepted = list(accepted)
        self.met: Counter[str] = Counter()
        self.tallies: list[TableCounts] = []
        self.bundles: Counter[str] = Counter()
        self._groups: dict[tuple, DifferenceGroup] = {}
        self._each = each

    def tally(self, area: str, table: str, noun: str) -> TableCounts:
        self.tallies.append(TableCounts(area, table, noun))
        return self.tallies[-1]

    def add(self, kind: str, area: str, table: str, column: str = "", *, path: str = "", row: str = "", bundle: Any = None,
            left: Any = "", right: Any = "") -> bool:
        """Take in a difference; False when it is an accepted one."""
        found = Difference(kind, area, table, column, path, row, bundle or "", format_value(left), format_value(right))
        for decision in self.accepted:
            if decision.covers(found):
                self.met[decision.name] += 1
                return False
        self._take(found)
        return True

    def _take(self, found: Difference) -> None:
        place = (found.kind, found.table, found.column, found.path if len(self._groups) < GROUPS else "")
        group = self._groups.setdefault(place, DifferenceGroup(found.kind, found.area, *place[1:]))
        group.count += 1
        if len(group.samples) < SAMPLES:
            group.samples.append(found)
        if found.bundle and (found.bundle in self.bundles or len(self.bundles) < BUNDLES):
            self.bundles[found.bundle] += 1
        self._each(found)

    @property
    def groups(self) -> list[DifferenceGroup]:
        """The heaviest first, and the most frequent among those that weigh the same."""
        heaviest = list(difference_kinds.WEIGHTS)
        return sorted(self._groups.values(), key=lambda group: (heaviest.index(group.weight), -group.count, group.place))

    @property
    def count(self) -> int:
        return sum(group.count for group in self._groups.values())

    @property
    def equal(self) -> bool:
        return not self._groups


def format_value(value: Any) -> str:
    """A value as a text for people; long ones are cut. What a row does not have at all is an empty text."""
    if isinstance(value, str):
        text = value
    elif isinstance(value, datetime):
        text = value.isoformat(" ")
    elif isinstance(value, (bool, dict, list)):
        text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    else:
        text = "NULL" if value is None else str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}... ({len(text)} characters)"
