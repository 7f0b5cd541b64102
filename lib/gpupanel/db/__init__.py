"""MariaDB access; the only room that imports pymysql."""

from .connection import Database
from .errors import (
    ConnectionLostError, DRIVER_ERRORS, DataError, DatabaseInternalError, DuplicateKeyError, PacketTooLargeError,
    translate_error,
)
from .queries import fill, queries, query
from .transaction import ReadTransaction, Transaction, chunk_by_first, chunked

__all__ = [
    "DRIVER_ERRORS",
    "ConnectionLostError",
    "DataError",
    "Database",
    "DatabaseInternalError",
    "DuplicateKeyError",
    "PacketTooLargeError",
    "ReadTransaction",
    "Transaction",
    "chunk_by_first",
    "chunked",
    "fill",
    "queries",
    "query",
    "translate_error",
]
