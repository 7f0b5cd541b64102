"""doctor is silent on a sound installation, and names each fault with what mends it: the mending is tried out, too."""

import dataclasses
import getpass
import json
import re
from threading import Event
from zoneinfo import ZoneInfo

import installation
import pytest
from constants import NAME
from gpupanel import config, doctor, job_queue
from gpupanel.cli import main
from gpupanel.db import Database
from gpupanel.devtools.mariadb_server import MariaDBServer, THROWAWAY
from gpupanel.doctor import grants, server_settings as of_the_server
from gpupanel.mount import Mount
from gpupanel.db import schema

STATEMENT = re.compile(r"(?:ALTER|REVOKE|GRANT) .*?;")


@pytest.fixture
def sound(settings, bundles, admin_db):
    """A secret, a bundle and a worker are there, as they are after the first day."""
    admin_db.execute("INSERT INTO import_worker (host, slot, pid, boot) VALUES ('here', 1, 7, 'x')")
    settings.panel.secret_file.write_text("x" * 32)
    settings.panel.secret_file.chmod(0o600)
    bundles.bundle("first", bundles.assets("first", 1))
    return settings


@pytest.fixture
def find_problems(sound, admin_db):
    """Return check -> finding of each finding that is not `ok`, but for the mount, which the tests can write."""
    def find(settings=sound):
        findings = (each for each in doctor.run_checks(settings) if each.level != doctor.OK)
        return {each.check: each for each in findings if each.check != "mount is read-only"}

    assert find() == {}
    return find


def mend(admin_db, advice):
    """Do what doctor says: its statement, or init-db."""
    statements = STATEMENT.findall(advice)
    for statement in statements:
        admin_db.execute(statement)
    if not statements:
        assert "init-db" in advice
        schema.apply(admin_db.settings)


@pytest.mark.parametrize("conf", ["panel_conf", "worker_conf"])
def test_a_sound_installation_has_nothing_wrong(conf, sound, admin_db, request):
    findings = doctor.run_checks(config.load(request.getfixturevalue(conf)))
    assert [each for each in findings if each.level == doctor.WRONG] == []
    assert {
        "MariaDB version", "isolation of our sessions", "innodb_snapshot_isolation", "binary log", "max_allowed_packet",
        "clocks", "tables", "claim plan", "stale jobs", "mount", "sentinels", "mount is read-only",
    } <= {each.check for each in findings}


def test_the_plan_of_a_claim_is_read_unless_the_queue_is_paused(sound, panel_db):
    def check_plan():
        [finding] = [each for each in doctor.run_checks(sound) if each.check == "claim plan"]
        return finding.level, finding.found

    level, plan = check_plan()
    assert level == "ok" and plan.startswith("key claim, ")
    panel_db.run_transaction(job_queue.pause, "ann", "the library moves")
    assert check_plan() == ("ok", "no plan, since the queue is paused")


def test_the_exit_status_tells_sound_from_wrong_and_each_fault_says_what_to_do(sound, admin_db, capsys):
    command = ["doctor", "--config", str(sound.path)]
    assert main.main([*command, "--json"]) == 0
    assert {each["level"] for each in json.loads(capsys.readouterr().out)} <= {"ok", "note"}
    sound.panel.secret_file.chmod(0o644)
    assert main.main(command) == 1
    output = capsys.readouterr().out
    assert "wrong  permissions of panel.secret: 644" in output
    assert f"to do: chmod 600 {sound.panel.secret_file}" in output


# --------------------------------------------------------------------------------------------- tables and rights

