"""Promises 1, 2 and 3: MariaDB itself refuses what an account has no duty to do (etc/grants.sql)."""

import pytest

from ground import LIBRARY, TABLES
from gpupanel.errors import DatabaseDenied

BATCH = "INSERT INTO ingest_batch (sync_id) VALUES ('37e428d2-a4f6-4a31-bacf-0c835fb24084')"


@pytest.fixture(params=["panel_db", "worker_db"])
def either_db(request):
    return request.getfixturevalue(request.param)


def denied(db, statement):
    with pytest.raises(DatabaseDenied):
        db.execute(statement)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("statement", ["DELETE FROM {}", "TRUNCATE {}", "DROP TABLE {}", "ALTER TABLE {} COMMENT ''"])
def test_neither_account_can_delete_anything(either_db, table, statement):
    denied(either_db, statement.format(table))


def test_nobody_can_change_an_event(either_db):
    denied(either_db, "UPDATE ingest_event SET payload = '{}'")


@pytest.mark.parametrize("table", LIBRARY)
def test_the_panel_reads_the_library_and_cannot_write_it(panel_db, table):
    panel_db.execute(f"SELECT * FROM {table}")
    denied(panel_db, f"INSERT INTO {table} (id) VALUES (1)")
    denied(panel_db, f"UPDATE {table} SET id = id")


@pytest.mark.parametrize(
    "column", ["worker", "claim_token", "claimed_at", "heartbeat_at", "attempts", "items_done", "batch_id"]
)
def test_the_panel_cannot_write_a_claim(panel_db, column):
    denied(panel_db, f"UPDATE import_job SET {column} = NULL")
    if column != "batch_id":
        denied(panel_db, f"INSERT INTO import_job (batch_id, requested_by, {column}) VALUES (1, 'x', 1)")


def test_the_panel_cannot_insert_a_job_that_runs_already(panel_db):
    denied(panel_db, "INSERT INTO import_job (batch_id, requested_by, state) VALUES (1, 'x', 'running')")


def test_the_worker_neither_finds_bundles_nor_queues_them(worker_db):
    denied(worker_db, BATCH)
    denied(worker_db, "INSERT INTO import_job (batch_id, requested_by) VALUES (1, 'x')")


@pytest.mark.parametrize("column", ["priority", "requested_by", "queued_at", "batch_id"])
def test_the_worker_cannot_change_what_was_asked_for(worker_db, column):
    denied(worker_db, f"UPDATE import_job SET {column} = {column}")


@pytest.mark.parametrize("column", ["priority", "requested_by"])
def test_neither_account_sees_other_databases(either_db, column):
    denied(either_db, "SELECT * FROM mysql.user")
