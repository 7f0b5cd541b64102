"""The evidence for a line of a proposed mapping: names, types, and values that both databases have."""

import re
from collections.abc import Iterable, Set
from datetime import date, datetime
from decimal import Decimal
from math import log2
from typing import Any, NamedTuple

from . import value_diff
from .row_reader import PLAIN_NUMBER

SAMPLE_ROWS = 200
# A column with fewer values says nothing by them.
MIN_VALUES = 3
SURE_NAMES = 0.75
# Values alone are evidence if there are many of them, and nearly all are equal.
MANY_VALUES, SURE_VALUES = 10, 0.9

UUID_TEXT = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
DIGESTS = ("char(36)", "char(64)")
NUMBERS = ("tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "double", "float", "year", "bit", "bool")
TIMES = ("datetime", "timestamp", "date")
BYTES = ("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob")


class Evidence(NamedTuple):
    """Why a line is proposed.

    `names` is their likeness. `share` is that of their distinct values that ours have too, of `value_count`; None where
    values say nothing: ids, times, too few of them. `key` is what the catalogue says of the column. `linked` is the
    share of the values of a reference that its table has as ids. `rows` is the share of rows with the same digest in
    which both have the same value, of `row_count`; another column may have the same values, too: it `has_rival`. A
    reference to a view, whose ids cannot be counted, `is_unproven`.
    """

    names: float
    types: bool
    our_type: str
    their_type: str
    share: float | None = None
    value_count: int = 0
    key: str = ""
    linked: float | None = None
    rows: float | None = None
    row_count: int = 0
    has_rival: bool = False
    is_unproven: bool = False

    @property
    def is_in_rows(self) -> bool:
        """Return whether nearly all of many rows with the same digest have equal values."""
        return self.rows is not None and self.rows >= SURE_VALUES and self.row_count >= MANY_VALUES

    @property
    def is_by_values(self) -> bool:
        """Return whether nearly all of many distinct values are those of ours."""
        many = MIN_VALUES if self.our_type in DIGESTS else MANY_VALUES  # digests are equal in equal columns alone
        return self.is_like_by_values and self.value_count >= many

    @property
    def is_like_by_values(self) -> bool:
        """Return whether nearly all distinct values are those of ours, however few."""
        return self.share is not None and self.share >= SURE_VALUES

    @property
    def is_sure(self) -> bool:
        """Return whether the catalogue says so, or names speak for it and values not against it, or many values do."""
        if self.types and self.is_in_rows:
            return not self.has_rival or self.names >= SURE_NAMES
        if self.rows is not None and self.row_count >= MANY_VALUES:
            return False  # many rows with the same digest have other values
        if not self.types or self.share == 0 or (self.linked is not None and self.linked < 1):
            return False
        if self.key:
            return True
        if self.is_unproven:
            return False
        return self.names >= SURE_NAMES or (self.is_by_values and not self.has_rival)

    @property
    def score(self) -> float:
        """Return what orders the proposals: more is better."""
        by_catalogue = 2.0 if self.key else 0.0
        # Some rows that differ outweigh a name that is more alike; so do many ids beside a few small ones.
        by_rows = 3.0 + 20 * ((self.rows or 0.0) - 1) if self.is_in_rows else 0.0
        by_ids = self.linked + log2(max(self.value_count, 1)) / 10 if self.linked else 0.0
        by_values = (self.share if self.rows is None else self.rows) or 0.0
        return self.names + by_values + by_ids + by_catalogue + by_rows if self.types else 0.0

    def __str__(self) -> str:
        values = "values not compared" if self.share is None else f"{self.share:.0%} of {self.value_count} values equal"
        if self.linked is not None:
            values = f"{self.linked:.0%} of {self.value_count} values are ids of that table"
        if self.rows is not None:
            values = f"{self.rows:.0%} of {self.row_count} rows with the same digest agree"
        return ", ".join(filter(None, (
            f"names {self.names:.0%} alike", f"{self.their_type} for {self.our_type}", self.key, values
        )))


def types_agree(our_type: str, their_type: str) -> bool:
    """Return whether their type can hold the values of ours."""
    ours, theirs = _family(our_type), _family(their_type)
    if ours == "time":
        return theirs in ("time", "text", "number")
    if ours == "number":
        return theirs in ("number", "text")
    return theirs in ("text", "bytes") or (our_type.startswith("enum") and their_type == "tinyint")


def _family(kind: str) -> str:
    base = kind.partition("(")[0].split(" ")[0]
    for family, names in (("number", NUMBERS), ("time", TIMES), ("bytes", BYTES)):
        if base in names:
            return family
    return "text"


def share_of_equal_values(ours: Iterable[Any], theirs: Iterable[Any]) -> tuple[float | None, int]:
    """Return which share of their distinct values is among ours, and of how many; None for too few on a side."""
    return share_of_equal(distinct(ours), distinct(theirs))


def share_of_equal(known: Set[str], found: Set[str]) -> tuple[float | None, int]:
    """Return the same of distinct values."""
    count = min(len(known), len(found))
    return (len(known & found) / count, count) if count >= MIN_VALUES else (None, count)


def distinct(values: Iterable[Any]) -> set[str]:
    """Return the distinct values in a form that does not depend on their types."""
    return {comparable(value) for value in values if value not in (None, "", 0)}


def comparable(value: Any) -> str:
    """Return a value in a form that does not depend on its type."""
    if isinstance(value, (bytes, bytearray)):
        value = _text_of(bytes(value))
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    text = str(value)
    if isinstance(value, (int, float, Decimal)) or PLAIN_NUMBER.fullmatch(text):
        return value_diff.text_of_number(text)
    if UUID_TEXT.fullmatch(text):
        return text.replace("-", "").lower()
    if text.startswith(("{", "[")):
        try:
            return value_diff.canonical_json(text)
        except (ValueError, TypeError, ArithmeticError, RecursionError):
            return text
    return text.lower()


def _text_of(value: bytes) -> str:
    """Return the digits of a digest or identifier, and the characters of a text."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = ""
    return value.hex() if (len(value) in (16, 32) and not text.isprintable()) or not text else text
