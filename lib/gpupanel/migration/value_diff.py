"""Compare two values of one column."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from itertools import combinations
from typing import Any, NamedTuple

# Surrogate ids and process names in a text always differ between the sides, and are ignored.
ASSET_ID = re.compile(r"\basset \d+")
PROCESS = re.compile(r"(?<![\w.-])[A-Za-z][\w.-]*:\d{1,7}(?![\w:])")
JOB_ID = re.compile(r'("job_id":\s*"?)(\d+)')
LONG_HEX = re.compile(r"[0-9a-f]{16,}")
DEPTH = 3
NO_TIME = timedelta(0)


class ValueDifference(NamedTuple):
    """A difference of two values.

    `kind` is one of difference_kinds.KINDS, `path` is the path in a JSON value.
    """

    kind: str
    left: Any
    right: Any
    path: str = ""


# ----------------------------------------------------------------------------------------------------- plain


def diff_plain(left: Any, right: Any) -> Iterator[ValueDifference]:
    """Compare numbers by value, and texts without ids and process names."""
    if left == right or _comparable(left) == _comparable(right):
        return
    if left is None or right is None:
        yield ValueDifference("presence", left, right)
    elif _without_spacing(left) == _without_spacing(right):
        yield ValueDifference("wording", left, right)
    else:
        yield ValueDifference("value", left, right)


def _comparable(value: Any) -> Any:
    if isinstance(value, str):
        return PROCESS.sub("a worker", ASSET_ID.sub("asset *", value))
    return float(value) if isinstance(value, Decimal) else value


def _without_spacing(value: Any) -> Any:
    """Return a text without case and white space, and a number as its digits."""
    return "".join(str(value).lower().split())


def diff_presence(left: Any, right: Any) -> Iterator[ValueDifference]:
    """Compare whether there is a value."""
    if (left is None) != (right is None):
        yield ValueDifference("presence", left, right)


# ------------------------------------------------------------------------------------------------------ times


def diff_time(
    left: Any, right: Any, tolerance: float | None, zones: tuple[tzinfo, tzinfo]
) -> Iterator[ValueDifference]:
    """Compare presence, and with a tolerance the distance of two times."""
    if (left is None) != (right is None):
        yield ValueDifference("presence", left, right)
    elif (
        tolerance is not None and isinstance(left, datetime) and isinstance(right, datetime)
        and abs((_utc(left, zones[0]) - _utc(right, zones[1])).total_seconds()) > tolerance
    ):
        yield ValueDifference("time", left, right)


def _utc(moment: datetime, zone: tzinfo) -> datetime:
    return moment.replace(tzinfo=zone).astimezone(UTC)


def diff_time_order(left: dict[str, datetime], right: dict[str, datetime]) -> Iterator[ValueDifference]:
    """Compare the order of the times of one row.

    Equal times may be in any order.
    """
    both = [name for name in left if left[name] is not None and right.get(name) is not None]
    for first, second in combinations(both, 2):
        gaps = left[first] - left[second], right[first] - right[second]
        if min(gaps) < NO_TIME < max(gaps):
            yield ValueDifference("time_order", _format_order(left, both), _format_order(right, both))
            return


def _format_order(times: dict[str, datetime], names: list[str]) -> str:
    return ", then ".join(f"{name} {times[name]}" for name in sorted(names, key=times.__getitem__))


# ------------------------------------------------------------------------------------------------------- JSON


def diff_json(left: Any, right: Any, by_bytes: bool) -> Iterator[ValueDifference]:
    """Compare two JSON texts by value.

    `by_bytes` also compares spacing and order of keys.
    """
    if left == right:
        return
    if left is None or right is None:
        yield ValueDifference("presence", left, right)
        return
    try:
        values = json.loads(left), json.loads(right)
        differences = list(_walk(*values, ""))
    except (ValueError, TypeError, RecursionError):
        yield ValueDifference("value", left, right)
        return
    yield from differences
    if by_bytes and not differences and _comparable(left) != _comparable(right):
        yield ValueDifference(_form(*values), left, right)


def _form(left: Any, right: Any) -> str:
    """Return the kind of difference between two texts of the same value."""
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
        for left_item, right_item in zip(left, right, strict=True):
            yield from _walk(left_item, right_item, f"{path}[]")
    elif _type(left) != _type(right) and None not in (left, right):
        yield ValueDifference("json_type", _text(left), _text(right), path)
    elif _type(left) != _type(right) or _comparable(left) != _comparable(right):
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
    """Return the path of a key.

    The depth is limited and hashes are replaced, so that like differences are grouped.
    """
    if path.count(".") >= DEPTH - 1:
        return path
    key = LONG_HEX.sub("*", key)
    return f"{path}.{key}" if path else key


def renumber_jobs(payload: str | None, numbers: dict[str, int]) -> str | None:
    """Replace each job_id by the number of the job in its bundle's events."""
    if payload is None:
        return None
    return JOB_ID.sub(lambda match: f"{match[1]}{numbers.setdefault(match[2], len(numbers) + 1)}", payload)
