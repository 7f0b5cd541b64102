"""Checks of file permissions: which files other users can read or write."""

import stat
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path

from ..config import Settings, read_small_text
from ..resources import resource_dir
from .findings import Finding, OK, WRONG, judge

# Permission bits that must not be set; the group may write a file, or read a secret.
OTHERS_WRITE = 0o002
OTHERS_READ = 0o027
NOT_BY_OTHERS = "only its owner and its group may write it"


def check_configuration(settings: Settings) -> Iterator[Finding]:
    """The configuration file; others may read it unless it has a password, or a web hook whose path may be a secret."""
    if settings.path.is_file():
        hook = settings.notify.webhook_url
        secret = "password" in _options(settings) or (hook is not None and hook.target != "/")
        yield _modes(settings.path, OTHERS_READ if secret else OTHERS_WRITE)


def check_password_file(settings: Settings) -> Iterator[Finding]:
    """The file with the account's password."""
    if file := _options(settings).get("password_file"):
        yield _modes(settings.path.parent / file, OTHERS_READ)


def check_secret_file(settings: Settings) -> Iterator[Finding]:
    """The key that signs forms; the panel creates it if it is missing."""
    file = settings.panel.secret_file
    if file is None:
        return
    if file.exists():
        yield _modes(file, OTHERS_READ)
        return
    yield judge(
        "secret_file", file.parent.is_dir(), f"{file} does not exist yet", "the panel can create it when it starts",
        f"Create the folder {file.parent}, or set another secret_file.",
    )


def check_notify_files(settings: Settings) -> Iterator[Finding]:
    """The files with the password of the mail server and the key of the web hook."""
    for file in (settings.notify.smtp_password_file, settings.notify.webhook_secret_file):
        if file is None:
            continue
        if file.exists():
            yield _modes(file, OTHERS_READ)
        else:
            yield Finding(
                "notify", WRONG, f"{file} does not exist", "a file that [notify] names exists",
                "Create it with mode 600 for the user that runs `gpupanel notify`.",
            )


def check_templates(settings: Settings) -> Iterator[Finding]:
    """The templates: whoever can write one controls the panel."""
    overrides = settings.panel.templates
    if overrides is not None and not overrides.is_dir():
        yield Finding("templates", WRONG, f"{overrides} is not a folder", "the folder of your own templates",
                      "Create it, or remove [panel] templates from the configuration.")
    for folder in (resource_dir("templates"), overrides):
        if folder is not None and folder.is_dir():
            yield from _folder(folder)


def _folder(folder: Path) -> Iterator[Finding]:
    open_to_others = [path for path in (folder, *folder.glob("*.html")) if _mode(path) & OTHERS_WRITE]
    for path in open_to_others:
        yield _modes(path, OTHERS_WRITE)
    if not open_to_others:
        yield Finding(f"permissions of {folder.name}/", OK, "not writable by others", NOT_BY_OTHERS)


def _modes(file: Path, forbidden: int) -> Finding:
    mode, private = _mode(file), forbidden == OTHERS_READ
    return judge(
        f"permissions of {file.name}", not mode & forbidden, f"{mode:03o}",
        "only its owner and its group may read it (600 or 640)" if private else NOT_BY_OTHERS,
        f"chmod {'600' if private else 'o-w'} {file}",
    )


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _options(settings: Settings) -> dict[str, str]:
    """[database] as in the file: the settings hide where a password is."""
    parser = ConfigParser(interpolation=None, default_section="\0")
    parser.read_string(read_small_text(settings.path))
    return dict(parser["database"]) if parser.has_section("database") else {}
