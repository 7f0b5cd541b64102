"""The disk of the database is full: programs report it, lose nothing, and continue later."""

import os
import signal
import subprocess

import installation
import preloaded_programs
import pytest
import worker_helpers
from campaign import snapshot
from campaign.environment import OPTIONS
from constants import GPUPANEL
from gpupanel.web import csrf
from gpupanel.web.wsgi import application
from gpupanel.web.signing_key import SigningKey
from webtest import TestApp

ITEMS = 800
MEBIBYTES = 192
BLOCK = bytes(1 << 16)
# An import waits for this item with the chunk that settles it.
LOCKED_ITEM = """SELECT id FROM ingest_batch_item WHERE position = %(position)s
                 AND batch_id = (SELECT id FROM ingest_batch WHERE sync_id = %(sync_id)s) FOR UPDATE"""

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a file system")


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    """A file system that holds only the server's data."""
    folder = tmp_path_factory.mktemp("disk")
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={MEBIBYTES}m", "gpupanel-test", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.fixture(scope="module")
def server(disk, tmp_path_factory):
    """A server on the small disk."""
    folder = disk / "mariadb"
    folder.mkdir()
    (folder / "mariadb.log").symlink_to(tmp_path_factory.mktemp("log") / "mariadb.log")  # of which the end is wanted
    with installation.installed(folder, *OPTIONS) as running:
        yield running


class Filler:
    """A file that fills the disk until it is removed."""

    def __init__(self, disk):
        self._path = disk / "filler"

    def fill(self) -> None:
        with open(self._path, "wb", buffering=0) as file:
            try:
                while file.write(BLOCK):
                    pass
            except OSError as error:
                assert error.strerror == "No space left on device"

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)


@pytest.fixture
def filler(disk):
    made = Filler(disk)
    yield made
    made.remove()


@pytest.fixture
def shell(panel_conf):
    """Run bin/gpupanel; return (exit status, output)."""
    def shell(*arguments):
        done = preloaded_programs.run([GPUPANEL, *arguments, "--config", panel_conf, "--as", "operator"])
        return done.returncode, done.stdout + done.stderr

    return shell


def many(bundles, name: str) -> str:
    photos = list(bundles.assets(name, ITEMS, derivatives=("icon",), documents=("photo.analysis.json",)))
    return bundles.bundle(name, photos, [bundles.container("gallery", name, photos)])


def start_again(server) -> None:
    """Restart the server as systemd does: it ends itself when it has no space to roll back."""
    if server.process.poll() is not None:
        server.start()


def go_on(db, job_id: int) -> None:
    """Let the time of the job's backoff pass, once the worker has written it; a restarted server may need none."""
    job = worker_helpers.wait_until(lambda: ended_or_held(db, job_id), "the hold of the job")
    if job["state"] == "held":
        assert job["hold"] == "backoff"
        db.execute("UPDATE import_job SET not_before = NOW(6) WHERE id = %(id)s", id=job_id)


def ended_or_held(db, job_id: int) -> dict | None:
    job = worker_helpers.job(db, job_id)
    return job if job["state"] in ("held", "completed") else None


def test_a_full_disk_is_told_by_worker_shell_and_panel_and_all_goes_on_when_there_is_space(
    server, admin_db, panel_db, worker_db, worker_conf, settings, mount, bundles, start, shell, filler
):
    first, second = many(bundles, "first"), many(bundles, "second")
    (job_id,) = worker_helpers.queue(panel_db, mount, first)
    conf = worker_helpers.with_options(worker_conf, chunk_items=50)
    with worker_db.transaction() as tx:
        assert tx.fetch_all_sql(LOCKED_ITEM, sync_id=first, position=ITEMS // 4)
        worker = start(conf)
        worker_helpers.wait_for_lock_wait(admin_db)
        assert worker_helpers.job(admin_db, job_id)["items_done"] == ITEMS // 4
        filler.fill()

    worker.wait_for_line("the database: ")
    status, output = shell("preflight", second)
    assert status == 1 and second in output and "try again" in output and "Traceback" not in output
    admin = TestApp(application(settings), extra_environ={"REMOTE_USER": "admin"})
    form = {
        "do": "preflight", "sync_id": second,
        "csrf_token": csrf.make_token(SigningKey(settings.panel.secret_file), "admin"),
    }
    answer = admin.post("/admin/import-media.cgi", form, expect_errors=True)
    assert answer.status_int == 503
    assert "error log" in answer.text or "Check that MariaDB runs" in answer.text

    filler.remove()
    start_again(server)
    admin_db.close()  # it was lost with the server
    go_on(admin_db, job_id)
    other = start(conf)  # looks for holds at once, not only once a minute
    other.wait_for_line(": started")
    worker_helpers.wait_until(lambda: worker_helpers.batch(panel_db, first)["status"] == "completed")
    for each in (worker, other):
        each.send(signal.SIGTERM)
        assert each.ends() == 0
    assert worker_helpers.job(admin_db, job_id)["state"] == "completed"
    assert shell("queue", second)[0] == 0
    worker_helpers.drain(worker_conf)
    assert worker_helpers.counts(panel_db, first) == worker_helpers.counts(panel_db, second) == {"created": ITEMS}
    assert len(worker_helpers.rows(admin_db)["asset_gallery_item"]) == 2 * ITEMS
    assert snapshot.broken_invariants(admin_db) == []
