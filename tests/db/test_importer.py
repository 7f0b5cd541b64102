"""The import of a batch: what becomes of each item, and that it happens once."""

import json
import threading
from collections import Counter

import pytest
import workers
from gpupanel import manifest
from gpupanel.database import Database
from gpupanel.tools.bundles import breaks
from gpupanel.work import importer, library


@pytest.fixture
def bring(panel_db, mount, worker_conf):
    """Queues bundles and imports them; returns the worker's log."""

    def run(*sync_ids: str) -> str:
        workers.queue(panel_db, mount, *sync_ids)
        return workers.drain(worker_conf)

    return run


def source(assets_dir, asset, name: str = "source.json"):
    """The path of one of an asset's documents."""
    return assets_dir / asset.path / "source" / ("" if name == "source.json" else "data") / name


def reasons(db, sync_id: str) -> dict[str, tuple[str, str]]:
    return {item["asset_hash"]: (item["decision"], item["reason"]) for item in workers.items(db, sync_id)}


# ----------------------------------------------------------------------------------------- what is written


def test_a_photo_comes_with_its_fields_documents_derivatives_and_cover(admin_db, bundles, bring):
    photo, cover = bundles.assets("coast", 2, ("photo", "cover"))
    sync_id = bundles.bundle("coast", [photo, cover])
    bring(sync_id)
    library = workers.meaning(admin_db)
    (row,) = admin_db.execute("SELECT * FROM asset WHERE asset_type = 'photo'")
    assert (row["asset_hash"], row["path"], row["deleted_at"]) == (photo.asset_hash, photo.path, None)
    assert len(library["source"]) == 2
    runs = admin_db.execute("SELECT analysis_kind FROM asset_ai_run WHERE asset_id = %(id)s", id=row["id"])
    assert {run["analysis_kind"] for run in runs} == {"manifest", "analysis", "meaning", "family"}
    kinds = admin_db.execute("SELECT kind FROM asset_derivative WHERE asset_id = %(id)s", id=row["id"])
    assert {each["kind"] for each in kinds} == {"icon", "thumb", "medium", "original"}
    (link,) = admin_db.execute("SELECT * FROM asset_cover")
    assert (link["asset_id"], link["cover_hash"]) == (row["id"], cover.asset_hash)
    item = workers.items(admin_db, sync_id)[0]
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
    assert workers.counts(admin_db, sync_id) == {"created": 1}


# ------------------------------------------------------------------------------------------- what is decided


def test_the_same_bundle_again_changes_no_library_row(admin_db, panel_db, bundles, bring):
    members = list(bundles.assets("coast", 6, ("photo", "cover")))
    hung = bundles.container("gallery", "Coast", members[::2], cover=members[1])
    sync_id = bundles.bundle("coast", members, [hung], sync_type="gallery")
    bring(sync_id)
    before = workers.rows(admin_db)
    bring(sync_id)
    assert workers.rows(admin_db) == before
    assert workers.counts(panel_db, sync_id) == {"skipped": 6}


def test_the_same_update_again_changes_no_library_row(admin_db, panel_db, bundles, bring):
    photos = list(bundles.assets("coast", 3))
    bring(bundles.bundle("coast", photos))
    again = bundles.bundle("again", [photo._replace(title="New", revision=2) for photo in photos], action="update")
    bring(again)
    assert workers.counts(panel_db, again) == {"updated": 3}
    before = workers.rows(admin_db)
    bring(again)
    assert workers.rows(admin_db) == before
    assert workers.counts(panel_db, again) == {"skipped": 3}


def test_a_create_overwrites_nothing_and_reads_no_document_of_what_is_there(admin_db, panel_db, bundles, bring):
    (photo,) = bundles.assets("coast", 1)
    bring(bundles.bundle("coast", [photo]))
    before = workers.rows(admin_db)
    other = photo._replace(title="Other", revision=2, broken=breaks.broken_document)
    again = bundles.bundle("again", [other])
    bring(again)
    assert workers.rows(admin_db) == before
    ((decision, reason),) = reasons(panel_db, again).values()
    assert decision == "skipped" and "title" in reason


