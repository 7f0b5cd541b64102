"""Compare the same page of two panels, cell by cell.

HTML and plain text are converted to the same lines first, so that one can be compared with the other. Sentences, forms,
links and other decoration are left out, and so are rows of the class `note`, which only this panel has.
"""

import re
from collections.abc import Iterator
from itertools import groupby, zip_longest
from typing import NamedTuple

from bs4 import BeautifulSoup, Comment, Tag

from .findings import Difference, Findings, TableCounts

DECORATION = (
    "script, style, template, nav, form, button, select, footer, progress, .note, .skip, [role=note], [role=status]"
)
BLOCKS = {
    "address", "article", "aside", "blockquote", "body", "br", "dd", "details", "div", "dl", "dt", "fieldset", "figure",
    "header", "html", "li", "main", "ol", "p", "pre", "section", "summary", "ul",
}
HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6", "summary"}
HEADING, ROW, ITEM, LINE = "heading", "row", "item", "line"
MAX_LABEL = 64  # characters of a label, value or heading; a longer text is a sentence
LABELLED = re.compile(r"([\w.]+): (\S+)")
MOMENT = re.compile(r"\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?Z?")
NUMBERED = re.compile(r'((?:asset|cover|job) |"job_id": ?"?)\d+')
PROCESS = re.compile(r"(?<![\w.-])[A-Za-z][\w.-]*:\d{1,7}(?![\w:])")


Facts = dict[tuple[str, str], str]


class Place(NamedTuple):
    """Where a difference is."""

    kind: str
    table: str
    row: str
    column: str = ""


class PageLine(NamedTuple):
    """A line of a page: HEADING, ROW of cells, list ITEM, or other LINE."""

    kind: str
    text: str
    cells: tuple[str, ...] = ()


class ParsedPage(NamedTuple):
    """`facts` are (section, label, value).

    `tables` are (section, rows) whose first row is the head.
    """

    headings: list[str]
    facts: list[tuple[str, str, str]]
    tables: list[tuple[str, list[tuple[str, ...]]]]


# ----------------------------------------------------------------------------------------------- parsing


def parse_page(source: str) -> ParsedPage:
    """Parse HTML, or a text in which rows start with `|` and items with `- `."""
    lines = list(_from_html(source) if re.search(r"<(html|body|main|table)\b", source, re.I) else _from_text(source))
    return _page(lines)


def _from_text(source: str) -> Iterator[PageLine]:
    for text in map(str.strip, source.splitlines()):
        if text.startswith("|"):
            cells = tuple(cell.strip() for cell in text.strip("|").split("|"))
            if set("".join(cells)) - set("-: "):
                yield PageLine(ROW, text, cells)
        elif text.startswith("- "):
            yield PageLine(ITEM, text[2:].strip())
        elif text:
            yield PageLine(LINE, text)


def _from_html(source: str) -> Iterator[PageLine]:
    soup = BeautifulSoup(source, "html.parser")
    for element in soup.select(DECORATION):
        element.decompose()
    started = soup.find("h1") is None
    body = soup.find("body")
    for line in _lines(body if isinstance(body, Tag) else soup):
        started = started or line.kind is HEADING
        if started:
            yield line


def _lines(element: Tag) -> Iterator[PageLine]:
    """Yield a line for each block of an element."""
    inline: list[str] = []

    def flush(kind: str = LINE) -> Iterator[PageLine]:
        text = " ".join("".join(inline).split())
        inline.clear()
        if text:
            yield PageLine(kind, text)

    for child in element.children:
        if not isinstance(child, Tag):
            inline.append("" if isinstance(child, Comment) else str(child))
        elif child.name == "tr":
            cells = tuple(_text(cell) for cell in child.find_all(["th", "td"], recursive=False))
            yield from flush()
            yield PageLine(ROW, " ".join(cells), cells)
        elif child.name in HEADINGS or (child.name == "li" and not child.find(["ul", "ol", "table"])):
            yield from flush()
            yield PageLine(HEADING if child.name in HEADINGS else ITEM, _text(child))
        elif child.name in BLOCKS or child.find([*BLOCKS, *HEADINGS, "tr"]):
            yield from flush()
            yield from _lines(child)
        else:
            inline.append(child.get_text())
    yield from flush()


def _text(element: Tag) -> str:
    return " ".join(element.get_text().split())


# --------------------------------------------------------------------------------------------------- structure


def _page(lines: list[PageLine]) -> ParsedPage:
    page, section = ParsedPage([], [], []), ""
    for line in _with_pairs(_with_headings(lines)):
        if line.kind is HEADING:
            section = line.text
            page.headings.append(section)
        elif line.kind is ROW:
            if not page.tables or page.tables[-1][0] != section:
                page.tables.append((section, []))
            page.tables[-1][1].append(line.cells)
        elif line.kind is ITEM:
            label, value = line.cells
            page.facts.append((section, label, value))
    return page


