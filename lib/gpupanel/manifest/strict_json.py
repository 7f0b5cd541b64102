"""Strict JSON in bounded memory: check the syntax, cut values into runs, find what a manifest may not have.

No function here makes a tree of more than BIG_BYTES of text, whatever the text contains
(docs/decisions/0101-one-manifest-parser.md).
"""

import json
import re
from array import array
from codecs import getincrementaldecoder
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import Any

import msgspec

from .messages import describe, escape, finite, place, problem

MAX_LEVELS = 64
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# Text that is handled at once: small enough for the processor's cache, and for the tree that `json` makes of it.
RUN_BYTES = 64 * 1024
# The largest value that `json` reads; a larger one is cut further.
BIG_BYTES = 1024 * 1024
# A value above BIG_BYTES is read once for each level of such values, so they are few.
MAX_BIG_LEVELS = 4
# More digits than any rule allows; Python refuses to convert some thousands of them.
MAX_DIGITS = 400
CONTINUATION_BYTES = bytes(range(0x80, 0xC0))

Text = bytes | memoryview


class NestingError(ValueError):
    """A value is nested deeper than MAX_LEVELS."""


class DuplicateKeyDict(dict[str, Any]):
    """An object in which keys are given more than once; `duplicate_keys` names them."""

    duplicate_keys: list[str]


# ------------------------------------------------------------------------------------------------ the syntax


def syntax_problem(text: Text) -> str | None:
    """Return why `text` is not JSON in UTF-8, None when it is; the message has line and column."""
    if wrong := _utf8_problem(text) or _surrogate_problem(text):
        return wrong
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except RecursionError:
        return nesting_problem("manifest")
    except msgspec.DecodeError as error:
        return _decoder_problem(text, str(error))
    return None


def nesting_problem(where: str) -> str:
    return f"{where}: found deeper nesting, expected at most {MAX_LEVELS} levels"


def _utf8_problem(text: Text) -> str | None:
    decoder, kept = getincrementaldecoder("utf-8")(), 0
    for start in range(0, len(text), BIG_BYTES):
        try:
            decoder.decode(text[start : start + BIG_BYTES], start + BIG_BYTES >= len(text))
        except UnicodeDecodeError as error:
            offset = start - kept + error.start
            return f"manifest: found byte 0x{text[offset]:02x} at offset {offset}, expected UTF-8"
        kept = len(decoder.getstate()[0])
    return None


# All text up to the first \u that spells half of a surrogate pair without the other half.
PAIRED = re.compile(
    rb"(?>[^\\]++|\\[^u]|\\u(?![dD][89a-fA-F])|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F])*+", re.DOTALL
)


def _surrogate_problem(text: Text) -> str | None:
    paired = PAIRED.match(text)
    end = paired.end() if paired else 0
    if end == len(text) or not re.compile(rb"\\u[0-9a-fA-F]{4}").match(text, end):
        return None
    where, is_key = path_at(text, end)
    found = f"\\u{bytes(text[end + 2 : end + 6]).decode().lower()}"
    if is_key:
        return f"{where}: found a lone surrogate in the key, expected text without one"
    return f'{where}: found "{found}", expected text without lone surrogates'


def _decoder_problem(text: Text, message: str) -> str:
    reported = re.search(r"^(?:JSON is malformed: )?(.*) \(byte (\d+)\)$", message)
    if not reported:  # "Input data was truncated"
        offset, reason = len(text), "truncated" if bytes(text[:1024]).strip() else "expecting value"
    else:
        offset, reason = int(reported[2]), reported[1]
        if reason == "trailing characters":
            # Bytes after the value are reported one too far.
            offset, reason = offset - 1, "extra data"
    if constant := re.compile(rb"NaN|-?Infinity").match(text, offset - (text[offset - 1 : offset] == b"-")):
        return f"{path_at(text, offset)[0]}: found {constant[0].decode()}, expected a finite number"
    rest = bytes(text[offset : offset + 80]).decode("utf-8", "ignore")
    found = f'"{escape(rest[:20])}"' if rest.strip() else "the end of the text"
    line, column = _line_and_column(text, offset)
    return f"manifest: found {found} at line {line}, column {column}, expected JSON ({reason})"


