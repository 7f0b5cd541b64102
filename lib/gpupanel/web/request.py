"""The HTTP request, and the URLs of the panel's pages."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any
from urllib.parse import parse_qs, quote, urlencode

from ..errors import InvalidInputError
from ..models import BIGINT_MAX, SYNC_ID
from .responses import AuthenticationRequiredError, Environ, PayloadTooLargeError
from .auth import User

BODY_LIMIT = 256 * 1024  # bytes; 1,000 selected batches take 51,000
MAX_FIELDS = 2000
LONGEST_NUMBER = len(str(BIGINT_MAX))
INCOMPLETE = "The form did not arrive whole. Nothing was changed. Send it again."
FORM_TYPE = "application/x-www-form-urlencoded"

# The parameters of a page's filters and cursors; the redirect after a form keeps them.
KEPT_PARAMETERS = (
    "tab", "action", "sync_id", "status", "attention", "state", "type", "host", "from", "to", "q", "sort", "before",
    "after",
    "start", "decision", "mark", "container",
    "event", "actor", "day", "hash", "at",
    *(f"{jobs}_{direction}" for jobs in ("running", "queued", "finished") for direction in ("after", "before")),
)


class UrlBuilder:
    """URLs of the pages, which are all in the folder `base`."""

    def __init__(self, base: str):
        self.base = base

    def to(self, path: str, **query: Any) -> str:
        """Return the URL of `path`, with the parameters that are not None."""
        given = {key: value for key, value in query.items() if value is not None}
        return f"{self.base}{path}" + (f"?{urlencode(given)}" if given else "")

    def batches(self, **query: Any) -> str:
        return self.to("/import-media.cgi", **query)

    def batch(self, sync_id: str, **query: Any) -> str:
        return self.batches(action="detail", sync_id=sync_id, **query)

    def thumbnail(self, batch: dict[str, Any], item: dict[str, Any]) -> str:
        """Return a thumbnail's URL; it changes with the manifest, for caching. A missing thumbnail is a blank image."""
        version = (batch["manifest_sha256"] or "")[:8]
        return self.batches(
            action="picture", sync_id=batch["sync_id"], item=item["id"] or "first", v=version, missing="blank"
        )

    def items(self, sync_id: str, **query: Any) -> str:
        """Return the URL of an export of a batch's items."""
        return self.batches(action="items", sync_id=sync_id, **query)

    def tasks(self, **query: Any) -> str:
        return self.to("/import-tasks.cgi", **query)

    def doctor(self) -> str:
        return self.batches(action="doctor")

    def asset(self, asset_type: str, asset_hash: str, **query: Any) -> str:
        return self.batches(action="asset", type=asset_type, hash=asset_hash, **query)

    def events(self, **query: Any) -> str:
        """Return the URL of the events that these filters leave."""
        return self.batches(action="events", **query)

    def static(self, name: str) -> str:
        return f"{self.base}/static/{name}"


