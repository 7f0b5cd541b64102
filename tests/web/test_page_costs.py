"""Costs of a request: imported modules and database statements."""

import re
import subprocess
import sys

import pytest
from constants import TREE
from gpupanel import services
from gpupanel.web import wsgi
from gpupanel.web.application import PanelApplication
from page_helpers import BATCHES, JSON, TASKS, detail
from webtest import TestApp

# Modules that are slow to import and needed by some pages only.
HEAVY = {
    "bottle", "waitress", "msgspec", "prometheus_client", "cryptography.utils", "email", "http", "http.client",
    "wsgiref", "concurrent.futures", "logging", "asyncio", "importlib.resources", "importlib.metadata", "secrets",
    "csv", "hmac", "site", "zoneinfo", "gpupanel.mount", "gpupanel.manifest", "gpupanel.scan", "gpupanel.preflight",
    "gpupanel.services", "gpupanel.bulk_service", "gpupanel.library_reader", "gpupanel.doctor", "gpupanel.web.wsgi",
    "gpupanel.web.cgi_server", "gpupanel.web.form_actions", "gpupanel.web.pages.batch", "gpupanel.web.pages.batches",
    "gpupanel.web.pages.doctor", "gpupanel.web.pages.export", "gpupanel.web.pages.health", "gpupanel.web.pages.metrics",
    "gpupanel.web.pages.thumbnail", "gpupanel.web.pages.import_tasks", "jinja2",
}
PAGE = {"jinja2", "hmac"}  # for the template and the CSRF token
# query of import-media.cgi -> modules of HEAVY that it may import
IMPORTS = {
    "": PAGE | {"gpupanel.web.pages.batches"},
    "action=detail&sync_id={}": PAGE | {"gpupanel.web.pages.batch"},
    "tab=queue": PAGE | {"gpupanel.web.pages.import_tasks"},
    "action=items&format=csv&sync_id={}": {"gpupanel.web.pages.export", "csv", "hmac"},
    "action=picture&item=1&sync_id={}": PAGE | {
        "gpupanel.web.pages.thumbnail", "gpupanel.mount", "email", "concurrent.futures", "logging",
    },
}
IMPORTED = re.compile(r"^import time:[^|]*\|[^|]*\| +(\S+)$", re.MULTILINE)

# URL -> maximum number of statements, including begin and end of transactions
STATEMENTS = {
    BATCHES: 20, f"{BATCHES}?status=discovered": 20, f"{BATCHES}?status=discovered&type=asset": 20, TASKS: 26,
    "detail": 32, "/admin/health": 3, "/admin/metrics": 12,
}


def imported(done) -> set[str]:
    """Return the modules that a program imported, from `-X importtime`."""
    assert done.stdout.startswith(b"Status: ")
    return set(IMPORTED.findall(done.stderr.decode()))


@pytest.mark.parametrize("query", IMPORTS)
def test_a_page_imports_no_slow_module_that_it_does_not_use(run_raw, scan_bundle, query):
    given = query.format(scan_bundle())
    loaded = imported(run_raw("import-media.cgi", given, flags=("-X", "importtime", "-IS")))
    assert loaded & HEAVY <= IMPORTS[query]


def test_a_program_that_asks_imports_nothing_of_the_panel():
    """It imports two modules of the panel, and built-in ones."""
    code = "import sys; sys.path.insert(0, sys.argv[1]); import gpupanel.web.entrypoints; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-IS", "-c", code, TREE / "lib"], capture_output=True, text=True)
    names = set(done.stdout.split())
    expected = {"gpupanel", "gpupanel.web", "gpupanel.web.entrypoints", "gpupanel.web.cgi_client"}
    assert {name for name in names if "gpupanel" in name} == expected
    assert names & {"re", "enum", "typing", "socket", "pathlib", "json", "collections"} == set()


@pytest.fixture
def counted(settings, admin_db):
    """Return the number of statements of a request, counted by the server."""
    panel = PanelApplication(settings)
    browser = TestApp(wsgi.served(panel), extra_environ={"REMOTE_USER": "admin", "REMOTE_ADDR": "127.0.0.1"})

    def count() -> int:
        [row] = panel.db.execute("SHOW SESSION STATUS LIKE 'Questions'")
        return int(row["Value"])

    def counted(address, headers=None, again=False):
        headers = headers or {}
        cached = {"If-None-Match": browser.get(address, headers=headers).headers["ETag"]} if again else {}
        before = count()
        browser.get(address, headers=cached | headers, status=304 if again else 200)
        return count() - before - len(("autocommit off", "autocommit on", "SHOW STATUS"))

    return counted


@pytest.fixture
def idle(settings, admin_db):
    """Return the number of statements of several refreshes of a page in which nothing moves, counted by the server."""
    panel = PanelApplication(settings)
    browser = TestApp(wsgi.served(panel), extra_environ={"REMOTE_USER": "admin", "REMOTE_ADDR": "127.0.0.1"})

    def count() -> int:
        [row] = admin_db.execute(
            "SELECT SUM(VARIABLE_VALUE) AS questions FROM information_schema.GLOBAL_STATUS"
            " WHERE VARIABLE_NAME = 'QUESTIONS'"
        )
        return int(row["questions"])

    def idle(address, times, headers=None):
        headers = headers or {}
        tag = {"If-None-Match": browser.get(address, headers=headers).headers["ETag"]}
        browser.get(address, headers=headers | tag, status=304)  # the connection now is as between refreshes
        of_counting = -count() + count()
        before = count()
        for _ in range(times):
            browser.get(address, headers=headers | tag, status=304)
        return count() - before - of_counting

    return idle


@pytest.mark.parametrize("address", STATEMENTS)
def test_a_page_takes_a_bounded_number_of_statements(counted, scan_bundle, address):
    """The number does not depend on the number of rows."""
    sync_ids = [scan_bundle(name) for name in ("one", "two", "three")]
    url = detail(sync_ids[0]) if address == "detail" else address
    assert counted(url) <= STATEMENTS[address]
    assert counted(url, headers=JSON) <= STATEMENTS[address]


@pytest.mark.parametrize("address", ["detail", TASKS, BATCHES, f"{BATCHES}?attention=new"])
def test_an_unchanged_page_takes_one_statement_each_time(idle, scan_bundle, address):
    url = detail(scan_bundle()) if address == "detail" else address
    assert idle(url, times=5) == 5
    assert idle(url, times=5, headers=JSON) == 5


def test_an_unchanged_page_of_a_queued_batch_takes_one_statement_each_time(idle, scan_bundle, panel_db, mount):
    sync_ids = [scan_bundle(name) for name in ("one", "two")]
    for sync_id in sync_ids:
        services.queue_batch(panel_db, mount, sync_id, "bob")
    assert idle(detail(sync_ids[1]), times=5) == 5
    assert idle(detail(sync_ids[1]), times=5, headers=JSON) == 5
