"""Fixtures of all tests: a private MariaDB, a mount, and both configurations. How processes share the tests."""

import os
import signal

import file_permissions
import installation
import pytest
import template_code
from constants import NAME, empty, password
from gpupanel import config
from gpupanel.db import Database, schema
from gpupanel.db.expected import ARCHIVER, SEALER
from gpupanel.devtools.bundle_factory import BundleWriter
from gpupanel.devtools.mariadb_server import THROWAWAY
from gpupanel.mount import Mount
from xdist.scheduler import LoadScopeScheduling

# Their fixtures of the session cost most: one process runs them all.
FOLDERS_OF_ONE_PROCESS = ("tests/browser/", "tests/deploy/")


def pytest_configure():
    """Heed signals that nohup, or a shell in the background, ignores: the programs under test would inherit that."""
    for number, handler in ((signal.SIGHUP, signal.SIG_DFL), (signal.SIGINT, signal.default_int_handler)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)
    template_code.share()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers():
    """Two processes more than cores: tests also wait, for servers that start, locks and timeouts."""
    return len(os.sched_getaffinity(0)) + 2


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Give each process whole files, or whole folders, in the order in which one process would run them."""
    class FileScheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return next((folder for folder in FOLDERS_OF_ONE_PROCESS if file.startswith(folder)), file)

    config.option.loadscopereorder = False
    return FileScheduling(config, log)


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory):
    """A private MariaDB with the schema and both accounts, shared by the modules that a process runs."""
    with installation.installed(tmp_path_factory.mktemp("mariadb"), *THROWAWAY) as running:
        yield running


@pytest.fixture(scope="session")
def server(shared_server):
    """The shared MariaDB; some modules and folders have one of their own instead."""
    return shared_server


@pytest.fixture
def admin_db(server):
    """The administrator's account, over empty tables."""
    db = Database(server.admin(NAME))
    empty(db)
    yield db
    db.close()


@pytest.fixture
def panel_db(admin_db, panel_conf):
    """The panel's account, over empty tables."""
    yield from _database(panel_conf)


@pytest.fixture
def worker_db(admin_db, worker_conf):
    """The worker's account, over empty tables."""
    yield from _database(worker_conf)


def _database(conf):
    db = Database(config.load(conf).database)
    yield db
    db.close()


@pytest.fixture
def assets_dir(tmp_path):
    """The mount's assets, with the folder for bundles in it."""
    folder = tmp_path / "assets"
    (folder / "sync").mkdir(parents=True)
    return folder


@pytest.fixture
def mount(assets_dir):
    return Mount(config.MountSettings(assets_dir / "sync", assets_dir))


@pytest.fixture
def bundles(assets_dir):
    """Writes real bundles onto the mount."""
    return BundleWriter(assets_dir / "sync", assets_dir, seed=1, pictures=2)


@pytest.fixture
def panel_conf(server, tmp_path, assets_dir):
    """The panel's configuration: `admin` operates, `viewer` only reads."""
    return installation.write(tmp_path / "panel.conf", server.socket, assets_dir, "gpu_panel", panel={
        "operators": "admin", "viewers": "viewer", "secret_file": tmp_path / "panel.secret",
    })


@pytest.fixture
def worker_conf(server, tmp_path, assets_dir):
    """The worker's configuration, with short intervals."""
    return installation.write(tmp_path / "worker.conf", server.socket, assets_dir, "gpu_worker", worker={
        "poll_seconds": 0.05, "heartbeat_seconds": 0.5, "readers": 4,
    })


@pytest.fixture
def account_conf(server, tmp_path, assets_dir):
    """Write the configuration of a command with an account of its own."""

    def write(account):
        schema.open_account(server.admin(NAME), account, password(account))
        return installation.write(tmp_path / f"{account}.conf", server.socket, assets_dir, account)

    return write


@pytest.fixture
def seal_conf(account_conf):
    return account_conf(SEALER)


@pytest.fixture
def seal_db(admin_db, seal_conf):
    """The account of `seal`, over empty tables."""
    yield from _database(seal_conf)


@pytest.fixture
def archive_conf(account_conf):
    return account_conf(ARCHIVER)


@pytest.fixture
def archive_db(admin_db, archive_conf):
    """The account of archives, over empty tables."""
    yield from _database(archive_conf)


@pytest.fixture
def deny():
    """Deny this account, even root, access to a file or folder; return a function that restores it."""
    with file_permissions.modes_hold():
        yield file_permissions.deny


@pytest.fixture
def settings(panel_conf):
    return config.load(panel_conf)
