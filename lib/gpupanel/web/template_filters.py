"""Template filters, in the Perl panel's formats (CONTRACT, "10. Pages")."""

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from ..event_sentences import EventText, describe_event as _describe
from ..folds.wording import describe_changes, describe_effects, describe_entry, describe_value
from ..models import COUNT_LIMIT, Changes, SYNC_ID
from ..text import format_duration, format_size, short_hash, truncate

if TYPE_CHECKING:
    from .request import UrlBuilder

NOTHING = "-"
SPANS = ((1, "s"), (60, "min"), (3600, "h"), (86400, "d"))  # seconds, unit
FAILED_PREFLIGHT = re.compile("The preflight(?: of batch \\S+)? failed: ")
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


def format_datetime(time: datetime | None) -> str:
    """Format a time for people: `YYYY-MM-DD HH:MM:SS`, UTC."""
    return f"{time:%Y-%m-%d %H:%M:%S}" if time else NOTHING


def iso(time: datetime | None) -> str | None:
    """Format a time for programs: RFC 3339 with microseconds and `Z`."""
    return f"{time:%Y-%m-%dT%H:%M:%S.%f}Z" if time else None


def progress(done: int, total: int) -> str:
    return f"{done}/{total}"


def count(number: int) -> str:
    """Format a bounded count: `1,234`, or `10,000+` beyond the bound."""
    return f"{number:,}" if number <= COUNT_LIMIT else f"{COUNT_LIMIT:,}+"


def at_least(number: int, exact: bool) -> str:
    """Format a count, with a plus if it is a lower bound: `37+`, `10,000+`."""
    return f"{min(number, COUNT_LIMIT):,}{'' if exact else '+'}"


def count_exactly(number: int) -> str:
    """Format a complete count with thousands separators."""
    return f"{number:,}"


def value(data: Any) -> str:
    """Format one side of a change: a value of the library or the manifest."""
    if isinstance(data, list):
        return ", ".join(map(str, data)) or NOTHING
    return dash_if_empty(data)


def dash_if_empty(value: Any) -> str:
    return NOTHING if value is None or value == "" else str(value)


def duration(span: timedelta | None) -> str:
    """The two largest units: `2 h 5 min`, `41 s`."""
    return NOTHING if span is None else format_duration(span.total_seconds())


def ago(time: datetime, now: datetime) -> str:
    """Format an age: `8 min ago`, `just now` (constant for a whole minute)."""
    number, unit = duration(now - time).split()[:2]
    return "just now" if unit == "s" else f"{number} {unit} ago"


def format_elapsed(span: timedelta | None) -> str:
    """Format elapsed time: `0.4 s`, `1 min 5 s`, `2 h 5 min`."""
    if span is None:
        return NOTHING
    tenths = max(0, round(span.total_seconds() * 10))
    return duration(span) if tenths >= 600 else f"{tenths / 10:.1f} s"


def rate(per_second: float | None) -> str:
    """Format items per second: `0.25`, `3.1`, `120`."""
    if per_second is None:
        return NOTHING
    return f"{per_second:,.0f}" if per_second >= 10 else f"{per_second:.2g}"


def format_eta(spans: tuple[timedelta, timedelta] | None) -> str:
    """Format a range of time in whole units of its upper end: `3 to 5 min`."""
    if spans is None:
        return NOTHING
    low, high = (span.total_seconds() for span in spans)
    seconds, unit = next(((seconds, unit) for seconds, unit in SPANS if high < 100 * seconds), SPANS[-1])
    least, most = int(low / seconds), max(1, ceil(high / seconds))
    return f"{least:,} to {most:,} {unit}" if least else f"under {most:,} {unit}"


def library_targets(item: dict[str, Any]) -> str:
    """Name the library rows of an item: `asset 12, cover 3`."""
    rows = [f"{kind} {item[f'{kind}_id']}" for kind in ("asset", "cover") if item[f"{kind}_id"] is not None]
    return ", ".join(rows) or NOTHING


def format_fact(value: Any) -> str:
    """Format a value of the manifest summary: true, none, 528."""
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def describe_event(event: Mapping[str, Any]) -> EventText:
    """The sentence and the tone of a row of events."""
    return _describe(event["event_type"], event["payload"], event["actor"])


def pretty_json(text: str) -> str:
    """Indent a JSON text; another text stays as it is."""
    try:
        return json.dumps(json.loads(text), indent=1, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text


def link_sync_ids(text: str, links: "UrlBuilder") -> Markup:
    """Escape a text and link each sync_id in it to its batch."""
    def link(match: re.Match[str]) -> str:
        return f'<a class="id" href="{escape(links.batch(match[0]))}">{match[0]}</a>'

    return Markup(WHOLE_SYNC_ID.sub(link, escape(text)))


def without_id(problem: str, sync_id: str) -> str:
    """Leave the sync_id out of a problem that is listed beside it."""
    return problem.replace(f" of batch {sync_id}", "").replace(f"Batch {sync_id} ", "the batch ")


def first_problem(text: str, rest: str = "; and {} more") -> str:
    """Leave all but the first of several problems of a preflight out, and count the others in `rest`."""
    if not FAILED_PREFLIGHT.match(text):
        return text
    first, *others = text.split("; ")
    return first.rstrip(".") + (rest.format(len(others)) if others else "") + "."


def created_or_changed(effect: str, changes: Changes) -> str:
    """Describe an entry of a forecast beside its title."""
    named = {"title"} if effect == "created" else set()
    return describe_entry(effect, {name: pair for name, pair in changes.items() if name not in named}, "→")


# Filter name in templates -> function; templates of a host panel may use them too.
FILTERS: dict[str, Callable[..., Any]] = {
    "ago": ago,
    "at_least": at_least,
    "change_value": describe_value,
    "changes": lambda changes: describe_changes(changes, "→"),
    "clip": clip,
    "count": count,
    "count_exactly": count_exactly,
    "dash_if_empty": dash_if_empty,
    "datetime": format_datetime,
    "duration": duration,
    "described": describe_event,
    "effects": describe_effects,
    "elapsed": format_elapsed,
    "entry_changes": created_or_changed,
    "eta_range": format_eta,
    "fact": format_fact,
    "first_problem": first_problem,
    "iso": iso,
    "library_targets": library_targets,
    "link_sync_ids": link_sync_ids,
    "pretty_json": pretty_json,
    "progress": progress,
    "rate": rate,
    "short_hash": digest,
    "size": size,
    "value": value,
    "without_id": without_id,
}
