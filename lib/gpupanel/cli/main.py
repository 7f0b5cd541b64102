"""Run one command of bin/gpupanel.

Each failure becomes one message and an exit status (docs/CONTRACT.md, 11).
"""

import argparse
import json
import signal
import sys
from contextlib import suppress
from importlib import import_module

from ..errors import ConfigurationError, InvalidInputError, PanelError, UnusableFileError
from ..streams import discard_output, discard_unwritable_output, prepare_streams, wait_for_output
from .commands import build_parser
from .output import format_cell, format_lines

DONE, REFUSED, MISUSED, INTERRUPTED = 0, 1, 2, 130


def main(argv: list[str] | None = None) -> int:
    """Run one command.

    Return 0 done, 1 refused or problems found, 2 usage or broken configuration. SIGTERM ends a
    command as Ctrl-C does, so that the command stops what it has started.
    """
    if not prepare_streams():
        print("gpupanel: standard output is closed. Redirect it to a file or to /dev/null.", file=sys.stderr)
        return REFUSED
    wait_for_output()
    try:
        try:
            status = _run(build_parser().parse_args(argv))
        except SystemExit:  # after --help, whose failed writes Python 3.12 and later conceal, or a wrong usage
            sys.stdout.flush()
            raise
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        discard_output()
        return REFUSED
    except OSError as error:  # the help, or the last of the output, could not be written
        discard_output()
        with suppress(OSError):
            print(f"gpupanel: standard output: {error.strerror}", file=sys.stderr)
        return REFUSED


def _run(args: argparse.Namespace) -> int:
    try:
        _handle_signals()
        return _run_command(args)
    except PanelError as error:
        return _fail(args, error)
    except ModuleNotFoundError as error:
        hint = "`make venv` installs it here; `make install` completes an installation."
        return _fail(args, PanelError(f"The Python package {error.name} is not installed.", hint))
    except BrokenPipeError:
        raise
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError) as error:
        return _fail(args, UnusableFileError(error))
    except OSError as error:
        discard_unwritable_output()
        return _fail(args, PanelError(f"{error.filename or 'Input or output'}: {error.strerror}"))
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return INTERRUPTED


def _run_command(args: argparse.Namespace) -> int:
    from .context import CommandContext

    return import_module(args.module).run(CommandContext(args))


def _handle_signals() -> None:
    """Let SIGTERM and SIGINT raise KeyboardInterrupt, unless ignored."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # bin/gpupanel has set it
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _fail(args: argparse.Namespace, error: PanelError) -> int:
    """Print the problems and the hint, with --json also as an object."""
    lines = [f"gpupanel: {format_cell(error)}", *(f"  {format_cell(problem)}" for problem in error.problems)]
    with suppress(OSError):
        print(*lines, *format_lines(error.hint), sep="\n", file=sys.stderr)
    if args.json:
        shown = {"error": str(error), "problems": error.problems, "hint": error.hint}
        with suppress(OSError):  # the exit status says that the command failed
            print(json.dumps(shown, indent=1), flush=True)
    return MISUSED if isinstance(error, (ConfigurationError, InvalidInputError)) else REFUSED
