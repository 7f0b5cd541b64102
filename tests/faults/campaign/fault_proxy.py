"""A door between one program and its database: numbers the statements, and at one of them does something else."""

import os
import select
import signal
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path

from . import mysql_protocol

SIZE = 1 << 16
SECONDS = 30

# What happens at a point in place of passing the packet on.
Fault = Callable[["ProxiedConnection", bytes], None]


class FaultProxy:
    """Listens at `path` for the connections of one program to `server`, a PrivateServer.

    The statements of all connections are numbered from 1, or only those of connection number `counted`. `fault` happens
    at number `at`. Of `hold`, a number on the first connection, and `until`, the first waits for point `until`, so that
    a thread that beats now and then surely comes to it.
    """

    def __init__(self, path: Path, server, at: int = 0, fault: Fault | None = None, *, counted: int = 0,
                 hold: int = 0, until: int = 0):
        self.server, self.at, self.fault, self.counted, self.hold, self.until = server, at, fault, counted, hold, until
        self.statements: list[str] = []
        self.struck, self.reached = threading.Event(), threading.Event()
        self.next: Callable[[], None] | None = None
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
        """Close, once what was in progress is done."""
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
        """The number of this statement; 0 for one that does not count."""
        with self._lock:
            due, self.next = self.next, None
            if self.counted and link.ordinal != self.counted:
                number = 0
            else:
                self.statements.append(statement)
                number = len(self.statements)
        if due:
            due()
        if number and number == self.until:
            self.reached.set()
        return number


class ProxiedConnection:
    """One connection: what a fault may do with it."""

    def __init__(self, door: FaultProxy, client: socket.socket, ordinal: int):
        self.door, self.client, self.ordinal = door, client, ordinal
        self.pid = struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
        self.upstream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread_id = 0
        self._sent = 0

    def forward(self, packet: bytes) -> None:
        self.upstream.sendall(packet)

    def reply(self) -> bytes:
        """What the server says next, once it says it."""
        return self.upstream.recv(SIZE)

    def answer(self, packet: bytes) -> None:
        """Say something in the server's place."""
        self.client.sendall(packet)

    def cut(self) -> None:
        """Neither end hears any more of the other."""
        for end in (self.client, self.upstream):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def signal(self, number: signal.Signals) -> None:
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            pass

    def _serve(self) -> None:
        try:
            self.upstream.connect(str(self.door.server.socket))
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
        if self.ordinal == 1 and self._sent == self.door.hold:
            self.door.reached.wait(SECONDS)
        if self.door.number(self, statement) != self.door.at or not self.door.fault:
            return self.forward(packet)
        try:
            self.door.fault(self, packet)
        finally:
            self.door.struck.set()
