"""Scan: the mount is recorded once, nothing is silently skipped, and nothing is taken from absence."""

import json
import shutil
import threading

import open_tracer
import pytest
from gpupanel import ledger, services
from gpupanel.db import Database
from gpupanel.devtools.bundle_factory import defects
from gpupanel.errors import MountUnavailableError


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
    monkeypatch.setattr(mount, "read_manifest", opened.append)
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
    hung, read = threading.Event(), mount.read_manifest
    first, second = sorted([fast, slow])
    monkeypatch.setattr(mount, "read_manifest", lambda sync_id: read(sync_id) if sync_id == first else hung.wait())
    report = scan(seconds=1)
    hung.set()
    assert (report.discovered, report.left) == ([first], [second])


def test_no_file_of_a_known_bundle_is_opened_however_many_there_are(scan, assets_dir, bundles):
    for number in range(3):
        bundles.bundle(f"known {number}", bundles.assets(f"known {number}", 1))
    scan()
    new = bundles.bundle("new", bundles.assets("new", 1))
    with open_tracer.noted() as paths:
        assert scan().known == 3
    sync_dir = assets_dir / "sync"
    assert {path for path in paths if path.startswith(f"{sync_dir}/")} == {f"{sync_dir}/{new}.json"}
