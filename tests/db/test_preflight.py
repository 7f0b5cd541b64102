"""Preflight: what would happen to each item, written to the ledger and nowhere else (docs/CONTRACT.md, 5 and 7)."""

import json

import pytest
from constants import LIBRARY
from gpupanel import ledger, services
from gpupanel.config import MountSettings
from gpupanel.devtools.bundle_factory import defects
from gpupanel.errors import InvalidStateError, NotFoundError
from gpupanel.mount import Mount


@pytest.fixture
def preflight(panel_db, mount):
    def preflight(sync_id):
        services.scan_mount(panel_db, mount, "admin")
        return services.preflight_batch(panel_db, mount, sync_id, "admin")

    return preflight


def batch(db, sync_id):
    return db.run_read(ledger.get_batch, sync_id)


def items(db, sync_id):
    return db.run_read(ledger.list_items, batch(db, sync_id)["id"], limit=1000)


def latest_events(db, sync_id):
    return [
        (e["event_type"], json.loads(e["payload"])) for e in db.run_read(ledger.list_events, batch(db, sync_id)["id"])
    ]


def test_a_sound_bundle_passes_with_a_decision_for_each_item(preflight, panel_db, bundles):
    sync_id = bundles.bundle("one", bundles.assets("one", 2, ("photo", "cover")))
    outcome = preflight(sync_id)
    assert outcome.ok and outcome.counts["will_create"] == outcome.item_count == 2
    row = batch(panel_db, sync_id)
    assert (row["status"], row["last_error"], row["plan"]["will_create"]) == ("preflight_passed", None, 2)
    assert row["started_at"] and not row["completed_at"]
    assert [(i["position"], i["decision"], i["planned"]) for i in items(panel_db, sync_id)] == [
        (0, "will_create", "will_create"), (1, "will_create", "will_create"),
    ]


def test_the_events_have_the_keys_and_types_of_the_perl_panel(preflight, panel_db, bundles):
    sync_id = bundles.bundle("one", bundles.assets("one", 2, ("photo", "cover")), action="update")
    preflight(sync_id)
    (finished, after), (started, before), _ = latest_events(panel_db, sync_id)
    assert (started, finished) == ("preflight_started", "preflight_finished")
    row = batch(panel_db, sync_id)
    assert before == {
        "action": "update", "container_count": 0, "item_count": 2, "item_type_counts": {"cover": 1, "photo": 1},
        "manifest_sha256": row["manifest_sha256"], "phase": "preflight", "prior_sync_id": None, "sync_id": sync_id,
        "sync_type": "asset", "total_bytes": row["total_bytes"],
    }
    assert after == {
        "counts": {"will_create": 2, "will_fail": 0, "will_link": 0, "will_skip": 0, "will_update": 0},
        "failure_samples": [], "files_expected": 17, "files_listed": 10, "item_count": 2,
        "item_type_counts": {"cover": 1, "photo": 1}, "ok": 1, "phase": "preflight",
    }


def test_a_payload_is_compact_with_sorted_keys(preflight, panel_db, bundles):
    sync_id = bundles.bundle("one", bundles.assets("one", 1))
    preflight(sync_id)
    text = panel_db.run_read(ledger.list_events, batch(panel_db, sync_id)["id"])[0]["payload"]
    assert text.startswith('{"counts":{"will_create":1,"will_fail":0,') and ": " not in text


def test_nothing_of_it_touches_the_library(preflight, admin_db, bundles):
    preflight(bundles.bundle("one", bundles.assets("one", 3)))
    assert all(admin_db.execute(f"SELECT 1 FROM {table}") == [] for table in LIBRARY)


def test_one_bad_item_is_planned_to_fail_alone(preflight, panel_db, bundles):
    broken = {0: defects.no_folder, 1: defects.no_source, 2: defects.wrong_type, 3: defects.outside}
    sync_id = bundles.bundle("one", bundles.assets("one", 5, broken=broken))
    outcome = preflight(sync_id)
    assert outcome.ok and (outcome.counts["will_fail"], outcome.counts["will_create"]) == (4, 1)
    reasons = [item["last_error"] for item in items(panel_db, sync_id)]
    assert "folder" in reasons[0] and "source.json" in reasons[1] and "width" in reasons[2] and "path" in reasons[3]
    assert reasons[4] is None
    assert len(latest_events(panel_db, sync_id)[0][1]["failure_samples"]) == 4


