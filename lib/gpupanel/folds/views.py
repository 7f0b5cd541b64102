"""States of an asset or container as plain values, and what differs between two of them."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from ..models import Changes
from ..reference_fold import Asset, Container, VALUES

View = dict[str, Any]  # name -> value; parts are {part: its value}
ADDITIVE = ("covers", "members")


class Effect(StrEnum):
    """What became of an entry."""

    CREATED = "created"
    UPDATED = "updated"  # values differ, or it was restored
    REMOVED = "removed"
    LINKED = "linked"  # only covers or members came
    UNLINKED = "unlinked"  # only members went
    CREATED_AND_REMOVED = "created_and_removed"
    UNCHANGED = "unchanged"


def view_asset(asset: Asset | None) -> View | None:
    """The state of an asset without its documents; None where there is none."""
    if asset is None:
        return None
    derivatives = {
        " ".join(file): dict(zip(VALUES, each.values, strict=True)) for file, each in asset.derivatives.items()
    }
    covers = dict.fromkeys(asset.covers, True)
    return {"deleted": asset.deleted, **asset.fields, "derivatives": derivatives, "covers": covers}


def view_container(container: Container | None) -> View | None:
    """The state of a container with its live members as asset hash -> position; None where there is none."""
    if container is None:
        return None
    members = {name: each.position for name, each in container.members.items() if not each.removed}
    return {
        "deleted": container.deleted, "title": container.title, "cover_hash": container.cover_hash, "members": members,
    }


def differences(before: View | None, after: View | None) -> Changes:
    """name -> [before, after] of each value that differs; of parts, only those that differ."""
    names = dict.fromkeys([*(before or {}), *(after or {})])
    changes: Changes = {}
    for name in names:
        was, now = (before or {}).get(name), (after or {}).get(name)
        if isinstance(was, dict) or isinstance(now, dict):
            was, now = _different_parts(was or {}, now or {}), _different_parts(now or {}, was or {})
        if was != now:
            changes[name] = [was, now]
    return changes


def _different_parts(parts: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parts.items() if name not in others or others[name] != value}


def effect_of(before: View | None, after: View | None) -> Effect:
    """Name what became of an entry between two states."""
    was_live = before is not None and not before["deleted"]
    if after is None or before == after:
        return Effect.UNCHANGED
    if after["deleted"]:
        if before is None:
            return Effect.CREATED_AND_REMOVED
        return Effect.REMOVED if was_live else Effect.UPDATED
    if before is None:
        return Effect.CREATED
    changes = differences(before, after)
    if not was_live or changes.keys() - set(ADDITIVE):
        return Effect.UPDATED
    came = any(now for _, now in changes.values())
    return Effect.LINKED if came else Effect.UNLINKED