def test_an_update_that_only_brings_a_new_document_is_recorded_as_updated_and_names_it(
    admin_db, panel_db, assets_dir, bundles, bring
):
    changed, same = bundles.assets("coast", 2)
    bring(bundles.bundle("coast", [changed, same]))
    source(assets_dir, changed, "photo.meaning.json").write_text('{"mood": "new"}')
    update = bundles.bundle("update", [changed, same], files=False, action="update")
    bring(update)
    decided = reasons(panel_db, update)
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
    (item,) = workers.items(panel_db, update)
    assert item["changes"] == {"title": ["Before", "After"]}


def test_a_removed_asset_is_kept_and_comes_back_with_the_next_create(admin_db, panel_db, bundles, bring):
    (photo,) = bundles.assets("coast", 1)
    create = bundles.bundle("coast", [photo])
    bring(create)
    removal = bundles.bundle("removal", [photo], action="remove")
    bring(removal)
    assert admin_db.execute("SELECT deleted_at FROM asset")[0]["deleted_at"] is not None
    assert workers.counts(panel_db, removal) == {"removed": 1}
    bring(create)
    assert admin_db.execute("SELECT deleted_at FROM asset")[0]["deleted_at"] is None
    assert workers.counts(panel_db, create) == {"updated": 1}


def test_a_cover_link_that_is_missing_is_added(admin_db, panel_db, bundles, bring):
    photo, cover = bundles.assets("coast", 2, ("photo", "cover"))
    bring(bundles.bundle("bare", [photo._replace(cover_hash=None), cover]))
    linking = bundles.bundle("linking", [photo])
    bring(linking)
    assert workers.counts(panel_db, linking) == {"linked": 1}
    (item,) = workers.items(panel_db, linking)
    assert item["cover_id"] == admin_db.execute("SELECT id FROM asset_cover")[0]["id"]


def test_the_library_decides_when_it_changed_after_the_preflight(admin_db, panel_db, bundles, mount, bring):
    (photo,) = bundles.assets("coast", 1)
    create = bundles.bundle("coast", [photo])
    bring(create)
    workers.queue(panel_db, mount, create)
    admin_db.execute("UPDATE asset SET deleted_at = NOW(6)")
    admin_db.execute("COMMIT")
    bring()
    (item,) = workers.items(panel_db, create)
    assert (item["planned"], item["decision"]) == ("will_skip", "updated")


# ----------------------------------------------------------------------------------------- one item fails alone


@pytest.mark.parametrize("broken, words", [
    (breaks.no_folder, "is not on the mount"),
    (breaks.no_source, "source.json is not on the mount"),
    (breaks.broken_source, "source.json is not JSON"),
    (breaks.broken_document, "photo.analysis.json is not JSON"),
    (breaks.long_title, "items[1].title"),
])
def test_a_bad_item_fails_alone_with_its_reason(panel_db, bundles, bring, broken, words):
    sync_id = bundles.bundle("coast", bundles.assets("coast", 3, broken={1: broken}))
    bring(sync_id)
    assert workers.counts(panel_db, sync_id) == {"created": 2, "failed": 1}
    failed = workers.items(panel_db, sync_id)[1]
    assert words in failed["last_error"]
    batch = workers.batch(panel_db, sync_id)
    assert (batch["status"], batch["last_error"]) == ("partial", "1 of 3 items failed")


@pytest.fixture
def picky(admin_db):
    """A database that refuses assets with one title."""
    admin_db.execute("ALTER TABLE asset ADD CONSTRAINT picky CHECK (title <> 'refused')")
    yield
    admin_db.execute("ALTER TABLE asset DROP CONSTRAINT picky")


def test_an_item_that_the_database_refuses_fails_alone(admin_db, panel_db, bundles, bring, picky):
    photos = list(bundles.assets("coast", 4))
    photos[2] = photos[2]._replace(title="refused")
    sync_id = bundles.bundle("coast", photos)
    bring(sync_id)
    assert workers.counts(panel_db, sync_id) == {"created": 3, "failed": 1}
    assert "the database refused it" in workers.items(panel_db, sync_id)[2]["reason"]
    assert len(admin_db.execute("SELECT id FROM asset_source")) == 3


