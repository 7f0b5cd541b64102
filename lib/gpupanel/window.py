"""The times of the week in which a worker claims jobs: `Mon-Fri 20:00-06:00, Sun 00:00-24:00`."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
SPAN = re.compile(r"(?:([A-Z][a-z]{2})(?:-([A-Z][a-z]{2}))? )?(\d\d):([0-5]\d)-(\d\d):([0-5]\d)")
MINUTES_A_DAY = 24 * 60


@dataclass(frozen=True, slots=True)
class Span:
    """Minutes of the day from `start` to `end` on some days; past midnight where `end` is not after `start`."""

    days: frozenset[int]
    start: int
    end: int

    def includes(self, now: datetime) -> bool:
        """Return whether a local time lies in the span; the time after midnight belongs to the day before."""
        minute, today, yesterday = now.hour * 60 + now.minute, now.weekday(), (now - timedelta(days=1)).weekday()
        if self.end > self.start:
            return today in self.days and self.start <= minute < self.end
        return (today in self.days and minute >= self.start) or (yesterday in self.days and minute < self.end)


@dataclass(frozen=True, slots=True)
class Window:
    """The spans of a week; `text` is what the configuration says."""

    text: str
    spans: tuple[Span, ...]

    def is_open(self, now: datetime | None = None) -> bool:
        """Return whether a time, by default the present local one, lies in the window. No span means always."""
        now = now or datetime.now()
        return not self.spans or any(span.includes(now) for span in self.spans)


ALWAYS = Window("", ())


def parse(text: str) -> Window:
    """Parse the option. Raises ValueError."""
    return Window(text, tuple(_span(part.strip()) for part in text.split(","))) if text.strip() else ALWAYS


def _span(text: str) -> Span:
    found = SPAN.fullmatch(text)
    if not found:
        raise ValueError(text)
    first, last = found[1] or DAYS[0], found[2] or found[1] or DAYS[-1]
    start, end = int(found[3]) * 60 + int(found[4]), int(found[5]) * 60 + int(found[6])
    if start >= MINUTES_A_DAY or end > MINUTES_A_DAY:
        raise ValueError(text)
    low, high = DAYS.index(first), DAYS.index(last)
    days = range(low, high + 1) if low <= high else (*range(low, 7), *range(high + 1))
    return Span(frozenset(days), start, end)
