"""The table of commands: name, module, help text and options of each.

The module of a command is imported when the command runs. `gpupanel.migration` and `gpupanel.devtools` add their
commands where they are installed.
"""

import argparse
from collections.abc import Callable
from datetime import date, datetime
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from ..search import SORTS, filters
from ..models import BIGINT_MAX, SYNC_ID
from ..text import DAY_RULE, parse_day, parse_moment

CONFIG_HELP = "the configuration (GPUPANEL_CONF, else etc/panel.conf)"
SYNC_IDS_HELP = "sync_ids, or - to read them from standard input"
ADD_ONS = ("gpupanel.migration", "gpupanel.devtools")


def no_options(parser: argparse.ArgumentParser) -> None:
    """Add no option."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command: `run(context)` in `module` returns its exit status."""

    name: str
    module: str
    about: str
    add_options: Callable[[argparse.ArgumentParser], None] = no_options
    config_help: str = CONFIG_HELP


def all_commands() -> tuple[Command, ...]:
    """Return the commands of this installation."""
    add_ons = (import_module(f"{package}.commands").COMMANDS for package in ADD_ONS if find_spec(package))
    return COMMANDS + tuple(command for commands in add_ons for command in commands)


def build_parser() -> argparse.ArgumentParser:
    """Build the parser; `args.module` names the module of the chosen command."""
    parser = argparse.ArgumentParser(
        prog="gpupanel", parents=[common_options(None)],
        description="Import Media from a shell: scan, preflight, queue and watch bundles.",
        epilog="Exit status: 0 done, 1 refused or problems found, 2 usage or broken configuration, 130 interrupted.",
    )
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in all_commands():
        common = common_options(argparse.SUPPRESS, command.config_help)
        subparser = subparsers.add_parser(command.name, parents=[common], help=command.about, description=command.about)
        subparser.set_defaults(module=command.module)
        command.add_options(subparser)
    return parser


def common_options(default: str | None, config_help: str = CONFIG_HELP) -> argparse.ArgumentParser:
    """Return the options that may stand before the command and after it."""
    common = argparse.ArgumentParser(add_help=False, argument_default=default)
    common.add_argument("--config", metavar="FILE", help=config_help)
    common.add_argument("--as", dest="actor", metavar="NAME", type=_actor, help="the actor to record (the login name)")
    common.add_argument("--json", action="store_true", default=default or False, help="print the result as JSON")
    return common


def filter_options(parser: argparse.ArgumentParser) -> None:
    """Add the filters of the panel's list."""
    parser.add_argument("text", nargs="?", default="", type=_utf8, metavar="TEXT",
                        help="a sync_id, an asset hash, or the beginning of one; a hash takes at least nine characters")
    for name, words in filters.WORDS.items():
        parser.add_argument(f"--{name}", choices=words, default="", metavar=name.upper(), help=", ".join(words))
    parser.add_argument("--host", default="", type=_utf8, metavar="HOST", help="the host that sent the bundle")
    parser.add_argument("--from", dest="since", default="", metavar="DAY", help="discovered since this day: 2026-04-30")
    parser.add_argument("--to", dest="until", default="", metavar="DAY", help="discovered until this day")


def _scan_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quiet", action="store_true", help="print only if a bundle is new; for a timer")


def _sync_id_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sync_ids", nargs="+", metavar="SYNC_ID", help=SYNC_IDS_HELP)


def _preflight_options(parser: argparse.ArgumentParser) -> None:
    _sync_id_options(parser)
    parser.add_argument("--although-older", action="store_true",
                        help="plan to write the bundle although a newer one was imported")


