"""A large bundle: two threads write its chunks, and nothing but the time differs."""

import json
import threading

import pytest
import worker_helpers
from gpupanel.db import Database
from gpupanel.errors import ClaimLostError, DatabaseUnavailableError
from gpupanel.worker import importer, job_release, parallel_pipeline
from gpupanel.worker.chunk_writer import ChunkWriter
from gpupanel.worker.claims import ClaimRequest
from gpupanel.worker.claims import claim as claim_next
from gpupanel.worker.container_writer import ContainerWriter
from gpupanel.worker.importer import Importer, ImportOptions
from lost_commits import forget_items, settled_hashes

SECONDS = 60
ITEMS, CHUNK = 24, 4


class StoppedError(Exception):
    """The import ends here."""


@pytest.fixture(autouse=True)
def two_threads(monkeypatch):
    """Treat each bundle as a large one."""
    monkeypatch.setattr(importer, "PARALLEL_ITEMS", 0)


@pytest.fixture
def photos(bundles):
    return list(bundles.assets("coast", ITEMS, derivatives=("icon",), documents=("photo.analysis.json",)))


@pytest.fixture
def claimed(panel_db, worker_db, mount, bundles, photos):
    """A claimed job of 24 photos in two galleries."""
    held = [bundles.container("gallery", f"Coast {n}", photos[n::2]) for n in range(2)]
    sync_id = bundles.bundle("coast", photos, held)
    worker_helpers.queue(panel_db, mount, sync_id)
    return worker_helpers.take(worker_db, "a")


@pytest.fixture
def before_write(monkeypatch):
    """`before_write(act)`: call `act(tx, number)` before chunk `number`, from 1, is written; retries count too."""

    def install(act) -> None:
        write, lock, numbers = ChunkWriter.write, threading.Lock(), iter(range(1, 1000))

        def writing(self, tx, entries):
            with lock:
                number = next(numbers)
            act(tx, number)
            return write(self, tx, entries)

        monkeypatch.setattr(ChunkWriter, "write", writing)

    return install


class Hooks(worker_helpers.NoHooks):
    """Hooks that stop an import when `stop()` is true."""

    def __init__(self, stop=lambda progress: False):
        self.stop = stop

    def checkpoint(self, progress: str) -> None:
        if self.stop(progress):
            raise StoppedError


def run(db, mount, claim, hooks=None):
    options = ImportOptions(CHUNK, 2)
    job = Importer(db, mount, claim, worker_helpers.NoHeartbeat(), hooks or Hooks(), options)
    return job.run(), job.progress


def resume(worker_db, mount, claim):
    """Release the job, and import what is left of it under a new claim."""
    worker_db.run_transaction(job_release.release, claim, "stopped")
    return run(worker_db, mount, worker_helpers.take(worker_db, "b"))


def raise_if_incomplete(admin_db, claim, items: int = ITEMS) -> None:
    """Check that all is in the library once, with one result an entry."""
    assert worker_helpers.counts(admin_db, claim.sync_id) == {"created": items}
    job = worker_helpers.job(admin_db, claim.job_id)
    assert (job["state"], job["items_done"], job["items_total"]) == ("completed", items, items)
    library = worker_helpers.rows(admin_db)
    tables = ("asset", "asset_source", "asset_gallery", "asset_gallery_item")
    assert [len(library[table]) for table in tables] == [items, items, 2, items]
    results = admin_db.execute("SELECT kind, hash, decision FROM ingest_result")
    assert len({(row["kind"], row["hash"]) for row in results}) == len(results) == items + 2
    assert {row["decision"] for row in results} == {"created"}


def connections(admin_db) -> int:
    rows = admin_db.execute("SELECT COUNT(*) AS n FROM information_schema.PROCESSLIST WHERE USER = 'gpu_worker'")
    return rows[0]["n"]


def test_two_chunks_are_written_at_the_same_time_on_connections_that_end_with_the_job(
    admin_db, worker_db, mount, claimed, before_write
):
    together, used = threading.Barrier(2), set()

    def meet(tx, number: int) -> None:
        used.add((threading.current_thread().name, tx._connection.thread_id()))
        if number <= 2:
            together.wait(SECONDS)

    before_write(meet)
    before = connections(admin_db)
    result, progress = run(worker_db, mount, claimed)
    assert result.status == "completed" and progress == f"{ITEMS} of {ITEMS} items"
    assert {name for name, _ in used} == {"writer 1", "writer 2"} and len(used) == 2
    worker_helpers.wait_until(lambda: connections(admin_db) == before, "the end of the threads' connections")
    raise_if_incomplete(admin_db, claimed)


def test_a_small_bundle_is_written_by_the_main_thread(worker_db, mount, claimed, before_write, monkeypatch):
    monkeypatch.setattr(importer, "PARALLEL_ITEMS", ITEMS + 1)
    used = set()
    before_write(lambda tx, number: used.add(threading.current_thread()))
    run(worker_db, mount, claimed)
    assert used == {threading.main_thread()}


