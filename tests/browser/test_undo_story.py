"""An operator undoes a wrong update in three clicks, and a second person reads what was done."""

import re

import worker_helpers
from browser_session import BATCHES
from playwright.sync_api import expect


def detail(sync_id):
    return f"{BATCHES}?action=detail&sync_id={sync_id}"


def test_a_wrong_update_is_undone_in_three_clicks_and_read_by_a_second_person(
    window, open_window, bundles, panel_db, mount, worker_conf, start_worker
):
    (photo,) = bundles.assets("coast", 1)
    first = bundles.bundle("coast", [photo._replace(title="Dawn over the coast")])
    wrong = bundles.bundle("wrong", [photo._replace(title="Untitled 1")], action="update", files=False)
    for sync_id in (first, wrong):
        worker_helpers.queue(panel_db, mount, sync_id)
        worker_helpers.drain(worker_conf)
    page = window.show(detail(wrong))
    page.click("button:text-is('Undo...')")
    expect(page.locator("[aria-label=Result]")).to_contain_text("This is the plan of the undo: 1 will_update")
    expect(page.locator("main")).to_contain_text(f"Undo of batch {wrong}")
    expect(page.locator("[aria-label=Items] .verdict .status").first).to_have_text("will_update")
    page.click("button:text-is('Queue')")
    expect(page.locator("[aria-label=Result]")).to_contain_text("Queued as job")
    assert start_worker(worker_conf, "--once").ends() == 0
    other = open_window().show(detail(wrong))
    expect(other.locator("main")).to_contain_text(re.compile(r"Undone at .+ by .+: batch"))
    other.click("main .aside a.id")
    expect(other.locator("[aria-label=Items] .verdict .status").first).to_have_text("updated")
    other.click("[aria-label=Items] summary")
    title = other.locator("table.changes tr", has_text="title")
    expect(title.locator("td")).to_have_text(["Untitled 1", "Dawn over the coast"])
    other.locator("[aria-label=Items] a", has_text=photo.asset_hash[:16]).first.click()
    expect(other.locator("main .facts")).to_contain_text("Dawn over the coast")
    expect(other.locator("[aria-label=History] .verdict .status").first).to_have_text("updated")
