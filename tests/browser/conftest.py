"""Fixtures: panel and Chromium per session, window and tables per test."""

import shutil
from contextlib import contextmanager

import installation
import pytest
import worker_helpers
from browser_session import Panel, Window
from busy_dataset import DatasetBuilder
from constants import NAME, TABLES, empty
from gpupanel import config
from gpupanel.db import Database
from gpupanel.mount import Mount
from waiting_dataset import WaitingBuilder

VIEWER = "vera.lind"
CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
]


@pytest.fixture(scope="session")
def room(tmp_path_factory):
    """The folder with the configurations and the mount."""
    return tmp_path_factory.mktemp("panel")


@pytest.fixture(scope="session")
def panel_conf(server, room):
    """The panel's configuration: every local user is an operator."""
    return installation.write(room / "panel.conf", server.socket, room / "assets", "gpu_panel", panel={
        "auth": "none", "secret_file": room / "panel.secret", "page_size": 15,
    })


@pytest.fixture(scope="session")
def worker_conf(server, room):
    """The worker's configuration."""
    return installation.write(room / "worker.conf", server.socket, room / "assets", "gpu_worker", worker={
        "poll_seconds": 0.05, "heartbeat_seconds": 0.5, "readers": 4,
    })


@pytest.fixture
def assets_dir(room):
    """The mount's empty assets folder."""
    folder = room / "assets"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "sync").mkdir(parents=True)
    return folder


@pytest.fixture(scope="session")
def panel(panel_conf):
    """`bin/gpupanel serve` as a process."""
    with Panel(panel_conf) as running:
        yield running


@pytest.fixture(scope="session")
def viewer_panel(server, room):
    """The same, behind a web server that names the user; one of them only looks."""
    conf = installation.write(room / "viewer.conf", server.socket, room / "assets", "gpu_panel", panel={
        "auth": "remote_user", "viewers": VIEWER, "trusted_proxies": "127.0.0.1", "page_size": 15,
        "secret_file": room / "panel.secret",
    })
    with Panel(conf) as running:
        yield running


@pytest.fixture(scope="session")
def browser():
    """Chromium, driven by Playwright."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    sync_api = pytest.importorskip("playwright.sync_api")
    sync_api.expect.set_options(timeout=worker_helpers.SECONDS * 1000)
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_window(browser, panel):
    """Open a window on the panel; a console error fails the test."""
    windows = []

    def open_window(at=None, **options) -> Window:
        windows.append(Window(browser, at or panel, **options))
        return windows[-1]

    yield open_window
    for window in windows:
        window.close()
    assert [error for window in windows for error in window.complaints] == []


@pytest.fixture
def window(open_window, admin_db):
    """A window of usual size on a panel without batches."""
    return open_window(viewport={"width": 1280, "height": 900})


@pytest.fixture
def start_worker():
    """Start worker processes, which end with the test."""
    programs = worker_helpers.Programs()
    yield programs
    programs.end()


@pytest.fixture
def viewer_window(browser, viewer_panel):
    """A window of a user who may only look."""
    window = Window(browser, viewer_panel, extra_http_headers={"X-Remote-User": VIEWER})
    yield window
    window.close()
    assert window.complaints == []


@contextmanager
def emptied(server, room, panel_conf, worker_conf):
    """Empty the tables and the mount; yield the accounts of administrator, panel and worker, and the mount."""
    shutil.rmtree(room / "assets", ignore_errors=True)
    (room / "assets" / "sync").mkdir(parents=True)
    accounts = [Database(settings) for settings in (
        server.admin(NAME), config.load(panel_conf).database, config.load(worker_conf).database,
    )]
    empty(accounts[0])
    for table in TABLES:  # times and sizes of the data set follow from ids
        accounts[0].execute(f"ALTER TABLE {table} AUTO_INCREMENT = 1")
    yield *accounts, Mount(config.load(panel_conf).mount)
    for database in accounts:
        database.close()


@pytest.fixture(scope="module")
def waiting(server, room, panel_conf, worker_conf):
    """A queue that no worker serves, made once per module, before `dataset` takes its place."""
    with emptied(server, room, panel_conf, worker_conf) as (_, panel, worker, mount):
        yield WaitingBuilder(panel, worker, worker_conf, mount).build()


@pytest.fixture(scope="module")
def dataset(server, room, panel_conf, worker_conf):
    """A panel with many batches, made once per module; tests only read."""
    with emptied(server, room, panel_conf, worker_conf) as (admin, panel, worker, mount):
        yield DatasetBuilder(admin, panel, worker, worker_conf, mount).build()