def _line_and_column(text: Text, offset: int) -> tuple[int, int]:
    line, column = 1, 1
    for start in range(0, offset, BIG_BYTES):
        piece = bytes(text[start : min(offset, start + BIG_BYTES)])
        if newlines := piece.count(b"\n"):
            line, column, piece = line + newlines, 1, piece[piece.rfind(b"\n") + 1 :]
        column += len(piece.translate(None, CONTINUATION_BYTES))
    return line, column


# ---------------------------------------------------------------------------------- cutting, by regular expressions

# All of them expect valid JSON. Their groups are atomic, so that they neither backtrack nor keep a stack.
SPACE = rb"[ \t\r\n]*+"
STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'


def _nested(levels: int, string: bytes) -> bytes:
    """Return the pattern of an array or object of at most so many levels; `string` may be empty."""
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
MEMBER_VALUE = re.compile(rb"(" + _value(MAX_LEVELS - 1) + rb")" + SPACE + rb"([,}])", re.DOTALL)
ELEMENT = re.compile(SPACE + rb"(" + _value(MAX_LEVELS - 2) + rb")" + SPACE + rb"([,\]])", re.DOTALL)
MEMBER_RUN = re.compile(rb"(?>" + KEY + _value(MAX_LEVELS - 2) + SPACE + rb",)++", re.DOTALL)
RUN = re.compile(rb"(?>" + SPACE + _value(MAX_LEVELS - 2) + SPACE + rb",)++", re.DOTALL)
# Three times as fast, but wrong where a string contains brackets.
QUICK_RUN = re.compile(rb"(?>" + SPACE + _value(4, b"") + SPACE + rb",)++", re.DOTALL)
WHOLE_RUN = re.compile(rb"(?>" + SPACE + _value(MAX_LEVELS - 2) + SPACE + rb",?)++", re.DOTALL)
EMPTY = re.compile(rb"[\[{]" + SPACE + rb"[\]}]")
STRINGS = re.compile(STRING, re.DOTALL)


def array_runs(text: Text, start: int) -> Iterator[tuple[int, int]]:
    """Cut the array whose bracket opens at `start` into runs of whole elements, as (start, end) without the last comma.

    A run has at most RUN_BYTES, unless it is one element. The array's closing bracket is at the end of the last run.
    Raises NestingError.
    """
    return _runs(text, start, _element_run, ELEMENT)


def member_runs(text: Text, start: int) -> Iterator[tuple[int, int]]:
    """Cut an object into runs of whole members, as `array_runs` cuts an array."""
    member = re.compile(KEY + MEMBER_VALUE.pattern, re.DOTALL)
    return _runs(text, start, lambda text, at: MEMBER_RUN.match(text, at, at + RUN_BYTES), member)


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
    return RUN.match(text, at, at + RUN_BYTES)


def _is_json_array(text: bytes) -> bool:
    """Whether a run was cut between elements: the beginning of a value is never a value."""
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def count_elements(text: Text, start: int, enough: int) -> int:
    """Return how many elements the array at `start` has; counting stops past `enough`, and at one too deep."""
    count, at = 0, start + 1
    while count <= enough and not EMPTY.match(text, start):
        element = ELEMENT.match(text, at)
        if element is None:
            break
        count, at = count + 1, element.end()
        if element[2] == b"]":
            break
    return count


def path_at(text: Text, offset: int, at: int = 0, where: str = "") -> tuple[str, bool]:
    """Return the path of the value at `offset`, below the value at `at`, and whether the offset is in its key."""
    at = skip_space(text, at)
    while at < offset and text[at] in b"[{":
        find = _member_at if text[at] == ord("{") else _element_at
        inner = find(text, at + 1, offset, where)
        if inner is None:
            break
        where, at, is_key = inner
        if is_key:
            return where, True
    return where or "manifest", False


def _member_at(text: Text, at: int, offset: int, where: str) -> tuple[str, int, bool] | None:
    while key := MEMBER_KEY.match(text, at):
        value = MEMBER_VALUE.match(text, key.end())
        if offset < key.end():
            return place(where, decode_string(key[1])), at, True
        if value is None or offset < value.end():
            return place(where, decode_string(key[1])), key.end(), False
        at = value.end()
    return None


