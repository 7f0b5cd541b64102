"""A page from a panel, or from a file that somebody saved."""

from pathlib import Path
from urllib import error, parse, request

from ..errors import InvalidInput, PanelError

SECONDS = 60
LIMIT = 64 * 1024 * 1024


def fetch_page(place: str, credentials: Path | None = None) -> str:
    """The text at a URL or in a file. `credentials` is a file with `user:password`, given only to the host of the URL.

    Raises PanelError for a page that cannot be had, InvalidInput for credentials that are none.
    """
    if not place.startswith(("http://", "https://")):
        return Path(place).read_text(encoding="utf-8", errors="replace")
    opener = request.build_opener(*_signing_in(place, credentials))
    try:
        with opener.open(request.Request(place, headers={"Accept": "text/html"}), timeout=SECONDS) as answer:
            return answer.read(LIMIT).decode(answer.headers.get_content_charset() or "utf-8", errors="replace")
    except error.HTTPError as refused:
        raise PanelError(f"{place} answered {refused.code} {refused.reason}.", "Check the address, and who may see it.") from None
    except (error.URLError, OSError, LookupError) as failed:
        raise PanelError(f"{place} cannot be fetched: {getattr(failed, 'reason', failed)}") from None


def _signing_in(place: str, credentials: Path | None) -> list[request.BaseHandler]:
    if credentials is None:
        return []
    user, colon, password = credentials.read_text(encoding="utf-8").strip("\r\n").partition(":")
    if not colon:
        raise InvalidInput(f"{credentials} does not hold user:password on one line.")
    host = parse.urlsplit(place)
    known = request.HTTPPasswordMgrWithDefaultRealm()
    known.add_password(None, f"{host.scheme}://{host.netloc}/", user, password)
    return [request.HTTPBasicAuthHandler(known)]
