"""Fixtures of imports that run in the test process."""

import pytest
import worker_helpers


@pytest.fixture
def bring(panel_db, mount, worker_conf):
    """Queue bundles and import them; return the worker's log."""

    def run(*sync_ids: str) -> str:
        worker_helpers.queue(panel_db, mount, *sync_ids)
        return worker_helpers.drain(worker_conf)

    return run
