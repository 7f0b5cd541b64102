"""Archives: rows of settled batches move into files, and none is ever lost."""

import gzip
import json
import os
import re
import signal
import sys
from datetime import datetime, timedelta
from functools import partial
from itertools import permutations

import preloaded_programs
import pytest
import worker_helpers
from constants import GPUPANEL
from gpupanel import ledger, services, undo_service
from gpupanel.archive import Archiver, Restorer
from gpupanel.archive import archiver as archiver_module
from gpupanel.db import Database, query
from gpupanel.db.expected import expected_tables
from gpupanel.errors import InvalidInputError, InvalidStateError, NotFoundError
from gpupanel.receipts import DatabaseVerifier, Hasher, seal, verify_file
from gpupanel.receipts.rows import Span
from gpupanel.receipts.lines import RECEIPT, digest_of, encode_body, encode_closing, encode_line, parse_line

MOVED = {
    "ingest_result": "id", "ingest_result_member": "result_id, asset_id",
    "ingest_result_tombstone": "result_id, asset_hash", "ingest_event": "id", "ingest_batch_item": "id",
}
OURS = ("batch_archived", "batch_restored")  # events of archives, which stay


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "archives"
    path.mkdir()
    return path


@pytest.fixture
def settled(bundles, bring, admin_db, seal_db):
    """Two batches that were imported a year ago and sealed: a gallery, and a removal of one that the library lacks."""
    photos, others = list(bundles.assets("coast", 5)), list(bundles.assets("other", 2))
    ids = [
        bundles.bundle("coast", photos, [bundles.container("gallery", "Coast", photos)]),
        bundles.bundle("other", others, [bundles.container("gallery", "Shore", others)], action="remove"),
    ]
    bring(*ids)
    seal(seal_db)
    age(admin_db)
    return ids


def age(db) -> None:
    db.execute("UPDATE ingest_batch SET completed_at = completed_at - INTERVAL 1 YEAR WHERE completed_at IS NOT NULL")


def rows(db) -> dict[str, list]:
    """The rows that archives move, but for the events of archives."""
    return {
        table: [row for row in db.execute(f"SELECT * FROM {table} ORDER BY {order}")
                if row.get("event_type") not in OURS]
        for table, order in MOVED.items()
    }


def library(db) -> dict[str, list]:
    return worker_helpers.rows(db)


def yesterday(db) -> datetime:
    return db.execute("SELECT NOW(6) AS now")[0]["now"] - timedelta(days=1)


def archive(db, folder, checkpoint=lambda step: None):
    return Archiver(db, folder, "archivist", checkpoint).run(yesterday(db))


@pytest.fixture
def command(panel_conf, archive_conf):
    def run(name, *args, conf=panel_conf):
        return preloaded_programs.run([GPUPANEL, name, "--config", conf, *args])

    return run


# ----------------------------------------------------------------------------------------------------- what it does


def test_rows_leave_the_database_and_come_back_as_they_were(settled, archive_db, admin_db, folder):
    before, assets = rows(admin_db), library(admin_db)
    assert all(before.values())
    report = archive(archive_db, folder)
    assert (report.batches, report.refused) == (2, {})
    assert rows(admin_db) == {table: [] for table in MOVED}
    assert library(admin_db) == assets
    (name,) = report.files
    check = verify_file(folder / name)
    assert check.is_consistent and check.receipts == 2
    assert sorted(each.sync_id for each in check.archives) == sorted(settled)
    restored = Restorer(archive_db, folder / name, "archivist").run()
    assert not admin_db.run_read(ledger.has_archived_results, worker_helpers.batch(admin_db, settled[0])["id"])
    assert sorted(restored.batches) == sorted(settled) and restored.replanned == []
    assert rows(admin_db) == before
    assert Restorer(archive_db, folder / name, "archivist").run().rows == {
        "result": 0, "member": 0, "tombstone": 0, "event": 0, "item": 0,
    }
    assert rows(admin_db) == before


