"""Preflights by upstream's order: what an older bundle would still do, and what an approval binds."""

import json

import pytest
import worker_helpers
from gpupanel import digests, job_queue, ledger, services
from gpupanel.devtools.bundle_factory.deterministic import timestamp
from gpupanel.manifest import parse_manifest


@pytest.fixture
def preflight(panel_db, mount):
    def preflight(sync_id, **options):
        services.scan_mount(panel_db, mount, "admin")
        return services.preflight_batch(panel_db, mount, sync_id, "admin", services.PreflightOptions(**options))

    return preflight


@pytest.fixture
def versions(bundles):
    """The ids of three bundles that write the title of one photo: a create and two updates, a chain of priors."""
    [photo] = bundles.assets("coast", 1)
    first = bundles.bundle("first", [photo._replace(title="First")])
    second = bundles.bundle("second", [photo._replace(title="Second")], action="update", prior_sync_id=first)
    third = bundles.bundle("third", [photo._replace(title="Third")], action="update", prior_sync_id=second)
    return first, second, third


def batch(db, sync_id):
    return db.run_read(ledger.get_batch, sync_id)


def items(db, sync_id):
    return db.run_read(ledger.list_items, batch(db, sync_id)["id"], limit=1000)


def containers(db, sync_id):
    rows = db.execute(
        "SELECT * FROM ingest_batch_container WHERE batch_id = %(batch_id)s ORDER BY position",
        batch_id=batch(db, sync_id)["id"],
    )
    decoded = ({name: json.loads(row[name] or "null") for name in ("changes", "missing")} for row in rows)
    return [row | values for row, values in zip(rows, decoded, strict=True)]


# --------------------------------------------------------------------------------------------------------- the order


def test_an_update_that_arrives_late_is_planned_to_change_nothing_and_names_the_newer_one(
    preflight, panel_db, bring, versions
):
    first, second, third = versions
    bring(first)
    bring(third)
    preflight(second)
    (item,) = items(panel_db, second)
    assert (item["decision"], item["changes"]) == ("will_skip", None)
    assert "newer" in item["reason"] and third in item["reason"]


def test_a_finished_update_that_is_queued_again_after_a_newer_one_changes_nothing(
    admin_db, panel_db, bring, versions
):
    for sync_id in versions:
        bring(sync_id)
    bring(versions[1])
    assert admin_db.execute("SELECT title FROM asset") == [{"title": "Third"}]
    assert worker_helpers.counts(panel_db, versions[1]) == {"skipped": 1}


def test_the_position_follows_the_prior_and_a_retry_keeps_it(preflight, panel_db, bundles, versions):
    first, second, _ = versions
    preflight(first)
    preflight(second)
    before, after = batch(panel_db, first), batch(panel_db, second)
    assert before["source_at"] < after["source_at"]
    assert (before["prior_sync_id"], after["prior_sync_id"]) == (None, first)


@pytest.mark.parametrize("completed_at, prior, problem", [
    ("2999-01-01T00:00:00Z", None, "completed_at: found 2999-01-01T00:00:00Z"),
    (timestamp(1), "odd", "is its own prior"), (timestamp(1), "even", "is its own prior"),
])
def test_a_bundle_without_a_position_fails_its_preflight_and_plans_nothing(
    preflight, panel_db, bundles, completed_at, prior, problem
):
    even = bundles.bundle("even", bundles.assets("even", 1), prior_sync_id=bundles.sync_id("odd"))
    odd = bundles.bundle(
        "odd", bundles.assets("odd", 1), completed_at=completed_at, prior_sync_id=prior and bundles.sync_id(prior)
    )
    outcome = preflight(odd)
    assert not outcome.ok and problem in outcome.problems[0]
    row = batch(panel_db, odd)
    assert (row["status"], row["source_at"]) == ("preflight_failed", None) and problem in row["last_error"]
    assert items(panel_db, odd) == []
    assert preflight(even).ok is (prior != "even")


