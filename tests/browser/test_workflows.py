"""An operator's workflows in a real browser."""

import re

import pytest
import worker_helpers
from browser_session import BATCHES, TASKS
from gpupanel import job_queue
from gpupanel.devtools.bundle_factory import defects
from gpupanel.models import BatchStatus
from playwright.sync_api import expect


@pytest.fixture
def many(bundles):
    """Five bundles of one photo each."""
    return [bundles.bundle(name, bundles.assets(name, 1)) for name in ("a", "b", "c", "d", "e")]


def scan(page):
    page.goto(BATCHES)
    page.click("button:text-is('Scan')")


def detail(sync_id):
    return f"{BATCHES}?action=detail&sync_id={sync_id}"


def statuses(db, sync_ids):
    return [worker_helpers.batch(db, sync_id)["status"] for sync_id in sync_ids]


def test_a_first_visit_says_what_to_do_and_leads_from_a_scan_to_a_queued_batch(window, bundles):
    sync_id = bundles.bundle("one", bundles.assets("one", 2))
    page = window.show(BATCHES)
    expect(page.locator(".empty")).to_contain_text("No batches yet")
    page.click("button:text-is('Scan')")
    expect(page.locator("main h2")).to_have_text("Batches 1")
    page.click(f"a:text-is('{sync_id}')")
    page.click("button:text-is('Preflight')")
    expect(page.locator("[aria-label=Items] .verdict .status").first).to_have_text("will_create")
    page.click("button:text-is('Queue')")
    expect(page.locator("[aria-label=Result]")).to_contain_text("Queued as job")


def test_a_filter_is_in_the_address_and_is_kept_after_an_action(window, many):
    page = window.page
    scan(page)
    page.click("[aria-label=Status] >> text=discovered")
    page.fill("[name=q]", many[0][:6])
    page.click("button:text-is('Find')")
    for part in ("status=discovered", f"q={many[0][:6]}"):
        expect(page).to_have_url(re.compile(part))
    filtered = page.url
    page.click("button:text-is('Scan')")
    expect(page.locator("[aria-label=Result]")).to_be_visible()
    assert page.url.split("?")[0] == filtered.split("?")[0]
    expect(page.locator("td .id")).to_have_text([many[0]])
    page.click("text=Clear")
    expect(page.locator("td .id")).to_have_count(5)


def test_a_shift_click_ticks_a_range_and_a_preview_comes_before_anything_is_done(window, many, panel_db):
    page = window.page
    scan(page)
    boxes = page.locator("td.tick input")
    boxes.nth(0).click()
    boxes.nth(3).click(modifiers=["Shift"])
    expect(page.locator("[data-ticked]")).to_have_text("4 selected:")
    page.click("button:text-is('Preview')")
    expect(page.locator("#preview")).to_have_text("Queue 4 batches?")
    assert statuses(panel_db, many) == [BatchStatus.DISCOVERED] * 5
    page.click("button:text-is('Queue 4 batches')")
    expect(page.locator("[aria-label=Result]")).to_contain_text("Queued: 4 of 4 batches")
    assert sorted(statuses(panel_db, many)) == [BatchStatus.DISCOVERED, *[BatchStatus.QUEUED] * 4]


def test_all_that_match_are_queued_beyond_the_page(window, bundles, panel_db):
    ids = [bundles.bundle(f"n{n}", bundles.assets(f"n{n}", 1, derivatives=())) for n in range(17)]
    page = window.page
    scan(page)
    expect(page.locator("td.tick")).to_have_count(15)
    page.check("input[name=all]")
    page.click("button:text-is('Queue selected')")
    page.click("button:text-is('Queue 17 batches')")
    expect(page.locator("[aria-label=Result]")).to_contain_text("Queued: 17 of 17 batches")
    assert statuses(panel_db, ids) == [BatchStatus.QUEUED] * 17


@pytest.mark.parametrize("address", [TASKS, f"{BATCHES}?tab=queue"])
def test_a_job_is_watched_from_the_queue_to_its_end_at_both_addresses(
    window, panel_db, worker_db, admin_db, mount, bundles, worker_conf, start_worker, address
):
    photos = list(bundles.assets(f"watched at {address}", 2))
    [job] = worker_helpers.queue(panel_db, mount, bundles.bundle("one", photos))
    window.page.clock.install()
    page = window.show(address)
    expect(page.locator("#queued")).to_have_text("Queued 1")
    page.evaluate("window.sameDocument = true")
    with worker_helpers.held_back(admin_db, worker_db, photos[1]):
        worker = start_worker(worker_helpers.with_options(worker_conf, chunk_items=1), "--once")
        worker_helpers.wait_until(lambda: worker_helpers.job(panel_db, job)["items_done"] == 1, "the first photo, done")
        window.look_again()
        expect(page.locator("#running")).to_have_text("Running 1")
        expect(page.locator("[aria-label='Running jobs'] progress")).to_have_js_property("value", 1)
    assert worker.ends() == 0
    window.look_again()
    expect(page.locator("#finished")).to_have_text("Finished 1")
    expect(page.locator("#pulse")).to_have_text("0 running, 0 queued.")
    expect(page.locator("#glance")).to_contain_text("0 queued")
    assert page.evaluate("window.sameDocument")


