"""Client of the panel's local service, for CGI programs.

The service (`cgi_server`) has every module loaded, so it responds faster than a CGI program that loads the panel. Only
requests that change nothing are forwarded, so the program can always handle the request itself afterwards. Every CGI
request imports this module: it uses built-in modules only.
"""

import os
import sys
from _socket import AF_UNIX, SO_PEERCRED, SOCK_STREAM, SOL_SOCKET, socket  # importing `socket` doubles a request's cost

TYPE_CHECKING = False  # type checkers read it as true; importing `typing` would cost each request
if TYPE_CHECKING:
    from collections.abc import Mapping

TAKEN = b"+"
TAKE_SECONDS = 1  # to wait until the service accepts the request; a stopped or fully busy service does not accept it
ANSWER_SECONDS = 45  # to wait for the response; longer than a page waits for mount and database
READING = (b"GET", b"HEAD")
CONFIGURATION, CODE = b"GPUPANEL_CONF", b"GPUPANEL_CODE"  # identify the panel that the request is meant for
HERE = os.fsencode(os.path.dirname(os.path.realpath(__file__)))


def can_forward(variables: "Mapping[bytes, bytes]") -> bool:
    """Return whether the request changes nothing and has no body.

    Exports of items are excluded: the program streams them.
    """
    if b"action=items" in variables.get(b"QUERY_STRING", b""):
        return False
    has_body = b"HTTP_TRANSFER_ENCODING" in variables or variables.get(b"CONTENT_LENGTH", b"") not in (b"", b"0")
    return variables.get(b"REQUEST_METHOD") in READING and not has_body


def socket_path(conf: bytes) -> bytes | None:
    """Return `[panel] socket` of a configuration, without a full parser.

    A line in a form that it does not recognise only costs time: the program then responds by itself.
    """
    try:
        with open(conf, "rb") as file:
            parts = [line.partition(b"=") for line in file]
    except OSError:
        return None
    path = next((value.strip() for name, sign, value in parts if sign and name.strip() == b"socket"), b"")
    return os.path.join(os.path.dirname(conf), path) if path else None


def forward(conf: bytes, variables: "Mapping[bytes, bytes]") -> tuple[bytes, bytes] | None:
    """Return log text and response, or None if no service responded."""
    path = socket_path(conf) if can_forward(variables) else None
    if path is None:
        return None
    connection = socket(AF_UNIX, SOCK_STREAM)
    try:
        return _request(connection, path, dict(variables) | {CONFIGURATION: conf, CODE: HERE})
    except OSError:  # no listener, a timeout, or a connection that broke
        return None
    finally:
        connection.close()


def _request(connection: socket, path: bytes, variables: dict[bytes, bytes]) -> tuple[bytes, bytes] | None:
    connection.settimeout(TAKE_SECONDS)
    connection.connect(path)
    if peer_uid(connection) != os.geteuid():  # a service of another user gets no data and is not trusted
        return None
    text = b"\0".join(name + b"=" + value for name, value in variables.items())
    connection.sendall(len(text).to_bytes(4, "big") + text)
    if read_exactly(connection, 1) != TAKEN:
        return None
    connection.settimeout(ANSWER_SECONDS)
    return read_part(connection), read_part(connection)


def peer_uid(connection: socket) -> int:
    """Return the user id of the peer, as the kernel reports it."""
    # struct ucred: process id, user id, group id.
    return int.from_bytes(connection.getsockopt(SOL_SOCKET, SO_PEERCRED, 12)[4:8], sys.byteorder)


def read_part(connection: socket) -> bytes:
    """Read one block that its length precedes."""
    return read_exactly(connection, int.from_bytes(read_exactly(connection, 4), "big"))


def read_exactly(connection: socket, size: int) -> bytes:
    """Read `size` bytes. Raises OSError if the peer closes too early."""
    data = bytearray()
    while len(data) < size:
        piece = connection.recv(min(size - len(data), 1 << 20))
        if not piece:
            raise OSError("the peer closed the connection")
        data += piece
    return bytes(data)
