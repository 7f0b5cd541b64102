"""Receipts: a change of any row that they cover is found and named."""

import json
import re
import sys
import threading
from functools import partial

import preloaded_programs
import pytest
import worker_helpers
from constants import GPUPANEL
from gpupanel import job_queue, ledger, services
from gpupanel.errors import PanelError
from gpupanel.receipts import DatabaseVerifier, seal, seal as seal_module, verify_file
from gpupanel.receipts.lines import EMPTY_HEAD, next_head
from gpupanel.receipts.rows import Span
from receivers import HookReceiver, receiving

TEXT = {"char": "0", "varchar": "changed", "text": "changed", "longtext": '{"changed":1}'}


@pytest.fixture
def imported(bundles, bring, admin_db):
    """A gallery of three photos that was imported, and another batch; ids start at 1."""
    for table in ("ingest_batch", "ingest_result", "ingest_event"):
        admin_db.execute(f"ALTER TABLE {table} AUTO_INCREMENT = 1")
    photos = list(bundles.assets("coast", 3))
    gallery = bundles.container("gallery", "Coast", photos)
    sync_id = bundles.bundle("coast", photos, [gallery])
    bring(sync_id)
    bring(bundles.bundle("other", bundles.assets("other", 1)))
    return sync_id


@pytest.fixture
def removal(imported, bundles, bring):
    """A removal that names a member which the gallery lacks."""
    (other,) = bundles.assets("beach", 1)
    gallery = bundles.container("gallery", "Coast", [other])
    sync_id = bundles.bundle("removal", [other], [gallery], action="remove")
    bring(sync_id)
    return sync_id


@pytest.fixture
def command(panel_conf, seal_conf):
    def run(name, *args, conf=panel_conf, **options):
        return preloaded_programs.run([GPUPANEL, name, "--config", conf, *args], **options)

    return run


@pytest.fixture
def sealed(imported, seal_db):
    """The head of the chain over the receipts of these batches."""
    return seal(seal_db).head


def problems(db, known=()):
    return DatabaseVerifier(db, known).run().problems


# ---------------------------------------------------------------------------------------------------- what is sealed


def test_each_ended_job_gets_one_receipt_and_each_receipt_its_place_in_the_chain(imported, seal_db, admin_db):
    report = seal(seal_db)
    assert [receipt.id for receipt in report.receipts] == [1, 2]
    assert seal(seal_db).receipts == []
    head = EMPTY_HEAD
    for row in admin_db.execute("SELECT * FROM ingest_receipt ORDER BY id"):
        head = next_head(head, row["root"])
        assert row["head"] == head and row["previous"] is None
    assert report.head == head
    first = report.receipts[0]
    events = admin_db.execute("SELECT COUNT(*) AS n FROM ingest_event WHERE batch_id = (SELECT batch_id FROM"
                              " import_job WHERE id = %(id)s)", id=first.job_id)[0]["n"]
    assert first.lines == 3 + 1 + 3 + 1 + events  # results, that of the gallery, its members, its row, events


def test_a_second_job_of_a_batch_continues_its_receipt(imported, seal_db, bring, admin_db, panel_db, mount):
    seal(seal_db)
    bring(imported)
    (second,) = seal(seal_db).receipts
    rows = admin_db.execute("SELECT root, previous, job_id FROM ingest_receipt WHERE batch_id = (SELECT id FROM"
                            " ingest_batch WHERE sync_id = %(sync_id)s) ORDER BY id", sync_id=imported)
    assert second.job_id == rows[1]["job_id"] and rows[1]["previous"] == rows[0]["root"]
    assert problems(panel_db) == []


def test_a_canceled_job_is_sealed_too(bundles, panel_db, mount, seal_db):
    (job_id,) = worker_helpers.queue(panel_db, mount, bundles.bundle("x", bundles.assets("x", 1)))
    assert seal(seal_db).receipts == []
    panel_db.run_transaction(job_queue.cancel, job_id, "operator")
    assert [receipt.job_id for receipt in seal(seal_db).receipts] == [job_id]


