"""URLs of the panel, and the text that a reader sees on its pages."""

import copy

from constants import TREE

CGI_BIN = TREE / "cgi-bin"
BATCHES = "/admin/import-media.cgi"
TASKS = "/admin/import-tasks.cgi"
JSON = {"Accept": "application/json"}


def failing(browser, url, status, **options):
    """Return the response to a request that fails, which the panel logs."""
    response = browser.get(url, expect_errors=True, **options)
    assert response.status_int == status
    return response


def detail(sync_id, **more):
    """Return the URL of a batch page."""
    return f"{BATCHES}?action=detail&sync_id={sync_id}" + "".join(f"&{key}={value}" for key, value in more.items())


def text(element):
    """Return the visible text of an element on one line."""
    return " ".join(element.get_text(" ", strip=True).split())


def cells(table):
    """Return a table's cells as texts, row by row, without notes."""
    rows = [row for row in table.find_all("tr") if not row.find_parent("tr") and "note" not in row.get("class", [])]
    return [[_without_notes(cell) for cell in row.find_all(["th", "td"], recursive=False)] for row in rows]


def _without_notes(cell):
    inner = copy.copy(cell)
    for note in inner.find_all(class_="note"):
        note.decompose()
    return text(inner)


def region(page, label):
    """Return the table in the region with this label."""
    return page.html.find(attrs={"role": "region", "aria-label": label}).find("table")


def assert_alike(alone, asked) -> None:
    """Compare two ways to get a page, once its time and ages stayed the same meanwhile."""
    before, found = alone(), asked()
    while before != (after := alone()):
        before, found = after, asked()
    assert found == before
