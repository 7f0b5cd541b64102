"""The window of a worker: days and local times in which it claims jobs."""

from datetime import datetime

import pytest
from gpupanel import window

MONDAY = 4  # of May 2026


def at(day: int, clock: str) -> datetime:
    return datetime.fromisoformat(f"2026-05-{MONDAY + day:02}T{clock}")


@pytest.mark.parametrize("text, day, clock, is_open", [
    ("Mon-Fri 20:00-06:00", 0, "19:59:59", False), ("Mon-Fri 20:00-06:00", 0, "20:00", True),
    ("Mon-Fri 20:00-06:00", 5, "05:59:59", True),  # Saturday morning belongs to Friday
    ("Mon-Fri 20:00-06:00", 5, "06:00", False), ("Mon-Fri 20:00-06:00", 0, "05:00", False),
    ("Sat 00:00-24:00", 5, "23:59", True), ("Sat 00:00-24:00", 6, "00:00", False),
    ("Sat-Mon 01:00-02:00", 6, "01:30", True), ("Sat-Mon 01:00-02:00", 1, "01:30", False),
    ("08:00-09:00, Sun 12:00-13:00", 6, "12:30", True), ("08:00-09:00, Sun 12:00-13:00", 5, "12:30", False),
    ("00:00-00:00", 3, "12:00", True), ("", 3, "12:00", True),
])
def test_a_time_lies_in_the_window_or_does_not(text, day, clock, is_open):
    assert window.parse(text).is_open(at(day, clock)) is is_open


@pytest.mark.parametrize(
    "text", ["night", "Mon 8:00-9:00", "Mon-Fry 08:00-09:00", "25:00-26:00", "08:00-24:30", "08:00"]
)
def test_another_text_is_refused(text):
    with pytest.raises(ValueError):
        window.parse(text)
