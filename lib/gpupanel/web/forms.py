"""Forms that only this panel can have made, and what became of one, carried over the redirect (docs/CONTRACT.md, 10)."""

import hmac
import json
import os
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from pathlib import Path
from time import time

from ..errors import ConfigurationError
from .answers import Forbidden

WINDOW = 12 * 3600  # a token holds for this window and the next one: 12 to 24 hours
FEWEST_BYTES = 16
COOKIE = "import_media_outcome"
COOKIE_LIMIT = 3500  # browsers keep 4096 bytes of a cookie, name and attributes included
LINE_LIMIT = 400
MOST_LINES = 200  # lines that are alike compress so well that the cookie alone would let through millions


class Secret:
    """The key in `path`, made there when missing, so that the first start needs no ceremony."""

    def __init__(self, path: Path):
        self.path = path

    @property
    def key(self) -> bytes:
        """Read each time, so that all processes go by a new one at once. Raises ConfigurationError when none can be made."""
        try:
            if not self.path.exists():
                _make(self.path)
            key = self.path.read_bytes()
        except OSError as error:
            raise _unusable(f"{self.path}: {error.strerror}") from None
        if len(key) < FEWEST_BYTES:
            raise _unusable(f"{self.path}: found {len(key)} bytes, expected at least {FEWEST_BYTES}")
        return key

    def sign(self, *parts: str) -> str:
        """A signature over the parts and where each of them ends."""
        return hmac.new(self.key, json.dumps(parts).encode(), sha256).hexdigest()

    def signed(self, signature: str, *parts: str) -> bool:
        return hmac.compare_digest(signature.encode(), self.sign(*parts).encode())


def token(secret: Secret, user: str, back: int = 0) -> str:
    """The CSRF token of a user for this window of time, or for one `back` windows ago."""
    return secret.sign("csrf", user, str(int(time() // WINDOW) - back))


def check(environ: dict, secret: Secret, user: str, given: str) -> None:
    """Raises Forbidden for a form that another site sent, or whose token is not this user's."""
    if _foreign(environ):
        raise Forbidden("The form came from another site; nothing was changed.", "Use the form on this panel's page.")
    known = [token(secret, user, back) for back in (0, 1)]
    if not any([hmac.compare_digest(given.encode(), each.encode()) for each in known]):
        raise Forbidden(
            "The form is too old, or did not come from this panel; nothing was changed.",
            "Reload the page and try again.",
        )


def pack(secret: Secret, user: str, outcome: dict) -> str:
    """The outcome as a cookie's value; lines that do not fit are cut, and `cut` says how many."""
    lines = [line if len(line) <= LINE_LIMIT else line[:LINE_LIMIT] + "..." for line in outcome["lines"]]
    kept = min(len(lines), MOST_LINES)
    while True:
        text = _packed(outcome | {"lines": lines[:kept], "cut": len(lines) - kept})
        if len(text) <= COOKIE_LIMIT or not kept:
            return f"{text}.{secret.sign('outcome', user, text)}"
        kept = kept * 3 // 4


def unpack(secret: Secret, user: str, value: str) -> dict | None:
    """What `pack` was given; None for what this panel did not sign for this user."""
    text, _, signature = value.partition(".")
    if not signature or not secret.signed(signature, "outcome", user, text):
        return None
    return json.loads(zlib.decompress(urlsafe_b64decode(text)))


def cookie(environ: dict) -> str | None:
    """The value of the outcome's cookie."""
    for part in environ.get("HTTP_COOKIE", "").split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE:
            return value
    return None


def set_cookie(environ: dict, path: str, value: str) -> str:
    """The header that sets the outcome's cookie for the pages in `path`, or clears it when `value` is empty."""
    secure = "; Secure" if environ.get("wsgi.url_scheme") == "https" else ""
    age = "" if value else "; Max-Age=0"
    return f"{COOKIE}={value}; Path={path}; HttpOnly; SameSite=Strict{secure}{age}"


def _packed(outcome: dict) -> str:
    return urlsafe_b64encode(zlib.compress(json.dumps(outcome).encode(), 9)).decode()


def _foreign(environ: dict) -> bool:
    """What the browser itself says of the sender; a form without either header is left to its token."""
    site = environ.get("HTTP_SEC_FETCH_SITE")
    if site:
        return site not in ("same-origin", "none")
    origin = environ.get("HTTP_ORIGIN")
    return bool(origin) and origin.partition("://")[2] != environ.get("HTTP_HOST", "")


def _make(path: Path) -> None:
    """Whole or not at all, and never over one that another process has just made."""
    draft = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(os.urandom(32))
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _unusable(problem: str) -> ConfigurationError:
    return ConfigurationError(
        "The panel has no secret to sign its forms with.", [problem],
        "Set [panel] secret_file to a file that the panel can read, or create.",
    )