def test_batches_jobs_receipts_and_containers_stay(settled, archive_db, admin_db, folder):
    tables = ("import_job", "ingest_receipt", "ingest_batch_container", "ingest_batch_word", "ingest_document")
    before = {table: admin_db.execute(f"SELECT * FROM {table} ORDER BY 1") for table in tables}
    archive(archive_db, folder)
    assert {table: admin_db.execute(f"SELECT * FROM {table} ORDER BY 1") for table in tables} == before
    batch = admin_db.run_read(ledger.get_batch, settled[0])
    assert batch["status"] == "completed" and batch["archived_at"] and batch["archive_file"]
    assert admin_db.run_read(ledger.has_archived_results, batch["id"])
    events = admin_db.run_read(ledger.list_events, batch["id"])
    assert [event["event_type"] for event in events] == ["batch_archived"]
    assert events[0]["actor"] == "archivist"
    assert json.loads(events[0]["payload"])["file"] == batch["archive_file"]


def test_one_batch_of_a_file_is_restored_alone_and_archived_again(settled, archive_db, admin_db, folder):
    (name,) = archive(archive_db, folder).files
    Restorer(archive_db, folder / name, "archivist").run([settled[1]])
    assert {row["batch_id"] for row in rows(admin_db)["ingest_result"]} == {
        worker_helpers.batch(admin_db, settled[1])["id"]
    }
    again = archive(archive_db, folder)
    assert again.batches == 1 and rows(admin_db)["ingest_result"] == []
    with pytest.raises(NotFoundError):
        Restorer(archive_db, folder / again.files[0], "archivist").run([settled[0]])


@pytest.mark.parametrize(("change", "reason"), [
    ("UPDATE ingest_batch SET status = 'preflight_passed'", None),
    ("UPDATE ingest_batch SET completed_at = NOW(6)", None),
    ("INSERT INTO import_job (batch_id, requested_by) SELECT id, 'x' FROM ingest_batch", "active job"),
    ("DELETE FROM ingest_receipt", "it has no receipt"),
    ("UPDATE ingest_result SET reason = 'changed'", "is not what was sealed"),
    ("INSERT INTO preflight_request (batch_id, requested_by) SELECT id, 'x' FROM ingest_batch", "preflight"),
])
def test_what_is_still_needed_or_does_not_fit_stays(settled, archive_db, admin_db, folder, change, reason):
    admin_db.execute(change)
    before = rows(admin_db)
    report = archive(archive_db, folder)
    assert report.batches == 0 and report.files == [] and list(folder.iterdir()) == []
    assert rows(admin_db) == before
    assert all(reason in text for text in report.refused.values()) if reason else report.refused == {}


def test_a_batch_that_changes_while_it_is_archived_stays(settled, archive_db, admin_db, folder, panel_db, mount):
    def preflight(step):
        if step == "verify":
            services.preflight_batch(panel_db, mount, settled[0], "operator")

    report = archive(archive_db, folder, preflight)
    assert report.batches == 1 and "changed while" in report.refused[settled[0]]
    batch_id = worker_helpers.batch(admin_db, settled[0])["id"]
    assert [row for row in rows(admin_db)["ingest_result"] if row["batch_id"] == batch_id]


@pytest.mark.parametrize("step", ["write", "close", "verify", "mark"])
def test_a_batch_that_is_undone_while_it_is_archived_stays(settled, archive_db, admin_db, folder, panel_db, step):
    """Until the batch is marked, the undo comes first; its plan reads rows that are all there."""
    undone = []

    def undo(now):
        if now == step and not undone:
            undone.append(undo_service.undo_batches(panel_db, [settled[0]], "ann")[0].job_id)

    before = rows(admin_db)["ingest_result"]
    report = archive(archive_db, folder, undo)
    assert undone != [None] and report.refused[settled[0]] == "an undo of it is queued or running"
    batch_id = worker_helpers.batch(admin_db, settled[0])["id"]
    left = rows(admin_db)["ingest_result"]
    assert [row for row in left if row["batch_id"] == batch_id] == [
        row for row in before if row["batch_id"] == batch_id
    ]


@pytest.mark.parametrize("step", ["delete_results", "delete_events", "delete_items", "emptied"])
def test_a_batch_that_is_marked_as_archived_is_not_undone_from_what_is_left_of_it(
    settled, archive_db, folder, panel_db, step, monkeypatch
):
    monkeypatch.setattr(archiver_module, "DELETED_ROWS", 2)
    problems = []

    def undo(now):
        if now == step:
            problems.extend(result.problem for result in undo_service.undo_batches(panel_db, settled[:1], "ann"))

    assert archive(archive_db, folder, undo).batches == 2
    assert problems and all(f"The results of batch {settled[0]} are archived" in problem for problem in problems)


