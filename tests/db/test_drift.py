"""What an approved plan meets in the library: changes by imports are followed, others are not overwritten."""

import json

import pytest
import worker_helpers
from gpupanel import services, undo_service


def settled(db, sync_id: str) -> dict:
    (item,) = worker_helpers.items(db, sync_id)
    return item


def title(db) -> str:
    return db.execute("SELECT title FROM asset")[0]["title"]


def write_chain(bundles, photo) -> list[str]:
    """A create and two updates of one photo, each completed after the one before."""
    first = bundles.bundle("first", [photo._replace(title="one")])
    updates = [
        bundles.bundle(title, [photo._replace(title=title)], action="update") for title in ("two", "three")
    ]
    return [first, *updates]


def planned_update(panel_db, mount, bundles, bring) -> tuple[str, object]:
    """A photo in the library, and a queued update of its title."""
    (photo,) = bundles.assets("coast", 1)
    bring(bundles.bundle("first", [photo._replace(title="one")]))
    update = bundles.bundle("second", [photo._replace(title="two")], action="update")
    worker_helpers.queue(panel_db, mount, update)
    return update, photo


def import_as_perl(db, batch_id: int, change: str) -> None:
    """A job of a worker that writes no results and no say: 0.1.0 and Perl."""
    db.execute(f"{change}, last_batch_id = %(id)s, source_batch_id = NULL, source_at = NULL", id=batch_id)
    db.execute(
        "INSERT INTO import_job (batch_id, state, requested_by, claimed_at, finished_at)"
        " VALUES (%(id)s, 'completed', 'perl', NOW(), NOW())", id=batch_id,
    )


# ------------------------------------------------------------------------------------------- changes by imports


def test_a_chain_that_was_queued_together_imports_without_a_person(admin_db, panel_db, mount, bundles, bring):
    (photo,) = bundles.assets("coast", 1)
    chain = write_chain(bundles, photo)
    worker_helpers.queue(panel_db, mount, *chain)
    bring()
    decisions = [settled(panel_db, sync_id)["decision"] for sync_id in chain]
    assert decisions == ["created", "updated", "updated"]
    assert title(admin_db) == "three"
    found = admin_db.execute("SELECT planned, changes FROM ingest_result ORDER BY id")
    assert [row["planned"] for row in found] == ["will_create"] * 3
    titles = [json.loads(row["changes"])["title"] for row in found]
    assert titles == [[None, "one"], ["one", "two"], ["two", "three"]]


def test_a_skip_that_an_older_import_made_an_update_is_written(admin_db, panel_db, mount, bundles, bring):
    (photo,) = bundles.assets("coast", 1)
    bring(bundles.bundle("first", [photo._replace(title="one")]))
    other = bundles.bundle("other", [photo._replace(title="two")], action="update")
    back = bundles.bundle("back", [photo._replace(title="one")], action="update")
    worker_helpers.queue(panel_db, mount, other, back)
    bring()
    assert (settled(panel_db, back)["planned"], settled(panel_db, back)["decision"]) == ("will_skip", "updated")
    assert title(admin_db) == "one"


def test_an_import_by_the_perl_worker_is_followed(admin_db, panel_db, mount, bundles, bring):
    update, photo = planned_update(panel_db, mount, bundles, bring)
    other = bundles.bundle("perl", [photo], completed_at="2020-01-01T00:00:00Z", created_at="2020-01-01T00:00:00Z")
    services.scan_mount(panel_db, mount, "operator")
    import_as_perl(admin_db, worker_helpers.batch(panel_db, other)["id"], "UPDATE asset SET title = 'by Perl'")
    bring()
    assert settled(panel_db, update)["decision"] == "updated"
    assert title(admin_db) == "two"


def test_a_newer_bundle_that_the_perl_worker_imported_wins(admin_db, panel_db, mount, bundles, bring):
    update, photo = planned_update(panel_db, mount, bundles, bring)
    newer = bundles.bundle("perl", [photo])
    services.scan_mount(panel_db, mount, "operator")
    import_as_perl(admin_db, worker_helpers.batch(panel_db, newer)["id"], "UPDATE asset SET title = 'by Perl'")
    bring()
    assert settled(panel_db, update)["decision"] == "skipped" and newer in settled(panel_db, update)["reason"]
    assert title(admin_db) == "by Perl"


