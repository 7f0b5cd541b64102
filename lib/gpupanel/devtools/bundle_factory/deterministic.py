"""Values derived from names, without a clock or random state."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

EPOCH = datetime(2024, 3, 1, 6, 0)


def derive_hash(*parts: object) -> str:
    """Return 64 hex digits derived from `parts`."""
    return sha256("/".join(map(str, parts)).encode()).hexdigest()


def choose(options: Sequence[Any], *parts: object) -> Any:
    """Return the option that `parts` select."""
    return options[int(derive_hash(*parts)[:12], 16) % len(options)]


def derive_number(low: float, high: float, *parts: object) -> float:
    """Return a number from `low` up to `high`, evenly distributed."""
    return low + (high - low) * int(derive_hash(*parts)[:12], 16) / 16**12


def derive_uuid(*parts: object) -> str:
    """Return a lower-case UUID in the form of version 4."""
    return str(UUID(derive_hash(*parts)[:32], version=4))


def timestamp(minutes: float) -> str:
    """Return the time `minutes` after EPOCH, as RFC 3339 in UTC."""
    return (EPOCH + timedelta(minutes=minutes)).isoformat(timespec="seconds") + "Z"
