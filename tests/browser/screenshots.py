"""Screenshots of every page: `make screenshots`, run by pytest. It also draws the picture of README.md."""

import os
from pathlib import Path

import pytest
from constants import TREE
from page_states import EMPTY, FULL, VIEWED, WAITING

FOLDER = Path(os.environ.get("SCREENSHOTS", "var/screenshots")).absolute()
README_PICTURE = TREE / "docs" / "panel.png"
README_PICTURE_BYTES = 400_000
VARIANTS = {
    "light": {"viewport": {"width": 1500, "height": 900}},
    "wide": {"viewport": {"width": 1920, "height": 1080}},
    "medium": {"viewport": {"width": 1024, "height": 768}},
    "tablet": {"viewport": {"width": 768, "height": 1024}},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "narrow": {"viewport": {"width": 320, "height": 640}, "device_scale_factor": 2},
    "print": {"viewport": {"width": 780, "height": 1100}},  # CSS pixels: A4 without margins
}

LOAD_IMAGES = """() => Promise.all([...document.images].map((image) => {
    image.loading = "eager";
    return image.decode().catch(() => {});
}))"""


def _take(open_window, name: str, variant: str, dataset=None) -> None:
    page = open_window(**VARIANTS[variant]).page
    (EMPTY | WAITING | FULL)[name](page, dataset)
    _draw(page, f"{name}-{variant}", variant)


def _draw(page, file: str, variant: str) -> None:
    page.emulate_media(media="print" if variant == "print" else "screen")
    page.evaluate(LOAD_IMAGES)
    FOLDER.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=FOLDER / f"{file}.png", full_page=True)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", EMPTY)
def test_empty(open_window, admin_db, assets_dir, name, variant):
    _take(open_window, name, variant)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", WAITING)
def test_waiting(open_window, waiting, name, variant):
    _take(open_window, name, variant, waiting)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", FULL)
def test_full(open_window, dataset, name, variant):
    _take(open_window, name, variant, dataset)


@pytest.mark.parametrize("variant", ["light", "narrow"])
@pytest.mark.parametrize("name", VIEWED)
def test_viewed(viewer_window, dataset, name, variant):
    viewer_window.page.set_viewport_size(VARIANTS[variant]["viewport"])
    FULL[name](viewer_window.page, dataset)
    _draw(viewer_window.page, f"viewer-{name}-{variant}", variant)


def test_the_picture_of_the_readme(open_window, dataset, start_worker, worker_conf):
    """A batch of which one item failed; the last picture, since the worker that it starts imports the queue."""
    page = open_window(viewport={"width": 1400, "height": 1120}).page
    start_worker(worker_conf)
    FULL["batch-partial"](page, dataset)
    while "no worker" in page.inner_text("#glance"):
        page.reload()
    page.evaluate(LOAD_IMAGES)
    page.screenshot(path=README_PICTURE)
    assert README_PICTURE.stat().st_size < README_PICTURE_BYTES
