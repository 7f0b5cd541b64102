"""A retry does what failed and nothing else; what is done stays as it was done (docs/decisions/0056)."""

import json

import pytest
import worker_helpers
from gpupanel import bundle_inspection, job_queue, preflight, services
from gpupanel.devtools.bundle_factory import defects
from gpupanel.errors import InvalidStateError
from gpupanel.worker import job_release
from gpupanel.worker.importer import Importer, ImportOptions


@pytest.fixture
def partial(panel_db, mount, bundles, worker_conf):
    """A bundle of four photos, imported but for the second, whose source is missing."""
    return worker_helpers.partial_batch(panel_db, mount, bundles, worker_conf, 4)


@pytest.fixture
def mend(panel_db, mount, partial):
    """What the mount lacked comes."""
    return lambda: worker_helpers.mend(panel_db, mount, partial)


@pytest.fixture
def retry(panel_db, mount):
    return lambda sync_id: services.retry_batch(panel_db, mount, sync_id, "operator")


def test_only_what_failed_is_done_again(panel_db, partial, mend, retry, worker_conf):
    before = worker_helpers.items(panel_db, partial)
    mend()
    job = panel_db.run_read(job_queue.job, retry(partial))
    assert job["items_total"] == 1
    worker_helpers.drain(worker_conf)
    after = worker_helpers.items(panel_db, partial)
    assert [item for number, item in enumerate(after) if number != 1] == [
        item for number, item in enumerate(before) if number != 1
    ]
    assert (after[1]["decision"], after[1]["job_id"], after[1]["earlier"]) == ("created", job["id"], "failed")
    job = panel_db.run_read(job_queue.job, job["id"])
    assert (job["state"], job["items_done"], job["items_total"]) == ("completed", 1, 1)
    assert worker_helpers.batch(panel_db, partial)["status"] == "completed"


def test_the_events_of_a_retry_tell_that_it_is_one(panel_db, partial, mend, retry):
    mend()
    retry(partial)
    started, finished, queued = (
        json.loads(worker_helpers.events(panel_db, partial, kind)[-1]["payload"])
        for kind in ("preflight_started", "preflight_finished", "job_queued")
    )
    assert (started["phase"], finished["phase"], finished["counts"]["will_create"]) == ("retry", "retry", 1)
    assert queued["items_total"] == "1"


def test_a_retry_that_would_fail_again_is_refused_and_changes_nothing(panel_db, partial, retry):
    before = (
        worker_helpers.items(panel_db, partial), worker_helpers.batch(panel_db, partial),
        worker_helpers.events(panel_db, partial),
    )
    with pytest.raises(InvalidStateError, match=r"the only item would fail: .*source.json is not on the mount"):
        retry(partial)
    assert (
        worker_helpers.items(panel_db, partial), worker_helpers.batch(panel_db, partial),
        worker_helpers.events(panel_db, partial),
    ) == before


def test_another_manifest_since_is_planned_and_queued_whole(panel_db, partial, retry, bundles):
    bundles.bundle("coast", bundles.assets("coast", 6), replace=True)
    assert panel_db.run_read(job_queue.job, retry(partial))["items_total"] == 6


def test_a_batch_of_which_nothing_failed_is_refused(panel_db, partial, mend, retry, worker_conf):
    mend()
    retry(partial)
    with pytest.raises(InvalidStateError, match=r"is queued already, as job [0-9]+"):
        retry(partial)
    worker_helpers.drain(worker_conf)
    with pytest.raises(InvalidStateError, match="is completed: none of its items failed"):
        retry(partial)


@pytest.fixture
def slow_mount(mount, monkeypatch):
    """`slow_mount(meanwhile)` returns the mount, during whose next look `meanwhile()` happens."""
    def slow(meanwhile):
        own = mount.open_manifest

        def opened(sync_id):
            manifest = own(sync_id)
            monkeypatch.undo()
            meanwhile()
            return manifest

        monkeypatch.setattr(mount, "open_manifest", opened)
        return mount

    return slow


