"""gpupanel serve: serve the panel over HTTP with waitress."""

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from time import monotonic
from types import FrameType
from typing import Any

from waitress import create_server  # type: ignore[import-untyped]
from waitress.channel import HTTPChannel  # type: ignore[import-untyped]
from waitress.task import ErrorTask  # type: ignore[import-untyped]

from ..errors import InvalidInputError, PanelError
from ..memory import use_one_malloc_arena
from ..web import wsgi
from ..web.application import PanelApplication
from ..web.cgi_server import LocalProxyServer
from ..web.responses import HEADERS
from .context import CommandContext

THREADS = 8
CONNECTIONS = 500  # at 100, silent clients keep all others out; a process may have 1,024 open files
IDLE_SECONDS = 30  # without a byte in either direction, after which a connection is closed
STOP_SECONDS = 10
POLL_SECONDS = 30  # a signal ends the wait earlier
BODY_BYTES = 1024 * 1024  # as in the samples of etc/; waitress would buffer a larger body on disk before authentication


def run(context: CommandContext) -> int:
    """Serve until SIGTERM or SIGINT, then finish the requests in progress.

    JSON: {address}.
    """
    use_one_malloc_arena()
    panel = PanelApplication(context.settings)
    panel.preload()
    with _listen(context.args.host, context.args.port, context.settings.panel.auth == "none") as listener:
        # The panel decides whose proxy headers to trust, by [panel] trusted_proxies.
        server = create_server(
            wsgi.served(panel), map={}, sockets=[listener], threads=THREADS, ident=None,
            clear_untrusted_proxy_headers=False, max_request_body_size=BODY_BYTES,
            connection_limit=CONNECTIONS, channel_timeout=IDLE_SECONDS, cleanup_interval=IDLE_SECONDS // 2,
        )
        server.channel_class = _Channel
        received = _record_signals(server)
        with _serve_cgi(panel):
            address = _address(listener)
            context.emit({"address": address}, [f"Import Media: {address}"])
            while not received:
                _handle_events(server, POLL_SECONDS)
            _finish(server)
    return 0


class _ErrorTask(ErrorTask):  # type: ignore[misc]
    """A response of waitress itself, such as to a malformed request, with the headers of every response."""

    def execute(self) -> None:
        self.response_headers.extend([*HEADERS.items(), ("Cache-Control", "no-store")])
        super().execute()


class _Channel(HTTPChannel):  # type: ignore[misc]
    error_task_class = _ErrorTask


@contextmanager
def _serve_cgi(panel: PanelApplication) -> Iterator[None]:
    """Serve CGI programs, if the configuration names a local socket."""
    if panel.settings.panel.socket is None:
        yield
        return
    service = LocalProxyServer(panel, panel.settings.panel.socket)
    service.start()
    try:
        yield
    finally:
        service.stop(STOP_SECONDS)


def _listen(host: str, port: int, loopback_only: bool) -> socket.socket:
    """Listen on the address.

    Raises InvalidInputError for an address that the configuration forbids, PanelError if the port is taken.
    """
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "no host can have this name"
        raise InvalidInputError(
            f"--host: found {host!r}, expected an address or a name of this machine: {reason}"
        ) from None
    if loopback_only and not all(ip_address(address[0]).is_loopback for *_, address in addresses):
        raise InvalidInputError(
            f"--host {host}: with [panel] auth = none every client is an operator, so only loopback is allowed.",
            "Use 127.0.0.1, or set auth = remote_user and a web server in front.",
        )
    family, *_, address = addresses[0]
    try:
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        problem = f"Cannot listen on {host} port {port}: {error.strerror}."
        raise PanelError(problem, "--port 0 takes a free port.") from None


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/admin/import-media.cgi"


def _record_signals(server: Any) -> list[int]:
    """Return the list of received signals; a signal also wakes the loop."""
    received: list[int] = []

    def record(number: int, frame: FrameType | None) -> None:
        received.append(number)
        server.pull_trigger()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, record)
    return received


def _handle_events(server: Any, seconds: float) -> None:
    server.asyncore.loop(timeout=seconds, use_poll=True, map=server._map, count=1)


def _finish(server: Any) -> None:
    """Accept no request, finish those in progress, and send their responses."""
    deadline = monotonic() + STOP_SECONDS
    server.task_dispatcher.shutdown(timeout=STOP_SECONDS)
    while monotonic() < deadline and any(channel.total_outbufs_len for channel in server.active_channels.values()):
        _handle_events(server, 0.1)
