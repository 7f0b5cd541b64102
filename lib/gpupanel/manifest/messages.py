"""How a problem is worded: `path-in-manifest: found ..., expected ...` (docs/CONTRACT.md, 4)."""

import json
import math
import re
from collections.abc import Callable, Iterable
from itertools import accumulate
from typing import Annotated, Any, get_args, get_origin

from msgspec import Meta

from ..text import escape_unprintable, truncate

LONGEST = 60
MISSING = object()
# The first characters of a text, with no escape cut in two.
STRING_START = re.compile(r'(?:[^"\\]|\\u[dD][89abAB]..\\u....|\\u....|\\[^u]){0,61}')
PLAIN_KEY = re.compile(r"[A-Za-z0-9_]{1,60}")


def problem(where: str, found: Any, expected: str) -> str:
    """One problem at the place `where`; `found` is a JSON value, or MISSING."""
    return f"{where}: found {shown(found)}, expected {expected}"


def place(where: str, key: str | int) -> str:
    """The place of a member: `items` and 3 give `items[3]`, `items[3]` and "title" give `items[3].title`."""
    if isinstance(key, str) and PLAIN_KEY.fullmatch(key):
        return f"{where}.{key}" if where else key
    return f"{where}[{shown(key)}]"


def shown(value: Any) -> str:
    """A JSON value for a person: short, on one line, and with what is invisible made visible."""
    if value is MISSING:
        return "nothing"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, (list, tuple)):
        return f"an array of {len(value)}"
    if isinstance(value, str):
        return f'"{escape(value[:LONGEST])}"' + ("..." if len(value) > LONGEST else "")
    text = str(value) if type(value) is int else json.dumps(value)
    return text if len(text) <= LONGEST else text[:LONGEST] + "..."


def describe(raw: bytes, size: int) -> str:
    """Describe a JSON value other than an array; `raw` is how it begins, `size` its length in bytes."""
    text = raw.decode("utf-8", "ignore")
    if text.startswith("{"):
        return "an object"
    if not text.startswith('"'):
        digits = text.strip()
        return digits if len(digits) <= LONGEST else digits[:LONGEST] + "..."
    start = STRING_START.match(text, 1)
    value = json.loads(f'"{start[0] if start else ""}"')
    is_whole = start is not None and text[start.end() :].startswith('"')
    return shown(value) if is_whole or len(value) > LONGEST else shown(value) + "..."


def escape(text: str) -> str:
    """Return `text` with quotes, control characters, bidi marks and surrogates escaped."""
    return escape_unprintable(text.replace("\\", "\\\\").replace('"', '\\"'))


def expected(kind: Any) -> str:
    """What a value of type `kind` must be, in the words that its rule carries."""
    if get_origin(kind) is Annotated:
        return next(meta.description or "" for meta in get_args(kind) if isinstance(meta, Meta))
    if get_origin(kind) is tuple:
        return "an array"
    choices = [choice for choice in get_args(kind) if choice is not type(None)]
    return f"null or {expected(choices[0])}" if choices else "an object"


def limit_problems(problems: list[str], most: int, length: int) -> list[str]:
    """Return the first `most` problems, in at most `length` characters, and how many more there are."""
    lengths = accumulate(len(problem) for problem in problems[:most])
    kept = max(1, sum(total <= length for total in lengths))
    first = [truncate(problem, length) for problem in problems[:kept]]
    return [*first, f"and {len(problems) - kept} more"] if len(problems) > kept else first


def finite(value: Any) -> bool:
    """False only for NaN and the infinities."""
    return not isinstance(value, float) or math.isfinite(value)


def one_per_place(problems: Iterable[str]) -> list[str]:
    """Return the first problem of each place: a value of the wrong type needs no second one."""
    first: dict[str, str] = {}
    for text in problems:
        first.setdefault(text.partition(": ")[0], text)
    return list(first.values())


class ProblemList:
    """The problems of a manifest, one for each place: the first few as text, all others as a number."""

    MAX_REPORTED = 50
    MAX_CHARACTERS = 15_000  # fits the ledger's column
    MAX_COUNTED = 10_000

    def __init__(self) -> None:
        self._first: list[str] = []
        self._places: set[int] = set()
        self._more_unknown = False

    def __bool__(self) -> bool:
        return bool(self._first)

    @property
    def is_full(self) -> bool:
        """Whether no more problems are counted."""
        return len(self._places) >= self.MAX_COUNTED

    def add(self, text: str) -> None:
        """Add one problem."""
        self.add_lazily(text.partition(": ")[0], lambda: text)

    def add_lazily(self, where: str, make: Callable[[], str]) -> None:
        """Add the problem of the place `where`; its text is made only when it will be reported."""
        place = hash(where)
        if self.is_full or place in self._places:
            return
        self._places.add(place)
        if len(self._first) < self.MAX_REPORTED:
            self._first.append(truncate(make(), self.MAX_CHARACTERS))

    def extend(self, problems: Iterable[str]) -> bool:
        """Add problems until no more are counted; returns whether there were any."""
        text = None
        for text in problems:
            self.add(text)
            if self.is_full:
                break
        return text is not None

    def stop(self) -> None:
        """Note that the manifest was not read to its end, so that the number of problems is not known."""
        self._more_unknown = True

    @classmethod
    def report(cls, lists: Iterable["ProblemList"]) -> list[str]:
        """The problems of all lists, and how many more there are where that is known."""
        lists = list(lists)
        every = one_per_place(text for each in lists for text in each._first)
        lengths = accumulate(len(text) for text in every[: cls.MAX_REPORTED])
        kept = max(1, sum(total <= cls.MAX_CHARACTERS for total in lengths))
        counted = len(set().union(*(each._places for each in lists)))
        if counted <= kept:
            return every
        is_known = not any(each.is_full or each._more_unknown for each in lists)
        return [*every[:kept], f"and {counted - kept} more" if is_known else "and more"]
