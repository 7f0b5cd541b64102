"""The panel as one WSGI application: its pages, and a request's way to one (DESIGN section 10)."""

import traceback
from datetime import datetime
from functools import cache
from hashlib import sha256
from typing import Any, BinaryIO, Callable, NamedTuple
from urllib.parse import quote

from bottle import Bottle, HTTPError, HTTPResponse, request, static_file

from .. import config
from ..database import Database
from ..errors import ConfigurationError
from ..filters import ACTIONS
from . import answers, auth, forms, glance, proxies, render
from .answers import HEADERS
from .files import File
from .pages import batch, batches, doctor, export, health, picture, tasks
from .visit import Visit

FOLDER = "/admin"  # where the pages are when the web server has not chosen a folder
WEEK = 7 * 24 * 3600
IDLE_SECONDS = 30  # how long a process that was stopped in a transaction can keep its rows
LOCK_SECONDS = 2  # how long for a row that somebody holds, before the whole is tried again
DATABASE_SECONDS = 15  # how long a request waits for a database that hangs


class Page(NamedTuple):
    """Shown at `path` when the query has all of `selected`; the template bears its name, unless it shows a File.
    `version` tells, at less cost than the page, what it depends on."""

    name: str
    path: str
    selected: dict[str, str]
    show: Callable[[Database, Visit, config.Settings], dict[str, Any] | File]
    operators_only: bool = False
    version: Callable[[Database, Visit, config.Settings], str] | None = None


# Every page there is; the first that fits is shown.
PAGES = (
    Page("batch", "/import-media.cgi", {"action": "detail"}, batch.show),
    Page("items", "/import-media.cgi", {"action": "items"}, export.show),
    Page("picture", "/import-media.cgi", {"action": "picture"}, picture.show),
    Page("doctor", "/import-media.cgi", {"action": "doctor"}, doctor.show, operators_only=True),
    Page("tasks", "/import-media.cgi", {"tab": "queue"}, tasks.show, version=tasks.version),
    Page("batches", "/import-media.cgi", {}, batches.show),
    Page("tasks", "/import-tasks.cgi", {}, tasks.show, version=tasks.version),
)
PATHS = tuple(dict.fromkeys(page.path for page in PAGES))
HEALTH, METRICS = "/health", "/metrics"  # for machines


def application(settings: config.Settings) -> Callable:
    """The WSGI application of the panel with these settings."""
    panel, app = Panel(settings), Bottle()
    for path in PATHS:
        app.route(path, ["GET", "POST"], panel.answer)
    app.route("/", "GET", panel.home)
    app.route(HEALTH, "GET", panel.health)
    app.route(METRICS, "GET", panel.metrics)
    app.route("/static/<name>", "GET", _static)
    app.default_error_handler = panel.refuse
    trusted = settings.panel.trusted_proxies
    return lambda environ, start_response: app(_placed(proxies.as_received(environ, trusted)), start_response)