OF_TABLES = {
    "ALTER TABLE import_job DROP KEY finished": "table import_job: index finished",
    "ALTER TABLE import_job DROP KEY claim": "table import_job: index claim",
    "ALTER TABLE import_job RENAME INDEX claim TO in_order": "table import_job: index claim",
    "ALTER TABLE import_job DROP KEY claim, ADD KEY claim (state, priority)": "table import_job: index claim",
    "ALTER TABLE asset DROP KEY asset, ADD KEY asset (asset_type, asset_hash)": "table asset: index asset",
    "ALTER TABLE asset_cover DROP COLUMN deleted_at": "table asset_cover: column deleted_at",
    "ALTER TABLE ingest_batch MODIFY source_host VARCHAR(100) NULL": "table ingest_batch: column source_host",
    "ALTER TABLE ingest_batch MODIFY source_host VARCHAR(255) CHARACTER SET latin1": (
        "table ingest_batch: column source_host"
    ),
    "ALTER TABLE ingest_batch MODIFY item_count INT UNSIGNED NOT NULL DEFAULT 0": (
        "table ingest_batch: column item_count"
    ),
    "ALTER TABLE ingest_batch MODIFY item_count BIGINT NOT NULL DEFAULT 0": "table ingest_batch: column item_count",
    "ALTER TABLE ingest_batch MODIFY sync_id CHAR(36) CHARACTER SET ascii NOT NULL": (
        "table ingest_batch: column sync_id"
    ),
    "ALTER TABLE ingest_batch MODIFY updated_at DATETIME(6) NOT NULL DEFAULT NOW(6)": (
        "table ingest_batch: column updated_at"
    ),
    "ALTER TABLE ingest_batch MODIFY status ENUM('discovered', 'queued') CHARACTER SET ascii COLLATE ascii_bin NOT NULL"
    " DEFAULT 'discovered'": "table ingest_batch: column status",
    "ALTER TABLE ingest_event MODIFY created_at DATETIME NOT NULL DEFAULT NOW()": (
        "table ingest_event: column created_at"
    ),
    "ALTER TABLE ingest_event MODIFY payload LONGTEXT NOT NULL": "table ingest_event: column payload",
    "ALTER TABLE ingest_event MODIFY id BIGINT UNSIGNED NOT NULL": "table ingest_event: column id",
    "ALTER TABLE ingest_event ADD site VARCHAR(20) NOT NULL": "table ingest_event: column site",
    "ALTER TABLE import_job MODIFY requested_by VARCHAR(255) NULL": "table import_job: column requested_by",
    "ALTER TABLE import_job ALTER priority SET DEFAULT 0": "table import_job: column priority",
    "ALTER TABLE import_job DROP COLUMN active_batch_id, ADD COLUMN active_batch_id BIGINT UNSIGNED NULL": (
        "table import_job: column active_batch_id"
    ),
    "ALTER TABLE import_job DROP KEY one_active_job_a_batch": "table import_job: index one_active_job_a_batch",
    "ALTER TABLE ingest_event DROP FOREIGN KEY ingest_event_batch": (
        "table ingest_event: foreign key ingest_event_batch"
    ),
    "ALTER TABLE asset_source DROP FOREIGN KEY asset_source_asset; ALTER TABLE asset_source"
    " ADD CONSTRAINT asset_source_asset FOREIGN KEY (asset_id) REFERENCES asset (id) ON DELETE CASCADE": (
        "table asset_source: foreign key asset_source_asset"
    ),
    "ALTER TABLE ingest_batch ADD UNIQUE KEY host (source_host)": "table ingest_batch: index host",
    "ALTER TABLE asset ADD CONSTRAINT first_batch FOREIGN KEY (first_batch_id) REFERENCES ingest_batch (id)": (
        "table asset: foreign key first_batch"
    ),
    "DROP TABLE asset_source": "table asset_source",
}
PANEL = "rights of gpu_panel@localhost on"
OF_RIGHTS = {
    "GRANT DELETE ON asset TO gpu_panel@localhost": f"{PANEL} asset",
    "GRANT UPDATE (claim_token) ON import_job TO gpu_panel@localhost": f"{PANEL} import_job",
    "GRANT SELECT ON asset TO gpu_panel@localhost WITH GRANT OPTION": f"{PANEL} asset",
    f"GRANT CREATE ON {NAME}.* TO gpu_panel@localhost": f"{PANEL} {NAME}.*",
    "GRANT FILE ON *.* TO gpu_panel@localhost": f"{PANEL} *.*",
    "GRANT SELECT ON mysql.user TO gpu_panel@localhost": f"{PANEL} mysql.user",
    "REVOKE UPDATE (state) ON import_job FROM gpu_panel@localhost": f"{PANEL} import_job",
    "REVOKE INSERT ON ingest_event FROM gpu_panel@localhost": f"{PANEL} ingest_event",
    "REVOKE SELECT ON asset FROM gpu_panel@localhost": "table asset",
}


@pytest.mark.parametrize(("fault", "check"), (OF_TABLES | OF_RIGHTS).items())
def test_a_fault_of_tables_or_rights_is_found_with_the_statement_that_mends_it(find_problems, admin_db, fault, check):
    for statement in fault.split("; "):
        admin_db.execute(statement)
    findings = find_problems()
    mend(admin_db, findings[check].advice if check in findings else "init-db")
    assert check in findings
    assert find_problems() == {}
    # what doctor accepts once our rows fit: a column of the site's own, and the index of a dropped foreign key
    admin_db.execute("ALTER TABLE ingest_event DROP COLUMN IF EXISTS site")
    admin_db.execute("ALTER TABLE asset DROP KEY IF EXISTS first_batch")


