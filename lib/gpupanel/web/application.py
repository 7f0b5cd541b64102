"""The panel as an application: WSGI environment in, response out.

`wsgi` serves it over WSGI, `entrypoints` over CGI. Modules that only some pages need are imported by those pages
(docs/CONTRACT.md, "10. Pages").
"""

from collections.abc import Callable, Mapping
from functools import cache
from types import ModuleType
from typing import IO, Any
from urllib.parse import quote

from .. import config
from ..db import Database
from ..errors import ConfigurationError, PanelError
from . import auth, csrf, error_mapping, etag, flash, proxy_headers, routes, status_bar, templating
from .request import Request
from .responses import Environ, FileResponse, HEADERS, Response
from .routes import HEALTH, METHODS, METRICS, PAGES, PATHS, READY
from .signing_key import SigningKey
from .status_bar import QueueSummary

IDLE_SECONDS = 30  # a process that was stopped within a transaction keeps its row locks this long
LOCK_SECONDS = 2  # wait for a locked row, before the whole transaction is tried again
DATABASE_SECONDS = 15  # a request waits this long for a database that hangs
ABOUT_A_BODY = ("Content-Type", "Last-Modified")  # headers that a response without a body leaves out
TEXT = {"Content-Type": "text/plain; charset=utf-8"}


class PanelApplication:
    """State that all requests share; no request leaves state for the next."""

    def __init__(self, settings: config.Settings):
        self.settings = settings
        self.db = Database(
            settings.database, idle_seconds=IDLE_SECONDS, lock_seconds=LOCK_SECONDS, read_timeout=DATABASE_SECONDS
        )
        self.secret = SigningKey(settings.panel.secret_file or settings.path.absolute().with_name("panel.secret"))
        self.renderer = templating.Renderer(
            settings.panel.templates, settings.mount.sync_dir, settings.panel.worker_unit
        )

    def normalize_environ(self, environ: Environ) -> Environ:
        """Apply proxy headers, and split the path as `handle` expects it."""
        return routes.normalize_path(proxy_headers.apply_proxy_headers(environ, self.settings.panel.trusted_proxies))

    def handle(self, environ: Environ) -> Response:
        """Respond to a request for anything but a static file."""
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        if path not in METHODS:
            return self.handle_error_status(environ, 404)
        if method not in METHODS[path]:
            return self.handle_error_status(environ, 405)
        handlers = {"/": self._home, HEALTH: self._health, READY: self._health, METRICS: self._metrics}
        return handlers.get(path, self._show)(environ)

    def handle_error_status(self, environ: Environ, status: int) -> Response:
        """Respond with an error status, such as 404 or 405."""
        def fail(request: Request) -> Response:
            raise error_mapping.error_for_status(status)

        reply = self._authenticated(environ, fail)
        if reply.status == 405:
            reply.headers["Allow"] = "GET, HEAD, POST" if environ["PATH_INFO"] in PATHS else "GET, HEAD"
        return reply

    def preload(self) -> None:
        """Import every page's modules, for a process that serves many requests."""
        from . import bulk_actions, form_actions  # noqa: F401

        for page in PAGES:
            page.load()

    def _show(self, environ: Environ) -> Response:
        return self._authenticated(environ, lambda request: (self._post if request.is_post else self._get)(request))

    def _home(self, environ: Environ) -> Response:
        return self._authenticated(environ, lambda request: _reply(b"", 303, {"Location": request.links.batches()}))

    def _health(self, environ: Environ) -> Response:
        """Respond whether the database answers, for READY also whether a worker beats; without authentication."""
        from .pages import health

        status, body = (health.readiness if environ["PATH_INFO"] == READY else health.answer)(self.db)
        return _reply(body, status, TEXT)

    def _metrics(self, environ: Environ) -> Response:
        """Respond to a scrape by a signed-in user or a local program (docs/decisions/0034)."""
        def answer(request: Request) -> Response:
            from .pages import metrics

            return _reply(metrics.answer(self.db, self.settings), 200, {"Content-Type": metrics.CONTENT_TYPE})

        return self._authenticated(environ, answer, auth.authenticate_or_local)

    def _authenticated(
        self, environ: Environ, work: Callable[[Request], Response],
        authenticate: Callable[[Environ, config.PanelSettings], auth.User] = auth.authenticate,
    ) -> Response:
        """Call `work` for a signed-in user; turn exceptions into responses."""
        request = Request(environ)
        try:
            request.user = authenticate(request.environ, self.settings.panel)
            return work(request)
        except Exception as error:
            return self._error_response(request, error)

    def _get(self, request: Request) -> Response:
        page = routes.match(request)
        if page.operators_only:
            auth.require_operator(request.signed_in)
        module = page.load()
        # A page with a flash message is shown once, so it has no ETag.
        has_tag = page.has_version and not _flash_cookie(request)
        tag, line = self._etag(request, module) if has_tag else ({}, None)
        if etag.is_current(request, tag):
            return _reply(b"", 304, tag)
        values = module.view(self.db, request, self.settings)
        if isinstance(values, FileResponse):
            return _reply(values.body, values.status, values.headers)
        return self._page(page.name, request, values, tag, line)

    def _page(
        self, name: str, request: Request, values: dict[str, Any], tag: Mapping[str, str] | None = None,
        line: QueueSummary | None = None,
    ) -> Response:
        """Render a page or its JSON; `line` is the summary, if already read."""
        token = self._token(request)
        if request.wants_json:
            head = {"page": name, "user": request.signed_in._asdict(), "csrf_token": token}
            return _json(head | values, 200, tag)
        notice, headers = self._flash(request)
        # Pages read the summary at most once, and only if they show it or an age.
        summary = cache(lambda: line or status_bar.load_or_none(self.db))
        context = {
            "csrf_token": token, "notice": notice, "glance": summary,
            "now": lambda: (summary() or status_bar.load_single(self.db)).now,
        }
        return _reply(self.renderer.page(name, request, **context, **values), 200, {**headers, **(tag or {})})

    def _etag(self, request: Request, module: ModuleType) -> tuple[dict[str, str], QueueSummary]:
        """Return a page's ETag header, and the summary."""
        version, line = module.etag_source(self.db, request, self.settings)
        return etag.headers(request, version, line, self._token(request)), line

    def _token(self, request: Request) -> str | None:
        user = request.signed_in
        return csrf.make_token(self.secret, user.name) if user.operator else None

    def _post(self, request: Request) -> Response:
        from . import bulk_actions  # here, since reading a page needs neither the mount nor the manifest's parser

        try:
            return self._act(request)
        except bulk_actions.NothingSelectedError as error:
            if request.wants_json:
                raise
            return self._back_to_page(request, {"ok": False, "summary": str(error), "lines": []})

    def _act(self, request: Request) -> Response:
        from . import bulk_actions, form_actions

        user = request.signed_in
        auth.require_operator(user)
        csrf.verify_token(request.environ, self.secret, user.name, request.form.get("csrf_token", [""])[-1])
        do, page = request.form.get("do", [""])[-1], None
        if bulk_actions.is_preview(request):
            return self._page("selection", request, bulk_actions.preview(
                self.db, self.settings.mount, self.secret, request,
            ))
        if do in bulk_actions.DO:
            outcome, page = bulk_actions.perform(self.db, self.settings.mount, self.secret, request, do)
        else:
            outcome = form_actions.perform(self.db, self.settings.mount, request.form, user.name)
        if request.wants_json:
            return _json(outcome._asdict())
        if page:
            return self._page("selection", request, page)
        message = {"ok": outcome.ok, "summary": outcome.summary, "lines": outcome.lines}
        return self._back_to_page(request, message, outcome.shown_sync_id)

    def _back_to_page(self, request: Request, message: dict[str, Any], sync_id: str | None = None) -> Response:
        """Redirect to the page of a form, or to a batch; the page shows the flash message."""
        cookie = flash.dump(self.secret, request.signed_in.name, message)
        address = request.links.batch(sync_id) if sync_id else request.current_url
        return _reply(b"", 303, {"Location": address, **_set_cookie(request, cookie)})

    def _flash(self, request: Request) -> tuple[dict[str, Any] | None, dict[str, str]]:
        """Return the flash message, and the header that clears its cookie."""
        value = _flash_cookie(request)
        if not value:
            return None, {}
        return flash.load(self.secret, request.signed_in.name, value), _set_cookie(request, "")

    def _error_response(self, request: Request, error: Exception) -> Response:
        problem = error_mapping.error_payload(error)
        status = problem["status"]
        if status >= 500:
            _log(request, error)
        try:
            if request.wants_json:
                return _json({"page": "error", "error": problem}, status)
            summary = cache(lambda: status_bar.load_or_none(self.db)) if request.user and status < 500 else None
            context = {"csrf_token": None, "notice": None, "glance": summary, "problem": problem}
            return _reply(self.renderer.page("error", request, **context), status)
        except Exception as another:  # such as a broken template of the host panel
            _log(request, another)
            text = f"{status} {problem['title']}\n\n{problem['message']} {problem['hint']}\n"
            return _reply(text.encode(), status, TEXT)


