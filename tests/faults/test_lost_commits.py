"""A server that comes back without its last commits costs time and no row."""

import json
import threading

import pytest
import worker_helpers
from campaign.fault_proxy import IMPORTS, FaultProxy
from gpupanel.db import Database
from gpupanel.worker import importer
from lost_commits import forget_items, settled_hashes


class Forgetful(FaultProxy):
    """Ends all connections with COMMIT number `lose`, and lets the server forget its last commits meanwhile."""

    def __init__(self, path, server, lose: int, forget):
        super().__init__(path, server, lose, self._strike)
        self._forget, self._is_up = forget, threading.Event()
        self._is_up.set()

    def number(self, link, statement: str) -> int:
        self._is_up.wait()
        is_counted = link.role(statement) == IMPORTS and statement == "COMMIT"
        return super().number(link, statement) if is_counted else 0

    def _strike(self, link, packet: bytes) -> None:
        self._is_up.clear()
        for each in self._links:
            each.cut()
        self._forget()
        self._is_up.set()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("lose", range(2, 8))
def test_a_worker_that_comes_back_to_a_server_without_the_last_commits_does_them_again(
    admin_db, panel_db, server, tmp_path, mount, bundles, worker_conf, monkeypatch, lose, threads
):
    monkeypatch.setattr(importer, "PARALLEL_ITEMS", 0 if threads == 2 else 1000)
    photos = list(bundles.assets("coast", 10, derivatives=("icon",)))
    sync_id = bundles.bundle("coast", photos)
    [job_id] = worker_helpers.queue(panel_db, mount, sync_id)
    def forget() -> None:
        db = Database(admin_db.settings)
        lost = settled_hashes(db, job_id)[-4:]
        if lost and worker_helpers.job(db, job_id)["state"] == "running":
            forget_items(db, job_id, lost)
        db.close()

    path = tmp_path / "proxy.sock"
    conf = worker_helpers.with_options(worker_conf, socket=path, chunk_items=2, readers=1, heartbeat_seconds=60)
    with Forgetful(path, server, lose, forget) as proxy:
        worker_helpers.wait_until(
            lambda: worker_helpers.drain(conf) and _is_completed(admin_db, job_id), "the end of the job"
        )
    assert proxy.struck.is_set()
    assert worker_helpers.counts(panel_db, sync_id) == {"created": 10}
    library = worker_helpers.rows(admin_db)
    assert [len(library[table]) for table in ("asset", "asset_source")] == [10, 10]
    job = worker_helpers.job(admin_db, job_id)
    assert (job["items_done"], job["items_total"]) == (10, 10)
    [finished] = [json.loads(event["payload"]) for event in worker_helpers.events(panel_db, sync_id, "job_finished")]
    assert finished["counts"] == {"created": 10}


def _is_completed(db, job_id: int) -> bool:
    return worker_helpers.job(db, job_id)["state"] == "completed"
