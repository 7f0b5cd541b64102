"""A database that notes each statement which a page runs: its plan, and how many rows the server read for it."""

from contextlib import contextmanager
from typing import NamedTuple

import rows_read
from gpupanel.database import Database, Reading
from gpupanel.filters import STATUSES
from gpupanel.find import SCAN


class Seen(NamedTuple):
    """`plan` are the rows of EXPLAIN, `rows` what was returned, `read` how many rows and index entries the server touched."""

    statement: str
    params: dict
    plan: list[dict]
    rows: list[dict]
    read: int

    @property
    def scans(self):
        """The tables that are read from end to end; an index may be, as far as the statement's LIMIT."""
        never = ("ALL",) if "LIMIT" in self.statement else ("ALL", "index")
        return [row["table"] for row in self.plan if row["type"] in never and not str(row["table"]).startswith("<")]

    @property
    def counted(self):
        """What the statement's counts come to."""
        names = ("batches", "jobs", "running", *STATUSES, *([] if "SUM(" in self.statement else ["items"]))
        return sum(int(row[name]) for row in self.rows for name in names if name in row)

    @property
    def looks_through(self):
        """How many rows it may pass over, or count by status, beside what it shows."""
        return SCAN if "GROUP BY b.status" in self.statement else self.params.get("offset") or 0


class Watched(Database):
    """What it `seen` so far; give it to a page in the place of a Database."""

    def __init__(self, settings, **options):
        super().__init__(settings, **options)
        self.seen: list[Seen] = []

    @contextmanager
    def reading(self):
        with super().reading() as tx:
            yield Watching(tx._connection, self)

    def watch(self, statement, params, work):
        """`work()`, a list of rows, and a note of it."""
        before = rows_read.so_far(self)
        rows = work()
        read = rows_read.so_far(self) - before
        self.seen.append(Seen(statement, params, self.execute(f"EXPLAIN {statement}", **params), rows, read))
        return rows


class Watching(Reading):
    """A read-only transaction that is watched."""

    def __init__(self, connection, db):
        super().__init__(connection)
        self._db = db

    def _execute(self, sql, params):
        return Held(self._db.watch(sql, params, lambda: super(Watching, self)._execute(sql, params).fetchall()))

    def stream_statement(self, statement, **params):
        return iter(self._db.watch(statement, params, lambda: list(super(Watching, self).stream_statement(statement, **params))))


class Held:
    """Rows that were fetched already, as a cursor hands them over."""

    def __init__(self, rows):
        self._rows = list(rows)

    def fetchall(self):
        return self._rows

    def fetchone(self):
        return self._rows[0] if self._rows else None