class Request:
    """A request. `user` is None until the user is authenticated."""

    def __init__(self, environ: Environ):
        self.environ = environ
        self.user: User | None = None
        self.path: str = environ["PATH_INFO"]
        self.is_post = environ["REQUEST_METHOD"] == "POST"
        base = environ.get("SCRIPT_NAME", "").strip("/")
        # With two slashes in front, the URL would name another host.
        self.links = UrlBuilder("/" + quote(base.encode("latin-1")) if base else "")

    @property
    def signed_in(self) -> User:
        """The authenticated user. Raises AuthenticationRequiredError."""
        if self.user is None:
            raise AuthenticationRequiredError()
        return self.user

    @cached_property
    def query(self) -> dict[str, str]:
        """The parameters of the URL. Raises InvalidInputError."""
        return {name: values[-1] for name, values in _fields(self.environ.get("QUERY_STRING", "")).items()}

    @cached_property
    def form(self) -> dict[str, list[str]]:
        """The fields of the submitted form. Raises InvalidInputError, PayloadTooLargeError."""
        if self.environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower() != FORM_TYPE:
            raise InvalidInputError(f"The request is not a form, expected {FORM_TYPE}.")
        return _fields(self._body().decode("latin-1"))

    def _body(self) -> bytes:
        """Read the request body; the web server marks the end of a chunked one.

        A body that ends early is refused: a form without its last fields would do another action than its sender chose.
        """
        length = self.environ.get("CONTENT_LENGTH") or "0"
        if not length.isascii() or not length.isdigit():
            raise InvalidInputError("The request has no valid Content-Length.")
        if len(length) > LONGEST_NUMBER or int(length) > BODY_LIMIT:
            raise PayloadTooLargeError()
        in_chunks = "HTTP_TRANSFER_ENCODING" in self.environ
        try:
            body: bytes = self.environ["wsgi.input"].read(BODY_LIMIT + 1 if in_chunks else int(length))
        except OSError:  # of mod_wsgi, when the client went away or sent a chunk that is none
            raise InvalidInputError(INCOMPLETE) from None
        if len(body) > BODY_LIMIT:
            raise PayloadTooLargeError()
        if not in_chunks and len(body) < int(length):
            raise InvalidInputError(INCOMPLETE)
        return body

    @property
    def current_url(self) -> str:
        """The URL of this page with its filters and cursors."""
        return self.url_with()

    def url_with(self, **changes: str | None) -> str:
        """Return this page's URL with `changes`; without query if malformed."""
        try:
            query = {name: self.query.get(name) or None for name in KEPT_PARAMETERS} | changes
        except InvalidInputError:
            query = {}
        # The client chose the path: one slash in front keeps it on this host, quoting keeps it a path.
        return self.links.to("/" + quote(self.path.lstrip("/")), **query)

    @property
    def wants_json(self) -> bool:
        """Whether the Accept header prefers JSON to HTML."""
        return _weight(self.environ, "application/json") > _weight(self.environ, "text/html")

    @property
    def is_background_refresh(self) -> bool:
        """Whether the page's script sent the request, so no one reads a message."""
        return "HTTP_X_REFRESH" in self.environ

    def choice(self, name: str, values: Sequence[str]) -> str | None:
        """Return a parameter with one of the values. Raises InvalidInputError."""
        text = self.query.get(name) or None
        if text is not None and text not in values:
            raise InvalidInputError(f"{name}: found {text[:80]!r}, expected one of {', '.join(values)}")
        return text

    def number(self, name: str) -> int | None:
        """Return a parameter that is a whole number. Raises InvalidInputError."""
        text = self.query.get(name)
        return None if text is None else number(name, text)


def number(name: str, text: str) -> int:
    """Parse a whole number within the database's range. Raises InvalidInputError."""
    if not text.isascii() or not text.isdigit() or len(text) > LONGEST_NUMBER or int(text) > BIGINT_MAX:
        raise InvalidInputError(f"{name}: found {text[:80]!r}, expected a whole number")
    return int(text)


def sync_id(text: str | None) -> str:
    """Return the text if it is a lowercase UUID. Raises InvalidInputError."""
    if not text or not SYNC_ID.fullmatch(text):
        raise InvalidInputError(f"sync_id: found {(text or '')[:80]!r}, expected a lowercase UUID")
    return text


def _fields(text: str) -> dict[str, list[str]]:
    try:
        text.encode("ascii")
        return parse_qs(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise InvalidInputError("The parameters are malformed: too many, or not UTF-8.") from None


def _weight(environ: Environ, media_type: str) -> float:
    """Return a media type's weight in the Accept header, or its wildcard's."""
    weights: dict[str, float] = {}
    for part in environ.get("HTTP_ACCEPT", "").split(","):
        name, *parameters = (field.strip() for field in part.split(";"))
        weights[name.lower()] = _quality(parameters)
    return weights.get(media_type, weights.get(media_type.partition("/")[0] + "/*", weights.get("*/*", 0)))


def _quality(parameters: list[str]) -> float:
    text = next((field[2:] for field in parameters if field.startswith("q=")), "1")
    try:
        return float(text)
    except ValueError:
        return 0
