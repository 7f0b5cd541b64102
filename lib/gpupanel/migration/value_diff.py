"""Compare two values of one column.

Every two values that are not the same yield a ValueDifference. One of the kind TOLERATED does not count; the report
lists it by the name in its `path`, so that nothing is ignored silently.
"""

import json
import re
import unicodedata
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import combinations
from typing import Any, NamedTuple

from .masks import PAYLOAD_MASKS, Mask, mask_payload

TOLERATED = "tolerated"
# The names of what is tolerated.
JOB_IDS, SURROGATE_IDS = "ids of jobs in payloads", "surrogate ids"
OWN_VALUES = "values that are new on each side"
NUMBER_TYPES = "numbers of another type with the same value"
TIMES = "times, compared by presence and order"
TIMES_IN_TOLERANCE = "times within the tolerance"
TIMES_TWICE = "local times of an hour that exists twice"
JSON_FORM = "spacing, escapes and order of keys in JSON"

JOB_ID = re.compile(r'("job_id":\s*"?)(\d+)')
LONG_HEX = re.compile(r"[0-9a-f]{16,}")
DEPTH = 3
NO_TIME, SECOND = timedelta(0), timedelta(seconds=1)


class ValueDifference(NamedTuple):
    """A difference of two values.

    `kind` is one of difference_kinds.KINDS, `path` is the path in a JSON value; of a TOLERATED one its name.
    """

    kind: str
    left: Any
    right: Any
    path: str = ""


def tolerated(name: str, left: Any, right: Any) -> ValueDifference:
    """Return a difference that is listed and does not count."""
    return ValueDifference(TOLERATED, left, right, name)


# ----------------------------------------------------------------------------------------------------- plain


def is_same(left: Any, right: Any) -> bool:
    """Return whether two values have the same type, value and sign."""
    is_one_type = type(left) is type(right) or (isinstance(left, datetime) and isinstance(right, datetime))
    return is_one_type and left == right and (left != 0 or str(left) == str(right))


def diff_plain(left: Any, right: Any, mask: Mask | None = None) -> Iterator[ValueDifference]:
    """Compare numbers by value, and texts exactly but for the mask."""
    if is_same(left, right):
        return
    if left is None or right is None:
        yield _difference_of_presence(left, right)
    elif _same_number(left, right):
        yield tolerated(NUMBER_TYPES, left, right)
    elif mask and isinstance(left, str) and isinstance(right, str) and mask.apply(left) == mask.apply(right):
        yield tolerated(mask.name, left, right)
    elif _without_spacing(left) == _without_spacing(right):
        yield ValueDifference("wording", left, right)
    else:
        yield ValueDifference(_kind_of_texts(left, right), left, right)


def _difference_of_presence(left: Any, right: Any, *, is_time: bool = False) -> ValueDifference:
    """Return the difference of a value and NULL; a value that only stands for NULL is a kind of its own."""
    if "" in (left, right):
        # In quotes: an empty text in a report is a value that the row does not have.
        return ValueDifference("empty", *('""' if value == "" else value for value in (left, right)))
    is_zero = is_time and (is_zero_time(left) or is_zero_time(right))
    return ValueDifference("zero_time" if is_zero else "presence", left, right)


def _kind_of_texts(left: Any, right: Any) -> str:
    """Return the kind of difference between two values, of texts by what their characters show."""
    if not isinstance(left, str) or not isinstance(right, str):
        return "value"
    if unicodedata.normalize("NFC", left) == unicodedata.normalize("NFC", right):
        return "unicode_form"
    if _is_read_wrongly(left, right) or _is_read_wrongly(right, left):
        return "encoding"
    if _is_cut_to_character_set(left, right) or _is_cut_to_character_set(right, left):
        return "characters"
    return "value"


def _is_read_wrongly(text: str, original: str) -> bool:
    """Return whether a text has the bytes of the original in UTF-8, each read as a character of latin1."""
    if original.isascii() or len(text) <= len(original):
        return False
    # MariaDB's latin1 is cp1252, with characters of ISO 8859-1 where cp1252 has none.
    read = "".join(bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in original.encode("utf-8", "ignore"))
    return text in (read, original.encode("utf-8", "ignore").decode("latin-1"))


def _is_cut_to_character_set(text: str, original: str) -> bool:
    """Return whether a text has a question mark, or nothing more, where a character of the original is not ASCII."""
    if original.isascii() or "?" not in text:
        return False
    return len(text) == len(original) and all(
        mine == theirs or (mine == "?" and not theirs.isascii()) for mine, theirs in zip(text, original, strict=True)
    )


def _same_number(left: Any, right: Any) -> bool:
    """Return whether two numbers are equal, in their sign also where they are zero."""
    if not all(isinstance(value, (int, float, Decimal)) and not isinstance(value, bool) for value in (left, right)):
        return False
    if float in (type(left), type(right)) and Decimal in (type(left), type(right)):
        left, right = float(left), float(right)
    return left == right and (left != 0 or _is_negative(left) == _is_negative(right))