# ------------------------------------------------------------------------------------------ changes by others


def rows_as_perl_wrote_them(db, tables: tuple[str, ...] = ("asset",)) -> None:
    """Rows without results, as an import of Perl before the plan left them."""
    for table in tables:
        db.execute(f"UPDATE {table} SET source_batch_id = NULL, source_at = NULL")
    db.execute("DELETE FROM ingest_result")


def end_earlier(db) -> None:
    """Let all imports have ended a minute before."""
    db.execute("UPDATE import_job SET finished_at = finished_at - INTERVAL 1 MINUTE")
    db.execute("UPDATE ingest_batch SET completed_at = completed_at - INTERVAL 1 MINUTE")


def test_a_row_of_perl_that_a_person_changed_since_the_plan_is_not_overwritten(
    admin_db, panel_db, mount, bundles, bring
):
    (photo,) = bundles.assets("coast", 1)
    bring(bundles.bundle("first", [photo._replace(title="one")]))
    rows_as_perl_wrote_them(admin_db)
    end_earlier(admin_db)
    update = bundles.bundle("second", [photo._replace(title="two")], action="update")
    worker_helpers.queue(panel_db, mount, update)
    admin_db.execute("UPDATE asset SET title = 'by hand'")
    bring()
    assert settled(panel_db, update)["decision"] == "failed"
    assert 'title is "by hand", the plan had "one"' in settled(panel_db, update)["reason"]
    assert title(admin_db) == "by hand"


def test_a_gallery_of_perl_that_a_person_changed_since_the_plan_is_not_overwritten(
    admin_db, panel_db, mount, bundles, bring
):
    (photo,) = bundles.assets("coast", 1)
    album = bundles.container("gallery", "Album", [photo])
    bring(bundles.bundle("first", [photo], [album]))
    rows_as_perl_wrote_them(admin_db, ("asset", "asset_gallery"))
    end_earlier(admin_db)
    update = bundles.bundle("second", [], [album | {"title": "two"}], action="update")
    worker_helpers.queue(panel_db, mount, update)
    admin_db.execute("UPDATE asset_gallery SET title = 'by hand'")
    bring()
    (container,) = admin_db.execute("SELECT c.decision, c.reason FROM ingest_batch_container c JOIN ingest_batch b"
                                    " ON b.id = c.batch_id WHERE b.sync_id = %(it)s", it=update)
    assert container["decision"] == "failed" and "title" in container["reason"]
    assert admin_db.execute("SELECT title FROM asset_gallery") == [{"title": "by hand"}]


def test_a_job_of_perl_that_still_runs_may_have_changed_the_row(admin_db, panel_db, mount, bundles, bring):
    update, photo = planned_update(panel_db, mount, bundles, bring)
    other = bundles.bundle("perl", [photo], completed_at="2020-01-01T00:00:00Z", created_at="2020-01-01T00:00:00Z")
    services.scan_mount(panel_db, mount, "operator")
    import_as_perl(admin_db, worker_helpers.batch(panel_db, other)["id"], "UPDATE asset SET title = 'by Perl'")
    admin_db.execute(
        "UPDATE import_job SET state = 'running', finished_at = NULL, heartbeat_at = NOW(6) WHERE requested_by = 'perl'"
    )
    bring()
    assert settled(panel_db, update)["decision"] == "updated" and title(admin_db) == "two"


def test_a_field_that_a_person_changed_is_not_overwritten(admin_db, panel_db, mount, bundles, bring):
    update, _ = planned_update(panel_db, mount, bundles, bring)
    admin_db.execute("UPDATE asset SET title = 'by hand'")
    bring()
    item = settled(panel_db, update)
    assert item["decision"] == "failed"
    assert item["reason"] == (
        'changed outside of an import since the plan: title is "by hand", the plan had "one"; '
        "preflight again, look, queue"
    )
    assert title(admin_db) == "by hand"
    bring(update)
    assert settled(panel_db, update)["decision"] == "updated" and title(admin_db) == "two", "a new plan was approved"


