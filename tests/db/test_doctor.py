"""doctor is silent on a sound installation, and names each fault with what to do."""

import dataclasses

import pytest

from ground import NAME
from gpupanel import config, doctor


@pytest.fixture
def wrong(settings, admin_db):
    """check -> finding, of what is wrong now."""
    return lambda: {each.check: each for each in doctor.examine(settings) if each.level == doctor.WRONG}


@pytest.mark.parametrize("conf", ["panel_conf", "worker_conf"])
def test_a_sound_installation_has_nothing_wrong(conf, admin_db, request):
    findings = doctor.examine(config.load(request.getfixturevalue(conf)))
    assert [each for each in findings if each.level == doctor.WRONG] == []
    assert {"MariaDB version", "tables", "rights", "plan of the claim", "mount"} <= {each.check for each in findings}


@pytest.mark.parametrize(("fault", "mend", "check", "advice"), [
    ("ALTER TABLE import_job DROP KEY finished", "ALTER TABLE import_job ADD KEY finished (finished_at, id)",
     "table import_job", "ALTER TABLE import_job ADD KEY finished (finished_at, id);"),
    ("ALTER TABLE asset_cover DROP COLUMN deleted_at", "ALTER TABLE asset_cover ADD deleted_at DATETIME(6) NULL",
     "table asset_cover", "ALTER TABLE asset_cover ADD COLUMN deleted_at DATETIME(6) NULL;"),
    ("ALTER TABLE import_job DROP KEY claim", "ALTER TABLE import_job ADD KEY claim (state, priority, id)",
     "table import_job", "ALTER TABLE import_job ADD KEY claim (state, priority, id);"),
    ("GRANT DELETE ON asset TO gpu_panel@localhost", "REVOKE DELETE ON asset FROM gpu_panel@localhost",
     "rights on asset", "REVOKE DELETE ON asset FROM gpu_panel@...;"),
    ("REVOKE SELECT ON asset FROM gpu_panel@localhost", "GRANT SELECT ON asset TO gpu_panel@localhost",
     "table asset", "Run bin/gpupanel init-db."),
    ("REVOKE UPDATE (state) ON import_job FROM gpu_panel@localhost",
     "GRANT UPDATE (state) ON import_job TO gpu_panel@localhost", "rights on import_job",
     "Run bin/gpupanel init-db, which grants what is missing."),
])
def test_each_fault_of_the_database_is_found_with_what_mends_it(wrong, admin_db, fault, mend, check, advice):
    admin_db.execute(fault)
    try:
        found = wrong()
    finally:
        admin_db.execute(mend)
    assert found[check].advice == advice
    assert wrong() == {}


def test_a_right_on_everything_is_too_much_but_nothing_is_missing(wrong, admin_db):
    admin_db.execute(f"GRANT ALL ON {NAME}.* TO gpu_panel@localhost")
    try:
        found = wrong()
    finally:
        admin_db.execute(f"REVOKE ALL ON {NAME}.* FROM gpu_panel@localhost")
    assert list(found) == [f"rights on {NAME}.*"]
    assert "ALL PRIVILEGES, too" in found[f"rights on {NAME}.*"].found


def test_a_job_whose_worker_is_silent_is_found(wrong, admin_db):
    admin_db.execute("INSERT INTO ingest_batch (sync_id) VALUES (UUID())")
    admin_db.execute(
        "INSERT INTO import_job (batch_id, requested_by, state, worker, heartbeat_at)"
        " SELECT id, 'x', 'running', 'host:7', NOW(6) - INTERVAL 16 MINUTE FROM ingest_batch"
    )
    assert "on host:7" in wrong()["stale jobs"].found


def test_a_mount_that_is_gone_and_a_secret_that_others_can_read_are_found(wrong, settings, assets_dir):
    settings.panel.secret_file.write_text("x" * 32)
    settings.panel.secret_file.chmod(0o644)
    (assets_dir / "sync").rmdir()
    found = wrong()
    assert set(found) == {"mount", "permissions of panel.secret"}
    assert found["permissions of panel.secret"].advice == f"chmod 600 {settings.panel.secret_file}"


def test_a_database_that_is_down_is_one_finding_and_the_files_are_examined_all_the_same(settings, tmp_path):
    gone = dataclasses.replace(settings.database, unix_socket=str(tmp_path / "nobody.sock"))
    findings = doctor.examine(dataclasses.replace(settings, database=gone))
    assert [each.check for each in findings if each.level == doctor.WRONG] == ["database"]
    assert "mount" in {each.check for each in findings}
