"""Live refresh: no layout shifts, few requests, a message on failure."""

import os
import re
import signal

import pytest
import worker_helpers
from browser_session import BATCHES, TASKS, Panel
from gpupanel import services
from gpupanel.worker import claims
from playwright.sync_api import expect

NO_RESPONSE = "The panel does not respond. This page shows its last state."
SHIFTS = """() => {
    window.shifted = [];
    const record = ({ node, previousRect, currentRect }) =>
        window.shifted.push([node?.outerHTML ?? node?.data, previousRect, currentRect]);
    const recordAll = (list) => list.getEntries().forEach((entry) => entry.sources.forEach(record));
    new PerformanceObserver(recordAll).observe({ type: "layout-shift" });
}"""
PLACES = """() => {
    const selector = "h2, table, #live th, #live thead + tbody > tr > td:first-child, footer";
    return [...document.querySelectorAll(selector)].map((element) => {
        const { x, y, width, height } = element.getBoundingClientRect();
        return [x, y, width, height];
    });
}"""


@pytest.fixture
def queued(panel_db, mount, bundles):
    """A queued job of two photos."""
    return worker_helpers.queue(panel_db, mount, bundles.bundle("one", bundles.assets("one", 2)))


def test_nothing_new_is_answered_by_304_and_leaves_the_page_as_it_is(window, queued):
    window.page.clock.install()
    page = window.show(TASKS)
    answers = [window.look_again().status for _ in range(4)]  # one may differ, when the ages change
    assert answers[0] == 200 and 304 in answers
    assert page.locator("#queued").inner_text() == "Queued 1"


