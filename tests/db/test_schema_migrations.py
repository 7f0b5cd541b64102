"""init-db migrates a database of 0.1.0 with its rows; rows that Perl writes stay valid."""

from itertools import count

import pytest

from gpupanel.db import Database, migrations
from gpupanel.doctor import schema_diff
from gpupanel.errors import DatabaseUnavailableError, InvalidStateError
from gpupanel.db import schema
from constants import TREE

OLD_SCHEMA = TREE / "tests" / "db" / "schema_0_1_0.sql"
NUMBER = count(1)
HASH = "a" * 64
PRIOR = "00000000-0000-0000-0000-000000000001"
SUMMARY = f'{{"completed_at": "2026-04-10T10:00:00Z", "prior_sync_id": "{PRIOR}"}}'

# A queued, an interrupted and a finished job, each with an item, and an asset with its parts.
OLD_ROWS = (
    f"""INSERT INTO ingest_batch (id, sync_id, status, action, manifest_summary, last_error) VALUES
        (1, '{PRIOR}', 'queued', 'create', NULL, NULL),
        (2, '00000000-0000-0000-0000-000000000002', 'importing', 'update', '{SUMMARY}', NULL),
        (3, '00000000-0000-0000-0000-000000000003', 'partial', 'remove', '{{"prior_sync_id": null}}',
         '1 of 2 failed')""",
    """INSERT INTO import_job (id, batch_id, state, requested_by, worker, claim_token, heartbeat_at, finished_at,
                               items_done) VALUES
        (1, 1, 'queued', 'jane', NULL, NULL, NULL, NULL, 0),
        (2, 2, 'running', 'jane', 'host:7', REPEAT('b', 32), NOW(6) - INTERVAL 16 MINUTE, NULL, 3),
        (3, 3, 'completed', 'jane', 'host:7', REPEAT('c', 32), NOW(6), '2026-04-11 08:00:00', 2)""",
    f"""INSERT INTO ingest_batch_item (batch_id, position, asset_type, asset_hash, decision, planned, reason, job_id)
        VALUES
        (1, 0, 'photo', '{HASH}', 'will_create', 'will_create', '', NULL),
        (2, 4, 'video', '{HASH}', 'updated', 'will_update', 'ü', 2),
        (3, 0, 'cover', '{HASH}', 'failed', 'will_remove', 'x', 3)""",
    f"""INSERT INTO ingest_event (batch_id, event_type, payload) VALUES
        (3, 'job_finished', '{{"job_id":3,"manifest_sha256":"{HASH}"}}'), (1, 'scan', '{{}}')""",
    f"""INSERT INTO asset (id, asset_type, asset_hash, title, fingerprint, first_batch_id, last_batch_id)
        VALUES (1, 'photo', '{HASH}', 'Küste', '{HASH}', 1, 2)""",
    f"INSERT INTO asset_gallery (id, gallery_hash, first_batch_id, last_batch_id) VALUES (1, '{HASH}', 1, 1)",
    "INSERT INTO asset_gallery_item (gallery_id, asset_id, position) VALUES (1, 1, 5)",
    f"INSERT INTO asset_ai_run (asset_id, analysis_kind, source_file, content_sha256) VALUES (1, 'a', 'a', '{HASH}')",
    "INSERT INTO asset_derivative (asset_id, kind, path) VALUES (1, 'thumb', 'thumb.jpg')",
)
FILLED = (
    "ingest_batch", "import_job", "ingest_batch_item", "ingest_event", "asset", "asset_gallery", "asset_gallery_item",
    "asset_ai_run", "asset_derivative",
)
# As the Perl panel and worker insert: the columns that they know.
PERL_ROWS = (
    "INSERT INTO ingest_batch (sync_id, sync_type, action, status)"
    " VALUES (UUID(), 'asset', 'create', 'preflight_passed')",
    "INSERT INTO import_job (batch_id, requested_by) SELECT MAX(id), 'perl' FROM ingest_batch",
    "INSERT INTO ingest_event (batch_id, event_type, payload) SELECT MAX(id), 'job_queued', '{}' FROM ingest_batch",
)
# 0.1.0 had no default for a column that these leave out.
PERL_ROWS_WITH_DEFAULTS = (
    """INSERT INTO ingest_batch_item (batch_id, asset_type, asset_hash, decision, reason)
       SELECT MAX(id), 'photo', REPEAT('e', 64), 'will_create', 'new' FROM ingest_batch""",
    """INSERT INTO asset (asset_type, asset_hash, title, first_batch_id, last_batch_id)
       SELECT 'photo', REPEAT('e', 64), 'x', MAX(id), MAX(id) FROM ingest_batch""",
    "INSERT INTO asset_gallery (gallery_hash) VALUES (REPEAT('e', 64))",
    "INSERT INTO asset_gallery_item (gallery_id, asset_id)"
    " SELECT MAX(g.id), MAX(a.id) FROM asset_gallery g JOIN asset a",
    "INSERT INTO asset_derivative (asset_id, kind, path) SELECT MAX(id), 'medium', 'medium.jpg' FROM asset",
)


