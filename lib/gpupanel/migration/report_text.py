"""The report in a terminal."""

from collections.abc import Iterator

from ..cli.output import format_cell, format_table
from .difference_kinds import WEIGHTS
from .findings import DifferenceGroup
from .report import Report, number

SHOWN = 5
WIDTH = 70


def lines(report: Report) -> Iterator[str]:
    """The verdict, what agrees, what is accepted, and each kind of difference with its first examples."""
    findings = report.findings
    yield report.verdict + (f" Not counted: {number(report.accepted, 'accepted one')}." if report.accepted else "")
    yield from format_table([("left", report.left), ("right", report.right), *report.about])
    if report.lines:
        yield from ("", *format_table(map(_cut, line) for line in report.lines))
    if findings.tallies:
        yield from ("", "Rows", *_tallies(report))
    if findings.accepted:
        rows = ((number(findings.met[each.name], "difference"), each.name, each.reason) for each in findings.accepted)
        yield from ("", "Accepted", *format_table(rows))
    for weight, meaning in WEIGHTS.items():
        groups = [group for group in findings.groups if group.weight == weight]
        if groups:
            yield from ("", f"{weight.capitalize()}: {meaning}")
        for group in groups:
            yield from _group(group)


def _cut(cell: str) -> str:
    return cell if len(cell) <= WIDTH else f"{cell[:WIDTH]}..."


def _tallies(report: Report) -> list[str]:
    head = ("", "equal", "different", "left only", "right only", "accepted", "implied")
    rows = [
        (each.table, each.equal, each.different, each.left_only, each.right_only, each.accepted, each.implied)
        for each in report.findings.tallies
    ]
    return format_table([head, *rows])


def _group(group: DifferenceGroup) -> Iterator[str]:
    yield f"  {group.count:,} x  {format_cell(group.title)}"
    yield f"       likely: {group.cause}"
    for sample in group.samples[:SHOWN]:
        bundle = f"  [bundle {format_cell(sample.bundle)}]" if sample.bundle not in sample.row else ""
        yield f"       {format_cell(sample.row)}{bundle}"
        yield f"         left:  {format_cell(sample.left)[:300]}"
        yield f"         right: {format_cell(sample.right)[:300]}"
    if group.count > SHOWN:
        yield f"       and {group.count - min(SHOWN, len(group.samples)):,} more"
