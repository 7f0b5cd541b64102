"""MariaDB refuses every statement that an account does not need (etc/grants.sql)."""

import re

import pytest
from constants import NAME, TABLES, TREE
from gpupanel.errors import DatabaseAccessError, PanelError

R, RI, RU, RIU = {"SELECT"}, {"SELECT", "INSERT"}, {"SELECT", "UPDATE"}, {"SELECT", "INSERT", "UPDATE"}

EVENT = {"SELECT", "INSERT id batch_id event_type payload actor"}
HOLD = "hold hold_reason hold_batch_id not_before held_at hold_count"

# table -> what the panel may do with it, and the worker; a set of columns where it is not all of them.
DUTIES = {
    "ingest_batch": (RIU, RU),
    "ingest_batch_item": (RIU, RIU),
    "ingest_event": (EVENT, EVENT),
    "import_job": (
        {
            "SELECT", "INSERT batch_id priority requested_by items_total",
            f"UPDATE state priority finished_at last_error {HOLD}",
        },
        {
            "SELECT",
            "INSERT batch_id priority requested_by items_total replaces_job_id",
            "UPDATE state claimed_at worker claim_token attempts heartbeat_at items_done items_total finished_at"
            f" last_error {HOLD}",
        },
    ),
    "ingest_batch_container": (RIU, RIU),
    "ingest_batch_word": (RI, RI),
    "ingest_result": (
        R,
        {
            "SELECT",
            "INSERT id batch_id job_id kind hash planned approved decision reason last_error changes target_digest"
            " target_id cover_id",
        },
    ),
    "ingest_result_member": (R, RI),
    "ingest_result_tombstone": (R, RI),
    "ingest_document": (R, RI),
    "ingest_tombstone": (R, RIU),
    "ingest_receipt": (R, R),
    "ingest_archive": (R, R),
    "ingest_notice": (
        {
            "SELECT", "INSERT batch_id event_id kind",
            "UPDATE sent_at mailed_at posted_at not_before attempts last_error",
        },
        {"SELECT", "INSERT batch_id event_id kind"},
    ),
    "preflight_request": (
        {
            "SELECT", "INSERT batch_id requested_by requested_at then_queue priority although_older state",
            "UPDATE requested_by requested_at then_queue priority although_older state attempts last_error finished_at",
        },
        {"SELECT", "UPDATE state worker claim_token attempts heartbeat_at last_error finished_at"},
    ),
    "queue_control": (RIU, R),
    "import_worker": (R, RIU),
    "asset": (R, RIU),
    "asset_source": (R, RIU),
    "asset_ai_run": (R, {"SELECT", "INSERT", "UPDATE deleted_at"}),
    "asset_cover": (R, RIU),
    "asset_derivative": (R, RIU),
    "asset_gallery": (R, RIU),
    "asset_gallery_item": (R, RIU),
    "asset_collection": (R, RIU),
    "asset_collection_item": (R, RIU),
}
ACCOUNTS = ("panel_db", "worker_db")
CELLS = [(account, table) for account in ACCOUNTS for table in TABLES]
ALWAYS_DENIED = (
    "DELETE FROM {}", "TRUNCATE {}", "DROP TABLE {}", "ALTER TABLE {} COMMENT ''", "RENAME TABLE {} TO elsewhere",
    "CREATE INDEX mine ON {} (id)", "CREATE TRIGGER mine BEFORE INSERT ON {} FOR EACH ROW SET @x = 1",
    "LOCK TABLES {} WRITE", "REPLACE INTO {} (id) VALUES (1)", "GRANT SELECT ON {} TO CURRENT_USER()",
    "SELECT * FROM {} INTO OUTFILE '/tmp/import-media-outfile'", "LOAD DATA INFILE '/etc/hostname' INTO TABLE {}",
)
REFUSED_ELSEWHERE = (
    f"DROP DATABASE {NAME}", "CREATE DATABASE another", "CREATE TABLE mine (id INT)",
    "CREATE TEMPORARY TABLE mine (id INT)", "CREATE VIEW mine AS SELECT 1", "CREATE PROCEDURE mine() SELECT 1",
    "CREATE FUNCTION mine() RETURNS INT RETURN 1", "CREATE EVENT mine ON SCHEDULE EVERY 1 DAY DO SELECT 1",
    "CREATE USER mine@localhost", "CREATE ROLE mine", "SELECT * FROM mysql.user", "SELECT * FROM mysql.global_priv",
    "INSERT INTO mysql.user (User) VALUES ('mine')", "SET GLOBAL max_connections = 7", "SHUTDOWN", "FLUSH TABLES",
    "RESET MASTER", "SHOW GRANTS FOR root@localhost", "SELECT SLEEP(0) FROM mysql.db",
    "GRANT ALL ON *.* TO CURRENT_USER()", "SET PASSWORD FOR root@localhost = PASSWORD('x')", "SET ROLE admin",
    "CHANGE MASTER TO MASTER_HOST = 'x'",
)


