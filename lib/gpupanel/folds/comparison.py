"""Compare an entry of the library with what upstream's bundles make of it.

Only what upstream's order decides is compared; `Promise` in reference_fold.py names what depends on the order of
arrival. docs/decisions/0162-reconcile.md
"""

from enum import StrEnum
from typing import NamedTuple

from ..models import CONTAINER_FIELDS, Changes
from ..reference_fold import FIELDS, Promise
from .views import View, differences

PARTS = ("derivatives", "covers", "members")


class GapKind(StrEnum):
    """How an entry of the library differs from upstream."""

    MISSING = "missing"
    EXTRA = "extra"  # no bundle on the mount names it
    DIFFERENT = "different"
    REMOVED_HERE = "removed_here"
    REMOVED_UPSTREAM = "removed_upstream"


class Gap(NamedTuple):
    """A difference: name -> [here, upstream]."""

    what: GapKind
    changes: Changes


class Upstream(NamedTuple):
    """What the bundles make of an entry: its state, what is promised of it, and the fields that any of them brings."""

    view: View | None
    promise: Promise
    choices: list[View]


def is_live(view: View | None) -> bool:
    """Whether an entry is there and not removed."""
    return view is not None and not view["deleted"]


def compare_asset(here: View | None, upstream: Upstream, *, is_named: bool) -> Gap | None:
    """Compare an asset; None if it is as promised."""
    gap = _compare_marks(is_live(here), is_live(upstream.view), here, is_named=is_named)
    if gap or not is_live(here):
        return gap
    changes = differences(here, upstream.view)
    if not upstream.promise.values:
        changes.pop("derivatives", None)
        if any({**(here or {}), **choice} == here for choice in upstream.choices):
            changes = {name: pair for name, pair in changes.items() if name not in FIELDS}
    if not upstream.promise.parts:
        changes = {name: pair for name, pair in changes.items() if name not in PARTS}
    return Gap(GapKind.DIFFERENT, changes) if changes else None


def compare_container(here: View | None, upstream: Upstream, *, is_named: bool) -> Gap | None:
    """Compare a gallery or collection; `members` of both states are the visible ones.

    One without a visible member that a bundle removed members of is not compared.
    """
    is_here, is_there = (_is_visible(view, upstream.promise) for view in (here, upstream.view))
    gap = _compare_marks(is_here, is_there, here, is_named=is_named)
    if gap or not is_here or here is None or upstream.view is None:
        return gap
    if upstream.promise.values:
        changes = differences(here, upstream.view)
    else:  # the first that arrived keeps title, cover and positions
        is_brought = any({**here, **choice} == here for choice in upstream.choices)
        ours, theirs = ({**view, "members": dict.fromkeys(view["members"], 0)} for view in (here, upstream.view))
        kept = {name: here[name] for name in CONTAINER_FIELDS} if is_brought else {}
        changes = differences(ours, theirs | kept)
    return Gap(GapKind.DIFFERENT, changes) if changes else None


def _is_visible(view: View | None, promise: Promise) -> bool:
    return view is not None and is_live(view) and (bool(view["members"]) or promise.parts)


def _compare_marks(is_here: bool, is_there: bool, here: View | None, *, is_named: bool) -> Gap | None:
    if is_there and not is_here:
        return Gap(GapKind.MISSING if here is None else GapKind.REMOVED_HERE, {})
    if is_here and not is_there:
        return Gap(GapKind.REMOVED_UPSTREAM if is_named else GapKind.EXTRA, {})
    return None