def test_a_batch_with_a_running_job_is_sealed_when_that_has_ended(imported, admin_db, seal_db):
    batch = worker_helpers.batch(admin_db, imported)
    admin_db.execute(
        "INSERT INTO import_job (batch_id, state, requested_by, claim_token) VALUES (%(id)s, 'running', 'x', 'y')",
        id=batch["id"],
    )
    report = seal(seal_db)
    assert len(report.receipts) == 1 and len(report.waiting) == 1
    admin_db.execute("UPDATE import_job SET finished_at = finished_at - INTERVAL 1 DAY WHERE batch_id = %(id)s",
                     id=batch["id"])
    admin_db.execute("UPDATE import_job SET state = 'failed', finished_at = NOW(6) WHERE claim_token = 'y'")
    receipts = seal(seal_db).receipts  # also that of the job that waited for a day
    assert len(receipts) == 2 and receipts[0].job_id < receipts[1].job_id


def test_a_batch_that_something_writes_to_waits_for_the_next_run(imported, panel_db, seal_db):
    with panel_db.transaction() as tx:
        ledger.lock_batch(tx, imported)
        report = seal(seal_db)
    assert (len(report.receipts), len(report.waiting)) == (1, 1)
    assert len(seal(seal_db).receipts) == 1


def test_a_job_that_ended_long_before_the_last_sealed_one_is_found_by_all(imported, admin_db, seal_db):
    admin_db.execute("UPDATE import_job SET finished_at = finished_at - INTERVAL 2 HOUR ORDER BY id LIMIT 1")
    admin_db.execute("UPDATE import_job SET state = 'running' WHERE finished_at < NOW(6) - INTERVAL 1 HOUR")
    assert len(seal(seal_db).receipts) == 1
    admin_db.execute("UPDATE import_job SET state = 'completed' WHERE finished_at < NOW(6) - INTERVAL 1 HOUR")
    assert seal(seal_db).receipts == []
    assert DatabaseVerifier(seal_db).run().unsealed == 1
    assert len(seal(seal_db, every=True).receipts) == 1


def test_a_second_seal_at_once_neither_forks_the_chain_nor_seals_twice(imported, seal_db, monkeypatch, panel_db):
    module = sys.modules[seal_module.__module__]
    insert, once = module._insert, []

    def race(tx, bounds):
        if not once:
            once.append(True)
            seal(module.Database(seal_db.settings))
        return insert(tx, bounds)

    monkeypatch.setattr(module, "_insert", race)
    assert seal(seal_db).receipts == []
    assert problems(panel_db) == []
    assert DatabaseVerifier(panel_db).run().receipts == 2


def test_a_server_that_lost_the_last_receipts_gets_them_again_in_their_places(
    imported, seal_db, admin_db, monkeypatch, panel_db
):
    """As after the loss of the last commits: the end of the chain is gone when the next receipt is added."""
    module = sys.modules[seal_module.__module__]
    insert, calls = module._insert, []

    def lose(tx, bounds):
        calls.append(bounds)
        if len(calls) == 2:
            admin_db.execute("DELETE FROM ingest_receipt")
        return insert(tx, bounds)

    monkeypatch.setattr(module, "_insert", lose)
    seal(seal_db)
    monkeypatch.undo()
    seal(seal_db, every=True)
    assert len(calls) > 2 and problems(panel_db) == []
    assert DatabaseVerifier(panel_db).run().receipts == 2


def test_a_later_preflight_does_not_disturb_the_receipt_of_a_container(imported, sealed, panel_db, mount):
    services.preflight_batch(panel_db, mount, imported, "operator")
    assert problems(panel_db, [(0, sealed)]) == []


def test_the_account_of_seal_can_neither_change_nor_remove_a_receipt(imported, sealed, seal_db):
    for statement in ("UPDATE ingest_receipt SET root = ''", "DELETE FROM ingest_receipt",
                      "UPDATE ingest_batch SET status = 'failed'", "INSERT INTO ingest_event (batch_id) VALUES (1)"):
        with pytest.raises(Exception, match="denied"):
            seal_db.execute(statement)


