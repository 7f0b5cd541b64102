"""The panel, whatever carries it: a request's environment in, an answer out (docs/CONTRACT.md, 10).

`app` carries it by WSGI, `cgi` by CGI. What only some pages need is imported by those.
"""

from functools import cache
from hashlib import sha256
from types import ModuleType
from typing import Any, BinaryIO, Callable
from urllib.parse import quote

from .. import config
from ..database import Database
from ..errors import ConfigurationError, PanelError
from . import answers, auth, forms, glance, proxies, render, routes
from .answers import HEADERS, Reply
from .files import File
from .glance import Glance
from .routes import HEALTH, METHODS, METRICS, PAGES, PATHS
from .visit import Visit

IDLE_SECONDS = 30  # how long a process that was stopped in a transaction can keep its rows
LOCK_SECONDS = 2  # how long for a row that somebody holds, before the whole is tried again
DATABASE_SECONDS = 15  # how long a request waits for a database that hangs
ABOUT_A_BODY = ("Content-Type", "Last-Modified")  # what a browser that has it already is not told again


class Panel:
    """What all requests share, and nothing that one of them leaves for the next."""

    def __init__(self, settings: config.Settings):
        self.settings = settings
        self.db = Database(
            settings.database, idle_seconds=IDLE_SECONDS, lock_seconds=LOCK_SECONDS, read_timeout=DATABASE_SECONDS
        )
        self.secret = forms.Secret(settings.panel.secret_file or settings.path.absolute().with_name("panel.secret"))
        self.renderer = render.Renderer(settings.panel.templates, settings.mount.sync_dir)

    def received(self, environ: dict) -> dict:
        """The request as the visitor sent it, whatever stands in between: its PATH_INFO is a page, as text, and its
        SCRIPT_NAME the folder of the pages. `answer` and `refuse` take it so."""
        return routes.placed(proxies.as_received(environ, self.settings.panel.trusted_proxies))

    def answer(self, environ: dict) -> Reply:
        """Of all there is but static files: a page, what its form did, or why not."""
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        if path not in METHODS:
            return self.refuse(environ, 404)
        if method not in METHODS[path]:
            return self.refuse(environ, 405)
        answers = {"/": self._home, HEALTH: self._health, METRICS: self._metrics}
        return answers.get(path, self._show)(environ)

    def refuse(self, environ: dict, status: int) -> Reply:
        """What is no page, or no method of it."""
        def refusal(visit: Visit):
            raise answers.of_status(status)

        reply = self._guarded(environ, refusal)
        if reply.status == 405:
            reply.headers["Allow"] = "GET, HEAD, POST" if environ["PATH_INFO"] in PATHS else "GET, HEAD"
        return reply

    def load(self) -> None:
        """Import what any page may need, for a process that stays."""
        from . import operations, selecting  # noqa: F401

        for page in PAGES:
            page.load()

    def _show(self, environ: dict) -> Reply:
        return self._guarded(environ, lambda visit: (self._post if visit.posted else self._get)(visit))

    def _home(self, environ: dict) -> Reply:
        return self._guarded(environ, lambda visit: _reply(b"", 303, Location=visit.links.batches()))

    def _health(self, environ: dict) -> Reply:
        """One word for whoever asks, signed in or not."""
        from .pages import health

        status, body = health.answer(self.db)
        return _reply(body, status, Content_Type="text/plain; charset=utf-8")

    def _metrics(self, environ: dict) -> Reply:
        """For those who may look, and for a program of this machine that asks without a proxy (docs/decisions/0034)."""
        visit = Visit(environ)
        try:
            visit.user = auth.sign_in_or_local(visit.environ, self.settings.panel)
            from .pages import metrics

            return _reply(metrics.answer(self.db, self.settings), Content_Type=metrics.CONTENT_TYPE)
        except Exception as error:
            return self._problem(visit, error)

    def _guarded(self, environ: dict, work: Callable[[Visit], Reply]) -> Reply:
        """`work(visit)` for someone who is signed in; every error becomes an answer."""
        visit = Visit(environ)
        try:
            visit.user = auth.sign_in(visit.environ, self.settings.panel)
            return work(visit)
        except Exception as error:
            return self._problem(visit, error)

    def _get(self, visit: Visit) -> Reply:
        page = routes.chosen(visit)
        if page.operators_only:
            auth.require_operator(visit.user)
        module = page.load()
        # What a form did is told on the page that follows, and once; that page is like no other.
        tag, line = self._tag(visit, module) if hasattr(module, "version") and not _outcome(visit) else ({}, None)
        if tag and tag["ETag"][3:-1] in visit.environ.get("HTTP_IF_NONE_MATCH", ""):
            return _reply(b"", 304, **tag)
        shown = module.show(self.db, visit, self.settings)
        if isinstance(shown, File):
            return _reply(shown.body, shown.status, **shown.headers)
        return self._page(page.name, visit, shown, tag, line)

    def _page(
        self, name: str, visit: Visit, values: dict[str, Any], tag: dict[str, str] = {}, line: Glance | None = None
    ) -> Reply:
        token = self._token(visit)
        if visit.wants_json:
            head = {"page": name, "user": visit.user._asdict(), "csrf_token": token}
            return _json(head | values, **tag)
        notice, headers = self._notice(visit)
        # Read once, and only where a page shows it; ages are told by the database's time.
        seen = cache(lambda: line or glance.at_hand(self.db))
        known = {"csrf_token": token, "notice": notice, "glance": seen}
        known["now"] = lambda: (seen() or self.db.read(glance.told)).now
        return _reply(self.renderer.page(name, visit, **known, **values), **headers, **tag)

    def _tag(self, visit: Visit, module: ModuleType) -> tuple[dict[str, str], Glance | None]:
        """The ETag of a page, made of its version, its reader and its address; and the status line, if it was read for that.
        Both are found before the page is, which can then only be newer than its tag. Weak, since the ages of jobs may differ by
        seconds."""
        version, line = module.version(self.db, visit, self.settings)
        reader = visit.user, self._token(visit), visit.wants_json
        address = visit.links.base, visit.path, sorted(visit.query.items())
        digest = sha256(repr((version, reader, address)).encode()).hexdigest()
        return {"ETag": f'W/"{digest[:32]}"'}, line

    def _token(self, visit: Visit) -> str | None:
        return forms.token(self.secret, visit.user.name) if visit.user.operator else None

    def _post(self, visit: Visit) -> Reply:
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
        return _reply(b"", 303, Location=visit.here, **_cookie(visit, value))

    def _notice(self, visit: Visit) -> tuple[dict | None, dict[str, str]]:
        """What became of the form that was sent last, told once: with the headers that make it forgotten."""
        value = _outcome(visit)
        if not value:
            return None, {}
        return forms.unpack(self.secret, visit.user.name, value), _cookie(visit, "")

    def _problem(self, visit: Visit, error: Exception) -> Reply:
        problem = answers.problem(error)
        if problem["status"] >= 500:
            _log(visit, error)
        try:
            if visit.wants_json:
                return _json({"page": "error", "error": problem}, problem["status"])
            body = self.renderer.page("error", visit, csrf_token=None, notice=None, glance=None, problem=problem)
            return _reply(body, problem["status"])
        except Exception as another:
            _log(visit, another)
            text = f"{problem['status']} {problem['title']}\n\n{problem['message']} {problem['hint']}\n"
            return _reply(text.encode(), problem["status"], Content_Type="text/plain; charset=utf-8")


