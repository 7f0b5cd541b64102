"""Imports in this process, for the tests of what is written."""

import pytest
import workers


@pytest.fixture
def bring(panel_db, mount, worker_conf):
    """Queues bundles and imports them; returns the worker's log."""

    def run(*sync_ids: str) -> str:
        workers.queue(panel_db, mount, *sync_ids)
        return workers.drain(worker_conf)

    return run
