"""A database that records each statement, its plan and its reads."""

import re
from contextlib import contextmanager
from typing import NamedTuple

import rows_read
from gpupanel.db import Database, ReadTransaction
from gpupanel.search.filters import STATUSES
from gpupanel.search import MAX_ROWS_SCANNED


class Seen(NamedTuple):
    """A statement with EXPLAIN rows (`plan`), result and number of reads."""

    statement: str
    params: dict
    plan: list[dict]
    rows: list[dict]
    read: int

    @property
    def scans(self):
        """The tables with a full scan; a statement with LIMIT may scan an index."""
        never = ("ALL",) if "LIMIT" in self.statement else ("ALL", "index")
        return [row["table"] for row in self.plan if row["type"] in never and not str(row["table"]).startswith("<")]

    @property
    def counted(self):
        """The sum of the statement's counts."""
        items = [] if "SUM(" in self.statement else ["items"]
        names = ("batches", "jobs", "running", "marked", "held_unseen", *STATUSES, *items)
        return sum(int(row[name]) for row in self.rows for name in names if name in row)

    @property
    def looks_through(self):
        """The number of rows that it may skip, count or compare besides the result."""
        if "UNION ALL" in self.statement and self.statement.rstrip().endswith(") latest"):  # read, then compared
            return 2 * sum(map(int, re.findall(r"LIMIT (\d+)\)", self.statement)))
        return MAX_ROWS_SCANNED if "GROUP BY b.status" in self.statement else self.params.get("offset") or 0


class Watched(Database):
    """A Database that records its statements in `seen`."""

    def __init__(self, settings, **options):
        super().__init__(settings, **options)
        self.seen: list[Seen] = []

    @contextmanager
    def reading(self):
        """Open a recorded read transaction."""
        with super().reading() as tx:
            yield Watching(tx._connection, self)

    @contextmanager
    def reading_once(self):
        """Run one recorded SELECT."""
        with super().reading_once() as tx:
            yield Watching(tx._connection, self)

    def watch(self, statement, params, work):
        """Run `work()`, record the statement, and return the rows."""
        before = rows_read.so_far(self)
        rows = work()
        read = rows_read.so_far(self) - before
        self.seen.append(Seen(statement, params, self.execute(f"EXPLAIN {statement}", **params), rows, read))
        return rows


class Watching(ReadTransaction):
    """A read transaction whose statements are recorded."""

    def __init__(self, connection, db):
        super().__init__(connection)
        self._db = db

    def _execute(self, sql, params):
        execute = super()._execute
        return Held(self._db.watch(sql, params, lambda: execute(sql, params).fetchall()))

    def stream_sql(self, statement, **params):
        stream = super().stream_sql
        return iter(self._db.watch(statement, params, lambda: list(stream(statement, **params))))


class Held:
    """A cursor of rows that are already fetched."""

    def __init__(self, rows):
        self._rows = list(rows)

    def fetchall(self):
        """Return all rows."""
        return self._rows

    def fetchone(self):
        """Return the first row, or None."""
        return self._rows[0] if self._rows else None
