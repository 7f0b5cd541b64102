"""The panel as one bottle application, for waitress, mod_wsgi and tests."""

from collections.abc import Callable, Iterable
from typing import TypeAlias

from bottle import Bottle, HTTPError, HTTPResponse, request, static_file

from .. import config
from . import templating
from .responses import Environ, HEADERS, Response, TITLES
from .application import PanelApplication
from .routes import METHODS

WEEK_SECONDS = 7 * 24 * 3600
Application: TypeAlias = Callable[[Environ, Callable[..., object]], Iterable[bytes]]


def application(settings: config.Settings) -> Application:
    """Return the WSGI application, with every module imported."""
    panel = PanelApplication(settings)
    panel.preload()
    return served(panel)


def served(panel: PanelApplication) -> Application:
    """Return the WSGI application of the panel and its static files."""
    app = Bottle()
    for path, methods in METHODS.items():
        app.route(path, list(methods), lambda: _to_bottle(panel.handle(request.environ)))
    app.route("/static/<name>", "GET", _static_file)
    # Errors of the framework get the panel's error page, never the framework's own.
    app.default_error_handler = lambda error: _error_page(panel, error)
    return lambda environ, start_response: app(_encode_path(panel.normalize_environ(environ)), start_response)


def _to_bottle(reply: Response) -> HTTPResponse:
    return HTTPResponse(reply.body, reply.line, reply.headers)


def _error_page(panel: PanelApplication, error: HTTPError) -> HTTPResponse:
    return _to_bottle(panel.handle_error_status(request.environ, error.status_code))


def _encode_path(environ: Environ) -> Environ:
    """Encode the path as WSGI requires it; bottle decodes it again."""
    return environ | {"PATH_INFO": environ["PATH_INFO"].encode().decode("latin-1")}


def _static_file(name: str) -> HTTPResponse:
    response = static_file(name, root=str(templating.STATIC))
    if response.status_code == 416:  # the file is for everybody, and so is the answer about its range
        size = (templating.STATIC / name).stat().st_size
        headers = {"Content-Type": "text/plain; charset=utf-8", "Content-Range": f"bytes */{size}"}
        response = HTTPResponse(TITLES[416], 416, headers)
    for header, value in (HEADERS | {"Cache-Control": f"max-age={WEEK_SECONDS}"}).items():
        response.set_header(header, value)
    return response