def test_a_partial_batch_says_what_to_mend_and_one_button_retries_what_failed(
    window, bundles, panel_db, mount, worker_conf, start_worker
):
    sync_id = bundles.bundle("one", bundles.assets("one", 3, broken={1: defects.no_source}))
    worker_helpers.queue(panel_db, mount, sync_id)
    worker_helpers.drain(worker_conf)
    page = window.show(detail(sync_id))
    expect(page.locator("[aria-label='Last error']")).to_contain_text("1 item: Fix the bundle")
    bundles.bundle("one", bundles.assets("one", 3), replace=True)
    window.page.clock.install()
    page.click("button:text-is('Retry failed items')")
    expect(page.locator(".state")).to_have_text("Status: queued; action: create")
    start_worker(worker_conf, "--once").ends()
    window.look_again()
    expect(page.locator(".state")).to_have_text("Status: completed; action: create")
    assert worker_helpers.counts(panel_db, sync_id) == {"created": 1, "skipped": 2}


def test_a_queued_job_gets_another_place_and_is_canceled_on_import_tasks(window, panel_db, mount, many):
    jobs = worker_helpers.queue(panel_db, mount, *many[:3])
    page = window.show(TASKS)
    page.fill(f"#priority-of-{jobs[2]}", "5")
    page.click(f"#priority-{jobs[2]}")
    expect(page.locator("[aria-label='Queued jobs'] [data-label=job]")).to_have_text([str(jobs[n]) for n in (2, 0, 1)])
    page.click(f"#cancel-{jobs[0]}")
    expect(page.locator("[aria-label=Result]")).to_contain_text(f"Canceled job {jobs[0]}")
    page.check("th.tick input")
    page.click("#cancel-selected")
    expect(page.locator("#queued")).to_have_text("Queued 0")
    assert statuses(panel_db, many[:3]) == [BatchStatus.PREFLIGHT_PASSED] * 3


def test_the_whole_way_works_without_javascript(open_window, admin_db, many, panel_db, worker_conf):
    page = open_window(java_script_enabled=False).page
    scan(page)
    page.locator("td.tick input").first.check()
    page.click("button:text-is('Queue selected')")
    expect(page.locator("[aria-label=Result]")).to_contain_text("Queued: 1 of 1 batch")
    page.click(".tabs >> text=Import Tasks")
    expect(page.locator("#queued")).to_have_text("Queued 1")
    worker_helpers.drain(worker_conf)
    page.reload()
    expect(page.locator("#finished")).to_have_text("Finished 1")
    page.click("[aria-label='Finished jobs'] .id")
    page.click("#help > summary")
    expect(page.locator("#help")).to_contain_text("Purpose")
    expect(page.locator(".state")).to_have_text("Status: completed; action: create")


def test_one_click_queues_what_is_ticked_with_a_priority(window, many, panel_db):
    page = window.page
    scan(page)
    page.locator("td.tick input").nth(1).check()
    page.fill("#bulk-priority", "3")
    page.click("button:text-is('Queue selected')")
    expect(page.locator("[aria-label=Result]")).to_contain_text("Queued: 1 of 1 batch")
    assert [job["priority"] for job in panel_db.run_read(job_queue.list_queued)] == [3]


def test_a_failed_batch_calls_for_attention_until_it_is_marked_as_seen(
    window, bundles, panel_db, mount, worker_conf, admin_db
):
    sync_id = bundles.bundle("one", bundles.assets("one", 2, broken={0: defects.no_source}))
    worker_helpers.queue(panel_db, mount, sync_id)
    worker_helpers.drain(worker_conf)
    page = window.show(BATCHES)
    expect(page.locator("#attention")).to_have_text("Attention 1")
    page.click("#attention")
    expect(page.locator(".batches .verdict")).to_contain_text("1 of 2 items failed")
    page.click(".batches a.title")
    expect(page.locator("[aria-label='Last error']")).to_contain_text("1 of 2 items failed")
    page.click("button:text-is('Mark as seen')")
    expect(page.locator("[aria-label=Attention]")).to_contain_text("has seen this (partial)")
    page.click("#attention")
    expect(page.locator(".empty")).to_contain_text("Nothing needs attention.")
    page.click("[aria-label=Attention] >> text=seen >> nth=1")
    expect(page.locator(".batches .verdict")).to_contain_text("seen by ")


def test_an_open_page_shows_what_needs_attention_meanwhile(window, many, admin_db, panel_db):
    page = window.page
    scan(page)
    page.clock.install()
    page.goto(BATCHES)
    admin_db.execute("UPDATE ingest_batch SET status = 'failed' LIMIT 1")
    worker_helpers.enqueue(panel_db, 1)  # an event, as every change of a batch writes one
    window.look_again()
    expect(page.locator("#attention")).to_have_text("Attention 1")