def test_another_engine_is_found(find_problems, admin_db):
    admin_db.execute("ALTER TABLE ingest_event DROP FOREIGN KEY ingest_event_batch")
    admin_db.execute("ALTER TABLE ingest_event ENGINE = Aria")
    findings = find_problems()
    mend(admin_db, findings["table ingest_event: its engine"].advice)
    mend(admin_db, findings["table ingest_event: foreign key ingest_event_batch"].advice)
    assert findings["table ingest_event: its engine"].found == "Aria"
    assert find_problems() == {}


def test_a_right_on_everything_is_too_much_but_nothing_is_missing(find_problems, admin_db):
    admin_db.execute(f"GRANT ALL ON {NAME}.* TO gpu_panel@localhost")
    findings = find_problems()
    admin_db.execute(f"REVOKE ALL ON {NAME}.* FROM gpu_panel@localhost")
    assert list(findings) == [f"{PANEL} {NAME}.*"]


def test_a_role_brings_rights_that_nobody_counted(find_problems, admin_db):
    admin_db.execute("CREATE ROLE everything")
    admin_db.execute("GRANT everything TO gpu_panel@localhost")
    findings = find_problems()
    admin_db.execute("DROP ROLE everything")
    assert findings[f"{PANEL} role"].advice == "REVOKE everything FROM 'gpu_panel'@'localhost';"


def test_an_administrator_is_told_to_use_the_account_of_the_panel_and_examines_the_others(
    find_problems, admin_db, sound
):
    as_admin = dataclasses.replace(sound, database=admin_db.settings)
    name = f"rights of {getpass.getuser()}@localhost"
    findings = find_problems(as_admin)
    assert findings[name].level == doctor.NOTE and "panel's configuration" in findings[name].advice
    assert not any("REVOKE" in finding.advice for finding in findings.values())
    admin_db.execute("GRANT DELETE ON asset TO gpu_worker@localhost")
    findings = find_problems(as_admin)
    admin_db.execute("REVOKE DELETE ON asset FROM gpu_worker@localhost")
    assert findings["rights of gpu_worker@localhost on asset"].found == "DELETE, too"


@pytest.mark.parametrize("characters", ["latin1", "utf8mb3"])
def test_tables_of_other_characters_are_mended_by_the_statements(find_problems, admin_db, characters):
    for table in ("asset", "ingest_batch"):
        admin_db.execute("SET foreign_key_checks = 0")
        admin_db.execute(f"ALTER TABLE {table} CONVERT TO CHARACTER SET {characters}")
    findings = find_problems()
    assert "table asset: column title" in findings
    for finding in findings.values():
        mend(admin_db, finding.advice)
    admin_db.execute("SET foreign_key_checks = 1")
    assert find_problems() == {}


def test_rows_that_make_a_statement_fail_come_first_with_their_number_and_query(find_problems, admin_db):
    admin_db.execute("ALTER TABLE import_job DROP KEY one_active_job_a_batch")
    admin_db.execute("ALTER TABLE ingest_batch MODIFY status VARCHAR(40) NULL")
    admin_db.execute(BATCH.format("odd"))
    for _ in range(2):
        admin_db.execute(JOB.format("state", "'queued'"))
    findings = find_problems()
    status = findings["table ingest_batch: column status"].advice
    active = findings["table import_job: index one_active_job_a_batch"].advice
    assert status.startswith("its words odd are none of ours: discovered, ")
    assert "WHEN 'odd' THEN <WORD>" in status and "MODIFY COLUMN status" not in status
    assert active.startswith("First correct the 1 rows of: SELECT batch_id, COUNT(*) AS jobs FROM import_job")
    admin_db.execute("DELETE FROM import_job")
    admin_db.execute("UPDATE ingest_batch SET status = 'queued'")
    for finding in find_problems().values():
        if finding.check.startswith("table "):
            mend(admin_db, finding.advice)
    admin_db.execute("DELETE FROM ingest_batch")
    assert find_problems() == {}


