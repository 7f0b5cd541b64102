"""INI file -> frozen, validated settings.

docs/CONTRACT.md, 11. Commands and configuration.

Each option is declared once, as a field of its section: type, kind with its unit, purpose in one sentence, default.
"""

import os
import re
from collections.abc import Callable, Mapping
from configparser import ConfigParser, Error as SyntaxProblem
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from . import window
from .errors import ConfigurationError
from .window import Window

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network
    from zoneinfo import ZoneInfo

    Networks = tuple[IPv4Network | IPv6Network, ...]


DEFAULT_PORTS = {"http": 80, "https": 443}
LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
# A plain address: no display name, no quotes, nothing that a mail header could take for its end.
MAIL_ADDRESS = (
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?"
)
URL = r"(https?)://(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9.-]+)(?::(\d{1,5}))?(/[!-~]*)?"


class Kind(NamedTuple):
    """The converter of an option, and its allowed values with their unit; no message shows a secret value."""

    convert: Callable[[str], Any]
    expected: str
    is_secret: bool = False


class Url(NamedTuple):
    """An http or https address; `target` is path and query, which may be a secret."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def origin(self) -> str:
        """The address without its path, for messages."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == DEFAULT_PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}"


def _names(text: str) -> frozenset[str]:
    """Split at commas and line ends; `Jane Doe` without either could be one name or two."""
    if len(text.split()) > 1 and not set(",\n") & set(text):
        raise ValueError
    return frozenset(name for part in text.replace("\n", ",").split(",") if (name := part.strip()))


def _path(text: str) -> Path:
    """A path, whose bytes are UTF-8 as those of the file are, whatever the locale is."""
    return Path(os.fsdecode(text.encode("utf-8")))


def _networks(text: str) -> "Networks":
    from ipaddress import ip_network  # imported here, since a CGI program without proxies does not need it

    return tuple(ip_network(part) for part in text.replace(",", " ").split())


def _time_zone(text: str) -> "ZoneInfo | None":
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # as above: only an installation beside Perl needs it

    try:
        return ZoneInfo(text) if text else None
    except (ZoneInfoNotFoundError, OSError):
        raise ValueError from None


def _number(number: Callable[[str], float], low: float, high: float) -> Callable[[str], float]:
    def convert(text: str) -> float:
        value = number(text)
        if not low <= value <= high:
            raise ValueError
        return value

    return convert


def _authentication(text: str) -> str:
    if text not in ("remote_user", "none"):
        raise ValueError
    return text


def _verification(text: str) -> str:
    if text not in ("size", "sha256"):
        raise ValueError
    return text


def _tls_mode(text: str) -> str:
    if text not in ("auto", "required", "off"):
        raise ValueError
    return text


def _on_change(text: str) -> str:
    if text not in ("hold", "replan"):
        raise ValueError
    return text


def _smtp_tls(text: str) -> str:
    if text not in ("auto", "starttls", "tls", "off"):
        raise ValueError
    return text


def _address(text: str) -> str:
    if text and not re.fullmatch(MAIL_ADDRESS, text):
        raise ValueError
    return text


def _addresses(text: str) -> tuple[str, ...]:
    return tuple(_address(part.strip()) for part in text.replace("\n", ",").split(",") if part.strip())


def _url(text: str) -> Url | None:
    """An address; one without https is of this machine."""
    if not text:
        return None
    found = re.fullmatch(URL, text)
    if not found:
        raise ValueError
    scheme, host, port, target = found.groups()
    host = host.strip("[]")
    if (scheme == "http" and host not in LOCAL_HOSTS) or int(port or 1) not in range(1, 65536):
        raise ValueError
    return Url(scheme, host, int(port or DEFAULT_PORTS[scheme]), target or "/")


def _unit(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9:_.@-]{0,255}", text):
        raise ValueError
    return text


def _flag(text: str) -> bool | None:
    try:
        return ConfigParser.BOOLEAN_STATES[text.lower()] if text else None
    except KeyError:
        raise ValueError from None


def _whole(high: int) -> Kind:
    return Kind(_number(int, 1, high), f"a whole number from 1 to {high}")


