"""compare: databases, schemas, events, plan, pages; evidence where two systems agree and where they differ."""

import json
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from ..cli.context import CommandContext
from ..errors import InvalidInput, PanelError
from ..mount import SYNC_ID
from . import accepted, database_diff, dry_run_diff, event_diff, mapping, mapping_proposal, report_page, report_text
from .compared_database import ComparedDatabase
from .findings import Findings
from .report import Report
from .row_diff import ComparisonOptions


def compare(shell: CommandContext) -> int:
    """0 when both sides are equal but for accepted differences, 1 when they differ."""
    return WHAT[shell.args.what](shell)


def _databases(shell: CommandContext) -> int:
    """JSON: a report {equal, verdict, tables: [tally], groups: [{kind, title, cause, count, samples}], accepted, bundles}."""
    args = shell.args
    strictness = ComparisonOptions(args.strict, args.tolerance)
    with _collecting(args) as findings, _both(args) as (left, right):
        database_diff.compare_databases(left, right, strictness, findings, lambda table, done, total: shell.progress(table)(done, total))
        about = _about(left, right) + [
            ("Rows", "matched by natural keys; surrogate ids, process names and claim tokens are not compared"),
            ("Times", "presence and order" if args.tolerance is None else f"within {args.tolerance:g} s"),
            ("JSON", "byte for byte" if args.strict else "by value"),
        ]
        return _tell(shell, _report("Two databases", left.label, right.label, about, findings))


def _events(shell: CommandContext) -> int:
    """JSON: a report whose `lines` are the timeline: [verdict, left, right]."""
    args = shell.args
    if not SYNC_ID.fullmatch(args.sync_id):
        raise InvalidInput(f"Not a sync_id: {args.sync_id}", "A sync_id is a UUID in lower case.")
    with _collecting(args) as findings, _both(args) as (left, right):
        lines = event_diff.compare_events(left, right, args.sync_id, findings)
        about = [*_about(left, right), ("Payloads", "keys, types and spacing; job ids by their order, times not at all")]
        return _tell(shell, _report(f"Events of batch {args.sync_id}", left.label, right.label, about, findings, lines))


def _schemas(shell: CommandContext) -> int:
    """JSON: {left: {mapping: text, open: [text]}, right: ...}; 1 when a side needs a mapping file."""
    with _both(shell.args) as sides:
        proposals = [mapping_proposal.propose_mapping(side) for side in sides]
        data, lines = {}, []
        for which, side, proposal in zip(("left", "right"), sides, proposals):
            text_of = "" if proposal.empty else mapping.format_mapping(proposal.mapping)
            data[which] = {"place": side.place, "mapping": text_of, "open": proposal.open}
            lines += _proposed(which, side, proposal)
    shell.tell(data, lines)
    return 0 if all(proposal.empty for proposal in proposals) else 1


def _proposed(which: str, side: ComparedDatabase, proposal: mapping_proposal.MappingProposal) -> list[str]:
    if proposal.empty:
        return [f"# {which}: {side.place} has every table and column of etc/schema.sql; it needs no mapping file."]
    head = [f"# {which}: a proposal for {side.place}. Check each line, save it, and name it with --{which}-mapping FILE."]
    return [*head, mapping.format_mapping(proposal.mapping).rstrip(), *(f"# open: {question}" for question in proposal.open), ""]


def _plan(shell: CommandContext) -> int:
    """JSON: a report; the plan is the left."""
    args = shell.args
    plan = dry_run_diff.DryRunPlan(Path(args.left))
    with _collecting(args) as findings, ComparedDatabase(Path(args.right), args.right_mapping, args.right_name).opened() as side:
        dry_run_diff.compare_plan(plan, side, findings, lambda table, done, total: shell.progress(table)(done, total))
        about = [("Plan", args.left), ("Bundle", plan.facts["sync_id"]), ("Bytes of its manifest", plan.facts["manifest_sha256"]),
                 ("Database", side.place), ("Rows", "those of the plan, and assets that the bundle brought besides")]
        return _tell(shell, _report("A plan and what was written", args.left_name or "the plan", side.label, about, findings))


def _pages(shell: CommandContext) -> int:
    """JSON: a report."""
    try:
        from . import page_diff, page_fetch
    except ModuleNotFoundError:
        hint = "Install beautifulsoup4 by pip, or Debian's python3-bs4."
        raise PanelError("Beautiful Soup is not installed.", hint) from None
    args = shell.args
    left, right = (page_diff.parse_page(page_fetch.fetch_page(place, file)) for place, file in (
        (args.left, args.left_credentials), (args.right, args.right_credentials)))
    about = [("Times and ids", "as they stand" if args.exact else "not compared"), ("Left out", "sentences, forms, links, notes")]
    with _collecting(args) as findings:
        page_diff.compare_pages(left, right, findings, args.exact)
        return _tell(shell, _report("Two pages", args.left_name or args.left, args.right_name or args.right, about, findings))


WHAT = {"databases": _databases, "schemas": _schemas, "events": _events, "plan": _plan, "pages": _pages}


# ------------------------------------------------------------------------------------------------ what they share


@contextmanager
def _both(args):
    with ExitStack() as stack:
        yield [
            stack.enter_context(ComparedDatabase(Path(conf), getattr(args, f"{side}_mapping"), getattr(args, f"{side}_name")).opened())
            for side, conf in (("left", args.left), ("right", args.right))
        ]


@contextmanager
def _collecting(args):
    """Findings that know the accepted differences, and write each one to the file that --each names."""
    decisions = accepted.load_accepted(args.accept) if args.accept else []
    if not args.each:
        yield Findings(decisions)
        return
    with open(args.each, "w", encoding="utf-8") as out:
        yield Findings(decisions, lambda found: print(json.dumps(found._asdict(), ensure_ascii=False), file=out))


def _about(left: ComparedDatabase, right: ComparedDatabase) -> list[tuple[str, str]]:
    sides = (("left", left), ("right", right))
    about = [(f"Database on the {name}", side.place) for name, side in sides]
    return about + [(f"Mapping of the {name}", str(side.mapping_file)) for name, side in sides if side.mapping_file]


def _report(title: str, left: str, right: str, about, findings: Findings, lines=()) -> Report:
    return Report(title, left, right, about, findings, datetime.now(UTC).replace(tzinfo=None), tuple(lines))


def _tell(shell: CommandContext, report: Report) -> int:
    if shell.args.html:
        Path(shell.args.html).write_text(report_page.page(report), encoding="utf-8")
    shell.tell(report.data(), report_text.lines(report))
    return 0 if report.findings.equal else 1
