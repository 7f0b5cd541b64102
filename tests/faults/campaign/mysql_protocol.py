"""The parts of the MariaDB protocol that a proxy needs."""

import struct

QUERY = 0x03
STATES = {1213: b"40001", 1205: b"HY000"}


def split(buffer: bytearray) -> list[bytes]:
    """Remove and return the complete packets of `buffer`, with headers."""
    packets = []
    while len(buffer) >= 4 and len(buffer) >= (size := 4 + int.from_bytes(buffer[:3], "little")):
        packets.append(bytes(buffer[:size]))
        del buffer[:size]
    return packets


def statement(packet: bytes) -> str | None:
    """Return the statement in a packet; None in others, such as the handshake."""
    if packet[3] or len(packet) < 5 or packet[4] != QUERY:
        return None
    return packet[5:].decode("utf-8", "replace")


def error(code: int) -> bytes:
    """Return an error packet of a server."""
    body = struct.pack("<BH", 0xFF, code) + b"#" + STATES.get(code, b"HY000") + b"injected by the campaign"
    return len(body).to_bytes(3, "little") + b"\x01" + body


def thread_id(greeting: bytes) -> int:
    """Return the connection id in the first packet of the server."""
    end = greeting.index(b"\0", 5)
    return struct.unpack_from("<I", greeting, end + 1)[0]
