"""Undo: what a batch wrote is taken back, where the library is as it left it."""


import pytest
import worker_helpers
from gpupanel import job_queue, services, undo_service
from gpupanel.errors import InvalidStateError, NotFoundError, PreflightRequested
from gpupanel.undo import plans, reader, references


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
    take_back(gone)
    assert admin_db.execute("SELECT * FROM ingest_tombstone WHERE deleted_at IS NULL") == []
    bring(gone)
    assert len(admin_db.execute("SELECT * FROM ingest_tombstone WHERE deleted_at IS NULL")) == 4


# ------------------------------------------------------------------------------------------------ what changed since


def test_what_a_later_batch_changed_stays_and_the_batch_is_named(admin_db, panel_db, bundles, bring, take_back):
    photo, other = bundles.assets("coast", 2)
    first = bundles.bundle("coast", [photo, other])
    bring(first)
    second = bundles.bundle("update", [photo._replace(title="Dusk")], action="update", files=False)
    bring(second)
    undone = take_back(first)
    decided = worker_helpers.reasons(panel_db, undone)
    assert decided[photo.asset_hash] == ("skipped", f"batch {second} changed it after batch {first}")
    assert decided[other.asset_hash][0] == "removed"
    assert (asset(admin_db, photo)["title"], asset(admin_db, photo)["deleted_at"]) == ("Dusk", None)


def test_what_another_program_changed_stays_and_the_value_is_named(admin_db, panel_db, bundles, bring, take_back):
    photo, other = bundles.assets("coast", 2)
    bring(bundles.bundle("coast", [photo, other]))
    update = bundles.bundle(
        "update", [photo._replace(title="Dusk"), other._replace(title="Noon")], action="update", files=False
    )
    bring(update)
    admin_db.execute("UPDATE asset SET title = 'by hand' WHERE asset_hash = %(hash)s", hash=photo.asset_hash)
    decided = worker_helpers.reasons(panel_db, take_back(update))
    assert decided[photo.asset_hash][0] == "skipped"
    assert 'another program changed it' in decided[photo.asset_hash][1]
    assert 'title is "by hand", the batch left "Dusk"' in decided[photo.asset_hash][1]
    assert decided[other.asset_hash][0] == "updated"
    assert asset(admin_db, photo)["title"] == "by hand"


def test_an_asset_that_a_later_batch_put_into_a_gallery_stays(admin_db, panel_db, bundles, bring, take_back):
    (photo,) = bundles.assets("coast", 1)
    first = bundles.bundle("coast", [photo])
    bring(first)
    second = bundles.bundle("gallery", [], [bundles.container("gallery", "Coast", [photo])])
    bring(second)
    (result,) = undo_service.undo_batches(panel_db, [first], "ann")
    assert f"batch {second} has put it into a gallery or collection since" in result.problem
    take_back(second)
    take_back(first)
    assert asset(admin_db, photo)["deleted_at"] is not None


# ------------------------------------------------------------------------------------------------ what others refer to


@pytest.fixture
def shown(bundles, bring):
    """A batch that brought a photo with its cover."""
    cover, photo = *bundles.assets("front", 1, ("cover",)), *bundles.assets("coast", 1)
    photo = photo._replace(cover_hash=cover.asset_hash)
    sync_id = bundles.bundle("coast", [cover, photo])
    bring(sync_id)
    return sync_id, photo, cover


def test_a_cover_stays_while_a_later_batch_keeps_what_shows_it(admin_db, panel_db, bundles, bring, take_back, shown):
    first, photo, cover = shown
    second = bundles.bundle("update", [photo._replace(title="Dusk")], action="update", files=False)
    bring(second)
    (result,) = undo_service.undo_batches(panel_db, [first], "ann")
    name = f"photo {photo.asset_hash[:16]}..."
    assert f"{name} shows it, and batch {second} changed or confirmed that photo since" in result.problem
    take_back(second)
    undone = take_back(first)
    assert worker_helpers.counts(panel_db, undone) == {"removed": 2}
    take_back(undone)
    assert asset(admin_db, cover)["deleted_at"] is None


