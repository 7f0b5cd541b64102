"""How values read on a page; the formats are those of the Perl panel (docs/CONTRACT.md, 10)."""

import re
from datetime import datetime, timedelta
from math import ceil

from markupsafe import Markup, escape

from ..model import BOUND, SYNC_ID
from ..text import format_duration, format_size, short_hash, truncate

NOTHING = "-"
WHOLE_SYNC_ID = re.compile(rf"\b{SYNC_ID.pattern}\b")


def digest(text: str | None) -> str:
    """The first 16 characters of a hash, then `...`."""
    return short_hash(text) if text else NOTHING


def clip(text: str | None, length: int = 200) -> str:
    """A text cut at `length` characters, then `...`."""
    return truncate(text, length) if text else NOTHING


def size(count: int | None) -> str:
    """Bytes by 1024 with one decimal: 181162647 is `172.8 MB`."""
    return NOTHING if count is None else format_size(count)


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
    return NOTHING if span is None else format_duration(span.total_seconds())


def ago(time: datetime, now: datetime) -> str:
    """How long ago by the largest unit: `8 min ago`; what is less than a minute ago does not change each second."""
    number, unit = duration(now - time).split()[:2]
    return "just now" if unit == "s" else f"{number} {unit} ago"


def spent(span: timedelta | None) -> str:
    """What a job took, to a tenth of a second: `0.4 s`, `1 min 5.2 s`, `2 h 5 min`."""
    if span is None:
        return NOTHING
    tenths = round(span.total_seconds() * 10)
    minutes, rest = divmod(max(0, tenths), 600)
    if minutes >= 60:
        return duration(span)
    return f"{minutes} min {rest / 10:.1f} s" if minutes else f"{rest / 10:.1f} s"


def rate(per_second: float | None) -> str:
    """Items a second with two digits that say something: `0.25`, `3.1`, `120`."""
    if per_second is None:
        return NOTHING
    return f"{per_second:,.0f}" if per_second >= 10 else f"{per_second:.2g}"


def between(spans: tuple[timedelta, timedelta] | None) -> str:
    """A range in the unit of its upper end, widened to whole ones: `3 to 5 min`."""
    if spans is None:
        return NOTHING
    low, high = (span.total_seconds() for span in spans)
    size, unit = next(each for each in ((1, "s"), (60, "min"), (3600, "h"), (86400, "d")) if high < 100 * each[0] or each[1] == "d")
    least, most = int(low / size), max(1, ceil(high / size))
    return f"{least:,} to {most:,} {unit}" if least else f"under {most:,} {unit}"


def targets(item: dict) -> str:
    """The library rows of an item: `asset 12, cover 3`."""
    named = [f"{kind} {item[f'{kind}_id']}" for kind in ("asset", "cover") if item[f"{kind}_id"] is not None]
    return ", ".join(named) or NOTHING


def fact(value) -> str:
    """A value of the manifest's summary as it stands there: true, none, 528."""
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def linked(text: str, links) -> Markup:
    """A text in which each sync_id leads to its batch."""
    return Markup(WHOLE_SYNC_ID.sub(lambda found: f'<a class="id" href="{escape(links.batch(found[0]))}">{found[0]}</a>', escape(text)))


FILTERS = {
    each.__name__: each
    for each in (
        ago, at_least, between, clip, count, count_exactly, digest, duration, fact, iso, linked, moment, or_dash,
        progress, rate, size, spent, targets, value,
    )
}
