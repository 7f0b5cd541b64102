"""Any bundles, in any order, with repeats, retries and two workers, end in the library of upstream's order.

MODEL_EXAMPLES says how many worlds are imported, 12 unless told otherwise.
"""

import os

import pytest
import worker_helpers
from bundle_strategies import World, peopled_worlds, promised, worlds
from gpupanel import services
from whole_fold import fold
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as some
from world_sites import Site, reconcile
from worlds_on_disk import library_of, write_world

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "12"))


@pytest.fixture
def site(admin_db, panel_db, mount, worker_conf):
    return Site(admin_db, panel_db, mount, worker_conf)


@given(world=worlds() | peopled_worlds(), workers=some.sampled_from((1, 2)), data=some.data())
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
    assert reconcile(site.panel, site.mount) == []
