"""A CGI program asks the panel's own service, which has everything loaded, for an answer (`service` is the other end).

Only a request that changes nothing may be asked for, so that asking and then doing it oneself is always right. Whatever
is imported here is imported by every request: nothing but built-in modules.
"""

import os
import sys
from _socket import AF_UNIX, SO_PEERCRED, SOCK_STREAM, SOL_SOCKET, socket  # `socket` would double what a request costs

TAKEN = b"+"
TAKE_SECONDS = 1  # for a service to take the request; one that is stopped, or has its hands full, does not
ANSWER_SECONDS = 45  # for its answer; a page itself gives up on mount and database before
READING = (b"GET", b"HEAD")
CONFIGURATION, CODE = b"GPUPANEL_CONF", b"GPUPANEL_CODE"  # which panel is asked for
HERE = os.fsencode(os.path.dirname(os.path.realpath(__file__)))


def may_ask(variables) -> bool:
    """Whether the request is one that changes nothing and has no body. A list of items as a file is for the program itself,
    which passes it on piece by piece: it may be of any size, and both ends would hold all of it."""
    if b"action=items" in variables.get(b"QUERY_STRING", b""):
        return False
    in_chunks = b"HTTP_TRANSFER_ENCODING" in variables
    return variables.get(b"REQUEST_METHOD") in READING and not in_chunks and variables.get(b"CONTENT_LENGTH", b"") in (b"", b"0")


def socket_path(conf: bytes) -> bytes | None:
    """What `[panel] socket` of the configuration says. No other option is called so; a form of the line that is not
    recognised here costs time and nothing else, since the program then answers by itself."""
    try:
        with open(conf, "rb") as file:
            parts = [line.partition(b"=") for line in file]
    except OSError:
        return None
    found = next((value.strip() for name, sign, value in parts if sign and name.strip() == b"socket"), b"")
    return os.path.join(os.path.dirname(conf), found) if found else None


def answer(conf: bytes, variables) -> tuple[bytes, bytes] | None:
    """What to log and what to answer; None when there is no service that could say it, and nothing has happened.

    `conf` is an absolute path, and `variables` are those of CGI, as bytes.
    """
    path = socket_path(conf) if may_ask(variables) else None
    if path is None:
        return None
    line = socket(AF_UNIX, SOCK_STREAM)
    try:
        return _asked(line, path, dict(variables) | {CONFIGURATION: conf, CODE: HERE})
    except OSError:  # nobody listens, too slow, or gone in the middle of it
        return None
    finally:
        line.close()


def _asked(line: socket, path: bytes, variables: dict[bytes, bytes]) -> tuple[bytes, bytes] | None:
    line.settimeout(TAKE_SECONDS)
    line.connect(path)
    if peer_uid(line) != os.geteuid():  # somebody else's service is told nothing, and not believed
        return None
    text = b"\0".join(name + b"=" + value for name, value in variables.items())
    line.sendall(len(text).to_bytes(4, "big") + text)
    if exactly(line, 1) != TAKEN:
        return None
    line.settimeout(ANSWER_SECONDS)
    return part(line), part(line)


def peer_uid(line: socket) -> int:
    """As whom the other end runs, by the kernel's word: of a struct ucred the second number."""
    return int.from_bytes(line.getsockopt(SOL_SOCKET, SO_PEERCRED, 12)[4:8], sys.byteorder)


def part(line: socket) -> bytes:
    return exactly(line, int.from_bytes(exactly(line, 4), "big"))


def exactly(line: socket, size: int) -> bytes:
    """Raises OSError when the other end is gone before that."""
    got = bytearray()
    while len(got) < size:
        piece = line.recv(min(size - len(got), 1 << 20))
        if not piece:
            raise OSError("the other end is gone")
        got += piece
    return bytes(got)
