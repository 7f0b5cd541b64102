"""Text for people: escaping, truncation, sizes, durations, hashes, words."""

import json
import re
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

SIZE_UNITS = ("B", "KB", "MB", "GB", "TB", "PB", "EB")
SHORT_HASH = 16
MAX_NUMBER = 10**19 - 1  # fits BIGINT UNSIGNED
DAY = re.compile(r"[12][0-9]{3}-[0-9]{2}-[0-9]{2}")
DAY_RULE = "a day of the years 1000 to 2999, such as 2026-04-30"
MAX_WORD_LENGTH = 64  # characters; the column of words has no more
WORD = re.compile(r"[^\W_]{2,}")
HASH = re.compile(r"(?=[a-z]*[0-9])[0-9a-f]{9,}|[0-9a-f]{16,}")  # has an index of its own


def escape_unprintable(text: str) -> str:
    """Escape control characters, line breaks, bidi marks and surrogates."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def truncate(text: str, length: int) -> str:
    """The first `length` characters, followed by `...` if there were more."""
    return text if len(text) <= length else f"{text[:length]}..."


def pluralize(count: int, singular: str, plural: str = "") -> str:
    """Format a count with its noun: `1 batch`, `1,234 batches`."""
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"


def quote_value(value: Any, length: int) -> str:
    """The JSON of a value in a reason, truncated; `empty` for None."""
    return "empty" if value is None else truncate(json.dumps(value, ensure_ascii=False), length)


def short_hash(digest: str) -> str:
    """The first 16 characters of a hash, then `...`."""
    return f"{digest[:SHORT_HASH]}..."


def format_size(count: int) -> str:
    """Bytes by 1024 with one decimal: 181162647 is `172.8 MB`."""
    value, units = float(count), iter(SIZE_UNITS)
    unit = next(units)
    while round(value, 1) >= 1024 and unit != SIZE_UNITS[-1]:
        value, unit = value / 1024, next(units)
    return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"


def format_duration(seconds: float) -> str:
    """The two largest units: `2 h 5 min`, `41 s`."""
    whole = max(0, int(seconds))
    parts = [(whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "min"), (whole % 60, "s")]
    first = next((index for index, (value, _) in enumerate(parts) if value), 3)
    return " ".join(f"{value} {unit}" for value, unit in parts[first:first + 2] if value or first == 3)


def json_object(text: str | None) -> dict[str, Any] | None:
    """Decode a JSON object that another program may have written; None for any other text."""
    try:
        value = json.loads(text or "null")
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def json_changes(text: str | None) -> dict[str, list[Any]] | None:
    """Decode the changes {field: [before, after]} of a plan, without those of another form; None for no object."""
    changes = json_object(text)
    if changes is None:
        return None
    return {name: change for name, change in changes.items() if isinstance(change, list) and len(change) == 2}


def whole_number(value: Any) -> int | None:
    """The natural number that a decoded JSON value has, also as a text, as Perl writes it; None for any other value."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,19}", value):
        return int(value)
    return value if isinstance(value, int) and 0 <= value <= MAX_NUMBER else None


@lru_cache(maxsize=256)  # an import writes the same few times into each of its rows
def time_text(time: datetime | None) -> str | None:
    """A time as the database and the results have it; None for none."""
    return time.isoformat(" ", "microseconds") if time else None


def parse_moment(text: str) -> datetime:
    """A time as the database has it: in UTC, without a zone. A text without a zone is in UTC.

    Raises ValueError, OverflowError.
    """
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def parse_day(text: str) -> date:
    """A day as DAY_RULE says. Raises ValueError."""
    if not DAY.fullmatch(text):
        raise ValueError
    return date.fromisoformat(text)


def split_words(text: str) -> list[str]:
    """The words of a text in lower case: letters and digits, two or more, without hashes."""
    return [word[:MAX_WORD_LENGTH] for word in WORD.findall(text.lower()) if not HASH.fullmatch(word)]
