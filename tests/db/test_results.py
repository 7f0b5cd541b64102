"""Results: what each job did, with the values before and after, kept for ever."""

import json

import pytest
import worker_helpers
from gpupanel import digests, ledger
from gpupanel.db import DuplicateKeyError
from gpupanel.errors import PanelError
from gpupanel.ledger import results
from gpupanel.manifest import Derivative
from gpupanel.models import Decision, EntryResult, MemberChange
from gpupanel.worker import library_writer


def results_of(db, sync_id: str) -> list[dict]:
    """The results of a batch in the order of their commits, their JSON decoded."""
    rows = db.execute(
        "SELECT r.* FROM ingest_result r JOIN ingest_batch b ON b.id = r.batch_id"
        " WHERE b.sync_id = %(sync_id)s ORDER BY r.id",
        sync_id=sync_id,
    )
    decoded = ("approved", "changes")
    return [row | {name: json.loads(row[name]) if row[name] else None for name in decoded} for row in rows]


def only_result(db, sync_id: str) -> dict:
    (row,) = [row for row in results_of(db, sync_id) if row["kind"] == "photo"]
    return row


def digest_now(db, asset_hash: str) -> str:
    """The digest of an asset as its rows are now."""
    (row,) = db.execute("SELECT * FROM asset WHERE asset_hash = %(hash)s", hash=asset_hash)
    files = db.execute("SELECT * FROM asset_derivative WHERE asset_id = %(id)s AND deleted_at IS NULL", id=row["id"])
    by_file = {(each["kind"], each["path"]): each for each in files}
    return digests.asset_digest(row, row["deleted_at"] is not None, by_file)


def document(assets_dir, asset, name: str):
    folder = assets_dir / asset.path / "source"
    return folder / name if name == "source.json" else folder / "data" / name


# ---------------------------------------------------------------------------------- before and after of each write


def test_a_create_records_each_value_it_wrote(admin_db, bundles, bring):
    photo, cover = bundles.assets("coast", 2, ("photo", "cover"))
    sync_id = bundles.bundle("coast", [photo._replace(title="Dawn"), cover])
    bring(sync_id)
    row = only_result(admin_db, sync_id)
    batch = worker_helpers.batch(admin_db, sync_id)
    assert (row["planned"], row["decision"], row["approved"]) == ("will_create", "created", None)
    assert row["changes"]["title"] == [None, "Dawn"] and "deleted" not in row["changes"]
    assert row["changes"]["source_batch_id"] == row["changes"]["last_batch_id"] == [None, batch["id"]]
    assert row["changes"]["source_at"] == [None, batch["source_at"].isoformat(" ", "microseconds")]
    assert row["changes"]["covers"] == {cover.asset_hash: [None, row["cover_id"]]}
    assert set(row["changes"]["documents"]) == {"source", "manifest", "analysis", "meaning", "family"}
    files = row["changes"]["derivatives"]
    assert len(files) == 4 and all(before is None and after["sha256"] for before, after in files.values())
    assert row["target_digest"] == digest_now(admin_db, photo.asset_hash)


def test_an_update_records_both_befores_and_the_digest_of_what_it_left(admin_db, bundles, bring):
    (photo,) = bundles.assets("coast", 1, derivatives=("icon", "thumb"))
    bring(bundles.bundle("coast", [photo._replace(title="Dawn")]))
    update = bundles.bundle(
        "update", [photo._replace(title="Dusk", derivatives=("icon", "thumb", "medium"))], action="update", files=True
    )
    bring(update)
    row = only_result(admin_db, update)
    assert row["approved"]["title"] == row["changes"]["title"] == ["Dawn", "Dusk"]
    assert [before for before, _ in row["changes"]["derivatives"].values()] == [None]
    assert row["target_digest"] == digest_now(admin_db, photo.asset_hash)
    first, second = (worker_helpers.batch(admin_db, bundles.sync_id(name))["id"] for name in ("coast", "update"))
    assert row["changes"]["last_batch_id"] == row["changes"]["source_batch_id"] == [first, second]


def test_a_removal_and_a_restore_record_the_mark(admin_db, bundles, bring):
    (photo,) = bundles.assets("coast", 1)
    bring(bundles.bundle("coast", [photo]))
    gone, back = bundles.bundle("gone", [photo], action="remove"), bundles.bundle("back", [photo])
    bring(gone)
    assert only_result(admin_db, gone)["changes"]["deleted"] == [False, True]
    assert only_result(admin_db, gone)["target_digest"] == digest_now(admin_db, photo.asset_hash)
    bring(back)
    assert only_result(admin_db, back)["changes"]["deleted"] == [True, False]
    assert only_result(admin_db, back)["target_digest"] == digest_now(admin_db, photo.asset_hash)


