"""Which values one bundle of a forecast sets and a later one changes (docs/decisions/0161-forecast.md)."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from ..models import Changes
from ..reference_fold import Key
from .views import View, differences

PARTS = ("derivatives", "members")


class Overwrite(NamedTuple):
    """A value that one bundle sets and a later one changes; bundles by number."""

    key: Key
    name: str
    set_by: int
    value: Any
    changed_by: int
    changed_to: Any


class OverwriteFinder:
    """Finds the overwrites of one entry, from its states after each bundle in queue order."""

    def __init__(self, key: Key) -> None:
        self._key = key
        self._setters: dict[str, int] = {}

    def note(self, number: int, before: View | None, after: View | None) -> Iterator[Overwrite]:
        """Yield the values that the bundle changes and that a bundle before it has set; remember what it sets."""
        for name, (was, now) in _flat(differences(before, after)):
            setter = self._setters.get(name)
            if setter is not None and was is not None:
                yield Overwrite(self._key, name, setter, was, number, now)
            self._setters[name] = number


def _flat(changes: Changes) -> Iterable[tuple[str, list[Any]]]:
    """The changes with one name for each part; what comes as new has no value before."""
    for name, (was, now) in changes.items():
        if name == "covers":
            continue
        if name not in PARTS:
            yield name, [was, now]
            continue
        for part in dict.fromkeys([*was, *now]):
            yield f"{name} {part}", [was.get(part), now.get(part)]
