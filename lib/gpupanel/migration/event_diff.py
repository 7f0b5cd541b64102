"""Compare the events of one batch: types, order and payloads."""

from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import NamedTuple

from ..errors import NotFoundError
from . import value_diff
from .compared_database import ComparedDatabase, Row
from .findings import Difference, Findings
from .table_specs import BY_NAME

EVENT = BY_NAME["ingest_event"]
SAME, DIFFERENT, MISSING = "same", "different", "only here"


class EventPair(NamedTuple):
    """The events of one line; None if a side has no event there."""

    left: Row | None
    right: Row | None


def compare_events(
    left: ComparedDatabase, right: ComparedDatabase, sync_id: str, findings: Findings
) -> tuple[tuple[str, ...], ...]:
    """Compare the events of a batch; return the timeline as rows of cells.

    Raises NotFoundError.
    """
    left.require_tables()
    right.require_tables()
    events = _events(left, sync_id), _events(right, sync_id)
    if not any(events):
        raise NotFoundError(f"Neither side has an event of batch {sync_id}.", "Check the sync_id.")
    counts = findings.tally(EVENT.area, EVENT.name, EVENT.noun)
    lines: list[tuple[str, ...]] = [("", left.label, right.label)]
    for pair in aligned(*events):
        verdict = _compare_pair(pair, sync_id, findings)
        attribute = {SAME: "equal", DIFFERENT: "different"}.get(verdict, "left_only" if pair.left else "right_only")
        setattr(counts, attribute, getattr(counts, attribute) + 1)
        lines.append((verdict, *(_describe(row) for row in pair)))
    return tuple(lines)


def _events(side: ComparedDatabase, sync_id: str) -> list[Row]:
    paths = [column for column in ("payload", "created_at") if side.has(EVENT.name, column)]
    rows = sorted(side.among(EVENT, paths, {"batch_id.sync_id": [sync_id]}), key=lambda row: row["@"])
    numbers: dict[str, int] = {}
    return [row | {"payload": value_diff.renumber_jobs(row.get("payload"), numbers)} for row in rows]


def aligned(left: list[Row], right: list[Row]) -> Iterator[EventPair]:
    """Yield the events of both sides in order, equal types in one pair."""
    left_types, right_types = ([row["event_type"] for row in side] for side in (left, right))
    for step, a, b, c, d in SequenceMatcher(None, left_types, right_types, autojunk=False).get_opcodes():
        if step == "equal":
            yield from map(EventPair, left[a:b], right[c:d])
        else:
            yield from (EventPair(row, None) for row in left[a:b])
            yield from (EventPair(None, row) for row in right[c:d])


def _compare_pair(pair: EventPair, sync_id: str, findings: Findings) -> str:
    row = pair.left or pair.right
    if row is None:
        raise ValueError("a pair has at least one event")
    event_type = row["event_type"]

    def add(kind: str, column: str, left: object, right: object, path: str = "") -> bool:
        path = f"{path} of {event_type}" if path else event_type
        row_name = f"event {row['@']}: {event_type}"
        return findings.add(
            Difference(kind, EVENT.area, EVENT.name, column, path, row_name, sync_id, left, right)
        )

    if pair.left is None or pair.right is None:
        add("right_only" if pair.left is None else "left_only", "", _describe(pair.left), _describe(pair.right))
        return MISSING
    payloads = pair.left.get("payload"), pair.right.get("payload")
    differences = []
    for difference in value_diff.diff_json(*payloads, by_bytes=True, masked=True):
        if difference.kind == value_diff.TOLERATED:
            findings.tolerate("ingest_event.payload", difference.path)
        else:
            differences.append(add(difference.kind, "payload", difference.left, difference.right, difference.path))
    return DIFFERENT if any(differences) else SAME


def _describe(row: Row | None) -> str:
    if row is None:
        return ""
    return f"{row.get('created_at') or ''} {row['event_type']} {row.get('payload') or ''}".strip()