def _element_at(text: Text, at: int, offset: int, where: str, index: int = 0) -> tuple[str, int, bool] | None:
    while element := ELEMENT.match(text, at):
        if offset < element.end():
            return place(where, index), skip_space(text, at), False
        index, at = index + 1, element.end()
    return None


def skip_space(text: Text, at: int) -> int:
    """Return where the next value begins."""
    space = re.compile(SPACE).match(text, at)
    return space.end() if space else at


def decode_string(raw: bytes) -> str:
    """Return the text of a JSON string."""
    if b"\\" not in raw:
        return raw[1:-1].decode("utf-8")
    return str(json.loads(raw.decode("utf-8")))


# ------------------------------------------------------------------ what JSON allows, but a manifest must not have


def run_problems(text: Text, start: int, end: int, where: str, first: int, max_text: int) -> tuple[int, Iterable[str]]:
    """Check a run of an array's elements, the first of which has the index `first`.

    Returns how many elements it has, and its problems: repeated keys, infinite numbers, long texts, deep nesting.
    """
    if not WHOLE_RUN.fullmatch(text, start, end):
        return 1, [nesting_problem(place(where, first))]
    if long := long_text_problem(text, start, end, max_text, lambda at: _path_in_run(text, start, at, where, first)):
        return 1, [long]
    return _run_faults(text, start, end, where, first)


def _run_faults(text: Text, start: int, end: int, where: str, first: int, level: int = 1) -> tuple[int, Iterable[str]]:
    if end - start > BIG_BYTES:
        return 1, _big_faults(text, skip_space(text, start), end, place(where, first), level)
    elements = f"[{bytes(text[start:end]).decode('utf-8')}]"
    count = count_strict(elements)
    if count is not None:
        return count, []
    tree = _tree(elements)
    return len(tree), chain.from_iterable(_faults(each, place(where, first + n)) for n, each in enumerate(tree))


def value_problems(text: Text, start: int, end: int, where: str, max_text: int) -> Iterable[str]:
    """Check one value as `run_problems` checks a run; its nesting is known to be right."""
    if long := long_text_problem(text, start, end, max_text, lambda at: path_at(text, at, start, where)[0]):
        return [long]
    return _value_faults(text, start, end, where)


def _value_faults(text: Text, start: int, end: int, where: str, level: int = 1) -> Iterator[str]:
    if end - start > BIG_BYTES:
        return _big_faults(text, start, end, where, level)
    value = bytes(text[start:end]).decode("utf-8")
    return iter(()) if count_strict(f"[{value}]") else _faults(_tree(value), where)


def _path_in_run(text: Text, start: int, offset: int, where: str, first: int) -> str:
    element = _element_at(text, start, offset, where, first)
    return path_at(text, offset, element[1], element[0])[0] if element else where


def long_text_problem(text: Text, start: int, end: int, max_text: int, path: Callable[[int], str]) -> str | None:
    """Return the problem of the first text of more than `max_text` bytes."""
    if end - start <= max_text:
        return None
    for string in STRINGS.finditer(text, start, end):
        size = string.end() - string.start() - 2
        if size > max_text:
            if size <= 6 * max_text:  # as much as escapes may take
                size = len(decode_string(string[0]).encode("utf-8"))
            if size > max_text:
                return f"{path(string.start())}: found a text of {size} bytes, expected at most {max_text}"
    return None


def _big_faults(text: Text, start: int, end: int, where: str, level: int) -> Iterator[str]:
    """The faults of a value of more than BIG_BYTES, which is cut once more for each of its levels."""
    if text[start] not in b"[{":
        return
    if level > MAX_BIG_LEVELS:
        yield f"{where}: found {end - start} bytes in deep nesting, expected at most {BIG_BYTES}"
    elif text[start] == ord("["):
        first = 0
        for at, run_end in array_runs(text, start):
            count, problems = _run_faults(text, at, run_end, where, first, level + 1)
            first += count
            yield from problems
    else:
        yield from _big_object_faults(text, start, where, level)