def _with_headings(lines: list[PageLine]) -> Iterator[PageLine]:
    """Mark headings: in a text, the last of an odd number of short lines."""
    marked = any(line.kind is HEADING for line in lines)
    for short, group in groupby(lines, lambda line: line.kind is LINE and _is_short(line.text)):
        run = list(group)
        if short and not marked and len(run) % 2:
            yield from run[:-1]
            yield PageLine(HEADING, run[-1].text)
        else:
            yield from (line for line in run if line.kind is not HEADING or len(line.text) <= MAX_LABEL)


def _with_pairs(lines: Iterator[PageLine]) -> Iterator[PageLine]:
    """Pair short lines as label and value.

    Split lines such as `Status: passed; action: update`.
    """
    for short, group in groupby(lines, lambda line: line.kind is LINE and _is_short(line.text)):
        run = list(group)
        if short:
            for label, value in zip(run[::2], run[1::2], strict=False):
                yield PageLine(ITEM, label.text, (label.text, value.text))
            continue
        for line in run:
            if line.kind in (HEADING, ROW):
                yield line
            else:
                yield from (PageLine(ITEM, line.text, labelled) for labelled in _labelled(line.text))


def _is_short(text: str) -> bool:
    sentence = ". " in text or (text.endswith(".") and not text.endswith("..."))
    return len(text) <= MAX_LABEL and not sentence and not LABELLED.match(text)


def _labelled(text: str) -> Iterator[tuple[str, str]]:
    """Yield the facts of a line, `a: b.

    C: d` -> (a, b), (c, d); a sentence has none.
    """
    matches = [LABELLED.fullmatch(part.strip()) for part in text.split(";")]
    if all(matches):
        yield from ((match[1], match[2]) for match in matches if match)


# ------------------------------------------------------------------------------------------------- comparison


def compare_pages(left: ParsedPage, right: ParsedPage, findings: Findings, exact: bool = False) -> None:
    """Compare two pages.

    Only with `exact` also times, ids and names of processes.
    """
    _PageComparison(findings, exact).compare(left, right)


class _PageComparison:
    def __init__(self, findings: Findings, exact: bool):
        self._findings, self._exact = findings, exact

    def compare(self, left: ParsedPage, right: ParsedPage) -> None:
        self._compare_lists("heading", "headings", left.headings, right.headings)
        facts = [{(section, label): value for section, label, value in page.facts} for page in (left, right)]
        self._compare_facts(*facts)
        tables = [dict(page.tables) for page in (left, right)]
        for section in dict.fromkeys([*tables[0], *tables[1]]):
            self._compare_tables(section, tables[0].get(section, []), tables[1].get(section, []))

    def _compare_facts(self, left: Facts, right: Facts) -> None:
        counts = self._findings.tally("Page", "facts", "labelled fact")
        for place in dict.fromkeys([*left, *right]):
            row = " / ".join(filter(None, map(self._same, place)))
            self._compare_cells(Place("fact", "facts", row, place[1]), left.get(place), right.get(place), counts)
        both = left.keys() & right.keys()
        order = [[" / ".join(filter(None, place)) for place in facts if place in both] for facts in (left, right)]
        self._compare_lists("fact", "order of facts", *order)

    def _compare_tables(self, section: str, left: list[tuple[str, ...]], right: list[tuple[str, ...]]) -> None:
        counts = self._findings.tally("Page", section or "table", "cell")
        heads = [rows[0] if rows else () for rows in (left, right)]
        if heads[0] != heads[1]:
            left_head, right_head = map(" | ".join, heads)
            self._findings.add(Difference("columns", "Page", section, left=left_head, right=right_head))
            return
        for number, rows in enumerate(zip_longest(left[1:], right[1:]), 1):
            row = f"row {number}"
            if None in rows:
                texts = [" | ".join(cells or ()) for cells in rows]
                self._findings.add(Difference("row", "Page", section, row=row, left=texts[0], right=texts[1]))
                continue
            for column, *cells in zip_longest(heads[0], *rows, fillvalue=""):
                is_id = column in ("id", "target ids") and not self._exact
                left_cell, right_cell = ("*", "*") if is_id else cells
                self._compare_cells(Place("cell", section, row, column), left_cell, right_cell, counts)

    def _compare_lists(self, kind: str, table: str, left: list[str], right: list[str]) -> None:
        counts = self._findings.tally("Page", table, kind)
        for number, texts in enumerate(zip_longest(left, right), 1):
            self._compare_cells(Place(kind, table, f"{kind} {number}"), texts[0], texts[1], counts)

    def _compare_cells(self, place: Place, left: str | None, right: str | None, counts: TableCounts) -> None:
        if self._same(left) == self._same(right):
            counts.equal += 1
        elif self._findings.add(
            Difference(place.kind, "Page", place.table, place.column, row=place.row, left=left or "", right=right or "")
        ):
            counts.different += 1

    def _same(self, text: str | None) -> str | None:
        """Return a text without the parts that are not compared."""
        return text if self._exact or text is None else _normal(text)


def _normal(text: str) -> str:
    return PROCESS.sub("a worker", NUMBERED.sub(r"\1*", MOMENT.sub("a time", text)))