class Panel:
    """What all requests share, and nothing that one of them leaves for the next."""

    def __init__(self, settings: config.Settings):
        self.settings = settings
        self.db = Database(
            settings.database, idle_seconds=IDLE_SECONDS, lock_seconds=LOCK_SECONDS, read_timeout=DATABASE_SECONDS
        )
        self.secret = forms.Secret(settings.panel.secret_file or settings.path.absolute().with_name("panel.secret"))
        self.renderer = render.Renderer(settings.panel.templates, settings.mount.sync_dir)

    def answer(self) -> HTTPResponse:
        """A page, or what its form did."""
        return self._guarded(lambda visit: (self._post if visit.posted else self._get)(visit))

    def home(self) -> HTTPResponse:
        return self._guarded(lambda visit: _response(b"", 303, Location=visit.links.batches()))

    def health(self) -> HTTPResponse:
        """One word for whoever asks, signed in or not."""
        status, body = health.answer(self.db)
        return _response(body, status, Content_Type="text/plain; charset=utf-8")

    def metrics(self) -> HTTPResponse:
        """For those who may look, and for a program of this machine that asks without a proxy (docs/DECISIONS.md)."""
        visit = Visit(request.environ)
        try:
            visit.user = auth.sign_in_or_local(visit.environ, self.settings.panel)
            from .pages import metrics  # only a scrape needs the library

            return _response(metrics.answer(self.db, self.settings), Content_Type=metrics.CONTENT_TYPE)
        except Exception as error:
            return self._problem(visit, error)

    def refuse(self, error: HTTPError) -> HTTPResponse:
        """What is no page, or no method of it; the framework's own pages are never shown."""

        def refusal(visit: Visit):
            raise answers.of_status(error.status_code)

        response = self._guarded(refusal)
        if response.status_code == 405:
            response.set_header("Allow", "GET, HEAD, POST" if request.path in PATHS else "GET, HEAD")
        return response

    def _guarded(self, work: Callable[[Visit], HTTPResponse]) -> HTTPResponse:
        """`work(visit)` for someone who is signed in; every error becomes an answer."""
        visit = Visit(request.environ)
        try:
            visit.user = auth.sign_in(visit.environ, self.settings.panel)
            return work(visit)
        except Exception as error:
            return self._problem(visit, error)

    def _get(self, visit: Visit) -> HTTPResponse:
        page = _chosen(visit)
        if page.operators_only:
            auth.require_operator(visit.user)
        tag = _tag(visit, page.version(self.db, visit, self.settings)) if page.version else {}
        if tag and tag["ETag"][3:-1] in visit.environ.get("HTTP_IF_NONE_MATCH", ""):
            return _response(b"", 304, **tag)
        shown = page.show(self.db, visit, self.settings)
        if isinstance(shown, File):
            return _response(shown.body, shown.status, **shown.headers)
        return self._page(page.name, visit, shown, tag)

    def _page(self, name: str, visit: Visit, values: dict[str, Any], tag: dict[str, str] = {}) -> HTTPResponse:
        token = forms.token(self.secret, visit.user.name) if visit.user.operator else None
        if visit.wants_json:
            head = {"page": name, "user": visit.user._asdict(), "csrf_token": token}
            return _json(head | values, **tag)
        notice, headers = self._notice(visit)
        # Read only where a page shows it.
        known = {"csrf_token": token, "notice": notice, "glance": lambda: glance.at_hand(self.db), "now": cache(self._now)}
        return _response(self.renderer.page(name, visit, **known, **values), **headers, **tag)

    def _now(self) -> datetime:
        """The database's time, by which all ages are told."""
        return self.db.read(lambda tx: tx.value("queue.now"))

    def _post(self, visit: Visit) -> HTTPResponse:
        from . import operations, selecting  # reading a page needs neither the mount nor the manifest's decoder

        auth.require_operator(visit.user)
        forms.check(visit.environ, self.secret, visit.user.name, visit.form.get("csrf_token", [""])[-1])
        do, page = visit.form.get("do", [""])[-1], None
        if "preview" in visit.form:
            return self._page("selection", visit, selecting.preview(self.db, self.secret, visit))
        if do in selecting.DO:
            outcome, page = selecting.perform(self.db, self.settings.mount, self.secret, visit, do)
        else:
            outcome = operations.perform(self.db, self.settings.mount, visit.form, visit.user.name)
        if visit.wants_json:
            return _json(outcome._asdict())
        if page:
            return self._page("selection", visit, page)
        shown = {"ok": outcome.ok, "summary": outcome.summary, "lines": outcome.lines}
        value = forms.pack(self.secret, visit.user.name, shown)
        return _response(b"", 303, Location=visit.here, **_cookie(visit, value))

    def _notice(self, visit: Visit) -> tuple[dict | None, dict[str, str]]:
        """What became of the form that was sent last, told once: with the headers that make it forgotten."""
        value = None if visit.refreshes else forms.cookie(visit.environ)
        if not value:
            return None, {}
        return forms.unpack(self.secret, visit.user.name, value), _cookie(visit, "")

    def _problem(self, visit: Visit, error: Exception) -> HTTPResponse:
        problem = answers.problem(error)
        if problem["status"] >= 500:
            _log(visit, error)
        try:
            if visit.wants_json:
                return _json({"page": "error", "error": problem}, problem["status"])
            body = self.renderer.page("error", visit, csrf_token=None, notice=None, glance=None, problem=problem)
            return _response(body, problem["status"])
        except Exception as another:
            _log(visit, another)
            text = f"{problem['status']} {problem['title']}\n\n{problem['message']} {problem['hint']}\n"
            return _response(text.encode(), problem["status"], Content_Type="text/plain; charset=utf-8")


