"""SQL literals for INSERTs of many rows and `IN` lists, faster than the driver's.

Only strings, whole numbers and NULL are written here; the driver writes all other types.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
        self._writers, self._parts = literal_writers(connection), template.split("%s")
        self._is_quick = self._writers[str] is _quoted

    def write(self, rows: Iterable[tuple[Any, ...]]) -> list[str]:
        """Return the texts of rows, of which there is at least one.

        A column of whole numbers, or of strings without a character to escape, is left to the template.
        """
        columns = [self._column(values) for values in zip(*rows, strict=True)]
        forms = (f"{form}{part}" for (form, _), part in zip(columns, self._parts[1:], strict=True))
        template = self._parts[0] + "".join(forms)
        return [template % row for row in zip(*(values for _, values in columns), strict=True)]

    def _column(self, values: tuple[Any, ...]) -> tuple[str, Sequence[Any]]:
        """Return how the template shows the values of a column, and the values or their literals."""
        types = set(map(type, values))
        if self._is_quick and types == {int}:
            return "%s", values
        if self._is_quick and all(issubclass(each, str) and each.__str__ is str.__str__ for each in types):
            text = "".join(values)
            if "'" not in text and "\\" not in text:
                return "'%s'", values
        writers = self._writers
        return "%s", [writers[type(value)](value) for value in values]


def _quoted(text: str) -> str:
    """Quote a string; utf8mb4 needs no other escapes."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _null(nothing: None) -> str:
    return "NULL"


def join_up_to(texts: Sequence[str], most: int) -> Iterator[str]:
    """Join texts by commas into strings of up to `most` characters."""
    if 0 < sum(map(len, texts)) + len(texts) <= most:
        yield ",".join(texts)
        return
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
