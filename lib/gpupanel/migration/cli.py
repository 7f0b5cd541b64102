"""compare: databases, schemas, events, plan, pages; evidence where two systems agree and where they differ."""

import json
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from ...errors import InvalidInput, PanelError
from ...mount import SYNC_ID
from ..compare import accepted, databases, mapping, plans, schemas, timeline
from ..compare.findings import Findings
from ..compare.report import Report, page, text
from ..compare.rows import Strictness
from ..compare.side import Side
from ..shell import Shell


def compare(shell: Shell) -> int:
    """0 when both sides are equal but for accepted differences, 1 when they differ."""
    return WHAT[shell.args.what](shell)


def _databases(shell: Shell) -> int:
    """JSON: a report {equal, verdict, tables: [tally], groups: [{kind, title, cause, count, samples}], accepted, bundles}."""
    args = shell.args
    strictness = Strictness(args.strict, args.tolerance)
    with _collecting(args) as findings, _both(args) as (left, right):
        databases.compare(left, right, strictness, findings, lambda table, done, total: shell.progress(table)(done, total))
        about = _about(left, right) + [
            ("Rows", "matched by natural keys; surrogate ids, process names and claim tokens are not compared"),
            ("Times", "presence and order" if args.tolerance is None else f"within {args.tolerance:g} s"),
            ("JSON", "byte for byte" if args.strict else "by value"),
        ]
        return _tell(shell, _report("Two databases", left.label, right.label, about, findings))


def _events(shell: Shell) -> int:
    """JSON: a report whose `lines` are the timeline: [verdict, left, right]."""
    args = shell.args
    if not SYNC_ID.fullmatch(args.sync_id):
        raise InvalidInput(f"Not a sync_id: {args.sync_id}", "A sync_id is a UUID in lower case.")
    with _collecting(args) as findings, _both(args) as (left, right):
        lines = timeline.compare(left, right, args.sync_id, findings)
        about = [*_about(left, right), ("Payloads", "keys, types and spacing; job ids by their order, times not at all")]
        return _tell(shell, _report(f"Events of batch {args.sync_id}", left.label, right.label, about, findings, lines))


def _schemas(shell: Shell) -> int:
    """JSON: {left: {mapping: text, open: [text]}, right: ...}; 1 when a side needs a mapping file."""
    with _both(shell.args) as sides:
        proposals = [schemas.propose(side) for side in sides]
        data, lines = {}, []
        for which, side, proposal in zip(("left", "right"), sides, proposals):
            text_of = "" if proposal.empty else mapping.write(proposal.mapping)
            data[which] = {"place": side.place, "mapping": text_of, "open": proposal.open}
            lines += _proposed(which, side, proposal)
    shell.tell(data, lines)
    return 0 if all(proposal.empty for proposal in proposals) else 1


def _proposed(which: str, side: Side, proposal: schemas.Proposal) -> list[str]:
    if proposal.empty:
        return [f"# {which}: {side.place} has every table and column of etc/schema.sql; it needs no mapping file."]
    head = [f"# {which}: a proposal for {side.place}. Check each line, save it, and name it with --{which}-mapping FILE."]
    return [*head, mapping.write(proposal.mapping).rstrip(), *(f"# open: {question}" for question in proposal.open), ""]


def _plan(shell: Shell) -> int:
    """JSON: a report; the plan is the left."""
    args = shell.args
    plan = plans.Plan(Path(args.left))
    with _collecting(args) as findings, Side(Path(args.right), args.right_mapping, args.right_name).opened() as side:
        plans.compare(plan, side, findings, lambda table, done, total: shell.progress(table)(done, total))
        about = [("Plan", args.left), ("Bundle", plan.facts["sync_id"]), ("Bytes of its manifest", plan.facts["manifest_sha256"]),
                 ("Database", side.place), ("Rows", "those of the plan, and assets that the bundle brought besides")]
        return _tell(shell, _report("A plan and what was written", args.left_name or "the plan", side.label, about, findings))


def _pages(shell: Shell) -> int:
    """JSON: a report."""
    try:
        from ..compare import fetching, pages
    except ModuleNotFoundError:
        hint = "Install beautifulsoup4 by pip, or Debian's python3-bs4."
        raise PanelError("Beautiful Soup is not installed.", hint) from None
    args = shell.args
    left, right = (pages.read(fetching.fetch(place, file)) for place, file in (
        (args.left, args.left_credentials), (args.right, args.right_credentials)))
    about = [("Times and ids", "as they stand" if args.exact else "not compared"), ("Left out", "sentences, forms, links, notes")]
    with _collecting(args) as findings:
        pages.compare(left, right, findings, args.exact)
        return _tell(shell, _report("Two pages", args.left_name or args.left, args.right_name or args.right, about, findings))


WHAT = {"databases": _databases, "schemas": _schemas, "events": _events, "plan": _plan, "pages": _pages}


# ------------------------------------------------------------------------------------------------ what they share


@contextmanager
def _both(args):
    with ExitStack() as stack:
        yield [
            stack.enter_context(Side(Path(conf), getattr(args, f"{side}_mapping"), getattr(args, f"{side}_name")).opened())
            for side, conf in (("left", args.left), ("right", args.right))
        ]


@contextmanager
def _collecting(args):
    """Findings that know the accepted differences, and write each one to the file that --each names."""
    decisions = accepted.load(args.accept) if args.accept else []
    if not args.each:
        yield Findings(decisions)
        return
    with open(args.each, "w", encoding="utf-8") as out:
        yield Findings(decisions, lambda found: print(json.dumps(found._asdict(), ensure_ascii=False), file=out))


def _about(left: Side, right: Side) -> list[tuple[str, str]]:
    sides = (("left", left), ("right", right))
    about = [(f"Database on the {name}", side.place) for name, side in sides]
    return about + [(f"Mapping of the {name}", str(side.mapping_file)) for name, side in sides if side.mapping_file]


def _report(title: str, left: str, right: str, about, findings: Findings, lines=()) -> Report:
    return Report(title, left, right, about, findings, datetime.now(UTC).replace(tzinfo=None), tuple(lines))


def _tell(shell: Shell, report: Report) -> int:
    if shell.args.html:
        Path(shell.args.html).write_text(page.page(report), encoding="utf-8")
    shell.tell(report.data(), text.lines(report))
    return 0 if report.findings.equal else 1
