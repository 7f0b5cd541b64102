"""The findings of a comparison, grouped by kind, in bounded memory."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from . import difference_kinds

ACCEPTED_FIELDS = ("kind", "table", "column", "path", "row", "bundle", "left", "right")
SAMPLES = 200
MAX_GROUPS = 2000
MAX_BUNDLES = 5000
MAX_LENGTH = 2000  # characters of a value


class Difference(NamedTuple):
    """One difference.

    `row` is the natural key as text, `path` a path in a JSON value.
    """

    kind: str
    area: str
    table: str
    column: str = ""
    path: str = ""
    row: str = ""
    bundle: str = ""
    left: Any = ""
    right: Any = ""


class AcceptedDifference(NamedTuple):
    """One decision; `patterns` maps some of ACCEPTED_FIELDS to patterns."""

    name: str
    reason: str
    patterns: dict[str, str]

    def covers(self, difference: Difference) -> bool:
        """Return whether this decision accepts the difference."""
        return all(
            any(fnmatchcase(str(getattr(difference, field)), pattern) for pattern in _alternatives(field, patterns))
            for field, patterns in self.patterns.items()
        )


def _alternatives(field: str, patterns: str) -> list[str]:
    """Return the patterns of a field; several of a name are separated by commas."""
    return [part.strip() for part in patterns.split(",")] if field in ("kind", "table", "column") else [patterns]


@dataclass
class DifferenceGroup:
    """Differences of one kind at one place, with the first of them as samples."""

    kind: str
    area: str
    table: str
    column: str
    path: str
    count: int = 0
    samples: list[Difference] = field(default_factory=list)

    @property
    def place(self) -> str:
        """Return the place, such as `ingest_event.payload: counts.will_skip`."""
        return f"{self.table}{'.' if self.column else ''}{self.column}{': ' if self.path else ''}{self.path}"

    @property
    def title(self) -> str:
        return f"{self.place} {difference_kinds.KINDS[self.kind].title}"

    @property
    def cause(self) -> str:
        return difference_kinds.likely_cause(self.table, self.column, self.kind, self.path)

    @property
    def weight(self) -> str:
        return difference_kinds.weight_of(self.area, self.kind, self.table, self.path)


@dataclass
class TableCounts:
    """Counts of the rows of one table.

    `implied` rows are missing only because their parent row is missing.
    """

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
    """Collects differences.

    `each` receives every difference that is not accepted, not only samples.
    """

    def __init__(
        self, accepted: Iterable[AcceptedDifference] = (), each: Callable[[Difference], None] = lambda found: None
    ):
        self.accepted = list(accepted)
        self.met: Counter[str] = Counter()
        self.tallies: list[TableCounts] = []
        self.tolerated: Counter[tuple[str, str]] = Counter()
        self.bundles: Counter[str] = Counter()
        self._groups: dict[tuple, DifferenceGroup] = {}
        self._each = each

    def tally(self, area: str, table: str, noun: str) -> TableCounts:
        self.tallies.append(TableCounts(area, table, noun))
        return self.tallies[-1]

    def tolerate(self, place: str, name: str, count: int = 1) -> None:
        """Count values that differ and are not compared; the report lists them by name."""
        self.tolerated[name, place] += count

    def add(self, difference: Difference) -> bool:
        """Record a difference, with its values as text; return False if it is an accepted one."""
        left, right = format_value(difference.left), format_value(difference.right)
        difference = difference._replace(bundle=difference.bundle or "", left=left, right=right)
        for decision in self.accepted:
            if decision.covers(difference):
                self.met[decision.name] += 1
                return False
        self._record(difference)
        return True

    def _record(self, difference: Difference) -> None:
        path = difference.path if len(self._groups) < MAX_GROUPS else ""
        key = (difference.kind, difference.table, difference.column, path)
        group = self._groups.setdefault(key, DifferenceGroup(difference.kind, difference.area, *key[1:]))
        group.count += 1
        if len(group.samples) < SAMPLES:
            group.samples.append(difference)
        if difference.bundle and (difference.bundle in self.bundles or len(self.bundles) < MAX_BUNDLES):
            self.bundles[difference.bundle] += 1
        self._each(difference)

    @property
    def groups(self) -> list[DifferenceGroup]:
        """Return the groups by weight, then by frequency."""
        heaviest = list(difference_kinds.WEIGHTS)
        groups = self._groups.values()
        return sorted(groups, key=lambda group: (heaviest.index(group.weight), -group.count, group.place))

    @property
    def count(self) -> int:
        return sum(group.count for group in self._groups.values())

    @property
    def equal(self) -> bool:
        return not self._groups


def format_value(value: Any) -> str:
    """Format a value as text, truncated; a text that begins or ends with white space in quotes.

    A value that the row does not have is an empty text.
    """
    if isinstance(value, str):
        text = value if value == value.strip() else f'"{value}"'
    elif isinstance(value, datetime):
        text = value.isoformat(" ")
    elif isinstance(value, (bool, dict, list)):
        text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    else:
        text = "NULL" if value is None else str(value)
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")  # bytes that are no characters
    return text if len(text) <= MAX_LENGTH else f"{text[:MAX_LENGTH]}... ({len(text)} characters)"
