"""Two values of one column: whether they mean the same, and if not, how they differ."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from itertools import combinations
from typing import Any, NamedTuple

# Surrogate ids and process names within a text are different on each side, and mean nothing.
ASSET_ID = re.compile(r"\basset \d+")
PROCESS = re.compile(r"(?<![\w.-])[A-Za-z][\w.-]*:\d{1,7}(?![\w:])")
JOB_ID = re.compile(r'("job_id":\s*"?)(\d+)')
LONG_HEX = re.compile(r"[0-9a-f]{16,}")
DEPTH = 3
NO_TIME = timedelta(0)


class ValueDifference(NamedTuple):
    """How two values differ: `kind` is one of causes.KINDS, `path` leads to the place within a JSON value."""

    kind: str
    left: Any
    right: Any
    path: str = ""


# ----------------------------------------------------------------------------------------------------- plain


def diff_plain(left: Any, right: Any) -> Iterator[ValueDifference]:
    """Numbers by value, texts as they stand, less surrogate ids and the names of processes within them."""
    if left == right or _plainly(left) == _plainly(right):
        return
    if left is None or right is None:
        yield ValueDifference("presence", left, right)
    elif _words(left) == _words(right):
        yield ValueDifference("wording", left, right)
    else:
        yield ValueDifference("value", left, right)


def _plainly(value: Any) -> Any:
    if isinstance(value, str):
        return PROCESS.sub("a worker", ASSET_ID.sub("asset *", value))
    return float(value) if isinstance(value, Decimal) else value


def _words(value: Any) -> Any:
    """A text without case and white space, which is how two spellings of the same differ; a number as its digits."""
    return "".join(str(value).lower().split())


def diff_presence(left: Any, right: Any) -> Iterator[ValueDifference]:
    if (left is None) != (right is None):
        yield ValueDifference("presence", left, right)


# ------------------------------------------------------------------------------------------------------ times


def diff_time(left: Any, right: Any, tolerance: float | None, zones: tuple[tzinfo, tzinfo]) -> Iterator[ValueDifference]:
    """Presence; and, with a tolerance in seconds, how far apart they are once both are in UTC."""
    if (left is None) != (right is None):
        yield ValueDifference("presence", left, right)
    elif tolerance is not None and isinstance(left, datetime) and isinstance(right, datetime):
        if abs((_utc(left, zones[0]) - _utc(right, zones[1])).total_seconds()) > tolerance:
            yield ValueDifference("time", left, right)


def _utc(moment: datetime, zone: tzinfo) -> datetime:
    return moment.replace(tzinfo=zone).astimezone(UTC)


def diff_time_order(left: dict[str, datetime], right: dict[str, datetime]) -> Iterator[ValueDifference]:
    """The times of one row when they follow each other differently; equal ones are in either order."""
    both = [name for name in left if left[name] is not None and right.get(name) is not None]
    for first, second in combinations(both, 2):
        here, there = left[first] - left[second], right[first] - right[second]
        if (here > NO_TIME and there < NO_TIME) or (here < NO_TIME and there > NO_TIME):
            yield ValueDifference("time_order", _told(left, both), _told(right, both))
            return


def _told(times: dict[str, datetime], names: list[str]) -> str:
    return ", then ".join(f"{name} {times[name]}" for name in sorted(names, key=times.__getitem__))


# ------------------------------------------------------------------------------------------------------- JSON


def diff_json(left: Any, right: Any, by_bytes: bool) -> Iterator[ValueDifference]:
    """Two JSON texts by value; `by_bytes` also where only spacing or the order of keys differs."""
    if left == right:
        return
    if left is None or right is None:
        yield ValueDifference("presence", left, right)
        return
    try:
        values = json.loads(left), json.loads(right)
        found = list(_walk(*values, ""))
    except (ValueError, TypeError, RecursionError):
        yield ValueDifference("value", left, right)
        return
    yield from found
    if by_bytes and not found and _plainly(left) != _plainly(right):
        yield ValueDifference(_form(*values), left, right)


def _form(left: Any, right: Any) -> str:
    """What differs between two texts of the same value."""
    return "json_spacing" if json.dumps(left) == json.dumps(right) else "json_order"


def _walk(left: Any, right: Any, path: str) -> Iterator[ValueDifference]:
    if isinstance(left, dict) and isinstance(right, dict):
        for key in sorted(left.keys() | right.keys()):
            below = _below(path, key)
            if key in left and key in right:
                yield from _walk(left[key], right[key], below)
            else:
                yield ValueDifference("json_key", _member(left, key), _member(right, key), below)
    elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        for one, other in zip(left, right):
            yield from _walk(one, other, f"{path}[]")
    elif _type(left) != _type(right) and None not in (left, right):
        yield ValueDifference("json_type", _text(left), _text(right), path)
    elif _type(left) != _type(right) or _plainly(left) != _plainly(right):
        yield ValueDifference("json_value", _text(left), _text(right), path)


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _member(value: dict, key: str) -> str:
    return _text(value[key]) if key in value else "(no such key)"


def _type(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, (int, float)) else type(value).__name__


def _below(path: str, key: str) -> str:
    """Where a key is, for people: not too deep, and without hashes, so that like differences are told together."""
    if path.count(".") >= DEPTH - 1:
        return path
    key = LONG_HEX.sub("*", key)
    return f"{path}.{key}" if path else key


def renumber_jobs(payload: str | None, seen: dict[str, int]) -> str | None:
    """A payload in which each job_id is the place of the job among those that the bundle's events have named so far."""
    if payload is None:
        return None
    return JOB_ID.sub(lambda found: f"{found[1]}{seen.setdefault(found[2], len(seen) + 1)}", payload)
