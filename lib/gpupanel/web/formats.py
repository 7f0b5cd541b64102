"""How values read on a page; the formats are those of the Perl panel (DESIGN section 10)."""

from datetime import datetime, timedelta

NOTHING = "-"
UNITS = ("B", "KB", "MB", "GB", "TB", "PB", "EB")
BOUND = 10_000


def digest(text: str | None) -> str:
    """The first 16 characters of a hash, then `...`."""
    return f"{text[:16]}..." if text else NOTHING


def clip(text: str | None, length: int = 200) -> str:
    """A text cut at `length` characters, then `...`."""
    return text if text and len(text) <= length else f"{text[:length]}..." if text else NOTHING


def size(count: int | None) -> str:
    """Bytes by 1024 with one decimal: 181162647 is `172.8 MB`."""
    if count is None:
        return NOTHING
    value, units = float(count), iter(UNITS)
    unit = next(units)
    while round(value, 1) >= 1024 and unit != UNITS[-1]:
        value, unit = value / 1024, next(units)
    return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"


def moment(time: datetime | None) -> str:
    """`YYYY-MM-DD HH:MM:SS`, UTC."""
    return f"{time:%Y-%m-%d %H:%M:%S}" if time else NOTHING


def iso(time: datetime | None) -> str | None:
    """The same for programs: RFC 3339 with microseconds and `Z`."""
    return f"{time:%Y-%m-%dT%H:%M:%S.%f}Z" if time else None


def progress(done: int, total: int) -> str:
    return f"{done}/{total}"


def count(number: int) -> str:
    """Grouped; a count that was bounded says so instead of lying: `10,000+`."""
    return f"{number:,}" if number <= BOUND else f"{BOUND:,}+"


def at_least(number: int, exact: bool) -> str:
    """Grouped; with a plus where there may be more: `37+`, `10,000+`."""
    return f"{min(number, BOUND):,}{'' if exact else '+'}"


def count_exactly(number: int) -> str:
    """Grouped, for a count that is complete."""
    return f"{number:,}"


def value(thing) -> str:
    """One side of a change, as it stands in the library or the manifest."""
    if isinstance(thing, list):
        return ", ".join(map(str, thing)) or NOTHING
    return or_dash(thing)


def or_dash(value) -> str:
    return NOTHING if value is None or value == "" else str(value)


def duration(span: timedelta | None) -> str:
    """The two largest units: `2 h 5 min`, `41 s`."""
    if span is None:
        return NOTHING
    seconds = max(0, int(span.total_seconds()))
    parts = [(seconds // 86400, "d"), (seconds // 3600 % 24, "h"), (seconds // 60 % 60, "min"), (seconds % 60, "s")]
    first = next((n for n, (value, _) in enumerate(parts) if value), 3)
    return " ".join(f"{value} {unit}" for value, unit in parts[first:first + 2] if value or first == 3)


def targets(item: dict) -> str:
    """The library rows of an item: `asset 12, cover 3`."""
    named = [f"{kind} {item[f'{kind}_id']}" for kind in ("asset", "cover") if item[f"{kind}_id"] is not None]
    return ", ".join(named) or NOTHING


def fact(value) -> str:
    """A value of the manifest's summary as it stands there: true, none, 528."""
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


FILTERS = {
    each.__name__: each
    for each in (
        at_least, clip, count, count_exactly, digest, duration, fact, iso, moment, or_dash, progress, size, targets, value,
    )
}
