"""The reconciliation finds each difference between library and mount, and queues what mends it.

test_fold_property.py tests that it finds no other.
MODEL_EXAMPLES says how many worlds are imported, 10 unless told otherwise.
"""

import os
from contextlib import closing

import pytest
import worker_helpers
from bundle_strategies import World, peopled_worlds, worlds
from gpupanel import services
from gpupanel.errors import MountUnavailableError
from gpupanel.folds.comparison import GapKind
from gpupanel.folds.mending import UNDONE, Remedies
from gpupanel.folds.reconcile import Reconciliation
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as some
from world_sites import Site, no_progress, reconcile
from worlds_on_disk import write_world

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "10"))
PROPERTY = settings(
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    max_examples=EXAMPLES, deadline=None, derandomize="MODEL_EXAMPLES" not in os.environ,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
# What a person may do to a row by hand.
DAMAGE = (
    "UPDATE asset SET title = 'by hand'", "UPDATE asset SET deleted_at = NOW(6)", "UPDATE asset SET deleted_at = NULL",
    "UPDATE asset SET width = 7", "UPDATE asset_cover SET deleted_at = NOW(6)",
    "UPDATE asset_derivative SET bytes = 99", "UPDATE asset_derivative SET deleted_at = NOW(6)",
    "UPDATE asset_gallery SET title = 'by hand'", "UPDATE asset_gallery SET deleted_at = NOW(6)",
    "UPDATE asset_gallery_item SET deleted_at = NOW(6)", "UPDATE asset_collection_item SET position = 9",
)


@pytest.fixture
def site(admin_db, panel_db, mount, worker_conf):
    return Site(admin_db, panel_db, mount, worker_conf)


def queued(db, mount) -> list:
    """Queue what mends the differences."""
    remedies = Remedies()
    with closing(Reconciliation(db, mount, no_progress)) as reconciliation:
        for difference in reconciliation.differences():
            remedies.add(difference)
        return remedies.queue(db, mount, "operator", reconciliation, lambda done, total: None)


def mend(site) -> list:
    """Queue what mends the differences, and import it."""
    mendings = queued(site.panel, site.mount)
    site.drain()
    return mendings


def arrive(site, world: World) -> None:
    """Import all bundles of a world in the order of their arrival."""
    site.clear()
    write_world(site.writer, world)
    services.scan_mount(site.panel, site.mount, "operator")
    for each in world.arrivals:
        site.queue(each)
    site.drain()
    site.retry(list(dict.fromkeys(world.arrivals)))


@given(world=worlds() | peopled_worlds())
@PROPERTY
def test_bundles_that_were_not_imported_are_missed_and_queued(site, world: World):
    """What a first round of imports cannot link, since members come later, a retry links."""
    site.clear()
    write_world(site.writer, world)
    services.scan_mount(site.panel, site.mount, "operator")
    for each in world.arrivals[:2]:
        site.queue(each)
        site.drain()
    rows = worker_helpers.rows(site.admin)
    before = reconcile(site.panel, site.mount)
    assert worker_helpers.rows(site.admin) == rows
    mend(site)
    site.retry(world.sync_ids)
    after = reconcile(site.panel, site.mount)
    note(before)
    assert [each for each in after if not each.remedy.problem] == []


@given(world=worlds() | peopled_worlds(), damage=some.lists(some.sampled_from(DAMAGE), min_size=1, max_size=3))
@PROPERTY
def test_what_a_person_changed_is_found_and_mended_or_said_not_to_be(site, world: World, damage: list[str]):
    arrive(site, world)
    for statement in damage:
        site.admin.execute(f"{statement} ORDER BY id LIMIT 1")
    before = reconcile(site.panel, site.mount)
    note(before)
    note(mend(site))
    site.retry(world.sync_ids)
    after = reconcile(site.panel, site.mount)
    note(after)
    unmended = {each.key for each in before if each.remedy.problem or each.remedy.although_older}
    assert [each for each in after if each.key not in unmended] == []


# ------------------------------------------------------------------------------------------------- each difference


@pytest.fixture
def site_of(bundles, panel_db, mount, bring):
    """Import bundles in the order given; return what reconcile finds then."""

    class Imported:
        def bring(self, *sync_ids):
            services.scan_mount(panel_db, mount, "operator")
            bring(*sync_ids)

        def differences(self):
            return {each.key: each for each in reconcile(panel_db, mount)}

    return Imported()


def test_an_asset_that_no_bundle_names_is_extra_and_cannot_be_mended(bundles, site_of, assets_dir):
    (asset,), others = bundles.assets("gone", 1), bundles.assets("kept", 2)
    gone, kept = bundles.bundle("gone", [asset]), bundles.bundle("kept", others)
    site_of.bring(gone, kept)
    (assets_dir / "sync" / f"{gone}.ready").unlink()
    (difference,) = site_of.differences().values()
    assert difference.key == ("photo", asset.asset_hash) and difference.gap.what is GapKind.EXTRA
    assert difference.remedy.problem == "no bundle on the mount names it" and not difference.remedy.sync_ids


def test_a_newer_bundle_that_left_the_mount_is_not_overridden(bundles, site_of, assets_dir):
    (asset,) = bundles.assets("one", 1)
    first = bundles.bundle("first", [asset])
    newer = bundles.bundle("newer", [asset._replace(title="Newer")], action="update")
    site_of.bring(first, newer)
    (assets_dir / "sync" / f"{newer}.ready").unlink()
    (difference,) = site_of.differences().values()
    assert difference.gap.changes["title"][0] == "Newer" and not difference.remedy.sync_ids
    assert difference.remedy.problem == f"bundle {newer}, which is not on the mount, decided last"


def test_what_an_operator_put_back_is_mended_by_the_newest_bundle_although_older(
    bundles, site_of, panel_db, mount, bring
):
    (asset,) = bundles.assets("one", 1)
    first = bundles.bundle("first", [asset._replace(title="First")], action="update")
    newer = bundles.bundle("newer", [asset._replace(title="Newer")], action="update")
    site_of.bring(first, newer)
    services.preflight_batch(panel_db, mount, first, "operator", services.PreflightOptions(True))
    bring(first)
    (difference,) = site_of.differences().values()
    assert difference.gap.changes["title"] == ["First", "Newer"]
    assert difference.remedy == ([newer], True, None)


def test_a_bundle_with_entries_that_newer_ones_decided_about_never_overrides_by_itself(
    bundles, site_of, panel_db, mount, bring
):
    """Overriding one entry would put back the other one."""
    one, other = bundles.assets("two", 2)
    first = bundles.bundle("first", [one, other], action="update")
    middle = bundles.bundle("middle", [one._replace(title="A"), other._replace(title="B")], action="update")
    last = bundles.bundle("last", [other._replace(title="C")], action="update")
    site_of.bring(first, middle, last)
    services.preflight_batch(panel_db, mount, first, "operator", services.PreflightOptions(True))
    bring(first)
    mendings = queued(panel_db, mount)
    assert [(each.sync_id, each.although_older, bool(each.problem)) for each in mendings] == [
        (middle, True, True), (last, True, False),
    ]
    assert "--although-older" in mendings[0].problem


def test_a_manifest_that_cannot_be_read_is_named_and_its_assets_are_compared_without_it(
    bundles, site_of, panel_db, mount, assets_dir
):
    good, bad = bundles.bundle("good", bundles.assets("good", 1)), bundles.bundle("bad", bundles.assets("bad", 1))
    site_of.bring(good, bad)
    (assets_dir / "sync" / f"{bad}.json").write_text("{")
    with closing(Reconciliation(panel_db, mount, no_progress)) as reconciliation:
        found = list(reconciliation.differences())
    assert list(reconciliation.upstream.unreadable) == [bad]
    assert [each.gap.what for each in found] == [GapKind.EXTRA]


def test_an_empty_mount_is_an_error_and_no_library_without_bundles(bundles, site_of, panel_db, mount, assets_dir):
    site_of.bring(bundles.bundle("one", bundles.assets("one", 1)))
    for path in (assets_dir / "sync").glob("*.ready"):
        path.unlink()
    with pytest.raises(MountUnavailableError):
        reconcile(panel_db, mount)


def test_members_of_assets_that_no_bundle_names_any_more_are_as_the_manifest_lists_them(
    bundles, site_of, assets_dir
):
    photos = list(bundles.assets("two", 2))
    brought = bundles.bundle("brought", photos)
    album = bundles.bundle("album", [], [bundles.container("gallery", "Album", photos)])
    site_of.bring(brought, album)
    (assets_dir / "sync" / f"{brought}.ready").unlink()
    assert {each.gap.what for each in site_of.differences().values()} == {GapKind.EXTRA}
    assert {key[0] for key in site_of.differences()} == {"photo"}


def test_a_bundle_that_was_undone_is_named_and_not_queued_again_unless_it_was_imported_since(
    bundles, site_of, panel_db, mount, admin_db
):
    sync_id = bundles.bundle("one", bundles.assets("one", 1))
    site_of.bring(sync_id)
    admin_db.execute("UPDATE asset SET deleted_at = NOW(6)")
    admin_db.execute(
        "INSERT INTO ingest_batch (sync_id, action, status, undo_of, imported_at)"
        " SELECT UUID(), 'undo', 'completed', id, NOW(6) FROM ingest_batch WHERE sync_id = %(it)s", it=sync_id,
    )
    assert [each.problem for each in queued(panel_db, mount)] == [UNDONE]
    admin_db.execute("UPDATE ingest_batch SET imported_at = NOW(6) WHERE sync_id = %(it)s", it=sync_id)
    assert [each.problem for each in queued(panel_db, mount)] == [None]
