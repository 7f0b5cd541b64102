"""One request: who asks, for which page, with which parameters, and where the other pages are."""

from functools import cached_property
from urllib.parse import parse_qs, quote, urlencode

from ..errors import InvalidInput
from ..model import HIGHEST, SYNC_ID
from .answers import TooLarge
from .auth import User

BODY_LIMIT = 256 * 1024  # bytes; a thousand ticked batches are 51,000
MOST_FIELDS = 2000
LONGEST_NUMBER = len(str(HIGHEST))
FORM_TYPE = "application/x-www-form-urlencoded"

# The parameters that say where one is; a form returns to them.
PLACE = (
    "tab", "action", "sync_id", "status", "state", "type", "host", "from", "to", "q", "sort", "before", "after", "start",
    "decision", "mark", *(f"{jobs}_{way}" for jobs in ("running", "queued", "finished") for way in ("after", "before")),
)


class Links:
    """Where the pages are: beside each other in `base`, whatever the web server calls that."""

    def __init__(self, base: str):
        self.base = base

    def to(self, path: str, **query) -> str:
        """The page `path` (with its slash) with those of the parameters that have a value."""
        known = {key: value for key, value in query.items() if value is not None}
        return f"{self.base}{path}" + (f"?{urlencode(known)}" if known else "")

    def batches(self, **query) -> str:
        return self.to("/import-media.cgi", **query)

    def batch(self, sync_id: str, **query) -> str:
        return self.batches(action="detail", sync_id=sync_id, **query)

    def picture(self, batch: dict, item: dict) -> str:
        """The address changes with the manifest, so that browsers may keep the picture for long."""
        version = (batch["manifest_sha256"] or "")[:8]
        return self.batches(action="picture", sync_id=batch["sync_id"], item=item["id"], v=version)

    def items(self, sync_id: str, **query) -> str:
        """The items of a batch as a file."""
        return self.batches(action="items", sync_id=sync_id, **query)

    def tasks(self, **query) -> str:
        return self.to("/import-tasks.cgi", **query)

    def doctor(self) -> str:
        return self.batches(action="doctor")

    def static(self, name: str) -> str:
        return f"{self.base}/static/{name}"


class Visit:
    """A request as the pages see it; `user` is set once they are signed in."""

    def __init__(self, environ: dict):
        self.environ = environ
        self.user: User | None = None
        self.path: str = environ["PATH_INFO"]
        self.posted = environ["REQUEST_METHOD"] == "POST"
        base = environ.get("SCRIPT_NAME", "").strip("/")
        # Never two slashes in front: that would be another host.
        self.links = Links("/" + quote(base.encode("latin-1")) if base else "")

    @cached_property
    def query(self) -> dict[str, str]:
        """The parameters of the URL. Raises InvalidInput."""
        return {name: values[-1] for name, values in _fields(self.environ.get("QUERY_STRING", "")).items()}

    @cached_property
    def form(self) -> dict[str, list[str]]:
        """The fields of the form that was sent. Raises InvalidInput, TooLarge."""
        if self.environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower() != FORM_TYPE:
            raise InvalidInput(f"The request is not a form, expected {FORM_TYPE}.")
        return _fields(self._body().decode("latin-1"))

    def _body(self) -> bytes:
        """What was sent, whole; what comes in chunks ends where the web server ends it."""
        length = self.environ.get("CONTENT_LENGTH") or "0"
        if not length.isascii() or not length.isdigit():
            raise InvalidInput("The request does not say how long it is.")
        if len(length) > LONGEST_NUMBER or int(length) > BODY_LIMIT:
            raise TooLarge()
        in_chunks = "HTTP_TRANSFER_ENCODING" in self.environ
        body = self.environ["wsgi.input"].read(BODY_LIMIT + 1 if in_chunks else int(length))
        if len(body) > BODY_LIMIT:
            raise TooLarge()
        return body

    @property
    def here(self) -> str:
        """This page with its filters and place."""
        return self.at()

    def at(self, **changes: str | None) -> str:
        """This page with its filters and place, save for `changes`; without any when they cannot be read."""
        try:
            place = {name: self.query.get(name) or None for name in PLACE} | changes
        except InvalidInput:
            place = {}
        # One slash in front, and nothing that an address gives a meaning to: the path is the visitor's.
        return self.links.to("/" + quote(self.path.lstrip("/")), **place)

    @property
    def wants_json(self) -> bool:
        """Whether JSON is preferred to a page, by the weights of the Accept header."""
        return _weight(self.environ, "application/json") > _weight(self.environ, "text/html")

    @property
    def refreshes(self) -> bool:
        """Whether the page's own script asks, and nobody reads a notice."""
        return "HTTP_X_REFRESH" in self.environ

    def choice(self, name: str, values: list[str]) -> str | None:
        """A parameter that is one of the values, or missing, or empty. Raises InvalidInput."""
        found = self.query.get(name) or None
        if found is not None and found not in values:
            raise InvalidInput(f"{name}: found {found[:80]!r}, expected one of {', '.join(values)}")
        return found

    def number(self, name: str) -> int | None:
        """A parameter that is a whole number from 0 on, or missing. Raises InvalidInput."""
        found = self.query.get(name)
        return None if found is None else number(name, found)


def number(name: str, text: str) -> int:
    """Raises InvalidInput unless the text is a whole number that the database can hold."""
    if not text.isascii() or not text.isdigit() or len(text) > LONGEST_NUMBER or int(text) > HIGHEST:
        raise InvalidInput(f"{name}: found {text[:80]!r}, expected a whole number")
    return int(text)


def sync_id(text: str | None) -> str:
    """Raises InvalidInput unless the text is a lowercase UUID."""
    if not text or not SYNC_ID.fullmatch(text):
        raise InvalidInput(f"sync_id: found {(text or '')[:80]!r}, expected a lowercase UUID")
    return text


def _fields(text: str) -> dict[str, list[str]]:
    try:
        text.encode("ascii")
        return parse_qs(text, keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
    except ValueError:
        raise InvalidInput("The parameters cannot be read: too many, or not UTF-8.") from None


def _weight(environ: dict, wanted: str) -> float:
    """How much of a type the client wants; what it does not name weighs as its wildcard."""
    weights = {}
    for part in environ.get("HTTP_ACCEPT", "").split(","):
        name, *parameters = (each.strip() for each in part.split(";"))
        weights[name.lower()] = _quality(parameters)
    return weights.get(wanted, weights.get(wanted.partition("/")[0] + "/*", weights.get("*/*", 0)))


def _quality(parameters: list[str]) -> float:
    text = next((each[2:] for each in parameters if each.startswith("q=")), "1")
    try:
        return float(text)
    except ValueError:
        return 0
