"""Addresses of the panel, and what a reader sees of its pages."""

from constants import TREE

CGI_BIN = TREE / "cgi-bin"
BATCHES = "/admin/import-media.cgi"
TASKS = "/admin/import-tasks.cgi"
JSON = {"Accept": "application/json"}


def failing(browser, url, status, **options):
    """The answer to a request that the panel fails at, and logs."""
    answer = browser.get(url, expect_errors=True, **options)
    assert answer.status_int == status
    return answer


def detail(sync_id, **more):
    return f"{BATCHES}?action=detail&sync_id={sync_id}" + "".join(f"&{key}={value}" for key, value in more.items())


def text(element):
    """What a reader sees of an element, on one line."""
    return " ".join(element.get_text(" ", strip=True).split())


def cells(table):
    """The table as rows of texts, the head first; what is said below a row is left out."""
    rows = [row for row in table.find_all("tr") if not row.find_parent("tr") and "note" not in row.get("class", [])]
    return [[text(cell) for cell in row.find_all(["th", "td"], recursive=False)] for row in rows]


def region(page, label):
    """The table in the region with this label."""
    return page.html.find(attrs={"role": "region", "aria-label": label}).find("table")
