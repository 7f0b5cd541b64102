"""How a problem is worded: `path-in-manifest: found ..., expected ...` (docs/CONTRACT.md, 4)."""

import json
import math
import re
from itertools import accumulate
from typing import Annotated, Any, get_args, get_origin

from msgspec import Meta

from ..text import escape_unprintable, truncate

LONGEST = 60
MISSING = object()
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
        return f'"{visible(value[:LONGEST])}"' + ("..." if len(value) > LONGEST else "")
    text = str(value) if type(value) is int else json.dumps(value)
    return truncate(text, LONGEST)


def visible(text: str) -> str:
    """`text` with quotes escaped, and control characters, bidi marks and surrogates spelled out."""
    return escape_unprintable(text.replace("\\", "\\\\").replace('"', '\\"'))


def expected(kind: Any) -> str:
    """What a value of type `kind` must be, in the words that its rule carries."""
    if get_origin(kind) is Annotated:
        return next(meta.description for meta in get_args(kind) if isinstance(meta, Meta))
    if get_origin(kind) is tuple:
        return "an array"
    choices = [choice for choice in get_args(kind) if choice is not type(None)]
    return f"null or {expected(choices[0])}" if choices else "an object"


def capped(problems: list[str], most: int, length: int) -> list[str]:
    """The first `most` problems, in at most `length` characters, and how many more there are."""
    lengths = accumulate(len(problem) for problem in problems[:most])
    kept = max(1, sum(total <= length for total in lengths))
    first = [truncate(problem, length) for problem in problems[:kept]]
    return [*first, f"and {len(problems) - kept} more"] if len(problems) > kept else first


def finite(value: Any) -> bool:
    """False only for NaN and the infinities."""
    return not isinstance(value, float) or math.isfinite(value)
