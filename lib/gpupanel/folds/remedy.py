"""Find the bundles whose import mends a difference between library and upstream (docs/decisions/0162-reconcile.md)."""

from collections.abc import Callable, Collection, Iterable
from typing import Any, NamedTuple

from ..reference_fold import Key, Order
from .comparison import Gap, GapKind
from .entry_store import StoredBundle


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
    if before.what is not GapKind.DIFFERENT:
        return left.what is GapKind.DIFFERENT
    return left.what is GapKind.DIFFERENT and _size(left) < _size(before)


def _size(gap: Gap) -> int:
    return sum(
        len({*was, *now}) if isinstance(was, dict) else 1 for was, now in gap.changes.values()
    )


def _reason(left: Gap, foreign: Order | None) -> str:
    """Why the bundles on the mount do not mend what is left."""
    if foreign is not None:
        return f"bundle {foreign.sync_id}, which is not on the mount, decided last"
    names = ", ".join(left.changes)
    if left.what is GapKind.DIFFERENT and all(_only_here(pair) for pair in left.changes.values()):
        return f"{names}: only the library has them, and no bundle takes them out"
    if left.what is GapKind.DIFFERENT:
        return f"{names}: the bundles on the mount do not overwrite them; ask upstream for an update"
    return "importing the bundles on the mount again does not mend it"


def _only_here(pair: list[Any]) -> bool:
    was, now = pair
    return isinstance(was, dict) and isinstance(now, dict) and not now