def _big_object_faults(text: Text, start: int, where: str, level: int) -> Iterator[str]:
    keys = KeyDigests()
    for key in _keys(text, start):  # before the values, so that digests of one object only are in memory
        if wrong := keys.add(key, where):
            yield wrong
            return
    yield from keys.duplicates(where, lambda: _keys(text, start))
    del keys
    for at, end in member_runs(text, start):
        if end - at <= BIG_BYTES:
            members = "{" + bytes(text[at:end]).decode("utf-8") + "}"
            if count_strict(f"[{members}]") is None:
                yield from _faults(_tree(members), where, duplicates=False)
        elif key_match := MEMBER_KEY.match(text, at):
            path = place(where, decode_string(key_match[1]))
            yield from _value_faults(text, key_match.end(), end, path, level + 1)


def _keys(text: Text, start: int) -> Iterator[str]:
    """The keys of the object at `start`."""
    for at, end in member_runs(text, start):
        if end - at > BIG_BYTES:
            key = MEMBER_KEY.match(text, at)
            yield from [decode_string(key[1])] if key else []
        else:
            yield from KEYS.decode("{" + bytes(text[at:end]).decode("utf-8") + "}")


class KeyDigests:
    """The keys of one object as 64-bit digests, salted for each process, so that any number of them can be compared."""

    MAX_KEYS = 500_000

    def __init__(self) -> None:
        self._digests = array("q")

    def add(self, key: str, where: str) -> str | None:
        """Add a key; returns the problem when there are too many of them."""
        self._digests.append(hash(key))
        if len(self._digests) <= self.MAX_KEYS:
            return None
        return f"{where or 'manifest'}: found more than {self.MAX_KEYS} keys, expected at most {self.MAX_KEYS}"

    def duplicates(self, where: str, keys: Callable[[], Iterator[str]]) -> Iterator[str]:
        """The problems of keys that are repeated; `keys` gives all of them once more."""
        if len(set(self._digests)) == len(self._digests):
            return
        counted = Counter(self._digests)
        repeated = set(islice((digest for digest, times in counted.items() if times > 1), 100))
        names: Counter[str] = Counter()
        for key in keys():
            if hash(key) in repeated:
                names[key] += 1
                if names[key] == 2:
                    yield duplicate_key_problem(where, key)


def duplicate_key_problem(where: str, key: str) -> str:
    return f"{place(where, key)}: found the key more than once, expected it once"


class _DoubtError(ValueError):
    """Ends a reading that found a repeated key or an infinite number."""


def _dropped(pairs: list[tuple[str, Any]]) -> None:
    if len(dict(pairs)) != len(pairs):
        raise _DoubtError


def _listed(pairs: list[tuple[str, Any]]) -> list[str]:
    return [key for key, _ in pairs]


def _checked_float(digits: str) -> None:
    if not finite(float(digits)):
        raise _DoubtError


# `len` instead of `int`: the numbers are not needed, and many digits would take long.
CHECK = json.JSONDecoder(object_pairs_hook=_dropped, parse_float=_checked_float, parse_int=len)
KEYS = json.JSONDecoder(object_pairs_hook=_listed, parse_int=len)


def count_strict(array_text: str) -> int | None:
    """Return how many elements the array has; None when a key is repeated in one of them, or a number infinite."""
    try:
        return len(CHECK.decode(array_text))
    except _DoubtError:
        return None


def _tree(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_object, parse_int=_clipped_int)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) == len(pairs):
        return made
    repeated = DuplicateKeyDict(made)
    repeated.duplicate_keys = [key for key, times in Counter(key for key, _ in pairs).items() if times > 1]
    return repeated


def _clipped_int(digits: str) -> int:
    return int(digits[:MAX_DIGITS])


def _faults(value: Any, where: str, duplicates: bool = True) -> Iterator[str]:
    """The repeated keys and infinite numbers in `value`, which is at `where`."""
    if isinstance(value, dict):
        for key in getattr(value, "duplicate_keys", ()) if duplicates else ():
            yield duplicate_key_problem(where, key)
        for key, inner in value.items():
            yield from _faults(inner, place(where, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _faults(inner, place(where, index))
    elif not finite(value):
        yield problem(where or "manifest", value, "a finite number")


def described(text: Text) -> str:
    """Describe a JSON value for a message, whatever its size."""
    start = skip_space(text, 0)
    if text[start] != ord("["):
        return describe(bytes(text[start : start + 1024]), len(text) - start)
    count = count_elements(text, start, 10_000)
    is_whole = count <= 10_000 and (count or EMPTY.match(text, start))
    return f"an array of {count}" if is_whole else "an array"