def test_a_second_click_whose_retry_was_done_while_it_looked_at_the_mount_is_refused(
    panel_db, partial, mend, retry, slow_mount, worker_conf
):
    mend()
    done = []

    def first():
        retry(partial)
        worker_helpers.drain(worker_conf)
        done.append((worker_helpers.items(panel_db, partial), worker_helpers.batch(panel_db, partial)))

    with pytest.raises(InvalidStateError, match="has changed meanwhile; it is completed"):
        services.retry_batch(panel_db, slow_mount(first), partial, "another")
    assert [(worker_helpers.items(panel_db, partial), worker_helpers.batch(panel_db, partial))] == done


def test_neither_is_a_batch_of_which_nothing_had_been_done_begun_again(
    panel_db, mount, bundles, retry, slow_mount, worker_conf
):
    sync_id = bundles.bundle("coast", bundles.assets("coast", 1, broken={0: defects.no_source}))
    services.scan_mount(panel_db, mount, "operator")
    assert not services.preflight_batch(panel_db, mount, sync_id, "operator").ok
    worker_helpers.mend(panel_db, mount, sync_id, 0)

    def first():
        retry(sync_id)
        worker_helpers.drain(worker_conf)

    with pytest.raises(InvalidStateError, match="has changed meanwhile; it is completed"):
        services.retry_batch(panel_db, slow_mount(first), sync_id, "another")
    assert worker_helpers.counts(panel_db, sync_id) == {"created": 1}


def test_a_retry_that_was_canceled_is_queued_again_as_what_it_was(panel_db, mount, partial, mend, retry, worker_conf):
    mend()
    panel_db.run_transaction(job_queue.cancel, retry(partial), "operator")
    job_id = services.queue_batch(panel_db, mount, partial, "operator")
    assert panel_db.run_read(job_queue.job, job_id)["items_total"] == 1
    worker_helpers.drain(worker_conf)
    assert worker_helpers.counts(panel_db, partial) == {"created": 4}


def test_to_queue_the_whole_batch_again_still_does_all_of_it(panel_db, mount, partial, mend, worker_conf):
    mend()
    job_id = services.queue_batch(panel_db, mount, partial, "operator")
    assert panel_db.run_read(job_queue.job, job_id)["items_total"] == 4
    worker_helpers.drain(worker_conf)
    assert worker_helpers.counts(panel_db, partial) == {"created": 1, "skipped": 3}


class ImportStoppedError(Exception):
    """The import ends here."""


class StopAfterTwo:
    """Hooks that stop an import once two items are settled."""

    def checkpoint(self, progress):
        if progress.startswith("2 of "):
            raise ImportStoppedError

    def warn(self, text):
        raise AssertionError(text)


class NoHeart:
    def raise_if_lost(self):
        """The claim is never lost."""

    def record_beat(self, since):
        """It has no watch."""


@pytest.fixture
def stopped(worker_db, mount):
    """Import two items of a queued batch, and release the job."""

    def stopped() -> int:
        claim = worker_helpers.take(worker_db, "a")
        with pytest.raises(ImportStoppedError):
            Importer(worker_db, mount, claim, NoHeart(), StopAfterTwo(), ImportOptions(1, 1)).run()
        worker_db.run_transaction(job_release.release, claim, "the worker was stopped")
        return claim.job_id

    return stopped


