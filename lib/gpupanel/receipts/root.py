"""The root of a receipt, and the chain of roots (docs/AUDITORS.md).

The root is the SHA-256 of the digests of all lines before the last, and of the last line without its root. The head of
the chain is the SHA-256 of the head before and the root. A line feed follows each digest.
"""

from hashlib import sha256

from .lines import digest_of

MARK_DIGITS = 4
MAX_MARKS = 1_000_000  # lines of a receipt that can be named from the database alone: 4 MB of its row
EMPTY_HEAD = "0" * 64  # the head before the first receipt


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
