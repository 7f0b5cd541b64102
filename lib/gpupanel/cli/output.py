"""Text for a terminal: plain characters, aligned columns, the formats of the panel (docs/CONTRACT.md, 10)."""

from datetime import datetime, timedelta
from typing import Any, Iterable

from ..web.formats import duration


def plain(value: Any) -> str:
    """One line that cannot steer a terminal: what does not print is shown as an escape, nothing as `-`."""
    if value is None or value == "":
        return "-"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(value))


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


def size(count: int) -> str:
    """Bytes by 1024 with one decimal: 181162647 is `172.8 MB`."""
    units = ["B", "KB", "MB", "GB", "TB", "PB", "EB"]
    value = float(count)
    while value >= 1024 and len(units) > 1:
        value, units = value / 1024, units[1:]
    return f"{count} B" if units[0] == "B" else f"{value:.1f} {units[0]}"


def age(seconds: float) -> str:
    """The two largest units: `2 h 5 min ago`, `41 s ago`."""
    return f"{duration(timedelta(seconds=seconds))} ago"


def short(digest: str | None) -> str:
    """The first 16 characters of a hash."""
    return f"{digest[:16]}..." if digest else "-"


def counts(numbers: dict[str, int]) -> str:
    """`3 will_create, 1 will_fail`; what is zero is left out."""
    return ", ".join(f"{number} {name}" for name, number in numbers.items() if number) or "nothing"
