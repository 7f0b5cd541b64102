"""The other end of `ask`: the panel answers CGI programs of its own user over a local socket.

A CGI program says who the visitor is, so it has to be one that could say so anyway: the kernel tells as whom it runs,
and only this process's own user is answered. A request says which configuration and code it is meant for; where the files
are others than when this process started, it is left to the program, which reads them afresh.
"""

import io
import os
from pathlib import Path
from socket import AF_UNIX, SHUT_RDWR, SOCK_STREAM, socket
from threading import Event, Thread
from time import monotonic
from traceback import print_exc

from ..errors import PanelError
from ..paths import shipped
from . import ask, gateway
from .panel import Panel

THREADS = 8
SECONDS = 5  # for a program to say what it wants, and for it to take a piece of its answer
LONGEST = 1024 * 1024  # bytes of a request's variables
PAUSE = 1  # seconds, when the machine lets nobody in


class Service:
    """Listens at `path` from `start` to `stop`, with a few threads, each of which keeps its database connection."""

    def __init__(self, panel: Panel, path: Path):
        self._panel, self._path = panel, path
        self._conf, password_file = panel.settings.path, panel.settings.database.password_file
        self._files = [self._conf, Path(ask.__file__).parent, shipped("templates"), *filter(None, [password_file])]
        self._state = self._look()
        self._listener, self._ended = socket(AF_UNIX, SOCK_STREAM), Event()
        self._threads = [Thread(target=self._attend, name=f"cgi-{number}", daemon=True) for number in range(THREADS)]

    def start(self) -> None:
        """Raises PanelError when nothing can be made at `path`, or another process listens there."""
        try:
            _clear(self._path)
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
        """Take no more, and wait so long for the answers in hand."""
        self._ended.set()
        self._listener.shutdown(SHUT_RDWR)  # which wakes whoever waits in accept
        self._path.unlink(missing_ok=True)
        deadline = monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0, deadline - monotonic()))

    def _attend(self) -> None:
        while not self._ended.is_set():
            try:
                line, _ = self._listener.accept()
            except OSError:  # the end, or there is no descriptor left
                self._ended.wait(PAUSE)
                continue
            with line:
                try:
                    self._answer(line)
                except OSError:
                    pass  # the program is gone, or too slow; it answers by itself
                except Exception:
                    print_exc()

    def _answer(self, line: socket) -> None:
        line.settimeout(SECONDS)
        if ask.peer_uid(line) != os.geteuid():
            return
        variables = _variables(line)
        if not ask.may_ask(variables) or not self._is_meant(variables):
            return
        line.sendall(ask.TAKEN)
        log, out = io.StringIO(), io.BytesIO()
        gateway.answer(self._panel, gateway.environ(variables, io.BytesIO(), log), out)
        for part in (log.getvalue().encode(errors="replace"), out.getvalue()):
            line.sendall(len(part).to_bytes(4, "big"))
            line.sendall(part)

    def _is_meant(self, variables: dict[bytes, bytes]) -> bool:
        conf, code = variables.get(ask.CONFIGURATION, b""), variables.get(ask.CODE, b"")
        wanted = os.path.realpath(conf) == os.fsencode(self._conf.resolve()) and code == ask.HERE
        return wanted and self._look() == self._state

    def _look(self) -> list[tuple]:
        """What changes when the configuration or the password is written, or the tree is installed anew."""
        found = [file.stat() for file in self._files]
        return [(each.st_dev, each.st_ino, each.st_mtime_ns, each.st_size) for each in found]


def _variables(line: socket) -> dict[bytes, bytes]:
    size = int.from_bytes(ask.exactly(line, 4), "big")
    if size > LONGEST:
        raise OSError("that is no request")
    pairs = (text.partition(b"=") for text in ask.exactly(line, size).split(b"\0"))
    return {name: value for name, _, value in pairs}


def _clear(path: Path) -> None:
    """Remove what a process that was killed has left. Raises OSError when somebody listens there, or it is no socket."""
    if not path.is_socket():
        return
    with socket(AF_UNIX, SOCK_STREAM) as probe:
        probe.settimeout(SECONDS)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
