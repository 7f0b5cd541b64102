"""The asset page: the library's state, what belongs to it, and its history."""

import pytest
import worker_helpers
from gpupanel.cli import main
from page_helpers import BATCHES, JSON, cells, detail, region, text


@pytest.fixture
def changed(bundles, panel_db, mount, worker_conf):
    """A photo that a bundle created and a later one gave another title; its hash."""
    [photo] = bundles.assets("coast", 1)
    for name, title, action in (("first", "Coast", "create"), ("second", "Coast at dawn", "update")):
        sync_id = bundles.bundle(name, [photo._replace(title=title)], action=action)
        worker_helpers.queue(panel_db, mount, sync_id)
        worker_helpers.drain(worker_conf)
    return photo.asset_hash


def url(asset_hash, **more):
    return f"{BATCHES}?action=asset&type=photo&hash={asset_hash}" + "".join(f"&{k}={v}" for k, v in more.items())


def test_each_hash_of_an_item_leads_to_its_asset(admin, changed, panel_db):
    [row] = panel_db.execute("SELECT sync_id FROM ingest_batch ORDER BY id LIMIT 1")
    page = admin.get(detail(row["sync_id"])).click(href="action=asset")
    assert text(page.html.find(class_="title")) == "Coast at dawn"
    assert text(page.html.h2) == f"photo {changed}"


def test_the_history_names_each_change_with_batch_job_and_person(admin, changed):
    history = admin.get(url(changed), headers=JSON).json["history"]
    assert [result["decision"] for result in history] == ["updated", "created"]
    assert history[0]["changes"]["title"] == ["Coast", "Coast at dawn"]
    assert all(result["job_id"] and result["sync_id"] and result["requested_by"] for result in history)
    rows = cells(region(admin.get(url(changed)), "History"))
    assert rows[0] == ["time", "decision", "batch", "job", "requested_by", "changes", "manifest sha256"]


def test_the_fields_are_shown_as_they_were_at_a_time(admin, changed, admin_db):
    admin_db.execute("UPDATE ingest_result SET created_at = IF(decision = 'created', '2026-01-01', '2026-03-01')")
    past = admin.get(url(changed, at="2026-02-01T00:00:00"), headers=JSON).json["past"]
    assert past["title"] == {"value": "Coast", "certain": True}
    now = admin.get(url(changed, at="2026-03-02T00:00:00"), headers=JSON).json["past"]
    assert now["title"] == {"value": "Coast at dawn", "certain": True}


def test_an_edit_by_another_program_has_an_unknown_time(admin, changed, admin_db):
    admin_db.execute("UPDATE asset SET title = 'Edited elsewhere'")
    page = admin.get(url(changed, at="2037-01-01T00:00:00"))
    assert "another program changed it, at an unknown time" in text(page.html.find(class_="facts"))


def test_an_asset_that_is_nowhere_is_404_and_a_bad_hash_400(admin):
    admin.get(url("e" * 64), status=404)
    for bad in (url("xyz"), f"{BATCHES}?action=asset&hash={'e' * 64}", url("e" * 64, at="soon")):
        admin.get(bad, status=400)


def test_the_shell_shows_the_same(changed, panel_conf, capsys):
    assert main.main(["--config", str(panel_conf), "asset", changed]) == 0
    shown = capsys.readouterr().out
    assert f"photo {changed}: asset" in shown and "Coast at dawn" in shown