def test_a_cover_stays_that_a_later_batch_shows(admin_db, panel_db, bundles, bring, take_back, shown):
    first, photo, cover = shown
    other, member = bundles.assets("beach", 2)
    second = bundles.bundle("beach", [other._replace(cover_hash=cover.asset_hash)])
    third = bundles.bundle("gallery", [member], [bundles.container("collection", "Beaches", [member], cover=cover)])
    bring(second, third)
    undone = take_back(first)
    decided = worker_helpers.reasons(panel_db, undone)
    assert decided[photo.asset_hash][0] == "removed" and decided[cover.asset_hash][0] == "skipped"
    assert f"batch {second} changed or confirmed that photo since" in decided[cover.asset_hash][1]
    take_back(second)
    (result,) = undo_service.undo_batches(panel_db, [first], "ann")
    assert f"shows it, and batch {third} changed or confirmed that collection since" in result.problem
    take_back(third)
    take_back(first)
    assert asset(admin_db, cover)["deleted_at"] is not None


def test_what_another_program_changed_keeps_its_cover(admin_db, panel_db, take_back, shown):
    first, photo, cover = shown
    admin_db.execute("UPDATE asset SET title = 'by hand' WHERE asset_hash = %(hash)s", hash=photo.asset_hash)
    (result,) = undo_service.undo_batches(panel_db, [first], "ann")
    assert "another program changed it" in result.problem
    assert f"photo {photo.asset_hash[:16]}... shows it, and stays" in result.problem
    assert asset(admin_db, cover)["deleted_at"] is None


def test_a_cover_stays_that_another_program_links(admin_db, panel_db, bundles, bring, take_back):
    """A link from before the cover came keeps nothing: the cover goes, as it was missing before."""
    other, cover = *bundles.assets("beach", 1), *bundles.assets("front", 1, ("cover",))
    first = bundles.bundle("front", [cover, *bundles.assets("coast", 1)])
    bring(bundles.bundle("beach", [other]), first)
    admin_db.execute(
        "INSERT INTO asset_cover (asset_id, cover_hash) SELECT id, %(cover)s FROM asset WHERE asset_hash = %(hash)s",
        cover=cover.asset_hash, hash=other.asset_hash,
    )
    undone = take_back(first)
    reason = f"another program lets photo {other.asset_hash[:16]}... show it since"
    assert worker_helpers.reasons(panel_db, undone)[cover.asset_hash] == ("skipped", reason)
    admin_db.execute("UPDATE asset_cover SET created_at = created_at - INTERVAL 1 DAY")
    take_back(first)
    assert asset(admin_db, cover)["deleted_at"] is not None


def test_a_gallery_that_stays_keeps_its_members_and_its_cover(admin_db, panel_db, bundles, bring, take_back):
    photo, cover, other = bundles.assets("coast", 3, ("photo", "cover", "photo"))
    gallery = bundles.container("gallery", "Coast", [photo], cover=cover)
    first = bundles.bundle("coast", [cover, photo, other], [gallery])
    bring(first)
    second = bundles.bundle("retitled", [], [gallery | {"title": "Shore", "items": []}], action="update")
    bring(second)
    undone = take_back(first)
    decided = worker_helpers.reasons(panel_db, undone)
    assert decided[other.asset_hash][0] == "removed"
    assert decided[photo.asset_hash][0] == "skipped" and "lists it, and stays" in decided[photo.asset_hash][1]
    assert decided[cover.asset_hash][0] == "skipped" and "shows it, and " in decided[cover.asset_hash][1]
    take_back(second)
    take_back(first)
    assert admin_db.execute("SELECT id FROM asset WHERE deleted_at IS NULL") == []


def test_a_member_that_another_program_added_stays(admin_db, panel_db, bundles, bring, take_back):
    """A membership that is older than the photo's import keeps nothing."""
    photos = list(bundles.assets("coast", 3))
    first = bundles.bundle("coast", photos, [bundles.container("gallery", "Coast", photos[:1])])
    bring(first)
    admin_db.execute("INSERT INTO asset_collection (collection_hash) VALUES (REPEAT('a', 64))")
    admin_db.execute(
        "INSERT INTO asset_collection_item (collection_id, asset_id, created_at) SELECT c.id, a.id,"
        " NOW(6) - INTERVAL IF(a.asset_hash = %(before)s, 1, 0) DAY FROM asset_collection c JOIN asset a"
        " WHERE a.asset_hash IN %(hashes)s", before=photos[2].asset_hash,
        hashes=[photo.asset_hash for photo in photos[1:]],
    )
    decided = worker_helpers.reasons(panel_db, take_back(first))
    assert [decided[photo.asset_hash][0] for photo in photos] == ["removed", "skipped", "removed"]
    reason = "another program has put it into collection aaaaaaaaaaaaaaaa... since"
    assert decided[photos[1].asset_hash][1] == reason