def test_an_entry_that_changes_nothing_records_its_say_alone(admin_db, bundles, bring):
    (photo,) = bundles.assets("coast", 1)
    bring(bundles.bundle("coast", [photo]))
    again = bundles.bundle("again", [photo], action="update", files=False)
    bring(again)
    row = only_result(admin_db, again)
    assert row["decision"] == "skipped"
    assert set(row["changes"]) == {"source_at", "source_batch_id", "last_batch_id", "derivative_says"}
    bring(again)
    assert [row["changes"] for row in results_of(admin_db, again)[1:]] == [None]


def test_a_restored_cover_link_keeps_its_id(admin_db, bundles, bring):
    photo, cover = bundles.assets("coast", 2, ("photo", "cover"))
    bring(bundles.bundle("coast", [photo, cover]))
    admin_db.execute("UPDATE asset_cover SET deleted_at = NOW(6)")
    again = bundles.bundle("again", [photo, cover], files=False)
    bring(again)
    row = only_result(admin_db, again)
    (link,) = admin_db.execute("SELECT * FROM asset_cover")
    assert link["deleted_at"] is None
    assert row["changes"]["covers"] == {cover.asset_hash: [link["id"], link["id"]]}


def test_a_replaced_document_is_kept_once_and_named(admin_db, assets_dir, bundles, bring):
    (photo,) = bundles.assets("coast", 1)
    bring(bundles.bundle("coast", [photo]))
    source = document(assets_dir, photo, "source.json")
    first = source.read_text()
    for name, text in (("second", '{"n": 2}'), ("third", first), ("fourth", '{"n": 2}')):
        source.write_text(text)
        bring(bundles.bundle(name, [photo], action="update", files=False))
    kept = {row["document"] for row in admin_db.execute("SELECT document FROM ingest_document")}
    assert kept == {first, '{"n": 2}'}
    [(before, after)] = [only_result(admin_db, bundles.sync_id("second"))["changes"]["documents"]["source"]]
    documents = {row["sha256"]: row["document"] for row in admin_db.execute("SELECT * FROM ingest_document")}
    assert (documents[before], documents[after]) == (first, '{"n": 2}')


def test_an_analysis_that_was_taken_back_comes_again_as_the_row_it_was(admin_db, bundles, bring):
    (photo,) = bundles.assets("coast", 1)
    bring(bundles.bundle("coast", [photo]))
    admin_db.execute("UPDATE asset_ai_run SET deleted_at = NOW(6) WHERE analysis_kind = 'meaning'")
    again = bundles.bundle("again", [photo], action="update", files=False)
    bring(again)
    assert worker_helpers.counts(admin_db, again) == {"updated": 1}
    runs = admin_db.execute("SELECT deleted_at FROM asset_ai_run WHERE analysis_kind = 'meaning'")
    assert [run["deleted_at"] for run in runs] == [None]
    assert list(only_result(admin_db, again)["changes"]["documents"]) == ["meaning"]


def test_a_derivative_records_how_its_file_was_compared_and_when(admin_db, worker_db, bundles, bring):
    (photo,) = bundles.assets("coast", 1, derivatives=("icon", "thumb"))
    bring(bundles.bundle("coast", [photo]))

    def checks():
        rows = admin_db.execute("SELECT checked_how, checked_at FROM asset_derivative ORDER BY id")
        return [(row["checked_how"], row["checked_at"]) for row in rows]

    rows = admin_db.execute("SELECT * FROM asset_derivative ORDER BY id")
    (first_how, imported_at), second = checks()
    assert first_how == second[0] == "size" and None not in (imported_at, second[1])
    say = library_writer.Assigned(rows[0]["source_at"], rows[0]["source_batch_id"])
    files = [(row["kind"], row["path"]) for row in rows] + [("icon", "icon.of.nobody")]
    writes = [
        library_writer.DerivativeWrite(rows[0]["asset_id"], Derivative(*file), say, how)
        for file, how in zip(files, ("sha256", None, None), strict=True)
    ]
    worker_db.run_transaction(library_writer.write_derivatives, writes)
    (how, checked_at), *others = checks()
    assert how == "sha256" and checked_at > imported_at
    assert others == [second, (None, None)], "who compared no file leaves what was recorded"


# ------------------------------------------------------------------------------------------------- failures


def test_why_an_item_failed_stays_after_a_retry_and_a_preflight(
    admin_db, panel_db, mount, assets_dir, bundles, bring, worker_conf
):
    photo, other = bundles.assets("coast", 2)
    sync_id = bundles.bundle("coast", [photo, other])
    broken = document(assets_dir, photo, "photo.analysis.json")
    whole = broken.read_text()
    broken.write_text("{broken")
    bring(sync_id)
    broken.write_text(whole)
    worker_helpers.services.retry_batch(panel_db, mount, sync_id, "operator")
    worker_helpers.drain(worker_conf)
    worker_helpers.services.preflight_batch(panel_db, mount, sync_id, "operator")
    rows = [row for row in results_of(admin_db, sync_id) if row["hash"] == photo.asset_hash]
    assert [row["decision"] for row in rows] == ["failed", "created"]
    assert "photo.analysis.json is not JSON" in rows[0]["reason"]
    assert rows[0]["last_error"] == rows[0]["reason"]
    assert (rows[0]["changes"], rows[0]["target_digest"], rows[0]["target_id"]) == (None, None, None)