# ------------------------------------------------------------------------------------------------ each field in turn

# table -> the row that is changed, and what the problem names it
ROWS = {
    "ingest_result": ("kind = 'photo' AND id = 2", "result"),
    "ingest_result/gallery": ("kind = 'gallery'", "result"),
    "ingest_result_member": ("position = 1", "member|event|result"),
    "ingest_result_tombstone": ("result_id > 0", "tombstone|event"),
    "ingest_event": ("event_type = 'job_claimed' AND batch_id = 1", "event"),
    "ingest_receipt": ("id = 1", "receipt 1|receipt 2"),
    "ingest_batch_container": ("id > 0", "container"),
}


def other_value(column: dict) -> str:
    """SQL for another value of a column."""
    name, kind = f"`{column['COLUMN_NAME']}`", column["DATA_TYPE"]
    if kind == "enum":
        words = re.findall(r"'(\w+)'", column["COLUMN_TYPE"])
        return f"IF({name} <=> '{words[0]}', '{words[1]}', '{words[0]}')"
    if kind in ("bigint", "int"):
        return f"COALESCE({name}, 0) + 1000"
    if kind == "tinyint":
        return f"IF({name} = 0, 1, 0)"
    if kind == "datetime":
        return f"COALESCE({name}, NOW(6)) + INTERVAL 1 MICROSECOND"
    if kind == "longblob":
        return "NULL"
    if column["COLUMN_NAME"] == "marks":
        return "CONCAT('ffff', SUBSTR(marks, 5))"
    if kind == "char":
        return f"CONCAT(IF(LEFT({name}, 1) <=> '0', '1', '0'), SUBSTR(COALESCE({name}, REPEAT('0', 64)), 2))"
    return f"IF({name} <=> '{TEXT[kind]}', '{{}}', '{TEXT[kind]}')"


def columns(db, table):
    return db.execute("SELECT * FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME ="
                      " %(table)s ORDER BY ORDINAL_POSITION", table=table)


def test_a_change_of_each_field_of_each_table_is_found_and_named(removal, sealed, admin_db, panel_db):
    admin_db.execute("SET foreign_key_checks = 0")
    assert problems(panel_db, [(0, sealed)]) == []
    checked = 0
    for key, (where, name) in ROWS.items():
        table = key.partition("/")[0]
        (row,) = admin_db.execute(f"SELECT * FROM {table} WHERE {where} LIMIT 1")
        restore = ", ".join(f"`{column}` = %({column})s" for column in row)
        for column in columns(admin_db, table):
            admin_db.execute(f"UPDATE {table} SET `{column['COLUMN_NAME']}` = {other_value(column)} WHERE {where}"
                             " LIMIT 1")
            problems_found = problems(panel_db, [(0, sealed)])
            assert problems_found, f"{table}.{column['COLUMN_NAME']}"
            named = "lines were sealed" if column["COLUMN_NAME"] in ("id", "batch_id", "result_id") else name
            assert re.search(f"{name}|{named}", problems_found[0]), (table, column["COLUMN_NAME"], problems_found)
            _restore(admin_db, table, row, restore)
            checked += 1
    assert problems(panel_db, [(0, sealed)]) == []
    assert checked > 70


def _restore(admin_db, table, row, assignments):
    """Write a row back, also under another key."""
    parts = {"ingest_result_member": ("result_id", "asset_id"), "ingest_result_tombstone": ("result_id",)}
    keys = parts.get(table, ("id",))
    same = " AND ".join(f"`{key}` IN (%({key})s, %({key})s + 1000)" for key in keys)
    admin_db.execute(f"UPDATE {table} SET {assignments} WHERE {same}", **row)


