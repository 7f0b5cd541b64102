"""Members of galleries and collections have thumbnails on the batch page and on the container's page."""

import pytest
import worker_helpers
from gpupanel import asset_history, config, services
from gpupanel.asset_history import FIRST_MEMBERS
from page_helpers import BATCHES, JSON, detail, region, text
from query_recorder import Watched


@pytest.fixture
def gallery(bundles, panel_db, mount, worker_conf):
    """Import a bundle with galleries of this many photos each; return its sync_id and the first gallery's hash."""

    def gallery(photos, count=1, kind="gallery"):
        members = [photo._replace(title=f"Dune {n}") for n, photo in enumerate(bundles.assets("dune", photos))]
        containers = [bundles.container(kind, f"Winter {n}", members) for n in range(count)]
        sync_id = bundles.bundle("dunes", members, containers, sync_type=kind)
        worker_helpers.queue(panel_db, mount, sync_id)
        worker_helpers.drain(worker_conf)
        return sync_id, containers[0]["container_hash"]

    return gallery


def members(page):
    return page.html.select("[aria-label=Containers] .members li")


@pytest.mark.parametrize("kind", ["gallery", "collection"])
def test_the_batch_page_shows_the_first_members_and_leads_to_each_and_to_all(admin, gallery, kind):
    sync_id, container_hash = gallery(FIRST_MEMBERS + 2, kind=kind)
    page = admin.get(detail(sync_id))
    *first, all_of_them = members(page)
    assert [text(member) for member in first] == [f"Dune {number}" for number in range(FIRST_MEMBERS)]
    for member in first:
        image = member.find("img")
        assert (image["width"], image["height"], image["loading"], image["alt"]) == ("48", "36", "lazy", "")
        assert admin.get(image["src"]).content_type.startswith("image/")
        assert text(admin.get(member.a["href"]).html.find("p", class_="title")) == text(member)
    assert text(all_of_them) == "All members" and container_hash in all_of_them.a["href"]


def test_a_small_gallery_is_shown_whole(admin, gallery):
    sync_id, _ = gallery(2)
    assert [text(member) for member in members(admin.get(detail(sync_id)))] == ["Dune 0", "Dune 1"]


def test_each_gallery_of_a_batch_has_its_members(admin, gallery):
    sync_id, _ = gallery(2, count=3)
    shown = admin.get(detail(sync_id), headers=JSON).json["containers"]
    assert [[member["title"] for member in each["first_members"]] for each in shown] == [["Dune 0", "Dune 1"]] * 3


def test_a_member_that_left_is_passed_over(admin, gallery, admin_db):
    sync_id, _ = gallery(3)
    admin_db.execute("UPDATE asset_gallery_item SET deleted_at = NOW(6) ORDER BY position LIMIT 1")
    assert [text(member) for member in members(admin.get(detail(sync_id)))] == ["Dune 1", "Dune 2", "All members"]


def test_a_gallery_that_was_not_imported_has_no_members_in_the_library(admin, bundles, panel_db, mount):
    photos = list(bundles.assets("dune", 2))
    sync_id = bundles.bundle("dunes", photos, [bundles.container("gallery", "Winter", photos)], sync_type="gallery")
    services.scan_mount(panel_db, mount, "ada")
    services.preflight_batch(panel_db, mount, sync_id, "ada")
    assert members(admin.get(detail(sync_id))) == []


def test_a_member_without_a_thumbnail_keeps_an_empty_frame(admin, gallery, admin_db):
    sync_id, _ = gallery(1)
    admin_db.execute("UPDATE ingest_batch_item SET picture = NULL")
    [member] = members(admin.get(detail(sync_id)))
    assert member.find("img") is None and member.find(class_="frame")


def test_a_member_that_a_later_bundle_wrote_without_a_thumbnail_shows_that_of_the_first_one(admin, gallery, admin_db):
    sync_id, container_hash = gallery(1)
    admin_db.execute("INSERT INTO ingest_batch (id, sync_id) SELECT MAX(id) + 1, UUID() FROM ingest_batch")
    admin_db.execute("UPDATE asset SET last_batch_id = (SELECT MAX(id) FROM ingest_batch)")
    url = f"{BATCHES}?action=asset&type=gallery&hash={container_hash}"
    [member] = admin.get(url, headers=JSON).json["members"]
    assert member["sync_id"] == sync_id and member["picture"]


def test_the_page_of_a_gallery_shows_each_member_with_its_thumbnail(admin, gallery):
    _, container_hash = gallery(3)
    page = admin.get(f"{BATCHES}?action=asset&type=gallery&hash={container_hash}")
    images = region(page, "Members").find_all("img")
    assert len(images) == 3 and {image["loading"] for image in images} == {"lazy"}
    assert all(admin.get(image["src"]).content_type.startswith("image/") for image in images)


# ------------------------------------------------------------------------------------------------ costs


@pytest.fixture
def large(admin_db):
    """Fifty galleries of 400 members, whose first five are removed; each asset is in ten batches."""
    hash_ = "LPAD(HEX(seq), 64, '0')"
    for statement in (
        "INSERT INTO ingest_batch (id, sync_id, manifest_sha256) SELECT seq, LPAD(seq, 36, '0'), '' FROM seq_1_to_10",
        f"""INSERT INTO asset (id, asset_type, asset_hash, fingerprint, first_batch_id, last_batch_id)
            SELECT seq, 'photo', {hash_}, {hash_}, 1, 10 FROM seq_1_to_20000""",
        "INSERT INTO ingest_batch_item (batch_id, position, asset_type, asset_hash, decision, picture)"
        " SELECT b.id, a.id, 'photo', a.asset_hash, 'created', 'x' FROM asset a JOIN ingest_batch b WHERE a.id <= 2000",
        f"""INSERT INTO asset_gallery (id, gallery_hash, first_batch_id, last_batch_id)
            SELECT seq, {hash_}, 1, 1 FROM seq_1_to_50""",
        """INSERT INTO asset_gallery_item (gallery_id, asset_id, position, deleted_at)
           SELECT 1 + id DIV 400, id, id MOD 400, IF(id MOD 400 < 5, NOW(6), NULL) FROM asset WHERE id < 20000""",
        "ANALYZE TABLE asset, ingest_batch_item, ingest_batch, asset_gallery_item",
    ):
        admin_db.execute(statement)
    return {("gallery", number) for number in range(1, 51)}


def test_the_members_of_a_page_are_read_by_keys_and_no_more_of_them_than_twice_those_shown(large, panel_conf, admin_db):
    db = Watched(config.load(panel_conf).database)
    found = db.run_read(asset_history.first_members, large)
    assert {len(first) for first in found.values()} == {FIRST_MEMBERS}
    keys, thumbnails = db.seen
    assert not keys.scans and not thumbnails.scans
    assert keys.read <= 2 * (50 * 2 * FIRST_MEMBERS) + 200 and thumbnails.read <= 6 * 50 * FIRST_MEMBERS + 100
    db.seen.clear()
    page = db.run_read(asset_history.load_container, "gallery", f"{7:064X}".lower(), None, 0)
    assert len(page["members"]) == asset_history.LIMIT
    assert all(not seen.scans and seen.read <= 7 * (asset_history.LIMIT + 1) + 50 for seen in db.seen)
    db.close()