def test_a_job_of_one_chunk_ends_with_it_in_the_main_thread(panel_db, worker_db, mount, bundles, photos, before_write):
    used = set()
    before_write(lambda tx, number: used.add(threading.current_thread()))
    worker_helpers.queue(panel_db, mount, sync_id := bundles.bundle("whole", photos))
    request = ClaimRequest("a" * 32, worker_helpers.HOST, small_items=ITEMS)
    claim = worker_db.run_transaction(claim_next, request)
    options = ImportOptions(ITEMS, 2)
    Importer(worker_db, mount, claim, worker_helpers.NoHeartbeat(), Hooks(), options).run()
    assert used == {threading.main_thread()}
    assert worker_helpers.counts(panel_db, sync_id) == {"created": ITEMS}


def test_the_containers_wait_for_all_items(admin_db, worker_db, mount, claimed, monkeypatch):
    settled, write = [], ContainerWriter.write

    def writing(self, tx, group):
        settled.append(worker_helpers.counts(admin_db, claimed.sync_id))
        return write(self, tx, group)

    monkeypatch.setattr(ContainerWriter, "write", writing)
    run(worker_db, mount, claimed)
    assert settled and all(counts == {"created": ITEMS} for counts in settled)


@pytest.mark.parametrize("number", [1, 2, 4])
def test_a_connection_that_dies_in_one_thread_costs_no_item(
    admin_db, worker_db, mount, claimed, before_write, number
):
    def kill(tx, at: int) -> None:
        if at == number:
            admin = Database(admin_db.settings)
            admin.execute(f"KILL {tx._connection.thread_id()}")
            admin.close()

    before_write(kill)
    _, progress = run(worker_db, mount, claimed)
    assert progress == f"{ITEMS} of {ITEMS} items"
    raise_if_incomplete(admin_db, claimed)


def test_an_error_in_one_thread_ends_the_import_and_keeps_what_others_committed(
    admin_db, worker_db, mount, claimed, before_write
):
    def fail(tx, number: int) -> None:
        if number == 3:
            raise StoppedError

    before_write(fail)
    with pytest.raises(StoppedError):
        run(worker_db, mount, claimed)
    done = worker_helpers.counts(admin_db, claimed.sync_id)["created"]
    assert 0 < done < ITEMS and worker_helpers.job(admin_db, claimed.job_id)["items_done"] == done
    resume(worker_db, mount, claimed)
    raise_if_incomplete(admin_db, claimed)


def test_an_import_that_is_stopped_waits_for_the_chunks_that_threads_have_begun(
    admin_db, worker_db, mount, claimed, before_write
):
    began = threading.Event()

    def begin(tx, number: int) -> None:
        began.set()
        stopped.wait(SECONDS)

    stopped = threading.Event()

    def stop(progress: str) -> bool:
        if began.is_set():
            stopped.set()
        return began.is_set()

    before_write(begin)
    with pytest.raises(StoppedError):
        run(worker_db, mount, claimed, Hooks(stop))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("writer ")]
    done = worker_helpers.counts(admin_db, claimed.sync_id)["created"]
    assert done in (CHUNK, 2 * CHUNK) and worker_helpers.job(admin_db, claimed.job_id)["items_done"] == done
    resume(worker_db, mount, claimed)
    raise_if_incomplete(admin_db, claimed)


def test_no_thread_commits_after_the_claim_was_lost(admin_db, worker_db, mount, claimed, before_write):
    def lose(tx, number: int) -> None:
        if number == 3:
            admin = Database(admin_db.settings)
            admin.execute("UPDATE import_job SET claim_token = %(token)s", token="b" * 32)
            lost.append(worker_helpers.counts(admin, claimed.sync_id))
            admin.close()

    lost = []
    before_write(lose)
    with pytest.raises(ClaimLostError):
        run(worker_db, mount, claimed)
    assert [worker_helpers.counts(admin_db, claimed.sync_id)] == lost


def test_threads_that_fail_begin_no_other_chunk(worker_db, mount, claimed, before_write):
    together, begun = threading.Barrier(2), []

    def fail(tx, number: int) -> None:
        begun.append(number)
        if number <= 2:
            together.wait(SECONDS)
            raise StoppedError

    before_write(fail)
    with pytest.raises(StoppedError):
        run(worker_db, mount, claimed)
    assert begun == [1, 2]


def test_a_thread_that_cannot_be_started_is_the_error_that_is_told(worker_db, mount, claimed, monkeypatch):
    class NoThread(threading.Thread):
        def start(self):
            raise RuntimeError("can't start new thread")

    monkeypatch.setattr(parallel_pipeline, "Thread", NoThread)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        run(worker_db, mount, claimed)