def test_only_one_run_at_a_time_and_no_time_that_has_not_passed(settled, archive_db, folder):
    other = Database(archive_db.settings)
    with archiver_module.lock_archiving(other), pytest.raises(InvalidStateError, match="Another archive"):
        archive(archive_db, folder)
    with pytest.raises(InvalidInputError, match="has not passed"):
        Archiver(archive_db, folder, "archivist").run(datetime(2999, 1, 1))


def test_many_batches_make_several_files(settled, archive_db, folder, monkeypatch):
    monkeypatch.setattr(archiver_module, "MAX_FILE_BATCHES", 1)
    monkeypatch.setattr(archiver_module, "PAGE_BATCHES", 1)
    monkeypatch.setattr(archiver_module, "DELETED_ROWS", 1)
    report = archive(archive_db, folder)
    assert len(report.files) == len(set(report.files)) == 2 and report.batches == 2


# ---------------------------------------------------------------------------------------------------- afterwards


@pytest.mark.parametrize("action", ["preflight", "queue", "retry"])
def test_an_archived_batch_is_planned_and_imported_as_any_other(
    settled, archive_db, admin_db, folder, panel_db, mount, action, worker_conf, seal_db
):
    admin_db.execute("UPDATE ingest_batch SET status = 'partial'")  # which may be retried
    before = worker_helpers.rows_but_says(admin_db)
    archive(archive_db, folder)
    if action == "preflight":
        assert services.preflight_batch(panel_db, mount, settled[0], "operator").item_count == 5
    else:
        act = services.queue_batch if action == "queue" else services.retry_batch
        act(panel_db, mount, settled[0], "operator")
        worker_helpers.drain(worker_conf)
        assert worker_helpers.batch(admin_db, settled[0])["status"] == "completed"
        assert worker_helpers.rows_but_says(admin_db) == before
    batch = admin_db.run_read(ledger.get_batch, settled[0])
    assert batch["archived_at"] is None and not ledger.is_archived(batch) and batch["archive_file"]
    assert len(ledger.list_items(panel_db.reading().__enter__(), batch["id"])) == 5
    seal(seal_db)
    assert DatabaseVerifier(panel_db, archives=folder).run().problems == []


def test_an_archived_batch_is_undone_after_its_restoration_and_stays_while_its_undo_waits(
    settled, archive_db, folder, panel_db, mount
):
    """An undo that was planned and left alone holds no archive up; it is queued after the restoration."""
    undo = undo_service.plan_undo(panel_db, settled[0], "operator").sync_id
    (name,) = archive(archive_db, folder).files
    for refused in (
        lambda: undo_service.plan_undo(panel_db, settled[0], "operator"),
        lambda: services.preflight_batch(panel_db, mount, undo, "operator"),
        lambda: services.queue_batch(panel_db, mount, undo, "operator"),
    ):
        with pytest.raises(InvalidStateError, match=f"The results of batch {settled[0]} are archived"):
            refused()
    Restorer(archive_db, folder / name, "archivist").run()
    services.queue_batch(panel_db, mount, undo, "operator")
    assert archive(archive_db, folder).refused[settled[0]] == "an undo of it is queued or running"


def test_tombstones_that_no_receipt_covers_stay_in_the_database(
    settled, archive_db, admin_db, seal_db, panel_db, folder, monkeypatch
):
    """A receipt of version 1 does not cover them, so that its file lacks them; an undo still has them."""
    admin_db.execute("DELETE FROM ingest_receipt")
    with monkeypatch.context() as patch:
        patch.setattr(sys.modules[seal.__module__], "Span", partial(Span, version=1))
        seal(seal_db)
    before = rows(admin_db)
    assert DatabaseVerifier(panel_db).run().problems == []
    (name,) = archive(archive_db, folder).files
    assert rows(admin_db) == {table: [] for table in MOVED} | {
        "ingest_result_tombstone": before["ingest_result_tombstone"]
    }
    assert Restorer(archive_db, folder / name, "archivist").run().rows["result"] == len(before["ingest_result"])
    assert rows(admin_db) == before
    assert DatabaseVerifier(panel_db).run().problems == []
    assert undo_service.plan_undo(panel_db, settled[1], "ann").plan.ok


