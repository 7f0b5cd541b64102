"""import-worker --dry-run: what an import would write is told, nothing is written, and nobody is disturbed."""

import json

import preloaded_programs
import pytest
from constants import IMPORT_WORKER
import worker_helpers
from gpupanel import services
from gpupanel.db import Database
from gpupanel.devtools.bundle_factory import defects
from gpupanel.errors import InvalidStateError, ValidationProblemsError
from gpupanel.migration.dry_run import DryRun
from gpupanel.worker.pipeline import Limits


@pytest.fixture
def dry_run(worker_db, mount):
    """The lines of a plan."""

    def run(sync_id, **options):
        lines = []
        DryRun(worker_db, mount, sync_id, lines.append, Limits(4, 2), **options).run()
        return lines

    return run


@pytest.fixture
def scanned(bundles, panel_db, mount):
    """A bundle of photos with covers, in a gallery, that a scan has recorded."""
    members = list(bundles.assets("coast", 6, ("photo", "cover")))
    hung = bundles.container("gallery", "Coast", members[::2], cover=members[1])
    sync_id = bundles.bundle("coast", members, [hung], sync_type="gallery")
    services.scan_mount(panel_db, mount, "operator")
    return sync_id


def everything(db):
    return worker_helpers.rows(db) | {
        table: db.execute(f"SELECT * FROM {table} ORDER BY id")
        for table in ("ingest_batch", "ingest_batch_item", "ingest_event", "import_job")
    }


def tables(lines):
    return [line["table"] for line in lines[1:]]


def of(lines, table):
    return [line for line in lines[1:] if line["table"] == table]


def test_it_tells_every_row_and_writes_none(admin_db, dry_run, scanned):
    before = everything(admin_db)
    lines = dry_run(scanned)
    assert everything(admin_db) == before
    printed = tables(lines)
    assert {table: printed.count(table) for table in printed} == {
        "asset": 6, "asset_source": 6, "asset_ai_run": printed.count("asset_ai_run"), "asset_cover": 3,
        "asset_derivative": printed.count("asset_derivative"), "asset_gallery": 1, "asset_gallery_item": 3,
        "ingest_batch_item": 6, "ingest_batch": 1,
    }
    assert lines[-1]["values"] == {
        "status": "completed", "last_error": None, "manifest_sha256": lines[0]["manifest_sha256"],
    }


def test_the_import_then_writes_as_many_rows_as_were_told(admin_db, panel_db, mount, worker_conf, dry_run, scanned):
    printed = tables(dry_run(scanned))
    worker_helpers.queue(panel_db, mount, scanned)
    worker_helpers.drain(worker_conf)
    written = {table: len(rows) for table, rows in worker_helpers.rows(admin_db).items() if rows}
    assert written == {table: printed.count(table) for table in written}


def test_ids_are_told_by_what_they_stand_for(dry_run, scanned):
    lines = dry_run(scanned)
    assert all(
        {"asset_id.asset_type", "asset_id.asset_hash"} <= line["key"].keys() for line in of(lines, "asset_source")
    )
    [member, *_] = of(lines, "asset_gallery_item")
    assert set(member["key"]) == {"gallery_id.gallery_hash", "asset_id.asset_type", "asset_id.asset_hash"}
    assert not any(isinstance(value, int) for line in lines[1:] for value in line["key"].values())


def test_it_sees_what_the_library_has(admin_db, panel_db, mount, worker_conf, bundles, dry_run, scanned):
    worker_helpers.queue(panel_db, mount, scanned)
    worker_helpers.drain(worker_conf)
    gone = bundles.bundle("gone", list(bundles.assets("coast", 6, ("photo", "cover")))[:1], action="remove")
    services.scan_mount(panel_db, mount, "operator")
    assert {line["values"]["decision"] for line in of(dry_run(scanned), "ingest_batch_item")} == {"skipped"}
    [asset] = of(dry_run(gone), "asset")
    assert asset["values"] == {"last_batch_id.sync_id": gone, "deleted_at": "removed"}


def test_an_item_that_would_fail_is_told_with_its_reason_and_no_row_of_it(panel_db, mount, bundles, dry_run):
    sync_id = bundles.bundle("bad", bundles.assets("bad", 3, broken={1: defects.broken_document}))
    services.scan_mount(panel_db, mount, "operator")
    lines = dry_run(sync_id)
    assert [line["values"]["decision"] for line in of(lines, "ingest_batch_item")] == ["created", "failed", "created"]
    assert "not JSON" in of(lines, "ingest_batch_item")[1]["values"]["last_error"]
    assert len(of(lines, "asset")) == 2 and lines[-1]["values"]["status"] == "partial"


