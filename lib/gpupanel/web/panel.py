"""The panel as an application: WSGI environment in, response out.

`app` serves it over WSGI, `cgi` over CGI. Modules that only some pages need are imported by those pages
(docs/CONTRACT.md, "10. Pages").
"""

from collections.abc import Callable, Mapping
from functools import cache
from hashlib import sha256
from types import ModuleType
from typing import IO, Any
from urllib.parse import quote

from .. import config
from ..database import Database
from ..errors import ConfigurationError, PanelError
from . import answers, auth, forms, glance, proxies, render, routes
from .answers import HEADERS, Environ, File, Reply
from .glance import Glance
from .routes import HEALTH, METHODS, METRICS, PAGES, PATHS
from .visit import Visit

IDLE_SECONDS = 30  # a process that was stopped within a transaction keeps its row locks this long
LOCK_SECONDS = 2  # wait for a locked row, before the whole transaction is tried again
DATABASE_SECONDS = 15  # a request waits this long for a database that hangs
ABOUT_A_BODY = ("Content-Type", "Last-Modified")  # headers that a response without a body leaves out
TEXT = {"Content-Type": "text/plain; charset=utf-8"}


class Panel:
    """State that all requests share; no request leaves state for the next."""

    def __init__(self, settings: config.Settings):
        self.settings = settings
        self.db = Database(
            settings.database, idle_seconds=IDLE_SECONDS, lock_seconds=LOCK_SECONDS, read_timeout=DATABASE_SECONDS
        )
        self.secret = forms.Secret(settings.panel.secret_file or settings.path.absolute().with_name("panel.secret"))
        self.renderer = render.Renderer(settings.panel.templates, settings.mount.sync_dir)

    def received(self, environ: Environ) -> Environ:
        """Apply proxy headers, and split the path as `answer` expects it."""
        return routes.placed(proxies.as_received(environ, self.settings.panel.trusted_proxies))

    def answer(self, environ: Environ) -> Reply:
        """Respond to a request for anything but a static file."""
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        if path not in METHODS:
            return self.refuse(environ, 404)
        if method not in METHODS[path]:
            return self.refuse(environ, 405)
        handlers = {"/": self._home, HEALTH: self._health, METRICS: self._metrics}
        return handlers.get(path, self._show)(environ)

    def refuse(self, environ: Environ, status: int) -> Reply:
        """Respond with an error status, such as 404 or 405."""
        def fail(visit: Visit) -> Reply:
            raise answers.of_status(status)

        reply = self._authenticated(environ, fail)
        if reply.status == 405:
            reply.headers["Allow"] = "GET, HEAD, POST" if environ["PATH_INFO"] in PATHS else "GET, HEAD"
        return reply

    def load(self) -> None:
        """Import every page's modules, for a process that serves many requests."""
        from . import operations, selecting  # noqa: F401

        for page in PAGES:
            page.load()

    def _show(self, environ: Environ) -> Reply:
        return self._authenticated(environ, lambda visit: (self._post if visit.posted else self._get)(visit))

    def _home(self, environ: Environ) -> Reply:
        return self._authenticated(environ, lambda visit: _reply(b"", 303, {"Location": visit.links.batches()}))

    def _health(self, environ: Environ) -> Reply:
        """Respond to a health check, without authentication."""
        from .pages import health

        status, body = health.answer(self.db)
        return _reply(body, status, TEXT)

    def _metrics(self, environ: Environ) -> Reply:
        """Respond to a scrape by a signed-in user or a local program (docs/decisions/0034)."""
        visit = Visit(environ)
        try:
            visit.user = auth.sign_in_or_local(visit.environ, self.settings.panel)
            from .pages import metrics

            return _reply(metrics.answer(self.db, self.settings), 200, {"Content-Type": metrics.CONTENT_TYPE})
        except Exception as error:
            return self._error_response(visit, error)

    def _authenticated(self, environ: Environ, work: Callable[[Visit], Reply]) -> Reply:
        """Call `work` for a signed-in user; turn exceptions into responses."""
        visit = Visit(environ)
        try:
            visit.user = auth.sign_in(visit.environ, self.settings.panel)
            return work(visit)
        except Exception as error:
            return self._error_response(visit, error)

    def _get(self, visit: Visit) -> Reply:
        page = routes.chosen(visit)
        if page.operators_only:
            auth.require_operator(visit.signed_in)
        module = page.load()
        # A page with a flash message is shown once, so it has no ETag.
        has_tag = page.has_version and not _flash_cookie(visit)
        tag, line = self._etag(visit, module) if has_tag else ({}, None)
        if tag and tag["ETag"][3:-1] in visit.environ.get("HTTP_IF_NONE_MATCH", ""):
            return _reply(b"", 304, tag)
        values = module.show(self.db, visit, self.settings)
        if isinstance(values, File):
            return _reply(values.body, values.status, values.headers)
        return self._page(page.name, visit, values, tag, line)

    def _page(
        self, name: str, visit: Visit, values: dict[str, Any], tag: Mapping[str, str] | None = None,
        line: Glance | None = None,
    ) -> Reply:
        """Render a page or its JSON; `line` is the summary, if already read."""
        token = self._token(visit)
        if visit.wants_json:
            head = {"page": name, "user": visit.signed_in._asdict(), "csrf_token": token}
            return _json(head | values, 200, tag)
        notice, headers = self._flash(visit)
        # Pages read the summary at most once, and only if they show it or an age.
        summary = cache(lambda: line or glance.at_hand(self.db))
        context = {
            "csrf_token": token, "notice": notice, "glance": summary,
            "now": lambda: (summary() or self.db.read(glance.told)).now,
        }
        return _reply(self.renderer.page(name, visit, **context, **values), 200, {**headers, **(tag or {})})

    def _etag(self, visit: Visit, module: ModuleType) -> tuple[dict[str, str], Glance | None]:
        """Return a page's ETag header, and the summary if it was read for that.

        It covers the page's version, reader and address. It is read before the page, so the page can only be newer
        than its ETag. It is weak, since ages may differ by seconds.
        """
        version, line = module.version(self.db, visit, self.settings)
        reader = visit.user, self._token(visit), visit.wants_json
        address = visit.links.base, visit.path, sorted(visit.query.items())
        digest = sha256(repr((version, reader, address)).encode()).hexdigest()
        return {"ETag": f'W/"{digest[:32]}"'}, line

    def _token(self, visit: Visit) -> str | None:
        user = visit.signed_in
        return forms.token(self.secret, user.name) if user.operator else None

    def _post(self, visit: Visit) -> Reply:
        # Imported here, since reading a page needs neither the mount nor the manifest's parser.
        from . import operations, selecting

        user = visit.signed_in
        auth.require_operator(user)
        forms.check(visit.environ, self.secret, user.name, visit.form.get("csrf_token", [""])[-1])
        do, page = visit.form.get("do", [""])[-1], None
        if "preview" in visit.form:
            return self._page("selection", visit, selecting.preview(self.db, self.secret, visit))
        if do in selecting.DO:
            outcome, page = selecting.perform(self.db, self.settings.mount, self.secret, visit, do)
        else:
            outcome = operations.perform(self.db, self.settings.mount, visit.form, user.name)
        if visit.wants_json:
            return _json(outcome._asdict())
        if page:
            return self._page("selection", visit, page)
        message = {"ok": outcome.ok, "summary": outcome.summary, "lines": outcome.lines}
        cookie = forms.pack(self.secret, user.name, message)
        return _reply(b"", 303, {"Location": visit.here, **_set_cookie(visit, cookie)})

    def _flash(self, visit: Visit) -> tuple[dict[str, Any] | None, dict[str, str]]:
        """Return the flash message, and the header that clears its cookie."""
        value = _flash_cookie(visit)
        if not value:
            return None, {}
        return forms.unpack(self.secret, visit.signed_in.name, value), _set_cookie(visit, "")

    def _error_response(self, visit: Visit, error: Exception) -> Reply:
        problem = answers.problem(error)
        status = problem["status"]
        if status >= 500:
            _log(visit, error)
        try:
            if visit.wants_json:
                return _json({"page": "error", "error": problem}, status)
            context = {"csrf_token": None, "notice": None, "glance": None, "problem": problem}
            return _reply(self.renderer.page("error", visit, **context), status)
        except Exception as another:  # such as a broken template of the host panel
            _log(visit, another)
            text = f"{status} {problem['title']}\n\n{problem['message']} {problem['hint']}\n"
            return _reply(text.encode(), status, TEXT)


