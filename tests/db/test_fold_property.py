"""Any bundles, in any order, with repeats, retries and two workers, end in the library of upstream's order.

MODEL_EXAMPLES says how many worlds are imported, 30 unless told otherwise.
"""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
import worker_helpers
from bundle_strategies import World, promised, worlds
from constants import empty
from gpupanel import services
from gpupanel.errors import InvalidStateError, PreflightFailedError
from gpupanel.reference_fold import fold
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as some
from worlds_on_disk import FixedWriter, library_of, write_world

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "30"))


class Site:
    """A panel, its mount and its workers."""

    def __init__(self, admin_db, panel_db, mount, conf):
        self.admin, self.panel, self.mount, self.conf = admin_db, panel_db, mount, conf
        self.writer = FixedWriter(mount.sync_dir, mount.assets_dir)

    def clear(self) -> None:
        empty(self.admin)
        shutil.rmtree(self.mount.assets_dir)
        self.mount.sync_dir.mkdir(parents=True)
        (self.mount.assets_dir / "photo").mkdir()  # an empty mount counts as away

    def queue(self, sync_id: str) -> None:
        """Queue a batch as an operator does; one that is queued already is imported first."""
        if worker_helpers.batch(self.panel, sync_id)["status"] == "queued":
            self.drain()
        self._try(services.queue_batch, sync_id)

    def drain(self, workers: int = 1) -> None:
        with ThreadPoolExecutor(workers) as pool:
            for log in pool.map(worker_helpers.drain, [self.conf] * workers):
                note(log)

    def retry(self, sync_ids: list[str]) -> None:
        """Retry what failed as long as that settles anything."""
        unfinished = self._unfinished(sync_ids)
        while unfinished:
            for sync_id in unfinished:
                self._try(services.retry_batch, sync_id)
            self.drain()
            still = self._unfinished(sync_ids)
            if len(still) == len(unfinished):
                return
            unfinished = still

    def _unfinished(self, sync_ids: list[str]) -> list[str]:
        return [each for each in sync_ids if worker_helpers.batch(self.panel, each)["status"] in ("partial", "failed")]

    def _try(self, queue, sync_id: str) -> None:
        try:
            queue(self.panel, self.mount, sync_id, "operator")
        except (InvalidStateError, PreflightFailedError) as error:
            note(f"{sync_id}: {error}")


@pytest.fixture
def site(admin_db, panel_db, mount, worker_conf):
    return Site(admin_db, panel_db, mount, worker_conf)


@given(world=worlds(), workers=some.sampled_from((1, 2)), data=some.data())
@settings(
    max_examples=EXAMPLES, deadline=None, derandomize="MODEL_EXAMPLES" not in os.environ,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_any_arrivals_end_in_the_library_of_upstreams_order(site, world: World, workers: int, data):
    site.clear()
    handovers = write_world(site.writer, world)
    services.scan_mount(site.panel, site.mount, "operator")
    for sync_id in world.arrivals:
        site.queue(sync_id)
        if data.draw(some.booleans(), "import now"):
            site.drain(workers)
    site.drain(workers)
    site.retry(list(dict.fromkeys(world.arrivals)))
    for sync_id in world.sync_ids:
        batch = worker_helpers.batch(site.panel, sync_id)
        note(f"{sync_id}: {batch['action']} {batch['status']} {batch['last_error']}")
    failures = site.admin.execute("SELECT DISTINCT last_error FROM ingest_result WHERE decision = 'failed'")
    assert [each for each in failures if "not in the library" not in each["last_error"]] == []
    assert promised(library_of(site.admin), handovers) == promised(fold(handovers), handovers)
