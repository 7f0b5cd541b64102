"""Entry points of cgi-bin/, and the Common Gateway Interface (RFC 3875).

A CGI program first forwards the request to the panel's service (`cgi_client`), if the configuration names one. Without
a response it loads the panel and responds by itself; this module imports the panel only then. The standard library's
CGIHandler is not used: it sends a body for HEAD requests, leaves request bodies unread, and takes 4 ms to import.
"""

import os
import sys

from . import cgi_client

TYPE_CHECKING = False  # type checkers read it as true; importing `typing` would cost each request
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import IO

    from ..config import Settings
    from .responses import Environ, Response
    from .wsgi import Application
    from .application import PanelApplication

UNUSABLE = b"The panel's configuration is invalid. The web server's error log names the problems.\n"
LOCATION = "GPUPANEL_CONF"
PIECE_BYTES = 64 * 1024
DRAIN_SECONDS, QUIET_SECONDS = 2, 0.2  # for the body of a client without sign-in
SECURE = ("on", "1", "yes")


def serve_once(tree: str) -> None:
    """Respond to a CGI request, and exit even if a thread hangs on the mount."""
    conf = os.path.abspath(_configuration(tree))
    response = cgi_client.forward(os.fsencode(conf), os.environb)
    if response:
        sys.stderr.buffer.write(response[0])
        sys.stdout.buffer.write(response[1])
    else:
        _respond(conf)
    sys.stderr.flush()
    sys.stdout.flush()
    os._exit(0)


def application(tree: str) -> "Application":
    """Return the WSGI application, configured as `serve_once` is."""
    settings = _settings(_configuration(tree))
    if settings is None or not _speaks_utf8():
        return _unusable_application
    from .wsgi import application

    return application(settings)


def environ(variables: "Mapping[bytes, bytes]", body: "IO[bytes]", log: "IO[str]") -> "Environ":
    """Return the WSGI environment: each byte of a variable is a character."""
    values = {name.decode("latin-1"): value.decode("latin-1") for name, value in variables.items()}
    scheme = "https" if values.get("HTTPS", "").lower() in SECURE else "http"
    return values | {"wsgi.input": body, "wsgi.errors": log, "wsgi.url_scheme": scheme}


def respond(panel: "PanelApplication", request: "Environ", out: "IO[bytes]") -> None:
    """Respond; to a signed-in user once the request's body has been read to the end.

    A web server that is still sending the body when the process ends discards the response. Nobody else may let this
    process wait for a body that does not come.
    """
    reply = panel.handle(panel.normalize_environ(request))
    has_body = "CONTENT_LENGTH" in request or "HTTP_TRANSFER_ENCODING" in request
    if has_body and reply.status != 401 and (request.get("REMOTE_USER") or panel.settings.panel.auth == "none"):
        panel.db.close()  # a slow body must not hold a connection
        while request["wsgi.input"].read(PIECE_BYTES):
            pass
    elif has_body:
        panel.db.close()
        _end_body(request["wsgi.input"])
    write(reply, out, with_body=request["REQUEST_METHOD"] != "HEAD")


def _end_body(body: "IO[bytes]") -> None:
    """Receive no more of a body that nobody reads, so that the web server reads the response.

    mod_cgid sends the body through a socket, as slowly as the client does. The socket is closed for reading, and what
    was in it is dropped: a socket that ends with unread bytes would take the response with it. fcgiwrap has a pipe. It
    gives up if it cannot write the whole body, but nginx sends a body only when all of it has come.
    """
    import socket
    import stat

    try:
        descriptor = body.fileno()
        is_socket = stat.S_ISSOCK(os.fstat(descriptor).st_mode)
    except (AttributeError, OSError, ValueError):
        return
    if is_socket:
        with socket.socket(fileno=os.dup(descriptor)) as incoming:
            incoming.shutdown(socket.SHUT_RD)
            while incoming.recv(PIECE_BYTES, socket.MSG_DONTWAIT):
                pass
    else:
        _drain_pipe(descriptor)


def _drain_pipe(descriptor: int) -> None:
    """Read a body that has come already, and at most two seconds of it."""
    from select import select
    from time import monotonic

    deadline = monotonic() + DRAIN_SECONDS
    while monotonic() < deadline and select([descriptor], [], [], QUIET_SECONDS)[0]:
        if not os.read(descriptor, PIECE_BYTES):
            break


def write(reply: "Response", out: "IO[bytes]", *, with_body: bool = True) -> None:
    """Write a response as CGI requires it; a file body is streamed."""
    headers = {"Status": reply.line} | reply.headers
    if isinstance(reply.body, bytes) and reply.status != 304:
        headers["Content-Length"] = str(len(reply.body))
    out.write("".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode() + b"\r\n")
    if not isinstance(reply.body, bytes):
        with reply.body as file:
            while with_body and (piece := file.read(PIECE_BYTES)):
                out.write(piece)
    elif with_body:
        out.write(reply.body)


def _respond(conf: str) -> None:
    import gc

    gc.disable()  # the process ends after one response, before garbage matters
    settings = _settings(conf)
    if settings is None:
        return write(_unusable_response(), sys.stdout.buffer)
    from .application import PanelApplication

    respond(PanelApplication(settings), environ(os.environb, sys.stdin.buffer, sys.stderr), sys.stdout.buffer)


def _configuration(tree: str) -> str:
    return os.environ.get(LOCATION) or os.path.join(tree, "etc", "panel.conf")


def _settings(conf: str) -> "Settings | None":
    """Load the configuration; log the problems of an invalid one."""
    from pathlib import Path

    from .. import config
    from ..errors import ConfigurationError

    try:
        return config.load(Path(conf))
    except ConfigurationError as error:
        print(error, *error.problems, error.hint, sep="\n", file=sys.stderr, flush=True)
        return None


def _speaks_utf8() -> bool:
    """Check that this process can open files with names in UTF-8; log what to do if not."""
    if sys.getfilesystemencoding() == "utf-8":
        return True
    print(
        f"This server's Python names files in {sys.getfilesystemencoding()}, but names on the mount are UTF-8. Start it"
        " with the locale C.UTF-8 (mod_wsgi: lang=C.UTF-8 locale=C.UTF-8 at WSGIDaemonProcess), or with PYTHONUTF8=1.",
        file=sys.stderr, flush=True,
    )
    return False


def _unusable_response() -> "Response":
    from .responses import HEADERS, Response

    return Response(500, HEADERS | {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store"}, UNUSABLE)


def _unusable_application(environ: "Environ", start_response: "Callable[..., object]") -> list[bytes]:
    reply = _unusable_response()
    start_response(reply.line, list(reply.headers.items()))
    return [UNUSABLE]
