"""Strict JSON in bounded memory: check the syntax, and find what JSON allows but a manifest must not have.

No function makes a tree of more than BIG_BYTES of text, whatever the text contains
(docs/decisions/0101-one-manifest-parser.md). `json_runs.MAX_LEVELS` bounds the levels of nesting;
`mount/mount.py` bounds the bytes of a manifest before it is parsed.
"""

import json
import re
from array import array
from codecs import getincrementaldecoder
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain, islice
from typing import Any

import msgspec

from .json_runs import (
    EMPTY, MAX_LEVELS, MEMBER_KEY, STRINGS, Span, Text, array_runs, count_elements, decode_string, member_runs,
    path_at, path_in_run, skip_space, whole_run_pattern,
)
from .messages import describe_start, escape, format_problem, is_finite, member_path

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# The largest value that `json` reads; a larger one is cut further.
BIG_BYTES = 1024 * 1024
# A value above BIG_BYTES is read once for each level of such values, so they are few.
MAX_BIG_LEVELS = 4
# More digits than any rule allows; Python refuses to convert some thousands of them.
MAX_DIGITS = 400
CONTINUATION_BYTES = bytes(range(0x80, 0xC0))
CUT_OFF = "the manifest was cut off here; upstream has the whole file"

# The path of the element with an index, in the array that a run belongs to.
ElementPath = Callable[[int], str]


# ------------------------------------------------------------------------------------------------ syntax


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
    if len(text) <= BIG_BYTES and _is_utf8(text):
        return None
    decoder, kept = getincrementaldecoder("utf-8")(), 0
    for start in range(0, len(text), BIG_BYTES):
        try:
            decoder.decode(text[start : start + BIG_BYTES], start + BIG_BYTES >= len(text))
        except UnicodeDecodeError as error:
            offset = start - kept + error.start
            return f"manifest: found byte 0x{text[offset]:02x} at offset {offset}, expected UTF-8"
        kept = len(decoder.getstate()[0])
    return None


def _is_utf8(text: Text) -> bool:
    try:
        str(text, "utf-8")
    except UnicodeDecodeError:
        return False
    return True


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
        offset, reason = len(text), CUT_OFF if bytes(text[:1024]).strip() else "expecting value"
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


# ------------------------------------------------------------------ repeated keys, infinite numbers, long texts


def run_problems(run: Span, path: ElementPath, first: int, max_text_bytes: int) -> tuple[int, Iterable[str]]:
    """Check a run of elements, the first of which has the index `first` in its array.

    Returns the number of elements, and the problems: repeated keys, infinite numbers, long texts, deep nesting.
    """
    if not whole_run_pattern().fullmatch(*run):
        return 1, [nesting_problem(path(first))]
    if long := long_text_problem(run, max_text_bytes, lambda at: path_in_run(run, at, path, first)):
        return 1, [long]
    return _check_run(run, path, first)


def value_problems(value: Span, path: str, max_text_bytes: int) -> Iterable[str]:
    """Check one value as `run_problems` checks a run, without its nesting."""
    if long := long_text_problem(value, max_text_bytes, lambda at: path_at(value.text, at, value.start, path)[0]):
        return [long]
    return _check_run(value, lambda _: path)[1]


def _check_run(run: Span, path: ElementPath, first: int = 0, level: int = 1) -> tuple[int, Iterable[str]]:
    """Check a run or value for repeated keys and infinite numbers; return the number of elements, and the problems."""
    if run.size > BIG_BYTES:
        return 1, _big_value_problems(run, path(first), level)
    elements = f"[{run.decode()}]"
    count = count_strict(elements)
    if count is not None:
        return count, []
    tree = TREE.decode(elements)
    return len(tree), chain.from_iterable(_tree_problems(value, path(first + n)) for n, value in enumerate(tree))


def long_text_problem(span: Span, max_bytes: int, path: Callable[[int], str]) -> str | None:
    """Return the problem of the first text of more than `max_bytes`."""
    if span.size <= max_bytes:
        return None
    for string in STRINGS.finditer(*span):
        size = string.end() - string.start() - 2
        if max_bytes < size <= 6 * max_bytes:  # an escape takes up to six bytes
            size = len(decode_string(string[0]).encode("utf-8"))
        if size > max_bytes:
            return f"{path(string.start())}: found a text of {size} bytes, expected at most {max_bytes}"
    return None


def _big_value_problems(value: Span, path: str, level: int) -> Iterator[str]:
    """Check a value of more than BIG_BYTES, which is cut once more for each of its levels."""
    text, start = value.text, skip_space(value.text, value.start)
    if text[start] not in b"[{":
        return
    if level > MAX_BIG_LEVELS:
        yield f"{path}: found {value.end - start} bytes in deep nesting, expected at most {BIG_BYTES}"
    elif text[start] == ord("["):
        first = 0
        for at, end in array_runs(text, start):
            count, problems = _check_run(Span(text, at, end), partial(member_path, path), first, level + 1)
            first += count
            yield from problems
    else:
        yield from _big_object_problems(text, start, path, level)


