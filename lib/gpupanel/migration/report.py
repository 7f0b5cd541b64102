"""A comparison as text, as JSON, and as one HTML page; all three tell the same."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from .findings import Findings


@dataclass(frozen=True)
class Report:
    """`about` says what was compared and how: (label, value). `lines` is a timeline or the like, as rows of cells."""

    title: str
    left: str
    right: str
    about: list[tuple[str, str]]
    findings: Findings
    made: datetime
    lines: tuple[tuple[str, ...], ...] = ()

    @property
    def verdict(self) -> str:
        """One sentence for whoever reads only one."""
        if self.findings.equal:
            return "The two sides agree."
        count, kinds = number(self.findings.count, "difference"), number(len(self.findings.groups), "kind")
        return f"The two sides differ: {count} of {kinds}."

    @property
    def accepted(self) -> int:
        """How many differences were accepted, and therefore do not count."""
        return sum(self.findings.met.values())

    def data(self) -> dict[str, Any]:
        """The report for programs."""
        findings = self.findings
        return {
            "title": self.title, "equal": findings.equal, "verdict": self.verdict, "left": self.left, "right": self.right,
            "about": dict(self.about), "made": self.made, "differences": findings.count,
            "tables": [asdict(tally) for tally in findings.tallies],
            "groups": [_group(group) for group in findings.groups],
            "accepted": [_accepted(decision, findings) for decision in findings.accepted],
            "bundles": dict(findings.bundles.most_common()),
            "lines": self.lines,
        }


def _group(group) -> dict[str, Any]:
    told = {key: getattr(group, key) for key in ("kind", "area", "table", "column", "path", "title", "cause", "weight", "count")}
    return told | {"samples": [sample._asdict() for sample in group.samples]}


def _accepted(decision, findings: Findings) -> dict[str, Any]:
    return {"name": decision.name, "reason": decision.reason, "patterns": decision.patterns, "met": findings.met[decision.name]}


def number(count: int, noun: str) -> str:
    """`1 difference`, `1,204 differences`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
