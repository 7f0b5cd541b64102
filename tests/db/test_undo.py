"""Undo: what a batch wrote is taken back, where the library is as it left it."""


import pytest
import worker_helpers
from gpupanel import undo_service


@pytest.fixture
def take_back(panel_db, worker_conf):
    """Undo a batch and import the undo; return its sync_id."""

    def run(*sync_ids: str) -> str:
        results = undo_service.undo_batches(panel_db, list(sync_ids), "ann")
        assert [result.problem for result in results] == [None] * len(sync_ids)
        worker_helpers.drain(worker_conf)
        return results[-1].undo_sync_id

    return run


def asset(db, photo) -> dict:
    (row,) = db.execute("SELECT * FROM asset WHERE asset_hash = %(hash)s", hash=photo.asset_hash)
    return row


SAY = ("source_at", "source_batch_id", "last_batch_id")


def test_a_created_asset_goes_softly_with_all_that_came_with_it(admin_db, panel_db, bundles, bring, take_back):
    photo, cover = bundles.assets("coast", 2, ("photo", "cover"))
    sync_id = bundles.bundle("coast", [photo, cover], [bundles.container("gallery", "Coast", [photo])])
    bring(sync_id)
    undone = take_back(sync_id)
    assert worker_helpers.batch(panel_db, undone)["status"] == "completed"
    assert worker_helpers.counts(panel_db, undone) == {"removed": 2}
    row = asset(admin_db, photo)
    assert row["deleted_at"] is not None and [row[name] for name in SAY] == [None, None, 0]
    for table in ("asset_source", "asset_ai_run", "asset_cover", "asset_derivative", "asset_gallery",
                  "asset_gallery_item"):
        rows = admin_db.execute(f"SELECT deleted_at FROM {table}")
        assert rows and all(row["deleted_at"] is not None for row in rows), table
    bring(sync_id)
    assert asset(admin_db, photo)["deleted_at"] is None
    assert worker_helpers.counts(panel_db, sync_id) == {"updated": 2}


def test_an_update_is_undone_value_by_value(admin_db, panel_db, assets_dir, bundles, bring, take_back):
    (photo,) = bundles.assets("coast", 1, derivatives=("icon", "thumb"))
    bring(bundles.bundle("coast", [photo._replace(title="Dawn")]))
    before = worker_helpers.rows(admin_db)
    update = bundles.bundle(
        "update", [photo._replace(title="Dusk", derivatives=("icon", "thumb", "medium"), revision=2)], action="update",
        files=True,
    )
    bring(update)
    undone = take_back(update)
    (item,) = worker_helpers.items(panel_db, undone)
    assert (item["planned"], item["decision"]) == ("will_update", "updated")
    assert item["changes"]["title"] == ["Dusk", "Dawn"]
    assert live(before) == live(worker_helpers.rows(admin_db))


MARKS_OF_TIME = {"updated_at", "created_at", "checked_at", "checked_how", "deleted_at"}


def live(library: dict[str, list]) -> dict[str, list]:
    return {
        table: [{k: v for k, v in row.items() if k not in MARKS_OF_TIME} for row in rows if not row.get("deleted_at")]
        for table, rows in library.items()
    }


def test_a_removal_that_found_nothing_takes_its_tombstones_back(admin_db, panel_db, bundles, bring, take_back):
    a, b = bundles.assets("coast", 2)
    gone = bundles.bundle("gone", [a], [bundles.container("gallery", "Coast", [a, b])], action="remove")
    bundles.bundle("other", bundles.assets("other", 1))  # an empty mount counts as away
    bring(gone)
    assert len(admin_db.execute("SELECT * FROM ingest_tombstone")) == 4
    undone = take_back(gone)
    print(worker_helpers.events(panel_db, undone), admin_db.execute("SELECT * FROM ingest_result_tombstone"))
    print(admin_db.execute("SELECT * FROM ingest_batch_container"))
    assert admin_db.execute("SELECT * FROM ingest_tombstone WHERE deleted_at IS NULL") == []
