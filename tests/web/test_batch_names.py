"""Batches are named by titles, found by words, and list their containers."""

import pytest
from gpupanel import services
from page_helpers import BATCHES, JSON, cells, detail, region, text


@pytest.fixture
def gallery(bundles, mount, panel_db):
    """A preflighted gallery of three photos that lists a fourth, which is nowhere."""
    photos = [
        photo._replace(title=f"Dünen, long shadows {number}") for number, photo in enumerate(bundles.assets("dune", 3))
    ]
    [lost] = bundles.assets("lost", 1)
    container = bundles.container("gallery", "Winter light on the river", [*photos, lost])
    sync_id = bundles.bundle("gallery", photos, [container], sync_type="gallery")
    services.scan_mount(panel_db, mount, "admin")
    services.preflight_batch(panel_db, mount, sync_id, "admin")
    return sync_id


@pytest.fixture
def search(admin, gallery, scan_bundle):
    """Return whether the gallery, and nothing else, is found."""
    scan_bundle("other")

    def search(words):
        batches = admin.get(BATCHES, {"q": words}, headers=JSON).json["batches"]
        assert {batch["sync_id"] for batch in batches} <= {gallery}
        return bool(batches)

    return search


def test_a_gallery_shows_its_title_its_members_and_the_missing_ones(admin, gallery):
    page = admin.get(detail(gallery))
    head, row = cells(region(page, "Containers"))
    assert head == ["title", "type", "container_hash", "members", "missing", "decision", "target ids", "last_error"]
    assert (row[0], row[1], *row[3:]) == ("Winter light on the river", "gallery", "4", "1", "will_create", "-", "-")
    assert "1 member is neither in the library nor in this bundle" in text(region(page, "Containers"))
    assert text(page.html.find(class_="title")) == "Winter light on the river 3 items"


def test_each_item_shows_its_title(admin, gallery):
    titles = [text(title) for title in region(admin.get(detail(gallery)), "Items").find_all(class_="title")]
    assert titles == ["Dünen, long shadows 0", "Dünen, long shadows 1", "Dünen, long shadows 2"]


def test_the_title_of_an_item_that_another_program_planned_is_the_library_s(admin, gallery, admin_db):
    admin_db.execute(
        "INSERT INTO asset (id, asset_type, asset_hash, title) VALUES (7, 'photo', REPEAT('e', 64), 'Elbe')"
    )
    admin_db.execute("UPDATE ingest_batch_item SET item_title = NULL, asset_id = 7 WHERE position = 0")
    assert admin.get(detail(gallery), headers=JSON).json["items"][0]["item_title"] == "Elbe"


def test_the_list_shows_the_first_title_how_many_more_and_a_thumbnail(admin, gallery, admin_db):
    row = region(admin.get(BATCHES), "Batches").find("td", class_="name")
    assert text(row.find(class_="title")) == "Winter light on the river"
    assert text(row.find(class_="count")) == "3 items"
    assert "action=picture" in row.find("img")["src"]
    admin_db.execute("UPDATE ingest_batch_container SET title = NULL")
    row = region(admin.get(BATCHES), "Batches").find("td", class_="name")
    assert text(row.find(class_="title")) == "Dünen, long shadows 0"
    assert text(row.find(class_="count")) == "and 2 more"


@pytest.mark.parametrize(
    "words", ["winter", "WINT", "river light", "dunen", "dünen shadows", "  long  ", "winter%", '"winter"']
)
def test_the_beginnings_of_words_of_titles_find_a_batch(search, words):
    assert search(words)


@pytest.mark.parametrize("words", ["summer", "winter summer", "inter", "%", "w_nter", "\U0001f600"])
def test_other_words_find_nothing_and_give_a_list(search, words):
    assert not search(words)


def test_words_that_find_nothing_leave_the_search_box_and_a_hint(admin, gallery):
    page = admin.get(f"{BATCHES}?q=coast")
    assert page.html.find("input", {"name": "q"})["value"] == "coast"
    assert "beginnings of words in titles" in text(page.html.find(class_="empty"))
    assert 'write it in quotes: "decade"' in text(admin.get(f"{BATCHES}?q=decade").html.find(class_="empty"))


