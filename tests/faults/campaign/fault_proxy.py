"""A proxy between a program and its database that injects one fault."""

import os
import select
import signal
import socket
import struct
import threading
from contextlib import suppress
from collections.abc import Callable
from pathlib import Path

from . import mysql_protocol

SIZE = 1 << 16
SECONDS = 30
IMPORTS, HEARTBEAT = 1, 2
# How the statements of a new session begin.
SESSION = ("SET SESSION ", "SET NAMES ", "SELECT @@max_allowed_packet", "START TRANSACTION READ ONLY")

# What the proxy does at a point instead of forwarding the packet.
Fault = Callable[["ProxiedConnection", bytes], None]


class FaultProxy:
    """Listens at `path` for the connections of one program to `server`, a MariaDBServer.

    The proxy numbers the statements of all connections from 1; or only those of a worker's imports (`counted` is
    IMPORTS) or of its heartbeat (HEARTBEAT), without those that begin a session. `fault` happens at number `at`, and
    `prepare` before number `prepare_at`. Statement `hold` of the imports waits for statement `until`, so that the
    thread of the heartbeat surely reaches it.
    """

    def __init__(self, path: Path, server, at: int = 0, fault: Fault | None = None, *, counted: int = 0,
                 hold: int = 0, until: int = 0):
        self.server, self.at, self.fault, self.counted, self.hold, self.until = server, at, fault, counted, hold, until
        self.statements: list[str] = []
        self.connections: list[int] = []  # that of each statement
        self.struck, self.reached = threading.Event(), threading.Event()
        self.next: Callable[[], None] | None = None
        self.prepare_at, self.prepare = 0, lambda server: None
        self._lock = threading.Lock()
        self._links: list[ProxiedConnection] = []
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen()

    def __enter__(self) -> "FaultProxy":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc) -> None:
        """Close after the requests in progress."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for link in self._links:
            link.thread.join(SECONDS)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            link = ProxiedConnection(self, client, len(self._links) + 1)
            self._links.append(link)
            link.thread.start()

    def number(self, link: "ProxiedConnection", statement: str) -> int:
        """Return the number of this statement; 0 if it does not count."""
        with self._lock:
            due, self.next = self.next, None
            if self.counted and link.role(statement) != self.counted:
                number = 0
            else:
                self.statements.append(statement)
                self.connections.append(link.ordinal)
                number = len(self.statements)
        if due:
            due()
        if number and number == self.prepare_at:
            self.prepare(self.server)
        if number and number == self.until:
            self.reached.set()
        return number


class ProxiedConnection:
    """One connection, with the operations of a fault."""

    def __init__(self, proxy: FaultProxy, client: socket.socket, ordinal: int):
        self.proxy, self.client, self.ordinal = proxy, client, ordinal
        self.pid = struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
        self.upstream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread_id = 0
        self._sent = self._role = 0

    def role(self, statement: str) -> int:
        """Return what a worker does on this connection, by its first statement; 0 while the session begins."""
        if not self._role and not statement.startswith(SESSION):
            self._role = HEARTBEAT if "import_worker" in statement else IMPORTS
        return self._role

    def forward(self, packet: bytes) -> None:
        self.upstream.sendall(packet)

    def reply(self) -> bytes:
        """Wait for the next reply of the server."""
        return self.upstream.recv(SIZE)

    def answer(self, packet: bytes) -> None:
        """Send a reply in place of the server."""
        self.client.sendall(packet)

    def cut(self) -> None:
        """Cut the connection to both ends."""
        for end in (self.client, self.upstream):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def _serve(self) -> None:
        try:
            self.upstream.connect(str(self.proxy.server.socket))
            self._pass_on()
        except OSError:
            pass
        self.cut()
        self.client.close()
        self.upstream.close()

    def _pass_on(self) -> None:
        buffer = bytearray()
        while True:
            ready, _, _ = select.select([self.client, self.upstream], [], [])
            for end in ready:
                data = end.recv(SIZE)
                if not data:
                    return
                if end is self.upstream:
                    self.thread_id = self.thread_id or mysql_protocol.thread_id(data)
                    self.client.sendall(data)
                else:
                    buffer += data
                    for packet in mysql_protocol.split(buffer):
                        self._request(packet)

    def _request(self, packet: bytes) -> None:
        statement = mysql_protocol.statement(packet)
        if statement is None:
            return self.forward(packet)
        self._sent += 1
        if self._role == IMPORTS and self._sent == self.proxy.hold:
            self.proxy.reached.wait(SECONDS)
        if self.proxy.number(self, statement) != self.proxy.at or not self.proxy.fault:
            return self.forward(packet)
        try:
            self.proxy.fault(self, packet)
        finally:
            self.proxy.struck.set()
