"""The disk of the database is full: programs report it, lose nothing, and continue later."""

import os
import signal
import subprocess
import sys

import installation
import pytest
import worker_helpers
from campaign import snapshot
from campaign.environment import OPTIONS
from constants import TREE
from gpupanel.web import csrf
from gpupanel.web.wsgi import application
from gpupanel.web.signing_key import SigningKey
from webtest import TestApp

ITEMS = 800
MEBIBYTES = 192
BLOCK = bytes(1 << 16)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a file system")


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    """A file system that holds just the server's data."""
    folder = tmp_path_factory.mktemp("disk")
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={MEBIBYTES}m", "gpupanel-test", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.fixture(scope="module")
def server(disk, tmp_path_factory):
    """In place of the server of all other tests."""
    folder = disk / "mariadb"
    folder.mkdir()
    (folder / "mariadb.log").symlink_to(tmp_path_factory.mktemp("log") / "mariadb.log")  # of which the end is wanted
    with installation.installed(folder, *OPTIONS) as running:
        yield running


class Filler:
    """A file that takes all the space there is, until it is removed."""

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
    """Run bin/gpupanel; returns (exit status, what it said)."""
    def shell(*arguments):
        command = [sys.executable, TREE / "bin" / "gpupanel", *arguments, "--config", panel_conf, "--as", "operator"]
        done = subprocess.run(command, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    return shell


def many(bundles, name: str) -> str:
    photos = list(bundles.assets(name, ITEMS, derivatives=("icon",), documents=("photo.analysis.json",)))
    return bundles.bundle(name, photos, [bundles.container("gallery", name, photos)])


def start_again(server) -> None:
    """As systemd does: a server that cannot even roll back for want of space has ended itself."""
    if server.process.poll() is not None:
        server.start()


def test_a_full_disk_is_told_by_worker_shell_and_panel_and_all_goes_on_when_there_is_space(
    server, admin_db, panel_db, worker_conf, settings, mount, bundles, start, shell, filler
):
    first, second = many(bundles, "first"), many(bundles, "second")
    (job_id,) = worker_helpers.queue(panel_db, mount, first)
    worker = start(worker_helpers.with_options(worker_conf, chunk_items=50))
    worker_helpers.wait_until(lambda: worker_helpers.job(admin_db, job_id)["items_done"] > 100)
    filler.fill()

    worker.said("the database: ")
    status, said = shell("preflight", second)
    assert status == 1 and second in said and "try again" in said and "Traceback" not in said
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
    worker_helpers.wait_until(lambda: worker_helpers.batch(panel_db, first)["status"] == "completed")
    worker.send(signal.SIGTERM)
    assert worker.ends() == 0
    assert worker_helpers.job(admin_db, job_id)["state"] == "completed"
    assert shell("queue", second)[0] == 0
    worker_helpers.drain(worker_conf)
    assert worker_helpers.counts(panel_db, first) == worker_helpers.counts(panel_db, second) == {"created": ITEMS}
    assert len(worker_helpers.rows(admin_db)["asset_gallery_item"]) == 2 * ITEMS
    assert snapshot.broken_invariants(admin_db) == []
