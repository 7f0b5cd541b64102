"""bin/gpupanel: the arguments, and what each way to fail looks like in a shell (docs/CONTRACT.md, 11).

A command lives in commands/<module>.py as a function of its name that takes a Shell and returns the exit status;
only the module of the command that runs is imported.
"""

import argparse
import json
import os
import signal
import sys
from importlib import import_module
from pathlib import Path

from .. import filters
from ..errors import ConfigurationError, InvalidInput, PanelError
from ..model import HIGHEST
from .text import lines, plain

DONE, REFUSED, MISUSED, INTERRUPTED = 0, 1, 2, 130

CONFIG = "the configuration (GPUPANEL_CONF, else etc/panel.conf)"
STANDARD_INPUT = "or - to read them from standard input"


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns 0 done, 1 refused or problems found, 2 usage or broken configuration.

    SIGTERM ends a command as Ctrl-C does, so that what it has started is stopped.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")
    args = _parser().parse_args(argv)
    try:
        _interruptible()
        return _run(args)
    except PanelError as error:
        return _fail(args, error)
    except ModuleNotFoundError as error:
        return _fail(args, PanelError(f"The Python package {error.name} is not installed.", "`make venv` installs it."))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return REFUSED
    except OSError as error:
        return _fail(args, PanelError(f"{error.filename or 'Input or output'}: {error.strerror}"))
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return INTERRUPTED


def _interruptible() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # as bin/gpupanel leaves it; who ignores it, as under nohup, means that
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _run(args: argparse.Namespace) -> int:
    from .shell import Shell

    module = import_module(f".commands.{args.module}", __package__)
    return getattr(module, args.command.replace("-", "_"))(Shell(args))


def _fail(args: argparse.Namespace, error: PanelError) -> int:
    """Say what failed and what to do next; with --json standard output gets it as an object, too."""
    problems = getattr(error, "problems", [])
    found = [f"gpupanel: {plain(error)}", *(f"  {plain(problem)}" for problem in problems)]
    print(*found, *lines(error.hint), sep="\n", file=sys.stderr)
    if args.json:
        print(json.dumps({"error": str(error), "problems": problems, "hint": error.hint}, indent=1))
    return MISUSED if isinstance(error, (ConfigurationError, InvalidInput)) else REFUSED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gpupanel", parents=[_common(None)], formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Import Media from a shell: scan, preflight, queue and watch handover bundles.",
        epilog="Exit status: 0 done, 1 refused or problems found, 2 usage or broken configuration.",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def command(name: str, module: str, about: str, config: str = CONFIG) -> argparse.ArgumentParser:
        added = commands.add_parser(name, parents=[_common(argparse.SUPPRESS, config)], help=about, description=about)
        added.set_defaults(module=module)
        return added

    _operating(command)
    _finding(command)
    _looking(command)
    _comparing(command)
    _running(command)
    return parser


def _common(default, config: str = CONFIG) -> argparse.ArgumentParser:
    """The options that may stand before the command and after it."""
    common = argparse.ArgumentParser(add_help=False, argument_default=default)
    common.add_argument("--config", metavar="FILE", help=config)
    common.add_argument("--as", dest="by", metavar="NAME", type=_name, help="who does it (the login name)")
    common.add_argument("--json", action="store_true", default=default or False, help="print the outcome as JSON")
    return common


def _operating(command) -> None:
    scan = command("scan", "operating", "Record the bundles on the mount that are not known yet.")
    scan.add_argument("--quiet", action="store_true", help="print nothing unless something is new; for a timer")
    preflight = command("preflight", "operating", "Plan what would happen to each item of these bundles.")
    preflight.add_argument("sync_ids", nargs="+", metavar="S", help=f"sync_ids, {STANDARD_INPUT}")
    queue = command("queue", "operating", "Queue these bundles; preflight them first where needed.")
    retry = command("retry", "operating", "Queue again what failed of these bundles; what is done stays as it is.")
    for queueing in (queue, retry):
        queueing.add_argument("sync_ids", nargs="+", metavar="S", help=f"sync_ids, {STANDARD_INPUT}")
        queueing.add_argument("--priority", type=_priority, default=100, metavar="N", help="lower first (100)")
    cancel = command("cancel", "operating", "Cancel a job that is still queued.")
    cancel.add_argument("job", type=_whole(1), metavar="JOB", help="the job's number")


def _finding(command) -> None:
    found = command("list", "finding", "List batches, the newest first; the filters are those of the panel.")
    _filters(found)
    found.add_argument("--sort", choices=("newest", "oldest"), default="newest", help="which come first (newest)")
    found.add_argument("--limit", type=_whole(1, 10_000), default=50, metavar="N", help="how many at once (50)")
    place = found.add_mutually_exclusive_group()
    place.add_argument("--before", type=_whole(0), metavar="ID", help="those discovered before this one; JSON's `next` says")
    place.add_argument("--after", type=_whole(0), metavar="ID", help="those discovered after this one")
    found.add_argument("--ids", action="store_true", help="print the sync_ids alone, for `gpupanel queue -`")
    completion = command("completion", "completing", "Print what makes a shell complete commands, options and sync_ids.")
    completion.add_argument("shell", choices=("bash",), help="bash: eval \"$(gpupanel completion bash)\"")