def test_what_the_database_refuses_fails_its_item_alone_and_is_not_told_as_written(admin_db, dry_run, scanned):
    [position_2] = [
        line
        for line in dry_run(scanned)
        if line.get("values", {}).get("position") == 2 and line["table"] == "ingest_batch_item"
    ]
    admin_db.execute(f"ALTER TABLE asset ADD CONSTRAINT odd CHECK (asset_hash <> '{position_2['key']['asset_hash']}')")
    try:
        lines = dry_run(scanned)
    finally:
        admin_db.execute("ALTER TABLE asset DROP CONSTRAINT odd")
    assert [line["values"]["decision"] for line in of(lines, "ingest_batch_item")].count("failed") == 1
    assert len(of(lines, "asset")) == len(of(lines, "asset_source")) == 5


def test_it_gives_way_to_an_import_that_holds_its_rows(
    worker_db, admin_db, panel_db, mount, worker_conf, dry_run, scanned
):
    worker_helpers.queue(panel_db, mount, scanned)
    worker_helpers.drain(worker_conf)
    rival = Database(worker_db.settings)
    with rival.transaction() as tx:
        [photo] = admin_db.execute("SELECT asset_hash FROM asset WHERE asset_type = 'photo' LIMIT 1")
        tx.fetch_all("library_write.hold", asset_type="photo", hashes=[photo["asset_hash"]])
        with pytest.raises(InvalidStateError, match="holds rows"):
            dry_run(scanned)
    rival.close()


def test_an_import_that_meets_it_waits_and_then_goes_through(
    admin_db, panel_db, worker_db, mount, worker_conf, scanned
):
    worker_helpers.queue(panel_db, mount, scanned)
    other = Database(worker_db.settings)
    programs, worker = worker_helpers.Programs(), []

    def tell(line):
        if line.get("table") == "ingest_batch_item" and not worker:
            worker.append(programs(worker_conf, "--once"))
            worker_helpers.wait_for_lock_wait(admin_db)

    try:
        DryRun(other, mount, scanned, tell, Limits(100, 2)).run()
        assert worker[0].ends() == 0
    finally:
        programs.end()
        other.close()
    assert worker_helpers.batch(admin_db, scanned)["status"] == "completed"


def test_rows_are_held_no_longer_than_is_allowed(admin_db, dry_run, scanned):
    before = everything(admin_db)
    with pytest.raises(InvalidStateError, match="more than 0 s"):
        dry_run(scanned, seconds=0)
    assert everything(admin_db) == before


@pytest.mark.parametrize("suffix", ["json", "ready"])
def test_a_bundle_that_is_gone_is_refused_and_the_batch_stays_as_it_is(admin_db, mount, dry_run, scanned, suffix):
    (mount.sync_dir / f"{scanned}.{suffix}").unlink()
    before = everything(admin_db)
    reason = f"{scanned}.{suffix} is not on the mount; .* stays as it is: discovered"
    with pytest.raises(InvalidStateError, match=reason):
        dry_run(scanned)
    assert everything(admin_db) == before


def test_a_bundle_that_may_not_be_read_is_refused_and_the_batch_stays_as_it_is(admin_db, mount, dry_run, scanned, deny):
    deny(mount.sync_dir / f"{scanned}.json")
    before = everything(admin_db)
    with pytest.raises(
        InvalidStateError, match=f"{scanned}.json may not be read by this account: .* stays as it is: discovered"
    ):
        dry_run(scanned)
    assert everything(admin_db) == before


def test_a_manifest_that_no_import_would_take_is_told_with_its_problems(admin_db, mount, dry_run, scanned):
    (mount.sync_dir / f"{scanned}.json").unlink()
    (mount.sync_dir / f"{scanned}.json").symlink_to("/etc/passwd")
    before = everything(admin_db)
    with pytest.raises(ValidationProblemsError) as refused:
        dry_run(scanned)
    assert "leads out of the mount" in refused.value.problems[0]
    assert everything(admin_db) == before


def test_the_program_prints_the_plan_and_says_how_it_would_end(admin_db, worker_conf, scanned):
    answer = preloaded_programs.run([IMPORT_WORKER, "--config", worker_conf, "--dry-run", "--batch", scanned])
    assert answer.returncode == 0, answer.stderr
    lines = [json.loads(line) for line in answer.stdout.splitlines()]
    assert lines[0]["sync_id"] == scanned and lines[-1]["table"] == "ingest_batch"
    assert "would end completed" in answer.stderr


@pytest.mark.parametrize(
    "arguments, status", [(["--dry-run"], 2), (["--batch", "x"], 2), (["--dry-run", "--batch", "x"], 1)]
)
def test_usage_and_a_batch_that_is_not_recorded(worker_conf, admin_db, arguments, status):
    answer = preloaded_programs.run([IMPORT_WORKER, "--config", worker_conf, *arguments])
    assert answer.returncode == status and "Traceback" not in answer.stderr
