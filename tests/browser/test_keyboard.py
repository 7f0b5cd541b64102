"""Keyboard use: all actions are reachable, and the focus is visible."""

from browser_session import BATCHES
from gpupanel import services
from playwright.sync_api import expect

FOCUS = """() => {
    const { activeElement: it } = document, style = getComputedStyle(it), box = it.getBoundingClientRect();
    const top = document.elementFromPoint(box.x + box.width / 2, box.y + Math.min(box.height, 24) / 2);
    return {
        name: it.getAttribute("aria-label") || it.value || it.textContent.trim(),
        outline: style.outlineStyle,
        width: box.width,
        covered: box.width > 0 && !(it.contains(top) || top?.contains(it) || top?.closest("label")?.contains(it)),
    };
}"""


def tab_to(page, name, key="Tab"):
    """Press Tab until this element has the focus, always visibly."""
    for _ in range(80):
        page.keyboard.press(key)
        stop = page.evaluate(FOCUS)
        assert (stop["outline"], stop["covered"]) == ("solid", False) or stop["outline"] == "auto", stop
        if name in stop["name"]:
            return
    raise AssertionError(f"Tab does not lead to {name}")


def test_from_a_scan_to_a_canceled_job_by_the_keyboard_alone(window, bundles):
    sync_id = bundles.bundle("one", bundles.assets("one", 1))
    page = window.show(BATCHES)
    tab_to(page, "Skip to content")
    page.keyboard.press("Enter")
    tab_to(page, "scan")
    page.keyboard.press("Enter")
    expect(page.locator("td .id")).to_have_text(sync_id)
    tab_to(page, f"Select {sync_id}")
    page.keyboard.press("Space")
    expect(page.locator("[data-ticked]")).to_have_text("1 selected:")
    tab_to(page, "queue_selected")
    page.keyboard.press("Enter")
    expect(page.locator("[aria-label=Result]")).to_contain_text("Queued: 1 of 1 batch")
    tab_to(page, "Import Tasks")
    page.keyboard.press("Enter")
    expect(page.locator("#queued")).to_have_text("Queued 1")
    tab_to(page, "About this section")
    page.keyboard.press("Enter")
    expect(page.locator(".help-body")).to_be_visible()
    tab_to(page, "cancel_selected")
    tab_to(page, "cancel")
    page.keyboard.press("Enter")
    expect(page.locator("#queued")).to_have_text("Queued 0")


def test_the_first_batch_is_within_twelve_tabs(window, bundles, panel_db, mount):
    sync_id = bundles.bundle("one", bundles.assets("one", 1))
    services.scan_mount(panel_db, mount, "admin")
    page = window.show(BATCHES)
    presses = 0
    for goal in ("Skip to the batches", None):
        while True:
            page.keyboard.press("Tab")
            presses += 1
            if page.evaluate(FOCUS)["name"] == goal:
                page.keyboard.press("Enter")
                break
            if goal is None and sync_id in page.evaluate("document.activeElement.href ?? ''"):
                break
            assert presses <= 12
    page.keyboard.press("Enter")
    expect(page.locator("main h2")).to_have_text(f"Batch {sync_id}")
