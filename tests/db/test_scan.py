"""Scan: the mount is recorded once, nothing is silently skipped, and nothing is taken from absence."""

import json
import os
import shutil
import threading
from dataclasses import replace

import open_tracer
import pytest
import worker_helpers
from gpupanel import ledger, services
from gpupanel import scan as scan_module
from gpupanel.db import Database
from gpupanel.devtools.bundle_factory import defects
from gpupanel.errors import FileUnreadableError, MountUnavailableError
from gpupanel.mount import Mount


@pytest.fixture
def scan(panel_db, mount):
    return lambda **options: services.scan_mount(panel_db, mount, "admin", **options)


def events(db, sync_id):
    batch_id = db.run_read(ledger.get_batch, sync_id)["id"]
    return [
        (event["event_type"], event["payload"], event["actor"]) for event in db.run_read(ledger.list_events, batch_id)
    ]


def test_a_consumable_bundle_is_discovered_with_its_facts(scan, panel_db, bundles):
    sync_id = bundles.bundle("one", bundles.assets("one", 2), source_host="flux-1")
    report = scan()
    assert (report.sentinels, report.discovered, report.passed_over) == (1, [sync_id], {})
    batch = panel_db.run_read(ledger.get_batch, sync_id)
    assert (batch["status"], batch["action"], batch["item_count"]) == ("discovered", "create", 2)
    assert (batch["source_host"], batch["last_error"]) == ("flux-1", None)
    assert list(batch["manifest_summary"]) == [
        "created_at", "completed_at", "verification.passed", "verification.total_files", "prior_sync_id",
    ]


def test_the_scan_event_is_written_as_json_object_wrote_it(scan, panel_db, bundles):
    sync_id = bundles.bundle("one", bundles.assets("one", 2))
    scan()
    ((event_type, payload, actor),) = events(panel_db, sync_id)
    batch = panel_db.run_read(ledger.get_batch, sync_id)
    assert (event_type, actor) == ("scan", "admin")
    assert payload == (
        f'{{"source": "filesystem", "manifest_sha256": "{batch["manifest_sha256"]}", "sync_type": "asset", '
        f'"action": "create", "item_count": "2", "total_bytes": "{batch["total_bytes"]}", '
        f'"source_host": "{batch["source_host"]}"}}'
    )


def test_scanning_again_changes_nothing_and_opens_nothing(scan, panel_db, bundles, mount, monkeypatch):
    sync_id = bundles.bundle("one", bundles.assets("one", 2))
    scan()
    before = panel_db.run_read(ledger.get_batch, sync_id), events(panel_db, sync_id)
    opened = []
    monkeypatch.setattr(mount, "open_manifest", opened.append)
    report = scan()
    assert (report.known, report.discovered, opened) == (1, [], [])
    assert (panel_db.run_read(ledger.get_batch, sync_id), events(panel_db, sync_id)) == before


PASSED_OVER = {
    "not completed": (dict(status="processing", completed_at=None), "status"),
    "not verified": (dict(verification={"passed": False, "total_files": 1}), "verification.passed"),
    "verified in words": (dict(verification={"passed": "true", "total_files": 1}), "verification.passed"),
    "unparsable": (dict(spoil=lambda raw: raw[:100]), "JSON"),
}


@pytest.mark.parametrize("case", PASSED_OVER)
def test_what_is_passed_over_is_recorded_with_the_reason(scan, panel_db, bundles, case):
    options, reason = PASSED_OVER[case]
    sync_id = bundles.bundle("odd", bundles.assets("odd", 1), **options)
    report = scan()
    assert reason in report.passed_over[sync_id]
    batch = panel_db.run_read(ledger.get_batch, sync_id)
    assert batch["status"] == "discovered" and reason in batch["last_error"]
    ((event_type, payload, _),) = events(panel_db, sync_id)
    assert event_type == "bundle_passed_over" and reason in json.loads(payload)["reason"]