@pytest.fixture(scope="module", autouse=True)
def no_grant_stays(server):
    """Remove the rights on the databases of these tests: MariaDB keeps them when a database is dropped."""
    yield
    admin = Database(server.admin())
    for table in ("tables_priv", "columns_priv", "db"):
        admin.execute(f"DELETE FROM mysql.{table} WHERE Db <> 'admin_panel' AND User LIKE 'gpu%%'")
    admin.execute("FLUSH PRIVILEGES")
    admin.close()


@pytest.fixture
def create(server):
    """Create databases, empty or with these statements; they are dropped at the end."""
    made = []

    def create(*statements: str) -> Database:
        name = f"migrated_{next(NUMBER)}"
        made.append(Database(server.admin(name)))
        admin.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        for statement in statements:
            made[-1].execute(statement)
        return made[-1]

    admin = Database(server.admin())
    yield create
    for db in made:
        db.close()
        admin.execute(f"DROP DATABASE {db.settings.name}")
    admin.close()


def old_schema() -> str:
    """The schema of 0.1.0 as MariaDB 10 made it: 11.8 has another default collation, of which doctor tells."""
    return OLD_SCHEMA.read_text().replace("SET utf8mb4;", "SET utf8mb4 COLLATE utf8mb4_general_ci;")


@pytest.fixture
def old(create):
    """A database of 0.1.0 with rows."""
    return create(*migrations.split_statements(old_schema()), *OLD_ROWS)


@pytest.fixture
def fresh(create):
    db = create()
    schema.apply(db.settings)
    return db


def definitions(db: Database) -> dict[str, str]:
    names = [next(iter(row.values())) for row in db.execute("SHOW TABLES")]
    shown = {name: db.execute(f"SHOW CREATE TABLE {name}")[0]["Create Table"] for name in names}
    return {name: without_counter(text) for name, text in shown.items()}


def without_counter(text: str) -> str:
    return " ".join(word for word in text.split(" ") if not word.startswith("AUTO_INCREMENT="))


def rows(db: Database, columns_of: dict[str, list[str]]) -> dict[str, list[dict]]:
    return {
        table: db.execute(f"SELECT {', '.join(columns)} FROM {table} ORDER BY id")
        for table, columns in columns_of.items()
    }


def columns(db: Database) -> dict[str, list[str]]:
    return {table: [row["Field"] for row in db.execute(f"SHOW COLUMNS FROM {table}")] for table in FILLED}


def test_a_database_of_the_first_version_becomes_what_a_new_one_is(old, fresh):
    made = schema.apply(old.settings)
    assert made[0] == "version 2: order-results-holds"
    assert definitions(old) == definitions(fresh)
    assert schema.apply(old.settings) == []


def test_the_rows_of_the_first_version_stay(old):
    known = columns(old)
    before = rows(old, known)
    schema.apply(old.settings)
    assert rows(old, known) == before
    assert old.execute("SELECT active_batch_id FROM import_job ORDER BY id") == [
        {"active_batch_id": 1}, {"active_batch_id": 2}, {"active_batch_id": None},
    ]


def test_priors_and_imports_of_the_first_version_are_in_the_new_columns(old):
    schema.apply(old.settings)
    rows = old.execute("SELECT prior_sync_id, imported_job_id, imported_sha256 FROM ingest_batch ORDER BY id")
    assert rows == [
        {"prior_sync_id": None, "imported_job_id": None, "imported_sha256": None},
        {"prior_sync_id": PRIOR, "imported_job_id": None, "imported_sha256": None},
        {"prior_sync_id": None, "imported_job_id": 3, "imported_sha256": HASH},
    ]


def test_a_migration_that_was_killed_anywhere_is_completed_by_the_next_init_db(create, fresh):
    statements = [statement for migration in migrations.load() for statement in migration.statements]
    for done in {*range(0, len(statements), 5), len(statements)}:
        db = create(*migrations.split_statements(old_schema()), *OLD_ROWS, *statements[:done])
        schema.apply(db.settings)
        assert definitions(db) == definitions(fresh), f"killed after statement {done}"


def test_an_init_db_that_was_killed_in_an_empty_database_is_completed_by_the_next_one(create, fresh):
    first, second, *_ = migrations.split_statements((TREE / "etc" / "schema.sql").read_text())
    newest = f"INSERT INTO schema_version (version) VALUES ({migrations.newest_version()})"
    for statements in ([first], [first, newest], [first, newest, second]):
        db = create(*statements)
        schema.apply(db.settings)
        assert definitions(db) == definitions(fresh)


@pytest.mark.parametrize("alive", ["heartbeat_at = NOW(6)", "heartbeat_at = NULL, claimed_at = NOW(6)"])
def test_tables_are_not_changed_under_a_worker_that_imports(old, alive):
    old.execute(f"UPDATE import_job SET {alive} WHERE id = 2")
    before = definitions(old)
    with pytest.raises(InvalidStateError, match="Stop the workers first: job 2 is running on host:7"):
        schema.apply(old.settings)
    assert definitions(old) == before


