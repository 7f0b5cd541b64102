"""Who asks, and whether they may: viewers look, operators act (docs/CONTRACT.md, 10).

The web server signs people in and sets REMOTE_USER; of a trusted proxy's word, `proxies` has already made one.
"""

from typing import NamedTuple

from ..config import PanelSettings
from .answers import Forbidden, NotSignedIn
from .proxies import address

LOCAL = "local"
LONGEST = 255
PROXIED = ("HTTP_X_FORWARDED_", "HTTP_FORWARDED", "HTTP_VIA", "HTTP_X_REAL_IP")  # what proxies add to a request


class User(NamedTuple):
    name: str
    operator: bool


def sign_in(environ: dict, panel: PanelSettings) -> User:
    """The user of a request. Raises NotSignedIn, and Forbidden for someone who is in neither list."""
    if panel.auth == "none":
        return _local(environ)
    name = _name(environ)
    if not name:
        raise NotSignedIn()
    operator = _listed(name, panel.operators)
    if not operator and not _listed(name, panel.viewers):
        raise Forbidden(
            f"{name} is signed in, but may not use this panel.", "Ask for a place in [panel] operators or viewers."
        )
    return User(name, operator)


def sign_in_or_local(environ: dict, panel: PanelSettings) -> User:
    """The user of a request, or a program that runs on this machine and asks without a proxy in between.

    Raises as `sign_in` does.
    """
    if environ.get("REMOTE_USER") or not _is_local(environ):
        return sign_in(environ, panel)
    return User(LOCAL, False)


def require_operator(user: User) -> None:
    """Raises Forbidden for someone who may only look."""
    if not user.operator:
        raise Forbidden(f"{user.name} may look, but not act; nothing was changed.", "Ask an operator to do this.")


def _local(environ: dict) -> User:
    """`auth = none`: whoever sits at this machine. A proxy in between, or another host name, could be anyone."""
    if not _is_local(environ):
        raise NotSignedIn(
            "Without signing in, this panel answers only to its own machine.",
            "Open it there by its loopback address, or set [panel] auth = remote_user.",
        )
    return User(LOCAL, True)


def _is_local(environ: dict) -> bool:
    proxied = any(name.startswith(PROXIED) for name in environ)
    return not proxied and _is_loopback(environ.get("REMOTE_ADDR", "")) and _asks_for_loopback(environ)


def _name(environ: dict) -> str:
    """The user's name as it was given; "" for what is no name, since mending it would make it somebody else's."""
    try:
        name = environ.get("REMOTE_USER", "").encode("latin-1").decode("utf-8")
    except UnicodeError:
        return ""
    return name if name.isprintable() and name == name.strip() and len(name) <= LONGEST else ""


def _listed(name: str, names: frozenset[str]) -> bool:
    return name in names or "*" in names


def _is_loopback(text: str) -> bool:
    found = address(text)
    return found is not None and found.is_loopback


def _asks_for_loopback(environ: dict) -> bool:
    """A page elsewhere that points its own name at this machine is not let in."""
    host = environ.get("HTTP_HOST", "localhost")
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    return name == "localhost" or _is_loopback(name)