def test_items_that_were_planned_anew_are_not_overwritten_by_a_restoration(
    settled, archive_db, admin_db, folder, panel_db, mount
):
    (name,) = archive(archive_db, folder).files
    services.preflight_batch(panel_db, mount, settled[0], "operator")
    planned = rows(admin_db)["ingest_batch_item"]
    report = Restorer(archive_db, folder / name, "archivist").run([settled[0]])
    assert report.replanned == [settled[0]] and report.rows["item"] == 0 and report.rows["result"] == 6
    assert rows(admin_db)["ingest_batch_item"] == planned


def test_a_batch_is_archived_twice_and_all_of_it_is_verified(
    settled, archive_db, admin_db, folder, panel_db, mount, worker_conf, seal_db, command
):
    archive(archive_db, folder)
    worker_helpers.queue(panel_db, mount, settled[0])
    worker_helpers.drain(worker_conf)
    seal(seal_db)
    age(admin_db)
    assert archive(archive_db, folder).batches == 1
    check = DatabaseVerifier(panel_db, archives=folder).run()
    assert check.problems == [] and check.receipts == 3
    whole = command("receipt", settled[0], "--archives", folder)
    assert whole.returncode == 0
    (folder / "whole").write_text(whole.stdout)
    assert verify_file(folder / "whole").receipts == 2 and verify_file(folder / "whole").is_consistent


def test_verify_all_reads_the_archives_and_names_one_that_was_changed(settled, archive_db, panel_db, folder):
    (name,) = archive(archive_db, folder).files
    check = DatabaseVerifier(panel_db).run()
    assert (check.problems, check.archived) == ([], 2)
    assert DatabaseVerifier(panel_db, archives=folder).run().problems == []
    text = gzip.decompress((folder / name).read_bytes())
    (folder / name).write_bytes(gzip.compress(text.replace(b'"created"', b'"skipped"', 1)))
    assert "its SHA-256 does not fit" in DatabaseVerifier(panel_db, archives=folder).run().problems[0]
    (folder / name).unlink()
    assert "cannot be read" in DatabaseVerifier(panel_db, archives=folder).run().problems[0]


def test_a_file_that_is_damaged_or_foreign_is_not_restored(settled, archive_db, admin_db, folder):
    (name,) = archive(archive_db, folder).files
    path = folder / name
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    with pytest.raises(InvalidStateError, match="does not fit"):
        Restorer(archive_db, path, "archivist").run()
    other = folder / "other.jsonl.gz"
    other.write_bytes(whole)
    with pytest.raises(InvalidStateError, match="is no archive of batch"):
        Restorer(archive_db, other, "archivist").run()
    assert rows(admin_db)["ingest_result"] == []


def test_a_file_that_lacks_a_receipt_of_its_batch_is_not_restored(settled, archive_db, admin_db, folder):
    """The file is consistent, as each of its parts is; the batch would count as restored without its results."""
    (name,) = archive(archive_db, folder).files
    path = folder / name
    segments = re.findall(rb'(?s)(?:\{"sha256"[^\n]*\n)*\{"root"[^\n]*\n', gzip.decompress(path.read_bytes()))
    path.write_bytes(gzip.compress(b"".join(segments[1:])))
    assert verify_file(path).is_consistent
    with pytest.raises(InvalidStateError, match="does not fit"):
        Restorer(archive_db, path, "archivist").run()
    assert rows(admin_db) == {table: [] for table in MOVED}
    assert all(worker_helpers.batch(admin_db, sync_id)["archive_file"] == name for sync_id in settled)


def forge(text: bytes) -> bytes:
    """A file in which all fits: the first `created` of each receipt is another word, items are as they were."""
    segment, forged, hasher = [], b"", Hasher()
    for line in text.splitlines():
        parsed = parse_line(line)
        segment.append(parsed)
        if parsed.is_closing:
            for each in segment[:-1]:
                body = each.body.replace(b'"created"', b'"skipped"', 1) if parsed.kind == RECEIPT else each.body
                hasher.add(digest_of(body))
                forged += encode_line(body, digest_of(body))
            forged += encode_closing(parsed.body, hasher.root(parsed.body))
            segment, hasher = [], Hasher()
    return forged


def receipt_of(rows: list[bytes], facts: bytes, kind: bytes) -> bytes:
    """Lines with a root that fits them."""
    hasher, text = Hasher(), b""
    for body in rows:
        hasher.add(digest_of(body))
        text += encode_line(body, digest_of(body))
    closing = b'{"%s":{%s,"lines":%d}}' % (kind, facts, len(rows))
    return text + encode_closing(closing, hasher.root(closing))


