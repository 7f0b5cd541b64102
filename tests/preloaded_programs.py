"""Run the programs of the tree as forks of a process that has imported their modules.

Each runs bin/ or cgi-bin/ as a process of its own, with its arguments, environment and streams, and saves the time in
which Python starts and imports. What depends on that start is for `subprocess`: flags and variables of Python, locales,
imported modules. Decision: docs/decisions/0192-tests-fork-programs.md.
"""

import atexit
import gc
import importlib
import importlib.resources.readers
import os
import pickle
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

LIB = Path(__file__).resolve().parents[1] / "lib"
LENGTH_BYTES = 8
STREAMS = 3


class Order(NamedTuple):
    """A program to start: its file and arguments, environment and folder."""

    words: list[str]
    environ: dict[str, str]
    folder: str


class PreloadedProcess:
    """A running program: the part of subprocess.Popen that tests use."""

    def __init__(self, order: Order, *streams: int):
        self._server = _server()
        self.args = order.words
        self.pid = self._server.request("fork", *order, streams=streams)
        self._descriptor = os.pidfd_open(self.pid)
        self.returncode: int | None = None
        self._waiting = threading.Lock()  # several threads may wait for one program

    def poll(self) -> int | None:
        """Return the exit status, or None while the program runs."""
        with suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the exit status. Raises TimeoutExpired."""
        if self.returncode is None and not select.select([self._descriptor], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired(self.args, timeout)
        with self._waiting:
            if self.returncode is None:
                self.returncode = self._server.request("wait", self.pid)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the program has ended."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._descriptor, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def __del__(self):
        os.close(self._descriptor)


def start(words, *, stdin, stdout, stderr, env=None, cwd=None) -> PreloadedProcess:
    """Start a program; its streams are open files."""
    environ = dict(os.environ if env is None else env)
    order = Order([_word(word) for word in words], environ, os.fspath(cwd or os.getcwd()))
    return PreloadedProcess(order, stdin.fileno(), stdout.fileno(), stderr.fileno())


def _word(word) -> str:
    return os.fsdecode(word) if isinstance(word, bytes) else str(word)


def run(words, *, input="", env=None, cwd=None, text=True) -> subprocess.CompletedProcess:
    """Run a program to its end, as subprocess.run(capture_output=True) does; `input` is its standard input."""
    with _memory("stdin") as stdin, _memory("stdout") as stdout, _memory("stderr") as stderr:
        stdin.write(input.encode() if isinstance(input, str) else input)
        stdin.seek(0)
        status = start(words, stdin=stdin, stdout=stdout, stderr=stderr, env=env, cwd=cwd).wait()
        written = [os.pread(stream.fileno(), os.fstat(stream.fileno()).st_size, 0) for stream in (stdout, stderr)]
    out, err = (_decoded(each) for each in written) if text else written
    return subprocess.CompletedProcess(words, status, out, err)


def prepare(function, *arguments) -> None:
    """Call a function of the package in the process that forks, so that the forks share what it cached."""
    _server().request("call", function.__module__, function.__name__, *arguments)


def _memory(name: str):
    return open(os.memfd_create(name), "w+b")


def _decoded(output: bytes) -> str:
    return output.decode().replace("\r\n", "\n").replace("\r", "\n")


class _Server:
    """The process that forks the programs, and the socket of requests to it."""

    def __init__(self):
        self._lock = threading.Lock()
        self._socket, other = socket.socketpair()
        with other:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(other.fileno())], pass_fds=[other.fileno()],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            )
        atexit.register(self.close)

    def request(self, what: str, *parts, streams=()) -> int:
        message = pickle.dumps((what, *parts))
        with self._lock:
            header = len(message).to_bytes(LENGTH_BYTES)
            if streams:
                socket.send_fds(self._socket, [header], streams)
            else:
                self._socket.sendall(header)
            self._socket.sendall(message)
            return int.from_bytes(_receive(self._socket, LENGTH_BYTES), signed=True)

    def close(self) -> None:
        self._socket.close()
        self._process.wait()


@cache
def _server() -> _Server:
    return _Server()


def _receive(connection: socket.socket, count: int) -> bytes:
    received = b""
    while len(received) < count:
        part = connection.recv(count - len(received))
        if not part:
            raise EOFError("the other end of the socket was closed")
        received += part
    return received


# ------------------------------------------------------------------------------------------- the process that forks


def _serve(connection: socket.socket) -> Order | None:
    """Fork a program for each order. Return its order in a fork, None in the parent at the end of the requests."""
    while True:
        header, streams, _, _ = socket.recv_fds(connection, LENGTH_BYTES, STREAMS)
        if not header:
            return None
        header += _receive(connection, LENGTH_BYTES - len(header))
        answer = 0
        match pickle.loads(_receive(connection, int.from_bytes(header))):
            case "wait", pid:
                answer = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            case "call", module, function, *arguments:
                getattr(importlib.import_module(module), function)(*arguments)
            case "fork", *order:
                answer = os.fork()
                if not answer:
                    connection.close()
                    for number, stream in enumerate(streams):
                        os.dup2(stream, number)
                        os.close(stream)
                    return Order(*order)
        for stream in streams:
            os.close(stream)
        connection.sendall(answer.to_bytes(LENGTH_BYTES, signed=True))


def _preload() -> None:
    """Import all modules of the package and compile its templates; the forks collect no garbage of these."""
    sys.path.insert(1, str(LIB))
    for module in pkgutil.walk_packages([str(LIB / "gpupanel")], "gpupanel."):
        importlib.import_module(module.name)
    import template_code  # needs the package

    template_code.share()
    template_code.compile_all()
    gc.collect()
    gc.freeze()


def _open_streams() -> None:
    """Open the standard streams as the interpreter does: those of the parent knew another kind of file."""
    for name, mode, buffering in (("stdin", "r", -1), ("stdout", "w", -1), ("stderr", "w", 1)):
        old = getattr(sys, name)
        new = open(old.fileno(), mode, buffering, encoding=old.encoding, errors=old.errors, closefd=False)  # noqa: SIM115
        setattr(sys, name, new)
        setattr(sys, f"__{name}__", new)


def _execute(order: Order) -> int:
    """Execute a program as `__main__` and end what an interpreter ends; return the exit status."""
    _open_streams()
    os.chdir(order.folder)
    os.environ.clear()
    os.environ.update(order.environ)
    sys.argv, sys.path[0] = order.words, str(Path(order.words[0]).parent)
    status = 0
    try:
        runpy.run_path(order.words[0], run_name="__main__")
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        status = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    return status


if __name__ == "__main__":
    _preload()
    order = _serve(socket.socket(fileno=int(sys.argv[1])))
    if order is not None:
        os._exit(_execute(order))  # finalizing the interpreter would copy all memory of the parent
