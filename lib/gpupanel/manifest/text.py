"""Bytes -> the JSON tree, or every reason why the text is not strict JSON (docs/CONTRACT.md, 4).

A quick reading proves that the text is sound, or gives up; a careful one then finds out what is wrong.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Any, Union

import msgspec

from ..errors import ManifestError
from .words import finite, place, problem, shown, visible

DEEPEST = 64
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# More digits than any rule allows; Python refuses to convert some thousands of them.
MOST_DIGITS = 400
# A value of three bytes takes sixty of memory: some hundred MiB of nothing but such values would take all there is.
MOST_VALUES = 16_000_000
MOST_FAULTS = 10_000
# How many items are looked at together: what is made of them fits the processor's cache.
SOME = 200
# To be taken out of a text so that these are left, which is quicker than counting each of them where it stands.
ALL_BUT_MARKS = bytes(set(range(256)) - set(b":,[{"))
# What is believed at once: JSON of no more levels than this, of which a manifest has five.
SHALLOW: Any = None
for _ in range(6):
    SHALLOW = Union[None, bool, int, float, str, list[SHALLOW], dict[str, SHALLOW]]
DECODER = msgspec.json.Decoder(SHALLOW)


class Repeated(dict):
    """An object in which keys are given more than once; `twice` names them."""

    twice: list[str]


def parse(raw: bytes) -> tuple[Any, list[str]]:
    """The JSON value in `raw`, and the problems of its text. Raises ManifestError when there is no value to tell."""
    if (values := tally(raw)[1]) > MOST_VALUES:
        raise _refused([f"manifest: found about {values} values, expected at most {MOST_VALUES}"])
    try:
        return _quickly(raw), []
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError):
        return _carefully(raw)


def _quickly(raw: bytes) -> Any:
    """The value of a text that is sound beyond doubt; ValueError otherwise.

    The decoder keeps the last of equal keys, so writing the value out again loses a colon for each one dropped.
    That count is only sure when no colon is spelled as an escape.
    """
    tree = DECODER.decode(raw)
    if escapes_a_colon(raw) or tally(raw)[0] != tally(msgspec.json.encode(tree))[0]:
        raise ValueError("in doubt")
    return tree


def is_strict(raw: bytes, colons: int) -> bool:
    """Whether a manifest with so many colons, none of them an escape, is sound beyond doubt. Its items are looked at some at a
    time, so that no tree of them all is ever in memory. Raises as the decoder does."""
    head = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    items = msgspec.json.decode(head["items"], type=list[msgspec.Raw])
    parts = (b"[" + b",".join(some) + b"]" for some in parts_of(items))
    texts = chain([msgspec.json.encode(head | {"items": None})], parts)
    return colons == sum([tally(msgspec.json.encode(DECODER.decode(text)))[0] for text in texts])


def parts_of(items: Sequence) -> Iterator[Sequence]:
    """The same items, SOME at a time."""
    return (items[start:start + SOME] for start in range(0, len(items), SOME))


def escapes_a_colon(raw: bytes) -> bool:
    """Whether the text may spell a colon so that it cannot be counted."""
    return b"\\" in raw and b"\\u003" in raw


def tally(raw: bytes) -> tuple[int, int]:
    """How many colons are in a text, and how many commas and opening brackets, which is about how many values."""
    marks = raw.translate(None, ALL_BUT_MARKS)
    colons = marks.count(b":")
    return colons, len(marks) - colons


def _carefully(raw: bytes) -> tuple[Any, list[str]]:
    marked = raw.startswith(BYTE_ORDER_MARK)
    problems = ["manifest: found a byte-order mark, expected UTF-8 without one"] if marked else []
    text = _decoded(raw.removeprefix(BYTE_ORDER_MARK))
    try:
        tree = json.loads(text, object_pairs_hook=_object, parse_int=_whole)
    except json.JSONDecodeError as error:
        raise _refused([*problems, _syntax(text, error)]) from None
    except RecursionError:
        raise _refused([*problems, _depth("manifest")]) from None
    return tree, problems + list(islice(_faults(tree, "", 1), MOST_FAULTS))


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        found = f"byte 0x{raw[error.start]:02x} at offset {error.start}"
        raise _refused([f"manifest: found {found}, expected UTF-8"]) from None


def _refused(problems: list[str]) -> ManifestError:
    return ManifestError("The manifest is not strict JSON", problems)


def _syntax(text: str, error: json.JSONDecodeError) -> str:
    found = shown(text[error.pos : error.pos + 20]) if text[error.pos :].strip() else "the end of the text"
    reason = error.msg.removesuffix(" at").lower()
    return f"manifest: found {found} at line {error.lineno}, column {error.colno}, expected JSON ({visible(reason)})"


def _depth(where: str) -> str:
    return f"{where}: found deeper nesting, expected at most {DEEPEST} levels"


def _object(pairs: list[tuple[str, Any]]) -> dict:
    made = dict(pairs)
    if len(made) == len(pairs):
        return made
    repeated = Repeated(made)
    repeated.twice = [key for key, times in Counter(key for key, _ in pairs).items() if times > 1]
    return repeated


def _whole(digits: str) -> int:
    return int(digits[:MOST_DIGITS])


def _faults(value: Any, where: str, depth: int) -> Iterator[str]:
    """The problems of `value`, at `where`, which JSON's grammar allows but a manifest must not have."""
    if isinstance(value, (dict, list)):
        yield from _inside(value, where, depth)
    elif not finite(value):
        yield problem(where or "manifest", value, "a finite number")
    elif isinstance(value, str) and _has_surrogate(value):
        yield problem(where or "manifest", value, "text without lone surrogates")


def _inside(value: dict | list, where: str, depth: int) -> Iterator[str]:
    if depth > DEEPEST:
        yield _depth(where)
        return
    for key in getattr(value, "twice", ()):
        yield f"{place(where, key)}: found the key more than once, expected it once"
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(key, str) and _has_surrogate(key):
            yield f"{place(where, key)}: found a lone surrogate in the key, expected text without one"
        if isinstance(inner, (dict, list, str, float)):
            yield from _faults(inner, place(where, key), depth + 1)


def _has_surrogate(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False
