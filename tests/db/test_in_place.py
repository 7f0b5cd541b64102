"""doctor --statements turns the tables of a Perl panel into ours, and the Perl panel goes on working on them."""

import json
import subprocess
from types import SimpleNamespace

import installation
import preloaded_programs
import pytest
from constants import GPUPANEL
from gpupanel import config
from gpupanel.db import Database, schema
from gpupanel.devtools.bundle_factory import BundleWriter
from gpupanel.devtools.mariadb_server import MariaDBServer, THROWAWAY
from gpupanel.doctor import schema_diff
from gpupanel.errors import InvalidStateError
from perl_panel import OFFSET, ZONE, PerlPanel

NAME = "admin_panel"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with MariaDBServer(installation.prepared(tmp_path_factory.mktemp("in-place")), *THROWAWAY) as server:
        yield server


@pytest.fixture
def side(server, tmp_path):
    """The Perl panel with two imported bundles and a third one on the mount, and an administrator's configuration."""
    assets_dir = tmp_path / "assets"
    (assets_dir / "sync").mkdir(parents=True)
    bundles = BundleWriter(assets_dir / "sync", assets_dir)
    perl, admin = PerlPanel(server, NAME, assets_dir), Database(server.admin())
    perl.create(admin)
    photos = list(bundles.assets("one", 3, mix=("photo", "cover")))
    first = bundles.bundle("one", photos, [bundles.container("gallery", "Coast", photos[:2])])
    perl.bring(first, bundles.bundle("two", bundles.assets("two", 2)))
    conf = tmp_path / "admin.conf"
    conf.write_text(
        f"[database]\nunix_socket = {server.socket}\nuser = {server.admin().user}\nname = {NAME}\n"
        f"perl_time_zone = {ZONE}\n[mount]\nsync_dir = {assets_dir / 'sync'}\n"
    )
    db = Database(server.admin(NAME))
    yield SimpleNamespace(perl=perl, bundles=bundles, conf=conf, db=db, server=server)
    db.close()
    admin.close()


def doctor(side, *options):
    return gpupanel("doctor", "--config", side.conf, "--statements", *options)


def gpupanel(*arguments):
    return preloaded_programs.run([GPUPANEL, *arguments])


