"""CSRF tokens of forms (docs/CONTRACT.md, "10. Pages")."""

import hmac
from time import time

from .responses import Environ, ForbiddenError
from .signing_key import SigningKey

WINDOW_SECONDS = 12 * 3600  # a token is valid in this window and the next one: 12 to 24 hours


def make_token(secret: SigningKey, user: str, back: int = 0) -> str:
    """Return a user's CSRF token for the time window `back` windows ago."""
    return secret.sign("csrf", user, str(int(time() // WINDOW_SECONDS) - back))


def verify_token(environ: Environ, secret: SigningKey, user: str, given: str) -> None:
    """Raise ForbiddenError for a form of another site or with a wrong token."""
    if _is_cross_site(environ):
        raise ForbiddenError(
            "The form came from another site. Nothing was changed.", "Use the form on this panel's page."
        )
    valid = [make_token(secret, user, back) for back in (0, 1)]
    # A list, not a generator: comparing with both takes the same time whichever matches.
    if not any([hmac.compare_digest(given.encode(), candidate.encode()) for candidate in valid]):
        raise ForbiddenError(
            "The form has expired, or did not come from this panel. Nothing was changed.",
            "Reload the page and try again.",
        )


def _is_cross_site(environ: Environ) -> bool:
    """Return whether the browser names another site; else the token decides."""
    site = environ.get("HTTP_SEC_FETCH_SITE")
    if site:
        return site not in ("same-origin", "none")
    origin: str = environ.get("HTTP_ORIGIN") or ""
    return bool(origin) and origin.partition("://")[2] != environ.get("HTTP_HOST", "")
