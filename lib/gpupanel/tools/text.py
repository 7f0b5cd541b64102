"""Text for a terminal: plain characters, aligned columns, the formats of the panel (docs/CONTRACT.md, 10)."""

from datetime import datetime
from typing import Any, Iterable

from ..text import escape_unprintable, format_duration, short_hash


def plain(value: Any) -> str:
    """One line that cannot steer a terminal: what does not print is shown as an escape, nothing as `-`."""
    if value is None or value == "":
        return "-"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    return escape_unprintable(str(value))


def lines(value: str) -> list[str]:
    """Text of several lines, such as the end of a log, each of them plain."""
    return [plain(line) for line in value.split("\n")] if value else []


def tail(value: str, count: int = 10) -> str:
    """The last lines of a log."""
    return "\n".join(value.strip().split("\n")[-count:])


def table(rows: Iterable[Iterable[Any]], indent: str = "  ") -> list[str]:
    """Rows of cells as lines with aligned columns."""
    cells = [[plain(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells)]
    return [indent + "  ".join(map(str.ljust, row, widths)).rstrip() for row in cells]


def age(seconds: float) -> str:
    """The two largest units: `2 h 5 min ago`, `41 s ago`."""
    return f"{format_duration(seconds)} ago"


def short(digest: str | None) -> str:
    """The first 16 characters of a hash."""
    return short_hash(digest) if digest else "-"


def counts(numbers: dict[str, int]) -> str:
    """`3 will_create, 1 will_fail`; what is zero is left out."""
    return ", ".join(f"{number} {name}" for name, number in numbers.items() if number) or "nothing"
