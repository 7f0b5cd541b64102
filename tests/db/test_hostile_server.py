"""A server whose every session variable is at its most hostile: the panel and the worker do what they always do."""

import installation
import pytest
from constants import NAME
from gpupanel import config
from gpupanel.db import Database, session
from gpupanel.devtools.bundle_factory import BundleWriter
from gpupanel.devtools.mariadb_server import THROWAWAY
from gpupanel.mount import Mount
from gpupanel.resources import TREE
from gpupanel.web.wsgi import application
from hostile_variables import ALL, REPORTED, make_hostile
from webtest import TestApp
import worker_helpers

SURVEY = TREE / "docs" / "decisions" / "0120-session-variables.md"
ASSETS = 60


@pytest.fixture(scope="module", params=["low", "high"])
def hostile(request, tmp_path_factory):
    """A server with the schema, made while it was hostile."""
    with installation.MariaDBServer(installation.prepared(tmp_path_factory.mktemp("hostile")), *THROWAWAY) as server:
        db = Database(server.admin())
        server.accepted = make_hostile(db, request.param)
        db.close()
        installation.init_db(server)
        yield server


def confs(server, folder):
    assets = folder / "assets"
    (assets / "sync").mkdir(parents=True)
    panel = installation.write(folder / "panel.conf", server.socket, assets, "gpu_panel", panel={
        "operators": "admin", "secret_file": folder / "panel.secret",
    })
    worker = installation.write(
        folder / "worker.conf", server.socket, assets, "gpu_worker", worker={"poll_seconds": 0.05}
    )
    return assets, panel, worker


def test_sixty_assets_are_created_and_removed_and_every_page_answers(hostile, tmp_path):
    assert len(hostile.accepted) > 100
    assets, panel, worker = confs(hostile, tmp_path)
    bundles = BundleWriter(assets / "sync", assets, seed=1, pictures=2)
    settings = config.load(panel)
    db, mount = Database(settings.database), Mount(settings.mount)
    photos = list(bundles.assets("many", ASSETS, ("photo",)))
    created = bundles.bundle("created", photos)
    worker_helpers.queue(db, mount, created)
    log = worker_helpers.drain(worker)
    assert worker_helpers.counts(db, created) == {"created": ASSETS}, log
    removed = bundles.bundle("removed", photos, action="remove")
    worker_helpers.queue(db, mount, removed)
    log = worker_helpers.drain(worker)
    assert worker_helpers.counts(db, removed) == {"removed": ASSETS}, log
    client = TestApp(application(settings), extra_environ={"REMOTE_USER": "admin"})
    for page in (
        "/import-media.cgi", "/import-tasks.cgi", f"/import-media.cgi?action=detail&sync_id={created}", "/metrics",
        "/health",
        f"/import-media.cgi?action=items&sync_id={created}&format=csv", "/import-media.cgi?action=doctor",
        f"/import-media.cgi?q={created}",
    ):
        assert client.get(page).status_int == 200
    export = client.get(f"/import-media.cgi?action=items&sync_id={removed}&format=json").json
    assert len(export) == ASSETS
    db.close()


def test_each_variable_of_our_sessions_has_the_value_that_we_rely_on(hostile, tmp_path):
    _, panel, _ = confs(hostile, tmp_path)
    db = Database(config.load(panel).database, idle_seconds=7, lock_seconds=3)
    own = {row["Variable_name"]: row["Value"] for row in db.execute("SHOW SESSION VARIABLES")}
    switches = {"1": "ON", "0": "OFF"}
    for name, value in session.VARIABLES.items():
        if name != "autocommit":  # `execute` runs outside of a transaction
            text = str(value)
            assert own[name] in (text, switches.get(text), f"{value}.000000"), name
    assert (own["idle_transaction_timeout"], own["innodb_lock_wait_timeout"]) == ("7", "3")
    assert (own["tx_isolation"], own["tx_read_only"], own["collation_connection"]) == (
        "READ-COMMITTED", "OFF", "utf8mb4_general_ci",
    )
    db.close()


def test_the_survey_has_each_variable_of_this_server(server):
    db = Database(server.admin(NAME))
    named = SURVEY.read_text()
    missing = [row["name"] for row in db.execute(ALL) if f"| `{row['name']}` |" not in named]
    db.close()
    assert not missing
    for name in session.VARIABLES:
        assert f"| `{name}` | set |" in named, name
    for name in REPORTED:
        assert f"| `{name}` | reported |" in named, name