@pytest.mark.parametrize("chunk_items", [1, 2, 500])
def test_a_link_from_before_lets_a_cover_go_again(admin_db, panel_db, bundles, bring, worker_conf, chunk_items):
    """The photo showed the missing cover before; the batch changed the photo and brought the cover."""
    (cover,) = bundles.assets("front", 1, ("cover",))
    photos = [each._replace(cover_hash=cover.asset_hash) for each in bundles.assets("coast", 3)]
    bring(bundles.bundle("coast", photos))
    before = live(worker_helpers.rows(admin_db))
    changed = [each._replace(title="Dusk") for each in photos]
    second = bundles.bundle("update", [cover, *changed], action="update")
    bring(second)
    worker_conf.write_text(worker_conf.read_text().replace("[worker]", f"[worker]\nchunk_items = {chunk_items}"))
    undo_service.undo_batches(panel_db, [second], "ann")
    worker_helpers.drain(worker_conf)
    assert asset(admin_db, cover)["deleted_at"] is not None
    assert live(worker_helpers.rows(admin_db)) == before


def test_what_changed_between_plan_and_import_keeps_its_cover(admin_db, panel_db, worker_conf, shown):
    first, photo, _ = shown
    undo_service.undo_batches(panel_db, [first], "ann")
    admin_db.execute("UPDATE asset SET title = 'by hand' WHERE asset_hash = %(hash)s", hash=photo.asset_hash)
    worker_helpers.drain(worker_conf)
    rows = admin_db.execute("SELECT deleted_at FROM asset")
    assert [row["deleted_at"] for row in rows] == [None, None]


def test_a_cover_of_many_assets_is_read_page_by_page(admin_db, panel_db, bundles, bring, take_back, monkeypatch):
    covers = list(bundles.assets("front", 2, ("cover",)))
    photos = [
        each._replace(cover_hash=covers[number % 2].asset_hash)
        for number, each in enumerate(bundles.assets("coast", 9))
    ]
    first = bundles.bundle("coast", [*covers, *photos])
    bring(first)
    last = max(photos[::2], key=lambda each: asset(admin_db, each)["id"])
    bring(bundles.bundle("update", [last._replace(title="Dusk")], action="update", files=False))
    monkeypatch.setattr(references, "PAGE_ROWS", 2)
    (undo,) = undo_service.preview_undo(panel_db, [first])
    assert undo.items == {"will_remove": 9, "will_skip": 2}


# ------------------------------------------------------------------------------------------------ several


def test_an_undo_is_undone(admin_db, panel_db, bundles, bring, take_back):
    photo, cover = bundles.assets("coast", 2, ("photo", "cover"))
    sync_id = bundles.bundle("coast", [photo, cover], [bundles.container("gallery", "Coast", [photo, cover])])
    bring(sync_id)
    imported = live(worker_helpers.rows(admin_db))
    undone = take_back(sync_id)
    again = take_back(undone)
    assert worker_helpers.counts(panel_db, again) == {"updated": 2}
    assert live(worker_helpers.rows(admin_db)) == imported
    assert take_back(sync_id) not in (undone, again)
    assert asset(admin_db, photo)["deleted_at"] is not None


