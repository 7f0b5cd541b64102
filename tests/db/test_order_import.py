"""Imports in any order: the latest bundle of upstream's order decides, older ones add what is missing."""

import threading

import pytest
import worker_helpers
from gpupanel import order, services
from gpupanel.db import Database
from gpupanel.errors import DatabaseConflictError
from gpupanel.worker import library_writer
from gpupanel.worker.library_writer import Assigned


@pytest.fixture(autouse=True)
def mounted(assets_dir):
    """A folder of assets on the mount, which a `remove` brings none of."""
    (assets_dir / "photo").mkdir()


def bundle(bundles, name, photo, at, **options) -> str:
    return bundles.bundle(name, [photo], completed_at=at, created_at=at, **options)


@pytest.fixture
def chain(bundles):
    """A create of 10 April, and updates of 11 and 12 April of the same photo."""
    (photo,) = bundles.assets("coast", 1)
    first = bundle(bundles, "first", photo._replace(title="W0"), "2026-04-10T08:00:00Z")
    second = bundle(bundles, "second", photo._replace(title="W1"), "2026-04-11T08:00:00Z", action="update")
    third = bundle(bundles, "third", photo._replace(title="W2"), "2026-04-12T08:00:00Z", action="update")
    return photo, first, second, third


def title(db) -> str:
    return db.execute("SELECT title FROM asset")[0]["title"]


def settled(db, sync_id: str) -> dict:
    (item,) = worker_helpers.items(db, sync_id)
    return item


def test_an_older_update_that_comes_late_overwrites_nothing_and_names_the_newer_bundle(
    admin_db, panel_db, chain, bring
):
    _, first, second, third = chain
    for sync_id in (first, third, second):
        bring(sync_id)
    assert title(admin_db) == "W2"
    item = settled(panel_db, second)
    assert item["decision"] == "skipped" and third in item["reason"] and "newer" in item["reason"]
    [row] = admin_db.execute("SELECT source_batch_id, last_batch_id FROM asset")
    assert set(row.values()) == {worker_helpers.batch(panel_db, third)["id"]}


def test_a_finished_update_that_is_queued_again_changes_nothing(admin_db, panel_db, chain, bring):
    _, first, second, third = chain
    for sync_id in (first, second, third):
        bring(sync_id)
    before = worker_helpers.rows(admin_db)
    bring(second)
    assert worker_helpers.rows(admin_db) == before
    assert settled(panel_db, second)["decision"] == "skipped"


def test_a_newer_import_between_plan_and_import_wins(admin_db, panel_db, mount, chain, bring):
    _, first, second, third = chain
    bring(first)
    services.scan_mount(panel_db, mount, "operator")
    services.queue_batch(panel_db, mount, second, "operator", services.QueueOptions(200))
    services.queue_batch(panel_db, mount, third, "operator", services.QueueOptions(1))
    bring()
    assert title(admin_db) == "W2"
    item = settled(panel_db, second)
    assert (item["planned"], item["decision"]) == ("will_update", "skipped")
    [row] = admin_db.execute(
        "SELECT approved FROM ingest_result WHERE batch_id = %(id)s", id=worker_helpers.batch(panel_db, second)["id"]
    )
    assert '"W0"' in row["approved"] and '"W1"' in row["approved"], "the approved change can be read"


def test_although_older_writes_and_is_the_latest_say_from_then_on(admin_db, panel_db, mount, chain, bring, worker_conf):
    _, first, second, third = chain
    bring(first)
    bring(third)
    services.scan_mount(panel_db, mount, "operator")
    services.preflight_batch(panel_db, mount, second, "operator", services.PreflightOptions(True))
    queue_as_planned(admin_db, panel_db, second)
    worker_helpers.drain(worker_conf)
    assert title(admin_db) == "W1"
    bring(third)
    assert title(admin_db) == "W1" and settled(panel_db, third)["decision"] == "skipped"


def queue_as_planned(admin_db, panel_db, sync_id: str) -> None:
    """Queue a batch with the plan that it has."""
    batch_id = worker_helpers.batch(panel_db, sync_id)["id"]
    admin_db.execute(
        "INSERT INTO import_job (batch_id, requested_by, items_total) VALUES (%(id)s, 'operator', 1)", id=batch_id
    )
    admin_db.execute("UPDATE ingest_batch SET status = 'queued' WHERE id = %(id)s", id=batch_id)