def _filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("text", nargs="?", default="", metavar="TEXT",
                        help="a sync_id or an asset's hash, or how one starts; a hash takes at least nine characters")
    for name, words in filters.WORDS.items():
        parser.add_argument(f"--{name}", choices=words, default="", metavar=name.upper(), help=", ".join(words))
    parser.add_argument("--host", default="", help="the host that the bundle came from")
    parser.add_argument("--from", dest="since", default="", metavar="DAY", help="discovered on this day or later: 2026-04-30")
    parser.add_argument("--to", dest="until", default="", metavar="DAY", help="discovered on this day or before")


def _looking(command) -> None:
    _filters(command("status", "looking", "Batches by status, under filters if any are given; jobs by state, and those that run or come next."))
    show = command("show", "looking", "One batch: facts, plan, jobs, items, events.")
    show.add_argument("sync_id", metavar="S", help="its sync_id")
    show.add_argument("--items", type=_whole(0), default=50, metavar="N", help="how many items to list (50)")
    doctor = command("doctor", "looking", "Examine the installation; each finding says what to do.")
    doctor.add_argument("--mapping", metavar="FILE", type=Path, help="examine a database whose tables have these other names")


def _comparing(command) -> None:
    compare = command("compare", "comparing", "Show where two systems agree and where they differ.")
    compare.epilog = "Exit status: 0 equal but for accepted differences, 1 different, 2 usage or broken configuration."
    what = compare.add_subparsers(dest="what", metavar="WHAT", required=True)

    def one(name: str, about: str, sides: tuple[str, str], *options) -> argparse.ArgumentParser:
        added = what.add_parser(name, parents=[_common(argparse.SUPPRESS)], help=about, description=about)
        for side, kind in zip(("left", "right"), sides):
            added.add_argument(side, metavar=side.upper(), help=kind)
        for option in options:
            option(added)
        return added

    database = "a configuration file whose [database] is this side's; SELECT is all that its account needs"
    one("databases", "Compare ledger and library, row by row.", (database, database), _names, _reporting, _strictness)
    one("schemas", "Propose a mapping file for a database whose tables have other names.", (database, database), _names)
    events = one("events", "Compare the events of one batch, side by side.", (database, database), _names, _reporting)
    events.add_argument("sync_id", metavar="S", help="its sync_id")
    planned = "a plan of import-worker --dry-run"
    one("plan", "Compare the plan of a dry run with what was then written.", (planned, database), _names, _reporting)
    shown = "the address of a page, or a file with its HTML or text"
    pages = one("pages", "Compare the same page of two panels, cell by cell.", (shown, shown), _reporting)
    pages.add_argument("--exact", action="store_true", help="compare times and ids, too")
    for side in ("left", "right"):
        pages.add_argument(f"--{side}-credentials", metavar="FILE", type=Path, help="user:password, where that page asks for them")
        pages.add_argument(f"--{side}-name", metavar="NAME", default="", help=f"what the report calls the {side} side")


def _names(parser: argparse.ArgumentParser) -> None:
    for side in ("left", "right"):
        parser.add_argument(f"--{side}-mapping", metavar="FILE", type=Path, help=f"what the {side} side calls its tables and columns")
        parser.add_argument(f"--{side}-name", metavar="NAME", default="", help=f"what the report calls the {side} side")


def _reporting(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--accept", metavar="FILE", type=Path, help="differences that are accepted, with a reason each")
    parser.add_argument("--html", metavar="FILE", help="write the report as one HTML page, too")
    parser.add_argument("--each", metavar="FILE", help="write every difference, too, as a line of JSON each")


def _strictness(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--strict", action="store_true", help="compare JSON byte for byte instead of by value")
    parser.add_argument("--tolerance", metavar="SECONDS", type=_seconds, help="how far times may be apart (only presence and order)")


def _running(command) -> None:
    command("init-db", "installing", "Make or complete the database, with an account that may create tables.")
    serve = command("serve", "serving", "Serve the panel over HTTP.")
    serve.add_argument("--host", default="127.0.0.1", help="the address to listen on (127.0.0.1)")
    serve.add_argument("--port", type=_whole(0, 65535), default=8080, help="the port (8080); 0 takes any free one")
    run = command(
        "run", "playing", "Run the demo panel: private MariaDB, demo bundles, worker and panel.",
        config="refused unless it is run's own, DIR/panel.conf; so is GPUPANEL_CONF, unless --var is given",
    )
    demo = command(
        "demo", "playing", "Write the demo bundles, and with --once import them and compare.",
        config="use this installation and no private one; GPUPANEL_CONF is refused, unless --var is given",
    )
    demo.add_argument("--once", action="store_true", help="scan, preflight, queue, import, and print what came of it")
    demo.add_argument("--bundles", type=_whole(0), default=0, metavar="N", help="as many more bundles of photos (0)")
    demo.add_argument("--items", type=_whole(1, 100_000), default=100, metavar="N", help="items in each of those (100)")
    demo.add_argument("--seed", default="1", help="another seed gives other bundles (1)")
    for playing in (run, demo):
        playing.add_argument("--var", metavar="DIR", help="where all that is private lives (var/)")


def _name(text: str) -> str:
    if not text.isprintable() or not 0 < len(text) <= 255:
        raise argparse.ArgumentTypeError("expected up to 255 printable characters")
    return text


def _whole(low: int, high: int = HIGHEST):
    def convert(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {low} to {high}")
        return int(text)

    return convert


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds") from None
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is out of range")
    return value


def _priority(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
    if not -(2**31) <= value < 2**31:
        raise argparse.ArgumentTypeError(f"{text} is out of range")
    return value