def text_of_number(value: Any) -> str:
    """Return the same text for numbers with the same value, whatever their type."""
    return f"{Decimal(str(value)).normalize():f}"


def _is_negative(value: Any) -> bool:
    return str(value).startswith("-")


def _without_spacing(value: Any) -> Any:
    """Return a text without case and white space, and a number as its digits."""
    return "".join(str(value).lower().split())


def diff_hash(left: Any, right: Any) -> Iterator[ValueDifference]:
    """Compare two digests or identifiers; another case is a difference of its own."""
    if isinstance(left, str) and isinstance(right, str) and left != right and left.lower() == right.lower():
        yield ValueDifference("hash_case", left, right)
    else:
        yield from diff_plain(left, right)


def diff_presence(left: Any, right: Any, name: str = OWN_VALUES) -> Iterator[ValueDifference]:
    """Compare whether there is a value."""
    if (left is None) != (right is None):
        yield _difference_of_presence(left, right, is_time=True)
    elif left != right:
        yield tolerated(name, left, right)


# ------------------------------------------------------------------------------------------------------ times


class TimeTwice(datetime):
    """The UTC time of a local time that exists twice, when clocks are set back: the earlier one.

    `later` is the other one.
    """

    later: datetime

    @classmethod
    def of(cls, earlier: datetime, later: datetime) -> "TimeTwice":
        """Return the earlier time with the later one."""
        time = cls.combine(earlier.date(), earlier.timetz())
        time.later = later
        return time


def is_zero_time(value: Any) -> bool:
    """Return whether a value stands for no time: 0, an empty text or a zero date."""
    if isinstance(value, datetime) or value is None:
        return False
    return str(value).strip() in ("", "0", "0.0") or str(value).startswith("0000-00-00")


def _are_near(left: datetime, right: datetime, tolerance: float) -> bool:
    """Return whether two times, or the later ones of times that exist twice, are within the tolerance."""
    lefts, rights = ([time, *([time.later] if isinstance(time, TimeTwice) else [])] for time in (left, right))
    return any(abs((one - other).total_seconds()) <= tolerance for one in lefts for other in rights)


def diff_time(left: Any, right: Any, tolerance: float | None) -> Iterator[ValueDifference]:
    """Compare presence, and with a tolerance the distance of two times in UTC."""
    if is_same(left, right):
        return
    if left is None or right is None:
        yield _difference_of_presence(left, right, is_time=True)
    elif not isinstance(left, datetime) or not isinstance(right, datetime):
        yield ValueDifference("no_time", left, right)
    elif tolerance is None:
        yield tolerated(TIMES, left, right)
    elif not _are_near(left, right, tolerance):
        yield ValueDifference("time", left, right)
    elif abs((left - right).total_seconds()) > tolerance:
        yield tolerated(TIMES_TWICE, left, right)
    else:
        yield tolerated(TIMES_IN_TOLERANCE, left, right)


def diff_time_order(left: dict[str, Any], right: dict[str, Any]) -> Iterator[ValueDifference]:
    """Compare the order of the times of one row.

    Equal times may be in any order. So may times a second apart where a side keeps whole seconds of one of them, and
    the other side fractions: one time may have been rounded and the other cut. Values that are no times have none, and
    a local time that exists twice has two.
    """
    both = [
        name for name in left if all(
            isinstance(row.get(name), datetime) and not isinstance(row[name], TimeTwice) for row in (left, right)
        )
    ]
    for first, second in combinations(both, 2):
        gaps = _gaps((left[first], left[second]), (right[first], right[second]))
        if min(gaps) < NO_TIME < max(gaps):
            yield ValueDifference("time_order", _format_order(left, both), _format_order(right, both))
            return


def _gaps(*sides: tuple[datetime, datetime]) -> list[timedelta]:
    """Return how far apart the two times are on each side; none where whole seconds may hide it."""
    return [
        NO_TIME if _is_cut(side, other) and abs(side[0] - side[1]) <= SECOND else side[0] - side[1]
        for side, other in (sides, sides[::-1])
    ]


def _is_cut(side: tuple[datetime, datetime], other: tuple[datetime, datetime]) -> bool:
    """Return whether a side keeps whole seconds of a time of which the other one keeps the fraction."""
    return any(mine.microsecond == 0 and theirs.microsecond for mine, theirs in zip(side, other, strict=True))


def _format_order(times: dict[str, datetime], names: list[str]) -> str:
    return ", then ".join(f"{name} {times[name]}" for name in sorted(names, key=times.__getitem__))


# ------------------------------------------------------------------------------------------------------- JSON


