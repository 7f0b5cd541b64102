"""Cut valid JSON into runs of elements or members by regular expressions, without making values.

Runs keep the memory bounded (docs/decisions/0101-one-manifest-parser.md).
"""

import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

import msgspec

from .messages import member_path

MAX_LEVELS = 64
# Text that is processed at once: it fits into the processor's cache, and so does the tree that `json` makes of it.
RUN_BYTES = 64 * 1024

Text = bytes | memoryview


class Span(NamedTuple):
    """A part of a text: a value, or a run of elements or members."""

    text: Text
    start: int
    end: int

    @property
    def size(self) -> int:
        """The size in bytes."""
        return self.end - self.start

    def decode(self) -> str:
        """Return the characters."""
        return bytes(self.text[self.start : self.end]).decode("utf-8")


class NestingError(ValueError):
    """A value is nested deeper than MAX_LEVELS."""


# All patterns expect valid JSON. Their groups are atomic, so that they neither backtrack nor keep a stack.
SPACE = rb"[ \t\r\n]*+"
STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'


def _nested(levels: int, string: bytes) -> bytes:
    """Return the pattern of an array or object of at most `levels` levels; an empty `string` matches no strings."""
    flat = rb'[^][{}"]*+(?:' + string + rb'[^][{}"]*+)*+' if string else rb"[^][{}]*+"
    pattern = rb"[\[{]" + flat + rb"[\]}]"
    for _ in range(levels - 1):
        pattern = rb"[\[{]" + flat + rb"(?:" + pattern + flat + rb")*+[\]}]"
    return pattern


def _value(levels: int, string: bytes = STRING) -> bytes:
    return rb"(?>" + STRING + rb'|[^][{}",: \t\r\n]++|' + _nested(levels, string) + rb")"


KEY = SPACE + rb"(" + STRING + rb")" + SPACE + rb":" + SPACE
# The manifest is level 1, its members' values begin at level 2, elements of its arrays at level 3.
MEMBER_KEY = re.compile(KEY, re.DOTALL)
# Three times as fast, but wrong where a string contains brackets.
QUICK_RUN = re.compile(rb"(?>" + SPACE + _value(4, b"") + SPACE + rb",)++", re.DOTALL)
EMPTY = re.compile(rb"[\[{]" + SPACE + rb"[\]}]")
STRINGS = re.compile(STRING, re.DOTALL)
WHITE_SPACE = re.compile(SPACE)

# Patterns of up to 63 levels take 8 ms each to compile, so that each is compiled at its first use.


@cache
def member_value_pattern() -> re.Pattern[bytes]:
    """Return the pattern of the value of a member, and of what follows it."""
    return re.compile(rb"(" + _value(MAX_LEVELS - 1) + rb")" + SPACE + rb"([,}])", re.DOTALL)


@cache
def whole_run_pattern() -> re.Pattern[bytes]:
    """Return the pattern of a run with its last element."""
    return re.compile(rb"(?>" + SPACE + _value(MAX_LEVELS - 2) + SPACE + rb",?)++", re.DOTALL)


@cache
def _element_pattern() -> re.Pattern[bytes]:
    return re.compile(SPACE + rb"(" + _value(MAX_LEVELS - 2) + rb")" + SPACE + rb"([,\]])", re.DOTALL)


@cache
def _element_run_pattern() -> re.Pattern[bytes]:
    return re.compile(rb"(?>" + SPACE + _value(MAX_LEVELS - 2) + SPACE + rb",)++", re.DOTALL)


@cache
def _member_pattern() -> re.Pattern[bytes]:
    return re.compile(KEY + member_value_pattern().pattern, re.DOTALL)


@cache
def _member_run_pattern() -> re.Pattern[bytes]:
    return re.compile(rb"(?>" + KEY + _value(MAX_LEVELS - 2) + SPACE + rb",)++", re.DOTALL)