def test_a_manifest_that_may_not_be_read_is_passed_over_with_the_reason_and_picked_up_once_it_may(
    scan, panel_db, mount, bundles, deny
):
    sync_id = bundles.bundle("closed", bundles.assets("closed", 1))
    allow = deny(mount.sync_dir / f"{sync_id}.json")
    denied = f"{sync_id}.json may not be read by this account: Permission denied"
    assert scan().passed_over == {sync_id: denied}
    batch = panel_db.run_read(ledger.get_batch, sync_id)
    assert (batch["status"], batch["last_error"]) == ("discovered", denied)
    allow()
    assert scan().discovered == [sync_id]
    assert panel_db.run_read(ledger.get_batch, sync_id)["last_error"] is None


def test_a_sentinel_without_its_manifest_is_recorded_and_picked_up_when_it_comes(scan, panel_db, bundles):
    sync_id = bundles.sentinel("late")
    assert ".json" in scan().passed_over[sync_id]
    bundles.bundle("late", bundles.assets("late", 1))
    assert scan().discovered == [sync_id]
    assert panel_db.run_read(ledger.get_batch, sync_id)["last_error"] is None
    assert [event[0] for event in events(panel_db, sync_id)] == ["scan", "bundle_passed_over"]


def test_a_failed_preflight_does_not_hide_that_the_bundle_came_after_all(scan, panel_db, mount, bundles):
    astray = bundles.sentinel("astray")
    leading_out = mount.sync_dir / f"{astray}.json"
    leading_out.symlink_to("/etc/passwd")
    unfinished = bundles.bundle("unfinished", bundles.assets("unfinished", 1), status="processing")
    scan()
    for sync_id in (astray, unfinished):
        assert not services.preflight_batch(panel_db, mount, sync_id, "admin").ok
    assert scan().discovered == []
    leading_out.unlink()
    bundles.bundle("astray", bundles.assets("astray", 1))
    bundles.bundle("unfinished", bundles.assets("unfinished", 1), replace=True)
    assert sorted(scan().discovered) == sorted([astray, unfinished])
    assert {panel_db.run_read(ledger.get_batch, sync_id)["status"] for sync_id in (astray, unfinished)} == {
        "discovered"
    }


def test_a_failed_preflight_stays_as_it_is_while_the_manifest_does(scan, panel_db, mount, bundles):
    lost = {0: defects.no_source}
    sync_id = bundles.bundle("lost", bundles.assets("lost", 1, broken=lost))
    scan()
    services.preflight_batch(panel_db, mount, sync_id, "admin")
    before = panel_db.run_read(ledger.get_batch, sync_id), events(panel_db, sync_id)
    assert scan().known == 1
    assert (panel_db.run_read(ledger.get_batch, sync_id), events(panel_db, sync_id)) == before


def test_a_reason_that_stays_is_recorded_once(scan, panel_db, bundles):
    sync_id = bundles.sentinel("late")
    scan()
    assert list(scan().passed_over) == [sync_id]
    assert len(events(panel_db, sync_id)) == 1


def test_a_manifest_without_its_sentinel_is_no_bundle(scan, panel_db, bundles):
    bundles.bundle("early", bundles.assets("early", 1), ready=False)
    assert scan().sentinels == 0
    assert panel_db.run_read(ledger.count_batches) == 0


def test_a_sentinel_of_another_name_is_reported(scan, assets_dir):
    (assets_dir / "sync" / "README.ready").touch()
    assert scan().strays == ["README.ready"]


def test_a_vanished_mount_is_an_error_and_changes_nothing(scan, panel_db, bundles, assets_dir):
    sync_id = bundles.bundle("one", bundles.assets("one", 1))
    scan()
    before = panel_db.run_read(ledger.get_batch, sync_id)
    shutil.rmtree(assets_dir)
    with pytest.raises(MountUnavailableError):
        scan()
    assert panel_db.run_read(ledger.get_batch, sync_id) == before


