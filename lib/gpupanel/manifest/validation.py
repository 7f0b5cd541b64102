"""The rules that types cannot state: about paths, and between the parts of a manifest (docs/CONTRACT.md, 4)."""

import re
from array import array
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator
from datetime import datetime
from functools import lru_cache
from typing import Any
from unicodedata import normalize

from .messages import MISSING, format_problem, format_value
from .schema import Derivative, Item

SAME, INSIDE, HOLDS = 1, 2, 3
RELATIONS = ("", "is that of", "lies inside that of", "holds that of")
LONGEST_NAME = 255
# Only such a name can have more bytes, since a character has at most four.
MAYBE_LONG_NAME = re.compile(r"[^/]{64}")
# Most paths consist of such names, which break none of the rules below.
PLAIN_PATH = re.compile(r"[A-Za-z0-9_-]+(?:[./][A-Za-z0-9_-]+)*")
PATH_RULES = (
    (re.compile(r"\A\Z"), "a path that is not empty"),
    (re.compile(r"\A/"), 'no leading "/"'),
    (re.compile(r"\A~"), 'no leading "~"'),
    (re.compile(r"\A[A-Za-z]:"), "no drive letter"),
    (re.compile(r"\\"), "no backslash"),
    (re.compile(r"\x00"), "no NUL"),
    (re.compile(r"[\x01-\x1f\x7f-\x9f]"), "no control character"),
    (re.compile(r".//|[^/]/\Z", re.DOTALL), "no empty element"),
    (re.compile(r"(?:\A|/)\.\.?(?:/|\Z)"), 'no "." or ".." element'),
    (re.compile(r"(?:[^/.]\.+| )(?:/|\Z)|(?:\A|/)\.{3,}(?:/|\Z)"), "no name that ends in a dot or space"),
)


@lru_cache(maxsize=1024)  # derivatives mostly have the same few paths
def path_faults(path: str) -> str:
    """Return what is expected of `path` by the rules that it breaks; "" for a safe path."""
    if PLAIN_PATH.fullmatch(path) and len(path) <= LONGEST_NAME:
        return ""
    broken = [words for pattern, words in PATH_RULES if pattern.search(path)]
    if MAYBE_LONG_NAME.search(path) and any(
        len(name.encode("utf-8", "surrogatepass")) > LONGEST_NAME for name in path.split("/")
    ):
        broken.append(f"no name longer than {LONGEST_NAME} bytes")
    return ", ".join(broken)


def item_problems(position: int, item: Item, sync_type: str | None, action: str | None) -> Iterator[str]:
    """Yield the problems of one item whose fields are of the right types."""
    path, subtype = item.path, item.asset_subtype
    if path is None and action != "remove":
        yield format_problem(f"items[{position}].path", MISSING, "the item's folder")
    if path is not None and (faults := path_faults(path)):
        yield format_problem(f"items[{position}].path", path, faults)
    if item.derivatives:
        yield from _derivative_problems(f"items[{position}].derivatives", item.derivatives)
    if subtype and item.asset_type != "video":
        yield format_problem(f"items[{position}].asset_subtype", subtype, f"null for a {item.asset_type}")
    if sync_type == "video_simple" and item.asset_type == "video" and not subtype:
        yield format_problem(f"items[{position}].asset_subtype", subtype, "video_simple, as sync_type says")


def _derivative_problems(where: str, derivatives: tuple[Derivative, ...]) -> Iterator[str]:
    positions: dict[tuple[str, str], int] = {}
    for index, file in enumerate(derivatives):
        if faults := path_faults(file.path):
            yield format_problem(f"{where}[{index}].path", file.path, faults)
        if (first := positions.setdefault((file.kind, file.path), index)) != index:
            yield f"{where}[{index}]: found the kind and path of {where}[{first}], expected each once"


def _folder_key(path: str) -> str:
    """Return a key that is equal for paths that a case-insensitive or normalising file system treats as one."""
    return path.lower() if path.isascii() else normalize("NFD", normalize("NFD", path).casefold())


