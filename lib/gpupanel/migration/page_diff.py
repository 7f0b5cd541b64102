"""Compare the same page of two panels, cell by cell.

HTML and plain text are converted to the same lines first, so that one can be compared with the other. Headings, facts,
tables and rows are matched by their content: one that a side has besides is one difference, and moves no other.
Sentences are matched too, and those without a counterpart counted. Forms, links and other decoration are left out, and
so are rows of the class `note`, which only this panel has.
"""

import re
from collections import Counter
from collections.abc import Hashable, Iterator
from difflib import SequenceMatcher
from itertools import groupby, zip_longest
from typing import NamedTuple, TypeVar

from bs4 import BeautifulSoup, Comment, Tag

from .findings import Difference, Findings, TableCounts
from .masks import PROCESS

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


# Headings and labels of the batch page, which a text without markup does not tell apart.
KNOWN_HEADINGS = {
    "Import Media", "Purpose", "Flow", "Example", "Consequences", "Deeper dive", "Worker contract", "Sentinel protocol",
    "Source-of-truth mapping", "Idempotency + integrity", "Read-only mount + ledger boundary", "Manifest summary",
    "Job history", "Items", "Recent events",
}
KNOWN_LABELS = {
    "Type", "Action", "Status", "Items", "Bytes", "Source host", "Manifest sha256", "Started", "Completed",
}
NO_VALUE = "-"
EMPTY_CELLS, SENTENCES = "empty cells beside -", "sentences that only one side has"
Part = TypeVar("Part", bound=Hashable)
Table = tuple[str, list[tuple[str, ...]]]


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


class Fact(NamedTuple):
    """A label with its value, below the heading `section`."""

    section: str
    label: str
    value: str


class ParsedPage(NamedTuple):
    """`tables` are (section, rows) whose first row is the head; `sentences` are all other lines."""

    headings: list[str]
    facts: list[Fact]
    tables: list[Table]
    sentences: list[str]


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
    page, section = ParsedPage([], [], [], []), ""
    for line in _with_pairs(_with_headings(lines)):
        if line.kind is HEADING:
            section = line.text
            page.headings.append(section)
        elif line.kind is ROW:
            if not page.tables or page.tables[-1][0] != section:
                page.tables.append((section, []))
            page.tables[-1][1].append(line.cells)
        elif line.kind is ITEM:
            page.facts.append(Fact(section, *line.cells))
        else:
            page.sentences.append(line.text)
    return page


def _with_headings(lines: list[PageLine]) -> Iterator[PageLine]:
    """Mark headings: in a text, short lines that are neither a label nor its value."""
    marked = any(line.kind is HEADING for line in lines)
    for short, group in groupby(lines, lambda line: line.kind is LINE and _is_short(line.text)):
        run = list(group)
        if short and not marked:
            yield from _split_run(run)
        else:
            yield from (line for line in run if line.kind is not HEADING or len(line.text) <= MAX_LABEL)


def _split_run(run: list[PageLine]) -> Iterator[PageLine]:
    """Mark the headings among short lines, by the known labels: of an odd number between these, the last one."""
    waiting: list[PageLine] = []
    rest = iter(run)
    for line in rest:
        is_label = line.text in KNOWN_LABELS
        if not is_label and not _is_known_heading(line.text):
            waiting.append(line)
            continue
        yield from _with_last_heading(waiting)
        waiting = []
        value = next(rest, None) if is_label else None
        yield from (PageLine(HEADING, line.text),) if value is None else (line, value)
    yield from _with_last_heading(waiting)


def _is_known_heading(text: str) -> bool:
    return text.startswith("Batch ") or _normal_heading(text) in KNOWN_HEADINGS


def _with_last_heading(lines: list[PageLine]) -> Iterator[PageLine]:
    yield from lines[:-1] if len(lines) % 2 else lines
    if len(lines) % 2:
        yield PageLine(HEADING, lines[-1].text)


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
                yield from _facts_or_sentence(line.text)


