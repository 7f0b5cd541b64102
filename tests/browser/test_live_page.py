"""Import Tasks in a real browser: it follows a job to its end by itself, and says so when the panel goes away."""

import dataclasses
import shutil
import threading
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
import workers
from gpupanel.web.app import application

CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


class Quiet(WSGIRequestHandler):
    def log_message(self, *args):
        """Say nothing."""


@pytest.fixture
def panel(settings, panel_db):
    """The address of a panel for whoever sits at this machine, and a way to end it."""
    open_to_all = dataclasses.replace(settings, panel=dataclasses.replace(settings.panel, auth="none"))
    server = make_server("127.0.0.1", 0, application(open_to_all), handler_class=Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()

    def end():
        server.shutdown()
        thread.join()
        server.server_close()

    yield f"http://127.0.0.1:{server.server_port}/admin", end
    if thread.is_alive():
        end()


@pytest.fixture
def page(panel):
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser.new_page()
        browser.close()


def test_the_page_follows_a_job_to_its_end_and_its_status_line_with_it(page, panel, panel_db, mount, bundles, worker_conf):
    address, _ = panel
    workers.queue(panel_db, mount, bundles.bundle("one", bundles.assets("one", 2)))
    page.goto(f"{address}/import-tasks.cgi")
    assert "1 queued" in page.inner_text("#glance")
    workers.drain(worker_conf)
    page.wait_for_selector("#glance:has-text('0 queued')")
    assert "completed" in page.inner_text("#live")
    assert page.inner_text("#pulse") == "0 running, 0 queued; nothing to wait for."


def test_a_panel_that_goes_away_is_told_and_what_it_said_last_stays(page, panel, panel_db, mount, bundles):
    address, end = panel
    workers.queue(panel_db, mount, bundles.bundle("one", bundles.assets("one", 2)))
    page.goto(f"{address}/import-tasks.cgi")
    end()
    page.wait_for_selector("#pulse:has-text('does not answer')")
    assert "queued" in page.inner_text("#live").lower()


def test_from_scan_to_a_queued_batch_by_the_buttons_alone(page, panel, panel_db, bundles):
    address, _ = panel
    sync_id = bundles.bundle("one", bundles.assets("one", 2))
    page.goto(f"{address}/import-media.cgi")
    page.click("button:has-text('Scan')")
    page.click(f"a:has-text('{sync_id}')")
    page.click("button:has-text('Preflight')")
    page.wait_for_selector("text=will_create")
    page.click("button:has-text('Queue')")
    page.wait_for_selector("text=Queued as job")