def test_an_empty_folder_where_bundles_were_is_taken_for_a_mount_that_is_not_there(scan, bundles, assets_dir):
    assert scan().sentinels == 0
    bundles.bundle("one", bundles.assets("one", 1))
    scan()
    shutil.rmtree(assets_dir / "sync")
    (assets_dir / "sync").mkdir()
    with pytest.raises(MountUnavailableError, match="empty, or not mounted"):
        scan()


def test_a_bundle_that_is_gone_stays_in_the_ledger(scan, panel_db, bundles, assets_dir):
    sync_id = bundles.bundle("one", bundles.assets("one", 1))
    bundles.bundle("two", bundles.assets("two", 1))
    scan()
    (assets_dir / "sync" / f"{sync_id}.ready").unlink()
    assert scan().sentinels == 1
    assert panel_db.run_read(ledger.get_batch, sync_id)["status"] == "discovered"


def test_two_scans_at_once_record_each_bundle_once(panel_db, settings, mount, bundles):
    ids = {bundles.bundle(f"b{n}", bundles.assets(f"b{n}", 1), files=False) for n in range(60)}
    reports, start = [], threading.Barrier(2)

    def scan(db):
        start.wait()
        reports.append(services.scan_mount(db, mount, "admin"))

    other = threading.Thread(target=scan, args=(Database(settings.database),))
    other.start()
    scan(panel_db)
    other.join()
    discovered = reports[0].discovered + reports[1].discovered
    assert sorted(discovered) == sorted(ids)
    assert all(len(events(panel_db, sync_id)) == 1 for sync_id in ids)


def test_what_the_time_does_not_suffice_for_is_named(scan, panel_db, bundles, mount, monkeypatch):
    fast = bundles.bundle("a", bundles.assets("a", 1))
    slow = bundles.bundle("b", bundles.assets("b", 1))
    hung, read = threading.Event(), mount.open_manifest
    monkeypatch.setattr(mount, "open_manifest", lambda sync_id: read(sync_id) if sync_id == fast else hung.wait())
    report = scan(seconds=1)
    hung.set()
    assert (report.discovered, report.left) == ([fast], [slow])