def test_an_item_that_the_database_refuses_fails_alone_and_has_a_result(
    admin_db, worker_conf, panel_db, mount, bundles
):
    photos = list(bundles.assets("coast", 3))
    sync_id = bundles.bundle("coast", photos)
    admin_db.execute("ALTER TABLE asset ADD CONSTRAINT refused CHECK (title <> 'no')")
    try:
        photos[1] = photos[1]._replace(title="no")
        bundles.bundle("coast", photos, replace=True)
        worker_helpers.queue(panel_db, mount, sync_id)
        worker_helpers.drain(worker_conf)
    finally:
        admin_db.execute("ALTER TABLE asset DROP CONSTRAINT refused")
    rows = {row["hash"]: row for row in results_of(admin_db, sync_id)}
    assert [rows[photo.asset_hash]["decision"] for photo in photos] == ["created", "failed", "created"]
    assert rows[photos[1].asset_hash]["reason"].startswith("the database refused it: ")
    assert worker_helpers.counts(panel_db, sync_id) == {"created": 2, "failed": 1}


def test_the_first_reasons_of_failed_items_come_by_position(admin_db, panel_db, bundles, bring):
    assets = list(bundles.assets("coast", 8, broken={n: worker_helpers.defects.no_source for n in range(1, 8)}))
    sync_id = bundles.bundle("coast", assets)
    bring(sync_id)
    batch_id = worker_helpers.batch(panel_db, sync_id)["id"]
    samples = panel_db.run_read(results.failure_samples, batch_id)
    assert samples == [item["reason"] for item in worker_helpers.items(panel_db, sync_id)[1:6]]
    assert panel_db.run_read(results.failure_samples, batch_id, limit=1) == samples[:1]


# ------------------------------------------------------------------------------------------------ append-only

RESULT = EntryResult("photo", "a" * 64, "will_skip", None, Decision.SKIPPED, "r", target_digest="d" * 64, target_id=5)


@pytest.mark.parametrize("table", ["ingest_result", "ingest_result_member", "ingest_document"])
@pytest.mark.parametrize("statement", ["DELETE FROM {}", "UPDATE {} SET {} = {}"])
def test_neither_account_can_change_what_was_recorded(panel_db, worker_db, table, statement):
    column = "sha256" if table == "ingest_document" else "result_id" if table == "ingest_result_member" else "batch_id"
    for db in (panel_db, worker_db):
        with pytest.raises(PanelError, match="denied"):
            db.execute(statement.format(table, column, column))


def test_a_job_settles_an_entry_once(admin_db, worker_db):
    worker_db.run_transaction(results.insert, 1, 2, [RESULT])
    with pytest.raises(DuplicateKeyError):
        worker_db.run_transaction(results.insert, 1, 2, [RESULT])
    worker_db.run_transaction(results.insert, 1, 3, [RESULT])
    assert len(admin_db.execute("SELECT id FROM ingest_result")) == 2


def test_the_latest_result_of_an_asset_is_the_last_that_did_not_fail(worker_db):
    failed = RESULT._replace(decision=Decision.FAILED, target_digest=None)
    for job_id, result in enumerate((RESULT, RESULT._replace(target_digest="e" * 64), failed), 1):
        worker_db.run_transaction(results.insert, 1, job_id, [result])
    key = ("photo", "a" * 64)
    assert worker_db.run_read(results.latest, [key, ("cover", "a" * 64)], 1) == {key: results.LatestResult(2, "e" * 64)}


def test_members_are_recorded_with_their_container(admin_db, worker_db):
    def record(tx):
        ids = results.insert(tx, 1, 2, [RESULT._replace(kind="gallery")])
        changes = [MemberChange(7, 0, True), MemberChange(8, 3, True, 1), MemberChange(9, 2, False, 2)]
        results.insert_members(tx, {ids["gallery", "a" * 64]: changes})

    worker_db.run_transaction(record)
    rows = admin_db.execute("SELECT * FROM ingest_result_member ORDER BY asset_id")
    assert [(row["asset_id"], row["position"], row["came"], row["position_before"]) for row in rows] == [
        (7, 0, 1, None), (8, 3, 1, 1), (9, 2, 0, 2),
    ]


def test_the_ledger_and_the_results_agree(admin_db, panel_db, bundles, bring):
    sync_id = bundles.bundle("coast", bundles.assets("coast", 6, broken={2: worker_helpers.defects.no_source}))
    bring(sync_id)
    batch_id = worker_helpers.batch(panel_db, sync_id)["id"]
    recorded = {(row["kind"], row["hash"]): row["decision"] for row in results_of(admin_db, sync_id)}
    items = panel_db.run_read(ledger.list_items, batch_id)
    assert recorded == {(item["asset_type"], item["asset_hash"]): item["decision"] for item in items}