def test_a_batch_of_which_everything_failed_is_failed_and_its_job_too(admin_db, panel_db, bundles, mount, bring):
    garbled = {0: breaks.broken_source, 1: breaks.broken_source}
    sync_id = bundles.bundle("coast", bundles.assets("coast", 2, broken=garbled))
    (job_id,) = workers.queue(panel_db, mount, sync_id)
    bring()
    job = workers.job(admin_db, job_id)
    assert (job["state"], job["last_error"]) == ("failed", "2 of 2 items failed")
    assert workers.batch(panel_db, sync_id)["status"] == "failed"


# ------------------------------------------------------------------------------------------------ the manifest


def test_a_changed_manifest_is_an_event_and_is_planned_anew(panel_db, bundles, mount, bring):
    first, second = bundles.assets("coast", 2)
    sync_id = bundles.bundle("coast", [first])
    workers.queue(panel_db, mount, sync_id)
    planned = workers.batch(panel_db, sync_id)["manifest_sha256"]
    bundles.bundle("coast", [second], replace=True)
    bring()
    batch = workers.batch(panel_db, sync_id)
    (event,) = workers.events(panel_db, sync_id, "manifest_changed")
    payload = json.loads(event["payload"])
    assert (payload["before"], payload["after"], payload["phase"]) == (planned, batch["manifest_sha256"], "import")
    decided = reasons(panel_db, sync_id)
    assert decided[second.asset_hash][0] == "created" and decided[first.asset_hash][0] == "withdrawn"
    assert batch["status"] == "completed"


def test_the_digest_of_what_was_imported_is_in_the_last_event(panel_db, bundles, bring):
    sync_id = bundles.bundle("coast", bundles.assets("coast", 1))
    bring(sync_id)
    payload = json.loads(workers.events(panel_db, sync_id)[-1]["payload"])
    assert payload["manifest_sha256"] == workers.batch(panel_db, sync_id)["manifest_sha256"]
    assert payload["counts"] == {"created": 1}


