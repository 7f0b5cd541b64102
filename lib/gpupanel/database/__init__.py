"""MariaDB access; the only room that imports pymysql."""

from .connection import Database
from .driver import ConnectionLost, DatabaseTrouble, DataRefused, Duplicate, translate
from .queries import fill, queries, query
from .transactions import Reading, Transaction, chunks, grouped

__all__ = [
    "ConnectionLost", "DataRefused", "Database", "DatabaseTrouble", "Duplicate", "Reading", "Transaction",
    "chunks", "fill", "grouped", "queries", "query", "translate",
]
