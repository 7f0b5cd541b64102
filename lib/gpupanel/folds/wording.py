"""Values and changes of a fold in words, for shell and panel."""

import json
from typing import Any

from ..models import Changes
from ..text import truncate

VALUE_LENGTH = 60  # characters of a value


def describe_changes(changes: Changes, arrow: str = "->") -> str:
    """Name each value that differs with both values; of parts, how many come, go and change."""
    return "; ".join(f"{name.replace('_', ' ')}: {_pair(was, now, arrow)}" for name, (was, now) in changes.items())


def describe_entry(effect: str, changes: Changes, arrow: str = "->") -> str:
    """Name the values of what is created, and the changes of anything else."""
    if effect != "created":
        return describe_changes(changes, arrow)
    values = {name: now for name, (was, now) in changes.items() if name != "deleted"}
    return "; ".join(
        f"{name.replace('_', ' ')}: {len(value):,}" if isinstance(value, dict) else
        f"{name.replace('_', ' ')}: {describe_value(value)}" for name, value in values.items()
    )


def describe_gap(changes: Changes) -> str:
    """Name each value that differs as the library has it and as upstream has it."""
    return "; ".join(
        f"{name.replace('_', ' ')}: {_counted(was, now, ('only upstream', 'only here', 'different'))}"
        if isinstance(was, dict) else
        f"{name.replace('_', ' ')}: {describe_value(was)} here, {describe_value(now)} upstream"
        for name, (was, now) in changes.items()
    )


def _pair(was: Any, now: Any, arrow: str) -> str:
    if isinstance(was, dict):
        return _counted(was, now, ("come", "go", "change"))
    return f"{describe_value(was)} {arrow} {describe_value(now)}"


def _counted(was: dict[str, Any], now: dict[str, Any], words: tuple[str, str, str]) -> str:
    """Count the parts that only the second state has, only the first, and both with other values."""
    changed = len(was.keys() & now.keys())
    counts = zip((len(now) - changed, len(was) - changed, changed), words, strict=True)
    return ", ".join(f"{count:,} {word}" for count, word in counts if count)


def describe_value(value: Any) -> str:
    """Shorten a value of an asset or container; nothing becomes `-`."""
    if value is None:
        return "-"
    return truncate(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), VALUE_LENGTH)


def describe_effects(counts: dict[str, int]) -> str:
    """Format effects as `3 created, 1 unchanged`."""
    return ", ".join(f"{count:,} {effect.replace('_', ' ')}" for effect, count in counts.items()) or "nothing"