def test_rows_that_no_receipt_of_the_database_covers_are_never_restored(settled, archive_db, admin_db, folder):
    (name,) = archive(archive_db, folder).files
    path, mine = folder / name, worker_helpers.batch(admin_db, settled[0])["id"]
    whole = gzip.decompress(path.read_bytes())
    event = encode_body("event", {
        "id": 999, "batch_id": mine, "event_type": "forged", "payload": "{}", "actor": "x", "created_at": "2026-01-01",
    })
    item = encode_body("item", {"id": 999, "batch_id": mine})
    of_none = b'"batch_id":77,"sync_id":"x"'
    for text in (forge(whole), whole + receipt_of([event], of_none, b"receipt")):
        path.write_bytes(gzip.compress(text))
        assert verify_file(path).is_consistent
        with pytest.raises(InvalidStateError, match="a receipt that is none of its batches in this database"):
            Restorer(archive_db, path, "archivist").run()
    assert rows(admin_db) == {table: [] for table in MOVED}
    # An archive of another batch is passed over, with rows of whatever batch in it.
    path.write_bytes(gzip.compress(receipt_of([event, item], of_none, b"archive") + whole))
    assert verify_file(path).is_consistent
    Restorer(archive_db, path, "archivist").run()
    assert [row for table in rows(admin_db).values() for row in table if row.get("id") == 999] == []
    assert len(rows(admin_db)["ingest_batch_item"]) == 7


def test_a_file_that_the_disk_did_not_keep_deletes_nothing(settled, archive_db, admin_db, folder):
    before = rows(admin_db)

    def damage(step):
        if step == "verify":
            (path,) = folder.iterdir()
            path.write_bytes(path.read_bytes()[:-30])

    with pytest.raises(InvalidStateError, match="does not fit"):
        archive(archive_db, folder, damage)
    assert rows(admin_db) == before


# --------------------------------------------------------------------------------------------------------- killed


def killed_at(conf, work, number: int) -> bool:
    """Run `work(database, checkpoint)` in a process that kills itself at a checkpoint; return whether it was killed."""
    calls = iter(range(number + 1))

    def checkpoint(step: str) -> None:
        if next(calls) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        status = 1
        try:
            work(Database(conf), checkpoint)
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    worker_helpers.wait_until(lambda: _is_lock_free(conf), "the server to see the end of the killed run")
    return os.WIFSIGNALED(status)


def _is_lock_free(conf) -> bool:
    try:
        with archiver_module.lock_archiving(Database(conf)):
            return True
    except InvalidStateError:
        return False


def test_an_archive_that_is_killed_at_any_step_loses_no_row(settled, archive_db, admin_db, folder, monkeypatch):
    """After each kill, each row is in the database or in a whole file; the next run finishes."""
    monkeypatch.setattr(archiver_module, "DELETED_ROWS", 3)
    before, steps = rows(admin_db), 0
    while killed_at(archive_db.settings, lambda db, checkpoint: archive(db, folder, checkpoint), steps):
        steps += 1
        names = {row["file"] for row in admin_db.execute("SELECT file FROM ingest_archive")}
        assert all(verify_file(folder / name).is_consistent for name in names)
        archive(archive_db, folder)
        assert rows(admin_db) == {table: [] for table in MOVED}
        assert admin_db.execute("SELECT 1 FROM ingest_archive WHERE emptied_at IS NULL") == []
        kept = admin_db.execute("SELECT DISTINCT file FROM ingest_archive WHERE restored_at IS NULL")
        for name in [row["file"] for row in kept]:
            Restorer(archive_db, folder / name, "archivist").run()
        assert rows(admin_db) == before, f"killed at step {steps}"
    assert steps > 15


