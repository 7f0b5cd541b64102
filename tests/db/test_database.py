"""Transactions: whole or not at all, and run again when the server asks for it (docs/CONTRACT.md, 8)."""

import os
import signal
import threading
from contextlib import suppress
from datetime import datetime

import pytest

from gpupanel import errors, ledger, search
from gpupanel.config import DatabaseSettings
from gpupanel.db import ConnectionLostError, Database, DuplicateKeyError, session
from gpupanel.search.filters import BatchFilter

S1, S2 = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"


def discover(tx, sync_id):
    return tx.insert("ledger.discover", sync_id=sync_id, last_error=None, **ledger.manifest_columns(None, {}, None))


def batches(tx):
    return search.list_batches(tx, BatchFilter()).rows


def recorded_ids(db):
    return sorted(row["sync_id"] for row in db.run_read(batches))


def test_a_transaction_that_fails_leaves_nothing(panel_db):
    with pytest.raises(RuntimeError), panel_db.transaction() as tx:
        discover(tx, S1)
        raise RuntimeError
    assert recorded_ids(panel_db) == []


def test_reading_cannot_write(panel_db):
    with pytest.raises(errors.PanelError), panel_db.reading() as tx:
        tx._execute("UPDATE ingest_batch SET status = 'failed'", {})


def test_every_session_is_read_committed_in_utc_and_strict(panel_db):
    (row,) = panel_db.execute("SELECT @@tx_isolation AS isolation, @@time_zone AS zone, @@sql_mode AS mode")
    assert (row["isolation"], row["zone"]) == ("READ-COMMITTED", "+00:00")
    assert "STRICT_ALL_TABLES" in row["mode"]


def test_every_session_speaks_utf8mb4_though_the_server_made_it_begin_otherwise(panel_db):
    """In some character sets a backslash is part of the letter before it, so that a quote after it ends the string."""
    panel_db.execute("SET NAMES gbk")
    panel_db.execute(session.session_statement(idle_seconds=0, lock_seconds=1))
    (row,) = panel_db.execute(
        "SELECT @@character_set_client AS client, @@character_set_connection AS it, @@character_set_results AS back"
    )
    assert set(row.values()) == {"utf8mb4"}


def test_a_zero_date_is_no_time_but_for_a_reader_that_keeps_it(panel_db, settings):
    read = "SELECT CAST('0000-00-00' AS DATETIME) AS zero, CAST('2026-01-02' AS DATETIME(6)) AS day"
    for statement in ("SET sql_mode = ''", read):
        rows = panel_db.execute(statement)
    assert rows == [{"zero": None, "day": datetime(2026, 1, 2)}]
    keeping = Database(settings.database, keeps_zero_dates=True)
    for statement in ("SET sql_mode = ''", read):
        rows = keeping.execute(statement)
    assert rows == [{"zero": "0000-00-00 00:00:00", "day": datetime(2026, 1, 2)}]
    keeping.close()


def test_rows_found_are_counted_even_when_nothing_changes(panel_db):
    batch_id = panel_db.run_transaction(discover, S1)
    with panel_db.transaction() as tx:
        assert tx.execute("ledger.set_status", batch_id=batch_id, status="discovered") == 1


def test_a_savepoint_undoes_only_its_own_part(panel_db):
    with panel_db.transaction() as tx:
        discover(tx, S1)
        with pytest.raises(DuplicateKeyError), tx.savepoint():
            discover(tx, S2)
            discover(tx, S1)
    assert recorded_ids(panel_db) == [S1]


def test_a_deadlock_is_run_again_and_both_sides_succeed(panel_db, settings):
    ids = [panel_db.run_transaction(discover, sync_id) for sync_id in (S1, S2)]
    both_hold_one = threading.Barrier(2, timeout=20)
    tries = []

    def cross(tx, first, second):
        tries.append(first)
        tx.fetch_one("ledger.lock", sync_id=first)
        if len(tries) <= 2:
            both_hold_one.wait()
        tx.execute("ledger.set_status", batch_id=ids[[S1, S2].index(second)], status="failed")

    other = threading.Thread(target=Database(settings.database).run_transaction, args=(cross, S2, S1))
    other.start()
    panel_db.run_transaction(cross, S1, S2)
    other.join()
    assert len(tries) == 3
    assert {row["status"] for row in panel_db.run_read(batches)} == {"failed"}