@pytest.fixture
def accounts_of_other_names(admin_db):
    """A panel and a worker account with names of their own, each without one right: (name, settings) of both."""
    made = {}
    for duty, spared in (("gpu_panel", "preflight_request"), ("gpu_worker", "ingest_result")):
        name = duty.replace("gpu", "own")
        admin_db.execute(f"CREATE OR REPLACE USER {name}@localhost IDENTIFIED BY 'secret'")
        for row in admin_db.execute(f"SHOW GRANTS FOR {duty}@localhost"):
            grant = next(iter(row.values()))
            if f"`{spared}`" not in grant and "USAGE" not in grant:
                admin_db.execute(grant.replace(f"`{duty}`", f"`{name}`"))
        made[duty] = dataclasses.replace(admin_db.settings, user=name, password="secret")
    yield made
    for duty in made:
        admin_db.execute(f"DROP USER {made[duty].user}@localhost")


@pytest.mark.parametrize("duty", ["gpu_panel", "gpu_worker"])
def test_no_advice_gives_an_account_the_rights_of_the_other_one(sound, accounts_of_other_names, duty):
    database = accounts_of_other_names[duty]
    other = {"gpu_panel": "gpu_worker", "gpu_worker": "gpu_panel"}[duty]
    settings, db = dataclasses.replace(sound, database=database), Database(database)
    findings = list(grants.check_own_grants(db, settings))
    assert findings and all(f"those of {duty} in" in each.expected for each in findings)
    [crossing] = grants.check_own_grants(db, settings, other)
    assert crossing.level == doctor.WRONG and "GRANT " not in crossing.advice
    db.close()


def test_no_finding_shows_a_password(admin_db, sound):
    admin_db.execute("GRANT USAGE ON *.* TO gpu_panel@localhost WITH MAX_USER_CONNECTIONS 0")
    text = repr(doctor.run_checks(dataclasses.replace(sound, database=admin_db.settings))) + repr(
        doctor.run_checks(sound)
    )
    assert "has a 'secret'" not in text.replace('\\', '') and "PASSWORD" not in text


# ------------------------------------------------------------------------------------------------ jobs and batches

BATCH = "INSERT INTO ingest_batch (sync_id, status) VALUES ('37e428d2-a4f6-4a31-bacf-0c835fb24084', '{}')"
JOB = "INSERT INTO import_job (batch_id, requested_by, {}) SELECT id, 'x', {} FROM ingest_batch"
RUNNING = "state, worker, claim_token, heartbeat_at"


@pytest.mark.parametrize(("status", "job", "check", "says"), [
    ("importing", (RUNNING, "'running', 'host:7', 'x', NOW(6) - INTERVAL 16 MINUTE"), "stale jobs", "on host:7"),
    ("importing", ("state, claim_token", "'running', 'x'"), "jobs without a claim", "job "),
    (
        "importing", ("state, worker, claimed_at", "'running', 'host:7', NOW(6) - INTERVAL 16 MINUTE"), "stale jobs",
        "on host:7",
    ),
    ("importing", ("state", "'queued'"), "jobs of other batches", "is queued and batch 37e428d2"),
    (
        "queued", (RUNNING, "'running', 'host:7', 'x', NOW(6)"), "jobs of other batches",
        "is running and batch 37e428d2",
    ),
    ("completed", ("state", "'queued'"), "jobs of other batches", "completed"),
    (
        "importing", ("state", "'completed'"), "batches without a job",
        "37e428d2-a4f6-4a31-bacf-0c835fb24084 is importing",
    ),
    ("queued", ("state", "'canceled'"), "batches without a job", "37e428d2-a4f6-4a31-bacf-0c835fb24084 is queued"),
    ("queued", ("state, queued_at", "'queued', NOW(6) - INTERVAL 1 HOUR"), "waiting jobs", "since "),
])
def test_a_job_or_batch_that_nobody_looks_after_is_found(find_problems, admin_db, status, job, check, says):
    admin_db.execute(BATCH.format(status))
    admin_db.execute(JOB.format(*job))
    findings = find_problems()
    assert list(findings) == [check]
    assert says in findings[check].found


@pytest.mark.parametrize("columns, values", [
    ("state, heartbeat_at", "'running', NOW(6) - INTERVAL 2 MINUTE"), ("state, claimed_at", "'running', NOW(6)"),
])
def test_a_running_perl_job_without_a_token_or_a_heartbeat_is_left_to_its_worker(
    find_problems, admin_db, columns, values
):
    admin_db.execute(BATCH.format("importing"))
    admin_db.execute(JOB.format(columns, values))
    assert find_problems() == {}


