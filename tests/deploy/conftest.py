"""An installed panel for the web server's user, its database, and new bundles."""

import os
import shutil
import subprocess
import tempfile
from base64 import b64encode
from hashlib import sha1
from pathlib import Path

import constants
import pytest
from gpupanel.db import Database
from gpupanel.devtools.bundle_factory import BundleWriter
from http_client import password
from webservers import WEB_USER, Site

USERS = ("admin", "viewer", "stranger")


@pytest.fixture(scope="session")
def world():
    """A folder that every user can enter; the web server's user cannot enter those of pytest."""
    folder, umask = Path(tempfile.mkdtemp(prefix="gpupanel-deploy-")), os.umask(0o022)
    folder.chmod(0o755)
    yield folder
    os.umask(umask)
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def make_install(world):
    """Run `make install` as in a shell, also within `make test`, on a checkout that does not change meanwhile."""
    checkout = world / "checkout"
    shutil.copytree(
        constants.TREE, checkout, ignore=shutil.ignore_patterns("venv", "var", ".*", "__pycache__", "tests", "bench")
    )
    shutil.copytree(constants.TREE / "tests" / "manifest_corpus", checkout / "tests" / "manifest_corpus")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "PYTHON"))}

    def make_install(more=None, **variables):
        command = ["make", "-s", "-C", checkout, "install", *(f"{name}={value}" for name, value in variables.items())]
        return subprocess.run(command, env=environ | (more or {}), capture_output=True, text=True, check=True)

    return make_install


@pytest.fixture(scope="session")
def tree(world, make_install):
    """The installed tree, staged under DESTDIR and moved to PREFIX, as by a package."""
    prefix, stage = world / "opt" / "panel", world / "stage"
    make_install(PREFIX=prefix, DESTDIR=stage)
    prefix.parent.mkdir()
    (stage / prefix.relative_to("/")).rename(prefix)
    return prefix


@pytest.fixture(scope="session")
def bundle_ids(world):
    """Two valid bundles and one that fails its preflight."""
    assets = world / "assets"
    (assets / "sync").mkdir(parents=True)
    writer = BundleWriter(assets / "sync", assets, pictures=2)
    ids = [writer.bundle(name, writer.assets(name, 3)) for name in ("first", "second")]
    return [*ids, writer.bundle("empty", writer.assets("empty", 2), files=False)]


@pytest.fixture(scope="session")
def site(tree, world, server, bundle_ids):
    """The tree, configured as in docs/install.md: only the web server's user can read the secrets."""
    server.socket.parent.chmod(0o711)
    etc = tree / "etc"
    for name, proxies in (("panel.conf", ""), ("proxied.conf", "127.0.0.1")):
        (etc / name).write_text(CONFIGURATION.format(socket=server.socket, mount=world / "assets", proxies=proxies))
    (world / "worker.password").write_text(constants.password("gpu_worker"))
    (world / "worker.password").chmod(0o600)
    (etc / "panel.password").write_text(constants.password("gpu_panel"))
    (etc / "panel.secret").write_bytes(b"a secret that signs the forms of the tests")
    (etc / "panel.users").write_text("".join(f"{user}:{_hashed(password(user))}\n" for user in USERS))
    for name in ("panel.password", "panel.secret", "panel.users"):
        (etc / name).chmod(0o600)
        if WEB_USER:
            shutil.chown(etc / name, WEB_USER)
    return Site(tree, world)


@pytest.fixture(scope="session")
def certificate(world):
    """Key and certificate of localhost, in one file."""
    file = world / "localhost.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost", "-keyout", file, "-out", world / "certificate.pem"]
    subprocess.run(command, check=True, capture_output=True)
    with open(file, "ab") as both:
        both.write((world / "certificate.pem").read_bytes())
    return file


CONFIGURATION = """
[database]
unix_socket = {socket}
user = gpu_panel
password_file = panel.password

[mount]
sync_dir = {mount}/sync

[panel]
operators = admin
viewers = viewer
secret_file = panel.secret
trusted_proxies = {proxies}
"""


def _hashed(password: str) -> str:
    return "{SHA}" + b64encode(sha1(password.encode()).digest()).decode()


@pytest.fixture(scope="session")
def emptied(server):
    """`emptied()` empties all tables and resets their counters; the schema version stays."""
    def emptied():
        db = Database(server.admin("admin_panel"))
        db.execute("SET foreign_key_checks = 0")
        tables = {next(iter(row.values())) for row in db.execute("SHOW TABLES")}
        for table in tables - {"schema_version"}:
            db.execute(f"TRUNCATE {table}")
        db.close()

    return emptied
