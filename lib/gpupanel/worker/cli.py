"""The command bin/import-worker: options and exit statuses.

See docs/CONTRACT.md, "11. Commands and configuration".
"""

import argparse
import gc
import sys
from importlib import import_module

from .. import config
from ..db import Database
from ..errors import ConfigurationError, PanelError
from ..memory import use_one_malloc_arena
from ..mount import Mount
from ..resources import resource_dir
from ..streams import discard_output, discard_unwritable_output, prepare_streams, wait_for_output
from . import self_check
from .log import flush, join_sentences, make_logger, open_standard_streams
from .pipeline import Limits
from .systemd import SystemdNotifier
from .shutdown import ShutdownSignals
from .worker import Worker

DONE, TROUBLE, USAGE, INTERRUPTED = 0, 1, 2, 130
MAX_SECONDS = 86400  # a day
DRY_RUN_SECONDS = 40  # below innodb_lock_wait_timeout of imports that wait for its rows


def main(arguments: list[str] | None = None) -> int:
    """Run the worker and return its exit status.

    The status is 0 on success, 1 when a job failed or a check found problems, and 2 for a wrong option,
    configuration or server.
    """
    has_output = prepare_streams()
    open_standard_streams()
    try:
        try:
            status = _run(arguments, has_output)
        except SystemExit:  # after --help, whose failed writes Python 3.12 and later conceal, or a wrong option
            sys.stdout.flush()
            raise
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        discard_output()
        return TROUBLE
    except OSError as error:
        discard_unwritable_output()
        print(f"import-worker: {error.filename or 'Input or output'}: {error.strerror}.", file=sys.stderr)
        return TROUBLE
    except PanelError as error:  # such as a server whose limits the worker's own statements exceed
        _print_error(error, "import-worker: ")
        return TROUBLE
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return INTERRUPTED


def _run(arguments: list[str] | None, has_output: bool) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    if (options.check or options.dry_run) and not has_output:
        print("import-worker: standard output is closed. Redirect it to a file or to /dev/null.", file=sys.stderr)
        return USAGE
    if options.check or options.dry_run:
        wait_for_output()
    if options.dry_run != bool(options.batch):
        parser.error("--dry-run and --batch SYNC_ID go together")
    try:
        settings = config.load(config.locate(options.config, str(resource_dir("etc") / "worker.conf")))
    except ConfigurationError as error:
        _print_error(error)
        return USAGE
    if options.check:
        return _check(settings)
    if options.dry_run:
        return _dry_run(settings, options)
    if refusal := self_check.find_lasting_refusal(settings):
        _print_error(refusal)
        return USAGE
    use_one_malloc_arena()
    _collect_garbage_rarely()
    log = make_logger()
    worker = Worker(settings, ShutdownSignals().install(), log, SystemdNotifier())
    try:
        if options.once:
            return DONE if worker.drain() else TROUBLE
        worker.run()
        return DONE
    finally:
        flush(log)


def _print_error(error: PanelError, program: str = "") -> None:
    print(f"{program}{join_sentences(str(error), error.hint)}", *error.problems, sep="\n  ", file=sys.stderr)


def _collect_garbage_rarely() -> None:
    """Let the garbage collector look for cycles less often: the many rows of a chunk have none, and die with it."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="import-worker", description="Imports queued batches into the media library.")
    parser.add_argument("--config", metavar="FILE", help="default: $GPUPANEL_CONF, else etc/worker.conf")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--once", action="store_true", help="import what is queued, and exit; 1 when a job had trouble")
    how.add_argument("--check", action="store_true", help="check configuration, database, grants and mount, and exit")
    how.add_argument(
        "--dry-run", action="store_true", help="import --batch SYNC_ID, roll it back, and print what it would write"
    )
    parser.add_argument("--batch", metavar="SYNC_ID", help="the sync_id of the batch for --dry-run")
    parser.add_argument(
        "--seconds", type=_seconds, default=DRY_RUN_SECONDS, metavar="N",
        help=f"how long it may hold row locks ({DRY_RUN_SECONDS})",
    )
    return parser


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= MAX_SECONDS:  # also false for nan
        raise argparse.ArgumentTypeError(f"found {text!r}, expected seconds above 0, at most {MAX_SECONDS}")
    return value


def _dry_run(settings: config.Settings, options: argparse.Namespace) -> int:
    """Print the plan to stdout, and how the import would end to stderr.

    The migration package leaves the product after the cutover.
    """
    migration = import_module("gpupanel.migration.dry_run")
    output = import_module("gpupanel.migration.dry_run_output")
    worker = settings.worker
    try:
        last = migration.DryRun(
            Database(settings.database), Mount(settings.mount), options.batch, lambda value: print(output.line(value)),
            Limits(worker.chunk_items, worker.readers, worker.verify, fails_unreadable=True), seconds=options.seconds,
        ).run()
    except PanelError as error:
        _print_error(error)
        return TROUBLE
    status, problem = last["values"]["status"], last["values"]["last_error"]
    print(f"batch {options.batch} would end {status}: {problem or 'no problems'}", file=sys.stderr)
    return DONE


def _check(settings: config.Settings) -> int:
    problems = self_check.find_problems(settings)
    for problem in problems:
        print(problem, file=sys.stderr)
    if not problems:
        print(f"{settings.path}: configuration, database, grants and mount are correct")
    return TROUBLE if problems else DONE
