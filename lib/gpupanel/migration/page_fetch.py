"""Fetch a page from a panel, or read it from a file."""

from http.client import HTTPException
from pathlib import Path
from urllib import error, parse, request

from ..config import read_small_text
from ..errors import InvalidInputError, PanelError

TIMEOUT_SECONDS = 60
MAX_BYTES = 64 * 1024 * 1024


def fetch_page(place: str, credentials: Path | None = None) -> str:
    """Return the text at a URL or in a file.

    `credentials` is a file with `user:password`, sent only to the host of the URL. Raises PanelError if the page cannot
    be fetched, InvalidInputError for invalid credentials.
    """
    if not place.startswith(("http://", "https://")):
        try:
            return Path(place).read_text(encoding="utf-8", errors="replace")
        except OSError as failed:
            hint = "Name an address that begins with http:// or https://, or a file with the page."
            raise PanelError(f"{place} cannot be read: {failed.strerror}", hint) from None
    opener = request.build_opener(*_authentication(place, credentials))
    try:
        with opener.open(request.Request(place, headers={"Accept": "text/html"}), timeout=TIMEOUT_SECONDS) as response:
            return response.read(MAX_BYTES).decode(response.headers.get_content_charset() or "utf-8", errors="replace")
    except error.HTTPError as refused:
        problem = f"{place} responded with {refused.code} {refused.reason}."
        raise PanelError(problem, "Check the address and its permissions.") from None
    except (error.URLError, OSError, LookupError, ValueError, HTTPException) as failed:
        reason = getattr(failed, "reason", failed)
        problem = f"{place} cannot be fetched: {getattr(reason, 'strerror', None) or reason}."
        raise PanelError(problem, "Check the address, and that its web server runs.") from None


def _authentication(place: str, credentials: Path | None) -> list[request.BaseHandler]:
    if credentials is None:
        return []
    try:
        user, colon, password = read_small_text(credentials).strip("\r\n").partition(":")
    except ValueError as error:
        raise InvalidInputError(f"{credentials}: {error}") from None
    if not colon:
        raise InvalidInputError(f"{credentials} does not hold user:password on one line.")
    host = parse.urlsplit(place)
    passwords = request.HTTPPasswordMgrWithDefaultRealm()
    passwords.add_password(None, f"{host.scheme}://{host.netloc}/", user, password)
    return [request.HTTPBasicAuthHandler(passwords)]
