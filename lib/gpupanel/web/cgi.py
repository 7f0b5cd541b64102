"""The panel as the scripts in cgi-bin/ run it: configuration from the tree they stand in.

A CGI program first asks the panel's service, if the configuration names one (`ask`); without an answer it loads the
panel and answers by itself. Nothing of the panel is imported before that is known.
"""

import os
import sys

from . import ask

UNUSABLE = b"The panel's configuration cannot be used. The web server's error log says what is wrong.\n"
LOCATION = "GPUPANEL_CONF"


def serve_once(tree: str) -> None:
    """Answer the one request of a CGI process, and end. A thread that still waits for a mount that hangs cannot hold
    the process."""
    conf = os.path.abspath(os.environ.get(LOCATION) or os.path.join(tree, "etc", "panel.conf"))
    asked = ask.answer(os.fsencode(conf), os.environb)
    if asked:
        sys.stderr.buffer.write(asked[0])
        sys.stdout.buffer.write(asked[1])
    else:
        _answer(conf)
    sys.stderr.flush()
    sys.stdout.flush()
    os._exit(0)


def application(tree):
    """The WSGI application, likewise configured."""
    settings = _settings(os.environ.get(LOCATION) or os.path.join(tree, "etc", "panel.conf"))
    if settings is None:
        return _unusable
    from .app import application

    return application(settings)


def _answer(conf: str) -> None:
    import gc

    gc.disable()  # one answer leaves little behind, and then the process ends
    settings = _settings(conf)
    from . import gateway

    if settings is None:
        return gateway.write(_nothing(), sys.stdout.buffer)
    from .panel import Panel

    request = gateway.environ(os.environb, sys.stdin.buffer, sys.stderr)
    gateway.answer(Panel(settings), request, sys.stdout.buffer)


def _settings(conf: str):
    """None for a configuration that cannot be used; its problems go to the error log."""
    from pathlib import Path

    from .. import config
    from ..errors import ConfigurationError

    try:
        return config.load(Path(conf))
    except ConfigurationError as error:
        print(error, *error.problems, error.hint, sep="\n", file=sys.stderr, flush=True)
        return None


def _nothing():
    from .answers import HEADERS, Reply

    return Reply(500, HEADERS | {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store"}, UNUSABLE)


def _unusable(environ: dict, start_response) -> list[bytes]:
    reply = _nothing()
    start_response(reply.line, list(reply.headers.items()))
    return [reply.body]
