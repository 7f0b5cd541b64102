"""bin/import-worker: its options and exit statuses (DESIGN section 11)."""

import argparse
import sys

from .. import config
from ..errors import ConfigurationError
from ..paths import shipped
from . import check
from .log import Log
from .notify import Notifier
from .signals import Signals
from .worker import Worker

DONE, TROUBLE, USAGE = 0, 1, 2


def main(arguments: list[str] | None = None) -> int:
    """Run the worker; 0 when all is well, 1 when a job failed or a check found problems, 2 when it could not start."""
    options = _parser().parse_args(arguments)
    try:
        settings = config.load(config.locate(options.config, shipped("etc") / "worker.conf"))
    except ConfigurationError as error:
        print(f"{error}. {error.hint}", *error.problems, sep="\n  ", file=sys.stderr)
        return USAGE
    if options.check:
        return _check(settings)
    worker = Worker(settings, Signals().install(), Log(), Notifier())
    if options.once:
        return DONE if worker.drain() else TROUBLE
    worker.run()
    return DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="import-worker", description="Imports queued batches into the media library.")
    parser.add_argument("--config", metavar="FILE", help="default: $GPUPANEL_CONF, else etc/worker.conf")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--once", action="store_true", help="import what is queued, and exit; 1 when a job had trouble")
    how.add_argument("--check", action="store_true", help="check configuration, database, grants and mount, and exit")
    return parser


def _check(settings: config.Settings) -> int:
    found = check.problems(settings)
    for problem in found:
        print(problem, file=sys.stderr)
    if not found:
        print(f"{settings.path}: configuration, database, grants and mount are as they should be")
    return TROUBLE if found else DONE