TEXT, PATH = Kind(str, "text"), Kind(_path, "a path")
NAMES = Kind(_names, "user names separated by commas; one name with a space ends with a comma: Jane Doe,")
NETWORKS = Kind(_networks, "addresses or networks, such as 127.0.0.1 or 10.0.0.0/8")
AUTH = Kind(_authentication, "remote_user or none")
VERIFY = Kind(_verification, "size or sha256")
TLS = Kind(_tls_mode, "auto, required or off")
FLAG = Kind(_flag, "yes or no")
ADDRESS = Kind(_address, "a plain mail address, such as media@example.org")
ADDRESSES = Kind(_addresses, "plain mail addresses separated by commas")
SMTP_TLS = Kind(_smtp_tls, "auto, starttls, tls or off")
HOOK_URL = Kind(_url, "an https address without a user, or an http address of this machine", is_secret=True)
PAGES_URL = Kind(_url, "an https address, or an http address of this machine")
ON_CHANGE = Kind(_on_change, "hold or replan")
TIME_ZONE = Kind(_time_zone, "a time zone such as Europe/Vienna")
WINDOW = Kind(window.parse, "days and times, such as Mon-Fri 20:00-06:00")
UNIT = Kind(_unit, "the name of a unit, of letters, digits and :_.@-")
PORT = Kind(_number(int, 1, 65535), "a port from 1 to 65535")
COUNT = _whole(2**31)
BYTES = Kind(_number(int, 1, 2**40), "a number of bytes, at least 1")
SECONDS = Kind(_number(float, 0.01, 3600), "seconds from 0.01 to 3600")
MINUTES = Kind(_number(float, 0.01, 1440), "minutes from 0.01 to 1440")


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """Section [database]."""

    host: Annotated[str, TEXT, "Name or address of the MariaDB server."] = "127.0.0.1"
    port: Annotated[int, PORT, "TCP port of the server."] = 3306
    unix_socket: Annotated[str, TEXT, "Path of the server's socket, used instead of host and port."] = ""
    user: Annotated[str, TEXT, "Account to log in with."] = ""
    password: Annotated[str, TEXT, "The account's password."] = field(default="", repr=False)
    name: Annotated[str, TEXT, "Database that holds the tables."] = "admin_panel"
    password_file: Annotated[Path | None, PATH, "File that holds the password and nothing else."] = None
    ssl: Annotated[str, TLS, "TLS: if the server offers it, always, or never; auto has none on this machine."] = "auto"
    ssl_ca: Annotated[Path | None, PATH, "Certificates of the authorities that may sign the server's."] = None
    ssl_cert: Annotated[Path | None, PATH, "Certificate of this client, if the account needs one."] = None
    ssl_key: Annotated[Path | None, PATH, "Key of that certificate."] = None
    ssl_verify: Annotated[bool | None, FLAG, "Whether the server's certificate is verified; yes with ssl_ca."] = None
    perl_time_zone: Annotated["ZoneInfo | None", TIME_ZONE, "Zone of the times that a Perl side writes; UTC."] = None

    @property
    def is_local(self) -> bool:
        """Whether the server is on this machine."""
        return bool(self.unix_socket) or self.host in LOCAL_HOSTS

    @property
    def verifies_tls(self) -> bool:
        """Whether a certificate must prove who the server is."""
        return self.ssl_ca is not None if self.ssl_verify is None else self.ssl_verify

    @property
    def requires_tls(self) -> bool:
        """Whether a server without TLS is refused, so that nobody can strip it."""
        return self.ssl == "required" or self.verifies_tls or self.ssl_cert is not None

    @property
    def wants_tls(self) -> bool:
        """Whether TLS is tried."""
        return self.ssl != "off" and (self.requires_tls or not self.is_local)