@pytest.mark.parametrize(("statement", "name"), [
    ("DELETE FROM ingest_event WHERE id = (SELECT MIN(id) FROM ingest_event)", "event"),
    ("DELETE FROM ingest_result WHERE kind = 'photo' LIMIT 1", "result|member|container|event"),
    ("DELETE FROM ingest_result_member LIMIT 1", "member|container"),
    ("DELETE FROM ingest_receipt WHERE id = 1", "place in the chain"),
    ("DELETE FROM ingest_receipt WHERE id = 2", "no receipt has the head"),
    ("INSERT INTO ingest_result (batch_id, job_id, kind, hash, decision)"
     " SELECT batch_id, job_id, kind, REPEAT('0', 64), 'created' FROM ingest_result WHERE id = 1", "was added after"),
    ("INSERT INTO ingest_result_member (result_id, asset_id, came) SELECT id, 999, 1 FROM ingest_result"
     " WHERE kind = 'gallery'", "member 999"),
])
def test_a_row_that_was_removed_or_added_is_found(imported, sealed, admin_db, panel_db, statement, name):
    admin_db.execute(statement)
    assert re.search(name, problems(panel_db, [(0, sealed)])[0])


FORGED = (
    "INSERT INTO ingest_event (id, batch_id, event_type, payload, actor)"
    " SELECT %(id)s, id, 'job_canceled', '{}', 'somebody' FROM ingest_batch WHERE sync_id = %(sync_id)s"
)


@pytest.mark.parametrize("account", ["panel_db", "worker_db"])
def test_an_event_that_an_account_writes_between_sealed_ones_is_found_and_has_its_true_time(
    request, imported, bring, seal_db, admin_db, account
):
    """Panel and worker may write ids, and so use one that a rollback left free."""
    db = request.getfixturevalue(account)
    gap = admin_db.execute("SELECT MAX(id) + 1 AS id FROM ingest_event")[0]["id"]
    admin_db.execute(f"ALTER TABLE ingest_event AUTO_INCREMENT = {gap + 1}")
    bring(imported)
    seal(seal_db)
    assert problems(db) == []
    db.execute(FORGED, id=gap, sync_id=imported)
    found = problems(db)
    assert len(found) == 1 and f"event {gap} (job_canceled), is not what was sealed there" in found[0], found
    forged, later = admin_db.execute(
        "SELECT created_at FROM ingest_event WHERE id >= %(id)s ORDER BY id LIMIT 2", id=gap
    )
    assert forged["created_at"] > later["created_at"]


def test_an_event_with_the_highest_id_stops_events_until_an_administrator_removes_it(
    imported, panel_db, admin_db, mount
):
    highest = 2**64 - 1
    panel_db.execute(FORGED, id=highest, sync_id=imported)
    with pytest.raises(PanelError):
        services.preflight_batch(panel_db, mount, imported, "operator")
    admin_db.execute("DELETE FROM ingest_event WHERE id = %(id)s", id=highest)
    admin_db.execute("ALTER TABLE ingest_event AUTO_INCREMENT = 1")
    services.preflight_batch(panel_db, mount, imported, "operator")


@pytest.mark.parametrize("statement", [
    "DELETE FROM ingest_result_tombstone",
    "INSERT INTO ingest_result_tombstone (result_id, asset_hash) SELECT result_id, REPEAT('0', 64) FROM"
    " ingest_result_tombstone",
])
def test_a_tombstone_of_a_member_that_was_removed_or_added_is_found(removal, sealed, admin_db, panel_db, statement):
    admin_db.execute(statement)
    assert re.search("receipt 3 .*(tombstone|event|lines were sealed)", problems(panel_db, [(0, sealed)])[0])


