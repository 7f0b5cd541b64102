"""Requests for each of the four servers, in order, with the expected statuses."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import urlencode

from http_client import Answer, ask

FORM = "application/x-www-form-urlencoded"
BATCHES, TASKS, CSS = "/admin/import-media.cgi", "/admin/import-tasks.cgi", "/admin/static/panel.css"
UNKNOWN_SYNC_ID = "00000000-0000-4000-8000-000000000000"
NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Question(NamedTuple):
    """A request and the expected status.

    `{first}` and `{empty}` stand for sync_ids, `{token}` for the operator's CSRF token, `{outcome}` for the latest
    cookie, `{etag}` and `{modified}` for the stylesheet's. `body` is fields, bytes or a list of chunks.
    """

    name: str
    status: int
    target: str
    method: str = "GET"
    body: Any = None
    user: str | None = "admin"
    headers: Mapping[str, str] = NO_HEADERS


def form(
    name: str, status: int, user: str = "admin", target: str = BATCHES, headers=NO_HEADERS, **fields: str
) -> Question:
    """Return a form with these fields and, unless they have one, a valid token."""
    body = {"csrf_token": "{token}"} | fields
    return Question(name, status, target, "POST", body, user, {"Content_Type": FORM, **headers})


def raw(name: str, status: int, body, content_type: str = FORM) -> Question:
    return Question(name, status, BATCHES, "POST", body, headers={"Content_Type": content_type})


JSON = {"Accept": "application/json"}
DETAIL = BATCHES + "?action=detail&sync_id="

# Answered by the panel.
PANEL = (
    Question("no batch yet", 200, BATCHES),
    Question("head", 200, BATCHES, "HEAD"),
    form("scan", 303, do="scan"),
    Question("the scan's outcome", 200, BATCHES, headers={"Cookie": "import_media_outcome={outcome}"}),
    form("preflight", 303, do="preflight", sync_id="{first}", target=DETAIL + "{first}"),
    form("preflight that fails, as JSON", 200, do="preflight", sync_id="{empty}", headers=JSON),
    form("queue", 303, do="queue", sync_id="{first}"),
    Question("batches", 200, BATCHES),
    Question("batches as JSON", 200, BATCHES, headers=JSON),
    Question("batches of one status", 200, BATCHES + "?status=queued"),
    Question("batches for a viewer", 200, BATCHES, user="viewer"),
    Question("a batch", 200, DETAIL + "{first}"),
    Question("a batch as JSON", 200, DETAIL + "{first}", headers=JSON),
    Question("a batch that failed", 200, DETAIL + "{empty}"),
    Question("tasks", 200, TASKS),
    Question("tasks as a tab", 200, BATCHES + "?tab=queue"),
    Question("head of tasks", 200, TASKS, "HEAD"),
    Question("health, for whoever asks", 200, "/admin/health", user=None),
    Question("metrics", 200, "/admin/metrics", user="viewer"),
    form("queue what is queued", 409, do="queue", sync_id="{first}"),
    form("cancel, as JSON", 200, do="cancel", job_id="1", headers=JSON),
    Question("no such batch", 404, DETAIL + UNKNOWN_SYNC_ID),
    Question("no such batch, as JSON", 404, DETAIL + UNKNOWN_SYNC_ID, headers=JSON),
    Question("head of no such batch", 404, DETAIL + UNKNOWN_SYNC_ID, "HEAD"),
    Question("a page below the page", 404, BATCHES + "/more"),
    Question("a page below the page, in Unicode", 404, BATCHES + "/%C3%A9%20%E2%80%AE"),
    Question("a page below the page, in no encoding", 404, BATCHES + "/%FF"),
    Question("no such tab", 400, BATCHES + "?tab=nonsense"),
    Question("no sync_id", 400, DETAIL + "%3Cscript%3E"),
    Question("a query in Latin-1", 400, BATCHES + "?status=%E9"),
    Question("a query with NUL and line ends", 400, BATCHES + "?tab=%00%0D%0ASet-Cookie:x=1"),
    Question("a query of plus, semicolon and ampersands", 400, BATCHES + "?&&status=a+b;c&tab==&"),
    Question("a long address", 200, BATCHES + "?" + "x" * 7000),
    Question("put", 405, BATCHES, "PUT", b""),
    Question("delete", 405, TASKS, "DELETE"),
    Question("options", 405, BATCHES, "OPTIONS"),
    Question("a method of nobody's", 405, BATCHES, "PROPFIND"),
    Question("a stranger", 403, BATCHES, user="stranger"),
    form("a viewer who acts", 403, user="viewer", do="scan"),
    form("no token", 403, do="scan", csrf_token=""),
    form("from another site", 403, do="scan", headers={"Origin": "https://elsewhere.example"}),
    form("from this site", 303, do="scan", headers={"Origin": "http://panel.example"}),
    form("no such operation", 400, do="import"),
    raw("a form in Latin-1", 400, b"do=scan&reason=caf\xe9"),
    raw("a form that is none", 400, b"{}", "application/json"),
    raw("an empty form", 403, b""),
    raw("a form of too many bytes", 413, b"x" * 300_000),
    raw("a form in chunks", 303, [b"do=scan&csrf_token=", b"{token}"]),
    raw("a form of too many chunks", 413, [b"x" * 60_000] * 5),
    Question("someone else's name in a header", 200, BATCHES, user="viewer", headers=JSON | {"X_Remote_User": "admin"}),
    Question("headers of a proxy that is none", 200, BATCHES, headers={
        "X_Forwarded_Proto": "https", "X_Forwarded_Prefix": "/elsewhere", "X_Forwarded_For": "192.0.2.1",
        "X_Forwarded_Host": "elsewhere.example", "Cookie": "import_media_outcome={outcome}",
    }),
)

# Answered by the web server itself from static/.
STATIC = (
    Question("the stylesheet", 200, CSS, user=None),
    Question("the script", 200, "/admin/static/panel.js?v=1", user=None),
    Question("the icon", 200, "/admin/static/icon.svg", user=None),
    Question("head of the stylesheet", 200, CSS, "HEAD", user=None),
    Question("the stylesheet, known by its ETag", 304, CSS, user=None, headers={"If_None_Match": "{etag}"}),
    Question("the stylesheet, known by its age", 304, CSS, user=None, headers={"If_Modified_Since": "{modified}"}),
)

# Answered by the web server itself, in its own words: the status is the same, and how to sign in.
SERVER = (
    Question("nobody", 401, BATCHES, user=None),
    Question("nobody, who scrapes", 401, "/admin/metrics", user=None),
    Question("nobody, who sends a form", 401, BATCHES, "POST", b"do=scan", None),
    Question("nobody, who says to be admin", 401, BATCHES, user=None, headers={"X_Remote_User": "admin"}),
    Question("a wrong password", 401, TASKS, user=None, headers={"Authorization": "Basic YWRtaW46d3Jvbmc="}),
    raw("more bytes than any form has", 413, b"x" * 2_000_000),
    Question("an address that nobody types", 414, BATCHES + "?" + "x" * 9000),
)

# Refused by the web server, whose other configuration decides how.
REFUSED = (
    Question("no such file", 404, "/admin/static/nothing.css"),
    Question("a folder", 403, "/admin/static/"),
    Question("a way out of static", 404, "/admin/static/../etc/panel.conf"),
    Question("a hidden way out of static", 404, "/admin/static/%2e%2e/etc/panel.conf"),
    Question("the well-known slip with an alias", 404, "/admin/static../etc/panel.conf"),
    Question("a page that is the site's", 404, "/admin/other.cgi"),
    Question("another program in cgi-bin", 404, "/admin/panel.wsgi"),
)

class Conversation:
    """Asks one server all of it, and remembers what later questions need."""

    def __init__(self, port: int, known: dict[str, str]):
        self.port, self.known = port, dict(known)

    def all(self) -> dict[str, Answer]:
        self._learn()
        return {question.name: self._ask(question) for question in (*PANEL, *STATIC, *SERVER, *REFUSED)}

    def _learn(self) -> None:
        self.known["token"] = ask(self.port, "GET", BATCHES, **JSON).json["csrf_token"]
        css = ask(self.port, "GET", CSS).headers
        self.known |= {"etag": css["etag"][0], "modified": css["last-modified"][0]}

    def _ask(self, question: Question) -> Answer:
        headers = {name: self._filled(value) for name, value in question.headers.items()}
        target, body = self._filled(question.target), self._body(question.body)
        answer = ask(self.port, question.method, target, body, question.user, **headers)
        for cookie in answer.headers.get("set-cookie", ()):
            self.known["outcome"] = cookie.split(";")[0].partition("=")[2]
        return answer

    def _body(self, body):
        if isinstance(body, dict):
            return urlencode({name: self._filled(value) for name, value in body.items()})
        if isinstance(body, list):
            return [self._filled(chunk.decode()).encode() for chunk in body]
        return body

    def _filled(self, text: str) -> str:
        for name, value in self.known.items():
            text = text.replace("{" + name + "}", value)
        return text