def array_runs(text: Text, start: int) -> Iterator[tuple[int, int]]:
    """Cut the array whose bracket opens at `start` into runs of whole elements, as (start, end) without the last comma.

    A run has at most RUN_BYTES, unless it is one element. The array's closing bracket is at the end of the last run.
    Raises NestingError.
    """
    return _runs(text, start, _element_run, _element_pattern())


def member_runs(text: Text, start: int) -> Iterator[tuple[int, int]]:
    """Cut an object into runs of whole members, as `array_runs` cuts an array."""
    run = _member_run_pattern()
    return _runs(text, start, lambda text, at: run.match(text, at, at + RUN_BYTES), _member_pattern())


def _runs(
    text: Text, start: int, find: Callable[[Text, int], re.Match[bytes] | None], single: re.Pattern[bytes]
) -> Iterator[tuple[int, int]]:
    if EMPTY.match(text, start):
        return
    at = start + 1
    while True:
        run = find(text, at) or single.match(text, at)
        if run is None:
            raise NestingError
        yield at, run.end() - 1
        at = run.end()
        if text[at - 1] != ord(","):
            return


def _element_run(text: Text, at: int) -> re.Match[bytes] | None:
    quick = QUICK_RUN.match(text, at, at + RUN_BYTES)
    if quick and _is_json_array(b"[%b]" % bytes(text[at : quick.end() - 1])):
        return quick
    return _element_run_pattern().match(text, at, at + RUN_BYTES)


def _is_json_array(text: bytes) -> bool:
    """Return whether a run was cut between elements: the beginning of a value is never a value."""
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def count_elements(text: Text, start: int, enough: int) -> int:
    """Count the elements of the array at `start`, up to `enough` + 1 or the first one that is nested too deep."""
    count, at = 0, start + 1
    while count <= enough and not EMPTY.match(text, start):
        element = _element_pattern().match(text, at)
        if element is None:
            break
        count, at = count + 1, element.end()
        if element[2] == b"]":
            break
    return count


def path_at(text: Text, offset: int, at: int = 0, path: str = "") -> tuple[str, bool]:
    """Return the path of the value at `offset`, below the value at `at`, and whether the offset is in its key."""
    at = skip_space(text, at)
    while at < offset and text[at] in b"[{":
        inner = _member_at(text, at + 1, offset) if text[at] == ord("{") else _element_at(text, at + 1, offset)
        if inner is None:
            break
        key, at = inner
        path = member_path(path, key)
        if at > offset:
            return path, True
    return path or "manifest", False


def path_in_run(run: Span, offset: int, path: Callable[[int], str], first: int) -> str:
    """Return the path of the value at `offset` in a run; `path` is that of an element, `first` the first index."""
    element = _element_at(run.text, run.start, offset, first)
    return path_at(run.text, offset, element[1], path(element[0]))[0] if element else path(first)


def _member_at(text: Text, at: int, offset: int) -> tuple[str, int] | None:
    """Return the key of the member that `offset` is in, and where its value begins; None if that is no key of JSON."""
    while key := MEMBER_KEY.match(text, at):
        value = member_value_pattern().match(text, key.end())
        if value is None or offset < value.end():
            try:
                return decode_string(key[1]), key.end()
            except ValueError:  # surrogates are found before the syntax is checked
                return None
        at = value.end()
    return None


def _element_at(text: Text, at: int, offset: int, index: int = 0) -> tuple[int, int] | None:
    """Return the index of the element that `offset` is in, and where it begins."""
    while element := _element_pattern().match(text, at):
        if offset < element.end():
            return index, skip_space(text, at)
        index, at = index + 1, element.end()
    return None


def skip_space(text: Text, at: int) -> int:
    """Return where the next value begins."""
    space = WHITE_SPACE.match(text, at)
    return space.end() if space else at


def decode_string(raw: bytes) -> str:
    """Return the text of a JSON string."""
    if b"\\" not in raw:
        return raw[1:-1].decode("utf-8")
    return str(json.loads(raw.decode("utf-8")))
