"""The key that signs CSRF tokens, flash messages and selections."""

import hmac
import json
import os
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from ..errors import ConfigurationError

MIN_BYTES = 16


class SigningKey:
    """The signing key in the file `path`, which is created when missing."""

    def __init__(self, path: Path):
        self.path = path

    @property
    def key(self) -> bytes:
        """The key, read each time. Raises ConfigurationError."""
        try:
            if not self.path.exists():
                _create_key(self.path)
            key = self.path.read_bytes()
        except OSError as error:
            raise _unusable(f"{self.path}: {error.strerror}") from None
        if len(key) < MIN_BYTES:
            raise _unusable(f"{self.path}: found {len(key)} bytes, expected at least {MIN_BYTES}")
        return key

    def sign(self, *parts: str) -> str:
        """Sign the parts, including where each of them ends."""
        return hmac.new(self.key, json.dumps(parts).encode(), sha256).hexdigest()

    def verify(self, signature: str, *parts: str) -> bool:
        """Return whether `sign` made this signature of the parts."""
        return hmac.compare_digest(signature.encode(), self.sign(*parts).encode())


def _create_key(path: Path) -> None:
    """Create the key file atomically, keeping a file made in the meantime."""
    draft = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(os.urandom(32))
    try:
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()


def _unusable(problem: str) -> ConfigurationError:
    return ConfigurationError(
        "The panel has no key for signing its forms.", [problem],
        "Set [panel] secret_file to a file that the panel can read or create.",
    )