class Folders:
    """The folders of all items, as 64-bit digests that are salted for each process; 0 stands for no folder.

    `find_clashes` finds the items that share a folder, or lie inside another's; `clash` describes that of one item.
    """

    def __init__(self) -> None:
        self._keys, self._spellings = array("q"), array("q")
        self._depths: set[int] = set()
        self._clashes: array[int] = array("q")
        self._relations = bytearray()

    def add(self, path: str | None) -> None:
        """Add the folder of the next item; None when it has none, or an unsafe one."""
        digest = 0
        if path is not None:
            names = _folder_key(path).split("/")
            self._depths.add(len(names))
            for name in names:
                digest = hash((digest, name))
        self._keys.append(digest)
        self._spellings.append(0 if path is None else hash(path))

    def find_clashes(self, paths: Callable[[], Iterable[str | None]]) -> None:
        """Compare all folders; `paths` yields the added paths once more, for folders of several depths."""
        first: dict[int, int] = {}
        if len(self._depths) < 2 and len(set(self._keys)) == len(self._keys):
            return
        for position, key in enumerate(self._keys):
            if key and (other := first.setdefault(key, position)) != position:
                self._note(position, other, SAME)
                self._note(other, position, SAME)
        if len(self._depths) > 1:
            self._find_nested(first, paths())

    def _find_nested(self, first: dict[int, int], paths: Iterable[str | None]) -> None:
        holders: dict[int, int] = {}
        for position, path in enumerate(paths):
            outer = self._outer(path, first) if path is not None else None
            if outer is not None:
                self._note(position, outer, INSIDE)
                holders.setdefault(outer, position)
        for outer, position in holders.items():
            self._note(outer, position, HOLDS)

    def _outer(self, path: str, first: dict[int, int]) -> int | None:
        """Return the item whose folder is the nearest one that contains `path`."""
        digest, outer = 0, None
        names = _folder_key(path).split("/")
        for depth, name in enumerate(names[:-1], 1):
            digest = hash((digest, name))
            if depth in self._depths:
                outer = first.get(digest, outer)
        return outer

    def _note(self, position: int, other: int, relation: int) -> None:
        if not self._relations:
            self._relations = bytearray(len(self._keys))
            self._clashes = array("q", bytes(8 * len(self._keys)))
        if not self._relations[position]:
            self._relations[position], self._clashes[position] = relation, other

    def clash(self, position: int, path: str | None) -> str | None:
        """Return why the folder of an item is not its own, None if it is."""
        if not self._relations or not self._relations[position]:
            return None
        other = self._clashes[position]
        relation = RELATIONS[self._relations[position]]
        if relation == RELATIONS[SAME] and self._spellings[position] != self._spellings[other]:
            relation = "differs only by case or Unicode normalisation from that of"
        expected = f"a folder of its own, but it {relation} items[{other}]"
        return format_problem(f"items[{position}].path", path, expected)


class Identities:
    """Identities of items or containers as 64-bit digests, salted for each process."""

    def __init__(self) -> None:
        self._digests = array("q")

    def add(self, identity: Hashable) -> None:
        """Add the identity of the next entry."""
        self._digests.append(hash(identity))

    def repeats(self) -> Iterator[tuple[int, int]]:
        """Yield (position, first position) of each repeated identity."""
        return _repeats(self._digests)


def _repeats(values: Collection[Hashable]) -> Iterator[tuple[int, int]]:
    first: dict[Hashable, int] = {}
    if len(set(values)) == len(values):
        return
    for position, value in enumerate(values):
        if (earlier := first.setdefault(value, position)) != position:
            yield position, earlier


def repeat_problem(where: str, position: int, first: int, name: str) -> str:
    earlier = f"{where.rpartition('.')[2]}[{first}]"
    return f"{where}[{position}]: found {name} again, expected it once (it is {earlier} already)"


def member_repeats(where: str, members: tuple[str, ...]) -> Iterator[str]:
    """Yield the problems of hashes that a container lists more than once."""
    for index, earlier in _repeats(members):
        yield repeat_problem(f"{where}.items", index, earlier, members[index])


def bundle_problems(values: dict[str, Any], item_count: int | None, sync_id: str, completed_at: Any) -> Iterator[str]:
    """Yield the problems between top-level keys.

    `values` are the valid fields. `item_count` is the number of items, None if it is unknown. `completed_at` is None or
    MISSING if the manifest has none.
    """
    if values.get("sync_id", sync_id) != sync_id:
        yield format_problem("sync_id", values["sync_id"], f"{format_value(sync_id)}, as the file is named")
    if item_count is not None and values.get("item_count", item_count) != item_count:
        yield format_problem("item_count", values["item_count"], f"{item_count}, as many as there are items")
    for key in ("created_at", "completed_at"):
        if values.get(key) and not _is_on_the_calendar(values[key]):
            yield format_problem(key, values[key], "a date and time that exist")
    if values.get("status") == "completed" and (completed_at is None or completed_at is MISSING):
        yield format_problem("completed_at", completed_at, "the time when status became completed")


def _is_on_the_calendar(time: str) -> bool:
    try:
        return bool(datetime.fromisoformat(time[:19]))
    except ValueError:
        return False