def _chosen(visit: Visit) -> Page:
    """The page that the request means. Raises InvalidInput for a tab or action that there is none of."""
    visit.choice("tab", ["batches", "queue"])
    visit.choice("action", ["detail", "items", "picture", "doctor", *ACTIONS])
    return next(
        page for page in PAGES if page.path == visit.path and page.selected.items() <= visit.query.items()
    )


def _placed(environ: dict) -> dict:
    """SCRIPT_NAME is the folder of the pages and PATH_INFO the page, however the web server has divided the two."""
    script, path = environ.get("SCRIPT_NAME", "").rstrip("/"), _utf8(environ.get("PATH_INFO", ""))
    folder, slash, name = script.rpartition("/")
    if slash + name in (*PATHS, HEALTH, METRICS):
        script, path = folder, slash + name + path
    elif path == FOLDER or path.startswith(FOLDER + "/"):
        script, path = script + FOLDER, path[len(FOLDER):]
    elif not script and path in ("", "/"):
        script = FOLDER
    return environ | {"SCRIPT_NAME": script, "PATH_INFO": path or "/"}


def _utf8(path: str) -> str:
    """What is not UTF-8 stays visible as such: the web framework would drop it, and take one address for another."""
    return path.encode("latin-1", "replace").decode("utf-8", "replace").encode().decode("latin-1")


def _response(body: bytes | BinaryIO, status: int = 200, **headers: str) -> HTTPResponse:
    """Keyword arguments are headers, with `_` for `-`."""
    known = {"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store", "Vary": "Accept"}
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return HTTPResponse(body, status, HEADERS | known | given)


def _json(values: dict, status: int = 200, **headers: str) -> HTTPResponse:
    return _response(render.as_json(values), status, Content_Type="application/json", **headers)


def _tag(visit: Visit, version: str) -> dict[str, str]:
    """The ETag of a page of this version for its reader: weak, since ages on it may differ by seconds."""
    reader = (visit.user, visit.wants_json, visit.links.base, visit.path, sorted(visit.query.items()), version)
    return {"ETag": f'W/"{sha256(repr(reader).encode()).hexdigest()[:32]}"'}


def _cookie(visit: Visit, value: str) -> dict[str, str]:
    return {"Set_Cookie": forms.set_cookie(visit.environ, f"{visit.links.base}/", value)}


def _static(name: str) -> HTTPResponse:
    response = static_file(name, root=str(render.STATIC))
    for header, value in (HEADERS | {"Cache-Control": f"max-age={WEEK}"}).items():
        response.set_header(header, value)
    return response


def _log(visit: Visit, error: Exception) -> None:
    """For whoever runs the panel: what failed, where; of our own errors the message says it all."""
    if isinstance(error, answers.errors.PanelError):
        problems = error.problems if isinstance(error, ConfigurationError) else []
        text = "; ".join([f"{type(error).__name__}: {error}", *problems]) + "\n"
    else:
        text = "".join(traceback.format_exception(error))
    visit.environ["wsgi.errors"].write(f"{visit.environ['REQUEST_METHOD']} {quote(visit.path)}: {text}")
    visit.environ["wsgi.errors"].flush()