def test_a_worker_that_was_killed_is_found_after_three_heartbeats(find_problems, admin_db):
    admin_db.execute("UPDATE import_worker SET seen_at = NOW(6) - INTERVAL 44 SECOND")
    assert find_problems() == {}
    admin_db.execute("UPDATE import_worker SET seen_at = NOW(6) - INTERVAL 46 SECOND")
    findings = find_problems()
    assert list(findings) == ["workers", "late workers"]
    assert (findings["workers"].found, findings["late workers"].found) == ("0, seen 46 s ago", "here:7")


def test_a_pause_and_a_bundle_that_is_away_for_a_day_are_worth_a_look(find_problems, admin_db):
    admin_db.execute(BATCH.format("queued"))
    admin_db.execute(JOB.format(
        "state, hold, not_before, held_at", "'held', 'bundle', NOW(6), NOW(6) - INTERVAL 25 HOUR"
    ))
    admin_db.execute("INSERT INTO queue_control (paused, paused_by, reason, since) VALUES (1, 'ada', 'move', NOW(6))")
    findings = find_problems()
    assert list(findings) == ["pause", "held jobs"]
    assert findings["pause"].found == "paused by ada: move"


@pytest.mark.parametrize(("status", "job"), [
    ("queued", ("state", "'queued'")), ("importing", (RUNNING, "'running', 'host:7', 'x', NOW(6)")),
    ("partial", ("state", "'completed'")), ("preflight_passed", ("state", "'canceled'")),
])
def test_jobs_in_good_order_are_no_finding(find_problems, admin_db, status, job):
    admin_db.execute(BATCH.format(status))
    admin_db.execute(JOB.format(*job))
    assert find_problems() == {}


@pytest.mark.parametrize("zone", ["Europe/London", "America/New_York", "Africa/Abidjan", "UTC"])
def test_the_sweep_of_a_perl_side_in_a_local_zone_is_a_note(find_problems, sound, zone):
    database = dataclasses.replace(sound.database, perl_time_zone=ZoneInfo(zone))
    findings = find_problems(dataclasses.replace(sound, database=database))
    if zone in ("Africa/Abidjan", "UTC"):  # UTC all year
        assert findings == {}
    else:
        [finding] = findings.values()
        assert (finding.check, finding.level, finding.found) == ("sweep of the Perl side", doctor.NOTE, zone)
        assert "RIGHT(claim_token, 8)" in finding.advice


# ------------------------------------------------------------------------------------------------------ the server


@pytest.fixture(scope="module")
def ill(tmp_path_factory):
    """A MariaDB that is set up in all the wrong ways."""
    options = ("--log-bin", "--binlog-format=STATEMENT", "--max-allowed-packet=1M", "--enforce-storage-engine=MyISAM")
    with MariaDBServer(installation.prepared(tmp_path_factory.mktemp("ill")), *THROWAWAY, *options) as running:
        yield running


@pytest.mark.parametrize(("check", "found"), [
    ("binary log", "STATEMENT"), ("max_allowed_packet", "1 MiB"), ("enforce_storage_engine", "MyISAM"),
    ("table asset", "missing"), ("account gpu_worker", "missing"),
])
def test_a_server_that_is_set_up_wrongly_is_found(ill, sound, check, found):
    settings = dataclasses.replace(sound, database=dataclasses.replace(ill.admin("test")))
    db = Database(ill.admin())
    db.execute("CREATE DATABASE IF NOT EXISTS test")
    db.close()
    findings = {each.check: each for each in doctor.run_checks(settings)}
    assert (findings[check].level, findings[check].found) == (doctor.WRONG, found)


@pytest.mark.parametrize(("fault", "check", "found"), [
    ("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ", of_the_server.check_isolation, "REPEATABLE-READ"),
    ("SET timestamp = UNIX_TIMESTAMP() - 3600", of_the_server.check_clock, "360"),
])
def test_a_session_that_is_not_as_it_was_made_is_found(panel_db, settings, fault, check, found):
    panel_db.execute(fault)
    [finding] = check(panel_db, settings)
    assert finding.level != doctor.OK and finding.found.startswith(found)


def test_snapshot_isolation_is_a_fault_only_at_another_level_than_ours(admin_db, panel_db, settings):
    admin_db.execute("SET GLOBAL innodb_snapshot_isolation = ON")
    try:
        fresh = Database(panel_db.settings)
        [ours] = of_the_server.check_snapshot_isolation(fresh, settings)
        fresh.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        [other] = of_the_server.check_snapshot_isolation(fresh, settings)
        fresh.close()
    finally:
        admin_db.execute("SET GLOBAL innodb_snapshot_isolation = DEFAULT")
    assert (ours.level, other.level) == (doctor.OK, doctor.NOTE)


