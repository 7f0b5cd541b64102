"""The same page of two panels: its headings, its labelled facts and its tables, compared cell by cell.

HTML and a plain text capture are brought into the same lines first, so that one can be compared with the other. Sentences,
forms, links and whatever else is chrome are left out; so are rows of the class `note`, which only this panel has.
"""

import re
from collections.abc import Iterator
from itertools import groupby, zip_longest
from typing import NamedTuple

from bs4 import BeautifulSoup, Comment, NavigableString, Tag

from .findings import Findings

CHROME = "script, style, template, nav, form, button, select, footer, progress, .note, .skip, [role=note], [role=status]"
BLOCKS = {
    "address", "article", "aside", "blockquote", "body", "br", "dd", "details", "div", "dl", "dt", "fieldset", "figure", "header",
    "html", "li", "main", "ol", "p", "pre", "section", "summary", "ul",
}
HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6", "summary"}
HEADING, ROW, ITEM, LINE = "heading", "row", "item", "line"
# A label or value has at most so many characters and is no sentence.
SHORT = 64
LABELLED = re.compile(r"([\w.]+): (\S+)")
MOMENT = re.compile(r"\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?Z?")
NUMBERED = re.compile(r'((?:asset|cover|job) |"job_id": ?"?)\d+')
PROCESS = re.compile(r"(?<![\w.-])[A-Za-z][\w.-]*:\d{1,7}(?![\w:])")


class PageLine(NamedTuple):
    """One line of a page: a HEADING, a ROW of cells, an ITEM of a list, or any other LINE."""

    kind: str
    text: str
    cells: tuple[str, ...] = ()


class ParsedPage(NamedTuple):
    """`facts` are (section, label, value); `tables` are (section, rows), the first row being the head."""

    headings: list[str]
    facts: list[tuple[str, str, str]]
    tables: list[tuple[str, list[tuple[str, ...]]]]


# ----------------------------------------------------------------------------------------------- from a source


def parse_page(source: str) -> ParsedPage:
    """A page from its HTML, or from a text capture in which rows start with `|` and items with `- `."""
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
    for each in soup.select(CHROME):
        each.decompose()
    started = soup.find("h1") is None
    for line in _lines(soup.find("body") or soup):
        started = started or line.kind is HEADING
        if started:
            yield line


def _lines(element: Tag) -> Iterator[PageLine]:
    """What stands in an element, a line for each block."""
    inline: list[str] = []

    def flush(kind: str = LINE) -> Iterator[PageLine]:
        text = " ".join("".join(inline).split())
        inline.clear()
        if text:
            yield PageLine(kind, text)

    for child in element.children:
        if isinstance(child, NavigableString):
            inline.append("" if isinstance(child, Comment) else str(child))
        elif child.name == "tr":
            cells = tuple(_text(cell) for cell in child.find_all(["th", "td"], recursive=False))
            yield from flush()
            yield PageLine(ROW, " ".join(cells), cells)
        elif child.name in HEADINGS or child.name == "li" and not child.find(["ul", "ol", "table"]):
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


# --------------------------------------------------------------------------------------------------- to a page


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
            page.facts.append((section, *line.cells))
    return page


def _with_headings(lines: list[PageLine]) -> Iterator[PageLine]:
    """In a text, a heading is the last of an odd number of short lines; long headings are sentences."""
    marked = any(line.kind is HEADING for line in lines)
    for short, run in groupby(lines, lambda line: line.kind is LINE and _short(line.text)):
        run = list(run)
        if short and not marked and len(run) % 2:
            yield from run[:-1]
            yield PageLine(HEADING, run[-1].text)
        else:
            yield from (line for line in run if line.kind is not HEADING or len(line.text) <= SHORT)