def test_a_receipt_of_version_1_is_verified_as_it_was_sealed(
    removal, seal_db, admin_db, panel_db, command, tmp_path, monkeypatch, bring
):
    """It has no lines of tombstones; the next receipt of its batch has version 2, and follows it."""
    with monkeypatch.context() as patch:
        patch.setattr(sys.modules[seal.__module__], "Span", partial(Span, version=1))
        seal(seal_db)
    (first,) = admin_db.execute("SELECT root, version FROM ingest_receipt WHERE id = 3")
    admin_db.execute("UPDATE ingest_result_tombstone SET batch_id = batch_id + 1")
    assert problems(panel_db) == []
    bring(removal)
    seal(seal_db)
    rows = admin_db.execute("SELECT id, version, previous FROM ingest_receipt ORDER BY id")
    assert [(row["id"], row["version"]) for row in rows] == [(1, 1), (2, 1), (3, 1), (4, 2)]
    assert rows[3]["previous"] == first["root"]
    assert problems(panel_db) == []
    file = tmp_path / "receipt"
    file.write_text(command("receipt", removal).stdout)
    versions = [json.loads(line)["receipt"]["version"] for line in file.read_text().splitlines() if '"root"' in line]
    assert versions == [1, 2] and verify_file(file).is_consistent
    admin_db.execute("UPDATE ingest_receipt SET version = 2 WHERE id = 3")
    assert "receipt 3" in problems(panel_db)[0]


def test_receipts_that_were_made_anew_over_changed_rows_are_found_by_the_head_outside(
    imported, seal_db, admin_db, panel_db
):
    kept = [(receipt.id, receipt.head) for receipt in seal(seal_db).receipts]
    admin_db.execute("UPDATE ingest_result SET reason = 'nothing happened' WHERE kind = 'photo' LIMIT 1")
    admin_db.execute("DELETE FROM ingest_receipt")
    seal(seal_db)
    assert problems(panel_db) == []  # consistent, and no more
    assert "no receipt has the head" in problems(panel_db, [(0, kept[-1][1])])[0]
    named = problems(panel_db, kept)
    assert re.search(r"receipt 1 .* a receipt from 1 to 1 was changed", named[0])


# ---------------------------------------------------------------------------------------------------------- commands


def test_a_receipt_is_verified_without_a_database_and_proven_by_its_root(imported, sealed, command, tmp_path, admin_db):
    answer = command("receipt", imported)
    assert answer.returncode == 0 and not answer.stderr
    file, conf = tmp_path / "receipt.jsonl", tmp_path / "no database.conf"
    file.write_text(answer.stdout)
    alone = command("verify", file, conf=conf)
    assert alone.returncode == 0 and alone.stdout.startswith("consistent: 1 receipt, ")
    root = admin_db.execute("SELECT root FROM ingest_receipt WHERE id = 1")[0]["root"]
    assert root in alone.stdout
    assert command("verify", file, "--root", root, conf=conf).stdout.startswith("proven: ")
    refused = command("verify", file, "--root", "0" * 64, conf=conf)
    assert refused.returncode == 1 and "no receipt of the file has the root" in refused.stdout
    changed = answer.stdout.replace('"created"', '"skipped"', 1)
    file.write_text(changed)
    answer = command("verify", file, conf=conf)
    assert answer.returncode == 1 and "line 1: result 1: its SHA-256 does not fit" in answer.stdout


def test_each_byte_of_a_receipt_counts(imported, sealed, command, tmp_path):
    text = command("receipt", imported).stdout.encode()
    file = tmp_path / "receipt.jsonl"
    for place in range(0, len(text), 97):
        file.write_bytes(text[:place] + bytes([text[place] ^ 1]) + text[place + 1:])
        assert not verify_file(file).is_consistent, place
    file.write_bytes(text)
    assert verify_file(file).is_consistent
    for end in (len(text) - 1, text.rindex(b"\n", 0, -1) + 1, 0):
        file.write_bytes(text[:end])
        assert not verify_file(file).is_consistent


def test_seal_prints_the_head_and_verify_all_proves_it(imported, seal_conf, command, tmp_path):
    journal = tmp_path / "journal"
    journal.write_text(command("seal", conf=seal_conf).stdout)
    assert re.search(r"2 receipts added\. Receipt 2, head [0-9a-f]{64}", journal.read_text())
    assert command("seal", "--quiet", conf=seal_conf).stdout == ""
    assert command("verify", "--all").stdout.startswith("consistent: 2 receipts, ")
    answer = command("verify", "--all", "--heads", journal)
    assert answer.returncode == 0 and answer.stdout.startswith("proven: 2 receipts, ")


