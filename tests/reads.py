"""How many rows and index entries the server reads for something, as it counts them for each connection (Handler_read)."""

from collections.abc import Callable

from gpupanel.database import Database


def so_far(db: Database) -> int:
    """By this connection; what SHOW STATUS reads itself, the server does not count."""
    return sum(int(row["Value"]) for row in db.execute("SHOW SESSION STATUS LIKE 'Handler_read%'"))


def examined(db: Database, work: Callable, *args, **kwargs) -> tuple:
    """(what `work(tx, ...)` returns in a read-only transaction, how many rows were read for it)."""
    before = so_far(db)
    result = db.read(work, *args, **kwargs)
    return result, so_far(db) - before
