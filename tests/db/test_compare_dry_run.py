"""compare plan: the plan of a dry run against the rows that the import wrote."""

import json

import preloaded_programs
import pytest
import worker_helpers
from constants import GPUPANEL, IMPORT_WORKER
from gpupanel import services
from gpupanel.devtools.bundle_factory import defects


def compare(*arguments):
    return preloaded_programs.run([GPUPANEL, "compare", "plan", *arguments, "--json"])


@pytest.fixture
def planned(panel_db, mount, worker_conf, bundles, tmp_path):
    """(sync_id, plan file) of an imported bundle with a gallery, covers and one broken item."""
    members = list(bundles.assets("coast", 6, ("photo", "cover"), broken={4: defects.broken_document}))
    hung = bundles.container("gallery", "Coast", members[:3:2], cover=members[1])
    sync_id = bundles.bundle("coast", members, [hung], sync_type="gallery")
    services.scan_mount(panel_db, mount, "operator")
    plan = tmp_path / "plan"
    dry_run = preloaded_programs.run([IMPORT_WORKER, "--config", worker_conf, "--dry-run", "--batch", sync_id])
    assert dry_run.returncode == 0
    plan.write_text(dry_run.stdout)
    services.queue_batch(panel_db, mount, sync_id, "operator")
    worker_helpers.drain(worker_conf)
    return sync_id, plan


def test_an_import_does_what_its_dry_run_planned(planned, panel_conf):
    answer = compare(planned[1], panel_conf)
    report = json.loads(answer.stdout)
    assert answer.returncode == 0, report["groups"]
    assert {tally["table"] for tally in report["tables"]} >= {
        "asset", "asset_source", "asset_ai_run", "asset_cover", "asset_derivative", "asset_gallery",
        "asset_gallery_item", "ingest_batch_item", "ingest_batch",
    }
    assert all(tally["equal"] > 0 for tally in report["tables"])


@pytest.mark.parametrize(("statement", "kind", "place"), [
    ("UPDATE asset SET title = 'Other words' LIMIT 1", "value", "asset.title"),
    ("UPDATE asset SET deleted_at = NOW(6) LIMIT 1", "removed", "asset.deleted_at"),
    ("DELETE FROM asset_ai_run LIMIT 1", "left_only", "asset_ai_run."),
    ("UPDATE asset_source SET document = '{}' LIMIT 1", "json_key", "asset_source.document"),
    ("UPDATE asset_gallery_item SET position = 9 LIMIT 1", "value", "asset_gallery_item.position"),
    (
        "UPDATE ingest_batch_item SET decision = 'skipped' WHERE decision = 'created' LIMIT 1", "value",
        "ingest_batch_item.decision",
    ),
    ("UPDATE ingest_batch SET status = 'failed'", "value", "ingest_batch.status"),
    (
        "INSERT INTO asset (asset_type, asset_hash, fingerprint, first_batch_id, last_batch_id)"
        " SELECT 'photo', REPEAT('0', 64), '', id, id FROM ingest_batch",
        "right_only",
        "asset.",
    ),
])
def test_what_was_written_otherwise_is_named(planned, panel_conf, admin_db, statement, kind, place):
    admin_db.execute(statement)
    answer = compare(planned[1], panel_conf)
    assert answer.returncode == 1
    assert {
        (group["kind"], f"{group['table']}.{group['column']}") for group in json.loads(answer.stdout)["groups"]
    } == {(kind, place)}


@pytest.mark.parametrize("content", ["", "no JSON", '{"plan": 1}\n', '{"plan": 2}\n{"table": "ingest_batch"}\n'])
def test_what_is_no_whole_plan_is_refused(tmp_path, panel_conf, content):
    (tmp_path / "plan").write_text(content)
    answer = compare(tmp_path / "plan", panel_conf)
    assert answer.returncode == 2 and "plan" in answer.stderr and "Traceback" not in answer.stderr
