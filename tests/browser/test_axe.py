"""axe-core finds nothing on any page in any of its states: light and dark, 320 pixels wide, as usual, and on a 4K screen.

`make axe` asks for each page at each width in both schemes; otherwise each width and each scheme has its turn.
"""

import os
from importlib.resources import files

import pytest
from views import EMPTY, FULL

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text()
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RUN = """async (tags) => {
    const found = await axe.run(document, { runOnly: tags, resultTypes: ["violations"], preload: false });
    return found.violations.map((each) => [each.id, each.help, ...each.nodes.slice(0, 3).map((node) => node.html.slice(0, 200))]);
}"""
ALL = [(width, scheme) for width in (1280, 320, 3840) for scheme in ("light", "dark")]
VARIANTS = ALL if "AXE" in os.environ else [(1280, "light"), (320, "dark"), (3840, "light")]


def violations(page) -> dict[tuple, list]:
    """By width and colour scheme."""
    found = {}
    page.evaluate(AXE)
    for width, scheme in VARIANTS:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        if told := page.evaluate(RUN, TAGS):
            found[width, scheme] = told
    return found


@pytest.mark.parametrize("name", EMPTY)
def test_axe_finds_nothing_on_a_panel_without_batches(window, assets_dir, name):
    EMPTY[name](window.page, None)
    assert violations(window.page) == {}


@pytest.mark.parametrize("name", FULL)
def test_axe_finds_nothing(open_window, evening, name):
    page = open_window(viewport={"width": 1280, "height": 900}).page
    FULL[name](page, evening)
    assert violations(page) == {}