def test_although_older_skips_what_a_newer_bundle_changed_since_the_plan(
    admin_db, panel_db, mount, bundles, chain, bring, worker_conf
):
    photo, first, second, third = chain
    bring(first)
    bring(third)
    services.scan_mount(panel_db, mount, "operator")
    services.preflight_batch(panel_db, mount, second, "operator", services.PreflightOptions(True))
    bring(bundle(bundles, "fourth", photo._replace(title="W3"), "2026-04-13T08:00:00Z", action="update"))
    queue_as_planned(admin_db, panel_db, second)
    worker_helpers.drain(worker_conf)
    assert title(admin_db) == "W3" and settled(panel_db, second)["decision"] == "skipped"


# --------------------------------------------------------------------------------------------- what is added


def test_an_older_update_adds_derivatives_covers_and_analyses_that_are_missing(
    admin_db, panel_db, assets_dir, bundles, bring
):
    photo, cover = bundles.assets("coast", 2, ("photo", "cover"), documents=("photo.meaning.json",))
    small = photo._replace(derivatives=("icon",), cover_hash=None, documents=())
    bring(bundle(bundles, "new", small._replace(title="new"), "2026-04-12T08:00:00Z"))
    older = bundle(
        bundles, "old", photo._replace(title="old", derivatives=("icon", "thumb"), revision=2), "2026-04-11T08:00:00Z",
        action="update",
    )
    bring(older)
    assert title(admin_db) == "new" and settled(panel_db, older)["decision"] == "linked"
    kinds = admin_db.execute("SELECT kind, source_batch_id FROM asset_derivative ORDER BY kind")
    assert [row["kind"] for row in kinds] == ["icon", "thumb"]
    assert kinds[1]["source_batch_id"] == worker_helpers.batch(panel_db, older)["id"]
    assert admin_db.execute("SELECT cover_hash FROM asset_cover") == [{"cover_hash": cover.asset_hash}]
    assert admin_db.execute("SELECT analysis_kind FROM asset_ai_run") == [{"analysis_kind": "meaning"}]
    before = worker_helpers.rows(admin_db)
    bring(older)
    assert worker_helpers.rows(admin_db) == before


def test_an_older_create_reads_the_documents_of_what_it_may_add(admin_db, panel_db, bundles, bring):
    (photo,) = bundles.assets("coast", 1, documents=())
    bring(bundle(bundles, "new", photo, "2026-04-12T08:00:00Z"))
    older = bundle(
        bundles, "old", photo._replace(documents=("photo.meaning.json",), revision=2), "2026-04-11T08:00:00Z"
    )
    bring(older)
    item = settled(panel_db, older)
    assert (item["planned"], item["decision"]) == ("will_skip", "linked")
    assert item["reason"].endswith("decided last; this older one adds only what is missing: photo.meaning.json")
    [source] = admin_db.execute("SELECT COUNT(*) AS n FROM ingest_document")
    assert source["n"] == 0, "an older bundle replaces no source"


def test_an_update_that_changes_nothing_names_its_derivatives_for_older_ones(
    admin_db, panel_db, mount, bundles, bring
):
    (photo,) = bundles.assets("coast", 1, derivatives=("icon",))
    bring(bundle(bundles, "first", photo, "2026-04-10T08:00:00Z"))
    bring(bundle(bundles, "third", photo, "2026-04-12T08:00:00Z", action="update"))
    [same] = admin_db.execute("SELECT sha256 FROM asset_derivative")
    another = b"0" * 64
    other = bundle(
        bundles, "second", photo, "2026-04-11T08:00:00Z", action="update", files=False,
        spoil=lambda raw: raw.replace(same["sha256"].encode(), another),
    )
    assert another in mount.read_manifest(other)
    bring(other)
    assert admin_db.execute("SELECT sha256 FROM asset_derivative") == [same]
    assert settled(panel_db, other)["decision"] == "skipped"