def _check_options(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("file", nargs="?", type=Path, metavar="FILE|FOLDER",
                      help="a manifest, named as its sync_id; or a folder of manifests and sentinels")
    what.add_argument("--schema", action="store_true", help="print the JSON Schema of a manifest instead")
    parser.add_argument("--assets", metavar="DIR", type=Path,
                        help="also check the files of the items, whose paths are relative to DIR")


def _queue_options(parser: argparse.ArgumentParser) -> None:
    _sync_id_options(parser)
    parser.add_argument("--priority", type=_priority, default=100, metavar="N", help="lower first (100)")


def _undo_options(parser: argparse.ArgumentParser) -> None:
    _queue_options(parser)
    parser.add_argument("--preview", action="store_true", help="say what the undo would do, and write nothing")


def _plan_options(parser: argparse.ArgumentParser) -> None:
    _sync_id_options(parser)
    parser.add_argument("--limit", type=whole_number(0), default=20, metavar="N",
                        help="how many entries to list of each kind (20)")


def _reconcile_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--queue", action="store_true", help="preflight and queue the bundles that mend differences")
    parser.add_argument("--limit", type=whole_number(0), metavar="N",
                        help="how many differences to print (100; all with --json)")


def _cancel_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", type=whole_number(1), metavar="JOB", help="the number of the job")


def _hold_options(parser: argparse.ArgumentParser) -> None:
    _cancel_options(parser)
    parser.add_argument("--reason", default="", metavar="TEXT", help="why, for the job's history")


def _pause_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--reason", required=True, metavar="TEXT", help="why, for the banner on each page")


def _priority_options(parser: argparse.ArgumentParser) -> None:
    _cancel_options(parser)
    parser.add_argument("priority", type=_priority, metavar="N", help="the new priority, lower first")


def _list_options(parser: argparse.ArgumentParser) -> None:
    filter_options(parser)
    parser.add_argument("--sort", choices=tuple(SORTS), default="newest", help="which come first (newest)")
    parser.add_argument("--limit", type=whole_number(1, 10_000), default=50, metavar="N", help="how many batches (50)")
    cursor = parser.add_mutually_exclusive_group()
    cursor.add_argument("--before", type=whole_number(0), metavar="ID",
                        help="batches discovered before this one; `next` of --json names it")
    cursor.add_argument("--after", type=whole_number(0), metavar="ID", help="batches discovered after this one")
    parser.add_argument("--ids", action="store_true", help="print only the sync_ids, for `gpupanel queue -`")


def _show_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sync_id", metavar="SYNC_ID", help="the sync_id of the batch")
    parser.add_argument("--items", type=whole_number(0), default=50, metavar="N", help="how many items to list (50)")


def _asset_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("hash", metavar="HASH", help="the whole hash of the asset")
    parser.add_argument("--at", type=_moment, metavar="TIME", help="also the fields at this time: 2026-04-30T12:00:00Z")


def _status_options(parser: argparse.ArgumentParser) -> None:
    filter_options(parser)
    parser.add_argument("--watch", action="store_true", help="print it again every two seconds, until Ctrl-C")


def _wait_options(parser: argparse.ArgumentParser) -> None:
    _sync_id_options(parser)
    parser.add_argument("--timeout", type=whole_number(0, 10**9), metavar="SECONDS",
                        help="give up after so many seconds, with exit status 3")


def _events_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--batch", type=_sync_id, metavar="SYNC_ID", help="the events of this batch")
    parser.add_argument("--event", type=_utf8, metavar="TYPE", help="events of this type, such as job_failed")
    parser.add_argument("--actor", dest="by", type=_utf8, metavar="NAME", help="what this user or worker did")
    parser.add_argument("--day", type=_day, metavar="DAY", help="events of this day in UTC: 2026-04-30")
    parser.add_argument("--limit", type=whole_number(1, 1000), default=50, metavar="N", help="how many events (50)")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--before", type=whole_number(0), metavar="ID", help="events before this one, for the next page")
    where.add_argument("--follow", action="store_true", help="print events as they come, until Ctrl-C")


def _notify_options(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--now", action="store_true", help="also send what waits for its next attempt")
    what.add_argument("--test", action="store_true", help="send a test message, which needs no database")
    what.add_argument("--failed-unit", default="", metavar="UNIT",
                      help="say that this unit of systemd failed; for OnFailure=")


def _seal_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quiet", action="store_true", help="print the head only if a receipt was added; for a timer")
    parser.add_argument("--all", dest="every", action="store_true",
                        help="look through all jobs, not only those that ended since the last receipt")
    parser.add_argument("--tell", action="store_true", help="also send the head as [notify] of the configuration says")


def _folder(text: str) -> Path:
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{text} is no folder")
    return Path(text)


def _archives_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--archives", type=_folder, metavar="FOLDER", help="where the files of archived batches are")


def _archive_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--before", required=True, type=_moment, metavar="DATE",
                        help="batches whose import ended before this day or time: 2026-04-30, 2026-04-30T12:00:00Z")
    parser.add_argument("--to", required=True, type=Path, metavar="FOLDER", help="the folder of the files")


def _restore_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="a file that `gpupanel archive` wrote")
    parser.add_argument("sync_ids", nargs="*", metavar="SYNC_ID", help="only these batches")


def _receipt_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sync_id", metavar="SYNC_ID", help="the sync_id of the batch")
    parser.add_argument("--job", type=whole_number(1), metavar="JOB", help="only the receipt of this job")
    _archives_option(parser)


def _verify_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="the output of `gpupanel receipt`")
    parser.add_argument("--all", dest="every", action="store_true", help="verify the database against its receipts")
    parser.add_argument("--root", type=_digest, metavar="HEX",
                        help="a root, or with --all a head, that was kept outside of the database")
    _archives_option(parser)
    parser.add_argument("--heads", type=Path, metavar="FILE",
                        help="with --all: what `gpupanel seal` printed, such as a journal; - is standard input")


def _doctor_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--mapping", metavar="FILE", type=Path, help="check a database with these other names")
    parser.add_argument(
        "--statements", action="store_true",
        help="print only the statements that change the tables of another program into those of this one",
    )


def _serve_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=whole_number(0, 65535), default=8080, help="the port (8080); 0: any free one")


def _completion_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=("bash",), help="bash: eval \"$(gpupanel completion bash)\"")