@pytest.mark.parametrize("step", ["delete_results", "delete_events", "emptied"])
def test_a_run_deletes_nothing_after_the_server_has_lost_its_mark(settled, archive_db, admin_db, folder, step):
    """A server that restarts may come back without its last commits: neither archive, mark nor event of them."""
    before = rows(admin_db)

    def lose(now):
        if now == step:
            _end_connections(admin_db, archive_db)
            admin_db.execute("DELETE FROM ingest_archive")
            admin_db.execute("UPDATE ingest_batch SET archived_at = NULL")
            for table, lost in before.items():
                present = [tuple(row.values()) for row in admin_db.execute(f"SELECT * FROM {table}")]
                for row in lost:
                    if tuple(row.values()) not in present:
                        names = ", ".join(f"%({name})s" for name in row)
                        admin_db.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({names})", **row)

    with pytest.raises(InvalidStateError, match="was lost in the middle"):
        archive(archive_db, folder, lose)
    assert rows(admin_db) == before
    (name,) = archive(archive_db, folder).files
    assert rows(admin_db) == {table: [] for table in MOVED}
    Restorer(archive_db, folder / name, "archivist").run()
    assert rows(admin_db) == before


def test_a_restoration_ends_when_its_connection_is_lost_and_a_repeat_completes_it(
    settled, archive_db, admin_db, folder
):
    before = rows(admin_db)
    (name,) = archive(archive_db, folder).files

    def lose(now):
        if now == "event":
            _end_connections(admin_db, archive_db)

    with pytest.raises(InvalidStateError, match="was lost in the middle"):
        Restorer(archive_db, folder / name, "archivist", lose).run()
    Restorer(archive_db, folder / name, "archivist").run()
    assert rows(admin_db) == before


def _end_connections(admin_db, archive_db) -> None:
    user = archive_db.settings.user
    for row in admin_db.execute("SELECT id FROM information_schema.processlist WHERE user = %(user)s", user=user):
        admin_db.execute(f"KILL CONNECTION {row['id']}")


def test_a_restoration_that_is_killed_at_any_step_is_completed_by_the_next(settled, archive_db, admin_db, folder):
    before, steps = rows(admin_db), 0
    while True:
        (name,) = archive(archive_db, folder).files
        path = folder / name
        was_killed = killed_at(
            archive_db.settings, lambda db, checkpoint, path=path: Restorer(db, path, "a", checkpoint).run(), steps
        )
        Restorer(archive_db, path, "archivist").run()
        assert rows(admin_db) == before
        if not was_killed:
            break
        steps += 1
    assert steps >= 4


def archive_without_deleting(archive_db, folder):
    """Return the file of a run that is killed before it deletes what it has marked."""
    def stop(step):
        if step == "delete_results":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        archive(archive_db, folder, stop)
    (path,) = folder.iterdir()
    return path


def test_a_run_that_was_killed_deletes_nothing_more_once_its_file_is_gone(settled, archive_db, admin_db, folder):
    path = archive_without_deleting(archive_db, folder)
    hidden = path.rename(folder.parent / path.name)
    left = rows(admin_db)
    with pytest.raises(InvalidStateError, match="is not in"):
        archive(archive_db, folder)
    assert rows(admin_db) == left
    hidden.rename(path)
    assert archive(archive_db, folder).continued == 1


@pytest.mark.parametrize("kept", [b'"receipt":{', b'"archive":{'])
def test_a_run_that_was_killed_deletes_nothing_that_its_file_does_not_hold(
    settled, archive_db, admin_db, folder, kept
):
    """The file is whole, but lacks the receipts, or the items, of a batch that was marked."""
    path = archive_without_deleting(archive_db, folder)
    left, segments = rows(admin_db), re.findall(
        rb'(?s)(?:\{"sha256"[^\n]*\n)*\{"root"[^\n]*\n', gzip.decompress(path.read_bytes())
    )
    path.write_bytes(gzip.compress(b"".join(each for each in segments if kept in each)))
    with pytest.raises(InvalidStateError, match="does not fit"):
        archive(archive_db, folder)
    assert rows(admin_db) == left


# -------------------------------------------------------------------------------------------- archives in any order


@pytest.fixture
def imported_again(bundles, bring, admin_db, panel_db, mount, worker_conf, seal_db):
    """Import the same batch, at each call once more, and seal it; return its sync_id."""
    photos = list(bundles.assets("coast", 5))
    sync_id = bundles.bundle("coast", photos, [bundles.container("gallery", "Coast", photos)])

    def run() -> str:
        worker_helpers.queue(panel_db, mount, sync_id)
        worker_helpers.drain(worker_conf)
        seal(seal_db)
        age(admin_db)
        return sync_id

    return run


