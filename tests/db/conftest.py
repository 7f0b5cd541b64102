"""Imports in this process, for the tests of what is written."""

import pytest
import worker_helpers


@pytest.fixture
def bring(panel_db, mount, worker_conf):
    """Queues bundles and imports them; returns the worker's log."""

    def run(*sync_ids: str) -> str:
        worker_helpers.queue(panel_db, mount, *sync_ids)
        return worker_helpers.drain(worker_conf)

    return run