def test_nothing_is_added_to_an_asset_that_a_newer_bundle_removed(admin_db, panel_db, bundles, bring):
    (photo,) = bundles.assets("coast", 1, derivatives=("icon",))
    bring(bundle(bundles, "first", photo, "2026-04-10T08:00:00Z"))
    bring(bundle(bundles, "removal", photo, "2026-04-12T08:00:00Z", action="remove"))
    before = worker_helpers.rows(admin_db)
    other = photo._replace(derivatives=("icon", "thumb"), title="x")
    older = bundle(bundles, "older", other, "2026-04-11T08:00:00Z", action="update")
    bring(older)
    assert worker_helpers.rows(admin_db) == before
    assert settled(panel_db, older)["decision"] == "skipped"


# ------------------------------------------------------------------------------------------------ tombstones


def test_a_removal_that_comes_before_its_asset_stops_the_older_create(admin_db, panel_db, bundles, bring):
    (photo,) = bundles.assets("coast", 1)
    removal = bundle(bundles, "removal", photo, "2026-04-11T08:00:00Z", action="remove")
    bring(removal)
    older = bundle(bundles, "older", photo, "2026-04-10T08:00:00Z")
    bring(older)
    assert admin_db.execute("SELECT id FROM asset") == []
    item = settled(panel_db, older)
    assert item["decision"] == "skipped" and removal in item["reason"]
    bring(bundle(bundles, "newer", photo, "2026-04-12T08:00:00Z"))
    assert len(admin_db.execute("SELECT id FROM asset")) == 1


def test_of_two_removals_the_later_in_upstreams_order_stays(admin_db, panel_db, bundles, bring):
    (photo,) = bundles.assets("coast", 1)
    times = {"b": "2026-04-11T08:00:00Z", "a": "2026-04-10T08:00:00Z", "tie": "2026-04-11T08:00:00Z"}
    removals = {name: bundle(bundles, name, photo, at, action="remove") for name, at in times.items()}
    for sync_id in removals.values():
        bring(sync_id)
    [row] = admin_db.execute("SELECT batch_id FROM ingest_tombstone WHERE kind = 'photo'")
    latest = max(removals["b"], removals["tie"])
    assert row["batch_id"] == worker_helpers.batch(panel_db, latest)["id"]


def test_a_removal_waits_for_the_create_of_its_asset_and_sees_it(admin_db, panel_db, worker_db, mount, bundles, bring):
    (photo,) = bundles.assets("coast", 1)
    removal = bundle(bundles, "removal", photo, "2026-04-11T08:00:00Z", action="remove")
    worker_helpers.queue(panel_db, mount, removal)
    admin_db.execute("UPDATE ingest_batch_item SET target_digest = NULL")  # the rival writes no result
    rival = Database(worker_db.settings)
    importing = threading.Thread(target=bring)
    with rival.transaction() as tx:
        worker_helpers.write(tx, photo)
        importing.start()
        worker_helpers.wait_for_lock_wait(admin_db)
    importing.join()
    rival.close()
    assert settled(panel_db, removal)["decision"] == "removed"
    assert admin_db.execute("SELECT deleted_at FROM asset")[0]["deleted_at"] is not None
    assert admin_db.execute("SELECT * FROM ingest_tombstone") == []


def test_a_create_finds_the_tombstone_that_was_committed_after_its_decision(admin_db, worker_db, bundles):
    (photo,) = bundles.assets("coast", 1)
    key = photo.asset_type, photo.asset_hash
    admin_db.execute("INSERT INTO ingest_batch (id, sync_id) VALUES (7, REPEAT('7', 36))")
    say = Assigned(admin_db.execute("SELECT NOW(6) AS now")[0]["now"], 7)
    rival = Database(worker_db.settings)
    with worker_db.transaction() as tx:
        known = order.tombstones(tx, [key])
        rival.run_transaction(library_writer.insert_tombstones, [(key, say)])
        with pytest.raises(DatabaseConflictError):
            library_writer.confirm_created(tx, [key], known)
    with worker_db.transaction() as tx:
        library_writer.confirm_created(tx, [key], order.tombstones(tx, [key]))
        worker_helpers.write(tx, photo)
    with worker_db.transaction() as tx, pytest.raises(DatabaseConflictError):
        library_writer.confirm_absent(tx, [key])
    rival.close()
