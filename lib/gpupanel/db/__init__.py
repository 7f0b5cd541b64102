"""MariaDB access; the only room that imports pymysql."""

from .connection import Database
from .errors import ConnectionLostError, DataError, DatabaseInternalError, DuplicateKeyError, PacketTooLargeError
from .queries import fill, queries, query
from .run_lock import RunLock, hold_run_lock
from .transaction import ReadTransaction, Transaction, chunk_by_first, chunked

__all__ = [
    "ConnectionLostError", "DataError", "Database", "DatabaseInternalError", "DuplicateKeyError",
    "PacketTooLargeError", "ReadTransaction", "RunLock", "Transaction", "chunk_by_first", "chunked", "fill",
    "hold_run_lock", "queries", "query",
]