def test_a_database_that_is_down_is_one_finding_and_the_files_are_examined_all_the_same(find_problems, sound, tmp_path):
    gone = dataclasses.replace(sound.database, unix_socket=str(tmp_path / "nobody.sock"))
    assert list(find_problems(dataclasses.replace(sound, database=gone))) == ["database"]


# ------------------------------------------------------------------------------------------------- mount and files


@pytest.mark.parametrize(("name", "mode", "advice"), [
    ("panel.secret", 0o644, "chmod 600"), ("gpu_panel.password", 0o604, "chmod 600"),
    ("panel.conf", 0o666, "chmod o-w"),
])
def test_a_file_that_is_open_to_others_is_found(find_problems, sound, name, mode, advice):
    file = sound.path.with_name(name)
    file.chmod(mode)
    assert find_problems()[f"permissions of {name}"].advice == f"{advice} {file}"


def test_the_secrets_of_notify_are_checked(find_problems, sound):
    hook = "webhook_url = https://example.org/T0KEN\nwebhook_secret_file = hook.key\n"
    sound.path.write_text(f"{sound.path.read_text()}\n[notify]\n{hook}")
    sound.path.chmod(0o644)
    changed = config.load(sound.path)
    findings = find_problems(changed)
    assert findings["permissions of panel.conf"].advice == f"chmod 600 {sound.path}"
    assert "hook.key does not exist" in findings["notify"].found
    sound.path.chmod(0o640)
    key = sound.path.with_name("hook.key")
    key.write_text("a key")
    key.chmod(0o644)
    assert [finding.advice for finding in find_problems(changed).values()] == [f"chmod 600 {key}"]
    key.chmod(0o600)
    assert find_problems(changed) == {}


def test_a_password_within_a_configuration_that_others_can_read_is_found(find_problems, sound):
    text = sound.path.read_text().replace("password_file = gpu_panel.password", "password = gpu_panel has a 'secret'")
    sound.path.write_text(text)
    assert find_problems()["permissions of panel.conf"].advice == f"chmod 600 {sound.path}"
    sound.path.chmod(0o640)
    assert find_problems() == {}


def test_templates_that_are_missing_or_that_others_can_write_are_found(find_problems, sound, tmp_path):
    folder = tmp_path / "overrides"
    settings = dataclasses.replace(sound, panel=dataclasses.replace(sound.panel, templates=folder))
    assert list(find_problems(settings)) == ["templates"]
    folder.mkdir()
    (folder / "layout.html").touch()
    assert find_problems(settings) == {}
    (folder / "layout.html").chmod(0o666)
    assert list(find_problems(settings)) == ["permissions of layout.html"]


def test_a_secret_that_nobody_could_make_is_found(find_problems, sound, tmp_path):
    panel = dataclasses.replace(sound.panel, secret_file=tmp_path / "nowhere" / "panel.secret")
    assert list(find_problems(dataclasses.replace(sound, panel=panel))) == ["secret_file"]


def test_a_mount_that_is_gone_is_found(find_problems, assets_dir):
    (assets_dir / "sync").rename(assets_dir / "away")
    assert list(find_problems()) == ["mount"]


def test_an_empty_mount_and_a_stray_sentinel_are_worth_a_look(find_problems, assets_dir):
    (assets_dir / "sync" / "stray.ready").touch()
    assert find_problems()["sentinels"].found == "1, and 1 whose names are no sync_id"
    for sentinel in (assets_dir / "sync").glob("*.ready"):
        sentinel.unlink()
    assert find_problems()["sentinels"].found == "0, and 0 whose names are no sync_id"


def test_assets_that_are_not_there_are_found(find_problems, sound, tmp_path):
    mount = dataclasses.replace(sound.mount, assets_dir=tmp_path / "nowhere")
    assert list(find_problems(dataclasses.replace(sound, mount=mount))) == ["assets"]


def test_a_mount_that_does_not_answer_is_found_in_time(find_problems, sound, monkeypatch):
    hangs = Event()
    monkeypatch.setattr(Mount, "list_sentinels", lambda self: iter(hangs.wait, True))
    findings = [each for each in doctor.run_checks(sound, seconds=0.2) if each.check == "mount"]
    hangs.set()
    assert [(each.level, "did not answer" in each.found) for each in findings] == [(doctor.WRONG, True)]
