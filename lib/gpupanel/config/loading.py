"""INI file -> checked settings; a refusal lists all problems.

docs/CONTRACT.md, "11. Commands and configuration".
"""

import os
from collections.abc import Mapping
from configparser import ConfigParser, DuplicateOptionError, DuplicateSectionError, Error as SyntaxProblem
from pathlib import Path
from typing import Any

from ..errors import ConfigurationError
from .contradictions import find_contradictions
from .option_kinds import PATH
from .settings import OPTIONS, SECTIONS, Settings

MAX_BYTES = 2**20  # of a configuration, or of a file with a password; a device has no end

Values = dict[str, dict[str, Any]]  # section -> option -> value, of what the file sets


def locate(given: str | None, default: str, environ: Mapping[str, str] = os.environ) -> Path:
    """The configuration file: given, else GPUPANEL_CONF, else `default`."""
    return Path(given or environ.get("GPUPANEL_CONF") or default)


def load(path: Path) -> Settings:
    """Read and check a file. Raises ConfigurationError with all problems."""
    values, problems = _read(path)
    problems += _read_password(values["database"], path)
    _resolve_paths(values, path)
    problems += find_contradictions(values)
    if problems:
        raise ConfigurationError(f"{path} cannot be used", problems)
    return Settings(path, **{section: settings(**values[section]) for section, settings in SECTIONS.items()})


def _read(path: Path) -> tuple[Values, list[str]]:
    parser = ConfigParser(interpolation=None, default_section="\0")
    try:
        parser.read_string(read_small_text(path))
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read", [f"{path}: {error.strerror}"], _advice(error)) from None
    except SyntaxProblem as error:
        raise ConfigurationError(f"{path} cannot be used", [_without_values(error)]) from None
    except ValueError as error:
        raise ConfigurationError(f"{path} cannot be used", [str(error)]) from None
    values: Values = {section: {} for section in OPTIONS}
    problems: list[str] = []
    for section in parser.sections():
        if section not in OPTIONS:
            problems.append(f"[{section}]: unknown section, expected one of {', '.join(OPTIONS)}")
            continue
        for option, text in parser[section].items():
            problems += _convert(values[section], section, option, text)
    return values, problems


def _advice(error: OSError) -> str:
    if not isinstance(error, FileNotFoundError):
        return "Make it a file that the user of this process may read."
    return (
        "Copy etc/panel.conf.example (for the worker: etc/worker.conf.example) there and fill it in, or name"
        " another file: --config var/panel.conf is the demo's, while `make run` runs."
    )


def _without_values(error: Exception) -> str:
    """Describe a syntax error without its text, which may be a password."""
    if isinstance(error, DuplicateOptionError):
        known = f" {error.option}" if error.option in OPTIONS.get(error.section, {}) else ""
        return f"line {error.lineno}: found the option{known} again in its section, expected each once"
    if isinstance(error, DuplicateSectionError):
        known = f" [{error.section}]" if error.section in OPTIONS else ""
        return f"line {error.lineno}: found the section{known} again, expected each once"
    line = getattr(error, "lineno", None) or error.errors[0][0]  # type: ignore[attr-defined]
    return f"line {line}: expected `option = value` under a [section], or a comment that begins with #"


def read_small_text(path: Path) -> str:
    """Read a configuration or secret; a byte-order mark, as some editors write, is no part of it.

    Raises OSError, and ValueError for what is no such file; its message has found and expected.
    """
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"found more than {MAX_BYTES} bytes, expected at most {MAX_BYTES}")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"line {line}: found byte 0x{data[error.start]:02x}, expected UTF-8") from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ValueError(f"line {line}: found a NUL, expected text")
    return text.replace("\r\n", "\n")


def _convert(values: dict[str, Any], section: str, option: str, text: str) -> list[str]:
    known = OPTIONS[section]
    if option not in known:
        return [f"[{section}] {option}: unknown option, expected one of {', '.join(known)}"]
    kind = known[option]
    try:
        if text or kind is not PATH:
            values[option] = kind.convert(text)
    except ValueError:
        found = "another text" if kind.is_secret else repr(text[:80])
        return [f"[{section}] {option}: found {found}, expected {kind.expected}"]
    return []


def _read_password(database: dict[str, Any], path: Path) -> list[str]:
    """Read the password file, if the configuration names one."""
    file = database.get("password_file")
    if file is None:
        return []
    if "password" in database:
        return ["[database] password and password_file: both found, expected one of them"]
    database["password_file"] = path.parent / file
    try:
        database["password"] = read_small_text(database["password_file"]).strip("\r\n")
    except OSError as error:
        return [f"[database] password_file: {file} cannot be read: {error.strerror}"]
    except ValueError as error:
        return [f"[database] password_file: {file}: {error}"]
    lines = len(database["password"].split("\n")) if database["password"] else 0
    return [] if lines == 1 else [f"[database] password_file: {file}: found {lines} lines, expected only the password"]


def _resolve_paths(values: Values, path: Path) -> None:
    """Make paths relative to the configuration file's folder."""
    for section in ("database", "mount", "panel", "notify"):
        for option, value in values[section].items():
            if isinstance(value, Path):
                values[section][option] = path.parent.absolute() / value
    mount = values["mount"]
    if "sync_dir" in mount:
        mount.setdefault("assets_dir", mount["sync_dir"].parent)