def test_a_connection_that_died_while_idle_is_replaced_unnoticed(panel_db, admin_db):
    panel_db.run_transaction(discover, S1)
    kill(admin_db, panel_db)
    assert recorded_ids(panel_db) == [S1]


def test_a_connection_killed_in_the_middle_is_run_again(panel_db, admin_db):
    tries = []

    def work(tx):
        tries.append(1)
        discover(tx, S1)
        if len(tries) == 1:
            kill(admin_db, panel_db)
        discover(tx, S2)

    panel_db.run_transaction(work)
    assert recorded_ids(panel_db) == [S1, S2]


def test_a_connection_killed_before_commit_has_an_unknown_outcome(panel_db, admin_db):
    with pytest.raises(errors.CommitUnknownError), panel_db.transaction() as tx:
        discover(tx, S1)
        kill(admin_db, panel_db)


def kill(admin_db, db):
    """End the connection as the server would, and wait until it is gone."""
    thread = db._local.connection.thread_id()
    admin_db.execute(f"KILL {thread}")
    while admin_db.execute("SELECT 1 FROM information_schema.processlist WHERE id = %(id)s", id=thread):
        pass


def test_an_interrupted_statement_is_trouble_of_the_database_and_no_fault_of_ours(panel_db, admin_db):
    with panel_db.reading() as tx:
        thread = panel_db._local.connection.thread_id()
        killer = threading.Thread(target=interrupt, args=(admin_db, thread))
        killer.start()
        with pytest.raises(errors.DatabaseUnavailableError):
            tx._execute("SELECT SLEEP(30) FROM (SELECT 1 UNION SELECT 2) two", {})
        killer.join()


def interrupt(admin_db, thread):
    """Kill the statement once it runs."""
    running = "SELECT 1 FROM information_schema.processlist WHERE id = %(id)s AND info LIKE 'SELECT SLEEP%%'"
    while not admin_db.execute(running, id=thread):
        pass
    admin_db.execute(f"KILL QUERY {thread}")


def test_a_server_that_is_not_there_is_unavailable_and_no_secret_is_told(tmp_path):
    db = Database(DatabaseSettings(unix_socket=str(tmp_path / "none.sock"), user="gpu_panel", password="hunter2"))
    with pytest.raises(errors.DatabaseUnavailableError) as caught:
        db.run_read(batches)
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"
    assert not isinstance(caught.value, ConnectionLostError)


def test_a_wrong_password_is_a_denial_that_does_not_tell_it(settings):
    wrong = DatabaseSettings(unix_socket=settings.database.unix_socket, user="gpu_panel", password="hunter2")
    with pytest.raises(errors.DatabaseAccessError) as caught:
        Database(wrong).run_read(batches)
    assert "hunter2" not in str(caught.value)


def test_a_server_that_hangs_costs_one_wait(settings, server):
    db = Database(settings.database, read_timeout=1)
    db.run_read(batches)
    tries = []

    def look(tx):
        tries.append(1)
        return batches(tx)

    server.process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, server.process.pid, os.WSTOPPED)  # all of its threads
    try:
        with pytest.raises(errors.DatabaseUnavailableError):
            db.run_read(look)
    finally:
        server.process.send_signal(signal.SIGCONT)
    assert tries == []


@pytest.mark.parametrize("statement", ["SELECT nonsense FROM ingest_batch", "SELECT 1 FROM ingest_batch"])
def test_a_statement_on_its_own_leaves_no_transaction_behind(panel_db, admin_db, statement):
    with suppress(errors.PanelError):
        panel_db.execute(statement)
    admin_db.execute("LOCK TABLES ingest_batch WRITE NOWAIT")
    admin_db.execute("UNLOCK TABLES")


def test_an_idle_transaction_is_ended_by_the_server(settings, panel_db):
    held = Database(settings.database, idle_seconds=1)
    panel_db.run_transaction(discover, S1)
    with pytest.raises(errors.PanelError), held.transaction() as tx:
        tx.fetch_one("ledger.lock", sync_id=S1)
        panel_db.run_transaction(ledger.lock_batch, S1)  # waits for the server to end the other
        tx.fetch_one("ledger.lock", sync_id=S1)
