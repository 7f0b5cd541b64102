"""The import of a batch when not all is well: bad items, other manifests, bundles that are gone, other imports."""

import json
import threading
from collections import Counter

import pytest
import worker_helpers
from gpupanel import manifest
from gpupanel.db import Database, DatabaseInternalError
from gpupanel.devtools.bundle_factory import defects
from gpupanel.worker import outage_retry, document_prefetch, importer, library_writer, worker

# ----------------------------------------------------------------------------------------- one item fails alone


@pytest.mark.parametrize("broken, words", [
    (defects.no_folder, "is not on the mount"),
    (defects.no_source, "source.json is not on the mount"),
    (defects.broken_source, "source.json is not JSON"),
    (defects.broken_document, "photo.analysis.json is not JSON"),
    (defects.long_title, "items[1].title"),
])
def test_a_bad_item_fails_alone_with_its_reason(panel_db, bundles, bring, broken, words):
    sync_id = bundles.bundle("coast", bundles.assets("coast", 3, broken={1: broken}))
    bring(sync_id)
    assert worker_helpers.counts(panel_db, sync_id) == {"created": 2, "failed": 1}
    failed = worker_helpers.items(panel_db, sync_id)[1]
    assert words in failed["last_error"]
    batch = worker_helpers.batch(panel_db, sync_id)
    assert (batch["status"], batch["last_error"]) == ("partial", f"1 of 3 items failed; the first: {failed['reason']}")


@pytest.fixture
def picky(admin_db):
    """A database that refuses assets with one title."""
    admin_db.execute("ALTER TABLE asset ADD CONSTRAINT picky CHECK (title <> 'refused')")
    yield
    admin_db.execute("ALTER TABLE asset DROP CONSTRAINT picky")


def test_an_item_that_the_database_refuses_fails_alone(admin_db, panel_db, bundles, bring, picky):
    photos = list(bundles.assets("coast", 4))
    photos[2] = photos[2]._replace(title="refused")
    sync_id = bundles.bundle("coast", photos)
    bring(sync_id)
    assert worker_helpers.counts(panel_db, sync_id) == {"created": 3, "failed": 1}
    assert "the database refused it" in worker_helpers.items(panel_db, sync_id)[2]["reason"]
    assert len(admin_db.execute("SELECT id FROM asset_source")) == 3


def test_a_batch_of_which_everything_failed_is_failed_and_its_job_too(admin_db, panel_db, bundles, mount, bring):
    garbled = {0: defects.broken_source, 1: defects.broken_source}
    sync_id = bundles.bundle("coast", bundles.assets("coast", 2, broken=garbled))
    (job_id,) = worker_helpers.queue(panel_db, mount, sync_id)
    bring()
    job = worker_helpers.job(admin_db, job_id)
    first = worker_helpers.items(panel_db, sync_id)[0]["reason"]
    assert (job["state"], job["last_error"]) == ("failed", f"2 of 2 items failed; the first: {first}")
    assert worker_helpers.batch(panel_db, sync_id)["status"] == "failed"


# ------------------------------------------------------------------------------------------------ the manifest


def test_a_changed_manifest_is_an_event_and_a_line_of_the_log_and_its_plan_waits_for_an_operator(
    panel_db, bundles, mount, bring
):
    first, second = bundles.assets("coast", 2)
    sync_id = bundles.bundle("coast", [first])
    (job_id,) = worker_helpers.queue(panel_db, mount, sync_id)
    planned = worker_helpers.batch(panel_db, sync_id)["manifest_sha256"]
    bundles.bundle("coast", [second], replace=True)
    log = bring()
    batch = worker_helpers.batch(panel_db, sync_id)
    found = f"found {batch['manifest_sha256'][:16]}..., expected {planned[:16]}..."
    assert f"job {job_id} (batch {sync_id}): the manifest changed since the preflight: {found}\n" in log
    (event,) = worker_helpers.events(panel_db, sync_id, "manifest_changed")
    payload = json.loads(event["payload"])
    assert (payload["before"], payload["after"], payload["phase"]) == (planned, batch["manifest_sha256"], "import")
    decided = worker_helpers.reasons(panel_db, sync_id)
    assert decided[second.asset_hash][0] == "will_create" and decided[first.asset_hash][0] == "withdrawn"
    assert batch["status"] == "preflight_passed"


