"""How many rows and index entries the server reads for something, and how many temporary tables it makes, as it counts them
for each connection."""

from collections.abc import Callable

from gpupanel.database import Database


def so_far(db: Database) -> int:
    """Read by this connection; what SHOW STATUS reads itself, the server does not count."""
    return _counted(db, "Handler_read%")


def examined(db: Database, work: Callable, *args, **kwargs) -> tuple:
    """(what `work(tx, ...)` returns in a read-only transaction, how many rows were read for it)."""
    before = so_far(db)
    result = db.read(work, *args, **kwargs)
    return result, so_far(db) - before


def temporary_tables(db: Database, work: Callable, *args, **kwargs) -> int:
    """How many the server makes for `work(tx, ...)`."""
    before = _counted(db, "Created_tmp_tables")
    db.read(work, *args, **kwargs)
    return _counted(db, "Created_tmp_tables") - before


def _counted(db: Database, names: str) -> int:
    return sum(int(row["Value"]) for row in db.execute("SHOW SESSION STATUS LIKE %(names)s", names=names))
