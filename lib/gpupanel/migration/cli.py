"""gpupanel compare: compare two systems."""

import json
import sys
import traceback
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from ..cli.context import CommandContext
from ..cli.output import format_cell, format_lines
from ..errors import ConfigurationError, InvalidInputError, NotFoundError, PanelError, UnusableFileError
from . import accepted, database_diff, dry_run_diff, event_diff, mapping, mapping_proposal
from .commands import SIDES
from .compared_database import ComparedDatabase
from .findings import Findings
from .report import Report, format_report, render_html
from .row_diff import ComparisonOptions
from .table_specs import NEVER_COMPARED, OURS_ALONE

About = list[tuple[str, str]]


EQUAL, DIFFERENT, UNREADABLE = 0, 1, 3


def run(context: CommandContext) -> int:
    """Return 0 if no difference counts, 1 if one does, 3 if a side cannot be read.

    Raises ConfigurationError or InvalidInputError, for which the command exits with 2.
    """
    try:
        _open_report(getattr(context.args, "html", None))
        return COMPARISONS[context.args.what](context)
    except (ConfigurationError, InvalidInputError, BrokenPipeError):
        raise
    except NotFoundError as error:
        raise InvalidInputError(str(error), error.hint) from None
    except OSError as error:
        raise UnusableFileError(error) from None
    except PanelError as error:
        return _report_unreadable(context, error)
    except Exception as error:  # a value that no code expected; the exit status of a traceback would mean "different"
        where = traceback.extract_tb(error.__traceback__)[-1]
        text = f"The comparison failed at {Path(where.filename).name}:{where.lineno}: {type(error).__name__}: {error}"
        return _report_unreadable(context, PanelError(text, "This is a defect of the comparison; please report it."))


def _open_report(path: str | None) -> None:
    """Fail before a long comparison if its report cannot be written. Raises OSError."""
    if path is not None:
        with open(path, "a", encoding="utf-8"):
            pass


def _report_unreadable(context: CommandContext, error: PanelError) -> int:
    print(f"gpupanel: {format_cell(error)}", *format_lines(error.hint), sep="\n", file=sys.stderr)
    if context.args.json:
        context.emit({"error": str(error), "problems": [], "hint": error.hint}, ())
    return UNREADABLE


def _databases(context: CommandContext) -> int:
    """Compare two databases.

    JSON: a report {equal, verdict, tables: [counts], groups: [{kind, title, cause, count, samples}],
    accepted, bundles}.
    """
    args = context.args
    options = ComparisonOptions(args.strict, args.tolerance)
    with _findings(args) as findings, _both_databases(args) as (left, right):
        database_diff.compare_databases(left, right, options, findings, _progress(context))
        about = [
            *_about(left, right),
            ("Rows", "matched by natural keys; surrogate ids, process names and claim tokens are not compared"),
            ("Times", "presence and order" if args.tolerance is None else f"within {args.tolerance:g} s"),
            ("JSON", "byte for byte" if args.strict else "by value"),
            ("Columns not compared", ", ".join(sorted(NEVER_COMPARED))),
            ("Tables not compared", ", ".join(sorted(OURS_ALONE))),
        ]
        return _emit(context, _report("Two databases", (left.label, right.label), about, findings))


def _events(context: CommandContext) -> int:
    """JSON: a report whose `lines` are the timeline: [verdict, left, right]."""
    sync_id = context.sync_id
    with _findings(context.args) as findings, _both_databases(context.args) as (left, right):
        lines = event_diff.compare_events(left, right, sync_id, findings)
        payloads = ("Payloads", "keys, types and spacing; job ids by their order, without times")
        about = [*_about(left, right), payloads]
        return _emit(context, _report(f"Events of batch {sync_id}", (left.label, right.label), about, findings, lines))


def _schemas(context: CommandContext) -> int:
    """Propose mapping files; return 1 if a side needs one.

    JSON: {left: {place, mapping: text, open: [text], lines: [{table, column, theirs, sure, evidence}]}, right: ...}.
    """
    with _both_databases(context.args) as databases:
        proposals = [
            mapping_proposal.propose_mapping(database, other)
            for database, other in (databases, databases[::-1])
        ]
        data, lines = {}, []
        for side, database, proposal in zip(SIDES, databases, proposals, strict=True):
            text = "" if proposal.empty else mapping.format_mapping(proposal.mapping, proposal.notes)
            data[side] = {
                "place": database.place, "mapping": text, "open": proposal.open,
                "lines": [line._asdict() for line in proposal.lines],
            }
            lines += _format_proposal(side, database, proposal)
    context.emit(data, lines)
    return EQUAL if all(proposal.empty for proposal in proposals) else DIFFERENT