def _with_pairs(lines: Iterator[PageLine]) -> Iterator[PageLine]:
    """Short lines are labels and values by turns; lines such as `Status: passed; action: update` are labelled facts."""
    for short, run in groupby(lines, lambda line: line.kind is LINE and _short(line.text)):
        run = list(run)
        if short:
            yield from (PageLine(ITEM, label.text, (label.text, value.text)) for label, value in zip(run[::2], run[1::2]))
            continue
        for line in run:
            if line.kind in (HEADING, ROW):
                yield line
            else:
                yield from (PageLine(ITEM, line.text, labelled) for labelled in _labelled(line.text))


def _short(text: str) -> bool:
    sentence = ". " in text or text.endswith(".") and not text.endswith("...")
    return len(text) <= SHORT and not sentence and not LABELLED.match(text)


def _labelled(text: str) -> Iterator[tuple[str, str]]:
    """`a: b; c: d` -> (a, b), (c, d); nothing of a sentence."""
    found = [LABELLED.fullmatch(part.strip()) for part in text.split(";")]
    if all(found):
        yield from (match.groups() for match in found)


# ------------------------------------------------------------------------------------------------- two of them


def compare_pages(left: ParsedPage, right: ParsedPage, findings: Findings, exact: bool = False) -> None:
    """Compare two pages; unless `exact`, times, ids and the names of processes are not."""
    same = (lambda text: text) if exact else _normal
    _Pages(findings, same).compare(left, right)


class _Pages:
    def __init__(self, findings: Findings, same):
        self._findings, self._same = findings, same

    def compare(self, left: ParsedPage, right: ParsedPage) -> None:
        self._each("heading", "headings", left.headings, right.headings, lambda n, text: f"heading {n}")
        facts = [{(section, label): value for section, label, value in page.facts} for page in (left, right)]
        tally = self._findings.tally("ParsedPage", "facts", "labelled fact")
        for place in dict.fromkeys([*facts[0], *facts[1]]):
            named = " / ".join(filter(None, map(self._same, place)))
            self._cell("fact", named, facts[0].get(place), facts[1].get(place), tally, place[1])
        both = facts[0].keys() & facts[1].keys()
        order = [[" / ".join(filter(None, place)) for place in side if place in both] for side in facts]
        self._each("fact", "order of facts", *order, lambda n, text: f"fact {n}")
        tables = [dict(page.tables) for page in (left, right)]
        for section in dict.fromkeys([*tables[0], *tables[1]]):
            self._table(section, tables[0].get(section, []), tables[1].get(section, []))

    def _table(self, section: str, left: list[tuple], right: list[tuple]) -> None:
        tally = self._findings.tally("ParsedPage", section or "table", "cell")
        heads = [side[0] if side else () for side in (left, right)]
        if heads[0] != heads[1]:
            self._findings.add("columns", "ParsedPage", section, left=" | ".join(heads[0]), right=" | ".join(heads[1]))
            return
        for n, (one, other) in enumerate(zip_longest(left[1:], right[1:]), 1):
            if one is None or other is None:
                told = {"left": " | ".join(one or ()), "right": " | ".join(other or ())}
                self._findings.add("row", "ParsedPage", section, row=f"row {n}", **told)
                continue
            for column, here, there in zip_longest(heads[0], one, other, fillvalue=""):
                ids = column in ("id", "target ids") and self._same is _normal
                self._cell("cell", f"row {n}", *(("*", "*") if ids else (here, there)), tally, column, section)

    def _each(self, kind: str, table: str, left: list[str], right: list[str], name) -> None:
        tally = self._findings.tally("ParsedPage", table, kind)
        for n, (one, other) in enumerate(zip_longest(left, right), 1):
            self._cell(kind, name(n, one), one, other, tally, "", table)

    def _cell(self, kind: str, row: str, left, right, tally, column: str = "", table: str = "facts") -> None:
        one, other = (None if side is None else self._same(side) for side in (left, right))
        if one == other:
            tally.equal += 1
        elif self._findings.add(kind, "ParsedPage", table, column, row=row, left=left or "", right=right or ""):
            tally.different += 1


def _normal(text: str) -> str:
    return PROCESS.sub("a worker", NUMBERED.sub(r"\1*", MOMENT.sub("a time", text)))
