"""The panel as one WSGI application, by bottle: for waitress, mod_wsgi and tests."""

from typing import Callable

from bottle import Bottle, HTTPError, HTTPResponse, request, static_file

from .. import config
from . import render
from .answers import HEADERS, Reply
from .panel import Panel
from .routes import METHODS

WEEK = 7 * 24 * 3600


def application(settings: config.Settings) -> Callable:
    """The WSGI application of the panel with these settings, all of it loaded."""
    panel = Panel(settings)
    panel.load()
    return served(panel)


def served(panel: Panel) -> Callable:
    """The panel's pages and its static files as a WSGI application."""
    app = Bottle()
    for path, methods in METHODS.items():
        app.route(path, list(methods), lambda: _carried(panel.answer(request.environ)))
    app.route("/static/<name>", "GET", _static)
    # What the framework refuses; its own pages are never shown.
    app.default_error_handler = lambda error: _refusal(panel, error)
    return lambda environ, start_response: app(_encoded(panel.received(environ)), start_response)


def _carried(reply: Reply) -> HTTPResponse:
    return HTTPResponse(reply.body, reply.line, reply.headers)


def _refusal(panel: Panel, error: HTTPError) -> HTTPResponse:
    return _carried(panel.refuse(request.environ, error.status_code))


def _encoded(environ: dict) -> dict:
    """The framework decodes the path once more, as WSGI has it."""
    return environ | {"PATH_INFO": environ["PATH_INFO"].encode().decode("latin-1")}


def _static(name: str) -> HTTPResponse:
    response = static_file(name, root=str(render.STATIC))
    for header, value in (HEADERS | {"Cache-Control": f"max-age={WEEK}"}).items():
        response.set_header(header, value)
    return response
