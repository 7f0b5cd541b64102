"""The items and containers of a manifest: kept as text, decoded while they are iterated over.

A sequence keeps the manifest's bytes and where runs of its elements are, so that 500,000 items take no more than
their text.
"""

from abc import abstractmethod
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from operator import eq
from typing import Any, Generic, TypeVar, overload

import msgspec
from msgspec import Raw

from ..errors import ManifestError
from .convert import (
    UNFIT, starts_with, container_with_lowercase_hashes, convert, invalid_field_problems, raw_fields,
    run_elements, valid_fields, value_problems, with_lowercase_hashes,
)
from .json_runs import RUN_BYTES, Text
from .messages import first_per_path, limit_problems
from .schema import Container, InvalidItem, Item, KnownItem
from .strict_json import BIG_BYTES, count_strict
from .validation import Folders, item_problems, path_faults

# How many problems of an item are reported, and in how many characters, so that a column of the ledger holds them.
MAX_ITEM_PROBLEMS = (20, 1_900)
MAX_COUNTED = 100
IDENTITY = {"asset_type", "asset_hash"}

T = TypeVar("T")
ITEMS = msgspec.json.Decoder(list[Item])
KNOWN_ITEMS = msgspec.json.Decoder(list[KnownItem])


class Entries(Sequence[T], Generic[T]):
    """Values that are decoded on iteration, in the manifest's order."""

    def __init__(self, text: Text):
        self._text = text
        self._starts, self._ends, self._firsts = array("Q"), array("Q"), array("Q")
        self._length = 0

    def add_run(self, start: int, end: int, count: int) -> None:
        """Add `count` elements, whose text is from `start` to `end`."""
        self._starts.append(start)
        self._ends.append(end)
        self._firsts.append(self._length)
        self._length += count

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[T]:
        for run in range(len(self._firsts)):
            yield from self._read(run)

    @overload
    def __getitem__(self, position: int) -> T: ...
    @overload
    def __getitem__(self, position: slice) -> Sequence[T]: ...
    def __getitem__(self, position: int | slice) -> T | Sequence[T]:
        if isinstance(position, slice):
            return [self[index] for index in range(*position.indices(self._length))]
        index = position + self._length if position < 0 else position
        if not 0 <= index < self._length:
            raise IndexError(position)
        run = bisect_right(self._firsts, index) - 1
        return list(self._read(run))[index - self._firsts[run]]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(eq, self, other))

    __hash__ = None  # type: ignore[assignment]

    def _read(self, run: int) -> Iterator[T]:
        return self.decode(self._starts[run], self._ends[run], self._firsts[run])

    @abstractmethod
    def decode(self, start: int, end: int, first: int) -> Iterator[T]:
        """Decode a run of elements, the first of which is at the position `first`."""


class Items(Entries[Item | InvalidItem]):
    """The items; which of them are invalid is found again whenever they are iterated over."""

    def __init__(self, text: Text, sync_type: str | None, action: str | None):
        super().__init__(text)
        self._sync_type, self._action = sync_type, action
        self.folders = Folders()

    def decode(self, start: int, end: int, first: int) -> Iterator[Item | InvalidItem]:
        for position, (item, problems) in enumerate(self.checked(start, end, first), first):
            if item is None:  # the parser refuses such a manifest
                raise ManifestError("An item of the manifest has no identity.", list(islice(problems, MAX_COUNTED)))
            clash = self.folders.clash(position, item.path)
            reasons = [*islice(problems, MAX_COUNTED), *([clash] if clash else [])]
            yield _invalid(item, reasons) if reasons else item

    def checked(self, start: int, end: int, first: int) -> Iterator[tuple[Item | None, Iterable[str]]]:
        """Yield each item as far as its fields are valid, None without an identity; and its own problems."""
        try:
            items = ITEMS.decode(b"[%b]" % bytes(self._text[start:end])) if end - start <= BIG_BYTES else None
        except UNFIT:
            items = None
        if items is None:
            for position, raw in enumerate(run_elements(self._text, start, end), first):
                yield self._checked_alone(raw, position)
        else:
            for position, item in enumerate(map(with_lowercase_hashes, items), first):
                yield item, item_problems(position, item, self._sync_type, self._action)

    def _checked_alone(self, raw: Raw, position: int) -> tuple[Item | None, Iterable[str]]:
        try:
            item = with_lowercase_hashes(convert(raw, Item))
            return item, item_problems(position, item, self._sync_type, self._action)
        except UNFIT:
            pass
        where = f"items[{position}]"
        if not starts_with(raw, "{"):
            return None, value_problems(raw, Item, where)
        values = raw_fields(raw, Item)
        valid = valid_fields(values, Item)
        problems = invalid_field_problems(values, valid, Item, where)
        if not valid.keys() >= IDENTITY:
            return None, problems
        item = with_lowercase_hashes(Item(**valid))
        return item, chain(problems, item_problems(position, item, self._sync_type, self._action))

    def paths(self) -> Iterator[str | None]:
        """The folder of each item, None when it has none that is safe."""
        for run in range(len(self._firsts)):
            checked = self.checked(self._starts[run], self._ends[run], self._firsts[run])
            yield from (safe_folder(item) for item, _ in checked)


def safe_folder(item: Item | None) -> str | None:
    """The folder of an item when no rule for paths is broken."""
    return item.path if item is not None and item.path and not path_faults(item.path) else None


def _invalid(item: Item, problems: list[str]) -> InvalidItem:
    reasons = limit_problems(first_per_path(problems), *MAX_ITEM_PROBLEMS)
    return InvalidItem(item.asset_type, item.asset_hash, item.cover_hash, tuple(reasons))


class Containers(Entries[Container]):
    """The galleries and collections."""

    def decode(self, start: int, end: int, first: int) -> Iterator[Container]:
        for raw in run_elements(self._text, start, end):
            yield container_with_lowercase_hashes(convert(raw, Container))


def identity_of(item: Any) -> tuple[str, str]:
    return item.asset_type, item.asset_hash


def decode_known_items(text: Text, start: int, end: int) -> list[KnownItem] | None:
    """Decode a run of items; return None if one may have an unknown key, a repeated key or an invalid value."""
    if end - start > RUN_BYTES:
        return None
    array_text = b"[%b]" % bytes(text[start:end])
    try:
        items = KNOWN_ITEMS.decode(array_text)
    except UNFIT:
        return None
    return items if count_strict(array_text.decode("utf-8")) else None