# --------------------------------------------------------------------------------------------------- although older


def test_although_older_shows_what_it_would_put_back_and_is_cleared_by_a_preflight_without_it(
    preflight, panel_db, bring, versions
):
    first, second, third = versions
    bring(first)
    bring(third)
    preflight(second, although_older=True)
    (item,) = items(panel_db, second)
    assert (item["decision"], item["changes"]) == ("will_update", {"title": ["Third", "Second"]})
    assert item["reason"].startswith(f"although older than {third}")
    assert batch(panel_db, second)["although_older"] == 1
    preflight(second)
    assert batch(panel_db, second)["although_older"] == 0
    assert items(panel_db, second)[0]["decision"] == "will_skip"


# ------------------------------------------------------------------------------------------------- what is compared


def test_columns_that_a_person_changed_are_a_difference_also_where_the_fingerprint_is_that_of_the_item(
    preflight, admin_db, panel_db, bundles, bring
):
    photos = list(bundles.assets("coast", 1))
    bring(bundles.bundle("create", photos))
    [imported] = admin_db.execute("SELECT title, width FROM asset")
    admin_db.execute("UPDATE asset SET title = 'By hand', width = 1")
    update = bundles.bundle("update", photos, action="update")
    assert preflight(update).counts["will_update"] == 1
    assert items(panel_db, update)[0]["changes"] == {
        "title": ["By hand", imported["title"]], "width": [1, imported["width"]],
    }
    bring(update)
    assert admin_db.execute("SELECT title, width FROM asset") == [imported]


def test_the_plan_of_an_item_has_the_digests_that_an_approval_binds(
    preflight, admin_db, panel_db, bundles, bring, mount
):
    imported, new = bundles.assets("coast", 2)
    bring(bundles.bundle("create", [imported]))
    update = bundles.bundle("update", [imported._replace(title="After"), new], action="update")
    preflight(update)
    manifest = parse_manifest(mount.read_manifest(update), update)
    planned = items(panel_db, update)
    assert [item["item_digest"] for item in planned] == [digests.item_digest(item) for item in manifest.items]
    assert planned[1]["target_digest"] == digests.ABSENT != planned[0]["target_digest"]
    for change in ("title = 'By hand'", "deleted_at = NOW(6)", "source_at = NOW(6), updated_at = NOW(6)"):
        before = items(panel_db, update)[0]["target_digest"]
        admin_db.execute(f"UPDATE asset SET {change}")
        preflight(update)
        assert (items(panel_db, update)[0]["target_digest"] == before) is change.startswith("source_at")


# -------------------------------------------------------------------------------------------------------- containers


@pytest.mark.parametrize("kind", ["gallery", "collection"])
def test_containers_are_planned_with_their_members(preflight, admin_db, panel_db, bundles, bring, kind):
    imported, new, lost = bundles.assets("coast", 3)
    bring(bundles.bundle("create", [imported], [bundles.container(kind, "Coast", [imported])]))
    coast = bundles.container(kind, "Coast", [imported, new, lost], cover=imported)
    update = bundles.bundle("update", [new], [bundles.container(kind, "New", [new]), coast], action="update")
    assert preflight(update).ok
    first, second = containers(admin_db, update)
    assert (first["decision"], first["title"], first["members"], first["missing_count"]) == ("will_create", "New", 1, 0)
    assert (first["target_digest"], first["target_id"]) == (digests.ABSENT, None)
    assert (second["decision"], second["planned"], second["position"]) == ("will_update", "will_update", 1)
    assert second["changes"] == {"cover_hash": [None, imported.asset_hash]}
    assert (second["members"], second["missing"], second["missing_count"]) == (3, [lost.asset_hash], 1)
    assert "1 of 3 members" in second["reason"]
    assert second["target_digest"] == digests.library_container_digest("Coast", None, False)
    assert len(second["container_digest"]) == 64 and second["job_id"] is None