def test_a_running_worker_is_no_obstacle_where_nothing_is_to_be_migrated(fresh):
    fresh.execute("INSERT INTO ingest_batch (id, sync_id, status) VALUES (1, UUID(), 'importing')")
    fresh.execute(
        "INSERT INTO import_job (batch_id, state, requested_by, heartbeat_at) VALUES (1, 'running', 'x', NOW(6))"
    )
    assert schema.apply(fresh.settings) == []


def test_two_init_db_do_not_work_on_one_database_at_a_time(old, server, monkeypatch):
    monkeypatch.setattr(schema, "INIT_LOCK_SECONDS", 0)
    other = Database(server.admin(old.settings.name))
    other.execute("SELECT GET_LOCK(%(name)s, 0)", name=f"init-db.{old.settings.name}")
    with pytest.raises(InvalidStateError, match="Another init-db is working on"):
        schema.apply(old.settings)
    other.close()
    assert schema.apply(old.settings) != []


def test_a_database_of_a_newer_program_is_refused(fresh):
    fresh.execute("INSERT INTO schema_version (version) VALUES (999)")
    with pytest.raises(InvalidStateError, match="has schema version 999, this program knows"):
        schema.apply(fresh.settings)


@pytest.mark.parametrize("statement", PERL_ROWS)
def test_a_row_of_the_perl_side_is_sound_before_and_after(old, statement):
    old.execute(PERL_ROWS[0])
    old.execute(statement)
    schema.apply(old.settings)
    old.execute(PERL_ROWS[0])
    old.execute(statement)


@pytest.mark.parametrize("migrated", [True, False])
def test_rows_of_the_perl_side_need_no_column_that_it_does_not_know(old, fresh, migrated):
    db = old if migrated else fresh
    schema.apply(db.settings)
    for statement in (*PERL_ROWS, *PERL_ROWS_WITH_DEFAULTS):
        db.execute(statement)
    [item] = db.execute("SELECT item_digest, target_digest, planned FROM ingest_batch_item ORDER BY id DESC LIMIT 1")
    assert set(item.values()) == {None}
    [asset] = db.execute("SELECT fingerprint, source_at, source_batch_id FROM asset ORDER BY id DESC LIMIT 1")
    assert asset == {"fingerprint": "", "source_at": None, "source_batch_id": None}


def test_a_held_job_counts_as_active_and_a_second_one_is_refused(fresh):
    fresh.execute("INSERT INTO ingest_batch (id, sync_id, status) VALUES (1, UUID(), 'queued')")
    fresh.execute("INSERT INTO import_job (batch_id, state, requested_by) VALUES (1, 'held', 'x')")
    with pytest.raises(Exception, match="one_active_job_a_batch"):
        fresh.execute("INSERT INTO import_job (batch_id, requested_by) VALUES (1, 'x')")


def test_every_table_names_what_it_relies_on():
    schema = (TREE / "etc" / "schema.sql").read_text()
    statements = [text for text in migrations.split_statements(schema) if "CREATE TABLE" in text]
    clauses = "ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"
    assert [text for text in statements if not text.endswith(f") {clauses}")] == []


def test_tables_are_made_where_the_server_would_make_compact_rows(server, create):
    admin = Database(server.admin())
    admin.execute("SET GLOBAL innodb_default_row_format = compact")
    try:
        schema.apply(create().settings)
    finally:
        admin.execute("SET GLOBAL innodb_default_row_format = DEFAULT")
        admin.close()


def test_doctor_names_a_version_that_is_missing(old, settings):
    assert list(schema_diff.version(old, settings)) == []  # the table is missing, which is a finding of its own
    with pytest.raises(DatabaseUnavailableError):
        old.execute("SELECT 1 FROM schema_version")
    schema.apply(old.settings)
    [finding] = schema_diff.version(old, settings)
    assert (finding.level, finding.found) == ("ok", str(migrations.newest_version()))
    old.execute("DELETE FROM schema_version WHERE version > 1")
    [finding] = schema_diff.version(old, settings)
    assert (finding.level, finding.found) == ("wrong", "1")
    assert "init-db" in finding.advice


PERL_TABLES = (
    """CREATE TABLE ingest_batch (id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, sync_id CHAR(36) NOT NULL,
       status VARCHAR(32) NOT NULL DEFAULT 'discovered') DEFAULT CHARACTER SET latin1""",
    """CREATE TABLE import_job (id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
batch_id BIGINT UNSIGNED NOT NULL,
       state VARCHAR(16) NOT NULL DEFAULT 'queued', requested_by VARCHAR(64) NOT NULL) DEFAULT CHARACTER SET latin1""",
)


def test_init_db_says_what_comes_first_on_tables_of_another_program(server):
    settings = server.admin("of_perl")
    db = Database(server.admin())
    try:
        db.execute("CREATE OR REPLACE DATABASE of_perl")
        db.execute("USE of_perl")
        for statement in PERL_TABLES:
            db.execute(statement)
        with pytest.raises(InvalidStateError, match="tables of another program: import_job, ingest_batch") as refused:
            schema.apply(settings)
        assert "gpupanel doctor" in refused.value.hint
    finally:
        db.execute("DROP DATABASE of_perl")
        db.close()
