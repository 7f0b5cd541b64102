"""Compare the plan of a dry run with the rows that the import wrote.

Plan lines are looked up in the database by their natural keys, a few hundred at a time. Assets that the batch wrote and
the plan does not contain are found by their last batch.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..db import chunked
from ..errors import ConfigurationError
from . import table_specs, value_diff
from .compared_database import ComparedDatabase, Row, key_of, key_part
from .database_diff import Progress, no_progress
from .findings import Difference, Findings, TableCounts
from .masks import COLUMN_MASKS
from .table_specs import BY_NAME, JSON, TableSpec
from .value_diff import ValueDifference

LINES = 300  # of one look-up
REMOVED = "removed"
HINT = "bin/import-worker --dry-run --batch SYNC_ID > FILE writes one."

Line = dict[str, Any]


class DryRunPlan:
    """A plan file, read line by line.

    Raises ConfigurationError if it is not a plan.
    """

    def __init__(self, path: Path):
        self.path, self._line = path, 0
        try:
            self.facts = next(self._lines())
            self.complete = any(line["table"] == "ingest_batch" for line in self.rows())
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be read", [f"{path}: {error.strerror}"], HINT) from None
        except (ValueError, StopIteration, KeyError, TypeError) as error:
            raise ConfigurationError(f"{path} is not a plan", [self._describe(error)], HINT) from None
        if self.facts.get("plan") != 1 or not self.complete:
            raise ConfigurationError(f"{path} is not a whole plan", ["its first or last line is missing"], HINT)

    def _describe(self, error: Exception) -> str:
        """Say what was found instead of the line that was read last."""
        if isinstance(error, StopIteration):
            return "found an empty file, expected lines of JSON"
        if isinstance(error, UnicodeDecodeError):
            return "found bytes that are no UTF-8, expected lines of JSON"
        return f"line {self._line}: found no line of a plan, expected a JSON object"

    def _lines(self) -> Iterator[Line]:
        with open(self.path, encoding="utf-8") as file:
            for self._line, text in enumerate(file, 1):
                yield json.loads(text)

    def rows(self) -> Iterator[Line]:
        lines = self._lines()
        next(lines)
        return lines


def compare_plan(
    plan: DryRunPlan, side: ComparedDatabase, findings: Findings, progress: Progress = no_progress
) -> None:
    """Compare a plan, the left side, with an opened database."""
    side.require_tables()
    comparison = PlanComparison(plan, side, findings)
    done = 0
    for chunk in chunked(plan.rows(), LINES):
        by_table = defaultdict(list)
        for line in chunk:
            by_table[line["table"]].append(line)
        for name, lines in by_table.items():
            comparison.planned(BY_NAME[name], lines)
        progress("plan", done := done + len(chunk), done + 1)
    progress("plan", done, done)
    comparison.unplanned()


class PlanComparison:
    """The comparison of one plan."""

    def __init__(self, plan: DryRunPlan, side: ComparedDatabase, findings: Findings):
        self._sync_id, self._side, self._findings = plan.facts["sync_id"], side, findings
        self._tallies: dict[str, TableCounts] = {}
        self._assets: set[tuple] = set()

    def _tally(self, table: TableSpec) -> TableCounts:
        if table.name not in self._tallies:
            self._tallies[table.name] = self._findings.tally(table.area, table.name, table.noun)
        return self._tallies[table.name]

    def planned(self, table: TableSpec, lines: list[Line]) -> None:
        """Compare a few planned rows of one table."""
        paths = sorted({path for line in lines for path in line["values"]})
        places = {part: table_specs.end_of(table.name, part) for part in table.key if part != "#"}
        lacking = [part for part, place in places.items() if not self._side.has(*place)]
        if not self._side.has(table.name) or lacking:
            missing = "missing, or without key"
            self._findings.add(Difference("table_missing", table.area, table.name, left="planned", right=missing))
            return
        where = {part: list({line["key"][part] for line in lines}) for part in table.key}
        written = {key_of(table, row): row for row in self._side.among(table, [*paths, table.bundle], where)}
        for line in lines:
            key = tuple(key_part(part, line["key"][part]) for part in table.key)
            if table.name == "asset":
                self._assets.add(key)
            self._line(table, key, line, written.get(key))

    def _line(self, table: TableSpec, key: tuple, line: Line, row: Row | None) -> None:
        counts = self._tally(table)
        if row is None:
            text = ", ".join(f"{name} {value}" for name, value in line["values"].items() if value is not None)[:300]
            if self._add(table, "", key, ValueDifference("left_only", text, "")):
                counts.left_only += 1
            return
        differences = [
            self._add(table, path.partition(".")[0], key, difference)
            for path, value in line["values"].items() if path in row
            for difference in _differences(table, path, value, row[path])
        ]
        if any(differences):
            counts.different += 1
        else:
            counts.equal += 1

    def unplanned(self) -> None:
        """Record assets of the batch that the plan does not contain."""
        table = BY_NAME["asset"]
        if not self._side.has("asset", "last_batch_id"):
            return
        for row in self._side.among(table, ["title", "path"], {"last_batch_id.sync_id": [self._sync_id]}):
            if key_of(table, row) not in self._assets:
                text = ", ".join(f"{name} {row[name]}" for name in ("title", "path") if row.get(name))
                if self._add(table, "", key_of(table, row), ValueDifference("right_only", "", text)):
                    self._tally(table).right_only += 1

    def _add(self, table: TableSpec, column: str, key: tuple, difference: ValueDifference) -> bool:
        kind, left, right, path = difference
        if kind == value_diff.TOLERATED:
            self._findings.tolerate(f"{table.name}.{column}", path)
            return False
        row = " ".join(map(str, key))
        return self._findings.add(
            Difference(kind, table.area, table.name, column, path, row, self._sync_id, left, right)
        )


def _differences(table: TableSpec, path: str, planned: Any, written: Any) -> Iterator[ValueDifference]:
    if path == "deleted_at":
        states = (REMOVED if planned else "live", "live" if written is None else REMOVED)
        return iter([ValueDifference(REMOVED, *states)] if states[0] != states[1] else [])
    if "." in path:
        return iter([ValueDifference("reference", planned, written)] if planned != written else [])
    if table_specs.column_kind(table.name, path) is JSON:
        return value_diff.diff_json(planned, written, by_bytes=False)
    if table_specs.column_kind(table.name, path) is table_specs.HASH:
        return value_diff.diff_hash(planned, written)
    return value_diff.diff_plain(planned, written, COLUMN_MASKS.get((table.name, path)))
