"""CSRF tokens, and flash messages in a signed cookie (CONTRACT 10, Pages)."""

import hmac
import json
import os
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from time import time
from typing import Any

from ..errors import ConfigurationError
from .responses import Environ, ForbiddenError

WINDOW = 12 * 3600  # seconds; a token is valid in this window and the next one: 12 to 24 hours
FEWEST_BYTES = 16
COOKIE = "import_media_outcome"
COOKIE_LIMIT = 3500  # browsers keep 4096 bytes of a cookie, name and attributes included
LINE_LIMIT = 400  # characters
MOST_LINES = 200  # similar lines compress so well that the cookie limit would admit millions


class SigningKey:
    """The signing key in the file `path`, which is created when missing."""

    def __init__(self, path: Path):
        self.path = path

    @property
    def key(self) -> bytes:
        """The key, read each time. Raises ConfigurationError."""
        try:
            if not self.path.exists():
                _create_key(self.path)
            key = self.path.read_bytes()
        except OSError as error:
            raise _unusable(f"{self.path}: {error.strerror}") from None
        if len(key) < FEWEST_BYTES:
            raise _unusable(f"{self.path}: found {len(key)} bytes, expected at least {FEWEST_BYTES}")
        return key

    def sign(self, *parts: str) -> str:
        """Sign the parts, including where each of them ends."""
        return hmac.new(self.key, json.dumps(parts).encode(), sha256).hexdigest()

    def signed(self, signature: str, *parts: str) -> bool:
        """Return whether `sign` made this signature of the parts."""
        return hmac.compare_digest(signature.encode(), self.sign(*parts).encode())


def make_token(secret: SigningKey, user: str, back: int = 0) -> str:
    """Return a user's CSRF token for the time window `back` windows ago."""
    return secret.sign("csrf", user, str(int(time() // WINDOW) - back))


def verify_token(environ: Environ, secret: SigningKey, user: str, given: str) -> None:
    """Raise Forbidden for a form of another site or with a wrong token."""
    if _is_cross_site(environ):
        raise ForbiddenError("The form came from another site. Nothing was changed.", "Use the form on this panel's page.")
    valid = [make_token(secret, user, back) for back in (0, 1)]
    # A list, not a generator: comparing with both takes the same time whichever matches.
    if not any([hmac.compare_digest(given.encode(), candidate.encode()) for candidate in valid]):
        raise ForbiddenError(
            "The form has expired, or did not come from this panel. Nothing was changed.",
            "Reload the page and try again.",
        )


def dump_flash(secret: SigningKey, user: str, outcome: dict[str, Any]) -> str:
    """Return a flash message as a cookie; `cut` counts the dropped lines."""
    lines = [line if len(line) <= LINE_LIMIT else line[:LINE_LIMIT] + "..." for line in outcome["lines"]]
    kept = min(len(lines), MOST_LINES)
    while True:
        text = _compress(outcome | {"lines": lines[:kept], "cut": len(lines) - kept})
        if len(text) <= COOKIE_LIMIT or not kept:
            return f"{text}.{secret.sign('outcome', user, text)}"
        kept = kept * 3 // 4


def load_flash(secret: SigningKey, user: str, value: str) -> dict[str, Any] | None:
    """Return a cookie's flash message, or None if not signed for this user."""
    text, _, signature = value.partition(".")
    if not signature or not secret.signed(signature, "outcome", user, text):
        return None
    message: dict[str, Any] = json.loads(zlib.decompress(urlsafe_b64decode(text)))
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


def _compress(outcome: dict[str, Any]) -> str:
    return urlsafe_b64encode(zlib.compress(json.dumps(outcome).encode(), 9)).decode()


def _is_cross_site(environ: Environ) -> bool:
    """Return whether the browser names another site; else the token decides."""
    site = environ.get("HTTP_SEC_FETCH_SITE")
    if site:
        return site not in ("same-origin", "none")
    origin: str = environ.get("HTTP_ORIGIN") or ""
    scheme, _, host = origin.lower().partition("://")
    return bool(origin) and _without_port(host, scheme) != _without_port(environ.get("HTTP_HOST", "").lower(), scheme)


def _without_port(host: str, scheme: str) -> str:
    """Remove the scheme's own port, which browsers leave out and proxies may add."""
    return host.removesuffix({"http": ":80", "https": ":443"}.get(scheme, ":"))


def _create_key(path: Path) -> None:
    """Create the key file atomically, keeping a file made in the meantime."""
    draft = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(os.urandom(32))
    try:
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()


def _unusable(problem: str) -> ConfigurationError:
    return ConfigurationError(
        "The panel has no key for signing its forms.", [problem],
        "Set [panel] secret_file to a file that the panel can read or create.",
    )