def diff_json(left: Any, right: Any, by_bytes: bool, masked: bool = False) -> Iterator[ValueDifference]:
    """Compare two JSON texts by value.

    `by_bytes` also compares spacing and order of keys; `masked` applies PAYLOAD_MASKS to members of their names.
    """
    if is_same(left, right):
        return
    if left is None or right is None:
        yield ValueDifference("presence", left, right)
        return
    try:
        values = parse_json(left), parse_json(right)
        differences = list(_walk(*values, "", PAYLOAD_MASKS if masked else {}))
    except (ValueError, TypeError, ArithmeticError, RecursionError):
        yield ValueDifference("value", left, right)
        return
    yield from differences
    if any(difference.kind != TOLERATED for difference in differences):
        return
    if by_bytes and _masked_text(left, masked) != _masked_text(right, masked):
        yield ValueDifference(_form(*values), left, right)
    elif not differences:
        yield tolerated(JSON_FORM, left, right)


def parse_json(text: str) -> Any:
    """Parse JSON exactly: numbers keep their digits and sign, and a repeated key is refused.

    Raises ValueError, TypeError, ArithmeticError or RecursionError.
    """
    return json.loads(
        text, parse_float=Decimal, parse_int=lambda digits: Decimal(digits) if digits == "-0" else int(digits),
        parse_constant=_refuse_constant, object_pairs_hook=_unique_members,
    )


def canonical_json(text: Any) -> str:
    """Return the same text for the same value. Raises as parse_json."""
    return json.dumps(parse_json(text), sort_keys=True, default=str)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a key is repeated")
    return members


def without_names(payload: Any) -> Any:
    """Return a payload whose ids of jobs are 0 and whose masked members are masked."""
    return _masked_text(JOB_ID.sub(r"\g<1>0", payload), masked=True) if isinstance(payload, str) else payload


def _masked_text(text: str, masked: bool) -> str:
    return mask_payload(text) if masked else text


def _form(left: Any, right: Any) -> str:
    """Return the kind of difference between two texts of the same value."""
    sorted_too = [json.dumps(value, default=str, sort_keys=True) for value in (left, right)]
    same_order = json.dumps(left, default=str) == json.dumps(right, default=str)
    return "json_spacing" if same_order or sorted_too[0] != sorted_too[1] else "json_order"


def _walk(left: Any, right: Any, path: str, masks: dict[str, Mask], key: str = "") -> Iterator[ValueDifference]:
    if isinstance(left, dict) and isinstance(right, dict):
        for name in sorted(left.keys() | right.keys()):
            below = _below(path, name)
            if name in left and name in right:
                yield from _walk(left[name], right[name], below, masks, name)
            else:
                yield ValueDifference("json_key", _member(left, name), _member(right, name), below)
    elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        yield from _walk_list(left, right, path, masks)
    else:
        yield from _leaf(left, right, path, masks.get(key))


def _walk_list(left: list[Any], right: list[Any], path: str, masks: dict[str, Mask]) -> Iterator[ValueDifference]:
    differences = [
        difference for left_item, right_item in zip(left, right, strict=True)
        for difference in _walk(left_item, right_item, f"{path}[]", masks)
    ]
    if len(differences) > 1 and sorted(map(_text, left)) == sorted(map(_text, right)):
        yield ValueDifference("json_list_order", _text(left), _text(right), path)
    else:
        yield from differences


def _leaf(left: Any, right: Any, path: str, mask: Mask | None) -> Iterator[ValueDifference]:
    if _type(left) != _type(right):
        kind = "json_value" if None in (left, right) else "json_type"
        yield ValueDifference(kind, _text(left), _text(right), path)
    elif not (left == right if _type(left) != "number" else _same_number(left, right)):
        if mask and isinstance(left, str) and mask.apply(left) == mask.apply(right):
            yield tolerated(mask.name, left, right)
        else:
            yield ValueDifference("json_value", _text(left), _text(right), path)


def _text(value: Any) -> str:
    return str(value) if isinstance(value, Decimal) else json.dumps(value, ensure_ascii=False, default=str)


def _member(value: dict, key: str) -> str:
    return _text(value[key]) if key in value else "(no such key)"


def _type(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, (int, Decimal)) else type(value).__name__


def _below(path: str, key: str) -> str:
    """Return the path of a key.

    The depth is limited and hashes are replaced, so that like differences are grouped.
    """
    if path.count(".") >= DEPTH - 1:
        return path
    key = LONG_HEX.sub("*", key)
    return f"{path}.{key}" if path else key


def job_ids(payload: Any) -> list[str]:
    """Return the ids of jobs in a payload, in their order."""
    return [match[2] for match in JOB_ID.finditer(payload)] if isinstance(payload, str) else []


def rename_jobs(payload: Any, names: dict[str, str]) -> Any:
    """Replace each id of a job that has another name."""
    if not isinstance(payload, str):
        return payload
    return JOB_ID.sub(lambda match: f"{match[1]}{names.get(match[2], match[2])}", payload)


def renumber_jobs(payload: Any, numbers: dict[str, int]) -> Any:
    """Replace each job_id by the number of the job in its bundle's events."""
    return rename_jobs(payload, {name: str(numbers.setdefault(name, len(numbers) + 1)) for name in job_ids(payload)})
