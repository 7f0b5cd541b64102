"""Context of one command: arguments, configuration, database, output."""

import getpass
import json
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import cached_property

from .. import config
from ..db import Database
from ..errors import InvalidInputError
from ..mount import Mount, SYNC_ID
from ..resources import resource_dir
from ..text import truncate
from .commands import is_actor
from .output import format_cell

DEFAULT_CONFIG = resource_dir("etc") / "panel.conf"
BAR_WIDTH = 30  # characters of a progress bar
MAX_INPUT = 2**26  # characters: 1.8 million sync_ids
SHOWN_NAMES = 5


class CommandContext:
    """One run of a command; opens its resources when needed."""

    def __init__(self, args: Namespace):
        self.args = args

    @cached_property
    def settings(self) -> config.Settings:
        """Load the configuration. Raises ConfigurationError."""
        return config.load(config.locate(self.args.config, str(DEFAULT_CONFIG)))

    @cached_property
    def db(self) -> Database:
        return Database(self.settings.database, idle_seconds=30)  # Ctrl-Z must not keep row locks

    @cached_property
    def mount(self) -> Mount:
        return Mount(self.settings.mount)

    @property
    def actor(self) -> str:
        """Return the actor to record (docs/CONTRACT.md, 11)."""
        return self.args.actor or login_name()

    def sync_ids(self) -> list[str]:
        """Return the sync_ids of the command, each once.

        `-` stands for those on standard input.
        """
        names = (sync_id for name in self.args.sync_ids for sync_id in (_read_words() if name == "-" else [name]))
        return _check_sync_ids(list(dict.fromkeys(names)))

    def each_sync_id(self, label: str) -> Iterator[str]:
        """Yield the sync_ids of the command one by one, with progress."""
        sync_ids, progress = self.sync_ids(), self.progress(label)
        for done, sync_id in enumerate(sync_ids, 1):
            yield sync_id
            progress(done, len(sync_ids))

    @property
    def sync_id(self) -> str:
        """Return the one sync_id of the command."""
        return _check_sync_ids([self.args.sync_id])[0]

    def emit(self, data: object, lines: Iterable[str]) -> None:
        """Print the result: `data` with --json, otherwise the lines."""
        if self.args.json:
            print(json.dumps(data, default=encode_json, indent=1), flush=True)
        else:
            print(*(f"{line}\n" for line in lines), sep="", end="", flush=True)

    def info(self, text: str) -> None:
        """Print a step, with --json to standard error."""
        print(text, file=sys.stderr if self.args.json else sys.stdout, flush=True)

    def progress(self, label: str) -> Callable[[int, int], None]:
        """Return `progress(done, total)`, which draws a bar on a terminal."""
        if not sys.stderr.isatty():
            return lambda done, total: None

        def draw(done: int, total: int) -> None:
            end = "\r\033[K" if done >= total else ""
            filled = BAR_WIDTH * done // max(total, 1)
            bar = "#" * filled + "." * (BAR_WIDTH - filled)
            print(f"\r{label} {done}/{total} [{bar}]{end}", end="", file=sys.stderr, flush=True)

        return draw


def login_name() -> str:
    """Return the login name. Raises InvalidInputError for a user id without one."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # KeyError until Python 3.12, OSError since 3.13
        hint = "Name the actor with --as NAME."
        raise InvalidInputError(f"The user id {os.getuid()} has no login name to record.", hint) from None
    if not is_actor(name):
        hint = "Name the actor with --as NAME, or set LOGNAME."
        raise InvalidInputError(f"login name: found {name[:80]!r}, expected 1 to 255 printable characters", hint)
    return name


def _read_words() -> list[str]:
    if sys.stdin is None:
        raise InvalidInputError("Cannot read sync_ids: standard input is closed.")
    text = sys.stdin.read(MAX_INPUT + 1)
    if len(text) > MAX_INPUT:
        raise InvalidInputError(
            f"standard input: found more than {MAX_INPUT:,} characters, expected sync_ids",
            "Pass them in several calls: xargs -n 10000.",
        )
    return text.split()


def _check_sync_ids(names: list[str]) -> list[str]:
    """Raises InvalidInputError that lists the first names that are no sync_ids."""
    if bad := [name for name in names if not SYNC_ID.fullmatch(name)]:
        hint = "A sync_id is the name of a bundle, a UUID in lower case: 37e428d2-a4f6-4a31-bacf-0c835fb24084."
        shown = ", ".join(format_cell(truncate(name, 60)) for name in bad[:SHOWN_NAMES])
        more = f" and {len(bad) - SHOWN_NAMES:,} more" if len(bad) > SHOWN_NAMES else ""
        raise InvalidInputError(f"Not a sync_id: {shown}{more}", hint)
    return names


def encode_json(value: object) -> str | list:
    """Times are the database's, in UTC."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds") + "Z"
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return str(value)