def _format_proposal(side: str, database: ComparedDatabase, proposal: mapping_proposal.MappingProposal) -> list[str]:
    place = database.place
    if proposal.empty:
        return [f"# {side}: {place} has every table and column of etc/schema.sql; it needs no mapping file."]
    head = f"# {side}: a proposal for {place}. Check each line, save it, and name the file with --{side}-mapping FILE."
    questions = (f"# open: {question}" for question in proposal.open)
    return [head, mapping.format_mapping(proposal.mapping, proposal.notes).rstrip(), *questions, ""]


def _plan(context: CommandContext) -> int:
    """JSON: a report whose left side is the plan."""
    args = context.args
    plan = dry_run_diff.DryRunPlan(Path(args.left))
    database = ComparedDatabase(Path(args.right), args.right_mapping, args.right_name, "right")
    with _findings(args) as findings, database.opened():
        dry_run_diff.compare_plan(plan, database, findings, _progress(context))
        about = [
            ("Plan", args.left), ("Bundle", plan.facts["sync_id"]),
            ("SHA-256 of its manifest", plan.facts["manifest_sha256"]),
            ("Database", database.place), ("Rows", "those of the plan, and other assets that the import wrote"),
        ]
        names = (args.left_name or "the plan", database.label)
        return _emit(context, _report("A plan and the rows of its import", names, about, findings))


def _pages(context: CommandContext) -> int:
    """JSON: a report."""
    try:
        from . import page_diff, page_fetch
    except ModuleNotFoundError:
        hint = "Install beautifulsoup4 with pip, or Debian's python3-bs4."
        raise InvalidInputError("Beautiful Soup is not installed.", hint) from None
    args = context.args
    left = page_diff.parse_page(page_fetch.fetch_page(args.left, args.left_credentials))
    right = page_diff.parse_page(page_fetch.fetch_page(args.right, args.right_credentials))
    about = [
        ("Times and ids", "compared" if args.exact else "not compared"), ("Left out", "sentences, forms, links, notes"),
    ]
    with _findings(args) as findings:
        page_diff.compare_pages(left, right, findings, args.exact)
        names = (args.left_name or args.left, args.right_name or args.right)
        return _emit(context, _report("Two pages", names, about, findings))


COMPARISONS: dict[str, Callable[[CommandContext], int]] = {
    "databases": _databases, "schemas": _schemas, "events": _events, "plan": _plan, "pages": _pages,
}


# ------------------------------------------------------------------------------------- helpers of all of them


@contextmanager
def _both_databases(args: Namespace) -> Iterator[tuple[ComparedDatabase, ComparedDatabase]]:
    left = ComparedDatabase(Path(args.left), args.left_mapping, args.left_name, "left")
    right = ComparedDatabase(Path(args.right), args.right_mapping, args.right_name, "right")
    with ExitStack() as stack:
        yield stack.enter_context(left.opened()), stack.enter_context(right.opened())


@contextmanager
def _findings(args: Namespace) -> Iterator[Findings]:
    """Yield findings for --accept, and write each difference for --each."""
    decisions = accepted.load_accepted(args.accept) if args.accept else []
    if not args.each:
        yield Findings(decisions)
        return
    with open(args.each, "w", encoding="utf-8") as out:
        yield Findings(decisions, lambda found: print(json.dumps(found._asdict(), ensure_ascii=False), file=out))


def _progress(context: CommandContext) -> database_diff.Progress:
    return lambda table, done, total: context.progress(table)(done, total)


def _about(left: ComparedDatabase, right: ComparedDatabase) -> About:
    sides = tuple(zip(SIDES, (left, right), strict=True))
    about = [(f"Database on the {name}", side.place) for name, side in sides]
    about += [(f"Mapping of the {name}", str(side.mapping_file)) for name, side in sides if side.mapping_file]
    for name, side in sides:
        if places := [f"{table}.{column}" for table, column in side.mapping.words]:
            about.append((f"Words of the {name}", f"replaced in {', '.join(places)}"))
    return about


def _report(
    title: str, names: tuple[str, str], about: About, findings: Findings, lines: tuple[tuple[str, ...], ...] = ()
) -> Report:
    return Report(title, *names, about, findings, datetime.now(UTC).replace(tzinfo=None), lines)


def _emit(context: CommandContext, report: Report) -> int:
    if context.args.html:
        Path(context.args.html).write_text(render_html(report), encoding="utf-8")
    context.emit(report.data(), format_report(report))
    return EQUAL if report.findings.equal else DIFFERENT
