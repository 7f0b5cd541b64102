"""A job ends only when nothing of its batch is open, whatever a server forgot."""

import json

import pytest
import worker_helpers
from gpupanel import undo_service
from gpupanel.devtools.bundle_factory import defects
from gpupanel.errors import JobNotDoneError
from gpupanel.worker import claims, importer, job_release
from gpupanel.worker.importer import Importer, ImportOptions
from lost_commits import forget_items, settled_hashes

class QuietHooks:
    """Hooks of an import that nothing stops; `warnings` has what it said."""

    def __init__(self):
        self.warnings: list[str] = []

    def checkpoint(self, progress: str) -> None:
        """Go on."""

    def warn(self, text: str) -> None:
        self.warnings.append(text)


class NoHeart:
    def record_beat(self, since: float) -> None:
        """No thread writes heartbeats."""

    def raise_if_lost(self) -> None:
        """The claim is never lost."""


@pytest.fixture
def claimed(panel_db, worker_db, mount, bundles):
    """A claimed job of ten photos in three galleries."""
    photos = list(bundles.assets("coast", 10, derivatives=("icon",)))
    held = [bundles.container("gallery", f"Coast {n}", photos[n:n + 4]) for n in range(3)]
    sync_id = bundles.bundle("coast", photos, held)
    worker_helpers.queue(panel_db, mount, sync_id)
    return worker_helpers.take(worker_db, "a")


def run(worker_db, mount, claim, chunk_items: int = 2) -> tuple[claims.ImportResult, QuietHooks]:
    hooks = QuietHooks()
    return Importer(worker_db, mount, claim, NoHeart(), hooks, ImportOptions(chunk_items, 1)).run(), hooks


def at_step(monkeypatch, number: int, act) -> None:
    """Act just before the end of the job is tried for the time of this number."""
    end, numbers = Importer._end, iter(range(1, 1000))

    def ending(self, tx, manifest, at_end):
        if next(numbers) == number:
            act()
        return end(self, tx, manifest, at_end)

    monkeypatch.setattr(Importer, "_end", ending)


def whole(admin_db, panel_db, claim) -> None:
    """The batch is completed, and everything is there once."""
    assert worker_helpers.batch(panel_db, claim.sync_id)["status"] == "completed"
    assert worker_helpers.counts(panel_db, claim.sync_id) == {"created": 10}
    job = worker_helpers.job(admin_db, claim.job_id)
    assert (job["state"], job["items_done"], job["items_total"]) == ("completed", 10, 10)
    library = worker_helpers.rows(admin_db)
    tables = ("asset", "asset_source", "asset_gallery", "asset_gallery_item")
    assert [len(library[table]) for table in tables] == [10, 10, 3, 12]
    assert admin_db.execute("SELECT COUNT(*) AS n FROM ingest_result")[0]["n"] == 13


def test_items_that_a_server_forgot_are_imported_again_before_the_job_ends(
    admin_db, panel_db, worker_db, mount, claimed, monkeypatch
):
    job_id = claimed.job_id
    at_step(monkeypatch, 1, lambda: forget_items(admin_db, job_id, settled_hashes(admin_db, job_id)[-4:]))
    result, hooks = run(worker_db, mount, claimed)
    assert result.status == "completed"
    assert hooks.warnings == ["4 items and containers are not settled; they are imported again"]
    assert worker_helpers.counts(panel_db, claimed.sync_id) == {"created": 10}
    job = worker_helpers.job(admin_db, claimed.job_id)
    assert (job["state"], job["items_done"]) == ("completed", 10)
    assert len(worker_helpers.rows(admin_db)["asset"]) == 10


def test_containers_that_a_server_forgot_are_imported_again_before_the_job_ends(
    admin_db, panel_db, worker_db, mount, claimed, monkeypatch
):
    def forget() -> None:
        admin_db.execute("DELETE FROM asset_gallery_item")
        admin_db.execute("DELETE FROM asset_gallery")
        admin_db.execute("DELETE FROM ingest_result WHERE kind = 'gallery'")
        admin_db.execute("DELETE FROM ingest_result_member")
        admin_db.execute("UPDATE ingest_batch_container SET decision = planned, job_id = NULL, members_done = 0")

    at_step(monkeypatch, 1, forget)
    _, hooks = run(worker_db, mount, claimed)
    assert hooks.warnings == ["3 items and containers are not settled; they are imported again"]
    whole(admin_db, panel_db, claimed)