def test_a_removal_of_what_a_person_changed_fails_too(admin_db, panel_db, mount, bundles, bring):
    (photo,) = bundles.assets("coast", 1)
    bring(bundles.bundle("first", [photo]))
    removal = bundles.bundle("removal", [photo], action="remove")
    worker_helpers.queue(panel_db, mount, removal)
    admin_db.execute("UPDATE asset_derivative SET bytes = bytes + 1 LIMIT 1")
    bring()
    item = settled(panel_db, removal)
    assert item["decision"] == "failed" and "changed outside of an import since the plan" in item["reason"]
    assert admin_db.execute("SELECT deleted_at FROM asset") == [{"deleted_at": None}]


def test_a_mark_that_a_person_set_is_named(admin_db, panel_db, mount, bundles, bring):
    update, _ = planned_update(panel_db, mount, bundles, bring)
    admin_db.execute("UPDATE asset SET deleted_at = NOW(6)")
    bring()
    assert "deleted is true, the plan had false" in settled(panel_db, update)["reason"]


def test_an_asset_that_a_person_inserted_is_not_overwritten(admin_db, panel_db, worker_db, mount, bundles, bring):
    (photo,) = bundles.assets("coast", 1)
    update = bundles.bundle("update", [photo], action="update")
    worker_helpers.queue(panel_db, mount, update)
    admin_db.execute(
        "INSERT INTO asset (asset_type, asset_hash, title) VALUES ('photo', %(hash)s, 'by hand')", hash=photo.asset_hash
    )
    bring()
    assert "asset is" in settled(panel_db, update)["reason"] and title(admin_db) == "by hand"


def test_a_weaker_decision_goes_on_whatever_a_person_changed(admin_db, panel_db, mount, bundles, bring):
    update, _ = planned_update(panel_db, mount, bundles, bring)
    admin_db.execute("UPDATE asset SET title = 'two'")
    bring()
    assert settled(panel_db, update)["decision"] == "skipped"


def test_a_plan_without_digests_binds_nothing(admin_db, panel_db, mount, bundles, bring):
    update, _ = planned_update(panel_db, mount, bundles, bring)
    admin_db.execute("UPDATE ingest_batch_item SET target_digest = NULL, item_digest = NULL")
    admin_db.execute("UPDATE asset SET title = 'by hand'")
    bring()
    assert settled(panel_db, update)["decision"] == "updated" and title(admin_db) == "two"


def test_under_replan_it_is_written_and_both_befores_are_recorded(
    admin_db, panel_db, mount, bundles, bring, worker_conf
):
    update, _ = planned_update(panel_db, mount, bundles, bring)
    admin_db.execute("UPDATE asset SET title = 'by hand'")
    worker_helpers.drain(worker_helpers.with_options(worker_conf, on_change="replan"))
    assert settled(panel_db, update)["decision"] == "updated" and title(admin_db) == "two"
    [row] = admin_db.execute("SELECT changes FROM ingest_result WHERE decision = 'updated'")
    changes = json.loads(row["changes"])
    assert changes["title"] == ["by hand", "two"] and changes["drift"] == {"title": ["one", "by hand"]}


def test_values_that_the_plan_did_not_see_are_compared_by_columns_and_not_by_the_fingerprint(
    admin_db, panel_db, mount, bundles, bring
):
    (photo,) = bundles.assets("coast", 1)
    bring(bundles.bundle("first", [photo]))
    admin_db.execute("UPDATE asset SET title = 'by hand', width = 1")
    update = bundles.bundle("second", [photo], action="update", files=False)
    worker_helpers.queue(panel_db, mount, update)
    assert settled(panel_db, update)["decision"] == "will_update"
    bring()
    item = settled(panel_db, update)
    assert item["decision"] == "updated" and set(item["changes"]) == {"title", "width"}
    assert title(admin_db) != "by hand"


CHANGED_BY_HAND = {
    "UPDATE asset SET width = 7": "width is 7, the plan had 960",
    "UPDATE asset SET title = NULL": 'title is empty, the plan had "one"',
    "UPDATE asset_derivative SET bytes = 3 WHERE kind = 'icon'":
        "bytes of derivative icon icon.png is 3, the plan had 2389",
    "UPDATE asset_derivative SET deleted_at = NOW(6) WHERE kind = 'icon'":
        "bytes of derivative icon icon.png is empty, the plan had 2389",
}


