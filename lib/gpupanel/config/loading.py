"""INI file -> checked settings; a refusal lists all problems.

docs/CONTRACT.md, "11. Commands and configuration".
"""

import os
from collections.abc import Mapping
from configparser import ConfigParser, Error as SyntaxProblem
from pathlib import Path
from typing import Any

from ..errors import ConfigurationError
from .contradictions import find_contradictions
from .option_kinds import PATH
from .settings import OPTIONS, SECTIONS, Settings

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
        parser.read_string(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read", [f"{path}: {error.strerror}"], _advice(error)) from None
    except (SyntaxProblem, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be used", [_without_values(error)]) from None
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
    line = getattr(error, "lineno", None) or (getattr(error, "errors", None) or [(None,)])[0][0]
    if not line:
        return "not UTF-8 text"
    return f"line {line}: not of the form `option = value` under a [section], or given twice"


def _convert(values: dict[str, Any], section: str, option: str, text: str) -> list[str]:
    known = OPTIONS[section]
    if option not in known:
        return [f"[{section}] {option}: unknown option, expected one of {', '.join(known)}"]
    kind = known[option]
    try:
        if text or kind is not PATH:
            values[option] = kind.convert(text)
    except ValueError:
        found = "another text" if kind.is_secret else repr(text)
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
        database["password"] = database["password_file"].read_text(encoding="utf-8").strip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        return [f"[database] password_file: {file} cannot be read: {getattr(error, 'strerror', 'not UTF-8')}"]
    return []


def _resolve_paths(values: Values, path: Path) -> None:
    """Make paths relative to the configuration file's folder."""
    for section in ("database", "mount", "panel", "notify"):
        for option, value in values[section].items():
            if isinstance(value, Path):
                values[section][option] = path.parent.absolute() / value
    mount = values["mount"]
    if "sync_dir" in mount:
        mount.setdefault("assets_dir", mount["sync_dir"].parent)