def together(parts) -> dict[str, list]:
    """What a batch has of some of its archives, the oldest first, with the items of the last one."""
    history = {
        table: sorted(
            (row for part in parts for row in part[table]), key=lambda row: [row[name] for name in order.split(", ")]
        )
        for table, order in MOVED.items()
    }
    return history | {"ingest_batch_item": parts[-1]["ingest_batch_item"]}


def proven(db, folder, command, sync_id) -> bool:
    """Whether all receipts fit, and those that are printed of the batch, too."""
    whole = command("receipt", sync_id, "--archives", folder)
    printed = folder.parent / "printed"
    printed.write_text(whole.stdout)
    return DatabaseVerifier(db, archives=folder).run().problems == [] and verify_file(printed).is_consistent


THREE = list(permutations(range(3)))
IN_MAKE_TEST = [(1, 0, 2), (0, 2, 1), (2, 1, 0)]  # the latest archive last, second and first


@pytest.mark.parametrize(("order", "is_killed"), [
    *((order, is_killed) for order in permutations(range(2)) for is_killed in (False, True)),
    *((order, False) for order in IN_MAKE_TEST),
    *(pytest.param(order, False, marks=pytest.mark.long) for order in THREE if order not in IN_MAKE_TEST),
    *(pytest.param(order, True, marks=pytest.mark.long) for order in THREE),
])
def test_archives_of_a_batch_are_restored_in_any_order(
    imported_again, archive_db, admin_db, panel_db, folder, command, order, is_killed
):
    """Until the latest one is back, the batch has no items and stays archived; then all is as it was."""
    parts, names, batch = [], [], {}
    for _ in order:
        sync_id = imported_again()
        parts.append(rows(admin_db))
        batch = worker_helpers.batch(admin_db, sync_id)
        names += archive(archive_db, folder).files
    assert len(names) == len(order) and all(part["ingest_result"] for part in parts)
    assert parts[0]["ingest_batch_item"] != parts[-1]["ingest_batch_item"]
    for number, each in enumerate(order):
        path, back = folder / names[each], sorted(order[:number + 1])
        has_latest = back[-1] == len(order) - 1
        steps = 0
        while is_killed and killed_at(
            archive_db.settings, lambda db, checkpoint, path=path: Restorer(db, path, "a", checkpoint).run(), steps
        ):
            steps += 1
            assert proven(panel_db, folder, command, sync_id)
            assert admin_db.run_read(ledger.has_archived_results, batch["id"])
        assert steps >= 3 or not is_killed
        report = Restorer(archive_db, path, "archivist").run()
        assert (report.batches, report.superseded) == ([sync_id], [] if has_latest else [sync_id])
        expected = together([parts[one] for one in back])
        assert rows(admin_db) == (expected if has_latest else expected | {"ingest_batch_item": []})
        assert ledger.is_archived(worker_helpers.batch(admin_db, sync_id)) is not has_latest
        assert proven(panel_db, folder, command, sync_id)
    assert not admin_db.run_read(ledger.has_archived_results, batch["id"])
    assert worker_helpers.batch(admin_db, sync_id) == batch | {"archive_file": None}
    assert archive(archive_db, folder).batches == 1 and rows(admin_db) == {table: [] for table in MOVED}
    assert proven(panel_db, folder, command, sync_id)


@pytest.mark.parametrize("step", ["delete_results", "delete_events", "delete_items", "emptied"])
def test_an_archive_that_was_killed_deletes_no_row_of_an_earlier_one_that_is_restored_meanwhile(
    imported_again, archive_db, admin_db, panel_db, folder, command, step, monkeypatch
):
    monkeypatch.setattr(archiver_module, "DELETED_ROWS", 3)
    parts = []
    for _ in range(2):
        sync_id = imported_again()
        parts.append(rows(admin_db))
        if len(parts) == 1:
            (old,) = archive(archive_db, folder).files

    def stop(now):
        if now == step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        archive(archive_db, folder, stop)
    assert Restorer(archive_db, folder / old, "archivist").run().superseded == [sync_id]
    assert proven(panel_db, folder, command, sync_id)
    assert archive(archive_db, folder).continued == 1
    assert rows(admin_db) == parts[0] | {"ingest_batch_item": []}
    assert proven(panel_db, folder, command, sync_id)
    latest = worker_helpers.batch(admin_db, sync_id)["archive_file"]
    Restorer(archive_db, folder / latest, "archivist").run()
    assert rows(admin_db) == together(parts) and proven(panel_db, folder, command, sync_id)