@pytest.mark.parametrize("change", CHANGED_BY_HAND)
@pytest.mark.parametrize("action", ["update", "remove"])
def test_the_reason_names_the_value_that_a_person_changed_also_where_the_plan_does_not_name_it(
    admin_db, panel_db, mount, bundles, bring, change, action
):
    (photo,) = bundles.assets("coast", 1)
    bring(bundles.bundle("first", [photo._replace(title="one")]))
    second = bundles.bundle("second", [photo._replace(title="two")], action=action)
    worker_helpers.queue(panel_db, mount, second)
    admin_db.execute(change)
    bring()
    expected = f"changed outside of an import since the plan: {CHANGED_BY_HAND[change]}; preflight again, look, queue"
    assert settled(panel_db, second)["reason"] == expected


def test_a_removal_of_what_no_result_describes_says_that_it_has_other_values(
    admin_db, panel_db, mount, bundles, bring
):
    (photo,) = bundles.assets("coast", 1)
    bring(bundles.bundle("first", [photo]))
    rows_as_perl_wrote_them(admin_db)
    end_earlier(admin_db)
    removal = bundles.bundle("removal", [photo], action="remove")
    worker_helpers.queue(panel_db, mount, removal)
    admin_db.execute("UPDATE asset SET title = 'by hand'")
    bring()
    assert "since the plan: it has other fields or derivatives; preflight" in settled(panel_db, removal)["reason"]


def test_an_asset_whose_row_another_program_deleted_is_said_to_be_gone(admin_db, panel_db, mount, bundles, bring):
    update, _ = planned_update(panel_db, mount, bundles, bring)
    for table in ("asset_derivative", "asset_ai_run", "asset_source", "asset"):
        admin_db.execute(f"DELETE FROM {table}")
    bring()
    assert "since the plan: the library does not have it any more; preflight" in settled(panel_db, update)["reason"]


def test_the_reason_names_the_title_of_a_gallery_that_is_not_removed(admin_db, panel_db, mount, bundles, bring):
    (photo,) = bundles.assets("coast", 1)
    album = bundles.container("gallery", "Album", [photo])
    bring(bundles.bundle("first", [photo], [album]))
    removal = bundles.bundle("removal", [], [album], action="remove")
    worker_helpers.queue(panel_db, mount, removal)
    admin_db.execute("UPDATE asset_gallery SET title = 'by hand'")
    bring()
    (container,) = admin_db.execute("SELECT c.decision, c.reason FROM ingest_batch_container c JOIN ingest_batch b"
                                    " ON b.id = c.batch_id WHERE b.sync_id = %(it)s", it=removal)
    assert container["decision"] == "failed"
    assert 'since the plan: title is "by hand", the plan had "Album"; preflight' in container["reason"]


# ------------------------------------------------------------------------------------------------ changes by an undo


def undone(panel_db, worker_conf, sync_id: str) -> str:
    """Undo a batch; return the sync_id of the undo."""
    (result,) = undo_service.undo_batches(panel_db, [sync_id], "ann")
    worker_helpers.drain(worker_conf)
    return result.undo_sync_id


def planned_around_an_undo(panel_db, mount, bring, worker_conf, first: str, middle: str, last: str) -> str:
    """Import the first and last bundle, plan the middle one, and undo the last; return the sync_id of the undo."""
    bring(first)
    bring(last)
    services.scan_mount(panel_db, mount, "operator")
    services.preflight_batch(panel_db, mount, middle, "operator")
    return undone(panel_db, worker_conf, last)


@pytest.mark.parametrize("last_title", ["one", "three"], ids=["only the order", "the title too"])
def test_what_a_plan_skipped_is_not_removed_because_a_later_bundle_was_undone(
    admin_db, panel_db, mount, bundles, bring, worker_conf, last_title
):
    (photo,) = bundles.assets("coast", 1)
    first = bundles.bundle("first", [photo._replace(title="one")])
    removal = bundles.bundle("removal", [photo], action="remove")
    last = bundles.bundle("last", [photo._replace(title=last_title)], action="update")
    undo = planned_around_an_undo(panel_db, mount, bring, worker_conf, first, removal, last)
    bring(removal)
    item = settled(panel_db, removal)
    assert (item["planned"], item["decision"]) == ("will_skip", "failed")
    assert item["reason"] == (
        f"batch {undo} undid a later bundle since the plan, and this one would remove it now;"
        " preflight again, look, queue"
    )
    assert admin_db.execute("SELECT title, deleted_at FROM asset") == [{"title": "one", "deleted_at": None}]
    services.preflight_batch(panel_db, mount, removal, "operator")
    bring(removal)
    assert settled(panel_db, removal)["decision"] == "removed", "a person has seen the new plan"


