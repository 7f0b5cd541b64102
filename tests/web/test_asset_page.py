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
    assert "another program changed it, at an unknown time" in text(region(page, "Fields"))


def test_each_field_names_who_wrote_it(admin, changed, admin_db):
    fields = {row[0]: row[1:] for row in cells(region(admin.get(url(changed)), "Fields"))}
    updated, created = admin.get(url(changed), headers=JSON).json["history"]
    assert fields["title"][:3] == ["Coast at dawn", updated["requested_by"], updated["sync_id"][:8]]
    assert fields["mime_type"][:3] == ["image/jpeg", created["requested_by"], created["sync_id"][:8]]
    admin_db.execute("UPDATE asset SET title = 'Edited elsewhere'")
    fields = {row[0]: row[1:] for row in cells(region(admin.get(url(changed)), "Fields"))}
    assert fields["title"] == ["Edited elsewhere", "another program", "-", "-"]


def test_an_asset_that_is_nowhere_is_404_and_a_bad_hash_400(admin):
    admin.get(url("e" * 64), status=404)
    for bad in (url("xyz"), f"{BATCHES}?action=asset&hash={'e' * 64}", url("e" * 64, at="soon")):
        admin.get(bad, status=400)


def test_the_shell_shows_the_same(changed, panel_conf, capsys):
    assert main.main(["--config", str(panel_conf), "asset", changed]) == 0
    shown = capsys.readouterr().out
    assert f"photo {changed}: asset" in shown and "Coast at dawn" in shown


@pytest.fixture
def gallery(bundles, panel_db, mount, worker_conf):
    """An imported gallery of two photos; its batch and its hash."""
    photos = list(bundles.assets("dune", 2))
    container = bundles.container("gallery", "Winter light", photos)
    sync_id = bundles.bundle("gallery", photos, [container], sync_type="gallery")
    worker_helpers.queue(panel_db, mount, sync_id)
    worker_helpers.drain(worker_conf)
    return sync_id, container["container_hash"]


def test_the_hash_of_a_gallery_leads_to_its_members_and_history(admin, gallery):
    sync_id, container_hash = gallery
    page = admin.get(detail(sync_id)).click(href="type=gallery")
    assert text(page.html.h2) == f"gallery {container_hash}"
    assert text(page.html.find("p", class_="title")) == "Winter light"
    head, *members = cells(region(page, "Members"))
    assert head[:4] == ["position", "asset_type", "asset_hash", "title"] and len(members) == 2
    assert cells(region(page, "History"))[1][1] == "created"
    assert page.click(href="type=photo", index=0).status_int == 200


def test_a_photo_leads_to_its_galleries(admin, gallery):
    sync_id, container_hash = gallery
    photo = admin.get(detail(sync_id)).click(href="type=photo", index=0)
    assert text(photo.click(href="type=gallery").html.h2) == f"gallery {container_hash}"


def test_the_shell_shows_a_gallery(gallery, panel_conf, capsys):
    assert main.main(["--config", str(panel_conf), "asset", gallery[1]]) == 0
    output = capsys.readouterr().out
    assert output.startswith(f"gallery {gallery[1]}: ") and "Members" in output


def test_a_gallery_that_nobody_knows_is_not_found(admin):
    admin.get(f"{BATCHES}?action=asset&type=gallery&hash={'0' * 64}", status=404)
