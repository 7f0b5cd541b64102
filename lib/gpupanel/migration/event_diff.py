"""The events of one batch on both sides, side by side: types, order, and payloads with their keys, types and spacing."""

from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import NamedTuple

from ..errors import NotFound
from . import value_diff
from .compared_database import ComparedDatabase, Row
from .findings import Findings
from .table_specs import BY_NAME

EVENT = BY_NAME["ingest_event"]
SAME, DIFFERENT, MISSING = "same", "different", "only here"


class EventPair(NamedTuple):
    """The events that stand on one line; None where a side has none there."""

    left: Row | None
    right: Row | None


def compare_events(left: ComparedDatabase, right: ComparedDatabase, sync_id: str, findings: Findings) -> tuple[tuple[str, ...], ...]:
    """Compare the events of a batch on two opened sides; returns the timeline as rows of cells. Raises NotFound."""
    events = [_events(side, sync_id) for side in (left, right)]
    if not any(events):
        raise NotFound(f"Neither side has an event of batch {sync_id}.", "Check the sync_id.")
    tally = findings.tally(EVENT.area, EVENT.name, EVENT.noun)
    lines = [("", left.label, right.label)]
    for moment in aligned(*events):
        verdict = _judge(moment, sync_id, findings)
        attribute = {SAME: "equal", DIFFERENT: "different"}.get(verdict, "left_only" if moment.left else "right_only")
        setattr(tally, attribute, getattr(tally, attribute) + 1)
        lines.append((verdict, *(_told(row) for row in moment)))
    return tuple(lines)


def _events(side: ComparedDatabase, sync_id: str) -> list[Row]:
    paths = [column for column in ("payload", "created_at") if side.has(EVENT.name, column)]
    return sorted(side.among(EVENT, paths, {"batch_id.sync_id": [sync_id]}), key=lambda row: row["@"])


def aligned(left: list[Row], right: list[Row]) -> Iterator[EventPair]:
    """The events of both sides in their order, those of one type on one line wherever the order allows."""
    types = [[row["event_type"] for row in side] for side in (left, right)]
    for step, a, b, c, d in SequenceMatcher(None, *types, autojunk=False).get_opcodes():
        if step == "equal":
            yield from map(EventPair, left[a:b], right[c:d])
        else:
            yield from (EventPair(row, None) for row in left[a:b])
            yield from (EventPair(None, row) for row in right[c:d])


def _judge(moment: EventPair, sync_id: str, findings: Findings) -> str:
    def add(kind: str, column: str, left, right, path: str = "") -> bool:
        row = moment.left or moment.right
        return findings.add(
            kind, EVENT.area, EVENT.name, column, path=f"{path} of {row['event_type']}" if path else row["event_type"],
            row=f"event {row['@']}: {row['event_type']}", bundle=sync_id, left=left, right=right,
        )

    if moment.left is None or moment.right is None:
        add("right_only" if moment.left is None else "left_only", "", _told(moment.left), _told(moment.right))
        return MISSING
    found = [add(each.kind, "payload", each.left, each.right, each.path)
             for each in value_diff.diff_json(moment.left.get("payload"), moment.right.get("payload"), by_bytes=True)]
    return DIFFERENT if any(found) else SAME


def _told(row: Row | None) -> str:
    if row is None:
        return ""
    return f"{row.get('created_at') or ''} {row['event_type']} {row.get('payload') or ''}".strip()