def _reply(body: bytes | BinaryIO, status: int = 200, **headers: str) -> Reply:
    """Keyword arguments are headers, with `_` for `-`."""
    known = {"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store", "Vary": "Accept"}
    given = HEADERS | known | {name.replace("_", "-"): value for name, value in headers.items()}
    for name in ABOUT_A_BODY if status == 304 else ():
        given.pop(name, None)
    return Reply(status, given, body)


def _json(values: dict, status: int = 200, **headers: str) -> Reply:
    return _reply(render.as_json(values), status, Content_Type="application/json", **headers)


def _outcome(visit: Visit) -> str | None:
    """What a form did that was sent last, as its cookie says, if somebody is to read it now."""
    return None if visit.refreshes or visit.wants_json else forms.cookie(visit.environ)


def _cookie(visit: Visit, value: str) -> dict[str, str]:
    return {"Set_Cookie": forms.set_cookie(visit.environ, f"{visit.links.base}/", value)}


def _log(visit: Visit, error: Exception) -> None:
    """For whoever runs the panel: what failed, where; of our own errors the message says it all."""
    if isinstance(error, PanelError):
        problems = error.problems if isinstance(error, ConfigurationError) else []
        text = "; ".join([f"{type(error).__name__}: {error}", *problems]) + "\n"
    else:
        from traceback import format_exception  # rare, and dear to import

        text = "".join(format_exception(error))
    visit.environ["wsgi.errors"].write(f"{visit.environ['REQUEST_METHOD']} {quote(visit.path)}: {text}")
    visit.environ["wsgi.errors"].flush()