def test_a_heading_sorts_and_turns_around(window, many, admin_db):
    page = window.page
    scan(page)
    expect(page.locator("td a.id")).to_have_count(len(many))
    admin_db.execute("UPDATE ingest_batch SET total_bytes = id")
    newest = page.locator("td a.id").all_inner_texts()
    page.click("th >> text=bytes")
    expect(page.locator("th[aria-sort=descending]")).to_contain_text("bytes")
    assert page.locator("td a.id").all_inner_texts() == newest
    page.click("th >> text=bytes")
    expect(page.locator("th[aria-sort=ascending]")).to_contain_text("bytes")
    assert page.locator("td a.id").all_inner_texts() == newest[::-1]


def test_filters_are_folded_and_those_in_use_are_shown(window, many):
    page = window.page
    scan(page)
    expect(page.locator("[name=host]")).to_be_hidden()
    page.click("#filters > summary")
    page.select_option("[name=type]", "asset")
    page.click("button:text-is('Apply')")
    expect(page.locator(".used")).to_have_text("type: asset")
    page.click(".used a")
    expect(page.locator(".used")).to_have_count(0)


def test_a_button_copies_the_whole_sync_id(open_window, admin_db, many):
    page = open_window(permissions=["clipboard-read", "clipboard-write"]).page
    scan(page)
    first = page.locator("td a.id").first
    page.click(f"[aria-label='Copy {first.inner_text()}']")
    expect(page.locator(".copy.done")).to_have_count(1)
    assert page.evaluate("navigator.clipboard.readText()") == first.inner_text()


def test_a_held_job_is_released_on_the_page_of_its_batch_which_then_says_its_place(
    window, bundles, panel_db, mount
):
    first, second = (bundles.bundle(name, bundles.assets(name, 1)) for name in ("first", "second"))
    _, job = worker_helpers.queue(panel_db, mount, first, second)
    panel_db.run_transaction(job_queue.hold, job, "ann", "after the press release")
    page = window.show(detail(second))
    expect(page.locator("#hold")).to_contain_text("held by ann: after the press release")
    page.click(f"button:text-is('Release job {job}')")
    expect(page.locator("#place")).to_contain_text(f"Job {job} is queued: 1 before it.")


def test_from_the_page_of_a_queued_batch_two_clicks_end_a_pause(window, bundles, panel_db, mount):
    sync_id = bundles.bundle("one", bundles.assets("one", 1))
    worker_helpers.queue(panel_db, mount, sync_id)
    panel_db.run_transaction(job_queue.pause, "ann", "the library moves")
    page = window.show(detail(sync_id))
    expect(page.locator("#paused")).to_contain_text("The queue is paused by ann")
    page.click("#place a")
    page.click("#resume")
    expect(page.locator("#paused")).to_have_count(0)
    page.goto(detail(sync_id))
    expect(page.locator("#place")).to_contain_text("No worker is at work")


def test_the_place_of_a_queued_batch_follows_the_queue(window, bundles, panel_db, mount):
    first, second = (bundles.bundle(name, bundles.assets(name, 1)) for name in ("first", "second"))
    job, _ = worker_helpers.queue(panel_db, mount, first, second)
    window.page.clock.install()
    page = window.show(detail(second))
    expect(page.locator("#place")).to_contain_text("1 before it")
    panel_db.run_transaction(job_queue.cancel, job, "ann")
    window.look_again()
    expect(page.locator("#place")).to_contain_text("next in line")


def test_a_thumbnail_of_a_gallery_leads_to_its_member(window, bundles, panel_db, mount, worker_conf):
    photos = [photo._replace(title=f"Dune {number}") for number, photo in enumerate(bundles.assets("dune", 10))]
    container = bundles.container("gallery", "Winter light", photos)
    sync_id = bundles.bundle("gallery", photos, [container], sync_type="gallery")
    worker_helpers.queue(panel_db, mount, sync_id)
    worker_helpers.drain(worker_conf)
    page = window.show(detail(sync_id))
    images = page.locator(".members img")
    expect(images).to_have_count(8)
    assert {tuple(box.bounding_box()[side] for side in ("width", "height")) for box in images.all()} == {(48, 36)}
    images.nth(3).click()
    expect(page.locator("p.title")).to_have_text("Dune 3")
    page.go_back()
    page.click("text=All members")
    expect(page.locator("[aria-label=Members] tbody tr")).to_have_count(10)


def test_every_gallery_and_item_leads_to_its_page(window, bundles, panel_db, mount, worker_conf):
    photos = list(bundles.assets("dune", 2))
    container = bundles.container("gallery", "Winter light", photos)
    sync_id = bundles.bundle("gallery", photos, [container], sync_type="gallery")
    worker_helpers.queue(panel_db, mount, sync_id)
    worker_helpers.drain(worker_conf)
    page = window.show(detail(sync_id))
    page.click("[aria-label=Containers] [data-label=container_hash] a")
    expect(page.locator("main h2")).to_have_text(f"gallery {container['container_hash']}")
    page.click("[aria-label=Members] a >> nth=0")
    expect(page.locator("main h2")).to_contain_text("photo ")
    expect(page.locator("[aria-label=Galleries]")).to_contain_text("Winter light")
