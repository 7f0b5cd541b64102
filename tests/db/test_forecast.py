"""The forecast of several batches is what their import makes of the library, and nothing is written.

MODEL_EXAMPLES says how many worlds are imported, 6 unless told otherwise.
"""

import os

import pytest
import worker_helpers
from bundle_strategies import World, peopled_worlds, sync_id, worlds
from gpupanel import services, undo_service
from gpupanel.folds import entry_store
from gpupanel.folds import forecast as forecast_module
from gpupanel.folds.forecast import Limits, as_json, forecast_batches
from gpupanel.folds.views import view_asset, view_container
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as some
from world_sites import Site
from worlds_on_disk import library_of, write_world

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "6"))
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
            services.preflight_batch(site.panel, site.mount, each, "operator", services.PreflightOptions(older))
    before = views(library_of(site.admin))
    rows = worker_helpers.rows(site.admin)
    result = as_json(forecast_batches(site.panel, site.mount, chosen, EVERYTHING))
    note(result)
    assert worker_helpers.rows(site.admin) == rows and result["complete"]
    services.queue_batches(site.panel, site.mount, chosen, "operator")
    site.drain()
    imported = views(library_of(site.admin))
    assert after(before, result["changes"]) == {key: with_defaults(state) for key, state in imported.items()}
    failed = site.admin.execute(
        "SELECT b.sync_id, c.type, c.container_hash, c.missing_count FROM ingest_batch_container c JOIN ingest_batch b"
        " ON b.id = c.batch_id WHERE c.decision = 'failed' AND b.sync_id IN %(chosen)s", chosen=chosen,
    )
    assert {tuple(row.values()) for row in failed} == {
        (each["sync_id"], each["kind"], each["hash"], each["missing"]) for each in result["missing_members"]
    }


# ------------------------------------------------------------------------------------------------- what it says


@pytest.fixture
def forecast(panel_db, mount):
    def forecast(*chosen, **limits):
        services.scan_mount(panel_db, mount, "operator")
        return as_json(forecast_batches(panel_db, mount, chosen, Limits(**limits)))

    return forecast


def test_two_creates_of_one_asset_depend_on_the_order(bundles, forecast):
    (asset,) = bundles.assets("one", 1)
    first = bundles.bundle("first", [asset._replace(title="First")])
    second = bundles.bundle("second", [asset._replace(title="Second")])
    result = forecast(second, first)
    assert [each["sync_id"] for each in result["batches"]] == [first, second]
    assert [each["effects"] for each in result["batches"]] == [{"created": 1}, {"unchanged": 1}]
    (effect,) = result["order_effects"]
    assert effect["changes"]["title"] == ["First", "Second"] and effect["sync_ids"] == [first, second]
    assert not result["overwrites"]


def test_a_value_that_a_later_batch_changes_is_named_with_both_batches(bundles, forecast):
    (asset,) = bundles.assets("one", 1)
    first = bundles.bundle("first", [asset._replace(title="First")])
    second = bundles.bundle("second", [asset._replace(title="Second")], action="update")
    third = bundles.bundle("third", [asset], action="remove")
    result = forecast(first, second, third)
    assert [(each["name"], each["set_by"], each["changed_by"]) for each in result["overwrites"]] == [
        ("title", first, second), ("deleted", first, third),
    ]
    assert result["library"] == {"photo": {"created_and_removed": 1}} and not result["order_effects"]


def test_a_member_that_a_later_batch_brings_is_missing(bundles, forecast):
    photos = list(bundles.assets("two", 2))
    album = bundles.container("gallery", "Album", photos)
    first = bundles.bundle("first", photos[:1], [album])
    second = bundles.bundle("second", photos[1:])
    (missing,) = forecast(first, second)["missing_members"]
    assert (missing["sync_id"], missing["missing"]) == (first, 1) and missing["sample"] == [photos[1].asset_hash]


def test_batches_that_would_not_be_imported_are_named_with_the_reason(bundles, forecast):
    sound = bundles.bundle("sound", bundles.assets("a", 1))
    empty = bundles.bundle("b", bundles.assets("b", 2), files=False)
    result = forecast(sound, empty, sync_id(99))
    assert [each["sync_id"] for each in result["batches"]] == [sound]
    assert {each["sync_id"]: each["problem"] for each in result["refused"]} == {
        empty: "all 2 items would fail", sync_id(99): "it is not recorded: run a scan",
    }
    assert result["library"] == {"photo": {"created": 1}}


def test_an_undo_is_left_out_and_the_command_that_previews_it_is_named(bundles, bring, forecast, panel_db, mount):
    """Planned or queued, it changes nothing of the forecast of the others."""
    photo, other = bundles.assets("coast", 2)
    done = bundles.bundle("done", [photo])
    bring(done)
    new = bundles.bundle("new", [other])
    undo = undo_service.plan_undo(panel_db, done, "operator").sync_id
    for _ in ("planned", "queued"):
        result = forecast(undo, new)
        assert [each["sync_id"] for each in result["batches"]] == [new]
        (left_out,) = result["refused"]
        assert (left_out["sync_id"], left_out["action"]) == (undo, "undo")
        assert left_out["problem"] == (
            f"it is an undo, and what it changes is not part of the forecast: gpupanel undo --preview {done}"
        )
        assert result["library"] == {"photo": {"created": 1}}
        if left_out["status"] == "preflight_passed":
            services.queue_batch(panel_db, mount, undo, "operator")


def test_batches_with_a_job_come_first_in_the_order_of_the_queue(bundles, forecast, panel_db, mount):
    batches = [bundles.bundle(name, bundles.assets(name, 1)) for name in "abcd"]
    services.scan_mount(panel_db, mount, "operator")
    services.queue_batch(panel_db, mount, batches[3], "operator", services.QueueOptions(50))
    services.queue_batch(panel_db, mount, batches[2], "operator", services.QueueOptions(10))
    result = forecast(*batches)["batches"]
    assert [each["sync_id"] for each in result] == [batches[2], batches[3], batches[0], batches[1]]


def test_a_page_stops_between_the_versions_of_one_container(bundles, forecast, monkeypatch):
    """Many bundles that name one large gallery take no longer than others."""
    photos, calls, now = list(bundles.assets("coast", 2)), [], [0.0]
    versions = [
        bundles.bundle(f"version {number}", photos[:1], [bundles.container("gallery", "Coast", photos)])
        for number in range(6)
    ]
    marks = entry_store.EntryStore.marks

    def slow(*args):
        calls.append(args)
        now[0] += 100
        return marks(*args)

    monkeypatch.setattr(entry_store.EntryStore, "marks", slow)
    monkeypatch.setattr(forecast_module, "monotonic", lambda: now[0])
    result = forecast(*versions, seconds=100)
    assert not result["complete"] and result["not_read"] == [] and len(calls) == 1


def test_lists_stop_at_their_limit_and_their_totals_do_not(bundles, forecast):
    result = forecast(bundles.bundle("many", bundles.assets("many", 7)), listed=3)
    assert len(result["changes"]) == 3 and result["totals"]["changes"] == 7
    assert result["library"] == {"photo": {"created": 7}} and result["complete"]


def test_a_full_disk_for_the_temporary_file_is_an_error_with_advice(bundles, forecast, monkeypatch):
    sync_id = bundles.bundle("many", bundles.assets("many", 200))
    monkeypatch.setattr(entry_store, "SCHEMA", entry_store.SCHEMA + "PRAGMA max_page_count = 8;")
    with pytest.raises(entry_store.TemporaryFileError, match="full") as error:
        forecast(sync_id)
    assert "TMPDIR" in error.value.hint