@pytest.fixture
def account(request):
    return request.getfixturevalue(request.param)


def allowed(account: str, table: str, privilege: str) -> set[str]:
    """Return the columns that the privilege names; `*` for all columns."""
    for right in DUTIES[table][ACCOUNTS.index(account)]:
        verb, *columns = right.split()
        if verb == privilege:
            return set(columns) or {"*"}
    return set()


def columns(db, table) -> list[str]:
    """Return the columns that are not generated."""
    rows = db.execute(f"SHOW COLUMNS FROM {table}")
    return [row["Field"] for row in rows if "GENERATED" not in row["Extra"]]


def is_denied(db, statement) -> bool:
    """Return whether the error is a lack of privileges."""
    try:
        db.execute(statement)
    except DatabaseAccessError:
        return True
    except PanelError:
        pass
    return False


def test_the_duties_name_every_table():
    assert set(DUTIES) == set(TABLES)


@pytest.mark.parametrize(("account", "table"), CELLS, indirect=["account"])
def test_an_account_reads_every_table(account, table):
    account.execute(f"SELECT * FROM {table}")


@pytest.mark.parametrize("statement", ["INSERT INTO {} (`{}`) VALUES (DEFAULT)", "UPDATE {} SET `{}` = DEFAULT"])
@pytest.mark.parametrize(("name", "table"), CELLS)
def test_an_account_writes_the_columns_of_its_duty_and_no_other(request, name, table, statement):
    db = request.getfixturevalue(name)
    duty = allowed(name, table, statement.split()[0])
    written = {column for column in columns(db, table) if not is_denied(db, statement.format(table, column))}
    assert written == (set(columns(db, table)) if duty == {"*"} else duty)


@pytest.mark.parametrize(("account", "table"), CELLS, indirect=["account"])
def test_no_account_deletes_alters_locks_or_gives_away_a_table(account, table):
    assert [each for each in ALWAYS_DENIED if not is_denied(account, each.format(table))] == []


@pytest.mark.parametrize("statement", REFUSED_ELSEWHERE)
@pytest.mark.parametrize("account", ACCOUNTS, indirect=True)
def test_no_account_reaches_beyond_the_tables(account, statement):
    with pytest.raises(PanelError, match=r"denied|need|privilege|permission|Invalid role"):
        account.execute(statement)


@pytest.mark.parametrize("account", ACCOUNTS, indirect=True)
def test_no_account_sees_what_others_do(account, admin_db):
    assert {row["User"] for row in account.execute("SHOW PROCESSLIST")} == {account.settings.user}


@pytest.mark.parametrize("account", ACCOUNTS, indirect=True)
def test_no_account_ends_what_others_do(account, admin_db):
    [other] = admin_db.execute("SELECT CONNECTION_ID() AS id")
    with pytest.raises(PanelError, match="not owner"):
        account.execute(f"KILL {other['id']}")


