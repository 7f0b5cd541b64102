"""SQL literals for INSERTs of many rows and `IN` lists, faster than the driver's.

Only strings, whole numbers and NULL are written here; the driver writes all other types.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

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


class RowWriter:
    """Writes the rows of one INSERT; `template` has a %s for each value."""

    def __init__(self, connection: "pymysql.Connection[Cursor]", template: str):
        self._writers, self._template = literal_writers(connection), template
        self._is_quick = self._writers[str] is _quoted

    def write(self, values: tuple[Any, ...]) -> str:
        """Return the text of a row; nearly all rows have nothing to escape, which one look at their strings shows."""
        strings = "".join([value for value in values if type(value) is str])
        writers = self._writers
        if not self._is_quick or "'" in strings or "\\" in strings:
            return self._template % tuple([writers[type(value)](value) for value in values])
        return self._template % tuple([
            f"'{value}'" if type(value) is str else "NULL" if value is None else writers[type(value)](value)
            for value in values
        ])


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
