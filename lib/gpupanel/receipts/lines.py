"""The lines of a receipt, its root, and the chain of roots.

A line is `{"sha256":"<64 digits>","result":{...}}`; its SHA-256 is that of the same line without that member. The last
line is `{"root":"<64 digits>","receipt":{...}}`; the root is the SHA-256 of the digests of all lines before, and of the
last line without `root`, each followed by a line feed. The head of the chain is the SHA-256 of the head before and of
the root, each followed by a line feed. docs/AUDITORS.md has the format with an example.
"""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple

from ..text import time_text

RESULT, MEMBER, TOMBSTONE, CONTAINER, EVENT, ITEM = "result", "member", "tombstone", "container", "event", "item"
RECEIPT, ARCHIVE = "receipt", "archive"
MARK_DIGITS = 4
MAX_MARKS = 1_000_000  # lines of a receipt that can be named from the database alone: 4 MB of its row
EMPTY_HEAD = "0" * 64  # the head before the first receipt
FORMAT_VERSION = 2  # 1 had no lines of tombstones
# Printable ASCII alone, as `encode_body` writes it: a terminal shows a file of lines unchanged.
LINE = re.compile(rb'\{"(sha256|root)":"([0-9a-f]{64})","([a-z]{1,20})":\{[ -~]*\}\}')
HEAD_LENGTH = len('{"sha256":"') + 64 + len('",')
ROOT_HEAD_LENGTH = len('{"root":"') + 64 + len('",')


class Line(NamedTuple):
    """A line that was read; `digest` is what it says of itself, `body` is what that digest is of."""

    kind: str
    digest: str
    body: bytes
    is_closing: bool


def encode_body(kind: str, row: Mapping[str, Any]) -> bytes:
    """The line of a row without its digest: compact JSON with sorted keys, in ASCII.

    Texts are as they are stored, with `\\uXXXX` for other characters: a terminal, a mail and a log show them unchanged.
    """
    values = {name: time_text(value) if isinstance(value, datetime) else value for name, value in row.items()}
    text = json.dumps(values, sort_keys=True, separators=(",", ":")).replace("\x7f", "\\u007f")
    return f'{{"{kind}":{text}}}'.encode("ascii")


def digest_of(body: bytes) -> str:
    """SHA-256 of a line without its digest."""
    return sha256(body).hexdigest()


def encode_line(body: bytes, digest: str) -> bytes:
    """A line with its digest, and its line feed."""
    return b'{"sha256":"%s",%s\n' % (digest.encode(), body[1:])


def encode_closing(body: bytes, root: str) -> bytes:
    """The last line of a receipt, or of the items of an archive."""
    return b'{"root":"%s",%s\n' % (root.encode(), body[1:])


def parse_line(text: bytes) -> Line | None:
    """Split a line without its line feed; None if it is no line of a receipt."""
    match = LINE.fullmatch(text)
    if match is None:
        return None
    is_closing = match[1] == b"root"
    body = b"{" + text[ROOT_HEAD_LENGTH if is_closing else HEAD_LENGTH:]
    return Line(match[3].decode(), match[2].decode(), body, is_closing)


def receipt_body(row: Mapping[str, Any]) -> bytes:
    """The last line of a receipt without its root: all of its row that others cannot derive."""
    names = ("batch_id", "event_id", "id", "job_id", "lines", "previous", "result_id", "sealed_at", "sync_id",
             "version")
    return encode_body(RECEIPT, {name: row[name] for name in names})


def next_head(head: str, root: str) -> str:
    """The head of the chain after a receipt with this root."""
    return sha256(f"{head}\n{root}\n".encode()).hexdigest()


class Hasher:
    """Computes the root and the marks of a receipt, line by line."""

    def __init__(self) -> None:
        self._hash = sha256()
        self._marks: list[str] = []
        self.lines = 0

    def add(self, digest: str) -> None:
        """Add the digest of the next line."""
        self._hash.update(f"{digest}\n".encode())
        if self.lines < MAX_MARKS:
            self._marks.append(digest[:MARK_DIGITS])
        self.lines += 1

    def root(self, closing: bytes) -> str:
        """Return the root; `closing` is the last line without it."""
        whole = self._hash.copy()
        whole.update(f"{digest_of(closing)}\n".encode())
        return whole.hexdigest()

    @property
    def marks(self) -> str:
        """The first digits of each line's digest."""
        return "".join(self._marks)
