"""An operator undoes a wrong update in three clicks, and a second person reads what was done."""

import re

import installation
import pytest
import worker_helpers
from browser_session import BATCHES, Panel
from playwright.sync_api import expect

BY_WHOM = re.compile(r"Undone at 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d by ann: batch")


@pytest.fixture
def named_panel(server, tmp_path, assets_dir):
    """A panel whose web server names the people: `ann` operates, `bob` only reads."""
    conf = installation.write(tmp_path / "panel.conf", server.socket, assets_dir, "gpu_panel", panel={
        "operators": "ann", "viewers": "bob", "secret_file": tmp_path / "panel.secret", "trusted_proxies": "127.0.0.1",
    })
    with Panel(conf) as panel:
        yield panel


@pytest.fixture
def signed_in(named_panel, open_window, admin_db):
    """Open a window of a person."""
    return lambda name: open_window(named_panel, extra_http_headers={"X-Remote-User": name})


@pytest.mark.parametrize("count", [3, pytest.param(10_000, marks=pytest.mark.long)])
def test_a_wrong_update_is_undone_in_three_clicks_and_read_by_a_second_person(
    signed_in, bundles, panel_db, admin_db, mount, worker_conf, start_worker, count
):
    photos = [
        photo._replace(title=f"Dawn {number}")
        for number, photo in enumerate(bundles.assets("coast", count, derivatives=(), documents=()))
    ]
    first = bundles.bundle("coast", photos)
    titled = (photo._replace(title=f"Untitled {number}") for number, photo in enumerate(photos))
    wrong = bundles.bundle("wrong", titled, action="update", files=False)
    for sync_id in (first, wrong):
        worker_helpers.queue(panel_db, mount, sync_id)
        worker_helpers.drain(worker_conf)
    page = signed_in("ann").show(BATCHES)
    page.click(f"a.id[href*='{wrong}']")
    page.click("button:text-is('Undo...')")
    expect(page.locator("[aria-label=Result]")).to_contain_text(f"This is the plan of the undo: {count:,} will_update")
    expect(page.locator("main")).to_contain_text(f"Undo of batch {wrong}")
    expect(page.locator("[aria-label=Items] .verdict .status").first).to_have_text("will_update")
    page.click("button:text-is('Queue')")
    expect(page.locator("[aria-label=Result]")).to_contain_text("Queued as job")
    assert start_worker(worker_conf, "--once").ends() == 0
    library = admin_db.execute("SELECT asset_hash, title FROM asset")
    assert {row["asset_hash"]: row["title"] for row in library} == {photo.asset_hash: photo.title for photo in photos}
    read_what_was_done(signed_in("bob"), wrong, photos)


def read_what_was_done(window, wrong, photos):
    """Read who undid the batch, when, and the values of each item, without knowledge of the undo."""
    page = window.show(BATCHES)
    link = page.locator(f"a.id[href*='{wrong}']")
    expect(page.locator(".batches tbody tr", has=link).locator(".verdict")).to_have_text("completed undone")
    link.click()
    expect(page.locator("main")).to_contain_text(BY_WHOM)
    page.click("main .aside a.id")
    expect(page.locator("[aria-label=Items] .verdict .status").first).to_have_text("updated")
    page.click("[aria-label=Items] summary")
    title = page.locator("table.changes").first.locator("tr", has_text="title")
    expect(title.locator("td")).to_have_text(["Untitled 0", "Dawn 0"])
    items = page.request.get(page.locator(".export a:text-is('JSON')").evaluate("link => link.href")).json()
    assert [(item["asset_hash"], item["decision"], item["changes"]["title"]) for item in items] == [
        (photo.asset_hash, "updated", [f"Untitled {number}", f"Dawn {number}"]) for number, photo in enumerate(photos)
    ]
    page.locator("[aria-label=Items] a", has_text=photos[0].asset_hash[:16]).first.click()
    expect(page.locator("[aria-label=Fields]")).to_contain_text("Dawn 0")
    expect(page.locator("[aria-label=History] .verdict .status").first).to_have_text("updated")
