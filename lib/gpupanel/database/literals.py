"""Values as SQL literals, for statements of many rows: the driver's own way costs an import more than the server does.

Only strings, whole numbers and NULL are written here; whatever else comes is the driver's to write.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import pymysql
from pymysql.constants import SERVER_STATUS


def of(connection: pymysql.Connection) -> Mapping[type, Callable[[Any], str]]:
    """How this connection writes values: for the type of each, a function from the value to its literal."""
    if connection.server_status & SERVER_STATUS.SERVER_STATUS_NO_BACKSLASH_ESCAPES:
        return defaultdict(lambda: connection.escape)

    def other(value: Any) -> str:
        return _quoted(value) if isinstance(value, str) else connection.escape(value)

    return defaultdict(lambda: other, {str: _quoted, int: str, type(None): _null})


def _quoted(text: str) -> str:
    """In utf8mb4, which our connections speak, nothing else ends a string or stands for another character."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _null(nothing: None) -> str:
    return "NULL"


def packed(texts: Iterable[str], most: int) -> Iterator[str]:
    """The texts with commas between them, in strings of up to `most` characters; one that is longer comes alone."""
    pack, size = [], 0
    for text in texts:
        if pack and size + len(text) > most:
            yield ",".join(pack)
            pack, size = [], 0
        pack.append(text)
        size += len(text) + 1
    if pack:
        yield ",".join(pack)