def test_seal_sends_the_head_and_what_was_sent_proves_the_database(imported, seal_conf, command, tmp_path):
    with receiving(HookReceiver()) as hook:
        seal_conf.write_text(f"{seal_conf.read_text()}\n[notify]\nwebhook_url = http://127.0.0.1:{hook.port}/\n")
        assert command("seal", "--quiet", "--tell", conf=seal_conf).returncode == 0
        (post,) = hook.posts
        hook.status = 500
        assert command("seal", "--quiet", "--tell", conf=seal_conf).returncode == 1
    kept = tmp_path / "kept"
    kept.write_text(json.loads(post.body)["text"])
    assert command("verify", "--all", "--heads", kept).stdout.startswith("proven: 2 receipts, ")


def test_a_receipt_that_its_rows_do_not_fit_is_printed_with_what_does_not(imported, sealed, command, admin_db):
    admin_db.execute("UPDATE ingest_event SET actor = 'someone' WHERE event_type = 'scan' AND batch_id = 1")
    answer = command("receipt", imported)
    assert answer.returncode == 1
    assert re.search(r"receipt 1 .*: line \d+, event \d+ \(scan\), is not what was sealed there", answer.stderr)


def test_a_batch_without_a_receipt_says_what_makes_one(imported, command):
    answer = command("receipt", imported)
    assert answer.returncode == 1 and "gpupanel seal makes one" in answer.stderr


def test_texts_that_json_has_to_escape_are_sealed_as_they_stand(imported, admin_db, seal_db, command, tmp_path):
    admin_db.execute(
        "UPDATE ingest_event SET payload = %(text)s, actor = %(actor)s WHERE event_type = 'scan'",
        text='{"a" : "\\u0041\\n\u2028\U0001f600"}', actor='"\\\x01\x7f\u00e9\u009b',
    )
    seal(seal_db)
    file = tmp_path / "receipt"
    file.write_text(command("receipt", imported).stdout)
    assert verify_file(file).is_consistent
    assert file.read_text().isascii() and file.read_text().replace("\n", "").isprintable()


# ----------------------------------------------------------------------------------------------------- order of events


def test_an_event_gets_its_id_while_its_batch_is_locked(imported, panel_db, worker_db, admin_db):
    """A second writer that came first, but waits for the batch, gets the higher id."""
    batch = worker_helpers.batch(admin_db, imported)

    def append(tx, name):
        ledger.append_event(tx, batch["id"], name, {}, "a")

    with panel_db.transaction() as tx:
        ledger.lock_batch(tx, imported)
        second = threading.Thread(target=lambda: worker_db.run_transaction(append, "second"))
        second.start()
        worker_helpers.wait_for_lock_wait(admin_db)
        append(tx, "first")
    second.join()
    rows = admin_db.execute("SELECT event_type FROM ingest_event ORDER BY id DESC LIMIT 2")
    assert [row["event_type"] for row in rows] == ["second", "first"]


def test_each_writer_of_an_event_locks_the_batch_before_the_event_has_an_id(imported, panel_db, mount, admin_db):
    """Also those that write several at once, and a priority, which changes no batch."""
    (job_id,) = worker_helpers.queue(panel_db, mount, imported)
    batch = worker_helpers.batch(admin_db, imported)
    for work in (
        lambda tx: job_queue.set_priority(tx, job_id, 7, "a"),
        lambda tx: ledger.append_events(tx, "x", [(batch["id"], {})], "a"),
        lambda tx: job_queue.hold(tx, job_id, "a"),
    ):
        with panel_db.transaction() as tx:
            work(tx)
            with panel_db.__class__(panel_db.settings).reading() as other:
                assert not other.fetch_all_sql(
                    "SELECT id FROM ingest_batch WHERE id = %(id)s LOCK IN SHARE MODE SKIP LOCKED", id=batch["id"]
                )
