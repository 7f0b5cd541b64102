"""Pages of a batch whose rows are archived say where they are."""

from datetime import timedelta

import pytest
import worker_helpers
from gpupanel import services
from gpupanel.archive import Archiver
from gpupanel.receipts import seal
from page_helpers import BATCHES, JSON, detail, failing


@pytest.fixture
def archived(bundles, panel_db, mount, worker_conf, seal_db, archive_db, admin_db, tmp_path):
    """An asset and its batch that is archived, with the name of the file."""
    (photo,) = bundles.assets("coast", 1)
    sync_id = bundles.bundle("coast", [photo])
    worker_helpers.queue(panel_db, mount, sync_id)
    worker_helpers.drain(worker_conf)
    seal(seal_db)
    admin_db.execute("UPDATE ingest_batch SET completed_at = completed_at - INTERVAL 1 YEAR")
    before = admin_db.execute("SELECT NOW(6) AS now")[0]["now"] - timedelta(days=1)
    (name,) = Archiver(archive_db, tmp_path, "archivist").run(before).files
    return photo, sync_id, name


def test_the_batch_page_names_the_archive_and_its_json_too(archived, admin):
    _, sync_id, name = archived
    page = admin.get(detail(sync_id))
    assert f"Archived, see {name}." in page.text and "restore-archive" in page.text
    data = admin.get(detail(sync_id), headers=JSON).json
    assert data["archived"] is True and data["items"] == [] and data["batch"]["archive_file"] == name
    assert data["batch"]["archived_at"] and data["primary"] is None


def test_the_button_of_an_undo_says_what_comes_first(archived, send):
    _, sync_id, _ = archived
    refused = send(detail(sync_id), do="undo", sync_id=sync_id, status=409).text
    assert f"The results of batch {sync_id} are archived" in refused and "gpupanel restore-archive" in refused


def test_an_export_of_archived_items_is_an_error_and_no_empty_file(archived, admin):
    _, sync_id, name = archived
    url = f"{BATCHES}?action=items&format=csv&sync_id={sync_id}"
    assert f"are archived, see {name}" in failing(admin, url, 409).text


def test_the_history_of_an_asset_says_that_a_part_of_it_is_archived(archived, admin):
    photo, _, name = archived
    url = f"{BATCHES}?action=asset&type=photo&hash={photo.asset_hash}"
    assert f"Earlier results are archived, see {name}." in admin.get(url).text
    past = admin.get(f"{url}&at=2020-01-01T00:00:00", headers=JSON).json["past"]
    assert not any(field["certain"] for field in past.values())


def test_the_page_shows_items_again_after_the_next_preflight(archived, admin, panel_db, mount):
    _, sync_id, name = archived
    services.preflight_batch(panel_db, mount, sync_id, "admin")
    data = admin.get(detail(sync_id), headers=JSON).json
    assert data["archived"] is False and len(data["items"]) == 1 and data["batch"]["archive_file"] == name
