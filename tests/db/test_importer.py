"""The import of a batch: what is written of each item, and what is decided."""

import json
from pathlib import Path

import worker_helpers
from gpupanel.devtools.bundle_factory import defects


def source(assets_dir, asset, name: str = "source.json"):
    """The path of one of an asset's documents."""
    return assets_dir / asset.path / "source" / ("" if name == "source.json" else "data") / name


# ----------------------------------------------------------------------------------------- what is written


def test_a_photo_comes_with_its_fields_documents_derivatives_and_cover(admin_db, bundles, bring):
    photo, cover = bundles.assets("coast", 2, ("photo", "cover"))
    sync_id = bundles.bundle("coast", [photo, cover])
    bring(sync_id)
    library = worker_helpers.meaning(admin_db)
    (row,) = admin_db.execute("SELECT * FROM asset WHERE asset_type = 'photo'")
    assert (row["asset_hash"], row["path"], row["deleted_at"]) == (photo.asset_hash, photo.path, None)
    assert len(library["source"]) == 2
    runs = admin_db.execute("SELECT analysis_kind FROM asset_ai_run WHERE asset_id = %(id)s", id=row["id"])
    assert {run["analysis_kind"] for run in runs} == {"manifest", "analysis", "meaning", "family"}
    kinds = admin_db.execute("SELECT kind FROM asset_derivative WHERE asset_id = %(id)s", id=row["id"])
    assert {each["kind"] for each in kinds} == {"icon", "thumb", "medium", "original"}
    (link,) = admin_db.execute("SELECT * FROM asset_cover")
    assert (link["asset_id"], link["cover_hash"]) == (row["id"], cover.asset_hash)
    item = worker_helpers.items(admin_db, sync_id)[0]
    assert (item["asset_id"], item["cover_id"], item["decision"]) == (row["id"], link["id"], "created")


def test_documents_are_kept_as_they_came(admin_db, assets_dir, bundles, bring):
    (photo,) = bundles.assets("coast", 1)
    bring(bundles.bundle("coast", [photo]))
    (row,) = admin_db.execute("SELECT document FROM asset_source")
    assert row["document"] == source(assets_dir, photo).read_text()


def test_a_simple_video_comes_with_its_deliverables_and_its_duration(admin_db, bundles, bring):
    (film,) = bundles.assets("film", 1, ("video_simple",))
    bring(bundles.bundle("film", [film], sync_type="video_simple"))
    (row,) = admin_db.execute("SELECT * FROM asset")
    assert (row["asset_type"], row["asset_subtype"]) == ("video", "video_simple")
    assert row["duration_seconds"] > 0
    kinds = admin_db.execute("SELECT kind FROM asset_derivative")
    assert {each["kind"] for each in kinds} == {"hls", "transcript", "cloud_package", "library_cover"}


def test_an_unknown_file_that_is_not_json_is_captured_with_its_digest_and_the_reason(admin_db, bundles, bring):
    sync_id = bundles.bundle("notes", bundles.assets("notes", 1, documents=("field.notes.json", "color.palette.json")))
    bring(sync_id)
    runs = {row["analysis_kind"]: row for row in admin_db.execute("SELECT * FROM asset_ai_run")}
    notes, palette = runs["source_data:field.notes.json"], runs["source_data:color.palette.json"]
    assert notes["document"] is None and notes["parse_error"] and len(notes["content_sha256"]) == 64
    assert palette["parse_error"] is None and json.loads(palette["document"])
    assert worker_helpers.counts(admin_db, sync_id) == {"created": 1}


# ------------------------------------------------------------------------------------------- what is decided


def test_the_same_bundle_again_changes_no_library_row(admin_db, panel_db, bundles, bring):
    members = list(bundles.assets("coast", 6, ("photo", "cover")))
    hung = bundles.container("gallery", "Coast", members[::2], cover=members[1])
    sync_id = bundles.bundle("coast", members, [hung], sync_type="gallery")
    bring(sync_id)
    before = worker_helpers.rows(admin_db)
    bring(sync_id)
    assert worker_helpers.rows(admin_db) == before
    assert worker_helpers.counts(panel_db, sync_id) == {"skipped": 6}


def test_the_same_update_again_changes_no_library_row(admin_db, panel_db, bundles, bring):
    photos = list(bundles.assets("coast", 3))
    bring(bundles.bundle("coast", photos))
    again = bundles.bundle("again", [photo._replace(title="New", revision=2) for photo in photos], action="update")
    bring(again)
    assert worker_helpers.counts(panel_db, again) == {"updated": 3}
    before = worker_helpers.rows(admin_db)
    bring(again)
    assert worker_helpers.rows(admin_db) == before
    assert worker_helpers.counts(panel_db, again) == {"skipped": 3}


