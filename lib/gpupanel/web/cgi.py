"""The panel as the scripts in cgi-bin/ run it: configuration from the tree they stand in."""

import os
import sys
from pathlib import Path
from typing import Callable, Iterable
from wsgiref.handlers import CGIHandler

from .. import config
from ..errors import ConfigurationError
from .answers import HEADERS

UNUSABLE = b"The panel's configuration cannot be used. The web server's error log says what is wrong.\n"
PIECE = 64 * 1024


def application(tree: Path) -> Callable:
    """The panel configured by GPUPANEL_CONF or `etc/panel.conf` of the tree; without a usable configuration, a page
    that says so, while the problems go to the error log."""
    try:
        settings = config.load(config.locate(None, str(tree / "etc" / "panel.conf")))
    except ConfigurationError as error:
        print(error, *error.problems, error.hint, sep="\n", file=sys.stderr, flush=True)
        return _unusable
    from .app import application

    return application(settings)


def serve_once(tree: Path) -> None:
    """Answer the one request of a CGI process, and end. A thread that still waits for a mount that hangs cannot hold
    the process."""
    CGIHandler().run(_hearing_out(application(tree)))
    sys.stdout.flush()
    os._exit(0)


def _hearing_out(panel: Callable) -> Callable:
    """Reads what the panel left unread of a body before it answers: a web server that is still writing to a process
    that has ended gives up on the answer, too."""

    def answer(environ: dict, start_response: Callable) -> Iterable[bytes]:
        body = panel(environ, start_response)
        if "CONTENT_LENGTH" in environ or "HTTP_TRANSFER_ENCODING" in environ:
            while environ["wsgi.input"].read(PIECE):
                pass
        return body

    return answer


def _unusable(environ: dict, start_response: Callable) -> list[bytes]:
    headers = HEADERS | {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store"}
    start_response("500 Internal Server Error", list(headers.items()))
    return [UNUSABLE]