def test_several_are_undone_newest_first_and_each_waits_for_the_one_before(
    admin_db, panel_db, worker_conf, bundles, bring
):
    (photo,) = bundles.assets("coast", 1)
    titles = ("Dawn", "Noon", "Dusk")
    sync_ids = [
        bundles.bundle(title, [photo._replace(title=title)], action="update", files=number == 0)
        for number, title in enumerate(titles)
    ]
    for sync_id in sync_ids:
        bring(sync_id)
    previews = undo_service.preview_undo(panel_db, sync_ids[1:])
    assert [(each.sync_id, each.items) for each in previews] == [
        (sync_ids[2], {"will_update": 1}), (sync_ids[1], {"will_update": 1}),
    ]
    results = undo_service.undo_batches(panel_db, sync_ids[1:], "ann")
    assert [result.sync_id for result in results] == sync_ids[:0:-1]
    first, second = (worker_helpers.job(admin_db, result.job_id) for result in results)
    assert (first["state"], second["state"], second["hold"]) == ("queued", "held", "prior")
    worker_helpers.drain(worker_conf)
    assert asset(admin_db, photo)["title"] == "Dawn"
    for result in results:
        assert worker_helpers.counts(panel_db, result.undo_sync_id) == {"updated": 1}


def test_a_repeat_after_a_killed_undo_of_several_waits_for_what_that_had_queued(
    admin_db, panel_db, worker_conf, bundles, bring
):
    photos = list(bundles.assets("coast", 1))
    sync_ids = [
        bundles.bundle(title, [photos[0]._replace(title=title)], action="update", files=title == "Dawn")
        for title in ("Dawn", "Noon", "Dusk")
    ]
    for sync_id in sync_ids:
        bring(sync_id)
    [queued] = undo_service.undo_batches(panel_db, sync_ids[2:], "ann")  # the killed call came so far
    refused, result = undo_service.undo_batches(panel_db, sync_ids[1:], "ann")
    assert f"being undone by batch {queued.undo_sync_id}" in refused.problem
    assert worker_helpers.job(admin_db, result.job_id)["hold"] == "prior"
    worker_helpers.drain(worker_conf)
    assert asset(admin_db, photos[0])["title"] == "Dawn"


# ------------------------------------------------------------------------------------------------ approval


def test_nothing_is_written_that_the_plan_did_not_show(admin_db, panel_db, mount, worker_conf, bundles, bring):
    """The batch is imported again between the plan and its approval, which makes another history of the asset."""
    photo, other = bundles.assets("coast", 2)
    bring(bundles.bundle("coast", [photo, other]))
    update = bundles.bundle("update", [photo._replace(title="Dusk"), other], action="update", files=False)
    bring(update)
    made = undo_service.plan_undo(panel_db, update, "ann").sync_id
    bundles.bundle("update", [photo._replace(title="Night"), other], action="update", files=False, replace=True)
    services.preflight_batch(panel_db, mount, update, "ann")
    services.queue_batch(panel_db, mount, update, "ann")
    worker_helpers.drain(worker_conf)
    services.queue_batch(panel_db, mount, made, "bob")
    worker_helpers.drain(worker_conf)
    decision, reason = worker_helpers.reasons(panel_db, made)[photo.asset_hash]
    assert decision == "skipped" and reason.startswith("not written: what batch")
    assert asset(admin_db, photo)["title"] == "Night"


def test_an_undo_planned_twice_is_one_batch_and_a_person_may_cancel_it(panel_db, mount, bundles, bring):
    (photo,) = bundles.assets("coast", 1)
    sync_id = bundles.bundle("coast", [photo])
    bring(sync_id)
    first = undo_service.plan_undo(panel_db, sync_id, "ann")
    assert undo_service.plan_undo(panel_db, sync_id, "bob").sync_id == first.sync_id
    assert first.plan.ok and first.plan.counts["will_remove"] == 1
    job_id = services.queue_batch(panel_db, mount, first.sync_id, "bob")
    with pytest.raises(InvalidStateError, match="is being undone by batch"):
        undo_service.plan_undo(panel_db, sync_id, "ann")
    with pytest.raises(InvalidStateError, match="is being undone by batch"):
        services.queue_batch(panel_db, mount, sync_id, "ann")
    panel_db.run_transaction(job_queue.cancel, job_id, "bob")
    assert undo_service.plan_undo(panel_db, sync_id, "ann").sync_id == first.sync_id


# ------------------------------------------------------------------------------------------------ refused


