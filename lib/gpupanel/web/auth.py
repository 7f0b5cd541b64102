"""Authentication and roles: viewers read, operators act.

The web server authenticates users and sets REMOTE_USER; `proxies` has already applied the headers of trusted proxies
(docs/CONTRACT.md, "10. Pages").
"""

from typing import NamedTuple

from ..config import PanelSettings
from .responses import AuthenticationRequiredError, Environ, ForbiddenError
from .proxy_headers import parse_address

LOCAL = "local"
LONGEST = 255  # characters of a user name
PROXY_HEADERS = ("HTTP_X_FORWARDED_", "HTTP_FORWARDED", "HTTP_VIA", "HTTP_X_REAL_IP")  # headers that proxies add


class User(NamedTuple):
    """The signed-in user of a request."""

    name: str
    operator: bool


def authenticate(environ: Environ, panel: PanelSettings) -> User:
    """Return the user of a request. Raises AuthenticationRequiredError, ForbiddenError."""
    if panel.auth == "none":
        return _local_user(environ)
    name = _user_name(environ)
    if not name:
        raise AuthenticationRequiredError()
    operator = _is_listed(name, panel.operators)
    if not operator and not _is_listed(name, panel.viewers):
        raise ForbiddenError(
            f"{name} is signed in, but has no access to this panel.",
            "Ask an administrator to add the name to [panel] operators or viewers.",
        )
    return User(name, operator)


def authenticate_or_local(environ: Environ, panel: PanelSettings) -> User:
    """Return the user, or LOCAL for a program on this machine without proxy."""
    if environ.get("REMOTE_USER") or not _is_local(environ):
        return authenticate(environ, panel)
    return User(LOCAL, False)


def require_operator(user: User) -> None:
    """Raise Forbidden for a viewer."""
    if not user.operator:
        raise ForbiddenError("You have view-only access. Nothing was changed.", "Ask an operator to do this.")


def _local_user(environ: Environ) -> User:
    """Return the user for `auth = none`, which serves this machine only."""
    if not _is_local(environ):
        raise AuthenticationRequiredError(
            "Without authentication, this panel serves its own machine only.",
            "Open it there by its loopback address, or set [panel] auth = remote_user.",
        )
    return User(LOCAL, True)


def _is_local(environ: Environ) -> bool:
    proxied = any(name.startswith(PROXY_HEADERS) for name in environ)
    return not proxied and _is_loopback(environ.get("REMOTE_ADDR", "")) and _is_for_loopback(environ)


def _user_name(environ: Environ) -> str:
    """Return the name in REMOTE_USER; "" if malformed, never a corrected one."""
    try:
        name: str = environ.get("REMOTE_USER", "").encode("latin-1").decode("utf-8")
    except UnicodeError:
        return ""
    return name if name.isprintable() and name == name.strip() and len(name) <= LONGEST else ""


def _is_listed(name: str, names: frozenset[str]) -> bool:
    return name in names or "*" in names


def _is_loopback(text: str) -> bool:
    ip = parse_address(text)
    return ip is not None and ip.is_loopback


def _is_for_loopback(environ: Environ) -> bool:
    """Return whether Host names this machine, which stops DNS rebinding."""
    host = environ.get("HTTP_HOST", "localhost")
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    return name == "localhost" or _is_loopback(name)
