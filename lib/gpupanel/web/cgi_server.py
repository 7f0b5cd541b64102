"""Unix-socket server that renders pages for CGI scripts of its user.

A CGI program (`cgi_client`) states who the visitor is, so only programs that could render the page themselves are
served: the kernel reports their user, which must be this process's own. Each request names its configuration and code.
If these files changed since this process started, the CGI program renders the page itself from the new files.
"""

import io
import os
from pathlib import Path
from socket import AF_UNIX, SHUT_RDWR, SOCK_STREAM, socket
from threading import Event, Thread
from time import monotonic
from traceback import print_exc

from ..errors import PanelError
from ..resources import resource_dir
from . import cgi_client, entrypoints
from .application import PanelApplication

THREADS = 8
SECONDS = 5  # timeout for a client's request, and for each piece of the response
LONGEST = 1024 * 1024  # bytes of a request's variables
PAUSE = 1  # seconds to wait when accept fails


class LocalProxyServer:
    """Server at the socket `path`; each thread keeps its connection."""

    def __init__(self, panel: PanelApplication, path: Path):
        self._panel, self._path = panel, path
        self._conf, password_file = panel.settings.path, panel.settings.database.password_file
        self._files = [
            self._conf, Path(cgi_client.__file__).parent, resource_dir("templates"), *filter(None, [password_file]),
        ]
        self._state = self._file_state()
        self._listener, self._ended = socket(AF_UNIX, SOCK_STREAM), Event()
        self._threads = [Thread(target=self._serve, name=f"cgi-{number}", daemon=True) for number in range(THREADS)]

    def start(self) -> None:
        """Listen. Raises PanelError if the socket cannot be created or is taken."""
        try:
            _remove_stale_socket(self._path)
            before = os.umask(0o177)
            try:
                self._listener.bind(str(self._path))
            finally:
                os.umask(before)
        except OSError as error:
            raise PanelError(f"[panel] socket {self._path}: {error.strerror or error}.") from None
        self._listener.listen(64)
        for thread in self._threads:
            thread.start()

    def stop(self, seconds: float) -> None:
        """Stop accepting requests; wait for the responses under way."""
        self._ended.set()
        self._listener.shutdown(SHUT_RDWR)  # wakes the threads that wait in accept
        self._path.unlink(missing_ok=True)
        deadline = monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0, deadline - monotonic()))

    def _serve(self) -> None:
        while not self._ended.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:  # stopped, or out of file descriptors
                self._ended.wait(PAUSE)
                continue
            with connection:
                self._respond_or_log(connection)

    def _respond_or_log(self, connection: socket) -> None:
        try:
            self._respond(connection)
        except OSError:
            pass  # the client is gone or too slow; it renders the page itself
        except Exception:
            print_exc()

    def _respond(self, connection: socket) -> None:
        connection.settimeout(SECONDS)
        if cgi_client.peer_uid(connection) != os.geteuid():
            return
        variables = _variables(connection)
        if not cgi_client.can_forward(variables) or not self._is_meant(variables):
            return
        connection.sendall(cgi_client.TAKEN)
        log, out = io.StringIO(), io.BytesIO()
        entrypoints.respond(self._panel, entrypoints.environ(variables, io.BytesIO(), log), out)
        for part in (log.getvalue().encode(errors="replace"), out.getvalue()):
            connection.sendall(len(part).to_bytes(4, "big"))
            connection.sendall(part)

    def _is_meant(self, variables: dict[bytes, bytes]) -> bool:
        """Return whether configuration and code of a request are this process's."""
        conf, code = variables.get(cgi_client.CONFIGURATION, b""), variables.get(cgi_client.CODE, b"")
        matches = os.path.realpath(conf) == os.fsencode(self._conf.resolve()) and code == cgi_client.HERE
        return matches and self._file_state() == self._state

    def _file_state(self) -> list[tuple[int, ...]]:
        """Return a value that changes with configuration, password and code."""
        stats = [file.stat() for file in self._files]
        return [(stat.st_dev, stat.st_ino, stat.st_mtime_ns, stat.st_size) for stat in stats]


def _variables(connection: socket) -> dict[bytes, bytes]:
    size = int.from_bytes(cgi_client.read_exactly(connection, 4), "big")
    if size > LONGEST:
        raise OSError("the request is too long")
    pairs = (text.partition(b"=") for text in cgi_client.read_exactly(connection, size).split(b"\0"))
    return {name: value for name, _, value in pairs}


def _remove_stale_socket(path: Path) -> None:
    """Remove a dead process's socket. Raises OSError if one listens there."""
    if not path.is_socket():
        return
    with socket(AF_UNIX, SOCK_STREAM) as probe:
        probe.settimeout(SECONDS)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