@pytest.mark.parametrize("account", ACCOUNTS, indirect=True)
def test_no_account_reads_files_of_the_server(account):
    assert account.execute("SELECT LOAD_FILE('/etc/hostname') AS content") == [{"content": None}]


@pytest.mark.parametrize("account", ACCOUNTS, indirect=True)
def test_no_account_may_pass_on_what_it_may_do(account):
    grants = [next(iter(row.values())) for row in account.execute("SHOW GRANTS")]
    assert not [grant for grant in grants if "GRANT OPTION" in grant or re.match(r"GRANT `?\w+`? TO", grant)]
    assert [grant for grant in grants if " ON *.* " in grant and not grant.startswith("GRANT USAGE ")] == []


def test_nobody_can_change_an_event(panel_db, worker_db):
    for db in (panel_db, worker_db):
        assert is_denied(db, "UPDATE ingest_event SET payload = '{}'")


@pytest.mark.parametrize("table", ["ingest_event", "ingest_result"])
def test_nobody_writes_an_event_or_a_result_into_the_past(panel_db, worker_db, table):
    for db in (panel_db, worker_db):
        assert is_denied(db, f"INSERT INTO {table} (batch_id, created_at) VALUES (1, '2020-01-01')")


def test_the_panel_cannot_insert_a_job_that_runs_already(panel_db):
    assert is_denied(panel_db, "INSERT INTO import_job (batch_id, requested_by, state) VALUES (1, 'x', 'running')")


def test_the_worker_finds_no_bundles_and_inserts_no_job_that_runs_already(worker_db):
    assert is_denied(worker_db, "INSERT INTO ingest_batch (sync_id) VALUES (UUID())")
    assert is_denied(worker_db, "INSERT INTO import_job (batch_id, requested_by, state) VALUES (1, 'x', 'running')")


APPEND_ONLY = (
    "ingest_result", "ingest_result_member", "ingest_result_tombstone", "ingest_document", "ingest_receipt",
    "ingest_event",
)


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_no_account_is_granted_more_than_insert_and_select_on_what_is_append_only(admin_db, table):
    for account in ("gpu_panel", "gpu_worker", "gpu_seal"):
        rows = admin_db.execute(f"SHOW GRANTS FOR {account}@localhost")
        granted = [text for row in rows for text in row.values() if f"`{table}`" in text]
        assert not [text for text in granted if re.search("UPDATE|DELETE|ALL|DROP", text)]


def test_the_sealing_account_reads_the_ledger_and_adds_receipts_alone(admin_db):
    rows = admin_db.execute("SHOW GRANTS FOR gpu_seal@localhost")
    granted = [text for row in rows for text in row.values()]
    assert [re.search(r"`(\w+)` TO", text)[1] for text in granted if "INSERT" in text] == ["ingest_receipt"]
    assert not [text for text in granted if re.search("UPDATE|DELETE|ALTER|CREATE", text)]


def test_the_account_of_archives_deletes_five_ledger_tables_alone_and_comes_locked(admin_db):
    rows = admin_db.execute("SHOW GRANTS FOR gpu_archive@localhost")
    granted = {re.search(r"`(\w+)` TO", text)[1]: text for row in rows for text in row.values() if "USAGE" not in text}
    assert {table for table, text in granted.items() if "DELETE" in text} == {
        "ingest_result", "ingest_result_member", "ingest_result_tombstone", "ingest_event", "ingest_batch_item",
    }
    assert not [table for table in granted if table.startswith("asset")]
    assert not [text for text in granted.values() if re.search("ALL|DROP|ALTER|CREATE|GRANT OPTION", text)]
    grants = (TREE / "etc" / "grants.sql").read_text()
    assert "CREATE USER IF NOT EXISTS gpu_archive@localhost ACCOUNT LOCK" in grants