def test_a_manifest_that_went_bad_fails_the_job_with_the_reason(admin_db, panel_db, bundles, mount, bring):
    sync_id = bundles.bundle("coast", bundles.assets("coast", 1))
    (job_id,) = workers.queue(panel_db, mount, sync_id)
    bundles.bundle("coast", bundles.assets("coast", 1), replace=True, spoil=lambda raw: raw[: len(raw) // 2])
    bring()
    job = workers.job(admin_db, job_id)
    assert job["state"] == "failed" and "expected JSON" in job["last_error"]
    assert workers.batch(panel_db, sync_id)["status"] == "failed"
    assert workers.events(panel_db, sync_id)[-1]["event_type"] == "job_failed"
    assert workers.rows(admin_db)["asset"] == []


@pytest.mark.parametrize("suffix", ["json", "ready"])
def test_a_bundle_that_is_gone_goes_back_to_the_queue_and_the_others_go_on(
    admin_db, panel_db, assets_dir, bundles, mount, bring, suffix
):
    gone, there = (bundles.bundle(name, bundles.assets(name, 1)) for name in ("gone", "there"))
    job_id, _ = workers.queue(panel_db, mount, gone, there)
    (assets_dir / "sync" / f"{gone}.{suffix}").unlink()
    bring()
    job = workers.job(admin_db, job_id)
    assert (job["state"], job["attempts"]) == ("queued", 0) and "is not on the mount" in job["last_error"]
    assert [event["event_type"] for event in workers.events(panel_db, gone)][-3:] == [
        "job_claimed", "mount_unavailable", "job_released",
    ]
    assert workers.batch(panel_db, there)["status"] == "completed"


def test_a_bundle_that_is_no_longer_verified_goes_back_to_the_queue(admin_db, panel_db, bundles, mount, bring):
    sync_id = bundles.bundle("coast", bundles.assets("coast", 1))
    (job_id,) = workers.queue(panel_db, mount, sync_id)
    bundles.bundle("coast", bundles.assets("coast", 1), replace=True, verification={"passed": False, "total_files": 1})
    bring()
    assert workers.job(admin_db, job_id)["state"] == "queued"
    assert workers.counts(panel_db, sync_id) == {"will_create": 1}


# ------------------------------------------------------------------------------------------- several at once


@pytest.mark.parametrize("action", ["create", "update"])
def test_two_imports_that_share_assets_make_no_twins_and_each_decides_rightly(
    admin_db, panel_db, bundles, mount, worker_conf, action
):
    shared = list(bundles.assets("shared", 120, ("photo", "cover"), derivatives=("icon",)))
    names = ("one", "two")
    sync_ids = [
        bundles.bundle(name, [*bundles.assets(name, 3), *(shared if name == "one" else shared[::-1])], action=action)
        for name in names
    ]
    workers.queue(panel_db, mount, *sync_ids)
    conf = workers.with_options(worker_conf, chunk_items=10)
    threads = [threading.Thread(target=workers.drain, args=(conf,)) for _ in sync_ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total = sum((Counter(workers.counts(panel_db, sync_id)) for sync_id in sync_ids), Counter())
    assert total == {"created": 126, "skipped": 120}
    assert len(admin_db.execute("SELECT id FROM asset")) == 126
    assert len(admin_db.execute("SELECT id FROM asset_source")) == 126


def test_an_asset_that_another_import_is_bringing_just_now_is_waited_for_and_found(
    admin_db, panel_db, worker_db, bundles, mount, worker_conf
):
    sync_id = bundles.bundle("coast", bundles.assets("coast", 1))
    workers.queue(panel_db, mount, sync_id)
    (item,) = manifest.read(mount.manifest(sync_id), sync_id).items
    rival = Database(worker_db.settings)
    importing = threading.Thread(target=workers.drain, args=(worker_conf,))
    with rival.transaction() as tx:
        library.create(tx, workers.batch(panel_db, sync_id)["id"], [item])
        importing.start()
        workers.wait_for_lock_wait(admin_db)
    importing.join()
    rival.close()
    assert workers.counts(panel_db, sync_id) == {"skipped": 1}


# ------------------------------------------------------------------------------------------- many items


def test_a_batch_of_many_chunks_counts_its_progress(admin_db, panel_db, bundles, mount, worker_conf):
    sync_id = bundles.bundle("many", bundles.assets("many", 25, derivatives=("icon",)))
    (job_id,) = workers.queue(panel_db, mount, sync_id)
    workers.drain(workers.with_options(worker_conf, chunk_items=4))
    job = workers.job(admin_db, job_id)
    assert (job["state"], job["items_done"], job["items_total"]) == ("completed", 25, 25)
    assert [item["position"] for item in workers.items(panel_db, sync_id)] == list(range(25))


def test_progress_is_an_event_now_and_then_but_not_for_each_chunk(
    panel_db, bundles, mount, worker_conf, monkeypatch
):
    conf = workers.with_options(worker_conf, chunk_items=2)
    quick = bundles.bundle("quick", bundles.assets("quick", 5, derivatives=("icon",)))
    workers.queue(panel_db, mount, quick)
    workers.drain(conf)
    assert workers.events(panel_db, quick, "job_progress") == []
    monkeypatch.setattr(importer, "EVENT_SECONDS", 0)
    slow = bundles.bundle("slow", bundles.assets("slow", 5, derivatives=("icon",)))
    workers.queue(panel_db, mount, slow)
    workers.drain(conf)
    told = [json.loads(event["payload"]) for event in workers.events(panel_db, slow, "job_progress")]
    assert [(each["items_done"], each["items_total"]) for each in told] == [(2, 5), (4, 5), (5, 5)]


def test_a_fault_of_ours_fails_its_job_and_lets_the_queue_go_on(admin_db, panel_db, bundles, mount, worker_conf, monkeypatch):
    bad, good = (bundles.bundle(name, bundles.assets(name, 1)) for name in ("bad", "good"))
    job_id, _ = workers.queue(panel_db, mount, bad, good)
    create = library.create

    def faulty(tx, batch_id, items):
        if batch_id == workers.batch(panel_db, bad)["id"]:
            raise KeyError("a fault")
        return create(tx, batch_id, items)

    monkeypatch.setattr(library, "create", faulty)
    log = workers.drain(worker_conf)
    assert "unexpected KeyError" in workers.job(admin_db, job_id)["last_error"] and "unexpected KeyError" in log
    assert workers.batch(panel_db, good)["status"] == "completed"
