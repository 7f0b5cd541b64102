"""The key that signs CSRF tokens, flash messages and selections."""

import hmac
import json
import os
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

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

    def seal(self, purpose: str, user: str, value: Any) -> str:
        """Return a value as compressed JSON with a signature for one purpose and user."""
        text = urlsafe_b64encode(zlib.compress(json.dumps(value, separators=(",", ":")).encode(), 9)).decode()
        return f"{text}.{self.sign(purpose, user, text)}"

    def unseal(self, purpose: str, user: str, sealed: str) -> Any:
        """Return the value; None if `seal` did not sign it for this purpose and user."""
        text, _, signature = sealed.partition(".")
        if not hmac.compare_digest(signature.encode(), self.sign(purpose, user, text).encode()):
            return None
        return json.loads(zlib.decompress(urlsafe_b64decode(text)))


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
