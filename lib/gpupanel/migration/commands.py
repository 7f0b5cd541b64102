"""The table entry and the options of `gpupanel compare`."""

import argparse
from collections.abc import Callable
from pathlib import Path

from ..cli.commands import Command, common_options

SIDES = ("left", "right")
DATABASE_HELP = "a configuration file whose [database] is this side's; its account needs only SELECT"
PLAN_HELP = "a plan of import-worker --dry-run"
PAGE_HELP = "the address of a page, or a file with its HTML or text"


def _compare_options(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "Exit status: 0 no difference that counts, 1 different, 2 usage or broken configuration,"
        " 3 a side cannot be read."
    )
    subparsers = parser.add_subparsers(dest="what", metavar="WHAT", required=True)

    def add(name: str, about: str, left: str, right: str) -> argparse.ArgumentParser:
        added = subparsers.add_parser(name, parents=[common_options(argparse.SUPPRESS)], help=about, description=about)
        added.add_argument("left", metavar="LEFT", help=left)
        added.add_argument("right", metavar="RIGHT", help=right)
        return added

    databases = add("databases", "Compare ledger and library, row by row.", DATABASE_HELP, DATABASE_HELP)
    _add(databases, _mapping_options, _report_options, _strictness_options)
    schemas = add("schemas", "Propose a mapping file for a database with other names.", DATABASE_HELP, DATABASE_HELP)
    _add(schemas, _mapping_options)
    events = add("events", "Compare the events of one batch, side by side.", DATABASE_HELP, DATABASE_HELP)
    _add(events, _mapping_options, _report_options)
    events.add_argument("sync_id", metavar="SYNC_ID", help="the sync_id of the batch")
    plan = add("plan", "Compare the plan of a dry run with the rows that the import wrote.", PLAN_HELP, DATABASE_HELP)
    _add(plan, _mapping_options, _report_options)
    pages = add("pages", "Compare the same page of two panels, cell by cell.", PAGE_HELP, PAGE_HELP)
    _add(pages, _report_options, _page_options)


def _add(parser: argparse.ArgumentParser, *groups: Callable[[argparse.ArgumentParser], None]) -> None:
    for group in groups:
        group(parser)


def _mapping_options(parser: argparse.ArgumentParser) -> None:
    for side in SIDES:
        parser.add_argument(f"--{side}-mapping", metavar="FILE", type=Path, help=f"the mapping file of the {side} side")
        _name_option(parser, side)


def _name_option(parser: argparse.ArgumentParser, side: str) -> None:
    parser.add_argument(f"--{side}-name", metavar="NAME", default="", help=f"the name of the {side} side in the report")


def _report_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--accept", metavar="FILE", type=Path, help="the accepted differences, each with its reason")
    parser.add_argument("--html", metavar="FILE", help="also write the report as one HTML page")
    parser.add_argument("--each", metavar="FILE", help="also write every difference as a line of JSON")


def _strictness_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--strict", action="store_true", help="compare JSON byte for byte instead of by value")
    parser.add_argument("--tolerance", metavar="SECONDS", type=_seconds,
                        help="the largest distance of two times (default: compare only presence and order)")


def _page_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--exact", action="store_true", help="also compare times and ids")
    for side in SIDES:
        parser.add_argument(f"--{side}-credentials", metavar="FILE", type=Path, help="user:password for that page")
        _name_option(parser, side)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds") from None
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is out of range")
    return value


def _cutover_options(parser: argparse.ArgumentParser) -> None:
    steps = parser.add_subparsers(dest="what", metavar="STEP", required=True)
    about = "Say whether a job is active, or a batch waits for a job that is missing; exit status 1 while one is."
    steps.add_parser("drained", parents=[common_options(argparse.SUPPRESS)], help=about, description=about)
    about = "Convert the local times that the Perl side wrote to UTC; [database] perl_time_zone names their zone."
    options = [common_options(argparse.SUPPRESS)]
    times = steps.add_parser("convert-times", parents=options, help=about, description=about)
    times.add_argument("--back", action="store_true", help="convert them to local times again")
    times.add_argument("--dry-run", action="store_true", help="only count the rows")


COMMANDS = (
    Command("compare", "gpupanel.migration.cli", "Show where two systems differ.", _compare_options),
    Command("cutover", "gpupanel.migration.cutover", "Do a step of the move from the Perl panel.", _cutover_options),
)