def apply(side):
    """Run the script of doctor with the client, as an administrator does."""
    script = doctor(side)
    assert script.returncode == 0, script.stdout + script.stderr
    client = ["mariadb", f"--socket={side.server.socket}", NAME]
    done = subprocess.run(client, input=script.stdout, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return script.stdout


def wrong(side):
    findings = schema_diff.compare_schema(side.db, config.load(side.conf))
    return [finding for finding in findings if finding.level == "wrong" and finding.found != "missing"]


def test_the_statements_run_in_their_order_and_leave_nothing_wrong(side):
    before = side.db.execute("SELECT COUNT(*) AS n, MD5(GROUP_CONCAT(title ORDER BY id)) AS titles FROM asset")
    script = apply(side)
    assert script.count("ALTER TABLE asset ") == 1 and "asset_site_membership MODIFY COLUMN asset_id" in script
    assert wrong(side) == []
    assert side.db.execute("SELECT COUNT(*) AS n, MD5(GROUP_CONCAT(title ORDER BY id)) AS titles FROM asset") == before
    assert doctor(side).stdout == ""
    good = "SELECT SUM(sha256 = BINARY SHA2(document, 256)) AS good, COUNT(*) AS n FROM asset_source"
    [digests] = side.db.execute(good)
    assert digests["good"] == digests["n"] > 4
    schema.apply(side.server.admin(NAME))
    assert [finding for finding in schema_diff.compare_schema(side.db, config.load(side.conf))
            if finding.level == "wrong"] == []


def test_every_statement_of_the_perl_panel_and_worker_works_afterwards(side):
    apply(side)
    schema.apply(side.server.admin(NAME))
    photos = list(side.bundles.assets("three", 3, mix=("photo", "cover"), derivatives=("icon", "frosted")))
    containers = [side.bundles.container(kind, "Hills", photos) for kind in ("gallery", "collection")]
    three = side.bundles.bundle("three", photos, containers)
    side.perl.bring(three)
    again = side.bundles.bundle("four", photos[:1], action="update")
    gone = side.bundles.bundle("five", photos[:1], action="remove")
    side.perl.bring(again, gone)
    side.perl("queue", three)
    [job] = side.db.execute("SELECT MAX(id) AS id FROM import_job")
    side.perl("cancel", job["id"])
    assert [line.split()[1] for line in side.perl("list").splitlines()] == 2 * ["completed"] + [
        "completed" if line.split()[0] != three else "preflight_passed" for line in side.perl("list").splitlines()[2:]
    ]
    [digest] = side.db.execute("SELECT COUNT(*) AS n FROM asset_source WHERE sha256 <> BINARY SHA2(document, 256)")
    assert digest["n"] == 0


# fault -> table, what the statement changes, number of rows
OBSTACLES = {
    "UPDATE ingest_batch SET status = 'Waiting' LIMIT 1": ("ingest_batch", "column status", 1),
    "UPDATE ingest_event SET payload = '{broken' LIMIT 2": ("ingest_event", "column payload", 2),
    "UPDATE asset SET width = -1 LIMIT 3": ("asset", "column width", 3),
    "UPDATE asset SET updated_at = '0000-00-00' LIMIT 1": ("asset", "column updated_at", 1),
    "UPDATE asset_derivative SET kind = 'medi\u00fcm' LIMIT 1": ("asset_derivative", "column kind", 1),
    "UPDATE import_job SET state = 'queued'; INSERT INTO import_job (batch_id, requested_by, queued_at)"
    " SELECT batch_id, 'x', '2026-01-01' FROM import_job LIMIT 1": ("import_job", "index one_active_job_a_batch", 1),
    "INSERT INTO asset_cover (asset_id, cover_hash) VALUES (1, 'x'), (1, 'x')": ("asset_cover", "index cover", 1),
    "UPDATE asset_source SET asset_id = 999 LIMIT 1": ("asset_source", "foreign key asset_source_asset", 1),
    "ALTER TABLE import_job ADD started INT UNSIGNED NULL; UPDATE import_job SET started = 1777777777; ALTER TABLE"
    " import_job DROP claimed_at, RENAME COLUMN started TO claimed_at": ("import_job", "column claimed_at", 3),
    "ALTER TABLE ingest_batch MODIFY source_host VARCHAR(400); UPDATE ingest_batch SET source_host = REPEAT('x', 300)"
    " LIMIT 1": ("ingest_batch", "column source_host", 1),
    "ALTER TABLE asset_gallery MODIFY gallery_hash VARCHAR(64) NULL; UPDATE asset_gallery SET gallery_hash = NULL": (
        "asset_gallery", "column gallery_hash", 1,
    ),
}


def test_rows_that_make_a_statement_fail_are_named_with_their_query_and_number(side):
    side.db.execute("SET sql_mode = ''")
    side.db.execute("ALTER TABLE asset_source DROP FOREIGN KEY fk_source_asset")
    side.db.execute("ALTER TABLE asset_cover DROP FOREIGN KEY fk_cover_asset, DROP KEY uq_cover")
    side.db.execute("DELETE FROM asset_cover")
    for fault in OBSTACLES:
        for statement in fault.split("; "):
            side.db.execute(statement)
    answer = doctor(side, "--json")
    obstacles = json.loads(answer.stdout)["obstacles"]
    found = {(obstacle["table"], obstacle["what"], obstacle["rows"]) for obstacle in obstacles}
    assert answer.returncode == 1 and found == set(OBSTACLES.values())
    side.db.execute("SET NAMES utf8mb4, sql_mode = ''")
    for obstacle in obstacles:
        assert len(side.db.execute(obstacle["query"])) == obstacle["rows"]
    assert "-- 3 rows come first, for column width of asset:" in doctor(side).stdout


def test_init_db_changes_nothing_before_the_statements_and_names_the_first(side):
    before = side.db.execute("SHOW TABLES")
    with pytest.raises(InvalidStateError, match="tables of another program"):
        schema.apply(side.server.admin(NAME))
    assert side.db.execute("SHOW TABLES") == before
    answer = gpupanel("init-db", "--config", side.conf)
    first = next(line for line in doctor(side).stdout.splitlines() if line.startswith("ALTER"))
    assert answer.returncode == 1 and first in answer.stderr and "doctor --statements" in answer.stderr


def test_other_keys_of_the_perl_side_are_kept_and_columns_that_need_a_value_get_a_default(side):
    side.db.execute("ALTER TABLE asset ADD COLUMN rating INT NOT NULL, ADD KEY by_rating (rating)")
    side.db.execute("ALTER TABLE asset_ai_run ADD KEY of_asset (asset_id), DROP KEY uq_run, DROP COLUMN content_sha256")
    apply(side)
    assert wrong(side) == []
    schema.apply(side.server.admin(NAME))
    side.db.execute("INSERT INTO asset (asset_type, asset_hash) VALUES ('photo', REPEAT('f', 64))")
    side.db.execute("INSERT INTO asset_ai_run (asset_id, analysis_kind, document) VALUES (1, 'meaning', '{\"a\": 1}')")
    [run] = side.db.execute("SELECT content_sha256 = BINARY SHA2('{\"a\": 1}', 256) AS same FROM asset_ai_run"
                            " ORDER BY id DESC LIMIT 1")
    assert run["same"] == 1
    assert [row for row in side.db.execute("SHOW KEYS FROM asset") if row["Key_name"] == "by_rating"]


@pytest.mark.parametrize("name", ["my-table", "we`ird", "x; DROP TABLE asset; -- ", "line\nbreak"])
def test_a_table_of_another_program_with_an_odd_name_is_named_and_never_part_of_a_statement(side, name):
    quoted = name.replace("`", "``")
    [column] = side.db.execute("SHOW COLUMNS FROM asset LIKE 'id'")
    side.db.execute(
        f"CREATE TABLE `{quoted}x` (id INT PRIMARY KEY, asset_id {column['Type']}, CONSTRAINT `{quoted}y`"
        " FOREIGN KEY (asset_id) REFERENCES asset (id))"
    )
    found = doctor(side)
    assert (found.returncode, found.stdout) == (1, "")
    assert "refers to these tables by its foreign key" in found.stderr and "Traceback" not in found.stderr


# ------------------------------------------------------------------------------------- columns of another nature

# statements -> table, column, what the obstacle says is there, and the part of its remedy
NATURES = {
    "ALTER TABLE asset_cover MODIFY cover_hash VARBINARY(64) NOT NULL; UPDATE asset_cover SET cover_hash ="
    " UNHEX(cover_hash); ALTER TABLE asset_cover MODIFY cover_hash BINARY(32) NOT NULL":
        ("asset_cover", "cover_hash", "it is binary(32), and must be char(64)", "LOWER(HEX(cover_hash))"),
    "ALTER TABLE ingest_batch MODIFY sync_id VARBINARY(36) NOT NULL; UPDATE ingest_batch SET sync_id ="
    " UNHEX(REPLACE(sync_id, '-', '')); ALTER TABLE ingest_batch MODIFY sync_id BINARY(16) NOT NULL":
        ("ingest_batch", "sync_id", "it is binary(16), and must be char(36)", "REGEXP_REPLACE(LOWER(HEX(sync_id))"),
    "ALTER TABLE asset_gallery ADD made INT UNSIGNED; UPDATE asset_gallery SET made = UNIX_TIMESTAMP(created_at);"
    " ALTER TABLE asset_gallery DROP created_at, RENAME COLUMN made TO created_at":
        ("asset_gallery", "created_at", "it is int unsigned, and must be datetime(6)", "FROM_UNIXTIME("),
    "ALTER TABLE asset_gallery ADD made BIGINT; UPDATE asset_gallery SET made = 1000 * UNIX_TIMESTAMP(created_at);"
    " ALTER TABLE asset_gallery DROP created_at, RENAME COLUMN made TO created_at":
        ("asset_gallery", "created_at", "it is bigint, and must be datetime(6)", "FROM_UNIXTIME("),
}


def test_a_zero_for_no_time_becomes_no_time(side):
    run(side, "ALTER TABLE asset_gallery DROP deleted_at, ADD deleted_at BIGINT NOT NULL DEFAULT 0")
    [obstacle] = json.loads(doctor(side, "--json").stdout)["obstacles"]
    run(side, statements_of(obstacle))
    assert side.db.execute("SELECT COUNT(*) AS live, COUNT(deleted_at) AS gone FROM asset_gallery") == [
        {"live": side.db.execute("SELECT COUNT(*) AS n FROM asset_gallery")[0]["n"], "gone": 0}
    ]
    apply(side)
    assert wrong(side) == []


@pytest.mark.parametrize("key", ["ADD PRIMARY KEY (gallery_id, asset_id)", "ADD note INT"])
def test_a_table_whose_rows_have_no_number_gets_one(side, key):
    run(side, f"ALTER TABLE asset_gallery_item DROP id, {key}")
    [obstacle] = json.loads(doctor(side, "--json").stdout)["obstacles"]
    assert obstacle["what"] == "column id" and "asset_gallery_item has no such column" in obstacle["cause"]
    run(side, obstacle["remedy"].partition("need not know it: ")[2].partition("; then repeat")[0])
    apply(side)
    assert wrong(side) == []


def test_events_of_a_table_without_an_order_of_rows_are_numbered_by_their_times(side):
    run(side, "UPDATE ingest_event SET created_at = '2026-01-01' + INTERVAL id SECOND;"
              " CREATE TABLE written ENGINE = MyISAM AS SELECT batch_id, event_type, payload, created_at"
              " FROM ingest_event ORDER BY id DESC;"
              " DROP TABLE ingest_event; RENAME TABLE written TO ingest_event")
    [obstacle] = json.loads(doctor(side, "--json").stdout)["obstacles"]
    run(side, obstacle["remedy"].partition("need not know it: ")[2].partition("; then repeat")[0])
    apply(side)
    assert wrong(side) == []
    times = [row["created_at"] for row in side.db.execute("SELECT created_at FROM ingest_event ORDER BY id")]
    assert times == sorted(times) and len(set(times)) == len(times) > 5


def test_other_words_of_an_enum_are_named_where_rows_have_them(side):
    run(side, "ALTER TABLE import_job MODIFY state ENUM('queued', 'completed', 'zu Ende', 'nie') NOT NULL")
    assert doctor(side).returncode == 0  # no row has one of the other words
    run(side, "UPDATE import_job SET state = 'zu Ende' LIMIT 1")
    [obstacle] = json.loads(doctor(side, "--json").stdout)["obstacles"]
    assert obstacle["rows"] == 1 and obstacle["cause"].startswith("its words zu Ende, nie are none of ours: queued, ")
    assert "CASE state WHEN 'zu Ende' THEN <WORD> ELSE state END" in obstacle["remedy"]
    assert wrong(side) and not any("MODIFY COLUMN state" in finding.advice for finding in wrong(side))


# What a Perl side of another habit does: statements -> (table, what is corrected, rows, part of the remedy)
HABITS = {
    "ALTER TABLE ingest_batch MODIFY started_at DATETIME NOT NULL DEFAULT '0000-00-00'; UPDATE ingest_batch SET"
    " started_at = '0000-00-00'": ("ingest_batch", "column started_at", 2, "MODIFY `started_at` datetime NULL"),
    "ALTER TABLE asset MODIFY bytes VARCHAR(20) NOT NULL DEFAULT ''; UPDATE asset SET bytes = '' LIMIT 2":
        ("asset", "column bytes", 2, "MODIFY `bytes` varchar(20) NULL"),
    "ALTER TABLE ingest_batch MODIFY action ENUM('create', 'update', '') NOT NULL; UPDATE ingest_batch SET action = ''"
    " LIMIT 1": ("ingest_batch", "column action", 1, "MODIFY `action` enum('create','update','') NULL"),
    "ALTER TABLE ingest_batch_item MODIFY job_id INT UNSIGNED NOT NULL DEFAULT 0; UPDATE ingest_batch_item SET job_id"
    " = 0 LIMIT 3": ("ingest_batch_item", "foreign key ingest_batch_item_job", 3, "MODIFY `job_id` int(10) unsigned"),
    "ALTER TABLE ingest_batch MODIFY manifest_summary LONGBLOB; UPDATE ingest_batch SET manifest_summary ="
    " X'7B226E223A22636166E9227D' LIMIT 1":
        ("ingest_batch", "column manifest_summary", 1, "(CONVERT(`manifest_summary` USING latin1) USING utf8mb4)"),
}


@pytest.mark.parametrize("statements", HABITS)
def test_rows_whose_values_stand_for_none_or_are_latin1_come_with_statements_that_run_as_printed(side, statements):
    table, what, rows, part = HABITS[statements]
    run(side, f"SET SESSION sql_mode = ''; {statements}")
    changed = f"SELECT id, updated_at FROM {table} ORDER BY id"
    before = side.db.execute(changed)
    [obstacle] = json.loads(doctor(side, "--json").stdout)["obstacles"]
    assert (obstacle["table"], obstacle["what"], obstacle["rows"], obstacle["cause"]) == (table, what, rows, "")
    assert part in obstacle["remedy"] and f"--   {obstacle['remedy']}" in doctor(side).stdout
    run(side, obstacle["remedy"].partition(": ")[2])
    assert side.db.execute(changed) == before  # the times of the latest change stay
    apply(side)
    assert wrong(side) == []
    if "latin1" in part:
        assert side.db.execute("SELECT manifest_summary AS s FROM ingest_batch")[0]["s"] == '{"n":"caf\u00e9"}'


# statements -> table, column, the cause, and the part of its remedy
LETTERS = {
    "UPDATE asset SET asset_hash = UPPER(asset_hash)":
        ("asset", "asset_hash", "it has capital letters", "asset_hash = LOWER(asset_hash)"),
    "ALTER TABLE asset MODIFY asset_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL; UPDATE asset SET"
    " asset_hash = UPPER(asset_hash)":
        ("asset", "asset_hash", "it has capital letters", "asset_hash = LOWER(asset_hash)"),
    "UPDATE ingest_batch SET sync_id = UPPER(sync_id)":
        ("ingest_batch", "sync_id", "it has capital letters", "LOWER(sync_id), `updated_at` = `updated_at`"),
    "ALTER TABLE ingest_batch MODIFY action ENUM('CREATE', 'UPDATE')":
        ("ingest_batch", "action", "its words CREATE, UPDATE are none of ours", "WHEN 'CREATE' THEN 'create'"),
    "UPDATE asset SET asset_type = 'Photo' WHERE asset_type = 'photo'":
        ("asset", "asset_type", "its words are ours in other letters", "asset_type = LOWER(asset_type)"),
}


@pytest.mark.parametrize("statements", LETTERS)
def test_capital_letters_are_of_another_nature_and_their_remedy_leads_to_tables_without_a_fault(side, statements):
    table, column, cause, part = LETTERS[statements]
    [before] = side.db.execute(f"SELECT GROUP_CONCAT({column} ORDER BY id) AS list FROM {table}")
    run(side, f"SET foreign_key_checks = 0; {statements}")
    answer = doctor(side, "--json")
    [obstacle] = json.loads(answer.stdout)["obstacles"]
    assert answer.returncode == 1 and (obstacle["table"], obstacle["what"]) == (table, f"column {column}")
    assert obstacle["cause"].startswith(cause) and part in obstacle["remedy"]
    run(side, statements_of(obstacle))
    apply(side)
    assert wrong(side) == []
    assert side.db.execute(f"SELECT GROUP_CONCAT({column} ORDER BY id) AS list FROM {table}") == [before]


def test_a_partitioned_table_with_a_key_of_two_columns_becomes_one_table(side):
    run(side, "ALTER TABLE ingest_event DROP FOREIGN KEY fk_event_batch; ALTER TABLE ingest_event"
              " DROP PRIMARY KEY, ADD PRIMARY KEY (id, batch_id) PARTITION BY HASH (batch_id) PARTITIONS 3")
    before = side.db.execute("SELECT id, event_type FROM ingest_event ORDER BY id")
    assert "REMOVE PARTITIONING;" in apply(side)
    assert wrong(side) == [] and doctor(side).stdout == ""
    assert side.db.execute("SELECT id, event_type FROM ingest_event ORDER BY id") == before


def test_names_and_comments_of_the_perl_side_may_hold_any_characters(side):
    run(side, "ALTER TABLE asset ADD COLUMN `order` INT NOT NULL COMMENT 'sort, not null',"
              " ADD COLUMN `shelf no` INT NULL COMMENT 'it''s not null in shop 2',"
              " ADD COLUMN `a-b` VARCHAR(9) NOT NULL, ADD COLUMN `\u68da` INT NOT NULL,"
              " ADD UNIQUE KEY `the one` (asset_type, asset_hash, `shelf no`),"
              " ADD FULLTEXT KEY `f t` (title)")
    run(side, "ALTER TABLE import_job ADD KEY `claims-1` (state, priority, id), DROP KEY ix_claim")
    script = apply(side)
    assert "MODIFY COLUMN `order` int(11) NULL COMMENT 'sort, not null'" in script and "`shelf no`" not in script
    assert "RENAME INDEX `claims-1` TO claim" in script
    assert wrong(side) == [] and doctor(side).stdout == ""
    side.db.execute("INSERT INTO asset (asset_type, asset_hash) VALUES ('photo', REPEAT('e', 64))")


def test_names_of_columns_may_have_capital_letters_and_checks_are_noted(side):
    run(side, "ALTER TABLE ingest_batch CHANGE sync_id Sync_ID VARCHAR(36) NOT NULL;"
              " ALTER TABLE asset CHANGE title Title VARCHAR(255) NULL;"
              " ALTER TABLE import_job ADD CONSTRAINT `its-state`"
              " CHECK (state IN ('queued', 'running', 'completed', 'failed', 'canceled'))")
    apply(side)
    assert wrong(side) == [] and doctor(side).stdout == ""
    assert side.db.execute("SELECT * FROM asset LIMIT 1")[0]["title"]
    [note] = [
        finding for finding in schema_diff.compare_schema(side.db, config.load(side.conf)) if "check" in finding.check
    ]
    assert note.level == "note" and note.check == "table import_job: check its-state"
    run(side, note.advice.partition("or: ")[2])


def test_a_table_that_keeps_the_history_of_its_rows_is_refused(side):
    run(side, "ALTER TABLE asset_gallery ADD SYSTEM VERSIONING")
    answer = doctor(side)
    assert answer.returncode == 1 and "-- table asset_gallery: it keeps the history of its rows" in answer.stdout
    run(side, "ALTER TABLE asset_gallery DROP SYSTEM VERSIONING")
    apply(side)


def test_zero_dates_that_perl_writes_after_the_change_are_named_and_conversion_waits_for_them(side):
    apply(side)
    schema.apply(side.server.admin(NAME))
    run(side, "SET SESSION sql_mode = ''; UPDATE ingest_batch SET completed_at = '0000-00-00' LIMIT 1")
    refused = gpupanel("cutover", "convert-times", "--config", side.conf)
    assert refused.returncode == 1 and "ingest_batch.completed_at has zero dates in 1 row" in refused.stderr
    [obstacle] = json.loads(doctor(side, "--json").stdout)["obstacles"]
    run(side, obstacle["remedy"].partition(": ")[2])
    assert doctor(side).stdout == ""
    assert gpupanel("cutover", "convert-times", "--config", side.conf).returncode == 0


def test_the_rows_of_a_view_over_the_tables_of_two_years_are_copied_by_the_printed_statements(side):
    events = "SELECT id, batch_id, event_type, payload, created_at FROM ingest_event ORDER BY id"
    before = side.db.execute(events)
    run(side, "ALTER TABLE ingest_event DROP FOREIGN KEY fk_event_batch, RENAME TO events_2025; CREATE TABLE"
              " events_2026 LIKE events_2025; INSERT INTO events_2026 SELECT * FROM events_2025 WHERE id > 3; DELETE"
              " FROM events_2025 WHERE id > 3; CREATE VIEW ingest_event AS SELECT * FROM events_2025 UNION ALL"
              " SELECT * FROM events_2026")
    [obstacle] = json.loads(doctor(side, "--json").stdout)["obstacles"]
    assert obstacle["what"] == "table" and obstacle["cause"].startswith("it is a view")
    run(side, obstacle["remedy"].partition("run: ")[2].partition("; then repeat")[0])
    apply(side)
    assert wrong(side) == [] and len(before) > 3
    assert side.db.execute(events) == before


# ------------------------------------------------------------------------ codes, keys, and rows without a statement

# column -> table, its code as SQL, and the first of our words that its rows have
CODES = {
    "action": ("ingest_batch", "SMALLINT", "FIELD(w, 'create', 'update')"),
    "status": ("ingest_batch", "TINYINT UNSIGNED", "FIELD(w, 'completed', 'discovered', 'preflight_passed') - 1"),
    "asset_type": ("asset", "INT", "0"),
    "event_type": ("ingest_event", "SMALLINT", "FIND_IN_SET(w, (SELECT GROUP_CONCAT(DISTINCT event_type) FROM old))"),
    "decision": ("ingest_batch_item", "DECIMAL(3, 0)", "FIELD(w, 'created', 'updated') - 1"),
}


@pytest.mark.parametrize("column", CODES)
def test_codes_for_words_are_never_emptied_and_wait_for_the_words_of_the_team(side, column):
    table, kind, code = CODES[column]
    if column == "event_type":
        run(side, "CREATE TABLE old AS SELECT event_type FROM ingest_event")
    if column == "asset_type":
        run(side, "UPDATE asset SET asset_type = 'photo'")
    run(side, f"UPDATE ingest_batch SET status = 'discovered' LIMIT 1; ALTER TABLE {table} ADD w VARCHAR(32);"
              f" UPDATE {table} SET w = {column}; ALTER TABLE {table} MODIFY {column} VARCHAR(32) NULL; UPDATE {table}"
              f" SET {column} = {code}; ALTER TABLE {table} MODIFY {column} {kind} NOT NULL")
    rows = side.db.execute(f"SELECT w, MIN({column}) AS code, COUNT(*) AS n FROM {table} GROUP BY w")
    [obstacle] = json.loads(doctor(side, "--json").stdout)["obstacles"]
    assert obstacle["cause"].endswith("numbers, where this system keeps words.")
    assert (obstacle["what"], obstacle["rows"]) == (f"column {column}", sum(row["n"] for row in rows))
    assert "NULL" not in obstacle["remedy"] and f"SELECT {column}, COUNT(*) FROM {table}" in obstacle["remedy"]
    remedy = statements_of(obstacle)
    client = ["mariadb", f"--socket={side.server.socket}", "--force", NAME, "-e", remedy]
    unfilled = subprocess.run(client, capture_output=True, text=True)
    assert "ERROR 1064" in unfilled.stderr
    assert side.db.execute(f"SELECT COUNT(*) AS n FROM {table} WHERE {column} REGEXP '^[0-9]$'") == [
        {"n": obstacle["rows"]}
    ]
    [again] = json.loads(doctor(side, "--json").stdout)["obstacles"]  # the codes are texts by now
    assert again["rows"] == obstacle["rows"] and "NULL" not in again["remedy"]
    remedy = statements_of(again)
    for row in rows:
        remedy = remedy.replace(f"WHEN '{row['code']}' THEN <WORD>", f"WHEN '{row['code']}' THEN '{row['w']}'")
    run(side, remedy)
    apply(side)
    assert wrong(side) == []
    assert side.db.execute(f"SELECT COUNT(*) AS n FROM {table} WHERE {column} <> w OR {column} IS NULL") == [{"n": 0}]


def test_words_of_a_text_column_that_are_none_of_ours_are_never_emptied(side):
    side.db.execute("UPDATE ingest_batch SET action = %(word)s", word="an'l\u00e9gen; --")
    [obstacle] = json.loads(doctor(side, "--json").stdout)["obstacles"]
    assert obstacle["rows"] == 3 - 1 and "NULL" not in obstacle["remedy"]
    remedy = statements_of(obstacle)
    run(side, remedy.replace("<WORD>", "'create'"))
    apply(side)
    assert side.db.execute("SELECT DISTINCT action AS a FROM ingest_batch") == [{"a": "create"}]


@pytest.mark.parametrize(("table", "columns"), [
    ("asset_source", "asset_id"), ("asset_gallery_item", "gallery_id, asset_id"),
])
def test_rows_stay_unique_when_a_number_replaces_their_primary_key(side, table, columns):
    unique = [row["Key_name"] for row in side.db.execute(f"SHOW KEYS FROM {table}")
              if not row["Non_unique"] and row["Key_name"] != "PRIMARY"]
    drop = "".join(f", DROP KEY {name}" for name in dict.fromkeys(unique))
    run(side, f"ALTER TABLE {table} DROP COLUMN id, ADD PRIMARY KEY ({columns}){drop}")
    [obstacle] = json.loads(doctor(side, "--json").stdout)["obstacles"]
    run(side, obstacle["remedy"].partition("need not know it: ")[2].partition("; then repeat")[0])
    before = side.db.execute(f"SELECT COUNT(*) AS n FROM {table}")
    names = f"{columns}, {'document' if table == 'asset_source' else 'position'}"
    again = f"INSERT INTO {table} ({names}) SELECT {names} FROM {table} t ON DUPLICATE KEY UPDATE asset_id = t.asset_id"
    run(side, again)
    assert side.db.execute(f"SELECT COUNT(*) AS n FROM {table}") == before and before[0]["n"]
    apply(side)
    assert wrong(side) == []
    run(side, again)
    assert side.db.execute(f"SELECT COUNT(*) AS n FROM {table}") == before


def test_columns_of_a_replaced_primary_key_stay_unique_after_the_statements(side):
    run(side, "ALTER TABLE asset_gallery MODIFY id INT UNSIGNED NOT NULL; ALTER TABLE asset_gallery DROP PRIMARY KEY,"
              " ADD PRIMARY KEY (gallery_hash, id), ADD KEY (id), MODIFY id INT UNSIGNED NOT NULL AUTO_INCREMENT;"
              " ALTER TABLE asset_derivative MODIFY id INT UNSIGNED NOT NULL; ALTER TABLE asset_derivative DROP PRIMARY"
              " KEY, ADD PRIMARY KEY (asset_id, path), ADD KEY (id), MODIFY id INT UNSIGNED NOT NULL AUTO_INCREMENT")
    script = apply(side)
    assert "ADD UNIQUE KEY primary_before (`asset_id`, `path`), ADD PRIMARY KEY (id)" in script
    assert script.count("primary_before") == 1  # the id alone is unique in asset_gallery
    assert wrong(side) == []


# What rows need beyond a value for none: statements -> table, what, rows, part of the remedy, and what is filled in
MENDS = {
    "ALTER TABLE import_job MODIFY requested_by VARCHAR(64) NULL; UPDATE import_job SET requested_by = NULL LIMIT 1":
        ("import_job", "column requested_by", 1, "no NULL from now on", "'perl'"),
    "ALTER TABLE asset_gallery_item MODIFY position INT NULL; UPDATE asset_gallery_item SET position = NULL LIMIT 1":
        ("asset_gallery_item", "column position", 1, "`position` = 0", ""),
    "ALTER TABLE asset_source DROP FOREIGN KEY fk_source_asset; UPDATE asset_source SET asset_id = 999 LIMIT 1":
        ("asset_source", "foreign key asset_source_asset", 1, "asset_source_without_asset_id", ""),
    "ALTER TABLE asset_derivative DROP FOREIGN KEY fk_derivative_asset, DROP KEY uq_derivative; INSERT INTO"
    " asset_derivative (asset_id, kind, path) SELECT asset_id, kind, path FROM asset_derivative ORDER BY id LIMIT 1":
        ("asset_derivative", "index derivative", 1, "asset_derivative_twins", ""),
    "INSERT INTO import_job (batch_id, state, requested_by) SELECT id, 'queued', 'x' FROM ingest_batch UNION ALL"
    " SELECT id, 'running', 'x' FROM ingest_batch":
        ("import_job", "index one_active_job_a_batch", 2, "'canceled'", ""),
    "ALTER TABLE asset MODIFY title VARCHAR(400); UPDATE asset SET title = REPEAT('é', 300) LIMIT 2":
        ("asset", "column title", 2, "LEFT(`title`, 255)", ""),
    "UPDATE asset SET updated_at = '0000-00-00' LIMIT 2":
        ("asset", "column updated_at", 2, "known best", "'1970-01-02'"),
    "UPDATE ingest_batch_item SET updated_at = 0 LIMIT 2":
        ("ingest_batch_item", "column updated_at", 2, "known best", "'1970-01-02'"),
    "ALTER TABLE asset MODIFY bytes VARCHAR(20) NULL; UPDATE asset SET bytes = '12 MB' LIMIT 2":
        ("asset", "column bytes", 2, "<VALUE>", "12000000"),
    "UPDATE asset SET width = -1 LIMIT 3": ("asset", "column width", 3, "NULL for none", "NULL"),
    "ALTER TABLE asset MODIFY height DOUBLE; UPDATE asset SET height = 1.5 LIMIT 3":
        ("asset", "column height", 3, "ROUND(`height`)", ""),
    "UPDATE ingest_event SET payload = '{broken' LIMIT 2": ("ingest_event", "column payload", 2, "<VALUE>", "'{}'"),
}


@pytest.mark.parametrize("statements", MENDS)
def test_each_fault_of_rows_is_told_once_with_its_query_and_with_statements_that_mend_it(side, statements):
    table, what, rows, part, value = MENDS[statements]
    run(side, f"SET SESSION sql_mode = ''; {statements}")
    [obstacle] = json.loads(doctor(side, "--json").stdout)["obstacles"]
    assert (obstacle["table"], obstacle["what"], obstacle["rows"], obstacle["cause"]) == (table, what, rows, "")
    assert part in obstacle["remedy"] and ("<VALUE>" in obstacle["remedy"]) == bool(value)
    side.db.execute("SET sql_mode = ''")
    assert len(side.db.execute(obstacle["query"])) == rows
    if "The rows: " in obstacle["remedy"]:
        assert len(side.db.execute(obstacle["remedy"].partition("The rows: ")[2].partition("; ")[0])) == 2 * rows
    sentence, _, mend = obstacle["remedy"].rpartition(": ")
    assert sentence
    run(side, mend.replace("<VALUE>", value))
    apply(side)
    assert wrong(side) == []


def test_digests_with_a_prefix_are_of_another_nature(side):
    before = side.db.execute("SELECT GROUP_CONCAT(sha256 ORDER BY id) AS list FROM asset_derivative")
    run(side, "ALTER TABLE asset_derivative MODIFY sha256 VARCHAR(80) NULL; UPDATE asset_derivative SET sha256 ="
              " CONCAT('sha256:', sha256)")
    [obstacle] = json.loads(doctor(side, "--json").stdout)["obstacles"]
    assert obstacle["cause"].startswith("it has a prefix before its digits")
    run(side, statements_of(obstacle))
    apply(side)
    assert wrong(side) == [] and before[0]["list"]
    assert side.db.execute("SELECT GROUP_CONCAT(sha256 ORDER BY id) AS list FROM asset_derivative") == before


@pytest.mark.parametrize("statements", NATURES)
def test_a_column_of_another_nature_is_refused_and_its_remedy_leads_to_tables_without_a_fault(side, statements):
    table, column, found, part = NATURES[statements]
    [before] = side.db.execute(f"SELECT GROUP_CONCAT({column} ORDER BY id) AS list FROM {table}")
    run(side, f"SET time_zone = '{OFFSET}'; {statements}")
    answer = doctor(side, "--json")
    [obstacle] = json.loads(answer.stdout)["obstacles"]
    assert answer.returncode == 1
    assert (obstacle["table"], obstacle["what"]) == (table, f"column {column}") and found in obstacle["cause"]
    assert f"-- column {column} of {table}: {found}" in doctor(side).stdout
    assert part in obstacle["remedy"] and "Both programs cannot share it" in obstacle["remedy"]
    assert "SET time_zone = '" in obstacle["remedy"] and "mariadb-tzinfo-to-sql" in obstacle["remedy"]
    remedy = statements_of(obstacle)
    run(side, f"SET time_zone = '{OFFSET}'; {remedy}")
    apply(side)
    assert wrong(side) == []
    [after] = side.db.execute(f"SELECT GROUP_CONCAT({column} ORDER BY id) AS list FROM {table}")
    assert after["list"].replace(".000000", "") == before["list"]


def statements_of(obstacle: dict) -> str:
    """The statements of a remedy, without the sentences around them."""
    return obstacle["remedy"].partition("zone: ")[2].partition("; then repeat")[0]


def run(side, statements):
    """Run statements by the client, as the Perl side's administrator does."""
    client = ["mariadb", f"--socket={side.server.socket}", NAME, "-e", statements]
    done = subprocess.run(client, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("table", "column", "other"), [
    ("import_job", "state", "status"), ("asset", "asset_hash", "digest"), ("asset_gallery_item", "asset_id", "member"),
])
def test_a_column_under_another_name_is_refused_rather_than_added_with_a_default(side, table, column, other):
    side.db.execute("SET foreign_key_checks = 0")
    side.db.execute(f"ALTER TABLE {table} RENAME COLUMN {column} TO {other}")
    answer = doctor(side, "--json")
    [obstacle] = json.loads(answer.stdout)["obstacles"]
    assert answer.returncode == 1 and (obstacle["table"], obstacle["what"]) == (table, f"column {column}")
    assert f"does not know: {other}." in obstacle["cause"]
    assert f"RENAME COLUMN ... TO {column}" in obstacle["remedy"]


def test_a_database_without_any_of_the_tables_is_refused(side):
    side.db.execute("CREATE OR REPLACE DATABASE other_names")
    side.conf.write_text(side.conf.read_text().replace(f"name = {NAME}", "name = other_names"))
    answer = doctor(side)
    assert answer.returncode == 1 and "-- the database: it has none of the tables of etc/schema.sql" in answer.stdout
    side.db.execute("DROP DATABASE other_names")


def test_timestamps_stay_as_the_perl_side_sees_them(side):
    query = "SELECT MAX(heartbeat_at) AS beat, (SELECT MAX(created_at) FROM asset_cover) AS made FROM import_job"
    side.db.execute(f"SET time_zone = '{OFFSET}'")
    before = side.db.execute(query)
    side.db.execute("SET time_zone = '+00:00'")
    assert f"SET SESSION time_zone = '{OFFSET}';" in apply(side)
    assert side.db.execute(query) == before


def test_a_timestamp_needs_the_zone_of_the_perl_side_also_where_it_is_utc(side):
    conf = side.conf.read_text()
    side.conf.write_text(conf.replace(f"perl_time_zone = {ZONE}\n", ""))
    assert "it is TIMESTAMP, and becomes DATETIME in the zone" in doctor(side).stdout
    side.conf.write_text(conf.replace(ZONE, "UTC"))
    assert "SET SESSION time_zone = '+00:00';" in apply(side)


def test_init_db_names_an_obstacle_where_there_is_no_statement(side):
    run(side, "ALTER TABLE import_job RENAME COLUMN state TO status")
    answer = gpupanel("init-db", "--config", side.conf)
    assert answer.returncode == 1 and "Traceback" not in answer.stderr
    assert "column state of import_job: import_job has no such column" in answer.stderr


def test_a_zone_that_the_server_needs_and_does_not_know_is_named(side):
    side.conf.write_text(side.conf.read_text().replace(ZONE, "Europe/Vienna"))
    side.db.execute("UPDATE asset_cover SET created_at = '2026-06-01 12:00:00' LIMIT 1")
    answer = doctor(side)
    assert answer.returncode == 1
    assert "it is TIMESTAMP, and the server does not know the zone Europe/Vienna" in answer.stdout
    assert "mariadb-tzinfo-to-sql" in answer.stdout
