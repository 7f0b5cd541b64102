"""Accessibility: screen sizes, dark scheme, motion, print, axe-core.

axe-core checks each kind of page once, with alternating widths and colour schemes; `make axe` checks all states of
the pages and all combinations.
"""

import os
from importlib.resources import files

import pytest
from browser_session import Window
from page_states import EMPTY, FULL, VIEWED, WAITING
from playwright.sync_api import expect

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text()
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RUN = """async (tags) => {
    const result = await axe.run(document, { runOnly: tags, resultTypes: ["violations"], preload: false });
    const examples = (violation) => violation.nodes.slice(0, 3).map((node) => node.html.slice(0, 200));
    return result.violations.map((violation) => [violation.id, violation.help, ...examples(violation)]);
}"""
VARIANTS = [(width, scheme) for scheme in ("light", "dark") for width in (1280, 320, 3840)]
TABLES = [
    "batches", "attention", "batch-updated", "batch-retry", "batch-refused", "batch-running", "tasks", "tasks-failed",
    "doctor", "selection-preview", "selection-all", "selection-forecast", "events", "asset", "gallery", "batch-gallery",
]
KINDS_OF_TABLES = [
    "batches", "batch-updated", "batch-retry", "batch-running", "batch-gallery", "tasks", "tasks-failed", "doctor",
    "selection-forecast", "events", "asset", "gallery",
]
# Pages with parts that no other page has; the other states combine these parts.
KINDS = [
    "batches-help", "batches-by-size", "attention", "batches-none-found", "batch-gallery", "batch-updated",
    "batch-retry", "batch-refused", "batch-passed-over", "batch-running", "batch-undo", "gallery", "events", "asset",
    "tasks-help", "tasks-failed", "doctor", "error-bad-request", "selection-preview", "selection-forecast",
]
KINDS_OF_WAITING = ["attention-held", "tasks-waiting", "batch-held-bundle", "batches-paused"]
KINDS_OF_VIEWED = ["batch-partial", "tasks"]


def places(states, kinds) -> list:
    """Parameters of all states with their place; `make test` leaves out those that are no kind of their own."""
    return [
        *enumerate(kinds),
        *(pytest.param(place, name, marks=pytest.mark.long) for place, name in enumerate(states) if name not in kinds),
    ]


def violations(page, place: int) -> dict[tuple, list]:
    """Return axe-core's violations by width and colour scheme."""
    found = {}
    page.evaluate(AXE)
    for width, scheme in VARIANTS if "AXE" in os.environ else [VARIANTS[place % len(VARIANTS)]]:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        if violations := page.evaluate(RUN, TAGS):
            found[width, scheme] = violations
    return found


@pytest.mark.parametrize("place, name", list(enumerate(EMPTY, 1)))
def test_axe_finds_nothing_on_a_panel_without_batches(window, assets_dir, place, name):
    EMPTY[name](window.page, None)
    assert violations(window.page, place) == {}


@pytest.fixture(scope="module")
def one_window(browser, panel):
    window = Window(browser, panel)
    yield window
    window.close()


@pytest.mark.parametrize("place, name", places(WAITING, KINDS_OF_WAITING))
def test_axe_finds_nothing_while_jobs_wait(one_window, waiting, place, name):
    WAITING[name](one_window.page, waiting)
    assert violations(one_window.page, place) == {}


