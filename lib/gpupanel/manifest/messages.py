"""The wording of problems: `path-in-manifest: found ..., expected ...` (docs/CONTRACT.md, 4)."""

import json
import math
import re
from collections.abc import Callable, Iterable
from functools import cache
from itertools import accumulate
from typing import Annotated, Any, get_args, get_origin

from msgspec import Meta

from ..text import escape_unprintable, truncate

LONGEST = 60
MISSING = object()
# The first characters of a text, with no escape cut in two.
STRING_START = re.compile(r'(?:[^"\\]|\\u[dD][89abAB]..\\u....|\\u....|\\[^u]){0,61}')
PLAIN_KEY = re.compile(r"[A-Za-z0-9_]{1,60}")


def format_problem(path: str, value: Any, expected: str) -> str:
    """Return the problem of a value at `path`; `value` is a JSON value, or MISSING."""
    return f"{path}: found {format_value(value)}, expected {expected}"


def member_path(path: str, key: str | int) -> str:
    """Return the path of a member: `items` and 3 give `items[3]`, `items[3]` and "title" give `items[3].title`."""
    if isinstance(key, str) and PLAIN_KEY.fullmatch(key):
        return f"{path}.{key}" if path else key
    return f"{path}[{format_value(key)}]"


def format_value(value: Any) -> str:
    """Format a JSON value: short, on one line, invisible characters escaped."""
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


def describe_start(raw: bytes) -> str:
    """Describe a JSON value other than an array by its first bytes."""
    text = raw.decode("utf-8", "ignore")
    if text.startswith("{"):
        return "an object"
    if not text.startswith('"'):
        digits = text.strip()
        return digits if len(digits) <= LONGEST else digits[:LONGEST] + "..."
    start = STRING_START.match(text, 1)
    value = json.loads(f'"{start[0] if start else ""}"')
    is_complete = start is not None and text[start.end() :].startswith('"')
    return format_value(value) if is_complete or len(value) > LONGEST else format_value(value) + "..."


def escape(text: str) -> str:
    """Return `text` with quotes, control characters, bidi marks and surrogates escaped."""
    return escape_unprintable(text.replace("\\", "\\\\").replace('"', '\\"'))


@cache
def expected(kind: Any) -> str:
    """Return what a value of type `kind` must be, in the words of its rule."""
    if get_origin(kind) is Annotated:
        return next(meta.description or "" for meta in get_args(kind) if isinstance(meta, Meta))
    if get_origin(kind) is tuple:
        return "an array"
    choices = [choice for choice in get_args(kind) if choice is not type(None)]
    return f"null or {expected(choices[0])}" if choices else "an object"


def limit_problems(problems: list[str], most: int, length: int) -> list[str]:
    """Return the first `most` problems in at most `length` characters, and the number of the other ones."""
    lengths = accumulate(len(problem) for problem in problems[:most])
    kept = max(1, sum(total <= length for total in lengths))
    first = [truncate(problem, length) for problem in problems[:kept]]
    return [*first, f"and {len(problems) - kept} more"] if len(problems) > kept else first


def is_finite(value: Any) -> bool:
    """Return False for NaN and the infinities only."""
    return not isinstance(value, float) or math.isfinite(value)


def first_per_path(problems: Iterable[str]) -> list[str]:
    """Return the first problem of each path: a value of the wrong type needs no second problem."""
    first: dict[str, str] = {}
    for text in problems:
        first.setdefault(text.partition(": ")[0], text)
    return list(first.values())


class ProblemList:
    """The problems of a manifest, one for each path: the first few as text, all others as a number."""

    MAX_REPORTED = 50
    MAX_CHARACTERS = 15_000  # fits the ledger's column
    MAX_COUNTED = 10_000

    def __init__(self) -> None:
        self._first: list[str] = []
        self._paths: set[int] = set()
        self._is_incomplete = False

    def __bool__(self) -> bool:
        return bool(self._first)

    @property
    def is_full(self) -> bool:
        """Whether no more problems are counted."""
        return len(self._paths) >= self.MAX_COUNTED

    def add(self, text: str) -> None:
        """Add one problem."""
        self.add_lazily(text.partition(": ")[0], lambda: text)

    def add_lazily(self, path: str, make: Callable[[], str]) -> None:
        """Add the problem at `path`; its text is made only if it will be reported."""
        digest = hash(path)
        if self.is_full or digest in self._paths:
            return
        self._paths.add(digest)
        if len(self._first) < self.MAX_REPORTED:
            self._first.append(truncate(make(), self.MAX_CHARACTERS))

    def extend(self, problems: Iterable[str]) -> bool:
        """Add problems until no more are counted; return whether there were any."""
        text = None
        for text in problems:
            self.add(text)
            if self.is_full:
                break
        return text is not None

    def mark_incomplete(self) -> None:
        """Record that the manifest was not read to its end, so that the number of problems is unknown."""
        self._is_incomplete = True

    @classmethod
    def report(cls, lists: list["ProblemList"]) -> list[str]:
        """Return the problems of all lists, and how many more there are if that is known."""
        first = first_per_path(text for problems in lists for text in problems._first)
        lengths = accumulate(len(text) for text in first[: cls.MAX_REPORTED])
        kept = max(1, sum(total <= cls.MAX_CHARACTERS for total in lengths))
        counted = len(set().union(*(problems._paths for problems in lists)))
        if counted <= kept:
            return first
        is_known = not any(problems.is_full or problems._is_incomplete for problems in lists)
        return [*first[:kept], f"and {counted - kept} more" if is_known else "and more"]