def _reply(body: bytes | IO[bytes], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response with the default headers, and `headers` over them."""
    default = {"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store", "Vary": "Accept"}
    merged = {**HEADERS, **default, **(headers or {})}
    for name in ABOUT_A_BODY if status == 304 else ():
        merged.pop(name, None)
    return Response(status, merged, body)


def _json(values: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return _reply(templating.as_json(values), status, {**(headers or {}), "Content-Type": "application/json"})


def _flash_cookie(request: Request) -> str | None:
    """Return the flash message's cookie, if a person will read the response."""
    return None if request.is_background_refresh or request.wants_json else flash.cookie(request.environ)


def _set_cookie(request: Request, value: str) -> dict[str, str]:
    return {"Set-Cookie": flash.set_cookie(request.environ, f"{request.links.base}/", value)}


def _log(request: Request, error: Exception) -> None:
    """Write an error to the web server's log, with traceback if unexpected."""
    if isinstance(error, PanelError):
        problems = error.problems if isinstance(error, ConfigurationError) else []
        text = "; ".join([f"{type(error).__name__}: {error}", *problems]) + "\n"
    else:
        from traceback import format_exception  # slow to import, and rarely needed

        text = "".join(format_exception(error))
    request.environ["wsgi.errors"].write(f"{request.environ['REQUEST_METHOD']} {quote(request.path)}: {text}")
    request.environ["wsgi.errors"].flush()