@dataclass(frozen=True, slots=True)
class MountSettings:
    """Section [mount]."""

    sync_dir: Annotated[Path, PATH, "Folder of the manifests and sentinels."] = Path("/mnt/s3-sync/assets/sync")
    assets_dir: Annotated[Path, PATH, "Folder that the paths of items are relative to."] = Path("/mnt/s3-sync/assets")
    manifest_limit: Annotated[int, BYTES, "Size of the largest manifest that is read."] = 256 * 1024 * 1024
    max_items: Annotated[int, COUNT, "Items of a manifest, at most."] = 500_000
    max_derivatives: Annotated[int, COUNT, "Derivatives of an item, at most."] = 1_000
    max_members: Annotated[int, COUNT, "Members of a container, at most."] = 500_000
    max_containers: Annotated[int, COUNT, "Containers of a manifest, at most."] = 500_000
    max_text_bytes: Annotated[int, BYTES, "Bytes of a text in a manifest, at most."] = 64 * 1024


@dataclass(frozen=True, slots=True)
class PanelSettings:
    """Section [panel]."""

    auth: Annotated[str, AUTH, "Who authenticates people: the web server, or nobody (on loopback)."] = "remote_user"
    operators: Annotated[frozenset[str], NAMES, "Who may act; `*` is every authenticated user."] = frozenset()
    viewers: Annotated[frozenset[str], NAMES, "Who has view-only access; `*` as above."] = frozenset()
    trusted_proxies: Annotated["Networks", NETWORKS, "Proxies whose X-Remote-User and X-Forwarded-* are used."] = ()
    secret_file: Annotated[Path | None, PATH, "File of the key that signs forms."] = None
    templates: Annotated[Path | None, PATH, "Folder of templates that replace those of the panel."] = None
    socket: Annotated[Path | None, PATH, "Socket on which `serve` answers CGI programs."] = None
    page_size: Annotated[int, _whole(1000), "Rows on a page."] = 50
    stale_minutes: Annotated[float, MINUTES, "The worker's stale_minutes, for display."] = 15
    worker_unit: Annotated[str, UNIT, "The worker's unit of systemd, which pages name; empty without systemd."] = (
        "gpu-admin-panel-import-worker"
    )


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Section [worker]."""

    poll_seconds: Annotated[float, SECONDS, "Time between two queries for a job while the queue is empty."] = 1
    heartbeat_seconds: Annotated[float, SECONDS, "Time between two heartbeats of a running job."] = 15
    stale_minutes: Annotated[float, MINUTES, "Age of the heartbeat after which a job is requeued."] = 15
    chunk_items: Annotated[int, _whole(10_000), "Items written in one transaction, at most."] = 100
    readers: Annotated[int, _whole(256), "Threads that read documents from the mount, at most."] = 16
    max_attempts: Annotated[int, _whole(1000), "Attempts after which a stale job fails."] = 5
    verify: Annotated[str, VERIFY, "What an import compares of each file: its size, or also its SHA-256."] = "size"
    on_change: Annotated[str, ON_CHANGE, "A change after approval waits for a person, or is planned again."] = "hold"
    window: Annotated[Window, WINDOW, "Local times in which this worker claims jobs; empty: always."] = window.ALWAYS


@dataclass(frozen=True, slots=True)
class NotifySettings:
    """Section [notify]: whom `gpupanel notify` tells of failures. It alone reads the files with secrets."""

    mail_to: Annotated[tuple[str, ...], ADDRESSES, "Who gets the mails."] = ()
    mail_from: Annotated[str, ADDRESS, "Sender of the mails."] = ""
    smtp_host: Annotated[str, TEXT, "Mail server that takes the mails."] = "127.0.0.1"
    smtp_port: Annotated[int | None, PORT, "Its port; 587, with tls 465, without TLS 25."] = None
    smtp_tls: Annotated[str, SMTP_TLS, "TLS to it; auto is starttls, and off on this machine."] = "auto"
    smtp_user: Annotated[str, TEXT, "User name at the mail server, if it wants one."] = ""
    smtp_password_file: Annotated[Path | None, PATH, "File that holds that user's password and nothing else."] = None
    webhook_url: Annotated[Url | None, HOOK_URL, "Where the messages are posted as JSON."] = field(
        default=None, repr=False
    )
    webhook_secret_file: Annotated[Path | None, PATH, "File of the key that signs each POST."] = None
    tls_ca: Annotated[Path | None, PATH, "Certificates of the authorities of both servers; else the system's."] = None
    panel_url: Annotated[Url | None, PAGES_URL, "Folder of the panel's pages, for links in the messages."] = None

    @property
    def is_set_up(self) -> bool:
        """Whether people are told at all."""
        return bool(self.mail_to or self.webhook_url)

    @property
    def tls(self) -> str:
        """TLS to the mail server: starttls, tls or off."""
        if self.smtp_tls != "auto":
            return self.smtp_tls
        return "off" if self.smtp_host in LOCAL_HOSTS else "starttls"

    @property
    def port(self) -> int:
        """The port of the mail server."""
        return self.smtp_port or {"starttls": 587, "tls": 465, "off": 25}[self.tls]


@dataclass(frozen=True, slots=True)
class Settings:
    """One configuration file; the panel's has no [worker], and vice versa."""

    path: Path
    database: DatabaseSettings
    mount: MountSettings
    panel: PanelSettings
    worker: WorkerSettings
    notify: NotifySettings