def _big_object_problems(text: Text, start: int, path: str, level: int) -> Iterator[str]:
    keys = KeyDigests()
    for key in _keys(text, start):  # before the values, so that digests of one object only are in memory
        if limit_problem := keys.add(key, path):
            yield limit_problem
            return
    yield from keys.duplicates(path, lambda: _keys(text, start))
    del keys
    for members in _member_spans(text, start):
        if members.size <= BIG_BYTES:
            json_object = f"{{{members.decode()}}}"
            if count_strict(f"[{json_object}]") is None:
                yield from _tree_problems(TREE.decode(json_object), path, check_keys=False)
        elif key_match := MEMBER_KEY.match(text, members.start):
            inner = member_path(path, decode_string(key_match[1]))
            value = members._replace(start=key_match.end())
            yield from _check_run(value, partial(_same_path, inner), level=level + 1)[1]


def _same_path(path: str, _: int) -> str:
    return path


def _keys(text: Text, start: int) -> Iterator[str]:
    """Yield the keys of the object at `start`."""
    for members in _member_spans(text, start):
        if members.size <= BIG_BYTES:
            yield from KEYS.decode(f"{{{members.decode()}}}")
        elif key := MEMBER_KEY.match(text, members.start):
            yield decode_string(key[1])


def _member_spans(text: Text, start: int) -> Iterator[Span]:
    return (Span(text, at, end) for at, end in member_runs(text, start))


class KeyDigests:
    """The keys of one object as 64-bit digests, salted for each process, so that any number of keys can be compared."""

    MAX_KEYS = 500_000

    def __init__(self) -> None:
        self._digests = array("q")

    def add(self, key: str, path: str) -> str | None:
        """Add a key; return the problem if there are too many."""
        self._digests.append(hash(key))
        if len(self._digests) <= self.MAX_KEYS:
            return None
        return f"{path or 'manifest'}: found more than {self.MAX_KEYS} keys, expected at most {self.MAX_KEYS}"

    def duplicates(self, path: str, keys: Callable[[], Iterator[str]]) -> Iterator[str]:
        """Yield the problems of repeated keys; `keys` yields all keys once more."""
        if len(set(self._digests)) == len(self._digests):
            return
        repeated = set(islice((digest for digest, times in Counter(self._digests).items() if times > 1), 100))
        yield from _duplicate_key_problems(path, (key for key in keys() if hash(key) in repeated))


def _duplicate_key_problems(path: str, keys: Iterable[str]) -> Iterator[str]:
    for key, times in Counter(keys).items():
        if times > 1:
            yield f"{member_path(path, key)}: found the key more than once, expected it once"


class _NotStrictError(ValueError):
    """Ends a check at a repeated key or an infinite number."""


class _Pairs(tuple[tuple[str, Any], ...]):
    """An object with all its keys, also the repeated ones."""


def _check_keys(pairs: list[tuple[str, Any]]) -> None:
    if len(dict(pairs)) != len(pairs):
        raise _NotStrictError


def _check_float(digits: str) -> None:
    if not is_finite(float(digits)):
        raise _NotStrictError


# `len` instead of `int`: the numbers are not needed, and converting many digits takes long.
CHECK = json.JSONDecoder(object_pairs_hook=_check_keys, parse_float=_check_float, parse_int=len)
KEYS = json.JSONDecoder(object_pairs_hook=lambda pairs: [key for key, _ in pairs], parse_int=len)
TREE = json.JSONDecoder(object_pairs_hook=_Pairs, parse_int=lambda digits: int(digits[:MAX_DIGITS]))


def count_strict(array_text: str) -> int | None:
    """Return the number of elements, or None if a key in one is repeated or a number infinite."""
    try:
        return len(CHECK.decode(array_text))
    except _NotStrictError:
        return None


def _tree_problems(value: Any, path: str, check_keys: bool = True) -> Iterator[str]:
    """Yield the repeated keys and infinite numbers of a value of TREE."""
    if isinstance(value, _Pairs):
        if check_keys:
            yield from _duplicate_key_problems(path, (key for key, _ in value))
        for key, member in dict(value).items():
            yield from _tree_problems(member, member_path(path, key))
    elif isinstance(value, list):
        for index, element in enumerate(value):
            yield from _tree_problems(element, member_path(path, index))
    elif not is_finite(value):
        yield format_problem(path or "manifest", value, "a finite number")


def describe_value(text: Text) -> str:
    """Describe a JSON value of any size for a message."""
    start = skip_space(text, 0)
    if text[start] != ord("["):
        return describe_start(bytes(text[start : start + 1024]))
    count = count_elements(text, start, 10_000)
    is_complete = count <= 10_000 and (count or EMPTY.match(text, start))
    return f"an array of {count}" if is_complete else "an array"