def test_threads_that_get_no_connection_leave_their_chunks_to_the_main_thread(
    admin_db, worker_db, mount, claimed, before_write, monkeypatch
):
    connect, used = Database._connect, set()

    def refuse(self):
        if threading.current_thread().name.startswith("writer "):
            raise DatabaseUnavailableError("Too many connections")
        return connect(self)

    monkeypatch.setattr(Database, "_connect", refuse)
    before_write(lambda tx, number: used.add(threading.current_thread()))
    run(worker_db, mount, claimed)
    assert used == {threading.main_thread()}
    raise_if_incomplete(admin_db, claimed)


def test_rows_that_the_database_refuses_fail_alone_and_are_written_by_the_main_thread(
    admin_db, panel_db, worker_db, mount, bundles, photos, monkeypatch
):
    individually, used = ChunkWriter.write_individually, set()

    def writing(self, tx, entries):
        used.add(threading.current_thread())
        return individually(self, tx, entries)

    monkeypatch.setattr(ChunkWriter, "write_individually", writing)
    refused = {1, 5, 6, 14}
    each = [photo._replace(title="refused") if n in refused else photo for n, photo in enumerate(photos)]
    admin_db.execute(
        "CREATE TRIGGER refuse BEFORE INSERT ON asset FOR EACH ROW IF NEW.title = 'refused' THEN"
        " SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 1406, MESSAGE_TEXT = 'injected'; END IF"
    )
    try:
        worker_helpers.queue(panel_db, mount, sync_id := bundles.bundle("refused", each))
        result, _ = run(worker_db, mount, worker_helpers.take(worker_db, "a"))
    finally:
        admin_db.execute("DROP TRIGGER refuse")
    assert result.status == "partial" and used == {threading.main_thread()}
    assert worker_helpers.counts(panel_db, sync_id) == {"created": ITEMS - 4, "failed": 4}
    failed = [row["asset_hash"] for row in worker_helpers.items(panel_db, sync_id) if row["decision"] == "failed"]
    assert set(failed) == {photos[n].asset_hash for n in refused}


def test_documents_that_are_needed_after_all_are_read_by_the_main_thread(
    admin_db, panel_db, worker_db, mount, bundles, photos, bring
):
    bring(bundles.bundle("coast", photos))
    gone, again = bundles.bundle("gone", photos, action="remove"), bundles.bundle("again", photos)
    worker_helpers.queue(panel_db, mount, gone, again)
    assert worker_helpers.counts(panel_db, again) == {"will_skip": ITEMS}
    for token in "bc":
        run(worker_db, mount, worker_helpers.take(worker_db, token))
    assert worker_helpers.counts(panel_db, again) == {"updated": ITEMS}
    assert admin_db.execute("SELECT id FROM asset WHERE deleted_at IS NOT NULL") == []


def test_each_progress_event_counts_what_both_threads_have_committed(
    panel_db, worker_db, mount, claimed, monkeypatch
):
    monkeypatch.setattr(importer, "EVENT_SECONDS", 0)
    run(worker_db, mount, claimed)
    events = worker_helpers.events(panel_db, claimed.sync_id, "job_progress")
    figures = [json.loads(event["payload"])["items_done"] for event in events]
    assert sorted(figures)[:ITEMS // CHUNK] == list(range(CHUNK, ITEMS + 1, CHUNK))


@pytest.mark.parametrize("threads", [1, 2])
def test_items_that_a_server_forgot_are_imported_again_before_the_containers_that_list_them(
    admin_db, worker_db, mount, claimed, before_write, monkeypatch, threads
):
    monkeypatch.setattr(importer, "PARALLEL_ITEMS", 0 if threads == 2 else 1000)
    forgotten = []

    def forget(tx, number: int) -> None:
        admin = Database(admin_db.settings)
        if number >= 4 and not forgotten and (settled := settled_hashes(admin, claimed.job_id)):
            forgotten.extend(settled[:2])
            forget_items(admin, claimed.job_id, forgotten)
            admin.execute(f"KILL {tx._connection.thread_id()}")
        admin.close()

    before_write(forget)
    run(worker_db, mount, claimed)
    assert forgotten
    raise_if_incomplete(admin_db, claimed)


def test_two_workers_whose_bundles_share_assets_finish_both(
    admin_db, panel_db, worker_db, mount, bundles, photos, worker_conf
):
    sync_ids = [bundles.bundle(f"shared {n}", photos[n * 4:n * 4 + 16]) for n in range(2)]
    worker_helpers.queue(panel_db, mount, *sync_ids)
    claims = [worker_helpers.take(worker_db, token) for token in "ab"]
    errors = []

    def work(claim) -> None:
        db = Database(worker_db.settings)
        try:
            run(db, mount, claim)
        except Exception as error:
            errors.append(error)
        finally:
            db.close()

    workers = [threading.Thread(target=work, args=(claim,)) for claim in claims]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert errors == []
    assert len(worker_helpers.rows(admin_db)["asset"]) == 20
    assert admin_db.execute("SELECT COUNT(*) AS n FROM ingest_result")[0]["n"] == 32
    done = [worker_helpers.counts(panel_db, sync_id) for sync_id in sync_ids]
    assert [sum(each.values()) for each in done] == [16, 16] and all("failed" not in each for each in done)
