"""Files that must be nobody else's to read, or to write."""

import stat
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path

from ..config import Settings
from ..paths import shipped
from .finding import OK, WRONG, Finding, judge

# A group of its own may write a file, or read a secret; nobody else may.
OTHERS_WRITE = 0o002
OTHERS_READ = 0o027
NOT_BY_OTHERS = "only its owner and a group of its own may write it"


def configuration(settings: Settings) -> Iterator[Finding]:
    """Readable by whoever needs it, unless it holds the password itself."""
    if settings.path.is_file():
        secret = "password" in _options(settings)
        yield _modes(settings.path, OTHERS_READ if secret else OTHERS_WRITE)


def password(settings: Settings) -> Iterator[Finding]:
    """The file with the account's password."""
    if file := _options(settings).get("password_file"):
        yield _modes(settings.path.parent / file, OTHERS_READ)


def secret(settings: Settings) -> Iterator[Finding]:
    """The secret that signs forms; the panel makes one when it is missing and may be made."""
    file = settings.panel.secret_file
    if file is None:
        return
    if file.exists():
        yield _modes(file, OTHERS_READ)
        return
    yield judge(
        "secret_file", file.parent.is_dir(), f"{file} is not there yet", "the panel can make it when it starts",
        f"Make the folder {file.parent}, or name another secret_file.",
    )


def templates(settings: Settings) -> Iterator[Finding]:
    """A template is code: whoever can write one runs the panel."""
    overrides = settings.panel.templates
    if overrides is not None and not overrides.is_dir():
        yield Finding("templates", WRONG, f"{overrides} is no folder", "the folder of your own templates",
                      "Make it, or take [panel] templates out of the configuration.")
    for folder in (shipped("templates"), overrides):
        if folder is not None and folder.is_dir():
            yield from _folder(folder)


def _folder(folder: Path) -> Iterator[Finding]:
    open_to_others = [path for path in (folder, *folder.glob("*.html")) if _mode(path) & OTHERS_WRITE]
    for path in open_to_others:
        yield _modes(path, OTHERS_WRITE)
    if not open_to_others:
        yield Finding(f"permissions of {folder.name}/", OK, "not by others", NOT_BY_OTHERS)


def _modes(file: Path, forbidden: int) -> Finding:
    mode, private = _mode(file), forbidden == OTHERS_READ
    return judge(
        f"permissions of {file.name}", not mode & forbidden, f"{mode:03o}",
        "only its owner and a group of its own may read it (600 or 640)" if private else NOT_BY_OTHERS,
        f"chmod {'600' if private else 'o-w'} {file}",
    )


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _options(settings: Settings) -> dict[str, str]:
    """[database] as it stands in the file: the settings know the password, and not where it came from."""
    parser = ConfigParser(interpolation=None, default_section="\0")
    parser.read_string(settings.path.read_text(encoding="utf-8"))
    return dict(parser["database"]) if parser.has_section("database") else {}