def test_a_batch_stays_while_an_archive_between_its_rows_is_not_restored(
    imported_again, archive_db, admin_db, panel_db, folder, command
):
    """The receipts of a file follow each other; the first archive is restored here, and the second is not."""
    parts, names = [], []
    for _ in range(2):
        imported_again()
        parts.append(rows(admin_db))
        names += archive(archive_db, folder).files
    Restorer(archive_db, folder / names[0], "archivist").run()
    sync_id = imported_again()
    before = rows(admin_db)
    report = archive(archive_db, folder)
    assert (report.batches, report.files) == (0, []) and f"restore {names[1]}, too" in report.refused[sync_id]
    assert rows(admin_db) == before and proven(panel_db, folder, command, sync_id)
    report = Restorer(archive_db, folder / names[1], "archivist").run()
    assert (report.replanned, report.superseded) == ([sync_id], [])
    whole = together([parts[1], before])
    assert rows(admin_db) == whole and proven(panel_db, folder, command, sync_id)
    (last,) = archive(archive_db, folder).files
    assert rows(admin_db) == {table: [] for table in MOVED}
    Restorer(archive_db, folder / last, "archivist").run()
    assert rows(admin_db) == whole and proven(panel_db, folder, command, sync_id)


# --------------------------------------------------------------------------------------------- columns and accounts


def test_every_column_of_what_is_moved_is_written_and_brought_back():
    """A new column that an archive forgot would be lost with its row."""
    reads = {
        "ingest_result": "receipts.results", "ingest_result_member": "receipts.members",
        "ingest_result_tombstone": "receipts.tombstones", "ingest_event": "receipts.events",
        "ingest_batch_item": "archive.items",
    }
    writes = {
        "ingest_result": "results", "ingest_result_member": "members", "ingest_result_tombstone": "tombstones",
        "ingest_event": "events", "ingest_batch_item": "items",
    }
    for table, name in reads.items():
        columns = set(expected_tables()[table].columns)
        selected = query(name).partition("SELECT")[2].partition("FROM")[0]
        assert set(re.findall(r"\w+", selected)) == columns, table
        assert set(re.findall(r"%\((\w+)\)s", query(f"archive.restore_{writes[table]}"))) == columns, table


def test_a_receipt_has_every_column_of_a_container():
    selected = query("receipts.settled_containers").partition("SELECT")[2].partition("FROM")[0]
    assert set(re.findall(r"\w+", selected)) == set(expected_tables()["ingest_batch_container"].columns)


def test_the_command_takes_a_time_with_its_zone(settled, command, admin_db, archive_conf, folder):
    admin_db.execute("UPDATE ingest_batch SET completed_at = '2026-03-01 09:59:59' WHERE sync_id = %(sync_id)s",
                     sync_id=settled[0])
    admin_db.execute("UPDATE ingest_batch SET completed_at = '2026-03-01 10:00:00' WHERE sync_id = %(sync_id)s",
                     sync_id=settled[1])
    done = command("archive", "--before", "2026-03-01T12:00:00+02:00", "--to", folder, conf=archive_conf)
    assert done.stdout.startswith("1 batch archived."), done.stderr
    assert worker_helpers.batch(admin_db, settled[0])["archived_at"]


def test_the_commands_run_under_the_account_of_archives_alone(settled, command, archive_conf, panel_conf, folder):
    refused = command("archive", "--before", "2026-11-30", "--to", folder)
    assert refused.returncode == 1 and "denied" in refused.stderr
    on_mount = command("archive", "--before", "2026-11-30", "--to", folder.parent / "assets", conf=archive_conf)
    assert on_mount.returncode == 2 and "never written" in on_mount.stderr
    done = command("archive", "--before", "2026-11-30", "--to", folder, conf=archive_conf)
    assert done.returncode == 0 and done.stdout.startswith("2 batches archived."), done.stderr
    (path,) = folder.iterdir()
    shown = command("receipt", settled[0])
    assert shown.returncode == 1 and f"is archived, see {path.name}" in shown.stderr
    assert "Archived, see" in command("show", settled[0]).stdout
    restored = command("restore-archive", path, settled[0], conf=archive_conf)
    assert restored.returncode == 0 and settled[0] in restored.stdout
    assert command("receipt", settled[0]).returncode == 0
