"""The forecast of several batches is what their import makes of the library, and nothing is written.

MODEL_EXAMPLES says how many worlds are imported, 30 unless told otherwise.
"""

import os

import pytest
import worker_helpers
from bundle_strategies import World, peopled_worlds, worlds
from gpupanel import services
from gpupanel.folds.forecast import Limits, as_json, forecast_batches
from gpupanel.folds.views import view_asset, view_container
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as some
from world_sites import Site
from worlds_on_disk import library_of, write_world

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "30"))
EVERYTHING = Limits(listed=1_000_000)


@pytest.fixture
def site(admin_db, panel_db, mount, worker_conf):
    return Site(admin_db, panel_db, mount, worker_conf)


def views(library) -> dict:
    """(kind, hash) -> state of each entry of a library, without documents."""
    return {key: view_asset(each) for key, each in library.assets.items()} | {
        key: view_container(each) for key, each in library.containers.items()
    }


def after(before: dict, changes: list[dict]) -> dict:
    """The states after these changes: name -> [before, after], of parts those that differ."""
    states = {key: dict(state) for key, state in before.items()}
    for change in changes:
        state = states.setdefault((change["kind"], change["hash"]), {})
        for name, (was, now) in change["changes"].items():
            if isinstance(was, dict):
                kept = {part: value for part, value in state.get(name, {}).items() if part not in was}
                state[name] = kept | now
            else:
                assert state.get(name) == was
                state[name] = now
    return {key: with_defaults(state) for key, state in states.items()}


def with_defaults(state: dict) -> dict:
    """A state that a change created names only what is not empty."""
    return {name: value for name, value in state.items() if value not in (None, {})}


@given(world=worlds() | peopled_worlds(), first=some.integers(0, 6), data=some.data())
@settings(
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    max_examples=EXAMPLES, deadline=None, derandomize="MODEL_EXAMPLES" not in os.environ,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_the_forecast_is_what_the_import_of_the_batches_gives(site, world: World, first: int, data):
    """Some batches are imported before; the forecast is of the others, or of any, some of them planned or queued."""
    site.clear()
    write_world(site.writer, world)
    services.scan_mount(site.panel, site.mount, "operator")
    for each in world.arrivals[:first]:
        site.queue(each)
        site.drain()
    chosen = list(dict.fromkeys(world.arrivals[first:])) or world.sync_ids
    for each in chosen:
        if data.draw(some.booleans(), "preflighted, perhaps although older"):
            older = data.draw(some.booleans(), "although older")
            services.preflight_batch(site.panel, site.mount, each, "operator", although_older=older)
    before = views(library_of(site.admin))
    rows = worker_helpers.rows(site.admin)
    found = as_json(forecast_batches(site.panel, site.mount, chosen, EVERYTHING))
    note(found)
    assert worker_helpers.rows(site.admin) == rows and found["complete"]
    services.queue_batches(site.panel, site.mount, chosen, "operator")
    site.drain()
    imported = views(library_of(site.admin))
    assert after(before, found["changes"]) == {key: with_defaults(state) for key, state in imported.items()}
    failed = site.admin.execute(
        "SELECT b.sync_id, c.type, c.container_hash, c.missing_count FROM ingest_batch_container c JOIN ingest_batch b"
        " ON b.id = c.batch_id WHERE c.decision = 'failed' AND b.sync_id IN %(chosen)s", chosen=chosen,
    )
    assert {tuple(row.values()) for row in failed} == {
        (each["sync_id"], each["kind"], each["hash"], each["missing"]) for each in found["missing_members"]
    }