SECTIONS = {
    "database": DatabaseSettings, "mount": MountSettings, "panel": PanelSettings, "worker": WorkerSettings,
    "notify": NotifySettings,
}
# section -> option -> its kind
OPTIONS: dict[str, dict[str, Kind]] = {
    section: {option: hint.__metadata__[0] for option, hint in settings.__annotations__.items()}
    for section, settings in SECTIONS.items()
}

Values = dict[str, dict[str, Any]]  # section -> option -> value, of what the file sets


def locate(given: str | None, default: str, environ: Mapping[str, str] = os.environ) -> Path:
    """The configuration file: given, else GPUPANEL_CONF, else `default`."""
    return Path(given or environ.get("GPUPANEL_CONF") or default)


def load(path: Path) -> Settings:
    """Read and check a file. Raises ConfigurationError with all problems."""
    values, problems = _read(path)
    problems += _read_password(values["database"], path)
    _resolve_paths(values, path)
    problems += _contradictions(values)
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


def _contradictions(values: Values) -> list[str]:
    return [
        *_tls_contradictions(DatabaseSettings(**values["database"])), *_worker_contradictions(values),
        *_notify_contradictions(NotifySettings(**values["notify"])),
    ]


def _tls_contradictions(database: DatabaseSettings) -> list[str]:
    """Return what [database] says twice, and files that cannot be read."""
    problems = []
    if database.ssl == "off" and database.requires_tls:
        problems.append("[database] ssl: found off beside other ssl_ options, expected auto or required")
    if (database.ssl_cert is None) != (database.ssl_key is None):
        problems.append("[database] ssl_cert and ssl_key: found one of them, expected both or neither")
    for option in ("ssl_ca", "ssl_cert", "ssl_key"):
        file: Path | None = getattr(database, option)
        if file is not None and not os.access(file, os.R_OK):
            problems.append(f"[database] {option}: {file} cannot be read")
    return problems


def _worker_contradictions(values: Values) -> list[str]:
    worker = WorkerSettings(**values["worker"])
    if worker.heartbeat_seconds * 2 > worker.stale_minutes * 60:
        return [
            f"[worker] heartbeat_seconds: found {worker.heartbeat_seconds:g}, expected at most half of "
            f"stale_minutes ({worker.stale_minutes:g} minutes), or live workers lose their jobs"
        ]
    return []


def _notify_contradictions(notify: NotifySettings) -> list[str]:
    problems = []
    if bool(notify.mail_to) != bool(notify.mail_from):
        problems.append("[notify] mail_to and mail_from: found one of them, expected both or neither")
    if bool(notify.smtp_user) != bool(notify.smtp_password_file):
        problems.append("[notify] smtp_user and smtp_password_file: found one of them, expected both or neither")
    if notify.smtp_user and notify.tls == "off" and notify.smtp_host not in LOCAL_HOSTS:
        problems.append("[notify] smtp_tls: found off beside smtp_user, expected TLS: the password would be readable")
    return problems
