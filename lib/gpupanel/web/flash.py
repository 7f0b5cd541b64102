"""Flash messages: the result of a form, shown after the redirect, in a signed cookie."""

from typing import Any

from .responses import Environ
from .signing_key import SigningKey

COOKIE = "import_media_outcome"
COOKIE_LIMIT = 3565  # browsers keep 4096 bytes of a cookie, name and attributes included
LINE_LIMIT = 400  # characters
MAX_LINES = 200  # similar lines compress so well that the cookie limit would admit millions


def dump(secret: SigningKey, user: str, message: dict[str, Any]) -> str:
    """Return a flash message as a cookie; `cut` counts the dropped lines."""
    lines = [line if len(line) <= LINE_LIMIT else line[:LINE_LIMIT] + "..." for line in message["lines"]]
    kept = min(len(lines), MAX_LINES)
    while True:
        sealed = secret.seal("outcome", user, message | {"lines": lines[:kept], "cut": len(lines) - kept})
        if len(sealed) <= COOKIE_LIMIT or not kept:
            return sealed
        kept = kept * 3 // 4


def load(secret: SigningKey, user: str, value: str) -> dict[str, Any] | None:
    """Return a cookie's flash message, or None if not signed for this user."""
    message: dict[str, Any] | None = secret.unseal("outcome", user, value)
    return message


def cookie(environ: Environ) -> str | None:
    """Return the value of the flash message's cookie."""
    header: str = environ.get("HTTP_COOKIE", "")
    for part in header.split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE:
            return value
    return None


def set_cookie(environ: Environ, path: str, value: str) -> str:
    """Return the header that sets the flash message's cookie, or clears it."""
    secure = "; Secure" if environ.get("wsgi.url_scheme") == "https" else ""
    age = "" if value else "; Max-Age=0"
    return f"{COOKIE}={value}; Path={path}; HttpOnly; SameSite=Strict{secure}{age}"