def test_what_cannot_be_undone_is_refused_with_a_reason(admin_db, panel_db, mount, bundles, bring):
    (photo,) = bundles.assets("coast", 1)
    sync_id = bundles.bundle("coast", [photo])
    with pytest.raises(NotFoundError):
        undo_service.plan_undo(panel_db, sync_id, "ann")
    services.scan_mount(panel_db, mount, "ann")
    with pytest.raises(InvalidStateError, match="has no results"):
        undo_service.plan_undo(panel_db, sync_id, "ann")
    bring(sync_id)
    services.queue_batch(panel_db, mount, sync_id, "ann")
    with pytest.raises(InvalidStateError, match="is queued, as job"):
        undo_service.plan_undo(panel_db, sync_id, "ann")
    assert admin_db.execute("SELECT id FROM ingest_batch WHERE undo_of IS NOT NULL") == []


def test_a_batch_whose_results_are_archived_is_undone_after_they_were_restored(admin_db, panel_db, bundles, bring):
    sync_id = bundles.bundle("coast", bundles.assets("coast", 1))
    bring(sync_id)
    admin_db.execute(
        "INSERT INTO ingest_archive (batch_id, file, first_receipt_id, receipt_id, result_id, event_id, items, root)"
        " SELECT id, 'a.gz', 1, 1, 1, 1, 1, REPEAT('0', 64) FROM ingest_batch"
    )
    with pytest.raises(InvalidStateError, match="are archived") as refused:
        undo_service.plan_undo(panel_db, sync_id, "ann")
    assert "restore-archive" in refused.value.hint
    admin_db.execute("UPDATE ingest_archive SET restored_at = NOW(6)")
    assert undo_service.plan_undo(panel_db, sync_id, "ann").plan.ok


@pytest.mark.parametrize("days, is_refused", [(6, True), (8, False)])
def test_no_undo_while_a_worker_of_another_program_claims_jobs(admin_db, panel_db, bundles, bring, days, is_refused):
    sync_id = bundles.bundle("coast", bundles.assets("coast", 1))
    bring(sync_id)
    admin_db.execute(
        "UPDATE import_job SET claim_token = NULL, worker = 'perl:7', claimed_at = NOW(6) - INTERVAL %(days)s DAY,"
        " finished_at = claimed_at", days=days,
    )
    if not is_refused:
        assert undo_service.plan_undo(panel_db, sync_id, "ann").plan.ok
        return
    with pytest.raises(InvalidStateError, match="Another program's worker, perl:7, claimed job"):
        undo_service.plan_undo(panel_db, sync_id, "ann")


# ------------------------------------------------------------------------------------------------ as any batch


def test_an_undo_needs_no_bundle(admin_db, panel_db, mount, worker_conf, bundles, bring):
    """Neither the scan nor a look for vanished bundles takes it for one that is gone."""
    sync_id = bundles.bundle("coast", bundles.assets("coast", 1))
    other = bundles.bundle("other", bundles.assets("other", 1))
    bring(sync_id)
    worker_helpers.queue(panel_db, mount, other, priority=1)
    (result,) = undo_service.undo_batches(panel_db, [sync_id], "ann")
    (mount.sync_dir / f"{other}.json").unlink()
    worker_helpers.drain(worker_conf)
    assert worker_helpers.batch(panel_db, result.undo_sync_id)["status"] == "completed"
    services.scan_mount(panel_db, mount, "ann")
    assert worker_helpers.batch(panel_db, result.undo_sync_id)["action"] == "undo"


def test_a_bundle_with_the_name_of_an_undo_does_not_take_its_place(panel_db, mount, bundles, bring):
    sync_id = bundles.bundle("coast", bundles.assets("coast", 1))
    bring(sync_id)
    made = undo_service.plan_undo(panel_db, sync_id, "ann").sync_id
    panel_db.execute("UPDATE ingest_batch SET status = 'preflight_failed' WHERE sync_id = %(sync_id)s", sync_id=made)
    for suffix in (".json", ".ready"):
        content = (mount.sync_dir / f"{sync_id}{suffix}").read_text().replace(sync_id, made)
        (mount.sync_dir / f"{made}{suffix}").write_text(content)
    services.scan_mount(panel_db, mount, "ann")
    row = worker_helpers.batch(panel_db, made)
    assert (row["action"], row["status"], row["manifest_sha256"]) == ("undo", "preflight_failed", None)