COMMANDS: tuple[Command, ...] = (
    Command("scan", "gpupanel.cli.scan", "Record the bundles on the mount that are not recorded yet.", _scan_options),
    Command("preflight", "gpupanel.cli.preflight", "Plan these bundles without importing them.", _preflight_options),
    Command("check", "gpupanel.cli.check", "Check manifests as a preflight does, without a database.",
            _check_options),
    Command("plan", "gpupanel.cli.plan", "Show what these batches would make of the library; nothing is written.",
            _plan_options),
    Command("queue", "gpupanel.cli.queue", "Queue these bundles, with a preflight where needed.", _queue_options),
    Command("retry", "gpupanel.cli.queue", "Queue the failed items of these bundles again.", _queue_options),
    Command("undo", "gpupanel.cli.undo", "Take back what the import of these batches wrote.", _undo_options),
    Command("seen", "gpupanel.cli.seen", "Mark batches that need attention as seen.", _sync_id_options),
    Command("cancel", "gpupanel.cli.jobs", "Cancel a queued or held job.", _cancel_options),
    Command("hold", "gpupanel.cli.jobs", "Hold a queued job until a person releases it.", _hold_options),
    Command("release", "gpupanel.cli.jobs", "Put a held job back into the queue.", _cancel_options),
    Command("priority", "gpupanel.cli.jobs", "Change the priority of a queued or held job.", _priority_options),
    Command("pause", "gpupanel.cli.jobs", "Pause the queue; running jobs continue.", _pause_options),
    Command("resume", "gpupanel.cli.jobs", "Resume the queue."),
    Command("list", "gpupanel.cli.list", "List batches, newest first, with the filters of the panel.", _list_options),
    Command("completion", "gpupanel.cli.completion", "Print a script that completes commands, options and sync_ids.",
            _completion_options),
    Command("status", "gpupanel.cli.status", "Count batches and jobs; list the active jobs.", _status_options),
    Command("wait", "gpupanel.cli.wait", "Wait until the jobs of these bundles have ended.", _wait_options),
    Command("events", "gpupanel.cli.events", "List the events of all batches, or follow them.", _events_options),
    Command("show", "gpupanel.cli.show", "Show one batch: facts, plan, jobs, items, events.", _show_options),
    Command("asset", "gpupanel.cli.asset", "Show an asset: the library's state and its history.", _asset_options),
    Command("seal", "gpupanel.cli.seal", "Make a receipt for each job that has ended.", _seal_options),
    Command("receipt", "gpupanel.cli.receipt", "Print the receipts of a batch, for `gpupanel verify`.",
            _receipt_options),
    Command("verify", "gpupanel.cli.verify", "Verify receipts: a file without a database, or the database.",
            _verify_options),
    Command("archive", "gpupanel.cli.archive", "Move the rows of old batches into compressed files.",
            _archive_options),
    Command("restore-archive", "gpupanel.cli.restore_archive", "Bring the rows of an archive back into the database.",
            _restore_options),
    Command("reconcile", "gpupanel.cli.reconcile", "Compare the library with the bundles on the mount.",
            _reconcile_options),
    Command("doctor", "gpupanel.cli.doctor", "Check the installation; each finding says what to do.", _doctor_options),
    Command("notify", "gpupanel.cli.notify", "Tell people by mail or web hook what failed.", _notify_options),
    Command("init-db", "gpupanel.cli.init_db", "Create or complete the database, as an administrator."),
    Command("serve", "gpupanel.cli.serve", "Serve the panel over HTTP.", _serve_options),
)


# ------------------------------------------------------------------------------------------- values of options


def is_actor(text: str) -> bool:
    """Whether the ledger can record this name."""
    return text.isprintable() and 0 < len(text) <= 255


def _actor(text: str) -> str:
    if not is_actor(text):
        raise argparse.ArgumentTypeError(f"found {text[:80]!r}, expected 1 to 255 printable characters")
    return text


def _utf8(text: str) -> str:
    """A text that the database can look for: an argument of other bytes has surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError(f"found {text[:80]!r}, expected text in UTF-8") from None
    return text


def whole_number(low: int, high: int = BIGINT_MAX) -> Callable[[str], int]:
    """Return a converter for whole numbers from `low` to `high`."""

    def convert(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {low} to {high}")
        return int(text)

    return convert


def _digest(text: str) -> str:
    if len(text) != 64 or not set(text.lower()) <= set("0123456789abcdef"):
        raise argparse.ArgumentTypeError("expected 64 hexadecimal digits")
    return text.lower()


def _sync_id(text: str) -> str:
    if not SYNC_ID.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a sync_id, a UUID in lower case")
    return text


def _day(text: str) -> date:
    try:
        return parse_day(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected {DAY_RULE}") from None


def _moment(text: str) -> datetime:
    try:
        return parse_moment(text)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 2026-04-30T12:00:00Z") from None


def _priority(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
    if not -(2**31) <= value < 2**31:
        raise argparse.ArgumentTypeError(f"{text} is out of range")
    return value