def test_the_time_that_a_page_prints_is_that_of_its_last_refresh(window, queued):
    window.page.clock.install()
    page = window.show(TASKS)
    opened_at = page.text_content("[data-as-of]")
    for _ in range(4):
        window.look_again()
    page.emulate_media(media="print")
    expect(page.locator("[data-as-of]")).to_have_text(re.compile(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d"))
    assert page.text_content("[data-as-of]") > opened_at


def test_the_page_of_a_batch_is_sent_again_when_something_happened_to_it(window, panel_db, worker_db, mount, bundles):
    sync_id = bundles.bundle("one", bundles.assets("one", 2))
    worker_helpers.queue(panel_db, mount, sync_id)
    window.page.clock.install()
    page = window.show(f"{BATCHES}?action=detail&sync_id={sync_id}&decision=will_create")
    answers = [window.look_again().status for _ in range(4)]
    assert answers[0] == 200 and 304 in answers
    claim = worker_helpers.take(worker_db, "a")
    window.look_again()
    expect(page.locator(".state")).to_contain_text("Status: importing")
    worker_db.run_transaction(claims.advance, claim, 1)
    window.look_again()
    expect(page.locator(".aside.running progress")).to_have_js_property("value", 1)


def test_a_hidden_page_sends_no_request(window, queued):
    window.page.clock.install()
    page = window.show(TASKS)
    window.look_again()
    window.be_seen(False)
    before = len(window.looks)
    page.clock.run_for(120_000)
    assert len(window.looks) == before
    with page.expect_response(lambda response: "x-refresh" in response.request.headers):
        window.be_seen(True)


@pytest.mark.parametrize("address", [TASKS, BATCHES])
def test_an_idle_page_shows_another_operator_s_action_within_three_seconds(
    window, panel_db, mount, bundles, address
):
    sync_id = bundles.bundle("one", bundles.assets("one", 2))
    services.scan_mount(panel_db, mount, "admin")
    window.page.clock.install()
    page = window.show(address)
    services.queue_batch(panel_db, mount, sync_id, "another")
    with page.expect_response(lambda response: "x-refresh" in response.request.headers):
        page.clock.run_for(3_000)
    expect(page.locator("#queued" if address == TASKS else "#live td.verdict")).to_have_text(
        "Queued 1" if address == TASKS else "queued"
    )


def test_a_tick_stays_while_the_list_refreshes(window, panel_db, mount, bundles):
    bundles.bundle("one", bundles.assets("one", 1))
    services.scan_mount(panel_db, mount, "admin")
    window.page.clock.install()
    page = window.show(BATCHES)
    page.locator("td.tick input").check()
    bundles.bundle("two", bundles.assets("two", 1))
    services.scan_mount(panel_db, mount, "admin")
    window.look_again()
    expect(page.locator("td.tick input")).to_have_count(2)
    assert [box.is_checked() for box in page.locator("td.tick input").all()] == [False, True]


def test_a_panel_that_hangs_for_five_seconds_is_reported(window, queued):
    page = window.show(TASKS)
    page.clock.install()
    page = window.show(TASKS)
    page.route("**/*", lambda route: None)  # never answers
    page.clock.run_for(9_000)
    expect(page.locator("#pulse")).to_have_text(
        "The panel does not respond. This page shows its last state.", timeout=20_000
    )


def test_an_idle_page_refreshes_when_it_becomes_visible(window, panel_db, mount, bundles):
    page = window.show(TASKS)
    window.be_seen(False)
    worker_helpers.queue(panel_db, mount, bundles.bundle("one", bundles.assets("one", 2)))
    assert window.looks == []
    window.be_seen(True)
    expect(page.locator("#queued")).to_have_text("Queued 1")


def test_nothing_shifts_while_a_job_runs(window, queued, worker_db):
    claim = worker_helpers.take(worker_db, "a")
    window.page.clock.install()
    page = window.show(TASKS)
    before = page.evaluate(PLACES)
    page.evaluate(SHIFTS)
    for done in (1, 2):
        worker_db.run_transaction(claims.advance, claim, 1)
        window.look_again()
        expect(page.locator("[aria-label='Running jobs'] progress")).to_have_js_property("value", done)
    after = page.evaluate(PLACES)
    assert page.evaluate("window.shifted") == []
    assert [place[0] for place in after] == [place[0] for place in before]


def test_an_unavailable_panel_is_reported_the_page_stays_and_recovers(
    open_window, queued, panel_conf, worker_conf,
):
    with Panel(panel_conf) as own:
        window = open_window(own)
        window.page.clock.install()
        page = window.show(TASKS)
        expect(page.locator("#pulse")).to_have_class("unseen")
        own.stop()
        page.clock.run_for(10_000)
        expect(page.locator("#pulse")).to_have_text(NO_RESPONSE)
        expect(page.locator("#pulse")).to_have_class("trouble")
        expect(page.locator("#queued")).to_have_text("Queued 1")
        worker_helpers.drain(worker_conf)
        own.start()
        while page.locator("#pulse.trouble").count():
            page.clock.run_for(15_000)
        expect(page.locator("#finished")).to_have_text("Finished 1")
        expect(page.locator("#pulse")).to_have_text("0 running, 0 queued.")
        assert window.complaints and all("ERR_CONNECTION_REFUSED" in complaint for complaint in window.complaints)
        window.complaints.clear()


@pytest.mark.parametrize("address, state", [
    (TASKS, "1 running, 0 queued."), (f"{BATCHES}?action=detail&sync_id=", "This batch is importing."),
], ids=["tasks", "batch"])
def test_a_database_that_hangs_is_told_within_5_seconds_and_the_page_recovers(
    window, queued, worker_db, server, address, state,
):
    sync_id = worker_helpers.take(worker_db, "a").sync_id
    page = window.show(address + sync_id if address.endswith("=") else address)
    expect(page.locator("#pulse")).to_have_class("unseen")
    server.process.send_signal(signal.SIGSTOP)
    try:
        os.waitid(os.P_PID, server.process.pid, os.WSTOPPED)  # all of its threads
        expect(page.locator("#pulse.trouble")).to_have_text(NO_RESPONSE, timeout=5000)
        expect(page.locator("main")).to_contain_text("running")
    finally:
        server.process.send_signal(signal.SIGCONT)
    expect(page.locator("#pulse")).to_have_class("unseen")
    expect(page.locator("#pulse")).to_have_text(state)
