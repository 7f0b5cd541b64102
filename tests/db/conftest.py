"""Fixtures of imports that run in the test process; each module leaves the tables as it found them."""

import pytest
import worker_helpers
from constants import NAME
from gpupanel.db import Database

# Not the collation of a column: a server's default differs from that of the schema, and both are accepted.
TABLE_SHAPES = """
SELECT table_name, column_name, column_type, is_nullable FROM information_schema.columns WHERE table_schema = %(name)s
UNION ALL
SELECT table_name, index_name, column_name, non_unique FROM information_schema.statistics WHERE table_schema = %(name)s
"""


@pytest.fixture(scope="module", autouse=True)
def tables_stay(shared_server):
    """Fail the module that leaves a column or index: the modules that follow it share its database."""
    db = Database(shared_server.admin(NAME))

    def shapes():
        return {tuple(row.values()) for row in db.execute(TABLE_SHAPES, name=NAME)}

    before = shapes()
    yield
    assert shapes() == before
    db.close()


@pytest.fixture
def bring(panel_db, mount, worker_conf):
    """Queue bundles and import them; return the worker's log."""

    def run(*sync_ids: str) -> str:
        worker_helpers.queue(panel_db, mount, *sync_ids)
        return worker_helpers.drain(worker_conf)

    return run
