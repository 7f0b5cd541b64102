"""serve: the panel over HTTP by waitress, for a web server in front of it or for a demo on this machine."""

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from time import monotonic

from waitress import create_server

from ...errors import InvalidInput, PanelError
from ...web import app
from ...web.panel import Panel
from ...web.service import Service
from ..shell import Shell

THREADS = 8
STOP_SECONDS = 10
BODY_BYTES = 1024 * 1024  # as in the samples of etc/; what is bigger would be kept on disk before anybody asks who sent it


def serve(shell: Shell) -> int:
    """Until SIGTERM or SIGINT; requests that are being answered then are still answered. JSON: {address}."""
    host, port = shell.args.host, shell.args.port
    panel = Panel(shell.settings)
    panel.load()
    with _listen(host, port, loopback_only=shell.settings.panel.auth == "none") as listener:
        # Whose headers to believe is for the panel to decide, by [panel] trusted_proxies.
        server = create_server(
            app.served(panel), map={}, sockets=[listener], threads=THREADS, ident=None, clear_untrusted_proxy_headers=False,
            max_request_body_size=BODY_BYTES,
        )
        stopped = _on_signal(server)
        with _for_cgi(panel):
            address = _address(listener)
            shell.tell({"address": address}, [f"Import Media: {address}"])
            while not stopped:
                _turn(server)
            _finish(server)
    return 0


@contextmanager
def _for_cgi(panel: Panel) -> Iterator[None]:
    """Meanwhile, answer CGI programs, if the configuration says where."""
    if panel.settings.panel.socket is None:
        yield
        return
    service = Service(panel, panel.settings.panel.socket)
    service.start()
    try:
        yield
    finally:
        service.stop(STOP_SECONDS)


def _listen(host: str, port: int, loopback_only: bool) -> socket.socket:
    """Raises InvalidInput for an address that the configuration does not allow, PanelError when the port is taken."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise InvalidInput(f"--host {host}: {error.strerror}.") from None
    if loopback_only and not all(ip_address(address[0]).is_loopback for *_, address in found):
        raise InvalidInput(
            f"--host {host}: with [panel] auth = none anyone who can connect is an operator, so only loopback is allowed.",
            "Use 127.0.0.1, or set auth = remote_user and a web server in front.",
        )
    family, *_, address = found[0]
    try:
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        raise PanelError(f"Cannot listen on {host} port {port}: {error.strerror}.", "--port 0 takes a free port.") from None


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/admin/import-media.cgi"


def _on_signal(server) -> list[int]:
    """The signals that came; a handler only notes its signal and wakes the loop."""
    stopped: list[int] = []

    def note(number: int, frame) -> None:
        stopped.append(number)
        server.pull_trigger()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, note)
    return stopped


def _turn(server, seconds: float = 30) -> None:
    server.asyncore.loop(timeout=seconds, use_poll=True, map=server._map, count=1)


def _finish(server) -> None:
    """Take no more, answer what is being answered, and hand the answers over."""
    deadline = monotonic() + STOP_SECONDS
    server.task_dispatcher.shutdown(timeout=STOP_SECONDS)
    while monotonic() < deadline and any(channel.total_outbufs_len for channel in server.active_channels.values()):
        _turn(server, 0.1)