def test_what_failed_before_a_job_was_canceled_is_tried_by_the_next_one(
    panel_db, mount, bundles, worker_conf, stopped
):
    sync_id = bundles.bundle("coast", bundles.assets("coast", 4, broken={1: defects.no_source}))
    worker_helpers.queue(panel_db, mount, sync_id)
    first = stopped()
    assert worker_helpers.counts(panel_db, sync_id) == {"created": 1, "failed": 1, "will_create": 2}
    panel_db.run_transaction(job_queue.cancel, first, "operator")
    worker_helpers.mend(panel_db, mount, sync_id)
    second = services.queue_batch(panel_db, mount, sync_id, "operator")
    assert worker_helpers.job(panel_db, second)["items_total"] == 3
    worker_helpers.drain(worker_conf)
    assert worker_helpers.job(panel_db, second)["items_done"] == 3
    items = worker_helpers.items(panel_db, sync_id)
    assert [item["decision"] for item in items] == ["created"] * 4
    assert [item["job_id"] for item in items] == [first, second, second, second]
    assert [(item["earlier"], item["earlier_job_id"]) for item in items] == [
        (None, None), ("failed", first), (None, None), (None, None),
    ]


def test_a_resumed_job_does_not_try_again_what_it_saw_fail(panel_db, mount, bundles, worker_conf, stopped):
    sync_id = bundles.bundle("coast", bundles.assets("coast", 4, broken={1: defects.no_source}))
    worker_helpers.queue(panel_db, mount, sync_id)
    job_id = stopped()
    log = worker_helpers.drain(worker_conf)
    assert "2 of 4 items done" in log and "partial, 4 of 4 items in" in log
    assert worker_helpers.job(panel_db, job_id)["items_done"] == 4
    assert [item["earlier"] for item in worker_helpers.items(panel_db, sync_id)] == [None] * 4


def test_the_log_counts_the_items_of_the_retry(partial, mend, retry, worker_conf):
    mend()
    retry(partial)
    assert f"(batch {partial}): completed, 1 of 1 items in" in worker_helpers.drain(worker_conf)


def test_a_retry_is_refused_when_another_one_was_done_while_it_looked_at_the_mount(
    panel_db, mount, partial, mend, retry, worker_conf
):
    (photo,) = {
        ("photo", item["asset_hash"])
        for item in worker_helpers.items(panel_db, partial)
        if item["decision"] == "failed"
    }
    mend()
    seen = bundle_inspection.inspect_bundle(mount, partial, {photo})
    retry(partial)
    worker_helpers.drain(worker_conf)
    before = worker_helpers.items(panel_db, partial), worker_helpers.events(panel_db, partial)
    with pytest.raises(InvalidStateError, match="has changed meanwhile; it is completed"):
        panel_db.run_transaction(preflight.replan_open_items, seen, "operator")
    assert (worker_helpers.items(panel_db, partial), worker_helpers.events(panel_db, partial)) == before


def test_a_manifest_that_cannot_be_read_is_no_reason_to_change_what_is_known_of_the_batch(
    panel_db, partial, retry, mount
):
    manifest = mount.sync_dir / f"{partial}.json"
    manifest.unlink()
    manifest.symlink_to("/etc/passwd")
    with pytest.raises(InvalidStateError, match=r"Nothing was retried: .* leads out of the mount"):
        retry(partial)
    assert worker_helpers.batch(panel_db, partial)["status"] == "partial"


def test_a_gallery_gets_the_members_that_came_after_it(panel_db, mount, bundles, worker_conf, admin_db, retry):
    present, missing = list(bundles.assets("coast", 2)), list(bundles.assets("inland", 1))
    gallery = bundles.bundle("coast", present, [bundles.container("gallery", "Shores", present + missing)])
    worker_helpers.queue(panel_db, mount, gallery)
    worker_helpers.drain(worker_conf)
    assert worker_helpers.batch(panel_db, gallery)["status"] == "partial"
    worker_helpers.queue(panel_db, mount, bundles.bundle("inland", missing))
    worker_helpers.drain(worker_conf)
    job_id = retry(gallery)
    worker_helpers.drain(worker_conf)
    assert worker_helpers.batch(panel_db, gallery)["status"] == "completed"
    assert worker_helpers.job(panel_db, job_id)["items_total"] == 0
    assert len(admin_db.execute("SELECT * FROM asset_gallery_item")) == 3