def test_words_and_other_filters_narrow_each_other(admin, gallery):
    for query, number in (("q=winter&type=gallery", 1), ("q=winter&type=asset", 0), ("q=winter&status=failed", 0)):
        assert admin.get(f"{BATCHES}?{query}", headers=JSON).json["count"] == number


def test_the_reason_of_a_failed_preflight_finds_its_batch(admin, scan_bundle, send):
    sync_id = scan_bundle(status="processing")
    send(detail(sync_id), do="preflight", sync_id=sync_id)
    batches = admin.get(BATCHES, {"q": "processing"}, headers=JSON).json["batches"]
    assert [batch["sync_id"] for batch in batches] == [sync_id]


def test_a_held_and_a_replaced_batch_say_why_in_the_list(admin, send, scan_bundle, admin_db):
    sync_id = scan_bundle()
    send(detail(sync_id), do="queue", sync_id=sync_id)
    admin_db.execute("UPDATE import_job SET state = 'held', hold = 'bundle', hold_reason = 'the mount is away'")
    admin_db.execute("UPDATE ingest_batch SET changed_at = '2026-04-12 20:47:14'")
    note = text(region(admin.get(BATCHES), "Batches").find("td", class_="verdict"))
    assert "held: the mount is away" in note and "replaced by upstream" in note
    assert "Upstream replaced this bundle" in text(
        admin.get(detail(sync_id)).html.find(attrs={"aria-label": "Changed upstream"})
    )


# ------------------------------------------------------------------------------------------ before the preflight


@pytest.fixture
def scanned(bundles, mount, panel_db):
    """A gallery that was scanned and not preflighted."""
    photos = [photo._replace(title=f"Saltpan flats {number}") for number, photo in enumerate(bundles.assets("salt", 2))]
    container = bundles.container("gallery", "From the air", photos)
    sync_id = bundles.bundle("salt", photos, [container], sync_type="gallery")
    services.scan_mount(panel_db, mount, "admin")
    return sync_id


def test_a_scanned_batch_shows_title_and_thumbnail(admin, scanned):
    row = region(admin.get(BATCHES), "Batches").find("td", class_="name")
    assert text(row.find(class_="title")) == "From the air"
    assert text(row.find(class_="count")) == "2 items"
    picture = admin.get(row.find("img")["src"])
    assert picture.content_type == "image/jpeg" and picture.body.startswith(b"\xff\xd8\xff")
    assert text(admin.get(detail(scanned)).html.find("p", class_="title")) == "From the air 2 items"


@pytest.mark.parametrize("words", ["saltpan", "air", "flats from"])
def test_a_scanned_batch_is_found_by_its_titles(admin, scanned, scan_bundle, words):
    scan_bundle("other")
    batches = admin.get(BATCHES, {"q": words}, headers=JSON).json["batches"]
    assert [batch["sync_id"] for batch in batches] == [scanned]


def test_the_preflight_s_names_take_the_place_of_the_scan_s(admin, scanned, panel_db, mount, admin_db):
    services.preflight_batch(panel_db, mount, scanned, "admin")
    admin_db.execute("UPDATE ingest_batch SET scan_title = 'old', scan_container = 'old', scan_picture = 'old'")
    named = admin.get(detail(scanned), headers=JSON).json["named"]
    assert (named["container_title"], named["first_title"]) == ("From the air", "Saltpan flats 0")
    assert named["first_picture"] != "old"


def test_a_bundle_without_titles_is_shown_by_its_id(admin, bundles, mount, panel_db):
    [photo] = bundles.assets("plain", 1)
    sync_id = bundles.bundle("plain", [photo._replace(broken=lambda item, files: (item | {"title": None}, files))])
    services.scan_mount(panel_db, mount, "admin")
    row = region(admin.get(BATCHES), "Batches").find("td", class_="name")
    assert row.find(class_="title") is None and text(row.find("a", class_="id")) == sync_id