def test_a_member_that_a_newer_bundle_removed_is_not_missing(preflight, admin_db, bundles, bring):
    imported, removed = bundles.assets("coast", 2)
    create = bundles.bundle("create", [imported, removed], [bundles.container("gallery", "Coast", [imported, removed])])
    bring(create)
    bring(bundles.bundle("remove", [removed], action="remove"))
    preflight(create)
    (gallery,) = containers(admin_db, create)
    assert (gallery["decision"], gallery["missing_count"]) == ("will_skip", 0)


def test_a_remove_plans_how_many_members_it_takes_out(preflight, admin_db, bundles, bring):
    a, b = bundles.assets("coast", 2)
    bring(bundles.bundle("create", [a, b], [bundles.container("gallery", "Coast", [a])]))
    listed = [bundles.container("gallery", "Coast", [a, b]), bundles.container("gallery", "Unknown", [a])]
    removal = bundles.bundle("remove", [], listed, action="remove", item_count=0)
    preflight(removal)
    coast, unknown = containers(admin_db, removal)
    assert coast["decision"] == "will_remove" and "1 member of 2" in coast["reason"]
    assert unknown["decision"] == "will_skip"


def test_a_container_no_longer_listed_is_withdrawn_and_comes_back(preflight, admin_db, bundles):
    photos = list(bundles.assets("coast", 1))
    both = [bundles.container("gallery", title, photos) for title in ("Coast", "Sea")]
    sync_id = bundles.bundle("one", photos, both)
    preflight(sync_id)
    for listed, expected in ((both[:1], ["will_create", "withdrawn"]), (both, ["will_create", "will_create"])):
        bundles.bundle("one", photos, listed, replace=True)
        preflight(sync_id)
        assert [row["decision"] for row in containers(admin_db, sync_id)] == expected


def test_many_small_containers_are_planned_with_few_statements(admin_db, panel_db, preflight, bundles):
    asked = {}
    for count in (1, 10, 60):
        photos = list(bundles.assets(f"{count}", 3))
        listed = [bundles.container("gallery", f"{count}-{number}", photos) for number in range(count)]
        sync_id = bundles.bundle(f"{count}", photos, listed)
        before = questions(admin_db)
        preflight(sync_id)
        asked[count] = questions(admin_db) - before
    assert asked[10] == asked[60]


def questions(db) -> int:
    [row] = db.execute("SHOW GLOBAL STATUS LIKE 'Questions'")
    return int(row["Value"])


# ------------------------------------------------------------------------------------------------------ what remains


def test_a_preflight_and_a_cancel_keep_when_a_batch_was_imported_last(
    preflight, admin_db, panel_db, mount, bundles, bring
):
    sync_id = bundles.bundle("one", bundles.assets("one", 1))
    bring(sync_id)
    admin_db.execute(
        "UPDATE ingest_batch SET imported_at = NOW(6), imported_job_id = 1, imported_sha256 = manifest_sha256"
    )
    names = ("imported_at", "imported_job_id", "imported_sha256")
    before = [batch(panel_db, sync_id)[name] for name in names]
    preflight(sync_id)
    panel_db.run_transaction(job_queue.cancel, services.queue_batch(panel_db, mount, sync_id, "admin"), "admin")
    assert [batch(panel_db, sync_id)[name] for name in names] == before
    assert None not in before


def test_a_bundle_that_upstream_replaced_is_reported_by_scans_until_its_preflight(
    preflight, admin_db, panel_db, mount, bundles
):
    sync_id = bundles.bundle("one", bundles.assets("one", 1))
    preflight(sync_id)
    admin_db.execute("UPDATE ingest_batch SET changed_at = NOW(6), changed_sha256 = REPEAT('a', 64)")
    for _ in range(2):
        report = services.scan_mount(panel_db, mount, "admin")
        assert (report.changed_upstream, report.known, report.discovered) == ([sync_id], 0, [])
    preflight(sync_id)
    assert services.scan_mount(panel_db, mount, "admin").known == 1
    assert batch(panel_db, sync_id)["changed_at"] is None
