"""An answer that is no page."""

from typing import BinaryIO, NamedTuple


class File(NamedTuple):
    """`headers` are added to those that every answer has; a file as the body is closed when it was sent."""

    body: bytes | BinaryIO
    headers: dict[str, str]
    status: int = 200
