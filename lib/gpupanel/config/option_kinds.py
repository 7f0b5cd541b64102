"""Kinds of options: how the text of an option becomes a value, and which values are allowed."""

import os
import re
from collections.abc import Callable
from configparser import ConfigParser
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import window

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network
    from zoneinfo import ZoneInfo

    Networks = tuple[IPv4Network | IPv6Network, ...]


DEFAULT_PORTS = {"http": 80, "https": 443}
COMMENT = r"(^|\s)[#;]"  # in a value: a comment has a line of its own
MAX_SOCKET_BYTES = 107  # of the path of a Unix socket
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
    """Split at commas and line ends; `Jane Doe` without either could be one name or two.

    Semicolons, quotes and a comment are no part of a name: a list with them would match no user.
    """
    if len(text.split()) > 1 and not set(",\n") & set(text):
        raise ValueError
    names = frozenset(name for part in text.replace("\n", ",").split(",") if (name := part.strip()))
    if any(";" in name or name[0] in "\"'" or re.search(COMMENT, name) for name in names):
        raise ValueError
    return names


def _name(most: int) -> Callable[[str], str]:
    def convert(text: str) -> str:
        if not 0 < len(text) <= most or not text.isprintable() or re.search(COMMENT, text):
            raise ValueError
        return text

    return convert


def _host(text: str) -> str:
    """The name or address of a host; names beyond ASCII are left to the resolver."""
    labels = text.removesuffix(".").split(".")
    if not text.isprintable() or " " in text or len(text) > 253 or not all(0 < len(label) < 64 for label in labels):
        raise ValueError
    return text


def _socket(text: str) -> str:
    if len(os.fsencode(text)) > MAX_SOCKET_BYTES:
        raise ValueError
    return text


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


def _choice(*words: str) -> Kind:
    def convert(text: str) -> str:
        if text not in words:
            raise ValueError
        return text

    return Kind(convert, f"{', '.join(words[:-1])} or {words[-1]}")


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


def whole_number(high: int) -> Kind:
    """Return the kind of a count from 1 to `high`."""
    return Kind(_number(int, 1, high), f"a whole number from 1 to {high}")


TEXT, PATH = Kind(str, "text"), Kind(_path, "a path")
HOST = Kind(_host, "the name or address of a host")
SOCKET = Kind(_socket, f"a path of at most {MAX_SOCKET_BYTES} bytes")
ACCOUNT = Kind(_name(128), "a name of 1 to 128 characters, without a comment behind it")
DATABASE = Kind(_name(64), "a name of 1 to 64 characters, without a comment behind it")
NAMES = Kind(
    _names, "user names separated by commas, without quotes or comments; one name with a space ends with a comma:"
    " Jane Doe,"
)
NETWORKS = Kind(_networks, "addresses or networks, such as 127.0.0.1 or 10.0.0.0/8")
AUTH = _choice("remote_user", "none")
VERIFY = _choice("size", "sha256")
TLS = _choice("auto", "required", "off")
FLAG = Kind(_flag, "yes or no")
ADDRESS = Kind(_address, "a plain mail address, such as media@example.org")
ADDRESSES = Kind(_addresses, "plain mail addresses separated by commas")
SMTP_TLS = _choice("auto", "starttls", "tls", "off")
HOOK_URL = Kind(_url, "an https address without a user, or an http address of this machine", is_secret=True)
PAGES_URL = Kind(_url, "an https address, or an http address of this machine")
ON_CHANGE = _choice("hold", "replan")
TIME_ZONE = Kind(_time_zone, "a time zone such as Europe/Vienna")
WINDOW = Kind(window.parse, "days and times, such as Mon-Fri 20:00-06:00")
UNIT = Kind(_unit, "the name of a unit, of letters, digits and :_.@-")
PORT = Kind(_number(int, 1, 65535), "a port from 1 to 65535")
COUNT = whole_number(2**31)
BYTES = Kind(_number(int, 1, 2**40), "a number of bytes, at least 1")
SECONDS = Kind(_number(float, 0.01, 3600), "seconds from 0.01 to 3600")
MINUTES = Kind(_number(float, 0.01, 1440), "minutes from 0.01 to 1440")
