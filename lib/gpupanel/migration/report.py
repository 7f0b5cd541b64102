"""The report of a comparison as data, as text and as one HTML page."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ..cli.output import format_cell, format_section, format_table
from ..text import pluralize, truncate
from .difference_kinds import CONTENT, FORM, KINDS, LOST, RECORD, STRUCTURE, WEIGHTS
from .findings import AcceptedDifference, DifferenceGroup, Findings
from .table_specs import BY_NAME

TERMINAL_SAMPLES, CELL_WIDTH, VALUE_WIDTH = 5, 70, 300
TOP, EXPANDED = 200, 3  # groups of the HTML page
COUNT_COLUMNS = ("table", "equal", "different", "left only", "right only", "accepted", "implied")
WEIGHT_TITLES = {
    LOST: ("Lost content", "One library lacks rows that the other has."),
    CONTENT: ("Wrong content", "Visitors of the sites may see different content."),
    RECORD: ("Wrong history", "Operators see different bundles, jobs or events."),
    STRUCTURE: ("Structure", "A table or column exists on one side only, and was not compared."),
    FORM: ("Cosmetics", "The same facts, written differently: spacing, types, time zones."),
}


@dataclass(frozen=True)
class Report:
    """`about` says what was compared and how: (label, value).

    `lines` is a timeline as rows of cells.
    """

    title: str
    left: str
    right: str
    about: list[tuple[str, str]]
    findings: Findings
    made: datetime
    lines: tuple[tuple[str, ...], ...] = ()

    @property
    def verdict(self) -> str:
        """Return the result in one sentence."""
        if self.findings.equal:
            return "The two sides agree."
        count, kinds = pluralize(self.findings.count, "difference"), pluralize(len(self.findings.groups), "kind")
        return f"The two sides differ: {count} of {kinds}."

    @property
    def accepted(self) -> int:
        """Return the number of accepted differences, which do not count."""
        return sum(self.findings.met.values())

    def data(self) -> dict[str, Any]:
        """Return the report for programs."""
        findings = self.findings
        return {
            "title": self.title, "equal": findings.equal, "verdict": self.verdict,
            "left": self.left, "right": self.right,
            "about": dict(self.about), "made": self.made, "differences": findings.count,
            "tables": [asdict(counts) for counts in findings.tallies],
            "groups": [_group_data(group) for group in findings.groups],
            "accepted": [_accepted_data(decision, findings) for decision in findings.accepted],
            "tolerated": [
                {"name": name, "place": place, "count": count} for name, place, count in tolerated_rows(findings)
            ],
            "bundles": dict(findings.bundles.most_common()),
            "lines": self.lines,
        }


def _group_data(group: DifferenceGroup) -> dict[str, Any]:
    keys = ("kind", "area", "table", "column", "path", "title", "cause", "weight", "count")
    return {key: getattr(group, key) for key in keys} | {"samples": [sample._asdict() for sample in group.samples]}


def _accepted_data(decision: AcceptedDifference, findings: Findings) -> dict[str, Any]:
    return {
        "name": decision.name, "reason": decision.reason, "patterns": decision.patterns,
        "met": findings.met[decision.name],
    }


# --------------------------------------------------------------------------------------------------- terminal


def format_report(report: Report) -> Iterator[str]:
    """Yield the lines of the report, with samples of each kind."""
    findings = report.findings
    accepted = f" Not counted: {pluralize(report.accepted, 'accepted difference')}." if report.accepted else ""
    yield report.verdict + accepted
    yield from format_table([("left", report.left), ("right", report.right), *report.about])
    if report.lines:
        lines = ((truncate(cell, CELL_WIDTH) if cell else "" for cell in line) for line in report.lines)
        yield from ("", *format_table(lines))
    if findings.groups:
        rows = ((f"{group.count:,}", group.weight, group.title) for group in findings.groups)
        yield from ("", *format_section("Kinds of difference", rows, ("count", "meaning", "difference")))
    if findings.tallies:
        yield ""
    yield from format_section("Rows", _count_rows(findings), COUNT_COLUMNS)
    if findings.accepted:
        rows = ((pluralize(findings.met[decision.name], "difference"), decision.name, decision.reason)
                for decision in findings.accepted)
        yield from ("", "Accepted", *format_table(rows))
    if findings.tolerated:
        rows = ((f"{count:,}", name, place) for name, place, count in tolerated_rows(findings))
        yield from ("", *format_section("Tolerated, and not counted", rows, ("count", "what", "where")))
    for weight, meaning in WEIGHTS.items():
        groups = [group for group in findings.groups if group.weight == weight]
        if groups:
            yield from ("", f"{weight.capitalize()}: {meaning}")
        for group in groups:
            yield from _format_group(group)


def tolerated_rows(findings: Findings) -> list[tuple[str, str, int]]:
    """Return (name, place, count) of what was not compared, by name."""
    return [(name, place, count) for (name, place), count in sorted(findings.tolerated.items())]


def _count_rows(findings: Findings) -> list[tuple[object, ...]]:
    return [
        (
            counts.table, counts.equal, counts.different, counts.left_only, counts.right_only, counts.accepted,
            counts.implied,
        )
        for counts in findings.tallies
    ]


def _format_group(group: DifferenceGroup) -> Iterator[str]:
    yield f"  {group.count:,} x  {format_cell(group.title)}"
    yield f"       likely: {group.cause}"
    for sample in group.samples[:TERMINAL_SAMPLES]:
        bundle = f"  [bundle {format_cell(sample.bundle)}]" if sample.bundle not in sample.row else ""
        yield f"       {format_cell(sample.row)}{bundle}"
        yield f"         left:  {format_cell(sample.left)[:VALUE_WIDTH]}"
        yield f"         right: {format_cell(sample.right)[:VALUE_WIDTH]}"
    if group.count > TERMINAL_SAMPLES:
        yield f"       and {group.count - min(TERMINAL_SAMPLES, len(group.samples)):,} more"


# ------------------------------------------------------------------------------------------------------- HTML


def render_html(report: Report) -> str:
    """Render the page; the template escapes every value."""
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
    )
    return templates.get_template("report.html").render(
        report=report, summary=_summary(report), weights=WEIGHT_TITLES, top=TOP, expanded=EXPANDED, plural=pluralize,
        tolerated=tolerated_rows(report.findings), sentence=_sentence, acceptance=_acceptance,
        describe=lambda group: _describe(group, report),
    ) + "\n"


def _summary(report: Report) -> str:
    """Return how much agrees and what to decide, in up to three sentences."""
    findings = report.findings
    rows, equal = sum(counts.rows for counts in findings.tallies), sum(counts.equal for counts in findings.tallies)
    share = "more than 99.9%" if rows - rows / 1000 < equal < rows else f"{equal / rows:.1%}" if rows else ""
    sentences = [f"Of {rows:,} rows or cells, {share} agree."] if rows else []
    if findings.groups:
        kinds = pluralize(len(findings.groups), "kind")
        sentences.append(f"{kinds} of difference to decide on: fix each one, or accept it with a reason.")
    if report.accepted:
        sentences.append(f"{pluralize(report.accepted, 'difference')} had been accepted before.")
    return " ".join(sentences)


def _describe(group: DifferenceGroup, report: Report) -> str:
    """Describe a group for readers who know the media and not the tables."""
    table = BY_NAME.get(group.table)
    place = ", ".join(filter(None, (table.noun if table else group.table, group.column.replace("_", " "), group.path)))
    title = KINDS[group.kind].title
    for side, label in (("left", report.left), ("right", report.right)):
        title = title.replace(f"on the {side}", f"in: {label}")
    return f"{place[:1].upper()}{place[1:]}: {title}"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _acceptance(group: DifferenceGroup) -> str:
    """Return the lines that accept this group."""
    options = (("kind", group.kind), ("table", group.table), ("column", group.column), ("path", group.path))
    return "; ".join(f"{key} = {value}" for key, value in options if value)
