"""Whatever looks arbitrary in a bundle follows from names like "seed/bundle/7": no clock, no generator with a state."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

EPOCH = datetime(2024, 3, 1, 6, 0)


def digest(*parts: object) -> str:
    """64 hex digits that stand for `parts`."""
    return sha256("/".join(map(str, parts)).encode()).hexdigest()


def pick(options: Sequence[Any], *parts: object) -> Any:
    """The one of `options` that belongs to `parts`."""
    return options[int(digest(*parts)[:12], 16) % len(options)]


def between(low: float, high: float, *parts: object) -> float:
    """A number from `low` up to `high`, even over many `parts`."""
    return low + (high - low) * int(digest(*parts)[:12], 16) / 16**12


def identifier(*parts: object) -> str:
    """A lowercase UUID of version 4's form."""
    return str(UUID(digest(*parts)[:32], version=4))


def moment(minutes: float) -> str:
    """RFC 3339 in UTC, so many minutes after the demo's own beginning of time."""
    return (EPOCH + timedelta(minutes=minutes)).isoformat(timespec="seconds") + "Z"