def test_it_fails_when_all_items_would(preflight, panel_db, bundles):
    lost = {0: defects.no_folder, 1: defects.no_source}
    sync_id = bundles.bundle("lost", bundles.assets("lost", 2, broken=lost))
    assert not preflight(sync_id).ok
    row = batch(panel_db, sync_id)
    assert row["status"] == "preflight_failed" and "all 2 items" in row["last_error"]
    assert latest_events(panel_db, sync_id)[0][1]["ok"] == 0


@pytest.mark.parametrize("options", [
    dict(status="processing"), dict(verification={"passed": False, "total_files": 1}),
    dict(spoil=lambda raw: raw[:-20]), dict(item_count=7),
])
def test_it_fails_for_a_problem_of_the_bundle_and_plans_nothing(preflight, panel_db, bundles, options):
    sync_id = bundles.bundle("odd", bundles.assets("odd", 1), **options)
    outcome = preflight(sync_id)
    assert not outcome.ok and outcome.problems
    assert batch(panel_db, sync_id)["status"] == "preflight_failed"
    assert items(panel_db, sync_id) == []


def test_the_manifest_limit_is_the_configured_one(panel_db, bundles, assets_dir):
    sync_id = bundles.bundle("one", bundles.assets("one", 1))
    small = Mount(MountSettings(assets_dir / "sync", assets_dir, manifest_limit=100))
    report = services.scan_mount(panel_db, small, "admin")
    assert "expected at most 100" in report.passed_over[sync_id]
    outcome = services.preflight_batch(panel_db, small, sync_id, "admin")
    assert "expected at most 100" in outcome.problems[0]


def test_it_can_be_run_again_and_changes_no_decision(preflight, panel_db, bundles):
    sync_id = bundles.bundle("one", bundles.assets("one", 3))
    preflight(sync_id)
    before = items(panel_db, sync_id)
    preflight(sync_id)
    assert items(panel_db, sync_id) == before


def test_an_item_no_longer_listed_is_withdrawn_and_counts_nowhere(preflight, panel_db, bundles):
    assets = list(bundles.assets("one", 3))
    sync_id = bundles.bundle("one", assets)
    preflight(sync_id)
    bundles.bundle("one", assets[1:], replace=True)
    outcome = preflight(sync_id)
    assert outcome.item_count == 2
    assert sorted(item["decision"] for item in items(panel_db, sync_id)) == ["will_create", "will_create", "withdrawn"]
    assert panel_db.run_read(ledger.decision_counts, batch(panel_db, sync_id)["id"]) == {"will_create": 2}


def test_a_changed_manifest_is_an_event_with_both_digests(preflight, panel_db, bundles):
    assets = list(bundles.assets("one", 2))
    sync_id = bundles.bundle("one", assets)
    preflight(sync_id)
    before = batch(panel_db, sync_id)["manifest_sha256"]
    bundles.bundle("one", assets[:1], replace=True)
    preflight(sync_id)
    after = batch(panel_db, sync_id)["manifest_sha256"]
    changed = [payload for event_type, payload in latest_events(panel_db, sync_id) if event_type == "manifest_changed"]
    assert changed == [{"after": after, "before": before, "phase": "preflight"}] and before != after


def test_an_unknown_batch_is_not_found(panel_db, mount):
    with pytest.raises(NotFoundError):
        services.preflight_batch(panel_db, mount, "37e428d2-a4f6-4a31-bacf-0c835fb24084", "admin")


def test_a_busy_batch_is_refused(preflight, panel_db, mount, bundles):
    sync_id = bundles.bundle("one", bundles.assets("one", 1))
    preflight(sync_id)
    services.queue_batch(panel_db, mount, sync_id, "admin")
    with pytest.raises(InvalidStateError, match="queued"):
        preflight(sync_id)
