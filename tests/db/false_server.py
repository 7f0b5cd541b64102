"""A false database server: it greets as MariaDB or MySQL does, asks for the password, and keeps what it gets."""

import socket
import struct
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from gpupanel.web.cgi_client import read_exactly
from pymysql.constants import CLIENT

OK = b"\x00\x00\x00\x02\x00\x00\x00"
SALT = b"abcdefghijklmnopqrst"
USUAL = CLIENT.CAPABILITIES | CLIENT.CONNECT_WITH_DB | CLIENT.PLUGIN_AUTH | CLIENT.FOUND_ROWS


@dataclass
class FalseServer:
    """What the server says, and `received`: the packets that clients sent."""

    asks_for: bytes = b"mysql_clear_password\0"
    version: str = "5.5.5-10.11.6-MariaDB"
    default_method: str = "mysql_native_password"
    capabilities: int = USUAL
    port: int = 0
    result: bytes | None = None  # the response to the third statement, where every password is accepted
    received: list[bytes] = field(default_factory=list)

    def greeting(self) -> bytes:
        capabilities = struct.pack("<I", self.capabilities & 0xFFFFFFFF)
        return (
            b"\x0a" + self.version.encode() + b"\0" + struct.pack("<I", 7) + SALT[:8] + b"\0"
            + capabilities[:2] + b"\x2d" + b"\x02\x00" + capabilities[2:] + bytes(
                [len(SALT) + 1]
            ) + b"\0" * 10 + SALT[8:] + b"\0" + self.default_method.encode() + b"\0"
        )

    def respond(self, connection: socket.socket) -> None:
        connection.settimeout(5)
        connection.sendall(_packet(0, self.greeting()))
        number, text = _read(connection)
        self.received.append(text)
        connection.sendall(_packet(number + 1, b"\xfe" + self.asks_for if self.result is None else OK))
        statements = 0
        while True:
            number, text = _read(connection)
            self.received.append(text)
            statements += 1
            connection.sendall(_packet(number + 1, OK if self.result is None or statements < 3 else self.result))


@contextmanager
def listening(server: FalseServer):
    """Serve on loopback until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server.port = listener.getsockname()[1]
        thread = threading.Thread(target=_accept, args=(listener, server), daemon=True)
        thread.start()
        yield server
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def _accept(listener: socket.socket, server: FalseServer) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection, suppress(OSError):
            server.respond(connection)


def _packet(number: int, text: bytes) -> bytes:
    return struct.pack("<I", len(text))[:3] + bytes([number % 256]) + text


def _read(connection: socket.socket) -> tuple[int, bytes]:
    head = read_exactly(connection, 4)
    return head[3], read_exactly(connection, int.from_bytes(head[:3], "little"))