def _facts_or_sentence(text: str) -> Iterator[PageLine]:
    facts = list(_labelled(text))
    yield from (PageLine(ITEM, text, fact) for fact in facts)
    if not facts:
        yield PageLine(LINE, text)


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
        self._compare_headings(left.headings, right.headings)
        self._compare_facts(left.facts, right.facts)
        for pair in self._pair_tables(left.tables, right.tables):
            self._compare_tables(*pair)
        self._compare_sentences(left.sentences, right.sentences)

    def _compare_headings(self, left: list[str], right: list[str]) -> None:
        counts = self._findings.tally("Page", "headings", "heading")
        pairs = align([*map(_normal_heading, left)], [*map(_normal_heading, right)])
        for number, (before, after) in enumerate(pairs, 1):
            texts = (left[before] if before is not None else None, right[after] if after is not None else None)
            self._compare_cells(Place("heading", "headings", f"heading {number}"), *texts, counts)

    def _compare_facts(self, left: list[Fact], right: list[Fact]) -> None:
        """Match the facts by label, whatever the heading above them is; the value tells apart those of one label."""
        counts = self._findings.tally("Page", "facts", "labelled fact")
        order = self._findings.tally("Page", "order of facts", "fact")
        lone: tuple[list[Fact], list[Fact]] = ([], [])
        for before, after in align([fact.label for fact in left], [fact.label for fact in right]):
            if before is not None and after is not None and left[before].label == right[after].label:
                self._compare_fact(left[before], right[after], counts)
                order.equal += 1
                continue
            lone[0].extend([left[before]] if before is not None else [])
            lone[1].extend([right[after]] if after is not None else [])
        self._compare_lone_facts(*lone, counts, order)

    def _compare_lone_facts(
        self, left: list[Fact], right: list[Fact], counts: TableCounts, order: TableCounts
    ) -> None:
        """Report facts that moved as one difference of order each, and the others as missing."""
        rest = list(right)
        for fact in left:
            moved = next((other for other in rest if other.label == fact.label), None)
            if moved is None:
                self._compare_fact(fact, None, counts)
                continue
            rest.remove(moved)
            self._compare_fact(fact, moved, counts)
            place = f"{fact.section} / {fact.label}", f"{moved.section} / {moved.label}"
            difference = Difference("fact", "Page", "order of facts", row=fact.label, left=place[0], right=place[1])
            order.different += self._findings.add(difference)
        for fact in rest:
            self._compare_fact(None, fact, counts)

    def _compare_fact(self, left: Fact | None, right: Fact | None, counts: TableCounts) -> None:
        fact = left or right
        if fact is not None:
            row = " / ".join(filter(None, (self._same(fact.section), fact.label)))
            values = (left.value if left else None, right.value if right else None)
            self._compare_cells(Place("fact", "facts", row, fact.label), *values, counts)

    def _pair_tables(self, left: list[Table], right: list[Table]) -> Iterator[tuple[Table | None, Table | None]]:
        """Match tables by heading, then by their columns; the others have no counterpart."""
        rest = list(right)
        alone: list[Table] = []
        for table in left:
            same = next((other for other in rest if _normal_heading(other[0]) == _normal_heading(table[0])), None)
            if same is None:
                alone.append(table)
            else:
                rest.remove(same)
                yield table, same
        for table in alone:
            same = next((other for other in rest if other[1][:1] == table[1][:1]), None)
            if same is not None:
                rest.remove(same)
            yield table, same
        yield from ((None, table) for table in rest)

    def _compare_tables(self, left: Table | None, right: Table | None) -> None:
        table = left or right or ("", [])
        section = table[0]
        counts = self._findings.tally("Page", section or "table", "cell")
        sides = [side[1] if side else [] for side in (left, right)]
        heads = [rows[0] if rows else () for rows in sides]
        if heads[0] != heads[1]:
            left_head, right_head = map(" | ".join, heads)
            self._findings.add(Difference("columns", "Page", section, left=left_head, right=right_head))
            return
        bodies = [[self._comparable(heads[0], row) for row in rows[1:]] for rows in sides]
        for number, (before, after) in enumerate(align(*bodies), 1):
            if before is None or after is None:
                places = enumerate((before, after))
                texts = ["" if at is None else " | ".join(sides[side][at + 1]) for side, at in places]
                difference = Difference("row", "Page", section, row=f"row {number}", left=texts[0], right=texts[1])
                self._findings.add(difference)
            else:
                rows = sides[0][before + 1], sides[1][after + 1]
                self._compare_rows(Place("cell", section, f"row {number}"), heads[0], rows, counts)

    def _compare_rows(
        self, place: Place, head: tuple[str, ...], rows: tuple[tuple[str, ...], tuple[str, ...]], counts: TableCounts
    ) -> None:
        for column, *cells in zip_longest(head, *rows, fillvalue=""):
            left, right = ("*", "*") if self._is_id(column) else cells
            self._compare_cells(place._replace(column=column), left, right, counts)

    def _comparable(self, head: tuple[str, ...], row: tuple[str, ...]) -> tuple[str, ...]:
        """Return a row without what is not compared."""
        return tuple(
            "*" if self._is_id(column) else self._same(cell) or NO_VALUE
            for column, cell in zip_longest(head, row, fillvalue="")
        )

    def _is_id(self, column: str) -> bool:
        return column in ("id", "target ids") and not self._exact

    def _compare_sentences(self, left: list[str], right: list[str]) -> None:
        """Count the sentences that only one side has: each side writes its help in its own words."""
        counts = self._findings.tally("Page", "sentences", "sentence")
        sides = Counter(map(_normal, left)), Counter(map(_normal, right))
        counts.equal = (sides[0] & sides[1]).total()
        for alone in (sides[0] - sides[1], sides[1] - sides[0]):
            if alone:
                self._findings.tolerate("page", SENTENCES, alone.total())

    def _compare_cells(self, place: Place, left: str | None, right: str | None, counts: TableCounts) -> None:
        if self._same(left) == self._same(right):
            counts.equal += 1
        elif {left, right} == {"", NO_VALUE}:
            counts.equal += 1
            self._findings.tolerate(place.table, EMPTY_CELLS)
        elif self._findings.add(
            Difference(place.kind, "Page", place.table, place.column, row=place.row, left=left or "", right=right or "")
        ):
            counts.different += 1

    def _same(self, text: str | None) -> str | None:
        """Return a text without the parts that are not compared."""
        return text if self._exact or text is None else _normal(text)


def _normal(text: str) -> str:
    return PROCESS.sub("a worker", NUMBERED.sub(r"\1*", MOMENT.sub("a time", text)))


def _normal_heading(text: str) -> str:
    """Return a heading without its count."""
    return re.sub(r" \d[\d,]*\+?$", "", _normal(text))


def align(left: list[Part], right: list[Part]) -> list[tuple[int | None, int | None]]:
    """Pair the positions of equal parts in their order; of a part that was replaced, those in the same place."""
    pairs: list[tuple[int | None, int | None]] = []
    for _, *bounds in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        pairs += zip_longest(range(*bounds[:2]), range(*bounds[2:]))
    return pairs