def test_a_worker_plans_what_is_too_large_for_a_request(panel_db, worker_conf, bundles, bring, monkeypatch):
    sync_id = bundles.bundle("coast", bundles.assets("coast", 2))
    bring(sync_id)
    monkeypatch.setattr(undo_service, "MAX_REQUEST_ENTRIES", 1)
    planned = undo_service.plan_undo(panel_db, sync_id, "ann", in_request=True)
    assert planned.plan is None
    worker_helpers.drain(worker_conf)
    assert worker_helpers.batch(panel_db, planned.sync_id)["status"] == "preflight_passed"
    assert worker_helpers.counts(panel_db, planned.sync_id) == {"will_remove": 2}


def test_no_action_of_a_page_plans_a_large_undo_in_its_request(
    admin_db, panel_db, worker_conf, mount, bundles, bring, monkeypatch
):
    photos = list(bundles.assets("coast", 3))
    sync_id = bundles.bundle("coast", photos, [bundles.container("gallery", "Coast", photos)])
    bring(sync_id)
    monkeypatch.setattr(undo_service, "MAX_REQUEST_ENTRIES", 6)  # 3 items, 1 container, its 3 members
    made = undo_service.plan_undo(panel_db, sync_id, "ann", in_request=True)
    assert made.plan is None
    worker_helpers.drain(worker_conf)
    with pytest.raises(PreflightRequested):
        services.preflight_batch(panel_db, mount, made.sync_id, "ann", services.PreflightOptions(seconds=5))
    worker_helpers.drain(worker_conf)
    assert worker_helpers.batch(panel_db, made.sync_id)["status"] == "preflight_passed"
    admin_db.execute("UPDATE ingest_batch SET status = 'preflight_failed' WHERE undo_of IS NOT NULL")
    with pytest.raises(PreflightRequested):
        services.queue_batch(panel_db, mount, made.sync_id, "ann", services.QueueOptions(seconds=5))
    worker_helpers.drain(worker_conf)
    assert worker_helpers.batch(panel_db, made.sync_id)["status"] == "completed"
    admin_db.execute("UPDATE ingest_batch SET status = 'partial' WHERE undo_of IS NOT NULL")
    with pytest.raises(InvalidStateError, match="too large"):
        services.retry_batch(panel_db, mount, made.sync_id, "ann", services.QueueOptions(seconds=5))
    with pytest.raises(InvalidStateError, match="has undone"):
        services.preflight_batch(panel_db, mount, made.sync_id, "ann", services.PreflightOptions(seconds=5))


def test_a_plan_reads_the_members_of_few_containers_at_a_time(panel_db, bundles, bring, take_back, monkeypatch):
    photos, read = list(bundles.assets("coast", 4)), []
    sync_id = bundles.bundle(
        "coast", photos, [bundles.container("gallery", f"Coast {number}", photos) for number in range(5)]
    )
    bring(sync_id)
    monkeypatch.setattr(plans, "MEMBERS_AT_ONCE", 9)
    whole = reader.read_parts

    def counted(tx, result_ids):
        read.append(len(result_ids))
        return whole(tx, result_ids)

    monkeypatch.setattr(reader, "read_parts", counted)
    (undo,) = undo_service.preview_undo(panel_db, [sync_id])
    assert undo.containers == {"will_remove": 5} and read == [2, 2, 1]


def test_an_item_that_the_database_refuses_fails_alone_and_is_retried(
    admin_db, panel_db, mount, worker_conf, bundles, bring
):
    photo, other = bundles.assets("coast", 2)
    bring(bundles.bundle("coast", [photo._replace(title="no"), other]))
    update = bundles.bundle(
        "update", [photo._replace(title="yes"), other._replace(title="yes")], action="update", files=False
    )
    bring(update)
    (result,) = undo_service.undo_batches(panel_db, [update], "ann")
    admin_db.execute("ALTER TABLE asset ADD CONSTRAINT refused CHECK (title <> 'no')")
    try:
        worker_helpers.drain(worker_conf)
    finally:
        admin_db.execute("ALTER TABLE asset DROP CONSTRAINT refused")
    assert worker_helpers.counts(panel_db, result.undo_sync_id) == {"failed": 1, "updated": 1}
    services.retry_batch(panel_db, mount, result.undo_sync_id, "bob")
    worker_helpers.drain(worker_conf)
    assert worker_helpers.counts(panel_db, result.undo_sync_id) == {"updated": 2}
    assert asset(admin_db, photo)["title"] == "no"