def test_a_create_overwrites_nothing_and_reads_no_document_of_what_is_there(admin_db, panel_db, bundles, bring):
    (photo,) = bundles.assets("coast", 1)
    bring(bundles.bundle("coast", [photo]))
    before = worker_helpers.rows_but_says(admin_db)
    other = photo._replace(title="Other", revision=2, broken=defects.broken_document)
    again = bundles.bundle("again", [other])
    bring(again)
    assert worker_helpers.rows_but_says(admin_db) == before
    [said] = admin_db.execute("SELECT source_batch_id, last_batch_id FROM asset")
    assert set(said.values()) == {worker_helpers.batch(panel_db, again)["id"]}, "the later bundle has the latest say"
    ((decision, reason),) = worker_helpers.reasons(panel_db, again).values()
    assert decision == "skipped" and "title" in reason


def test_an_update_that_only_brings_a_new_document_is_recorded_as_updated_and_names_it(
    admin_db, panel_db, assets_dir, bundles, bring
):
    changed, same = bundles.assets("coast", 2)
    bring(bundles.bundle("coast", [changed, same]))
    source(assets_dir, changed, "photo.meaning.json").write_text('{"mood": "new"}')
    update = bundles.bundle("update", [changed, same], files=False, action="update")
    bring(update)
    decided = worker_helpers.reasons(panel_db, update)
    assert decided[changed.asset_hash][0] == "updated" and "photo.meaning.json" in decided[changed.asset_hash][1]
    assert decided[same.asset_hash][0] == "skipped"
    versions = admin_db.execute("SELECT asset_id FROM asset_ai_run WHERE analysis_kind = 'meaning'")
    assert len(versions) == 3


def test_an_update_says_what_each_field_was_and_is(panel_db, bundles, bring):
    (photo,) = bundles.assets("coast", 1)
    photo = photo._replace(title="Before")
    bring(bundles.bundle("coast", [photo]))
    update = bundles.bundle("update", [photo._replace(title="After")], action="update")
    bring(update)
    (item,) = worker_helpers.items(panel_db, update)
    assert item["changes"] == {"title": ["Before", "After"]}


def test_a_removed_asset_is_kept_and_comes_back_with_the_next_create(admin_db, panel_db, bundles, bring):
    (photo,) = bundles.assets("coast", 1)
    create = bundles.bundle("coast", [photo])
    bring(create)
    removal = bundles.bundle("removal", [photo], action="remove")
    bring(removal)
    assert admin_db.execute("SELECT deleted_at FROM asset")[0]["deleted_at"] is not None
    assert worker_helpers.counts(panel_db, removal) == {"removed": 1}
    bring(create)
    assert admin_db.execute("SELECT deleted_at FROM asset")[0]["deleted_at"] is not None, "the removal is newer"
    again = bundles.bundle("again", [photo])
    bring(again)
    assert admin_db.execute("SELECT deleted_at FROM asset")[0]["deleted_at"] is None
    assert worker_helpers.counts(panel_db, create) == {"skipped": 1}
    assert worker_helpers.counts(panel_db, again) == {"updated": 1}


def test_a_cover_link_that_is_missing_is_added(admin_db, panel_db, bundles, bring):
    photo, cover = bundles.assets("coast", 2, ("photo", "cover"))
    bring(bundles.bundle("bare", [photo._replace(cover_hash=None), cover]))
    linking = bundles.bundle("linking", [photo])
    bring(linking)
    assert worker_helpers.counts(panel_db, linking) == {"linked": 1}
    (item,) = worker_helpers.items(panel_db, linking)
    assert item["cover_id"] == admin_db.execute("SELECT id FROM asset_cover")[0]["id"]


def test_the_library_decides_when_an_import_changed_it_after_the_preflight(admin_db, panel_db, bundles, mount, bring):
    (photo,) = bundles.assets("coast", 1)
    bring(bundles.bundle("coast", [photo]))
    removal, again = bundles.bundle("removal", [photo], action="remove"), bundles.bundle("again", [photo])
    worker_helpers.queue(panel_db, mount, removal, again)
    bring()
    (item,) = worker_helpers.items(panel_db, again)
    assert (item["planned"], item["decision"]) == ("will_skip", "updated")
    assert admin_db.execute("SELECT deleted_at FROM asset")[0]["deleted_at"] is None


# ------------------------------------------------------------------------------------------- the mount


def state_of(folder: Path) -> dict[str, tuple]:
    """Every file and folder under a folder: bytes, mode, and when it and what it says of itself last changed."""
    found = {}
    for path in [folder, *folder.rglob("*")]:
        facts = path.lstat()
        content = path.read_bytes() if path.is_file() else None
        found[str(path)] = content, facts.st_mode, facts.st_mtime_ns, facts.st_ctime_ns
    return found


def test_scan_preflight_queue_and_import_leave_the_mount_as_it_was(panel_db, assets_dir, bundles, bring):
    photos = list(bundles.assets("coast", 3, ("photo", "cover", "video_simple"), broken={1: defects.broken_source}))
    held = [bundles.container("gallery", "Coast", photos)]
    created = bundles.bundle("coast", photos, held)
    updated = bundles.bundle("changed", photos, held, action="update")
    removed = bundles.bundle("gone", photos[:1], held, action="remove")
    bundles.sentinel("late")
    before = state_of(assets_dir)
    bring(created, updated, removed)
    ended = [worker_helpers.batch(panel_db, each)["status"] for each in (created, updated, removed)]
    assert ended == ["partial", "partial", "completed"]
    assert state_of(assets_dir) == before
