"""Text for a terminal: escaped cells and aligned columns.

The formats are those of the panel (docs/CONTRACT.md, 10).
"""

import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from ..text import escape_unprintable, format_duration

REPORT_WIDTH = 100  # characters of a line that goes to no terminal
LEAST_WIDTH = 40  # of a terminal that is narrower, the terminal itself breaks the lines
HANGING = "    "  # in front of the lines that continue an entry


def format_cell(value: object) -> str:
    """Format a value as one escaped line; no value becomes `-`."""
    if value is None or value == "":
        return "-"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    return escape_unprintable(str(value))


def format_lines(value: str) -> list[str]:
    """Split a text such as the end of a log into escaped lines."""
    return [format_cell(line) for line in value.split("\n")] if value else []


def format_table(rows: Iterable[Iterable[object]], headings: Sequence[str] = (), indent: str = "  ") -> list[str]:
    """Align the columns below their headings; no rows give no lines."""
    cells = [[format_cell(cell) for cell in row] for row in rows]
    if cells and headings:
        cells.insert(0, [heading.upper() for heading in headings])
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [indent + "  ".join(map(str.ljust, row, widths)).rstrip() for row in cells]


def report_width() -> int:
    """Return the characters that a line of a report may have: those of the terminal, or REPORT_WIDTH."""
    if not sys.stdout.isatty():
        return REPORT_WIDTH
    return max(LEAST_WIDTH, shutil.get_terminal_size((REPORT_WIDTH, 24)).columns)


def wrap_text(text: str, width: int, indent: str = "") -> list[str]:
    """Break a text between words into lines of this width; a longer word stays whole."""
    return textwrap.wrap(
        format_cell(text), width, initial_indent=indent, subsequent_indent=indent or HANGING,
        break_long_words=False, break_on_hyphens=False,
    )


def format_entries(rows: Iterable[Sequence[object]], width: int, headings: Sequence[str] = ()) -> Iterator[str]:
    """Align rows as `format_table` does; if one is wider, the last column follows below each row."""
    rows = list(rows)
    lines = format_table(rows, headings)
    if max(map(len, lines), default=0) <= width:
        yield from lines
        return
    heads = format_table([row[:-1] for row in rows], headings[:-1])
    yield from heads[:len(heads) - len(rows)]
    for head, row in zip(heads[len(heads) - len(rows):], rows, strict=True):
        yield head
        yield from wrap_text(str(row[-1]), width, HANGING)


def format_section(title: str, rows: Iterable[Iterable[object]], headings: Sequence[str] = ()) -> list[str]:
    """Return a table below its title, or no line for no rows."""
    lines = format_table(rows, headings)
    return [title, *lines] if lines else []


def format_age(seconds: float) -> str:
    """Format seconds by the two largest units: `2 h 5 min ago`, `41 s ago`."""
    return f"{format_duration(seconds)} ago"


def format_counts(numbers: Mapping[str, int]) -> str:
    """Format counts, without the zeros: `3 will_create, 1 will_fail`."""
    return ", ".join(f"{number} {name}" for name, number in numbers.items() if number) or "nothing"