def test_containers_that_a_server_forgot_are_undone_again_before_the_items_that_they_list(
    admin_db, panel_db, worker_db, mount, worker_conf, claimed
):
    """An undo writes containers first: an item that a gallery still lists would stay."""
    run(worker_db, mount, claimed)
    (queued,) = undo_service.undo_batches(panel_db, [claimed.sync_id], "ann")
    tables = ("asset_gallery", "asset_gallery_item")
    saved = {table: admin_db.execute(f"SELECT * FROM {table}") for table in tables}

    class Forgetful(QuietHooks):
        """The server forgets the containers before the second chunk of items, and drops the connection."""

        def checkpoint(self, progress: str) -> None:
            if saved and progress.startswith("2 of"):
                for table, rows in saved.items():
                    names = [name for name in rows[0] if name != "id"]
                    values = ", ".join(f"{name} = %({name})s" for name in names)
                    for row in rows:
                        admin_db.execute(f"UPDATE {table} SET {values} WHERE id = %(id)s", **row)
                forgotten = "DELETE FROM ingest_result WHERE kind = 'gallery' AND job_id = %(id)s"
                admin_db.execute(forgotten, id=claim.job_id)
                admin_db.execute("UPDATE ingest_batch_container SET decision = planned, job_id = NULL")
                for row in admin_db.execute("SELECT id FROM information_schema.PROCESSLIST WHERE USER = 'gpu_worker'"):
                    admin_db.execute(f"KILL {row['id']}")
                saved.clear()

    claim, hooks = worker_helpers.take(worker_db, "b"), Forgetful()
    assert claim.sync_id == queued.undo_sync_id
    Importer(worker_db, mount, claim, NoHeart(), hooks, ImportOptions(2, 1)).run()
    assert not saved and hooks.warnings == ["3 items and containers are not settled; they are imported again"]
    assert worker_helpers.counts(panel_db, claim.sync_id) == {"removed": 10}
    assert admin_db.execute("SELECT id FROM asset WHERE deleted_at IS NULL") == []


def test_a_row_that_vanished_from_the_ledger_is_open_too(admin_db, panel_db, worker_db, mount, claimed, monkeypatch):
    def forget() -> None:
        lost = settled_hashes(admin_db, claimed.job_id)[-2:]
        forget_items(admin_db, claimed.job_id, lost)
        admin_db.execute("DELETE FROM ingest_batch_item WHERE asset_hash IN %(hashes)s", hashes=lost)

    at_step(monkeypatch, 1, forget)
    run(worker_db, mount, claimed)
    assert worker_helpers.counts(panel_db, claimed.sync_id) == {"created": 10}


def test_a_job_whose_entries_never_settle_fails_after_five_rounds_without_progress(
    admin_db, panel_db, worker_db, mount, claimed, monkeypatch
):
    rounds = []

    def forget(self, tx, manifest, at_end):
        rounds.append(1)
        raise JobNotDoneError(3)

    monkeypatch.setattr(Importer, "_end", forget)
    reason = "3 items and containers are not settled after 5 rounds without progress"
    with pytest.raises(importer.ImportRejectedError, match=reason):
        run(worker_db, mount, claimed)
    assert len(rounds) == 6


def test_a_planned_item_that_the_manifest_does_not_list_never_ends_as_a_success(
    admin_db, panel_db, mount, bundles, worker_conf
):
    sync_id = bundles.bundle("coast", bundles.assets("coast", 2, derivatives=("icon",)))
    [job_id] = worker_helpers.queue(panel_db, mount, sync_id)
    admin_db.execute(
        "INSERT INTO ingest_batch_item (batch_id, position, asset_type, asset_hash, decision, planned)"
        " SELECT id, 2, 'photo', REPEAT('ab', 32), 'will_create', 'will_create'"
        " FROM ingest_batch WHERE sync_id = %(s)s", s=sync_id,
    )
    worker_helpers.drain(worker_conf)
    job = worker_helpers.job(admin_db, job_id)
    assert job["state"] == "failed" and "not settled" in job["last_error"]
    assert worker_helpers.batch(panel_db, sync_id)["status"] == "failed"
    assert worker_helpers.batch(panel_db, sync_id)["imported_job_id"] == job_id, "two of its items were imported"


# ------------------------------------------------------------------------------------------ the figures


@pytest.mark.parametrize("items_done, items_total", [(9, 10), (30, 10), (0, 3)])
def test_progress_is_counted_from_the_ledger_and_never_over_its_total(
    admin_db, panel_db, worker_db, mount, claimed, items_done, items_total
):
    worker_db.run_transaction(job_release.release, claimed, "the worker was stopped")
    admin_db.execute(
        "UPDATE import_job SET items_done = %(done)s, items_total = %(total)s, attempts = 1",
        done=items_done, total=items_total,
    )
    claim = worker_helpers.take(worker_db, "b")
    seen = []

    class Watching(QuietHooks):
        def checkpoint(self, progress: str) -> None:
            row = worker_helpers.job(admin_db, claim.job_id)
            seen.append((progress, row["items_done"], row["items_total"]))

    Importer(worker_db, mount, claim, NoHeart(), Watching(), ImportOptions(2, 1)).run()
    assert all(done <= total for _, done, total in seen)
    assert seen[-1][0] == "10 of 10 items"
    job = worker_helpers.job(admin_db, claim.job_id)
    assert (job["items_done"], job["items_total"]) == (10, 10)


def test_failures_are_sampled_in_the_last_event(panel_db, bundles, bring):
    photos = bundles.assets("coast", 9, broken=dict.fromkeys(range(7), defects.broken_document))
    sync_id = bundles.bundle("coast", photos)
    bring(sync_id)
    [event] = worker_helpers.events(panel_db, sync_id, "job_finished")
    samples = json.loads(event["payload"])["failure_samples"]
    assert len(samples) == 5 and all("photo.analysis.json is not JSON" in each for each in samples)