def test_a_create_that_was_planned_to_yield_is_not_made_because_the_removal_was_undone(
    admin_db, panel_db, mount, bundles, bring, worker_conf
):
    (photo, other) = bundles.assets("coast", 2)
    first, create = bundles.bundle("first", [other]), bundles.bundle("create", [photo])
    removal = bundles.bundle("removal", [photo], action="remove")
    planned_around_an_undo(panel_db, mount, bring, worker_conf, first, create, removal)
    bring(create)
    assert settled(panel_db, create)["decision"] == "failed" and "would create" in settled(panel_db, create)["reason"]
    assert admin_db.execute("SELECT COUNT(*) AS n FROM asset") == [{"n": 1}]


def test_an_approved_update_goes_on_after_an_undo(admin_db, panel_db, mount, bundles, bring, worker_conf):
    (photo,) = bundles.assets("coast", 1)
    first, middle, last = write_chain(bundles, photo)
    bring(first)
    bring(middle)
    services.scan_mount(panel_db, mount, "operator")
    services.preflight_batch(panel_db, mount, last, "operator")
    undone(panel_db, worker_conf, middle)
    bring(last)
    assert settled(panel_db, last)["decision"] == "updated" and title(admin_db) == "three"


def test_a_gallery_that_a_plan_skipped_is_not_renamed_because_a_later_bundle_was_undone(
    admin_db, panel_db, mount, bundles, bring, worker_conf
):
    (photo,) = bundles.assets("coast", 1)
    album = bundles.container("gallery", "Album", [photo])
    first = bundles.bundle("first", [photo], [album])
    middle, last = (
        bundles.bundle(name, [], [album | {"title": name}], action="update") for name in ("middle", "last")
    )
    planned_around_an_undo(panel_db, mount, bring, worker_conf, first, middle, last)
    bring(middle)
    (row,) = admin_db.execute("SELECT c.decision, c.reason FROM ingest_batch_container c JOIN ingest_batch b"
                              " ON b.id = c.batch_id WHERE b.sync_id = %(it)s", it=middle)
    assert row["decision"] == "failed"
    assert "undid a later bundle since the plan, and this one would update" in row["reason"]
    assert admin_db.execute("SELECT title FROM asset_gallery") == [{"title": "Album"}]


def test_under_replan_it_is_written_after_an_undo_and_recorded(
    admin_db, panel_db, mount, bundles, bring, worker_conf
):
    (photo,) = bundles.assets("coast", 1)
    first, middle, last = write_chain(bundles, photo)
    planned_around_an_undo(panel_db, mount, bring, worker_conf, first, middle, last)
    worker_helpers.queue(panel_db, mount, middle)
    worker_helpers.drain(worker_helpers.with_options(worker_conf, on_change="replan"))
    [row] = admin_db.execute("SELECT changes FROM ingest_result ORDER BY id DESC LIMIT 1")
    assert title(admin_db) == "two"
    assert json.loads(row["changes"])["drift"] == {"decision": ["will_skip", "will_update"]}


def test_an_undo_before_the_plan_explains_no_change_after_it(admin_db, panel_db, mount, bundles, bring, worker_conf):
    (photo,) = bundles.assets("coast", 1)
    bring(bundles.bundle("first", [photo._replace(title="one")]))
    same = bundles.bundle("same", [photo._replace(title="one")], action="update")
    last = bundles.bundle("last", [photo._replace(title="three")], action="update")
    bring(last)
    undone(panel_db, worker_conf, last)
    worker_helpers.queue(panel_db, mount, same)
    admin_db.execute("UPDATE asset SET title = 'by hand'")
    bring()
    assert settled(panel_db, same)["planned"] == "will_skip"
    assert 'title is "by hand", the plan had "one"' in settled(panel_db, same)["reason"]
