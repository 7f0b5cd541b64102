"""Thumbnails: only images from the mount, cached, for signed-in users."""

import os
from threading import Event

import pytest
from gpupanel import services, thumbnails
from gpupanel.manifest import Derivative, Item
from gpupanel.mount import Mount
from gpupanel.web.pages import thumbnail
from page_helpers import BATCHES, JSON, detail

SECRET = b"somebody's password"
HEADS = {
    "image/jpeg": b"\xff\xd8\xff\xe0", "image/png": b"\x89PNG\r\n\x1a\n", "image/gif": b"GIF89a",
    "image/webp": b"RIFF\0\0\0\0WEBP",
}


@pytest.fixture
def shown(admin, scan_bundle, panel_db, mount):
    """The URL of the first item's thumbnail as programs use it, and its file."""
    sync_id = scan_bundle()
    services.preflight_batch(panel_db, mount, sync_id, "admin")
    item = admin.get(detail(sync_id), headers=JSON).json["items"][0]
    url = admin.get(detail(sync_id)).html.find("img")["src"]
    return url.removesuffix("&missing=blank"), mount.assets_dir / item["path"] / item["picture"]


def test_a_picture_is_shown_lazily_and_leaves_room_for_itself(admin, scan_bundle, panel_db, mount):
    sync_id = scan_bundle()
    services.preflight_batch(panel_db, mount, sync_id, "admin")
    heading, *images = admin.get(detail(sync_id)).html.find_all("img")
    assert heading["width"] and heading["height"] and len(images) == 2
    assert all(image["loading"] == "lazy" and image["width"] and image["height"] for image in images)


def test_a_picture_is_the_file_on_the_mount(admin, shown):
    url, file = shown
    answer = admin.get(url)
    assert answer.body == file.read_bytes() and answer.content_type == "image/jpeg"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_browser_keeps_a_picture_for_itself_and_asks_whether_it_changed(admin, shown):
    url, file = shown
    first = admin.get(url)
    assert "private" in first.headers["Cache-Control"] and first.headers["Last-Modified"]
    again = admin.get(url, headers={"If-None-Match": first.headers["ETag"]}, status=304)
    assert again.body == b""
    os.utime(file, (1, 1))
    assert admin.get(url, headers={"If-None-Match": first.headers["ETag"]}).body


@pytest.mark.parametrize("kind, head", HEADS.items())
def test_the_type_is_that_of_the_bytes_whatever_the_name(admin, shown, kind, head):
    url, file = shown
    file.write_bytes(head + b"rest")
    assert admin.get(url).content_type == kind


@pytest.mark.parametrize("content", [
    b"", b"<svg onload='alert(1)'/>", b"<html><script>", b"%PDF-1.7", b"RIFF\0\0\0\0WAVE", SECRET,
])
def test_what_is_no_image_is_not_shown(admin, shown, content):
    url, file = shown
    file.write_bytes(content)
    answer = admin.get(url, status=404)
    assert not content or content not in answer.body


@pytest.mark.parametrize("content", [None, SECRET])
def test_a_page_shows_an_empty_frame_where_a_thumbnail_is_missing(admin, shown, content):
    url, file = shown
    assert admin.get(f"{url}&missing=blank").body == file.read_bytes()
    file.unlink()
    if content:
        file.write_bytes(content)
    answer = admin.get(f"{url}&missing=blank")
    assert answer.body == thumbnail.BLANK and answer.content_type == thumbnails.sniff_mime_type(thumbnail.BLANK)
    assert "ETag" not in answer.headers
    admin.get(f"{url}&missing=x", status=400)


def test_a_file_that_is_too_large_is_not_shown(admin, shown, monkeypatch):
    url, file = shown
    monkeypatch.setattr(thumbnails, "MAX_FILE_BYTES", file.stat().st_size - 1)
    admin.get(url, status=404)


@pytest.mark.parametrize("make", [
    lambda file, secret: file.symlink_to(secret),
    lambda file, secret: os.mkfifo(file),
    lambda file, secret: file.mkdir(),
    lambda file, secret: None,
], ids=["a link outside", "a FIFO", "a folder", "nothing"])
def test_what_is_no_file_of_the_mount_is_not_shown(admin, shown, tmp_path, make):
    url, file = shown
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(HEADS["image/jpeg"] + SECRET)
    file.unlink()
    make(file, secret)
    assert SECRET not in admin.get(url, status=404).body


@pytest.mark.parametrize("path, name", [
    ("..", "secret.jpg"), ("/etc", "passwd"), ("photo/../..", "secret.jpg"), (".", "../secret.jpg"), ("x\0", "y"),
])
def test_no_row_leads_out_of_the_mount(admin, shown, admin_db, tmp_path, path, name):
    (tmp_path / "secret.jpg").write_bytes(HEADS["image/jpeg"] + SECRET)
    admin_db.execute("UPDATE ingest_batch_item SET path = %(path)s, picture = %(name)s", path=path, name=name)
    assert SECRET not in admin.get(shown[0], status=404).body


def test_an_item_of_another_batch_is_not_shown(admin, shown, scan_bundle):
    other = scan_bundle("other")
    item = shown[0].split("item=")[1].split("&")[0]
    admin.get(BATCHES, {"action": "picture", "sync_id": other, "item": item}, status=404)


def test_a_mount_that_hangs_costs_a_picture_a_bounded_time(admin, shown, monkeypatch, request):
    over = Event()
    request.addfinalizer(over.set)
    monkeypatch.setattr(thumbnail, "SECONDS", 0.05)
    monkeypatch.setattr(Mount, "open", lambda self, path: over.wait())
    assert "did not answer" in admin.get(shown[0], expect_errors=True).text


def test_pictures_are_for_those_who_are_signed_in(nobody, viewer, shown):
    nobody.get(shown[0], status=401)
    assert viewer.get(shown[0]).content_type == "image/jpeg"


@pytest.mark.parametrize("item", ["", "0", "999999999", "x", "-1"])
def test_an_item_that_is_none_has_no_picture(admin, shown, item):
    sync_id = shown[0].split("sync_id=")[1].split("&")[0]
    admin.get(BATCHES, {"action": "picture", "sync_id": sync_id, "item": item}, status=[400, 404])


def derivative(kind, width, mime_type="image/jpeg", bytes=100):
    return Derivative(kind, kind, bytes=bytes, mime_type=mime_type, width=width, height=width)


@pytest.mark.parametrize("derivatives, best", [
    ([("icon", 96), ("thumb", 256), ("original", 1440)], "thumb"), ([("icon", 96), ("tiny", 32)], "icon"),
    ([("blurred", 256), ("original", 1440)], "original"), ([("film", 256, "video/mp4")], None), ([], None),
    ([("thumb", 256, "image/svg+xml")], None), ([("thumb", 256, "image/png", 2**30), ("icon", 96)], "icon"),
    ([("thumb", None)], "thumb"),
])
def test_the_smallest_picture_that_is_sharp_enough_shows_the_item(derivatives, best):
    item = Item("photo", "0" * 64, path="photo/x", derivatives=tuple(derivative(*each) for each in derivatives))
    assert thumbnails.choose_thumbnail(item) == best


def test_an_item_without_a_folder_has_no_picture():
    assert thumbnails.choose_thumbnail(Item("photo", "0" * 64, derivatives=(derivative("thumb", 256),))) is None