def test_the_digest_of_what_was_imported_is_in_the_last_event(panel_db, bundles, bring):
    sync_id = bundles.bundle("coast", bundles.assets("coast", 1))
    assert "the manifest changed" not in bring(sync_id)
    payload = json.loads(worker_helpers.events(panel_db, sync_id)[-1]["payload"])
    assert payload["manifest_sha256"] == worker_helpers.batch(panel_db, sync_id)["manifest_sha256"]
    assert payload["counts"] == {"created": 1}


@pytest.mark.parametrize("spoil, problem", [
    (lambda raw: raw[: len(raw) // 2], "expected JSON"), (lambda raw: raw + b" " * 50_000, "expected at most 50000"),
], ids=["broken", "too big"])
def test_a_manifest_that_went_bad_fails_the_job_with_the_reason(
    admin_db, panel_db, bundles, mount, worker_conf, spoil, problem
):
    sync_id = bundles.bundle("coast", bundles.assets("coast", 1))
    (job_id,) = worker_helpers.queue(panel_db, mount, sync_id)
    bundles.bundle("coast", bundles.assets("coast", 1), replace=True, spoil=spoil)
    worker_conf.write_text(worker_conf.read_text().replace("[mount]\n", "[mount]\nmanifest_limit = 50000\n"))
    log = worker_helpers.drain(worker_conf)
    assert f"job {job_id} (batch {sync_id}): preflight_failed, 0 of 1 items in" in log and problem in log
    job = worker_helpers.job(admin_db, job_id)
    assert job["state"] == "failed" and problem in job["last_error"]
    assert job["last_error"].startswith("the bundle changed after it was approved: ")
    batch = worker_helpers.batch(panel_db, sync_id)
    assert batch["status"] == "preflight_failed" and batch["changed_at"]
    assert worker_helpers.events(panel_db, sync_id)[-1]["event_type"] == "job_failed"
    assert worker_helpers.rows(admin_db)["asset"] == []


@pytest.mark.parametrize("suffix", ["json", "ready"])
def test_a_bundle_that_is_gone_is_held_and_the_others_go_on(
    admin_db, panel_db, assets_dir, bundles, mount, bring, suffix
):
    gone, there = (bundles.bundle(name, bundles.assets(name, 1)) for name in ("gone", "there"))
    job_id, _ = worker_helpers.queue(panel_db, mount, gone, there)
    (assets_dir / "sync" / f"{gone}.{suffix}").unlink()
    bring()
    job = worker_helpers.job(admin_db, job_id)
    assert (job["state"], job["hold"], job["attempts"]) == ("held", "bundle", 0)
    assert "is not on the mount" in job["last_error"]
    assert [event["event_type"] for event in worker_helpers.events(panel_db, gone)][-2:] == ["job_claimed", "job_held"]
    assert worker_helpers.batch(panel_db, there)["status"] == "completed"


def test_a_manifest_that_may_not_be_read_is_held_and_imported_once_it_may(
    admin_db, panel_db, assets_dir, bundles, mount, worker_conf, bring, deny
):
    closed, there = (bundles.bundle(name, bundles.assets(name, 1)) for name in ("closed", "there"))
    job_id, _ = worker_helpers.queue(panel_db, mount, closed, there)
    allow = deny(assets_dir / "sync" / f"{closed}.json")
    bring()
    job = worker_helpers.job(admin_db, job_id)
    assert (job["state"], job["hold"], job["attempts"]) == ("held", "bundle", 0)
    assert f"{closed}.json may not be read by this account: Permission denied" in job["last_error"]
    event_types = [event["event_type"] for event in worker_helpers.events(panel_db, closed)]
    assert event_types[-2:] == ["job_claimed", "job_held"]
    assert worker_helpers.batch(panel_db, there)["status"] == "completed"
    allow()
    worker_helpers.make_due(admin_db)
    worker_helpers.drain(worker_conf)
    assert worker_helpers.batch(panel_db, closed)["status"] == "completed"


def test_an_item_whose_documents_may_not_be_read_fails_alone(panel_db, assets_dir, bundles, mount, worker_conf, deny):
    photos = list(bundles.assets("coast", 2))
    sync_id = bundles.bundle("coast", photos)
    worker_helpers.queue(panel_db, mount, sync_id)
    deny(assets_dir / photos[0].path / "source" / "source.json")
    worker_helpers.drain(worker_conf)
    assert worker_helpers.counts(panel_db, sync_id) == {"created": 1, "failed": 1}


def test_a_bundle_that_is_no_longer_verified_is_held(admin_db, panel_db, bundles, mount, bring):
    sync_id = bundles.bundle("coast", bundles.assets("coast", 1))
    (job_id,) = worker_helpers.queue(panel_db, mount, sync_id)
    bundles.bundle("coast", bundles.assets("coast", 1), replace=True, verification={"passed": False, "total_files": 1})
    assert "expected true\n" in bring()
    assert worker_helpers.job(admin_db, job_id)["state"] == "held"
    assert worker_helpers.counts(panel_db, sync_id) == {"will_create": 1}


# ------------------------------------------------------------------------------------------- several at once


@pytest.mark.parametrize("action", ["create", "update"])
def test_two_imports_that_share_assets_make_no_twins_and_each_decides_rightly(
    admin_db, panel_db, bundles, mount, worker_conf, action
):
    shared = list(bundles.assets("shared", 120, ("photo", "cover"), derivatives=("icon",)))
    names = ("one", "two")
    sync_ids = [
        bundles.bundle(name, [*bundles.assets(name, 3), *(shared if name == "one" else shared[::-1])], action=action)
        for name in names
    ]
    worker_helpers.queue(panel_db, mount, *sync_ids)
    conf = worker_helpers.with_options(worker_conf, chunk_items=10)
    threads = [threading.Thread(target=worker_helpers.drain, args=(conf,)) for _ in sync_ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total = sum((Counter(worker_helpers.counts(panel_db, sync_id)) for sync_id in sync_ids), Counter())
    assert total == {"created": 126, "skipped": 120}
    assert len(admin_db.execute("SELECT id FROM asset")) == 126
    assert len(admin_db.execute("SELECT id FROM asset_source")) == 126


def test_an_asset_that_another_import_is_bringing_just_now_is_waited_for_and_found(
    admin_db, panel_db, worker_db, bundles, mount, worker_conf
):
    sync_id = bundles.bundle("coast", bundles.assets("coast", 1))
    worker_helpers.queue(panel_db, mount, sync_id)
    (item,) = manifest.parse_manifest(mount.read_manifest(sync_id), sync_id).items
    rival = Database(worker_db.settings)
    importing = threading.Thread(target=worker_helpers.drain, args=(worker_conf,))
    with rival.transaction() as tx:
        row = worker_helpers.batch(panel_db, sync_id)
        library_writer.insert_assets(tx, [(item, library_writer.Assigned(row["source_at"], row["id"]))])
        importing.start()
        worker_helpers.wait_for_lock_wait(admin_db)
    importing.join()
    rival.close()
    assert worker_helpers.counts(panel_db, sync_id) == {"skipped": 1}


# ------------------------------------------------------------------------------------------- many items


def test_a_batch_of_many_chunks_counts_its_progress(admin_db, panel_db, bundles, mount, worker_conf):
    sync_id = bundles.bundle("many", bundles.assets("many", 25, derivatives=("icon",)))
    (job_id,) = worker_helpers.queue(panel_db, mount, sync_id)
    worker_helpers.drain(worker_helpers.with_options(worker_conf, chunk_items=4))
    job = worker_helpers.job(admin_db, job_id)
    assert (job["state"], job["items_done"], job["items_total"]) == ("completed", 25, 25)
    assert [item["position"] for item in worker_helpers.items(panel_db, sync_id)] == list(range(25))


def test_progress_is_an_event_now_and_then_but_not_for_each_chunk(
    panel_db, bundles, mount, worker_conf, monkeypatch
):
    conf = worker_helpers.with_options(worker_conf, chunk_items=2)
    quick = bundles.bundle("quick", bundles.assets("quick", 5, derivatives=("icon",)))
    worker_helpers.queue(panel_db, mount, quick)
    worker_helpers.drain(conf)
    assert worker_helpers.events(panel_db, quick, "job_progress") == []
    monkeypatch.setattr(importer, "EVENT_SECONDS", 0)
    slow = bundles.bundle("slow", bundles.assets("slow", 5, derivatives=("icon",)))
    worker_helpers.queue(panel_db, mount, slow)
    worker_helpers.drain(conf)
    progress = [json.loads(event["payload"]) for event in worker_helpers.events(panel_db, slow, "job_progress")]
    assert [(each["items_done"], each["items_total"]) for each in progress] == [(2, 5), (4, 5), (5, 5)]


# ----------------------------------------------------------------------------------- what may come again


@pytest.fixture
def drain_twice(worker_conf, admin_db):
    """Lets a worker that tries twice drain the queue, and again when the backoff is over."""
    impatient = worker_helpers.with_options(worker_conf, max_attempts=2)

    def drain() -> None:
        worker_helpers.drain(impatient)
        worker_helpers.make_due(admin_db)
        worker_helpers.drain(impatient)

    return drain


def faulty_for(db, bad: str, error: Exception):
    """library.create with a fault for one batch."""
    create = library_writer.insert_assets

    def faulty(tx, items):
        if any(say.batch_id == worker_helpers.batch(db, bad)["id"] for _, say in items):
            raise error
        return create(tx, items)

    return faulty


FAULTS = {
    "of ours": (KeyError("a fault"), "unexpected KeyError"),
    "of the server": (DatabaseInternalError("error 1037"), "error 1037"),
}


@pytest.mark.parametrize("error, words", FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_holds_its_job_counts_the_attempt_and_lets_the_queue_go_on(
    admin_db, panel_db, bundles, mount, worker_conf, monkeypatch, error, words
):
    bad, good = (bundles.bundle(name, bundles.assets(name, 1)) for name in ("bad", "good"))
    job_id, _ = worker_helpers.queue(panel_db, mount, bad, good)
    monkeypatch.setattr(library_writer, "insert_assets", faulty_for(panel_db, bad, error))
    log = worker_helpers.drain(worker_conf)
    job = worker_helpers.job(admin_db, job_id)
    assert (job["state"], job["hold"], job["attempts"]) == ("held", "backoff", 1)
    assert words in job["last_error"] and f"job {job_id} (batch {bad}): held, {job['last_error']}" in log
    assert worker_helpers.batch(panel_db, good)["status"] == "completed"


def test_a_database_in_trouble_is_not_asked_with_one_job_after_the_other(
    admin_db, panel_db, bundles, mount, worker_conf, monkeypatch
):
    ids = [bundles.bundle(f"b{n}", bundles.assets(f"b{n}", 1)) for n in range(12)]
    worker_helpers.queue(panel_db, mount, *ids)

    def full(tx, items):
        raise DatabaseInternalError("the table is full.")

    monkeypatch.setattr(library_writer, "insert_assets", full)
    monkeypatch.setattr(outage_retry.DatabaseRetrier, "delay_seconds", lambda self, attempt: 0)
    log = worker_helpers.drain(worker_conf)
    claimed = [job for job in admin_db.execute("SELECT attempts FROM import_job") if job["attempts"]]
    assert len(claimed) == worker.DRAIN_FAULTS + 1
    assert log.count("the table is full") <= 2 * len(claimed)


def test_a_fault_that_stays_fails_its_job_when_the_attempts_are_used_up(
    admin_db, panel_db, bundles, mount, drain_twice, monkeypatch
):
    bad = bundles.bundle("bad", bundles.assets("bad", 1))
    (job_id,) = worker_helpers.queue(panel_db, mount, bad)
    monkeypatch.setattr(library_writer, "insert_assets", faulty_for(panel_db, bad, KeyError("a fault")))
    drain_twice()
    job = worker_helpers.job(admin_db, job_id)
    assert (job["state"], job["attempts"]) == ("failed", 2)
    assert job["last_error"].startswith("gave up after 2 attempts: unexpected KeyError")
    assert worker_helpers.batch(panel_db, bad)["status"] == "failed"


def test_documents_that_are_needed_after_all_are_read_in_chunks_that_bound_their_bytes(
    panel_db, admin_db, bundles, mount, worker_conf, monkeypatch
):
    monkeypatch.setattr(document_prefetch, "PREFETCH_BYTES", 1)
    photos = list(bundles.assets("coast", 6, derivatives=("icon",)))
    first, gone = bundles.bundle("coast", photos), bundles.bundle("gone", photos, action="remove")
    again = bundles.bundle("again", photos)
    worker_helpers.queue(panel_db, mount, first)
    worker_helpers.drain(worker_conf)
    worker_helpers.queue(panel_db, mount, gone, again)
    worker_helpers.drain(worker_conf)
    assert worker_helpers.counts(panel_db, again) == {"updated": 6}
