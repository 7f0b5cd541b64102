"""INI file -> frozen, validated settings (docs/CONTRACT.md, 11); every problem is reported at once."""

import os
from configparser import ConfigParser, Error as SyntaxProblem
from dataclasses import dataclass, field
from pathlib import Path

from .errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """Where MariaDB listens and as whom to log in; `unix_socket` wins over host and port."""

    host: str = "127.0.0.1"
    port: int = 3306
    unix_socket: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    name: str = "admin_panel"
    password_file: Path | None = None


@dataclass(frozen=True, slots=True)
class MountSettings:
    """`manifest_limit` is in bytes."""

    sync_dir: Path = Path("/mnt/s3-sync/assets/sync")
    assets_dir: Path = Path("/mnt/s3-sync/assets")
    manifest_limit: int = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class PanelSettings:
    """`operators` and `viewers` are user names; `*` stands for everyone who is signed in. `stale_minutes` is the worker's,
    told to the panel, which only shows it. `socket` is where `serve` answers CGI programs."""

    auth: str = "remote_user"
    operators: frozenset[str] = frozenset()
    viewers: frozenset[str] = frozenset()
    trusted_proxies: tuple = ()
    secret_file: Path | None = None
    templates: Path | None = None
    socket: Path | None = None
    page_size: int = 50
    stale_minutes: float = 15


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    poll_seconds: float = 1
    heartbeat_seconds: float = 15
    stale_minutes: float = 15
    chunk_items: int = 100
    readers: int = 16
    max_attempts: int = 5


@dataclass(frozen=True, slots=True)
class Settings:
    """One configuration file, read and checked. The panel's has no [worker], the worker's no [panel]."""

    path: Path
    database: DatabaseSettings
    mount: MountSettings
    panel: PanelSettings
    worker: WorkerSettings


def _names(text: str) -> frozenset[str]:
    return frozenset(text.replace(",", " ").split())


def _networks(text: str) -> tuple:
    from ipaddress import ip_network  # a CGI program without proxies does without it

    return tuple(ip_network(part) for part in text.replace(",", " ").split())


def _number(kind, low, high):
    def convert(text: str):
        value = kind(text)
        if not low <= value <= high:
            raise ValueError
        return value

    return convert


def _choice(*values):
    def convert(text: str):
        if text not in values:
            raise ValueError
        return text

    return convert


PORT = (_number(int, 1, 65535), "a port from 1 to 65535")
SECONDS = (_number(float, 0.01, 3600), "seconds from 0.01 to 3600")
MINUTES = (_number(float, 0.01, 1440), "minutes from 0.01 to 1440")
COUNT = (_number(int, 1, 10_000), "a whole number from 1 to 10000")
TEXT = (str, "text")
PATH = (Path, "a path")

# section -> option -> (converter, what a value must be)
OPTIONS = {
    "database": {
        "host": TEXT, "port": PORT, "unix_socket": TEXT, "user": TEXT, "password": TEXT,
        "password_file": PATH, "name": TEXT,
    },
    "mount": {
        "sync_dir": PATH, "assets_dir": PATH,
        "manifest_limit": (_number(int, 1, 2**40), "a number of bytes, at least 1"),
    },
    "panel": {
        "auth": (_choice("remote_user", "none"), "remote_user or none"),
        "operators": (_names, "user names"), "viewers": (_names, "user names"),
        "trusted_proxies": (_networks, "addresses or networks, such as 127.0.0.1 or 10.0.0.0/8"),
        "secret_file": PATH, "templates": PATH, "socket": PATH, "stale_minutes": MINUTES,
        "page_size": (_number(int, 1, 1000), "a whole number from 1 to 1000"),
    },
    "worker": {
        "poll_seconds": SECONDS, "heartbeat_seconds": SECONDS, "stale_minutes": MINUTES,
        "chunk_items": COUNT, "readers": (_number(int, 1, 256), "a whole number from 1 to 256"),
        "max_attempts": (_number(int, 1, 1000), "a whole number from 1 to 1000"),
    },
}


def locate(given: str | None, default: str, environ=os.environ) -> Path:
    """The configuration file to use: the one given, else GPUPANEL_CONF, else `default`."""
    return Path(given or environ.get("GPUPANEL_CONF") or default)


def load(path: Path) -> Settings:
    """Read and check the INI file at `path`. Raises ConfigurationError with every problem found."""
    values, problems = _read(path)
    problems += _password(values["database"], path)
    _resolve(values, path)
    problems += _contradictions(values)
    if problems:
        raise ConfigurationError(f"{path} cannot be used", problems)
    return Settings(
        path, DatabaseSettings(**values["database"]), MountSettings(**values["mount"]),
        PanelSettings(**values["panel"]), WorkerSettings(**values["worker"]),
    )


def _read(path: Path) -> tuple[dict, list[str]]:
    parser = ConfigParser(interpolation=None, default_section="\0")
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read", [f"{path}: {error.strerror}"], _advice(error)) from None
    except (SyntaxProblem, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be used", [_without_values(error)]) from None
    values, problems = {section: {} for section in OPTIONS}, []
    for section in parser.sections():
        known = OPTIONS.get(section)
        if known is None:
            problems.append(f"[{section}]: unknown section, expected one of {', '.join(OPTIONS)}")
            continue
        for option, text in parser[section].items():
            problems += _convert(values[section], section, option, text, known)
    return values, problems


def _advice(error: OSError) -> str:
    if not isinstance(error, FileNotFoundError):
        return "Make it a file that the user who runs this may read."
    return (
        "Copy etc/panel.conf.example (for the worker: etc/worker.conf.example) there and fill it in, or name"
        " another one: --config var/panel.conf is the demo's, while `make run` runs."
    )


def _without_values(error: Exception) -> str:
    """A syntax error names its line but never its text, which may be a password."""
    line = getattr(error, "lineno", None) or (getattr(error, "errors", None) or [(None,)])[0][0]
    return f"line {line}: not of the form `option = value` under a [section], or given twice" if line else "not UTF-8 text"


def _convert(values: dict, section: str, option: str, text: str, known: dict) -> list[str]:
    if option not in known:
        return [f"[{section}] {option}: unknown option, expected one of {', '.join(known)}"]
    convert, expected = known[option]
    try:
        if text or convert not in (Path,):
            values[option] = convert(text)
    except ValueError:
        return [f"[{section}] {option}: found {text!r}, expected {expected}"]
    return []


def _password(database: dict, path: Path) -> list[str]:
    """Fetch the password from its file, so that the configuration itself can be read by more people."""
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


def _resolve(values: dict, path: Path) -> None:
    """Relative paths start at the configuration file's folder; assets_dir defaults to sync_dir's parent."""
    for section in ("mount", "panel"):
        for option, value in values[section].items():
            if isinstance(value, Path):
                values[section][option] = path.parent.absolute() / value
    mount = values["mount"]
    if "sync_dir" in mount:
        mount.setdefault("assets_dir", mount["sync_dir"].parent)


def _contradictions(values: dict) -> list[str]:
    worker = WorkerSettings(**values["worker"])
    if worker.heartbeat_seconds * 2 > worker.stale_minutes * 60:
        return [
            f"[worker] heartbeat_seconds: found {worker.heartbeat_seconds:g}, expected at most half of "
            f"stale_minutes ({worker.stale_minutes:g} minutes), or live workers lose their jobs"
        ]
    return []
