"""What a command has at hand: its arguments, the configuration, the database, the mount, and where to print."""

import getpass
import json
import sys
from argparse import Namespace
from datetime import datetime
from functools import cached_property
from typing import Any, Callable, Iterable

from .. import config
from ..database import Database
from ..errors import InvalidInput
from ..mount import SYNC_ID, Mount
from ..paths import shipped
from .text import plain

DEFAULT = shipped("etc") / "panel.conf"
BAR = 30  # characters of a progress bar


class Shell:
    """One run of one command; what it opens is opened when first needed."""

    def __init__(self, args: Namespace):
        self.args = args

    @cached_property
    def settings(self) -> config.Settings:
        """Raises ConfigurationError."""
        return config.load(config.locate(self.args.config, str(DEFAULT)))

    @cached_property
    def db(self) -> Database:
        return Database(self.settings.database, idle_seconds=30)  # Ctrl-Z must not keep rows

    @cached_property
    def mount(self) -> Mount:
        return Mount(self.settings.mount)

    @property
    def by(self) -> str:
        """Under whose name this is recorded (docs/CONTRACT.md, 11)."""
        return self.args.by or getpass.getuser()

    def sync_ids(self) -> list[str]:
        """The bundles that the command is about, each once; `-` stands for those that standard input lists."""
        given = (each for name in self.args.sync_ids for each in (sys.stdin.read().split() if name == "-" else [name]))
        return _sync_ids(list(dict.fromkeys(given)))

    @property
    def sync_id(self) -> str:
        """The one bundle that the command is about."""
        return _sync_ids([self.args.sync_id])[0]

    def tell(self, data: Any, lines: Iterable[str]) -> None:
        """Print the outcome: `data` with --json, otherwise the lines."""
        if self.args.json:
            print(json.dumps(data, default=_encode, indent=1), flush=True)
        else:
            print(*(f"{line}\n" for line in lines), sep="", end="", flush=True)

    def say(self, text: str) -> None:
        """Print how it gets on; with --json on standard error, so that standard output is JSON alone."""
        print(text, file=sys.stderr if self.args.json else sys.stdout, flush=True)

    def progress(self, what: str) -> Callable[[int, int], None]:
        """`progress(done, total)` redraws a line on a terminal, and does nothing elsewhere."""
        if not sys.stderr.isatty():
            return lambda done, total: None

        def draw(done: int, total: int) -> None:
            end = "\r\033[K" if done >= total else ""
            filled = BAR * done // max(total, 1)
            bar = "#" * filled + "." * (BAR - filled)
            print(f"\r{what} {done}/{total} [{bar}]{end}", end="", file=sys.stderr, flush=True)

        return draw


def _sync_ids(names: list[str]) -> list[str]:
    """Raises InvalidInput with all that are none."""
    if bad := [name for name in names if not SYNC_ID.fullmatch(name)]:
        hint = "A sync_id is the name of a bundle, a UUID in lower case: 37e428d2-a4f6-4a31-bacf-0c835fb24084."
        raise InvalidInput(f"Not a sync_id: {', '.join(map(plain, bad))}", hint)
    return names


def _encode(value: Any) -> Any:
    """Times are the database's, in UTC."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds") + "Z"
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return str(value)