def hostile(sync_id: str, megabytes: int) -> bytes:
    """A manifest that is refused and takes long to read."""
    element = b'{"a":1,"a":2},'
    return b'{"sync_id":"%b","items":[%b{}]}' % (sync_id.encode(), element * (megabytes * 1024 * 1024 // len(element)))


@pytest.fixture
def costly(bundles, mount):
    """A sentinel whose manifest is large and refused, first by name; returns how to write it."""

    def write(megabytes: int = 3) -> str:
        sync_id = "00000000-0000-4000-8000-000000000000"
        (mount.sync_dir / f"{sync_id}.json").write_bytes(hostile(sync_id, megabytes))
        (mount.sync_dir / f"{sync_id}.ready").touch()
        return sync_id

    return write


@pytest.fixture
def parsed(monkeypatch):
    """The bundles whose manifests were parsed, in order."""
    names: list[str] = []
    parse = scan_module.parse_manifest

    def noted(raw, sync_id, *more):
        names.append(sync_id)
        return parse(raw, sync_id, *more)

    monkeypatch.setattr(scan_module, "parse_manifest", noted)
    return names


def test_a_large_manifest_is_read_after_all_others(scan, bundles, costly, parsed):
    large = costly()
    good = [bundles.bundle(name, bundles.assets(name, 1)) for name in ("a", "b")]
    report = scan()
    assert sorted(report.discovered) == sorted(good) and list(report.passed_over) == [large]
    assert parsed[-1] == large and sorted(parsed[:-1]) == sorted(good)


def test_what_was_read_is_recorded_though_the_scan_ends_in_a_large_manifest(
    scan, panel_db, bundles, costly, monkeypatch
):
    large = costly()
    good = [bundles.bundle(name, bundles.assets(name, 1)) for name in ("a", "b")]
    parse = scan_module.parse_manifest

    def killed(raw, sync_id, *more):
        if sync_id == large:
            raise KeyboardInterrupt
        return parse(raw, sync_id, *more)

    monkeypatch.setattr(scan_module, "parse_manifest", killed)
    with pytest.raises(KeyboardInterrupt):
        scan()
    assert panel_db.run_read(ledger.known_sync_ids, good) == set(good)


def test_a_large_refused_manifest_is_read_again_only_when_its_size_or_time_changes(scan, mount, costly, parsed):
    large = costly()
    reason = scan().passed_over[large]
    del parsed[:]
    assert scan().passed_over == {large: reason} and parsed == []
    file = mount.sync_dir / f"{large}.json"
    os.utime(file, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns + 1))
    assert scan().passed_over == {large: reason} and parsed == [large]
    costly(4)
    scan()
    assert parsed == [large] * 2


def test_other_limits_are_a_reason_to_read_a_large_refused_manifest_again(panel_db, mount, costly, parsed):
    large = costly()
    services.scan_mount(panel_db, mount, "admin")
    del parsed[:]
    wider = Mount(replace(mount.settings, max_items=600_000))
    assert list(services.scan_mount(panel_db, wider, "admin").passed_over) == [large] and parsed == [large]


def test_a_manifest_that_cannot_be_read_holds_up_no_other(scan, bundles, mount, monkeypatch):
    bad, good = (bundles.bundle(name, bundles.assets(name, 1)) for name in ("a", "b"))
    opened = mount.open_manifest

    def broken(sync_id):
        if sync_id == bad:
            raise FileUnreadableError(f"{sync_id}.json cannot be read: Input/output error.")
        return opened(sync_id)

    monkeypatch.setattr(mount, "open_manifest", broken)
    report = scan()
    assert report.discovered == [good] and "Input/output error" in report.passed_over[bad]
    monkeypatch.setattr(mount, "open_manifest", opened)
    assert scan().discovered == [bad]


def test_no_file_of_a_known_bundle_is_opened_however_many_there_are(scan, assets_dir, bundles):
    for number in range(3):
        bundles.bundle(f"known {number}", bundles.assets(f"known {number}", 1))
    scan()
    new = bundles.bundle("new", bundles.assets("new", 1))
    with open_tracer.noted() as paths:
        assert scan().known == 3
    sync_dir = assets_dir / "sync"
    assert {path for path in paths if path.startswith(f"{sync_dir}/")} == {f"{sync_dir}/{new}.json"}


# ------------------------------------------------------------------------------------- batches with a history

GARBAGE = {"unparsable": {"spoil": lambda raw: raw[:100]}, "another": {"spoil": lambda raw: b"[" + raw}}


def facts(db, sync_id: str) -> dict:
    batch = db.run_read(ledger.get_batch, sync_id)
    spared = {"status", "last_error", "started_at", "completed_at", "updated_at", "plan", "skipped_state", "changed_at",
              "changed_sha256", "attention"}
    return {name: value for name, value in batch.items() if name not in spared}


@pytest.mark.parametrize("was_imported", [True, False], ids=["imported", "planned"])
def test_a_scan_erases_no_fact_of_a_batch_with_a_history_and_shows_the_problem(
    scan, panel_db, mount, bundles, worker_conf, was_imported
):
    photos = list(bundles.assets("one", 2))
    sync_id = bundles.bundle("one", photos)
    scan()
    services.preflight_batch(panel_db, mount, sync_id, "admin")
    if was_imported:
        services.queue_batch(panel_db, mount, sync_id, "admin")
        worker_helpers.drain(worker_conf)
    before = facts(panel_db, sync_id)
    assert before["action"] == "create" and bool(before["imported_at"]) is was_imported
    for number, spoil in enumerate(GARBAGE.values(), 1):
        bundles.bundle("one", photos, replace=True, **spoil)
        services.preflight_batch(panel_db, mount, sync_id, "admin")
        for _ in range(2):
            problem = scan().passed_over[sync_id]
            batch = panel_db.run_read(ledger.get_batch, sync_id)
            assert facts(panel_db, sync_id) == before
            assert (batch["status"], batch["last_error"]) == ("preflight_failed", problem)
        assert [event[0] for event in events(panel_db, sync_id)].count("bundle_passed_over") == number
    bundles.bundle("one", [photos[0]._replace(title="Another"), photos[1]], replace=True)
    report = scan()
    assert (report.changed_upstream, report.discovered) == ([sync_id], [])
    assert facts(panel_db, sync_id) == before
    assert services.preflight_batch(panel_db, mount, sync_id, "admin").ok
    assert scan().known == 1


def test_the_facts_of_a_valid_manifest_outlast_an_invalid_one(scan, panel_db, bundles):
    photos = list(bundles.assets("one", 1))
    sync_id = bundles.bundle("one", photos, status="processing", completed_at=None)
    scan()
    before = facts(panel_db, sync_id)
    bundles.bundle("one", photos, replace=True, **GARBAGE["unparsable"])
    assert "JSON" in scan().passed_over[sync_id]
    assert facts(panel_db, sync_id) == before and before["item_count"] == 1
    bundles.bundle("one", photos, replace=True)
    assert scan().discovered == [sync_id]


@pytest.mark.parametrize("is_valid", [True, False])
def test_a_manifest_that_the_worker_preflighted_is_not_reported_as_replaced(
    scan, panel_db, mount, bundles, worker_conf, is_valid
):
    [photo] = bundles.assets("one", 1)
    sync_id = bundles.bundle("one", [photo])
    worker_helpers.queue(panel_db, mount, sync_id)
    bundles.bundle("one", [photo._replace(title="Another")], replace=True, **{} if is_valid else GARBAGE["unparsable"])
    worker_helpers.drain(worker_conf)
    batch = panel_db.run_read(ledger.get_batch, sync_id)
    assert batch["changed_at"] and batch["status"] == ("preflight_passed" if is_valid else "preflight_failed")
    report = scan()
    assert (report.changed_upstream, report.known, report.passed_over) == ([], 1, {})
    bundles.bundle("one", [photo._replace(title="A third")], replace=True)
    assert scan().changed_upstream == [sync_id]


@pytest.fixture
def latin1(admin_db):
    """A ledger whose texts are in the character set of western Europe."""
    column = "ALTER TABLE ingest_batch MODIFY source_host VARCHAR(255) CHARACTER SET {} NULL"
    admin_db.execute(column.format("latin1"))
    yield
    admin_db.execute("DELETE FROM ingest_event")
    admin_db.execute("DELETE FROM ingest_batch")
    admin_db.execute(column.format("utf8mb4 COLLATE utf8mb4_general_ci"))


def test_a_bundle_that_the_database_cannot_store_is_skipped_and_the_others_are_recorded(
    latin1, scan, panel_db, admin_db, bundles
):
    sound = [bundles.bundle(name, bundles.assets(name, 1)) for name in ("one", "two")]
    refused = bundles.bundle("three", bundles.assets("three", 1), source_host="東京-host")
    report = scan()
    assert sorted(report.discovered) == sorted(sound) and list(report.passed_over) == [refused]
    batch = panel_db.run_read(ledger.get_batch, refused)
    assert batch["last_error"].startswith("the database cannot store its manifest: Incorrect string value")
    assert report.passed_over[refused] == batch["last_error"] and "gpupanel doctor" in batch["last_error"]
    assert scan().passed_over.keys() == {refused}
    admin_db.execute("ALTER TABLE ingest_batch MODIFY source_host VARCHAR(255) NULL")
    assert scan().discovered == [refused]
    assert panel_db.run_read(ledger.get_batch, refused)["source_host"] == "東京-host"
