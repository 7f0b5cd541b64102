"""SQL literals for INSERTs of many rows and `IN` lists, faster than the driver's.

Only strings, whole numbers and NULL are written here; the driver writes all other types.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import pymysql
from pymysql.constants import SERVER_STATUS
from pymysql.cursors import Cursor


def literal_writers(connection: "pymysql.Connection[Cursor]") -> Mapping[type, Callable[[Any], str]]:
    """type -> function that writes a value of this type as a literal."""
    status: int = connection.server_status  # type: ignore[attr-defined]  # missing from the driver's type stubs
    if status & SERVER_STATUS.SERVER_STATUS_NO_BACKSLASH_ESCAPES:
        return defaultdict(lambda: connection.escape)

    def other(value: Any) -> str:
        return _quoted(value) if isinstance(value, str) else str(connection.escape(value))

    return defaultdict(lambda: other, {str: _quoted, int: str, type(None): _null})


def literals(connection: "pymysql.Connection[Cursor]", params: Mapping[str, Any]) -> dict[str, str]:
    """Write the parameters of one statement; a list becomes an `IN` list, which the driver writes slowly."""
    writers = literal_writers(connection)
    return {
        name: f"({','.join([writers[type(each)](each) for each in value])})" if type(value) is list
        else writers[type(value)](value)
        for name, value in params.items()
    }


class RowShape(NamedTuple):
    """The template of all rows whose values have the same types, and how many quotes it has."""

    template: str
    quotes: int


class RowWriter:
    """Writes the rows of one INSERT; `template` has a %s for each value."""

    def __init__(self, connection: "pymysql.Connection[Cursor]", template: str):
        self._writers, self._template = literal_writers(connection), template
        self._is_quick = self._writers[str] is _quoted

    def write(self, values: tuple[Any, ...]) -> str:
        """Return the text of a row.

        A row is first written without escapes. It stays so if it has no backslash and no other quotes than its shape,
        as nearly all rows.
        """
        if self._is_quick and (shape := _shape(self._template, tuple(map(type, values)))):
            text = shape.template % values
            if text.count("'") == shape.quotes and "\\" not in text:
                return text
        writers = self._writers
        return self._template % tuple([writers[type(value)](value) for value in values])


@lru_cache(maxsize=1024)
def _shape(template: str, types: tuple[type, ...]) -> RowShape | None:
    """Return the shape of rows with these types, None if a value may need another form than its text."""
    texts = template.split("%s")
    forms = [_form(each) for each in types]
    if len(texts) != len(types) + 1 or not all(forms):
        return None
    shape = texts[0] + "".join(f"{form}{text}" for form, text in zip(forms, texts[1:], strict=True))
    return RowShape(shape, shape.count("'"))


def _form(value_type: type) -> str | None:
    """Return how a template shows a value that needs no escape; `%.0s` shows none of its characters."""
    if value_type is int:
        return "%s"
    if value_type is type(None):
        return "NULL%.0s"
    return "'%s'" if issubclass(value_type, str) and value_type.__str__ is str.__str__ else None


def _quoted(text: str) -> str:
    """Quote a string; utf8mb4 needs no other escapes."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _null(nothing: None) -> str:
    return "NULL"


def join_up_to(texts: Iterable[str], most: int) -> Iterator[str]:
    """Join texts by commas into strings of up to `most` characters."""
    pack: list[str] = []
    size = 0
    for text in texts:
        if pack and size + len(text) > most:
            yield ",".join(pack)
            pack, size = [], 0
        pack.append(text)
        size += len(text) + 1
    if pack:
        yield ",".join(pack)
