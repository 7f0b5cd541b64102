"""Any bundles, imported and undone in any order: an undo puts back what was there, and never what came since.

MODEL_EXAMPLES says how many worlds are imported, 6 unless told otherwise.
"""

import os

import pytest
import worker_helpers
from bundle_strategies import World, covered_worlds, peopled_worlds, promised, worlds
from gpupanel import order, services, undo_service
from whole_fold import fold
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as some
from library_view import view
from test_fold_property import Site
from worlds_on_disk import library_of, write_world

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "6"))
QUICK = settings(
    max_examples=EXAMPLES, deadline=None, phases=(Phase.explicit, Phase.generate),
    derandomize="MODEL_EXAMPLES" not in os.environ,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


class UndoSite(Site):
    """A site whose batches are imported and undone one at a time."""

    def begin(self, world: World):
        self.clear()
        handovers = write_world(self.writer, world)
        services.scan_mount(self.panel, self.mount, "operator")
        return handovers

    def bring(self, sync_id: str) -> None:
        self.queue(sync_id)
        self.drain()

    def undo(self, sync_id: str) -> str | None:
        """Undo a batch and import the undo; return its sync_id, None where nothing is to be undone."""
        (result,) = undo_service.undo_batches(self.panel, [sync_id], "operator")
        note(f"undo of {sync_id}: {result.undo_sync_id} {result.problem}")
        if result.job_id is None:
            assert "nothing of batch" in result.problem or "has no results" in result.problem
            return None
        self.drain()
        batch = worker_helpers.batch(self.panel, result.undo_sync_id)
        for table in ("ingest_batch_item", "ingest_batch_container"):
            for row in self.admin.execute(f"SELECT * FROM {table} WHERE batch_id = %(id)s", id=batch["id"]):
                note(f"{row.get('asset_hash', row.get('container_hash'))[:4]}: {row['decision']}, {row['reason']}")
        assert batch["status"] == "completed"
        return result.undo_sync_id


@pytest.fixture
def site(admin_db, panel_db, mount, worker_conf):
    return UndoSite(admin_db, panel_db, mount, worker_conf)


@given(world=worlds() | peopled_worlds() | covered_worlds())
@QUICK
def test_undone_in_reverse_the_library_is_what_it_was(site, world: World):
    site.begin(world)
    arrivals = list(dict.fromkeys(world.arrivals))
    views = [view(site.admin)]
    for sync_id in arrivals:
        site.bring(sync_id)
        views.append(view(site.admin))
    for sync_id, before in zip(arrivals[::-1], views[-2::-1], strict=True):
        site.undo(sync_id)
        assert view(site.admin) == before


@given(world=worlds() | peopled_worlds() | covered_worlds())
@QUICK
def test_what_was_imported_again_and_again_is_undone_to_the_beginning(site, world: World):
    site.begin(world)
    for sync_id in world.arrivals:
        site.bring(sync_id)
    for sync_id in world.arrivals[::-1]:
        site.undo(sync_id)
    assert view(site.admin) == {}


EDITS = (
    "UPDATE asset SET title = CONCAT(COALESCE(title, ''), '!') WHERE asset_hash = %(hash)s",
    "UPDATE asset SET deleted_at = IF(deleted_at IS NULL, NOW(6), NULL) WHERE asset_hash = %(hash)s",
    "UPDATE asset_cover c JOIN asset a ON a.id = c.asset_id SET c.deleted_at = NOW(6) WHERE a.asset_hash = %(hash)s",
    "UPDATE asset_gallery SET title = CONCAT(COALESCE(title, ''), '!')",
    "UPDATE asset_gallery_item SET position = position + 1",
)


@given(world=peopled_worlds() | covered_worlds(), data=some.data())
@QUICK
def test_in_any_order_only_what_is_as_a_batch_left_it_is_undone(site, world: World, data):
    """Also where another program edits rows in between, and where undos are undone."""
    site.begin(world)
    before, after = {}, {}
    for sync_id in dict.fromkeys(world.arrivals):
        before[sync_id] = view(site.admin)
        site.bring(sync_id)
        after[sync_id] = view(site.admin)
    for _ in range(data.draw(some.integers(1, 5), "steps")):
        if data.draw(some.booleans(), "edit"):
            edit, photo = data.draw(some.sampled_from(EDITS)), data.draw(some.sampled_from("abc"))
            site.admin.execute(edit, hash=photo * 64)
        sync_id, was = data.draw(some.sampled_from(sorted(before)), "undo"), view(site.admin)
        undone, now = site.undo(sync_id), view(site.admin)
        for key in {key for key in now.keys() | was.keys() if now.get(key) != was.get(key)}:
            assert was.get(key) == after[sync_id].get(key), f"{key} is not as the batch left it"
            assert now.get(key) == before[sync_id].get(key), f"{key} is not as it was before"
        if undone:
            before[undone], after[undone] = was, now


def refer(library: dict[tuple, tuple], key: tuple) -> dict[tuple, tuple]:
    """What is live in a view and refers to an asset: what shows a cover, and the memberships of an asset."""
    kind, hash_ = key
    live = {each: value for each, value in library.items() if value[0] == "live"}
    containers = [each for each in live if each[0] in ("gallery", "collection")]
    shows = {each: live[each][3] == hash_ for each in containers}
    shows |= {each: hash_ in live[each][2][0] for each in live if each[0] in ("photo", "cover", "video")}
    members = [order.member_key(*container, hash_) for container in containers]
    found = [each for each in shows if shows[each] and kind == "cover"] + [each for each in members if each in live]
    return {each: live[each] for each in found}


@given(world=covered_worlds() | peopled_worlds(), data=some.data())
@QUICK
def test_nothing_goes_that_a_batch_since_shows_lists_or_keeps(site, world: World, data):
    """What refers to an asset that went is as it was before the batch, or the batch would have left the asset."""
    site.begin(world)
    before = {}
    for sync_id in dict.fromkeys(world.arrivals):
        before[sync_id] = view(site.admin)
        site.bring(sync_id)
    for _ in range(data.draw(some.integers(1, 5), "steps")):
        sync_id, was = data.draw(some.sampled_from(sorted(before)), "undo"), view(site.admin)
        undone, now = site.undo(sync_id), view(site.admin)
        for key in [key for key in was if was[key][0] == "live" and now.get(key, ("",))[0] != "live"]:
            if key[0] in ("photo", "cover", "video"):
                for other, value in refer(now, key).items():
                    assert value == before[sync_id].get(other), f"{other} refers to {key}, which went"
        if undone:
            before[undone] = was


@given(world=worlds() | peopled_worlds() | covered_worlds(), data=some.data())
@QUICK
def test_after_undos_the_bundles_import_as_if_there_had_been_none(site, world: World, data):
    handovers = site.begin(world)
    for sync_id in dict.fromkeys(world.arrivals):
        site.bring(sync_id)
    for sync_id in data.draw(some.lists(some.sampled_from(world.sync_ids), max_size=4), "undone"):
        site.undo(sync_id)
    for sync_id in world.arrivals:
        site.bring(sync_id)
    site.retry(list(dict.fromkeys(world.arrivals)))
    assert promised(library_of(site.admin), handovers) == promised(fold(handovers), handovers)