@pytest.mark.parametrize("_, name", places(WAITING, KINDS_OF_WAITING))
def test_no_page_scrolls_sideways_while_jobs_wait(one_window, waiting, _, name):
    page = one_window.page
    WAITING[name](page, waiting)
    for width in (320, 390, 768, 1024, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") == width


# From here on the panel has many batches; tests that only read come before tests that act.


@pytest.fixture
def screen(one_window, dataset):
    """Open a page on a screen: `screen("tasks", width=320)`."""
    def screen(name, width=1280, scheme="light"):
        one_window.page.set_viewport_size({"width": width, "height": 900})
        one_window.page.emulate_media(media="screen", color_scheme=scheme)
        FULL[name](one_window.page, dataset)
        return one_window.page

    yield screen
    assert one_window.complaints == []


@pytest.mark.parametrize("_, name", places(TABLES, KINDS_OF_TABLES))
def test_no_page_scrolls_sideways_on_a_narrow_screen_and_no_table_on_a_usual_one(screen, _, name):
    page = screen(name, width=320)
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    for width in (768, 1024, 1280, 3840):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("""() => [document.documentElement, ...document.querySelectorAll(".scroll")]
            .filter((element) => element.scrollWidth > element.clientWidth)
            .map((element) => element.ariaLabel)""") == []


@pytest.mark.parametrize("name", ["batches", "batch-retry", "tasks", "events", "attention"])
def test_the_head_takes_about_a_hundred_pixels(screen, name):
    page = screen(name)
    assert page.evaluate("document.querySelector('main').getBoundingClientRect().top") <= 110


def test_on_a_phone_a_batch_takes_two_lines(screen):
    page = screen("batches", width=390)
    heights = page.evaluate("""() => [...document.querySelectorAll(".batches tbody tr")]
        .filter((row) => !row.querySelector(".verdict small")).map((row) => row.getBoundingClientRect().height)""")
    assert len(heights) > 5 and max(heights) <= 64


@pytest.mark.parametrize("width", [768, 1024, 1280, 1500])
def test_in_the_list_a_title_takes_one_line_and_no_more_than_its_column(screen, width):
    titles = screen("batches", width=width).locator(".batches a.title").all()
    assert len(titles) > 5
    for title in titles:
        box, cell = title.bounding_box(), title.locator("xpath=ancestor::td").bounding_box()
        assert box["height"] < 28 and box["x"] + box["width"] <= cell["x"] + cell["width"]
        assert title.get_attribute("title").startswith(title.inner_text().rstrip(".")[:20])


def test_on_a_phone_a_running_job_begins_with_its_name_and_uses_the_width_of_its_card(screen):
    page = screen("tasks", width=320)
    for row in page.locator("[aria-label='Running jobs'] tbody tr:not(.note)").all():
        card, name, bar = (part.bounding_box() for part in (row, row.locator(".title"), row.locator("progress")))
        assert name["y"] - card["y"] < 16 and name["x"] - card["x"] < 16
        assert bar["width"] > card["width"] / 2


@pytest.mark.parametrize("name", ["batches", "attention"])
def test_on_a_phone_no_part_of_a_batch_leaves_its_card(screen, name):
    page = screen(name, width=320)
    assert page.evaluate("""() => [...document.querySelectorAll(".batches tbody tr")]
        .flatMap((row) => [...row.querySelectorAll(".title, .tick input, small, .done")]
            .filter((part) => part.getBoundingClientRect().right > row.getBoundingClientRect().right)
            .map((part) => part.textContent))""") == []


# Texts of facts and cards that cover another, or that no space parts from the one before.
COVERED = """() => {
    const boxes = [...document.querySelectorAll(".facts dd, .facts .status, .verdict > .status, .verdict > small")]
        .flatMap((element) => [...element.childNodes].filter((node) => node.nodeType === 3 && node.data.trim()))
        .flatMap((node) => {
            const range = document.createRange();
            range.selectNodeContents(node);
            return [...range.getClientRects()].map((box) => [box, node.data.trim()]);
        });
    return boxes.flatMap(([a, text], i) => boxes.slice(i + 1)
        .filter(([b]) => a.right + 2 > b.left && b.right + 2 > a.left && a.bottom - 4 > b.top && b.bottom - 4 > a.top)
        .map(([, other]) => `${text} | ${other}`));
}"""


@pytest.mark.parametrize("name", ["batch-changed", "batch-refused", "batch-updated", "batch-gallery", "doctor"])
def test_on_a_phone_no_text_covers_another(screen, name):
    page = screen(name, width=390)
    for width in (390, 360, 320):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate(COVERED) == []


@pytest.mark.parametrize("name", ["asset", "batch-running", "batch-updated", "doctor"])
def test_on_a_phone_the_label_of_a_cell_has_a_column_of_its_own(screen, name):
    page = screen(name, width=390)
    found = page.evaluate("""() => [...document.querySelectorAll(".stack > tbody > tr > td[data-label]")]
        .filter((cell) => cell.checkVisibility() && getComputedStyle(cell, "::before").position === "absolute"
            && !["none", "normal"].includes(getComputedStyle(cell, "::before").content))
        .map((cell) => [cell.dataset.label, parseFloat(getComputedStyle(cell).paddingLeft)])""")
    assert found and [label for label, padding in found if padding < 112] == []


@pytest.mark.parametrize("width", [320, 390, 768, 1280, 1400])
def test_the_copy_button_of_the_manifest_stands_beside_its_hash(screen, width):
    page = screen("batch-completed", width=width)
    tops = page.evaluate("""() => [...document.querySelector(".digest dd").children]
        .map((part) => { const box = part.getBoundingClientRect(); return (box.top + box.bottom) / 2; })""")
    assert len(tops) == 2 and abs(tops[0] - tops[1]) < 8
    assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("width", [1280, 1400])
def test_on_a_laptop_title_and_actions_of_a_batch_share_a_line(screen, width):
    page = screen("batch-partial", width=width)
    title, actions = (page.locator(f".lead {part}").bounding_box() for part in ("p.title", ".actions"))
    assert title["y"] < actions["y"] + actions["height"] and actions["y"] < title["y"] + title["height"]
    assert title["height"] < 2 * 28 and actions["height"] < 40


def test_on_a_phone_doctor_shows_what_to_do(screen):
    page = screen("doctor", width=390)
    assert page.evaluate("""() => [...document.querySelectorAll("[data-label='what to do']:not(.none)")]
        .every((cell) => cell.getBoundingClientRect().right <= innerWidth)""")


def test_on_a_laptop_a_host_is_one_line(screen):
    page = screen("batches", width=1280)
    assert page.evaluate("""() => [...document.querySelectorAll("td.host")]
        .every((cell) => cell.textContent !== "cloud-sync.example" || cell.scrollWidth <= cell.clientWidth
            && getComputedStyle(cell).whiteSpace === "nowrap")""")


def test_on_a_very_wide_screen_the_text_is_larger(screen):
    size = "parseFloat(getComputedStyle(document.body).fontSize)"
    page = screen("batches")
    usual = page.evaluate(size)
    page.set_viewport_size({"width": 3840, "height": 2160})
    assert page.evaluate(size) > usual


def test_the_dark_scheme_is_dark_and_says_so_to_the_browser(screen):
    page = screen("batches", scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(18, 21, 26)"
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "light dark"


def test_animations_stop_with_reduced_motion(screen):
    page = screen("tasks")
    moving = page.evaluate("""() => {
        const mediaOf = (rule, media) => /transition|animation/.test(rule.cssText) ? [media] : [];
        const search = (rules, media) => [...rules].flatMap((rule) =>
            rule.cssRules?.length ? search(rule.cssRules, rule.conditionText) : mediaOf(rule, media));
        return search(document.styleSheets[0].cssRules, "always");
    }""")
    assert moving == ["(prefers-reduced-motion: no-preference)"]


def test_a_batch_is_printed_without_what_cannot_be_pressed_and_with_all_of_its_changes(screen):
    page = screen("batch-updated")
    page.click("[id^=changes-][open] summary")
    page.emulate_media(media="print")
    for hidden in (".tabs", ".actions", ".seek", ".filters >> nth=0", "#help"):
        expect(page.locator(hidden)).to_be_hidden()
    for visible in (
        "dl.facts", "#history", ".changes >> nth=0", "[role=region][aria-label=Items]", "[aria-label='Recent events']",
    ):
        expect(page.locator(visible)).to_be_visible()
    assert page.evaluate("""() => [...document.querySelectorAll(".scroll")]
        .every((region) => getComputedStyle(region).overflowX === "visible")""")


def test_a_printed_list_says_its_time_its_filters_and_how_much_of_it_is_printed(screen):
    page = screen("batches-filtered")
    expect(page.locator(".on-paper >> nth=0")).to_be_hidden()
    page.emulate_media(media="print")
    time, filters, extent = page.locator(".on-paper").all_inner_texts()
    assert time == f"As of {page.get_attribute('body', 'data-now')[:19].replace('T', ' ')} UTC, for local."
    assert filters == "Only status: discovered; host: cloud-sync.example. Order: newest first."
    assert extent == f"{page.locator('tbody tr').count()} of {page.inner_text('h2 .count')} batches are printed here."


@pytest.mark.parametrize("name", ["asset", "batches", "batch-updated", "batch-partial", "tasks", "events", "doctor"])
def test_a_printed_page_is_as_wide_as_its_paper_and_no_text_covers_another(screen, name):
    page = screen(name, width=780)
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") == 780
    assert page.evaluate('''() => [...document.querySelectorAll("td, th")]
        .filter((cell) => cell.checkVisibility() && !cell.closest(".unseen") && cell.scrollWidth > cell.clientWidth + 1)
        .map((cell) => cell.textContent.trim())''') == []


def test_a_printed_asset_has_the_changes_of_its_whole_history(screen):
    page = screen("asset", width=780)
    page.emulate_media(media="print")
    assert page.locator("[id^=result-]").count() > 1
    for changes in page.locator("[id^=result-] .changes").all():
        expect(changes).to_be_visible()


def test_moments_have_their_zone_and_how_long_ago_they_were(screen):
    page = screen("tasks")
    moment = page.locator("[aria-label='Running jobs'] time").nth(2)
    assert moment.get_attribute("datetime").endswith("Z")
    assert moment.get_attribute("title") == "UTC, 1 h ago"
    third = "document.querySelectorAll('.steady time')[2]"
    assert "1 h ago" in page.evaluate(f"getComputedStyle({third}, '::after').content")


@pytest.mark.parametrize("place, name", places(VIEWED, KINDS_OF_VIEWED))
def test_axe_finds_nothing_on_the_pages_of_a_viewer_and_no_button_acts(viewer_window, dataset, place, name):
    FULL[name](viewer_window.page, dataset)
    assert viewer_window.page.locator("form[method=post]").count() == 0
    assert violations(viewer_window.page, place) == {}


@pytest.mark.parametrize("place, name", places(FULL, KINDS))
def test_axe_finds_nothing(screen, place, name):
    assert violations(screen(name), place) == {}
