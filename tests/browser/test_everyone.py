"""The pages serve everyone: by keyboard, on a narrow and a very wide screen, in the dark, without motion, on paper."""

import pytest
from driving import BATCHES
from playwright.sync_api import expect
from views import FULL

FOCUS = """() => {
    const { activeElement: it } = document, style = getComputedStyle(it), box = it.getBoundingClientRect();
    const top = document.elementFromPoint(box.x + box.width / 2, box.y + Math.min(box.height, 24) / 2);
    return {
        name: it.getAttribute("aria-label") || it.value || it.textContent.trim(), outline: style.outlineStyle, width: box.width,
        covered: box.width > 0 && !(it.contains(top) || top?.contains(it) || top?.closest("label")?.contains(it)),
    };
}"""
PAGES = [name for name in FULL if not name.startswith("selection")]


@pytest.fixture
def screen(open_window, evening):
    """A page of the full panel, on a screen of this kind: `screen("tasks", width=320)`."""
    def screen(name, width=1280, **options):
        page = open_window(viewport={"width": width, "height": 900}, **options).page
        FULL[name](page, evening)
        return page

    return screen


def tab_to(page, name, key="Tab"):
    """Press Tab until the focus is on what has this name or text; each stop on the way shows it, and nothing covers it."""
    for _ in range(80):
        page.keyboard.press(key)
        stop = page.evaluate(FOCUS)
        assert (stop["outline"], stop["covered"]) == ("solid", False) or stop["outline"] == "auto", stop
        if name in stop["name"]:
            return
    raise AssertionError(f"Tab does not lead to {name}")


@pytest.mark.parametrize("name", PAGES)
def test_no_page_scrolls_sideways_on_a_narrow_screen_and_no_table_on_a_usual_one(screen, name):
    page = screen(name, width=320)
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    for width in (1280, 3840):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("[document.documentElement, ...document.querySelectorAll('.scroll')]"
                             ".filter((each) => each.scrollWidth > each.clientWidth).map((each) => each.ariaLabel)") == []


def test_on_a_very_wide_screen_the_text_is_larger(screen):
    size = "parseFloat(getComputedStyle(document.body).fontSize)"
    page = screen("batches")
    usual = page.evaluate(size)
    page.set_viewport_size({"width": 3840, "height": 2160})
    assert page.evaluate(size) > usual


def test_the_dark_scheme_is_dark_and_says_so_to_the_browser(screen):
    page = screen("batches", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 26)"
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "light dark"


def test_whatever_moves_does_so_only_for_those_who_do_not_mind(screen):
    page = screen("tasks")
    moving = page.evaluate("""() => {
        const told = (rules, media) => [...rules].flatMap((rule) =>
            rule.cssRules?.length ? told(rule.cssRules, rule.conditionText) : /transition|animation/.test(rule.cssText) ? [media] : []);
        return told(document.styleSheets[0].cssRules, "always");
    }""")
    assert moving == ["(prefers-reduced-motion: no-preference)"]


def test_a_batch_is_printed_without_what_cannot_be_pressed_and_with_all_of_its_changes(screen):
    page = screen("batch-updated")
    page.click("[id^=changes-][open] summary")
    page.emulate_media(media="print")
    for gone in (".tabs", ".actions", ".seek", ".filters >> nth=0", "#help"):
        expect(page.locator(gone)).to_be_hidden()
    for there in ("dl.facts", "#history", ".changes >> nth=0", "[role=region][aria-label=Items]", "[aria-label='Recent events']"):
        expect(page.locator(there)).to_be_visible()
    assert page.evaluate("[...document.querySelectorAll('.scroll')].every((each) => getComputedStyle(each).overflowX === 'visible')")


def test_moments_have_their_zone_and_how_long_ago_they_were(screen):
    page = screen("tasks")
    moment = page.locator("[aria-label='Running jobs'] time").nth(2)
    assert moment.get_attribute("datetime").endswith("Z")
    assert moment.get_attribute("title") == "UTC, 1 h ago"
    assert "1 h ago" in page.evaluate("getComputedStyle(document.querySelectorAll('.steady time')[2], '::after').content")


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
    tab_to(page, "queue", key="Shift+Tab")
    page.keyboard.press("Enter")
    tab_to(page, "queue_selected")
    page.keyboard.press("Enter")
    expect(page.locator("[aria-label=Outcome]")).to_contain_text("Queued: 1 of 1 batch")
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
