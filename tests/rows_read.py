"""Count the rows and index entries that the server reads, and its temporary tables."""

from collections.abc import Callable

from gpupanel.db import Database


def so_far(db: Database) -> int:
    """Return the rows read by this connection; SHOW STATUS itself does not count."""
    return _counted(db, "Handler_read%")


def examined(db: Database, work: Callable, *args, **kwargs) -> tuple:
    """Return the result of `work(tx, ...)` and the number of rows that it read."""
    before = so_far(db)
    result = db.run_read(work, *args, **kwargs)
    return result, so_far(db) - before


def temporary_tables(db: Database, work: Callable, *args, **kwargs) -> int:
    """Return the number of temporary tables for `work(tx, ...)`."""
    before = _counted(db, "Created_tmp_tables")
    db.run_read(work, *args, **kwargs)
    return _counted(db, "Created_tmp_tables") - before


def _counted(db: Database, names: str) -> int:
    return sum(int(row["Value"]) for row in db.execute("SHOW SESSION STATUS LIKE %(names)s", names=names))