def _reply(body: bytes | IO[bytes], status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """Return a response with the default headers, and `headers` over them."""
    default = {"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store", "Vary": "Accept"}
    merged = {**HEADERS, **default, **(headers or {})}
    for name in ABOUT_A_BODY if status == 304 else ():
        merged.pop(name, None)
    return Reply(status, merged, body)


def _json(values: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    return _reply(render.as_json(values), status, {**(headers or {}), "Content-Type": "application/json"})


def _flash_cookie(visit: Visit) -> str | None:
    """Return the flash message's cookie, if a person will read the response."""
    return None if visit.refreshes or visit.wants_json else forms.cookie(visit.environ)


def _set_cookie(visit: Visit, value: str) -> dict[str, str]:
    return {"Set-Cookie": forms.set_cookie(visit.environ, f"{visit.links.base}/", value)}


def _log(visit: Visit, error: Exception) -> None:
    """Write an error to the web server's log, with traceback if unexpected."""
    if isinstance(error, PanelError):
        problems = error.problems if isinstance(error, ConfigurationError) else []
        text = "; ".join([f"{type(error).__name__}: {error}", *problems]) + "\n"
    else:
        from traceback import format_exception  # slow to import, and rarely needed

        text = "".join(format_exception(error))
    visit.environ["wsgi.errors"].write(f"{visit.environ['REQUEST_METHOD']} {quote(visit.path)}: {text}")
    visit.environ["wsgi.errors"].flush()
