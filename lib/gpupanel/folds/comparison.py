"""Compare an entry of the library with what upstream's bundles make of it, and find the bundles that mend it.

Only what upstream's order decides is compared; `Promise` in reference_fold.py names what depends on the order of
arrival. docs/decisions/0162-reconcile.md
"""

from collections.abc import Callable, Collection, Iterable
from enum import StrEnum
from typing import Any, NamedTuple

from ..models import Changes
from ..reference_fold import FIELDS, Key, Order, Promise
from .entry_store import StoredBundle
from .views import View, differences

CONTAINER_FIELDS = ("title", "cover_hash")
PARTS = ("derivatives", "covers", "members")


class What(StrEnum):
    """How an entry of the library differs from upstream."""

    MISSING = "missing"
    EXTRA = "extra"  # no bundle on the mount names it
    DIFFERENT = "different"
    REMOVED_HERE = "removed_here"
    REMOVED_UPSTREAM = "removed_upstream"


class Gap(NamedTuple):
    """A difference: name -> [here, upstream]."""

    what: What
    changes: Changes


class Remedy(NamedTuple):
    """The bundles that mend a difference, and why they do not, or not all of it."""

    sync_ids: list[str]
    although_older: bool = False
    problem: str | None = None


class Difference(NamedTuple):
    """A difference of one entry, and its remedy."""

    key: Key
    gap: Gap
    remedy: Remedy


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
    return Gap(What.DIFFERENT, changes) if changes else None


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
    return Gap(What.DIFFERENT, changes) if changes else None


def _is_visible(view: View | None, promise: Promise) -> bool:
    return view is not None and is_live(view) and (bool(view["members"]) or promise.parts)


def _compare_marks(is_here: bool, is_there: bool, here: View | None, *, is_named: bool) -> Gap | None:
    if is_there and not is_here:
        return Gap(What.MISSING if here is None else What.REMOVED_HERE, {})
    if is_here and not is_there:
        return Gap(What.REMOVED_UPSTREAM if is_named else What.EXTRA, {})
    return None


# ---------------------------------------------------------------------------------------------------- remedies


class Trial(NamedTuple):
    """Imports of some of the bundles that name an entry, over the library as it is."""

    numbers: frozenset[int]
    overrides: bool


def find_remedy(
    gap: Gap, bundles: dict[int, StoredBundle], last_say: Order | None,
    contributors: Collection[int], attempt: Callable[[Trial], Gap | None],
) -> Remedy:
    """Find the bundles whose import mends a difference; those in the fewest and without overriding anything come first.

    `bundles` are those that name the entry, in upstream's order; `contributors` those that set what differs. `last_say`
    is the latest say in the library. `attempt` imports bundles into a copy and returns what still differs.
    """
    if not bundles:
        return Remedy([], problem="no bundle on the mount names it")
    newest = max(bundle.order for bundle in bundles.values())
    is_foreign = last_say is not None and last_say > newest and all(
        bundle.sync_id != last_say.sync_id for bundle in bundles.values()
    )
    some, everything = frozenset(contributors) or frozenset(bundles), frozenset(bundles)
    best: tuple[Trial, Gap] | None = None
    for trial in _trials(some, everything, may_override=not is_foreign):
        left = attempt(trial)
        if left is None:
            return Remedy(_named(bundles, trial), trial.overrides)
        if _is_less(left, best[1] if best else gap):
            best = trial, left
    reason = _reason(best[1] if best else gap, last_say if is_foreign else None)
    return Remedy(_named(bundles, best[0]), best[0].overrides, reason) if best else Remedy([], problem=reason)


def _trials(some: frozenset[int], everything: frozenset[int], *, may_override: bool) -> Iterable[Trial]:
    for overrides in (False, True) if may_override else (False,):
        for numbers in dict.fromkeys((some, everything)):
            yield Trial(numbers, overrides)


def _named(bundles: dict[int, StoredBundle], trial: Trial) -> list[str]:
    return [bundle.sync_id for number, bundle in bundles.items() if number in trial.numbers]


def _is_less(left: Gap, before: Gap) -> bool:
    """Whether less differs after a trial."""
    if before.what is not What.DIFFERENT:
        return left.what is What.DIFFERENT
    return left.what is What.DIFFERENT and _size(left) < _size(before)


def _size(gap: Gap) -> int:
    return sum(
        len({*was, *now}) if isinstance(was, dict) else 1 for was, now in gap.changes.values()
    )


def _reason(left: Gap, foreign: Order | None) -> str:
    """Why the bundles on the mount do not mend what is left."""
    if foreign is not None:
        return f"bundle {foreign.sync_id}, which is not on the mount, decided last"
    names = ", ".join(left.changes)
    if left.what is What.DIFFERENT and all(_only_here(pair) for pair in left.changes.values()):
        return f"{names}: only the library has them, and no bundle takes them out"
    if left.what is What.DIFFERENT:
        return f"{names}: the bundles on the mount do not overwrite them; ask upstream for an update"
    return "importing the bundles on the mount again does not mend it"


def _only_here(pair: list[Any]) -> bool:
    was, now = pair
    return isinstance(was, dict) and isinstance(now, dict) and not now
